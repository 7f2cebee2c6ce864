/* A product x[M,K] w[K,N] with everything behind it, for products too small to fill the card, or a convolution as one:
   its rows are pixels of the output, and K counts the channels under each tap of the window. K is cut into SPLIT parts,
   which the blocks of a cluster compute at once and add up through each other's shared memory, always in the same
   order. Tiles come by cp.async in STAGES stages; a warp computes WM x WN of the tile's BM x BN with mma.sync.

   Defined by the generator:
     M, N, K, BM, BN, WARPS_M, WARPS_N, STAGES, SPLIT
     HALVES      2: results, of N columns, are computed from those of w and the N behind them, and a tile has BN / 2 of
                 both; else 1
     BATCH       so many products at once, whose x lie X_BATCH elements apart and whose w W_BATCH
     X, W        the operands' addresses; ELEM: their type in memory
     X_ROW       elements from one row of x to the next; with a window, from pixel to pixel
     TRANS_W     1: w is [N,K]
     MMA         the types of the instruction
     WIDE        0, or for FP32 operands of how many of BF16 each number is taken as the sum: two, 16 bits of it
                 together with the sign of the second, or three, all 24. A product is the sum of three, all but that of
                 the two small parts, or of six, all but those beyond 24 bits
     APART       w comes taken apart: of each eight neighbours in its rows 16 bytes of nearest, then 16 of what they
                 leave, and of three parts the third of all behind that; of each eight elements of K the pairs that a
                 thread multiplies are neighbours
     LOOSE       rows that start at multiples of four bytes, not of 16
     START       waits for the kernel before
     W_CONSTANT  w is nobody's result, so that its first stages are on their way while that kernel still runs
     WINDOW      0, or 1 for a convolution, with OUT_H, OUT_W, IN_H, IN_W, CHANNELS (a multiple of CHUNK; x is
                 [n][h][w][c], w is [N][taps][c]), KERNEL_W, STRIDE_, PAD_, DILATION_ with H and W.  Its groups are
                 a batch, CHANNELS, N and w those of one
     V           elements are finished at once: finish(ARGUMENTS row, column, sums) evaluates the epilogue at them
                 and stores */
#define ELEM_BYTES (WIDE ? 4 : 2)
#define CHUNK (16 / ELEM_BYTES)             /* elements of 16 bytes */
#define ROW_BYTES 128
#define BK (ROW_BYTES / ELEM_BYTES)
#define THREADS (32 * WARPS_M * WARPS_N)
#define WM (BM / WARPS_M)
#define WN (BN / WARPS_N)
#define X_BYTES (BM * ROW_BYTES)
#define W_BYTES (BN * ROW_BYTES)
#define THIRD (APART && WIDE == 3)
#define STAGE_BYTES (X_BYTES + W_BYTES + (THIRD ? W_BYTES / 2 : 0))
#define SUM_ROW (BN + 8)                    /* floats; so that the rows of a warp's store lie in different banks */
#define STEPS ((K + BK - 1) / BK)
#define W_ROW_BYTES (TRANS_W ? ROW_BYTES : BN * ELEM_BYTES)

/* 16-byte chunks of a row are permuted by the row's number, so that the eight rows of an 8x8 matrix lie in different
   banks. */
__device__ __forceinline__ unsigned chunk_at(int row, int row_bytes, int chunk)
{
  return row * row_bytes + (((chunk ^ row) & 7) | (chunk & ~7)) * 16;
}

/* The same of w's third parts, of which two rows share 128 bytes. */
__device__ __forceinline__ unsigned third_at(int row, int chunk)
{
  return chunk_at(row / 2, ROW_BYTES, row % 2 * 4 + chunk);
}

/* What one thread copies of every stage: from `from` elements behind the stage's first, to `to` bytes behind the
   stage's start, then every THREADS-th chunk: GAP bytes further each time. Rows and columns beyond the matrix repeat
   the last: what comes of them is not stored. */
#define X_COPIES ((BM * 8 + THREADS - 1) / THREADS)
#define W_ROW_CHUNKS (TRANS_W ? 8 : BN / CHUNK)
#define W_CHUNKS (BN * 8)
#define W_COPIES ((W_CHUNKS + THREADS - 1) / THREADS)
#define THIRD_COPIES ((BN * 4 + THREADS - 1) / THREADS)
#define X_GAP (THREADS / 8 * ROW_BYTES)
#define W_GAP (THREADS / W_ROW_CHUNKS * W_ROW_BYTES)

