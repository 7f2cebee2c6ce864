/* A convolution of at most four channels, each of which is a picture of its own, with everything behind it: K counts
   the taps of a window, of each four channels. Blocks stay and take one tile of TILE_H x TILE_W outputs after another.
   What a tile's windows read comes once, into shared memory, where a pixel's channels are neighbours; there two
   neighbouring pixels are 16 bytes of K, at places that the instruction's loads take as they are, as windows are an
   even number of pixels apart. What the next tile reads is on its way to registers meanwhile. All weights stay in
   shared memory, in the order in which the instruction takes them. Of FP32 each number is taken as the sum of WIDE of
   BF16, as in matmul.cuh; the parts of a tile's pixels lie one behind the other, and so do those of the weights.

   Of each GROUP columns a thread has the sums of V neighbours.

   Defined by the generator:
     M, N        outputs, and their channels
     OUT_, IN_, KERNEL_, STRIDE_, PAD_ with H and W; CHANNELS; STRIDE_W is even
     ROW_TILES   outputs that a warp has at once, in sixteens; WARPS; TILE_W, a multiple of eight; BLOCKS of an SM
     PART        groups of columns whose sums a warp has at once
     X, W        the operands' addresses, w as the generator packs it, x of type raw, of whose elements taken() makes
                 those that are multiplied, or of which the parts are
     WIDE        0, or of FP32 the parts: two or three
     MMA         the types of the instruction
     START       waits for the kernel before
     V           elements are finished at once: evaluate(ARGUMENTS row, column, sum) gives a struct finished,
                 store(ARGUMENTS row, column, finished) puts that into memory */
#define THREADS (32 * WARPS)
#define GROUP (4 * V)
#define TILES_OF_GROUP (V / 2)              /* of eight columns */
#define PARTS ((N + GROUP * PART - 1) / (GROUP * PART))
#define W_TILES (PARTS * PART * TILES_OF_GROUP)
#define PAIRS ((KERNEL_W + 1) / 2)          /* of pixels in a row of a window: 16 bytes, half of a step */
#define CHUNKS (KERNEL_H * PAIRS)
#define STEPS ((CHUNKS + 1) / 2)
#define PLANES (WIDE ? WIDE : 1)            /* of pixels and weights, one for each part */
#define WEIGHTS (STEPS * W_TILES / 2 * 32)  /* of a plane, in 16 bytes: of each lane for two tiles */
#define TILE_H (16 * ROW_TILES * WARPS / TILE_W)
#define ACROSS ((OUT_W + TILE_W - 1) / TILE_W)
#define DOWN ((OUT_H + TILE_H - 1) / TILE_H)
#define TILES (M / (OUT_H * OUT_W) * ACROSS * DOWN)
#define PATCH_H ((TILE_H - 1) * STRIDE_H + KERNEL_H)
#define PATCH_W ((TILE_W - 1) * STRIDE_W + 2 * PAIRS)
#define PLANE_BYTES (PATCH_H * PATCH_W * 8)
#define PATCH_BYTES (PLANE_BYTES * PLANES)
#define PIXELS ((PATCH_H * PATCH_W + THREADS - 1) / THREADS)    /* that a thread copies */

struct place { int image, down, across; };  /* of a tile's first output */

__device__ __forceinline__ place place_of(int tile)
{
  return place{ tile / (ACROSS * DOWN), tile / ACROSS % DOWN * TILE_H, tile % ACROSS * TILE_W };
}

/* As they came: nobody waits for them before they are put. */
struct pixels { raw at[PIXELS][CHANNELS]; };

struct pixel { int row, column; bool inside; };

__device__ __forceinline__ pixel pixel_of(const place &of, int i)
{
  const int q = threadIdx.x + i * THREADS;
  pixel to = { of.down * STRIDE_H - PAD_H + q / PATCH_W, of.across * STRIDE_W - PAD_W + q % PATCH_W, false };

  to.inside = (unsigned)to.row < IN_H && (unsigned)to.column < IN_W;
  return to;
}

/* What lies outside the picture is asked for where its first pixel is. */
__device__ __forceinline__ void load_pixels(pixels *to, const raw *x, const place &of)
{
  const raw *picture = x + (idx)of.image * (CHANNELS * IN_H * IN_W);

  _Pragma("unroll") for (int i = 0; i < PIXELS; ++i) {
    const pixel own = pixel_of(of, i);
    const raw  *from = picture + (own.inside ? own.row * IN_W + own.column : 0);

    _Pragma("unroll") for (int c = 0; c < CHANNELS; ++c) to->at[i][c] = from[c * (IN_H * IN_W)];
  }
}

#if WIDE
typedef float number;

