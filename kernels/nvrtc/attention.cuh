/* y = softmax(scale * q k^T + mask) v for tiles of queries of one head: FlashAttention's online softmax (Dao, 2023)
   over tiles of keys, on tensor cores. WARPS_Q warps own 16 queries each; with WARPS_K > 1 as many warps share them,
   each with its part of every tile's keys, and add up at the end: short sequences have too few queries to fill a card.
   Everything comes through shared memory by cp.async. Keys and values that fit into its STAGES tiles stay there for all
   QUERY_TILES tiles of queries of the block; else the tiles are a ring.

   Defined by the generator:
     HEAD            head dim
     SQ, SKV         queries and keys of a sequence
     GROUP           query heads per key head
     COPY, COPY_OUT  elements that are copied at once: 8, 4 or 2. COPY divides HEAD, strides and first elements of q, k
                     and v, COPY_OUT those of y
     WARPS_Q         see above
     WARPS_K         1, 2, 4 or 8
     BN              keys of a tile
     STAGES          tiles of keys, and as many of values, in shared memory
     QUERY_TILES     1 unless all keys fit and WARPS_K is 1
     MIN_BLOCKS      of an SM
     WGMMA           0: mma.sync; 1: Hopper's warp groups, WARPS_K is 1 and WARPS_Q a multiple of 4
     CAUSAL          0 or 1, with CAUSAL_SHIFT: the last key that query 0 sees
     SCALE_LOG2      scale * log2 e
     RUN             keys of a thread next to each other: 2, or with a mask 4 or 8, so that it is read in long pieces;
                     4 RUN divides each warp's part of a tile
     MMA, pack2      the mma instruction's types; two floats to one register of them
     multiply_keys, multiply_values   with WGMMA: d = or += a b, for every width of d that is needed
     Q_, K_, V_, O_  with B, H, S: strides in elements of batch, head, position (the head dim is contiguous)
     Q_AT, K_AT, V_AT   first elements
     START           waits for the kernel before
     MASKED          0 or 1, with MASK_ARGUMENTS and add_mask(..., b, h, q, k, m): m[0 .. RUN - 1] += mask at keys from
                     k on */
#define PADDED ((HEAD + 15) / 16 * 16)       /* tensor cores take 16 at a time: zeros behind the head's end */
#define ROW ((PADDED + 63) / 64 * 64)
#define PIECES (PADDED / COPY)               /* of a row; at most a block's threads */
#define WARPS (WARPS_Q * WARPS_K)
#define QUERIES (WARPS_Q * 16)
#define TILES ((SKV + BN - 1) / BN)
#define WHOLE (SKV / BN)                     /* tiles without an end of keys inside */
#define TAIL ((SKV - WHOLE * BN + 16 * WARPS_K - 1) / (16 * WARPS_K) * (16 * WARPS_K))
#define RESIDENT (TILES <= STAGES)
#define KEY_ROWS (RESIDENT ? WHOLE * BN + TAIL : STAGES * BN)
#define QUERY_BUFFERS (QUERY_TILES > 1 ? 2 : 1)
/* What scores still lack when their greatest is looked for. */
#define FACTOR (MASKED || SCALE_LOG2 < 0 ? 1.0f : SCALE_LOG2)
#define PART_ROW (PADDED + 8)                /* floats; so that a warp's stores lie in different banks */
#define NEVER __int_as_float(0xff800000)

__device__ __forceinline__ unsigned shared_address(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }

/* A tile lies in columns of 64 elements, whose 16-byte chunks are permuted by the row's number, so that the eight rows
   of an 8x8 matrix lie in different banks: what Hopper calls the swizzle of 128 bytes. */
__device__ __forceinline__ int chunk_at(int rows, int row, int chunk)
{
  return chunk / 8 * (rows * 64) + row * 64 + ((chunk ^ row) & 7) * 8;
}

/* Which key lies in a row of a tile. The products give a thread columns 2c and 2c + 1 of every eight: of 4 RUN rows
   those hold RUN neighbours. */