struct copies {
  idx x[X_COPIES], w[W_COPIES]; unsigned x_to, w_to;
#if THIRD
  idx third[THIRD_COPIES]; unsigned third_to[THIRD_COPIES];
#endif
#if WINDOW
  int top[X_COPIES], left[X_COPIES];        /* of the window over the input */
#endif
};

/* Where in w a tile's column number `at` lies, or the last `count` before the end. */
__device__ __forceinline__ int w_column(int column0, int at, int count)
{
  const int half = HALVES > 1 && at >= BN / HALVES;

  return half * N + min(column0 + at - half * (BN / HALVES), N - count);
}

__device__ __forceinline__ void plan_copies(copies *plan, int row0, int column0)
{
  const int x_row = threadIdx.x / 8, x_chunk = threadIdx.x % 8;
  const int w_row = threadIdx.x / W_ROW_CHUNKS, w_chunk = threadIdx.x % W_ROW_CHUNKS;

  _Pragma("unroll") for (int i = 0; i < X_COPIES; ++i) {
    const int row = min(row0 + x_row + i * (THREADS / 8), M - 1);
#if WINDOW
    plan->top[i] = row / OUT_W % OUT_H * STRIDE_H - PAD_H;
    plan->left[i] = row % OUT_W * STRIDE_W - PAD_W;
    plan->x[i] = (((idx)(row / (OUT_H * OUT_W)) * IN_H + plan->top[i]) * IN_W + plan->left[i]) * X_ROW;
#else
    plan->x[i] = (idx)row * X_ROW + x_chunk * CHUNK;
#endif
  }
  _Pragma("unroll") for (int i = 0; i < W_COPIES; ++i) {
    const int row = w_row + i * (THREADS / W_ROW_CHUNKS);
    plan->w[i] = TRANS_W ? (idx)w_column(column0, row, 1) * K + w_chunk * CHUNK
                         : (idx)row * (N * HALVES) + w_column(column0, w_chunk * CHUNK, CHUNK);
  }
#if THIRD
  _Pragma("unroll") for (int i = 0; i < THIRD_COPIES; ++i) {
    const int row = threadIdx.x / 4 + i * (THREADS / 4), chunk = threadIdx.x % 4;
    plan->third[i] = ((idx)min(column0 + row, N - 1) * K + chunk * 8) / 2;
    plan->third_to[i] = X_BYTES + W_BYTES + third_at(row, chunk);
  }
#endif
  plan->x_to = chunk_at(x_row, ROW_BYTES, x_chunk);
  plan->w_to = chunk_at(w_row, W_ROW_BYTES, w_chunk);
}

/* Elements behind the end of K, and around the picture, are zeros; of a chunk `left` elements are there. */
__device__ __forceinline__ void copy16(unsigned to, const ELEM *from, int left)
{
#if LOOSE
  _Pragma("unroll") for (int i = 0; i < CHUNK; i += 4 / ELEM_BYTES)
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
                 ::"r"(to + i * ELEM_BYTES), "l"(i < left ? from + i : from), "r"(i < left ? 4 : 0) : "memory");
#elif WINDOW || K % BK
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(left > 0 ? 16 : 0) : "memory");
#else
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
#endif
}

#if WINDOW
__device__ __forceinline__ void copy_x(unsigned to, const ELEM *x, const copies *plan, int step)
{
  const int k = step * BK + threadIdx.x % 8 * CHUNK, tap = k / CHANNELS;
  const int down = tap / KERNEL_W * DILATION_H, right = tap % KERNEL_W * DILATION_W;
  const idx from = ((idx)down * IN_W + right) * X_ROW + k % CHANNELS;

  _Pragma("unroll") for (int i = 0; i < X_COPIES; ++i) {
    const bool inside = k < K && (unsigned)(plan->top[i] + down) < IN_H && (unsigned)(plan->left[i] + right) < IN_W;
    if (BM * 8 % THREADS == 0 || threadIdx.x + i * THREADS < BM * 8)
      copy16(to + plan->x_to + i * X_GAP, inside ? x + (plan->x[i] + from) : x, inside ? CHUNK : 0);
  }
}
#else
__device__ __forceinline__ void copy_x(unsigned to, const ELEM *x, const copies *plan, int step)
{
  const ELEM *from = x + step * BK;
  const int   k = step * BK + threadIdx.x % 8 * CHUNK;

  _Pragma("unroll") for (int i = 0; i < X_COPIES; ++i)
    if (BM * 8 % THREADS == 0 || threadIdx.x + i * THREADS < BM * 8)
      copy16(to + plan->x_to + i * X_GAP, from + plan->x[i], K - k);
}
#endif