/* No part is infinite: what an infinity leaves is no number. */
__device__ __forceinline__ void put_pixel(uint2 *to, number channel[4])
{
  _Pragma("unroll") for (int p = 0; p < PLANES; ++p) {
    unsigned part[2];

    _Pragma("unroll") for (int i = 0; i < 2; ++i) {
      asm("cvt.rn.satfinite.bf16x2.f32 %0, %1, %2;" : "=r"(part[i]) : "f"(channel[2 * i + 1]), "f"(channel[2 * i]));
      channel[2 * i] -= __uint_as_float(part[i] << 16);
      channel[2 * i + 1] -= __uint_as_float(part[i] & 0xffff0000u);
    }
    to[p * (PLANE_BYTES / 8)] = make_uint2(part[0], part[1]);
  }
}
#else
typedef unsigned number;

__device__ __forceinline__ void put_pixel(uint2 *to, const number channel[4])
{
  *to = make_uint2(channel[0] | channel[1] << 16, channel[2] | channel[3] << 16);
}
#endif

/* Outside the picture, and beyond its channels, are zeros. */
__device__ __forceinline__ void put_pixels(uint2 *patch, const pixels &from, const place &of)
{
  _Pragma("unroll") for (int i = 0; i < PIXELS; ++i) {
    const int q = threadIdx.x + i * THREADS;
    number channel[4] = { 0, 0, 0, 0 };

    if (pixel_of(of, i).inside)
      _Pragma("unroll") for (int c = 0; c < CHANNELS; ++c) channel[c] = taken(from.at[i][c]);
    if (PATCH_H * PATCH_W % THREADS == 0 || q < PATCH_H * PATCH_W) put_pixel(patch + q, channel);
  }
}