__device__ __forceinline__ int key_in(int row)
{
  return row / (4 * RUN) * (4 * RUN) + row % 8 / 2 * RUN + row % (4 * RUN) / 8 * 2 + row % 2;
}

/* Rows first .. first + N - 1 of a matrix of `end` rows; zeros behind its end. */
template <int N, bool ENDS, bool KEYS>
__device__ __forceinline__ void load_rows(f16 *tile, const f16 *from, long long stride, int first, int end)
{
  constexpr int AT_ONCE = WARPS * 32 / PIECES;
  const int row0 = threadIdx.x / PIECES, column = threadIdx.x % PIECES * COPY;

  if (WARPS * 32 % PIECES && row0 >= AT_ONCE) return;
  _Pragma("unroll") for (int i = 0; i < (N + AT_ONCE - 1) / AT_ONCE; ++i) {
    const int row = i * AT_ONCE + row0, key = KEYS ? key_in(row) : row;
    if (N % AT_ONCE && row >= N) break;
    const bool inside = (!ENDS || first + key < end) && (HEAD == PADDED || column < HEAD);
    const f16 *source = from + (first + key) * stride + column;
    const unsigned to = shared_address(tile + chunk_at(N, row, column / 8) + column % 8);
#if COPY == 8
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(source), "r"(inside ? 16 : 0));
#else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                 ::"r"(to), "l"(source), "n"(COPY * 2), "r"(inside ? COPY * 2 : 0));
#endif
  }
}

/* Until at most so many of the youngest groups are under way. */
__device__ __forceinline__ void wait_groups(int count)
{
  if (count <= 0) asm volatile("cp.async.wait_group 0;" ::: "memory");
  else if (count == 1) asm volatile("cp.async.wait_group 1;" ::: "memory");
  else if (count == 2) asm volatile("cp.async.wait_group 2;" ::: "memory");
  else if (count == 3) asm volatile("cp.async.wait_group 3;" ::: "memory");
  else if (count <= 5) asm volatile("cp.async.wait_group 4;" ::: "memory");
  else asm volatile("cp.async.wait_group 6;" ::: "memory");
}

__device__ __forceinline__ void load4(unsigned r[4], const f16 *at)
{
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(at)));
}

__device__ __forceinline__ void load4_transposed(unsigned r[4], const f16 *at)
{
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(at)));
}

