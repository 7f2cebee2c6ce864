/* y = softmax(scale * q k^T + mask) v for one tile of queries of one head: FlashAttention's online softmax (Dao, 2023) over tiles of keys, on
   mma.sync tensor cores. WARPS_Q warps own 16 queries each; with WARPS_K > 1 as many warps share them, each with its part of every tile's keys, and add up
   at the end: short sequences have too few queries to fill a card. Keys and values come through shared memory by cp.async in STAGES stages.

   Defined by the generator:
     HEAD (head dim), COPY (elements that are copied at once: 8, 4 or 2; divides HEAD, strides and first elements), SQ, SKV, GROUP (query heads per key
     head), WARPS_Q, WARPS_K (1, 2 or 4), STAGES (2 or more), CAUSAL_SHIFT (last key that query 0 sees), CAUSAL (0 or 1), SCALE_LOG2 (scale * log2 e),
     MASKED (0 or 1), MMA (the mma instruction's types), pack2 (two floats to one register),
     Q_, K_, V_, O_ with B, H, S: strides in elements of batch, head, position (the head dim is contiguous), and Q_AT, K_AT, V_AT: first elements,
     START: waits for the kernel before; MASK_ARGUMENTS / add_mask(..., b, h, q, k, m): m[0..1] += mask at keys k and k + 1. */
#define BN 64
#define PADDED ((HEAD + 15) / 16 * 16)       /* tensor cores take 16 at a time: zeros behind the head's end */
#define ROW ((PADDED + 63) / 64 * 64)
#define PIECES (PADDED / COPY)
#define TILE (BN * ROW)
#define WARPS (WARPS_Q * WARPS_K)
#define KEYS (BN / WARPS_K)                  /* of a tile, for one warp */
#define PART_ROW (PADDED + 8)                /* floats; so that a warp's stores lie in different banks */
#define NEVER __int_as_float(0xff800000)

__device__ __forceinline__ unsigned shared_address(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }

/* 16-byte chunks of a row are permuted by the row's number, so that the eight rows of an 8x8 matrix lie in different banks. */
__device__ __forceinline__ int chunk_at(int row, int chunk) { return row * ROW + (((chunk ^ row) & 7) | (chunk & ~7)) * 8; }

__device__ __forceinline__ void load_tile(f16 *tile, const f16 *from, long long stride, int first)
{
  _Pragma("unroll") for (int c = threadIdx.x; c < BN * PIECES; c += WARPS * 32) {
    const int row = c / PIECES, column = c % PIECES * COPY;
    const bool inside = first + row < SKV && column < HEAD;
    const f16 *source = inside ? from + (long long)(first + row) * stride + column : from;
    const unsigned to = shared_address(tile + chunk_at(row, column / 8) + column % 8);
#if COPY == 8
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(source), "r"(inside ? 16 : 0));
#else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(source), "n"(COPY * 2), "r"(inside ? COPY * 2 : 0));
#endif
  }
}

__device__ __forceinline__ void load4(unsigned r[4], const f16 *at)
{
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(at)));
}

__device__ __forceinline__ void load4_transposed(unsigned r[4], const f16 *at)
{
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(at)));
}