__device__ __forceinline__ void multiply(float c[4], const unsigned a[4], unsigned b0, unsigned b1)
{
  asm volatile("mma.sync.aligned.m16n8k16.row.col." MMA " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ int bytes_of(int chunk) { return chunk / PAIRS * (PATCH_W * 8) + chunk % PAIRS * 16; }

/* A window's last pixel of an odd number has a neighbour that is none of its own, and a last step may want a second
   half: there an infinity would make numbers of nothing. */
__device__ __forceinline__ void clear_half(unsigned a[2], int chunk, int lane)
{
  const bool none = chunk >= CHUNKS, alone = KERNEL_W % 2 && chunk % PAIRS == PAIRS - 1;

  _Pragma("unroll") for (int i = 0; i < 2; ++i)
    if (none || (alone && lane % 4 >= 2)) a[i] = 0;
}

/* 16 outputs of a step, whose windows begin at `window` for the lane's row of the matrix. */
__device__ __forceinline__ void load_step(unsigned a[4], unsigned window, int step, int lane)
{
  const int first = bytes_of(2 * step), second = bytes_of(2 * step + 1 < CHUNKS ? 2 * step + 1 : 2 * step);

  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
               : "r"(window + (lane < 16 ? first : second)) : "memory");
  clear_half(a, 2 * step, lane);
  clear_half(a + 2, 2 * step + 1, lane);
}

/* Which parts a step is the sum of products of, as in matmul.cuh. */
#define FIRST_TERM (WIDE == 3 ? 0 : WIDE ? 3 : 5)
#define LAST_TERM 5
#define X_PART(term) ((term) == 0 ? 2 : (term) == 2 || (term) == 3)
#define W_PART(term) ((term) == 1 ? 2 : (term) == 2 || (term) == 4)

typedef float sums[ROW_TILES][PART * TILES_OF_GROUP][4];

/* Two tiles of a step, from t on.  Of three parts each step is added up from zero (matmul.cuh). */
__device__ __forceinline__ void multiply_tiles(sums sum, const unsigned a[ROW_TILES][PLANES][4], const uint4 *w, int t)
{
  uint4 b[PLANES];
  float own[ROW_TILES][2][4];

  _Pragma("unroll") for (int p = 0; p < PLANES; ++p) b[p] = w[p * WEIGHTS];
  _Pragma("unroll") for (int m = 0; m < ROW_TILES; ++m)
    _Pragma("unroll") for (int i = 0; i < 8; ++i)
      own[m][i / 4][i % 4] = WIDE == 3 ? 0.0f : sum[m][t + i / 4][i % 4];
  _Pragma("unroll") for (int term = FIRST_TERM; term <= LAST_TERM; ++term)
    _Pragma("unroll") for (int m = 0; m < ROW_TILES; ++m) {
      multiply(own[m][0], a[m][X_PART(term)], b[W_PART(term)].x, b[W_PART(term)].y);
      multiply(own[m][1], a[m][X_PART(term)], b[W_PART(term)].z, b[W_PART(term)].w);
    }
  _Pragma("unroll") for (int m = 0; m < ROW_TILES; ++m)
    _Pragma("unroll") for (int i = 0; i < 8; ++i) {
      const float before = sum[m][t + i / 4][i % 4];

      sum[m][t + i / 4][i % 4] = WIDE == 3 ? before + own[m][i / 4][i % 4] : own[m][i / 4][i % 4];
    }
}

__device__ __forceinline__ void multiply_part(sums sum, const unsigned window[ROW_TILES], const uint4 *w, int lane)
{
  _Pragma("unroll") for (int m = 0; m < ROW_TILES; ++m)
    _Pragma("unroll") for (int t = 0; t < PART * TILES_OF_GROUP; ++t)
      _Pragma("unroll") for (int i = 0; i < 4; ++i) sum[m][t][i] = 0.0f;
  _Pragma("unroll") for (int s = 0; s < STEPS; ++s) {
    unsigned a[ROW_TILES][PLANES][4];

    _Pragma("unroll") for (int m = 0; m < ROW_TILES; ++m)
      _Pragma("unroll") for (int p = 0; p < PLANES; ++p) load_step(a[m][p], window[m] + p * PLANE_BYTES, s, lane);
    _Pragma("unroll") for (int t = 0; t < PART * TILES_OF_GROUP; t += 2)
      multiply_tiles(sum, a, w + (s * W_TILES + t) / 2 * 32 + lane, t);
  }
}

/* Nothing is stored before what its neighbours load has been asked for; outside the result they load what is inside. */
__device__ __forceinline__ void finish_part(PARAMETERS, const sums sum, const place &of, int first, int column0)
{
  finished result[PART][2 * ROW_TILES];
  int      row[2 * ROW_TILES];
  bool     inside[2 * ROW_TILES];

  _Pragma("unroll") for (int i = 0; i < 2 * ROW_TILES; ++i) {
    const int down = of.down + (first + i * 8) / TILE_W, across = of.across + (first + i * 8) % TILE_W;

    inside[i] = down < OUT_H && across < OUT_W;
    row[i] = (of.image * OUT_H + min(down, OUT_H - 1)) * OUT_W + min(across, OUT_W - 1);
  }
  _Pragma("unroll") for (int g = 0; g < PART; ++g)
    _Pragma("unroll") for (int i = 0; i < 2 * ROW_TILES; ++i) {
      float total[V];

      LANES total[l] = sum[i / 2][g * TILES_OF_GROUP + l / 2][2 * (i % 2) + l % 2];
      result[g][i] = evaluate(ARGUMENTS row[i], min(column0 + g * GROUP, N - V), total);
    }
  _Pragma("unroll") for (int g = 0; g < PART; ++g)
    _Pragma("unroll") for (int i = 0; i < 2 * ROW_TILES; ++i)
      if (inside[i] && column0 + g * GROUP < N) store(ARGUMENTS row[i], column0 + g * GROUP, result[g][i]);
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) kernel(PARAMETERS)
{
  extern __shared__ uint4 weights[];
  uint2 *const patch = (uint2 *)(weights + PLANES * WEIGHTS);   /* two: one is filled while the other is read */
  const unsigned patches = (unsigned)__cvta_generic_to_shared(patch);
  const int lane = threadIdx.x % 32, first = (int)threadIdx.x / 32 * (16 * ROW_TILES);
  unsigned window[ROW_TILES];
  pixels next;

  _Pragma("unroll") for (int m = 0; m < ROW_TILES; ++m) {
    const int output = first + m * 16 + lane % 16;

    window[m] = patches + (output / TILE_W * STRIDE_H * PATCH_W + output % TILE_W * STRIDE_W) * 8;
  }
  for (int i = threadIdx.x; i < PLANES * WEIGHTS; i += THREADS) weights[i] = ((const uint4 *)W)[i];
  START
  if (blockIdx.x < TILES) {
    load_pixels(&next, X, place_of(blockIdx.x));
    put_pixels(patch, next, place_of(blockIdx.x));
  }
  __syncthreads();
  int turn = 0;
  for (int tile = blockIdx.x; tile < TILES; tile += gridDim.x, turn ^= 1) {
    const int after = tile + gridDim.x;

    if (after < TILES) load_pixels(&next, X, place_of(after));
    _Pragma("unroll 1") for (int part = 0; part < PARTS; ++part) {
      unsigned here[ROW_TILES];
      sums sum;

      _Pragma("unroll") for (int m = 0; m < ROW_TILES; ++m) here[m] = window[m] + turn * PATCH_BYTES;
      multiply_part(sum, here, weights + part * (PART * TILES_OF_GROUP / 2 * 32), lane);
      finish_part(ARGUMENTS sum, place_of(tile), first + lane / 4, part * PART * GROUP + lane % 4 * V);
    }
    if (after < TILES) put_pixels(patch + (turn ^ 1) * (PATCH_BYTES / 8), next, place_of(after));
    __syncthreads();
  }
}