__device__ __forceinline__ float power_of_two(float x)
{
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/* Of a sum of weights: 0 of none, so that a query which sees no key gets 0. */
__device__ __forceinline__ float inverse(float x)
{
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return x == 0.0f ? 0.0f : y;
}

/* A warp's 16 queries and what they have gathered. o[n][..]: elements 0,1 are row lane/4, columns 8n + 2(lane%4) + 0,1;
   2,3 are row + 8. */
struct gathered { unsigned q[PADDED / 16][4]; float o[PADDED / 8][4], most[2], sum[2]; };

#if WGMMA
/* The low word of the descriptor of a matrix in a tile's form; `columns` is how far the next 64 elements of a row lie
   off, in bytes. */
__device__ __forceinline__ unsigned describe(const f16 *at, unsigned columns)
{
  return (shared_address(at) & 0x3ffff) >> 4 | columns >> 4 << 16;
}

template <int N> __device__ __forceinline__ void finish(float (&d)[N][4])
{
  asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
  _Pragma("unroll") for (int n = 0; n < N; ++n)
    _Pragma("unroll") for (int i = 0; i < 4; ++i) asm volatile("" : "+f"(d[n][i]) :: "memory");
}

template <int N>
__device__ __forceinline__ void score(float (&s)[N / 8][4], const gathered &a, const f16 *tile, int, int)
{
  const unsigned b = describe(tile, 16);
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  _Pragma("unroll") for (int t = 0; t < PADDED / 16; ++t)
    multiply_keys(s, a.q[t], b + (t / 4 * (N * 128) + t % 4 * 32) / 16, t > 0);
  finish(s);
}

/* Adds the products of the weights p of the 16 keys from 16 t on. */
template <int N>
__device__ __forceinline__ void accumulate(gathered &a, const unsigned (&p)[4], const f16 *tile, int t, int, int,
                                           bool add)
{
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  multiply_values(a.o, p, describe(tile, N * 128) + t * (16 * 128 / 16), add || t > 0);
}

__device__ __forceinline__ void begin(gathered &, bool) {}
__device__ __forceinline__ void finish(gathered &a) { finish(a.o); }
#else
__device__ __forceinline__ void multiply(float c[4], const unsigned a[4], unsigned b0, unsigned b1)
{
  asm volatile("mma.sync.aligned.m16n8k16.row.col." MMA " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* Scores of the warp's keys, the first of which is `first` of the tile's. */
template <int N>
__device__ __forceinline__ void score(float (&s)[N / WARPS_K / 8][4], const gathered &a, const f16 *tile, int first,
                                      int lane)
{
  _Pragma("unroll") for (int n = 0; n < N / WARPS_K / 8; ++n) { s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.0f; }
  _Pragma("unroll") for (int n = 0; n < N / WARPS_K / 8; n += 2)
    _Pragma("unroll") for (int t = 0; t < PADDED / 16; ++t) {
      unsigned b[4];
      load4(b, tile + chunk_at(N, first + n * 8 + (lane / 16) * 8 + lane % 8, t * 2 + lane / 8 % 2));
      multiply(s[n], a.q[t], b[0], b[1]);
      multiply(s[n + 1], a.q[t], b[2], b[3]);
    }
}

/* Adds the products of the weights p of the warp's 16 keys from 16 t on. */
template <int N>
__device__ __forceinline__ void accumulate(gathered &a, const unsigned (&p)[4], const f16 *tile, int t, int first,
                                           int lane, bool)
{
  _Pragma("unroll") for (int n = 0; n < PADDED / 8; n += 2) {
    unsigned b[4];
    load4_transposed(b, tile + chunk_at(N, first + t * 16 + (lane / 8 % 2) * 8 + lane % 8, n + lane / 16));
    multiply(a.o[n], p, b[0], b[1]);
    multiply(a.o[n + 1], p, b[2], b[3]);
  }
}

__device__ __forceinline__ void begin(gathered &a, bool add)
{
  if (!add)
    _Pragma("unroll") for (int n = 0; n < PADDED / 8; ++n) { a.o[n][0] = a.o[n][1] = a.o[n][2] = a.o[n][3] = 0.0f; }
}
__device__ __forceinline__ void finish(gathered &) {}
#endif

__device__ __forceinline__ float over_quad(float v, bool most)
{
  _Pragma("unroll") for (int m = 1; m <= 2; m *= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, v, m);
    v = most ? fmaxf(v, other) : v + other;
  }
  return v;
}

/* What weights are relative to from now on, and what was gathered before relative to the same. */
template <int N> __device__ __forceinline__ void rebase(const float (&s)[N][4], gathered &a, float base[2], bool add)
{
  _Pragma("unroll") for (int r = 0; r < 2; ++r) {
    float top[4] = { add ? a.most[r] : NEVER, NEVER, NEVER, NEVER };
    _Pragma("unroll") for (int n = 0; n < N; ++n) top[n % 4] = fmaxf(top[n % 4], fmaxf(s[n][2 * r], s[n][2 * r + 1]));
    const float most = over_quad(fmaxf(fmaxf(top[0], top[1]), fmaxf(top[2], top[3])), true);
    base[r] = most == NEVER ? 0.0f : most * FACTOR;
    if (add) {
      const float scale = power_of_two(a.most[r] * FACTOR - base[r]);
      a.sum[r] *= scale;
      _Pragma("unroll") for (int n = 0; n < PADDED / 8; ++n) { a.o[n][2 * r] *= scale; a.o[n][2 * r + 1] *= scale; }
    } else a.sum[r] = 0.0f;
    a.most[r] = most;
  }
}

#if MASKED
/* The mask at the keys of a thread's scores, of which the first is key0. */
template <int N, bool ENDS> __device__ __forceinline__ void load_mask(PARAMETERS, float (&m)[N][4], int row, int key0)
{
  _Pragma("unroll") for (int n = 0; n < N; n += RUN / 2)
    _Pragma("unroll") for (int r = 0; r < 2; ++r) {
      const int key = key0 + n * 8;
      float run[RUN] = {};
      if (!ENDS || key < SKV) add_mask(MASK_ARGUMENTS blockIdx.z, blockIdx.y, min(row + 8 * r, SQ - 1), key, run);
      _Pragma("unroll") for (int i = 0; i < RUN; ++i) m[n + i / 2][2 * r + i % 2] = run[i];
    }
}
#endif

/* Adds tile j of keys, of N, to what rows `row` and row + 8 have; keys_ready() is called before k or a.q are read,
   values_ready() before v is. */
template <int N, bool ENDS, class keys_function, class values_function>
__device__ __forceinline__ void attend(PARAMETERS, gathered &a, const f16 *k, const f16 *v, int j, int row,
                                       keys_function keys_ready, values_function values_ready)
{
  constexpr int KEYS = N / WARPS_K;
  const int lane = threadIdx.x % 32, first = threadIdx.x / 32 % WARPS_K * KEYS, key0 = j * BN + first + lane % 4 * RUN;
  float s[KEYS / 8][4], base[2];
#if MASKED
  float m[KEYS / 8][4];
  load_mask<KEYS / 8, ENDS>(ARGUMENTS, m, row, key0);
#endif
  keys_ready();
  score<N>(s, a, k, first, lane);
#if MASKED
  _Pragma("unroll") for (int n = 0; n < KEYS / 8; ++n)
    _Pragma("unroll") for (int i = 0; i < 4; ++i) s[n][i] = s[n][i] * SCALE_LOG2 + m[n][i];
#else
  if (SCALE_LOG2 < 0)
    _Pragma("unroll") for (int n = 0; n < KEYS / 8; ++n)
      _Pragma("unroll") for (int i = 0; i < 4; ++i) s[n][i] *= SCALE_LOG2;
#endif
  if (ENDS || CAUSAL && j * BN + N - 1 > row - lane / 4 + CAUSAL_SHIFT)
    _Pragma("unroll") for (int n = 0; n < KEYS / 8; ++n)
      _Pragma("unroll") for (int i = 0; i < 4; ++i) {
        const int key = key0 + key_in(n * 8) + i % 2;
        if (ENDS && key >= SKV || CAUSAL && key > row + i / 2 * 8 + CAUSAL_SHIFT) s[n][i] = NEVER;
      }
  rebase(s, a, base, j > 0);
  values_ready();
  begin(a, j > 0);
  _Pragma("unroll") for (int t = 0; t < KEYS / 16; ++t) {
    unsigned p[4];
    _Pragma("unroll") for (int i = 0; i < 4; ++i) {
      const float low = power_of_two(s[2 * t + i / 2][i % 2 * 2] * FACTOR - base[i % 2]);
      const float high = power_of_two(s[2 * t + i / 2][i % 2 * 2 + 1] * FACTOR - base[i % 2]);
      a.sum[i % 2] += low + high;
      p[i] = pack2(low, high);
    }
    accumulate<N>(a, p, v, t, first, lane, j > 0);
  }
  finish(a);
}

#if WARPS_K > 1
/* What the warps of the same queries have, to the same base and added up in their order: through shared memory, which
   nobody else uses any more. */
__device__ __forceinline__ void store(PARAMETERS, f16 *tiles, const gathered &a, int)
{
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, h = blockIdx.y, b = blockIdx.z, group = warp / WARPS_K;
  float *shared = (float *)tiles, *mine = shared + warp * 16 * PART_ROW, *stats = shared + WARPS * 16 * PART_ROW;

  __syncthreads();
  _Pragma("unroll") for (int r = 0; r < 2; ++r) {
    const float total = over_quad(a.sum[r], false);
    const int row = lane / 4 + 8 * r;
    _Pragma("unroll") for (int n = 0; n < PADDED / 8; ++n)
      *(float2 *)(mine + row * PART_ROW + n * 8 + lane % 4 * 2) = make_float2(a.o[n][2 * r], a.o[n][2 * r + 1]);
    if (lane % 4 == 0) *(float2 *)(stats + (warp * 16 + row) * 2) = make_float2(a.most[r] * FACTOR, total);
  }
  __syncthreads();
  for (int i = threadIdx.x % (32 * WARPS_K); i < 16 * (PADDED / 2); i += 32 * WARPS_K) {
    const int row = i / (PADDED / 2), column = i % (PADDED / 2) * 2, query = (blockIdx.x * WARPS_Q + group) * 16 + row;
    float base = NEVER, whole = 0.0f, low = 0.0f, high = 0.0f;
    _Pragma("unroll") for (int w = 0; w < WARPS_K; ++w)
      base = fmaxf(base, stats[((group * WARPS_K + w) * 16 + row) * 2]);
    base = base == NEVER ? 0.0f : base;
    _Pragma("unroll") for (int w = 0; w < WARPS_K; ++w) {
      const float2 stat = *(const float2 *)(stats + ((group * WARPS_K + w) * 16 + row) * 2);
      const float2 part = *(const float2 *)(shared + ((group * WARPS_K + w) * 16 + row) * PART_ROW + column);
      const float scale = power_of_two(stat.x - base);
      whole += stat.y * scale;
      low += part.x * scale;
      high += part.y * scale;
    }
    whole = inverse(whole);
    if (query < SQ && column < HEAD)
      *(unsigned *)(Y + b * O_B + h * O_H + (long long)query * O_S + column) = pack2(low * whole, high * whole);
  }
}
#else
/* Through the place of the warp's queries, of which a.q has what is needed: rows are then written in one piece. */
__device__ __forceinline__ void store(PARAMETERS, f16 *queries, const gathered &a, int first)
{
  typedef wide<f16, COPY_OUT> piece;
  const int lane = threadIdx.x % 32, row0 = threadIdx.x / 32 * 16;
  f16 *to = Y + blockIdx.z * O_B + blockIdx.y * O_H + (long long)(first + row0) * O_S;

  _Pragma("unroll") for (int r = 0; r < 2; ++r) {
    const float scale = inverse(over_quad(a.sum[r], false));
    _Pragma("unroll") for (int n = 0; n < PADDED / 8; ++n)
      *(unsigned *)(queries + chunk_at(QUERIES, row0 + lane / 4 + 8 * r, n) + lane % 4 * 2) =
        pack2(a.o[n][2 * r] * scale, a.o[n][2 * r + 1] * scale);
  }
  __syncwarp();
  _Pragma("unroll") for (int i = 0; i < 16 * (PADDED / COPY_OUT) / 32; ++i) {
    const int row = (i * 32 + lane) / (PADDED / COPY_OUT), column = (i * 32 + lane) % (PADDED / COPY_OUT) * COPY_OUT;
    if (first + row0 + row < SQ && (HEAD == PADDED || column < HEAD))
      *(piece *)(to + (long long)row * O_S + column) =
        *(const piece *)(queries + chunk_at(QUERIES, row0 + row, column / 8) + column % 8);
  }
}
#endif

/* Tiles of keys that a tile of queries from `first` on sees some of. */
__device__ __forceinline__ int tiles_seen(int first)
{
  return CAUSAL ? min(TILES, max(1, (first + QUERIES + CAUSAL_SHIFT + BN - 1) / BN)) : TILES;
}

__device__ __forceinline__ f16 *slot(f16 *tiles, int j) { return tiles + (RESIDENT ? j : j % STAGES) * (BN * ROW); }

__device__ __forceinline__ void load_tile(f16 *tiles, const f16 *from, long long stride, int j, bool wanted)
{
  if (wanted && j < WHOLE) load_rows<BN, false, true>(slot(tiles, j), from, stride, j * BN, SKV);
#if SKV % BN
  if (wanted && j == WHOLE) load_rows<TAIL, true, true>(slot(tiles, j), from, stride, j * BN, SKV);
#endif
  asm volatile("cp.async.commit_group;");
}

/* Until all but `count` of the youngest groups have arrived, of all threads. */
__device__ __forceinline__ void arrive(int count)
{
  wait_groups(count);
#if WGMMA
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
  __syncthreads();
}

/* Keys and values of a tile are a group each, behind them the next queries. */
extern "C" __global__ void __launch_bounds__(WARPS * 32, MIN_BLOCKS) kernel(PARAMETERS)
{
  extern __shared__ __align__(1024) f16 tiles[]; START
  constexpr int unrolled = RESIDENT && TILES <= 2 ? 2 : 1, groups = 2 * (RESIDENT ? TILES : STAGES);
  const int h = blockIdx.y, b = blockIdx.z, lane = threadIdx.x % 32, row0 = threadIdx.x / 32 / WARPS_K * 16;
  const int block0 = blockIdx.x * (QUERY_TILES * QUERIES), loaded = tiles_seen(block0 + (QUERY_TILES - 1) * QUERIES);
  const f16 *q = Q + Q_AT + b * Q_B + h * Q_H, *k = K + K_AT + b * K_B + h / GROUP * K_H;
  const f16 *v = VALUES + V_AT + b * V_B + h / GROUP * V_H;
  f16 *keys = tiles + QUERY_BUFFERS * (QUERIES * ROW), *values = keys + KEY_ROWS * ROW;
  gathered a;

  load_rows<QUERIES, true, false>(tiles, q, Q_S, block0, SQ);
  _Pragma("unroll") for (int j = 0; j < (RESIDENT ? TILES : STAGES - 1); ++j) {
    load_tile(keys, k, K_S, j, j < loaded);
    load_tile(values, v, V_S, j, j < loaded);
  }
  _Pragma("unroll 1") for (int i = 0; i < QUERY_TILES; ++i) {
    const int first = block0 + i * QUERIES, seen = tiles_seen(first);
    f16 *queries = tiles + i % QUERY_BUFFERS * (QUERIES * ROW);

    if (i > 0 && first >= SQ) break;
    auto keys_ready = [&](int j) {
      if (!RESIDENT) {
        load_tile(keys, k, K_S, j + STAGES - 1, j + STAGES - 1 < loaded);
        load_tile(values, v, V_S, j + STAGES - 1, j + STAGES - 1 < loaded);
        arrive(groups - (j ? 2 : 1));
      } else if (i == 0) arrive(groups - (2 * j + 1) + (QUERY_TILES > 1 && j > 0));
      else if (j == 0) arrive(0);
      if (j > 0) return;
      _Pragma("unroll") for (int t = 0; t < PADDED / 16; ++t)
        load4(a.q[t], queries + chunk_at(QUERIES, row0 + lane % 16, t * 2 + lane / 16));
      if (QUERY_TILES == 1) return;
      if (i + 1 < QUERY_TILES)
        load_rows<QUERIES, true, false>(tiles + (i + 1) % QUERY_BUFFERS * (QUERIES * ROW), q, Q_S, first + QUERIES,
                                        SQ);
      asm volatile("cp.async.commit_group;");
    };
    auto values_ready = [&](int j) {
      if (RESIDENT ? i == 0 : j == 0) arrive(groups - (RESIDENT ? 2 * j + 2 : 2) + (QUERY_TILES > 1));
    };
#if SKV >= BN
    _Pragma("unroll unrolled") for (int j = 0; j < WHOLE; ++j) {
      if (CAUSAL && j >= seen) break;
      attend<BN, false>(ARGUMENTS, a, slot(keys, j), slot(values, j), j, first + row0 + lane / 4,
                        [&] { keys_ready(j); }, [&] { values_ready(j); });
      if (!RESIDENT) __syncthreads();
    }
#endif
#if SKV % BN
    if (!CAUSAL || WHOLE < seen)
      attend<TAIL, true>(ARGUMENTS, a, slot(keys, WHOLE), slot(values, WHOLE), WHOLE, first + row0 + lane / 4,
                         [&] { keys_ready(WHOLE); }, [&] { values_ready(WHOLE); });
#endif
    store(ARGUMENTS, WARPS_K > 1 ? tiles : queries, a, first);
  }
}