__device__ __forceinline__ void multiply(float c[4], const unsigned a[4], unsigned b0, unsigned b1)
{
  asm volatile("mma.sync.aligned.m16n8k16.row.col." MMA " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ unsigned pair_at(const f16 *row, bool inside, int column) { return inside ? *(const unsigned *)(row + column) : 0u; }

/* Fragments of the warp's 16 queries; rows and columns beyond the ends are zero. */
__device__ __forceinline__ void load_queries(unsigned qf[PADDED / 16][4], const f16 *q, const int row[2], int lane)
{
  _Pragma("unroll") for (int t = 0; t < PADDED / 16; ++t)
    _Pragma("unroll") for (int i = 0; i < 4; ++i) {
      const int column = t * 16 + (i / 2) * 8 + lane % 4 * 2;
      qf[t][i] = pair_at(q + (long long)row[i % 2] * Q_S, row[i % 2] < SQ && column < HEAD, column);
    }
}

/* scores[n][..]: 16 queries by the warp's keys, the first of which is at `keys`; element 0,1: row lane/4, keys 8n + 2(lane%4) + 0,1; element 2,3: row + 8.
   first: the number of that key in the tile. */
__device__ __forceinline__ void score(float s[KEYS / 8][4], const unsigned q[PADDED / 16][4], const f16 *tile, int first, int lane)
{
  _Pragma("unroll") for (int n = 0; n < KEYS / 8; ++n) { s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.0f; }
  _Pragma("unroll") for (int n = 0; n < KEYS / 8; n += 2)
    _Pragma("unroll") for (int t = 0; t < PADDED / 16; ++t) {
      unsigned b[4];
      load4(b, tile + chunk_at(first + n * 8 + (lane / 16) * 8 + lane % 8, t * 2 + lane / 8 % 2));
      multiply(s[n], q[t], b[0], b[1]);
      multiply(s[n + 1], q[t], b[2], b[3]);
    }
}

__device__ __forceinline__ void accumulate(float o[PADDED / 8][4], const float s[KEYS / 8][4], const f16 *tile, int first, int lane)
{
  _Pragma("unroll") for (int t = 0; t < KEYS / 16; ++t) {
    const unsigned p[4] = { pack2(s[2 * t][0], s[2 * t][1]), pack2(s[2 * t][2], s[2 * t][3]), pack2(s[2 * t + 1][0], s[2 * t + 1][1]), pack2(s[2 * t + 1][2], s[2 * t + 1][3]) };
    _Pragma("unroll") for (int n = 0; n < PADDED / 8; n += 2) {
      unsigned b[4];
      load4_transposed(b, tile + chunk_at(first + t * 16 + (lane / 8 % 2) * 8 + lane % 8, n + lane / 16));
      multiply(o[n], p, b[0], b[1]);
      multiply(o[n + 1], p, b[2], b[3]);
    }
  }
}

__device__ __forceinline__ float over_quad(float v, bool most)
{
  _Pragma("unroll") for (int m = 1; m <= 2; m *= 2) { const float other = __shfl_xor_sync(0xffffffffu, v, m); v = most ? fmaxf(v, other) : v + other; }
  return v;
}

/* Scores to weights, and what was accumulated before to the same base. */
__device__ __forceinline__ void weigh(float s[KEYS / 8][4], float o[PADDED / 8][4], float most[2], float sum[2])
{
  _Pragma("unroll") for (int r = 0; r < 2; ++r) {
    float top = most[r], scale, part = 0.0f;
    _Pragma("unroll") for (int n = 0; n < KEYS / 8; ++n) top = fmaxf(top, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
    top = over_quad(top, true);
    const float base = top == NEVER ? 0.0f : top;
    scale = exp2f(most[r] - base);
    _Pragma("unroll") for (int n = 0; n < KEYS / 8; ++n)
      _Pragma("unroll") for (int c = 0; c < 2; ++c) { s[n][2 * r + c] = exp2f(s[n][2 * r + c] - base); part += s[n][2 * r + c]; }
    sum[r] = sum[r] * scale + part;
    most[r] = top;
    _Pragma("unroll") for (int n = 0; n < PADDED / 8; ++n) { o[n][2 * r] *= scale; o[n][2 * r + 1] *= scale; }
  }
}

#if WARPS_K > 1
/* What the warps of the same queries have, to the same base and added up in their order: through shared memory, which nobody else uses any more. */
__device__ __forceinline__ void store(PARAMETERS, float *shared, const float o[PADDED / 8][4], const float most[2], const float sum[2], int lane)
{
  const int warp = threadIdx.x / 32, h = blockIdx.y, b = blockIdx.z, group = warp / WARPS_K;
  float *mine = shared + warp * 16 * PART_ROW, *stats = shared + WARPS * 16 * PART_ROW;

  _Pragma("unroll") for (int r = 0; r < 2; ++r) {
    const float total = over_quad(sum[r], false);
    const int row = lane / 4 + 8 * r;
    _Pragma("unroll") for (int n = 0; n < PADDED / 8; ++n) *(float2 *)(mine + row * PART_ROW + n * 8 + lane % 4 * 2) = make_float2(o[n][2 * r], o[n][2 * r + 1]);
    if (lane % 4 == 0) *(float2 *)(stats + (warp * 16 + row) * 2) = make_float2(most[r], total);
  }
  __syncthreads();
  for (int i = threadIdx.x % (32 * WARPS_K); i < 16 * (PADDED / 2); i += 32 * WARPS_K) {
    const int row = i / (PADDED / 2), column = i % (PADDED / 2) * 2, query = (blockIdx.x * WARPS_Q + group) * 16 + row;
    float base = NEVER, whole = 0.0f, low = 0.0f, high = 0.0f;
    _Pragma("unroll") for (int w = 0; w < WARPS_K; ++w) base = fmaxf(base, stats[((group * WARPS_K + w) * 16 + row) * 2]);
    base = base == NEVER ? 0.0f : base;
    _Pragma("unroll") for (int w = 0; w < WARPS_K; ++w) {
      const float2 stat = *(const float2 *)(stats + ((group * WARPS_K + w) * 16 + row) * 2);
      const float2 part = *(const float2 *)(shared + ((group * WARPS_K + w) * 16 + row) * PART_ROW + column);
      const float scale = exp2f(stat.x - base);
      whole += stat.y * scale;
      low += part.x * scale;
      high += part.y * scale;
    }
    if (query < SQ && column < HEAD) *(unsigned *)(Y + b * O_B + h * O_H + (long long)query * O_S + column) = pack2(low / whole, high / whole);
  }
}
#else
__device__ __forceinline__ void store(PARAMETERS, float *, const float o[PADDED / 8][4], const float most[2], const float sum[2], int lane)
{
  const int h = blockIdx.y, b = blockIdx.z;

  _Pragma("unroll") for (int r = 0; r < 2; ++r) {
    const int query = (blockIdx.x * WARPS_Q + threadIdx.x / 32) * 16 + lane / 4 + 8 * r;
    const float scale = 1.0f / over_quad(sum[r], false);
    f16 *to = Y + b * O_B + h * O_H + (long long)query * O_S + lane % 4 * 2;
    if (query < SQ)
      _Pragma("unroll") for (int n = 0; n < PADDED / 8; ++n)
        if (n * 8 + lane % 4 * 2 < HEAD) *(unsigned *)(to + n * 8) = pack2(o[n][2 * r] * scale, o[n][2 * r + 1] * scale);
  }
}
#endif

extern "C" __global__ void __launch_bounds__(WARPS * 32) kernel(PARAMETERS)
{
  extern __shared__ __align__(128) f16 tiles[]; START
  const int lane = threadIdx.x % 32, h = blockIdx.y, b = blockIdx.z, first = threadIdx.x / 32 % WARPS_K * KEYS;
  const int row0 = (blockIdx.x * WARPS_Q + threadIdx.x / 32 / WARPS_K) * 16 + lane / 4, row[2] = { row0, row0 + 8 };
  const f16 *q = Q + Q_AT + b * Q_B + h * Q_H, *k = K + K_AT + b * K_B + h / GROUP * K_H, *v = VALUES + V_AT + b * V_B + h / GROUP * V_H;
  unsigned qf[PADDED / 16][4];
  float o[PADDED / 8][4], most[2] = { NEVER, NEVER }, sum[2] = { 0.0f, 0.0f };
  const int last_key = CAUSAL ? min(SKV, (int)(blockIdx.x + 1) * WARPS_Q * 16 + CAUSAL_SHIFT) : SKV;
  const int blocks = max(1, (last_key + BN - 1) / BN);

  _Pragma("unroll") for (int j = 0; j < STAGES - 1; ++j) {
    if (j < blocks) {
      load_tile(tiles + j * TILE, k, K_S, j * BN);
      load_tile(tiles + (STAGES + j) * TILE, v, V_S, j * BN);
    }
    asm volatile("cp.async.commit_group;");
  }
  load_queries(qf, q, row, lane);
  _Pragma("unroll") for (int n = 0; n < PADDED / 8; ++n) { o[n][0] = o[n][1] = o[n][2] = o[n][3] = 0.0f; }
  for (int j = 0; j < blocks; ++j) {
    const int next = j + STAGES - 1;
    float s[KEYS / 8][4];

    if (next < blocks) {
      load_tile(tiles + next % STAGES * TILE, k, K_S, next * BN);
      load_tile(tiles + (STAGES + next % STAGES) * TILE, v, V_S, next * BN);
    }
    asm volatile("cp.async.commit_group;");
    asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 1));
    __syncthreads();
    score(s, qf, tiles + j % STAGES * TILE, first, lane);
    _Pragma("unroll") for (int n = 0; n < KEYS / 8; ++n)
      _Pragma("unroll") for (int r = 0; r < 2; ++r) {
        const int key = j * BN + first + n * 8 + lane % 4 * 2;
        float m[2] = { s[n][2 * r] * SCALE_LOG2, s[n][2 * r + 1] * SCALE_LOG2 };
#if MASKED
        if (row[r] < SQ && key < SKV) add_mask(MASK_ARGUMENTS b, h, row[r], key, m);
#endif
        _Pragma("unroll") for (int c = 0; c < 2; ++c)
          s[n][2 * r + c] = key + c >= SKV || (CAUSAL && key + c > row[r] + CAUSAL_SHIFT) ? NEVER : m[c];
      }
    weigh(s, o, most, sum);
    accumulate(o, s, tiles + (STAGES + j % STAGES) * TILE, first, lane);
    __syncthreads();
  }
  asm volatile("cp.async.wait_group 0;");
  store(ARGUMENTS, (float *)tiles, o, most, sum, lane);
}
