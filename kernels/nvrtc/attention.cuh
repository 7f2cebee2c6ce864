/* y = softmax(scale * q k^T + mask) v for one tile of queries of one head: FlashAttention's online softmax (Dao, 2023) over tiles of keys, on
   mma.sync tensor cores. A warp owns 16 queries; keys and values come through shared memory by cp.async in two stages.

   Defined by the generator:
     HEAD (head dim), COPY (elements that are copied at once: 8, 4 or 2; divides HEAD, strides and first elements), SQ, SKV, GROUP (query heads per key head), WARPS, CAUSAL_SHIFT (last key that query 0 sees), CAUSAL (0 or 1),
     SCALE_LOG2 (scale * log2 e), MASKED (0 or 1), MMA (the mma instruction's types), pack2 (two floats to one register),
     Q_, K_, V_, O_ with B, H, S: strides in elements of batch, head, position (the head dim is contiguous), and Q_AT, K_AT, V_AT: first elements,
     START: waits for the kernel before; MASK_ARGUMENTS / add_mask(..., b, h, q, k, m): m[0..1] += mask at keys k and k + 1. */
#define BN 64
#define PADDED ((HEAD + 15) / 16 * 16)       /* tensor cores take 16 at a time: zeros behind the head's end */
#define ROW ((PADDED + 63) / 64 * 64)
#define PIECES (PADDED / COPY)
#define TILE (BN * ROW)

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

/* scores[n][..]: 16 queries by BN keys; element 0,1: row lane/4, keys 8n + 2(lane%4) + 0,1; element 2,3: row + 8. */
__device__ __forceinline__ void score(float s[BN / 8][4], const unsigned q[PADDED / 16][4], const f16 *keys, int lane)
{
  _Pragma("unroll") for (int n = 0; n < BN / 8; ++n) { s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.0f; }
  _Pragma("unroll") for (int n = 0; n < BN / 8; n += 2)
    _Pragma("unroll") for (int t = 0; t < PADDED / 16; ++t) {
      unsigned b[4];
      load4(b, keys + chunk_at(n * 8 + (lane / 16) * 8 + lane % 8, t * 2 + lane / 8 % 2));
      multiply(s[n], q[t], b[0], b[1]);
      multiply(s[n + 1], q[t], b[2], b[3]);
    }
}

__device__ __forceinline__ void accumulate(float o[PADDED / 8][4], const float s[BN / 8][4], const f16 *values, int lane)
{
  _Pragma("unroll") for (int t = 0; t < BN / 16; ++t) {
    const unsigned p[4] = { pack2(s[2 * t][0], s[2 * t][1]), pack2(s[2 * t][2], s[2 * t][3]), pack2(s[2 * t + 1][0], s[2 * t + 1][1]), pack2(s[2 * t + 1][2], s[2 * t + 1][3]) };
    _Pragma("unroll") for (int n = 0; n < PADDED / 8; n += 2) {
      unsigned b[4];
      load4_transposed(b, values + chunk_at(t * 16 + (lane / 8 % 2) * 8 + lane % 8, n + lane / 16));
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

extern "C" __global__ void __launch_bounds__(WARPS * 32) kernel(PARAMETERS)
{
  extern __shared__ __align__(128) f16 tiles[]; START
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, h = blockIdx.y, b = blockIdx.z;
  const int row[2] = { (int)blockIdx.x * WARPS * 16 + warp * 16 + lane / 4, (int)blockIdx.x * WARPS * 16 + warp * 16 + lane / 4 + 8 };
  const f16 *q = Q + Q_AT + b * Q_B + h * Q_H, *k = K + K_AT + b * K_B + h / GROUP * K_H, *v = VALUES + V_AT + b * V_B + h / GROUP * V_H;
  unsigned qf[PADDED / 16][4];
  float o[PADDED / 8][4], most[2] = { __int_as_float(0xff800000), __int_as_float(0xff800000) }, sum[2] = { 0.0f, 0.0f };
  const int last_key = CAUSAL ? min(SKV, (int)(blockIdx.x + 1) * WARPS * 16 + CAUSAL_SHIFT) : SKV;
  const int blocks = max(1, (last_key + BN - 1) / BN);

  load_tile(tiles, k, K_S, 0);
  load_tile(tiles + 2 * TILE, v, V_S, 0);
  asm volatile("cp.async.commit_group;");
  load_queries(qf, q, row, lane);
  _Pragma("unroll") for (int n = 0; n < PADDED / 8; ++n) { o[n][0] = o[n][1] = o[n][2] = o[n][3] = 0.0f; }
  for (int j = 0; j < blocks; ++j) {
    const f16 *keys = tiles + j % 2 * TILE, *values = tiles + (2 + j % 2) * TILE;
    float s[BN / 8][4];

    if (j + 1 < blocks) {
      load_tile(tiles + (j + 1) % 2 * TILE, k, K_S, (j + 1) * BN);
      load_tile(tiles + (2 + (j + 1) % 2) * TILE, v, V_S, (j + 1) * BN);
    }
    asm volatile("cp.async.commit_group;");
    asm volatile("cp.async.wait_group 1;");
    __syncthreads();
    score(s, qf, keys, lane);
    _Pragma("unroll") for (int n = 0; n < BN / 8; ++n)
      _Pragma("unroll") for (int r = 0; r < 2; ++r) {
        const int key = j * BN + n * 8 + lane % 4 * 2;
        float m[2] = { s[n][2 * r] * SCALE_LOG2, s[n][2 * r + 1] * SCALE_LOG2 };
#if MASKED
        if (row[r] < SQ && key < SKV) add_mask(MASK_ARGUMENTS b, h, row[r], key, m);
#endif
        _Pragma("unroll") for (int c = 0; c < 2; ++c)
          s[n][2 * r + c] = key + c >= SKV || (CAUSAL && key + c > row[r] + CAUSAL_SHIFT) ? __int_as_float(0xff800000) : m[c];
      }
    _Pragma("unroll") for (int r = 0; r < 2; ++r) {
      float top = most[r], scale, part = 0.0f;
      _Pragma("unroll") for (int n = 0; n < BN / 8; ++n) top = fmaxf(top, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
      top = over_quad(top, true);
      const float base = top == __int_as_float(0xff800000) ? 0.0f : top;
      scale = exp2f(most[r] - base);
      _Pragma("unroll") for (int n = 0; n < BN / 8; ++n)
        _Pragma("unroll") for (int c = 0; c < 2; ++c) { s[n][2 * r + c] = exp2f(s[n][2 * r + c] - base); part += s[n][2 * r + c]; }
      sum[r] = sum[r] * scale + part;
      most[r] = top;
      _Pragma("unroll") for (int n = 0; n < PADDED / 8; ++n) { o[n][2 * r] *= scale; o[n][2 * r + 1] *= scale; }
    }
    accumulate(o, s, values, lane);
    __syncthreads();
  }
  _Pragma("unroll") for (int r = 0; r < 2; ++r) {
    const float scale = 1.0f / over_quad(sum[r], false);
    f16 *to = Y + b * O_B + h * O_H + (long long)row[r] * O_S + lane % 4 * 2;
    if (row[r] < SQ)
      _Pragma("unroll") for (int n = 0; n < PADDED / 8; ++n)
        if (n * 8 + lane % 4 * 2 < HEAD) *(unsigned *)(to + n * 8) = pack2(o[n][2 * r] * scale, o[n][2 * r + 1] * scale);
  }
}