/* third: w's third parts, two in the room of an element. */
__device__ __forceinline__ void copy_w(unsigned to, const ELEM *w, const ELEM *third, const copies *plan, int step)
{
  const ELEM *from = w + (TRANS_W ? (long long)step * BK : (long long)step * BK * (N * HALVES));
  const int   k = step * BK + (TRANS_W ? threadIdx.x % 8 * CHUNK : threadIdx.x / W_ROW_CHUNKS);

  _Pragma("unroll") for (int i = 0; i < W_COPIES; ++i)
    if (W_CHUNKS % THREADS == 0 || threadIdx.x + i * THREADS < W_CHUNKS)
      copy16(to + X_BYTES + plan->w_to + i * W_GAP, from + plan->w[i],
             TRANS_W ? K - k : k + i * (THREADS / W_ROW_CHUNKS) < K ? CHUNK : 0);
#if THIRD
  _Pragma("unroll") for (int i = 0; i < THIRD_COPIES; ++i)
    if (BN * 4 % THREADS == 0 || threadIdx.x + i * THREADS < BN * 4)
      copy16(to + plan->third_to[i], third + step * (BK / 2) + plan->third[i], K - step * BK - threadIdx.x % 4 * 8);
#endif
}

__device__ __forceinline__ void load4(unsigned r[4], unsigned at)
{
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}

__device__ __forceinline__ void load2(unsigned r[2], unsigned at)
{
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(at) : "memory");
}

__device__ __forceinline__ void load4_transposed(unsigned r[4], unsigned at)
{
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}

__device__ __forceinline__ void multiply(float c[4], const unsigned a[4], unsigned b0, unsigned b1)
{
  asm volatile("mma.sync.aligned.m16n8k16.row.col." MMA " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#if WIDE
/* The i-th register of each part, the largest first, from two numbers: the nearest, and what that leaves.  None is
   infinite: what an infinity leaves is no number. */
__device__ __forceinline__ void take_apart(unsigned to[WIDE][2], int i, unsigned first, unsigned second)
{
  float a = __uint_as_float(first), b = __uint_as_float(second);

  _Pragma("unroll") for (int p = 0; p < WIDE; ++p) {
    asm("cvt.rn.satfinite.bf16x2.f32 %0, %1, %2;" : "=r"(to[p][i]) : "f"(b), "f"(a));
    a -= __uint_as_float(to[p][i] << 16);
    b -= __uint_as_float(to[p][i] & 0xffff0000u);
  }
}

/* 16 elements of K at the row `at` for a thread's group of four, the elements t, 4 + t, 8 + t and 12 + t for the thread
   t: x and w agree in it. */
__device__ __forceinline__ void load_parts(unsigned to[WIDE][2], unsigned base, int row, int chunk, int lane)
{
  unsigned r[4];

  load4(r, base + chunk_at(row + lane % 8, ROW_BYTES, chunk + lane / 8));
  _Pragma("unroll") for (int i = 0; i < 2; ++i) take_apart(to, i, r[2 * i], r[2 * i + 1]);
}

/* The same of w in rows of K. */
__device__ __forceinline__ void load_parts_across(unsigned to[WIDE][2], unsigned base, int row, int column, int lane)
{
  _Pragma("unroll") for (int i = 0; i < 2; ++i) {
    unsigned r[2];
    _Pragma("unroll") for (int j = 0; j < 2; ++j)
      asm volatile("ld.shared.b32 %0, [%1];" : "=r"(r[j])
                   : "r"(base + chunk_at(row + 8 * i + 4 * j + lane % 4, W_ROW_BYTES, (column + lane / 4) / CHUNK) +
                         (column + lane / 4) % CHUNK * 4) : "memory");
    take_apart(to, i, r[0], r[1]);
  }
}

/* w for 16 elements of K from k on and eight columns from `column` on. */
__device__ __forceinline__ void load_w(unsigned to[WIDE][2], unsigned base, int k, int column, int lane)
{
#if APART
  unsigned r[4];
#if TRANS_W
  load4(r, base + chunk_at(column + lane % 8, ROW_BYTES, k / 4 + lane / 8 % 2 * 2 + lane / 16));
  to[0][0] = r[0]; to[0][1] = r[1]; to[1][0] = r[2]; to[1][1] = r[3];
#if THIRD
  load2(to[2], base + W_BYTES + third_at(column + lane % 8, k / 8 + lane / 8 % 2));
#endif
#else
  load4_transposed(r, base + chunk_at(k + lane % 16, W_ROW_BYTES, column / 4 + lane / 16));
  to[0][0] = r[0]; to[0][1] = r[1]; to[1][0] = r[2]; to[1][1] = r[3];
#endif
#elif TRANS_W
  load_parts(to, base, column, k / 4, lane);
#else
  load_parts_across(to, base, k, column, lane);
#endif
}

/* Which parts a product is the sum of products of, the smallest first; of two parts the last three. */
#define FIRST_TERM (WIDE == 3 ? 0 : 3)
#define X_PART(term) ((term) == 0 ? 2 : (term) == 2 || (term) == 3)
#define W_PART(term) ((term) == 1 ? 2 : (term) == 2 || (term) == 4)

/* Tiles of eight columns whose products are interleaved, so that none waits for the one before. */
#define ABREAST (WN % 32 == 0 && WM < 64 ? 4 : 2)

/* Tensor cores cut their sums off, for which three parts are too good: 16 elements of K are added up from zero, and
   their sum is rounded as it is added. */
__device__ __forceinline__ void multiply_parts(float sum[WM / 16][WN / 8][4], const unsigned x[WM / 16][WIDE][4],
                                               const unsigned w[ABREAST][WIDE][2], int first)
{
  float own[WM / 16][ABREAST][4];

  _Pragma("unroll") for (int m = 0; m < WM / 16; ++m)
    _Pragma("unroll") for (int n = 0; n < ABREAST; ++n)
      _Pragma("unroll") for (int i = 0; i < 4; ++i) own[m][n][i] = WIDE == 3 ? 0.0f : sum[m][first + n][i];
  _Pragma("unroll") for (int term = FIRST_TERM; term < 6; ++term)
    _Pragma("unroll") for (int n = 0; n < ABREAST; ++n)
      _Pragma("unroll") for (int m = 0; m < WM / 16; ++m)
        multiply(own[m][n], x[m][X_PART(term)], w[n][W_PART(term)][0], w[n][W_PART(term)][1]);
  _Pragma("unroll") for (int m = 0; m < WM / 16; ++m)
    _Pragma("unroll") for (int n = 0; n < ABREAST; ++n)
      _Pragma("unroll") for (int i = 0; i < 4; ++i)
        sum[m][first + n][i] = WIDE == 3 ? sum[m][first + n][i] + own[m][n][i] : own[m][n][i];
}

/* One stage's part of the warp's sums: sum[m][n] is the 16 x 8 tile at rows 16 m and columns 8 n of it. */
__device__ __forceinline__ void multiply_stage(float sum[WM / 16][WN / 8][4], unsigned x, unsigned w, int warp_m,
                                               int warp_n, int lane)
{
  _Pragma("unroll") for (int k = 0; k < BK / 16; ++k) {
    unsigned a[WM / 16][WIDE][4];
    _Pragma("unroll") for (int m = 0; m < WM / 16; ++m) _Pragma("unroll") for (int half = 0; half < 2; ++half) {
      unsigned rows[WIDE][2];
      load_parts(rows, x, warp_m * WM + m * 16 + half * 8, k * 4, lane);
      _Pragma("unroll") for (int p = 0; p < WIDE; ++p)
        _Pragma("unroll") for (int i = 0; i < 2; ++i) a[m][p][2 * i + half] = rows[p][i];
    }
    _Pragma("unroll") for (int n = 0; n < WN / 8; n += ABREAST) {
      unsigned columns[ABREAST][WIDE][2];
      _Pragma("unroll") for (int i = 0; i < ABREAST; ++i)
        load_w(columns[i], w, k * 16, warp_n * WN + (n + i) * 8, lane);
      multiply_parts(sum, a, columns, n);
    }
  }
}
#else
/* One stage's part of the warp's sums: sum[m][n] is the 16 x 8 tile at rows 16 m and columns 8 n of it. */
__device__ __forceinline__ void multiply_stage(float sum[WM / 16][WN / 8][4], unsigned x, unsigned w, int warp_m,
                                               int warp_n, int lane)
{
  _Pragma("unroll") for (int k = 0; k < BK / 16; ++k) {
    unsigned a[WM / 16][4];
    _Pragma("unroll") for (int m = 0; m < WM / 16; ++m)
      load4(a[m], x + chunk_at(warp_m * WM + m * 16 + lane % 16, ROW_BYTES, k * 2 + lane / 16));
    _Pragma("unroll") for (int n = 0; n < WN / 16; ++n) {
      unsigned b[4];
#if TRANS_W
      load4(b, w + chunk_at(warp_n * WN + n * 16 + lane / 16 * 8 + lane % 8, W_ROW_BYTES, k * 2 + lane / 8 % 2));
#else
      load4_transposed(b, w + chunk_at(k * 16 + lane % 16, W_ROW_BYTES, (warp_n * WN + n * 16) / 8 + lane / 16));
#endif
      _Pragma("unroll") for (int m = 0; m < WM / 16; ++m) {
        multiply(sum[m][2 * n], a[m], b[0], b[1]);
        multiply(sum[m][2 * n + 1], a[m], b[2], b[3]);
      }
    }
  }
}
#endif

extern "C" __global__ void __launch_bounds__(THREADS)
#if SPLIT > 1
__cluster_dims__(1, 1, SPLIT)
#endif
kernel(PARAMETERS)
{
  extern __shared__ __align__(128) unsigned char memory[];
  const unsigned base = (unsigned)__cvta_generic_to_shared(memory);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warp_m = warp % WARPS_M, warp_n = warp / WARPS_M;
  const int row0 = blockIdx.y * BM, column0 = blockIdx.x * (BN / HALVES);
  const int part = blockIdx.z % SPLIT, batch = blockIdx.z / SPLIT;
  const ELEM *const x = X + (idx)batch * X_BATCH, *const w = W + (idx)batch * W_BATCH;
  const ELEM *const third = W + (idx)BATCH * W_BATCH + (idx)batch * W_BATCH / 2;
  const int first = STEPS * part / SPLIT, steps = STEPS * (part + 1) / SPLIT - first;
  copies plan;
  float sum[WM / 16][WN / 8][4];

  _Pragma("unroll") for (int m = 0; m < WM / 16; ++m)
    _Pragma("unroll") for (int n = 0; n < WN / 8; ++n)
      _Pragma("unroll") for (int i = 0; i < 4; ++i) sum[m][n][i] = 0.0f;
  plan_copies(&plan, row0, column0);
#if W_CONSTANT
  _Pragma("unroll") for (int s = 0; s < STAGES - 1; ++s)
    if (s < steps) copy_w(base + s * STAGE_BYTES, w, third, &plan, first + s);
#endif
  START
  _Pragma("unroll") for (int s = 0; s < STAGES - 1; ++s) {
    if (s < steps) copy_x(base + s * STAGE_BYTES, x, &plan, first + s);
#if !W_CONSTANT
    if (s < steps) copy_w(base + s * STAGE_BYTES, w, third, &plan, first + s);
#endif
    asm volatile("cp.async.commit_group;" ::: "memory");
  }
  for (int s = 0, here = 0, next = STAGES - 1; s < steps; ++s) {
    asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
    __syncthreads();                    /* the stage has come for all, and all have left the one that is filled next */
    if (s + STAGES - 1 < steps) {
      copy_x(base + next * STAGE_BYTES, x, &plan, first + s + STAGES - 1);
      copy_w(base + next * STAGE_BYTES, w, third, &plan, first + s + STAGES - 1);
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
    multiply_stage(sum, base + here * STAGE_BYTES, base + here * STAGE_BYTES + X_BYTES, warp_m, warp_n, lane);
    here = here + 1 == STAGES ? 0 : here + 1;
    next = next + 1 == STAGES ? 0 : next + 1;
  }
  asm volatile("cp.async.wait_group 0;" ::: "memory");
  __syncthreads();
  _Pragma("unroll") for (int m = 0; m < WM / 16; ++m)
    _Pragma("unroll") for (int n = 0; n < WN / 8; ++n)
      _Pragma("unroll") for (int half = 0; half < 2; ++half) {
        const int row = warp_m * WM + m * 16 + half * 8 + lane / 4, column = warp_n * WN + n * 8 + lane % 4 * 2;
        asm volatile("st.shared.v2.f32 [%0], {%1, %2};"
                     ::"r"(base + (row * SUM_ROW + column) * 4),
                       "f"(sum[m][n][2 * half]), "f"(sum[m][n][2 * half + 1]) : "memory");
      }
  meet();
  finish_rows(ARGUMENTS base, SUM_ROW, batch * M + row0, (batch + 1) * M, column0, part, THREADS);
#if SPLIT > 1
  meet();                                   /* nobody leaves while others read what it has */
#endif
}
