/* A product x[M,K] w[N,K] of many rows and few weights with everything behind it: its time is that in which rows come
   from memory and go there. All weights stay in a block's shared memory, in the order in which the instruction takes
   them. A warp has rows of its own, 16 ROW_TILES at once: they come from memory into the registers of the instruction,
   with AHEAD while the rows before are multiplied, and results leave from registers, so that nobody waits for anybody.

   Of STEP elements of K a thread takes 16 bytes of neighbours; which of its elements the instruction calls the first
   does not matter, as weights agree. Of each GROUP columns a thread has the sums of V neighbours.

   Defined by the generator:
     M, N, K, ROW_TILES, WARPS, AHEAD, PART (groups of columns whose sums a warp has at once)
     X, W        the operands' addresses; ELEM: their type in memory
     X_ROW       elements from one row of x to the next
     TRANS_W     1: w is [N,K], else [K,N]
     MMA         the types of the instruction
     WIDE        0, or for FP32 operands of how many of BF16 each number is taken as the sum, two or three, as in
                 matmul.cuh
     START       waits for the kernel before
     times_factor(ARGUMENTS numbers, row, k)     four numbers of x, of FP32, as the product has them
     V           elements are finished at once: evaluate(ARGUMENTS row, column, sum) gives a struct finished,
                 store(ARGUMENTS row, column, finished) puts that into memory */
#define CHUNK (WIDE ? 4 : 8)                /* elements of 16 bytes */
#define STEP (4 * CHUNK)
#define STEPS ((K + STEP - 1) / STEP)
#define GROUP (4 * V)
#define TILES_OF_GROUP (V / 2)              /* of eight columns */
#define PARTS ((N + GROUP * PART - 1) / (GROUP * PART))
#define W_TILES (PARTS * PART * TILES_OF_GROUP)
#define ROWS (16 * ROW_TILES)
#define TURNS ((M + ROWS - 1) / ROWS)

/* What a lane has of a row or a column: of FP32 the BF16 nearest to four elements, what these leave and so on, of
   anything else the two halves of 16 bytes.  gathered() is a chunk whose elements did not lie together. */
struct operand { unsigned part[WIDE ? WIDE : 2][2]; };

#if WIDE
/* No part is infinite: what an infinity leaves is no number. */
__device__ __forceinline__ operand operand_of(uint4 of)
{
  float   e[4] = { __uint_as_float(of.x), __uint_as_float(of.y), __uint_as_float(of.z), __uint_as_float(of.w) };
  operand to;

  _Pragma("unroll") for (int p = 0; p < WIDE; ++p)
    _Pragma("unroll") for (int i = 0; i < 2; ++i) {
      asm("cvt.rn.satfinite.bf16x2.f32 %0, %1, %2;" : "=r"(to.part[p][i]) : "f"(e[2 * i + 1]), "f"(e[2 * i]));
      e[2 * i] -= __uint_as_float(to.part[p][i] << 16);
      e[2 * i + 1] -= __uint_as_float(to.part[p][i] & 0xffff0000u);
    }
  return to;
}

__device__ __forceinline__ operand operand_of_row(PARAMETERS, uint4 of, int row, int k)
{
  const float4 from = make_float4(__uint_as_float(of.x), __uint_as_float(of.y), __uint_as_float(of.z),
                                  __uint_as_float(of.w)), to = times_factor(ARGUMENTS from, min(row, M - 1), k);

  return operand_of(make_uint4(__float_as_uint(to.x), __float_as_uint(to.y), __float_as_uint(to.z),
                               __float_as_uint(to.w)));
}

__device__ __forceinline__ uint4 gathered(const ELEM e[CHUNK])
{
  return make_uint4(__float_as_uint(e[0]), __float_as_uint(e[1]), __float_as_uint(e[2]), __float_as_uint(e[3]));
}
#else
__device__ __forceinline__ operand operand_of(uint4 of) { return operand{ { { of.x, of.y }, { of.z, of.w } } }; }

__device__ __forceinline__ operand operand_of_row(PARAMETERS, uint4 of, int, int) { return operand_of(of); }

__device__ __forceinline__ unsigned pair_of(unsigned short first, unsigned short second)
{
  return first | (unsigned)second << 16;
}

__device__ __forceinline__ uint4 gathered(const ELEM e[CHUNK])
{
  return make_uint4(pair_of(e[0], e[1]), pair_of(e[2], e[3]), pair_of(e[4], e[5]), pair_of(e[6], e[7]));
}
#endif

/* The chunk of w from k on in a column; zeros where there is none. */
__device__ __forceinline__ uint4 load_w(const ELEM *w, int column, int k)
{
  ELEM e[CHUNK];

  if (column >= N || k >= K) return make_uint4(0, 0, 0, 0);
  if (TRANS_W) return *(const uint4 *)(w + column * K + k);
  _Pragma("unroll") for (int i = 0; i < CHUNK; ++i) e[i] = w[(k + i) * N + column];
  return gathered(e);
}

/* In shared memory 16 bytes of each lane, and behind those of all lanes the third part's eight. */
#define W_LANES (STEPS * W_TILES * 32)

__device__ __forceinline__ void put_operand(uint4 *weights, int lane, const operand &of)
{
  weights[lane] = make_uint4(of.part[0][0], of.part[0][1], of.part[1][0], of.part[1][1]);
#if WIDE == 3
  ((uint2 *)(weights + W_LANES))[lane] = make_uint2(of.part[2][0], of.part[2][1]);
#endif
}

__device__ __forceinline__ operand get_operand(const uint4 *weights, int lane)
{
  const uint4 of = weights[lane];
  operand     to;

  to.part[0][0] = of.x; to.part[0][1] = of.y; to.part[1][0] = of.z; to.part[1][1] = of.w;
#if WIDE == 3
  const uint2 rest = ((const uint2 *)(weights + W_LANES))[lane];

  to.part[2][0] = rest.x; to.part[2][1] = rest.y;
#endif
  return to;
}

__device__ __forceinline__ void pack_weights(const ELEM *w, uint4 *to)
{
  for (int i = threadIdx.x; i < W_LANES; i += 32 * WARPS) {
    const int lane = i % 32, tile = i / 32 % W_TILES, step = i / 32 / W_TILES, n = lane / 4;
    const int column = tile / TILES_OF_GROUP * GROUP + n / 2 * V + tile % TILES_OF_GROUP * 2 + n % 2;

    put_operand(to, i, operand_of(load_w(w, column, step * STEP + lane % 4 * CHUNK)));
  }
}

struct rows { uint4 at[ROW_TILES][STEPS][2]; };     /* [2]: the row, and the eighth below */

/* Rows beyond the last are the last: what comes of them is not stored. */
__device__ __forceinline__ void load_rows(rows *to, const ELEM *x, int turn, int lane)
{
  _Pragma("unroll") for (int m = 0; m < ROW_TILES; ++m)
    _Pragma("unroll") for (int half = 0; half < 2; ++half) {
      const ELEM *row = x + (idx)min(turn * ROWS + m * 16 + half * 8 + lane / 4, M - 1) * X_ROW;

      _Pragma("unroll") for (int s = 0; s < STEPS; ++s) {
        const int k = s * STEP + lane % 4 * CHUNK;

        to->at[m][s][half] = K % STEP == 0 || k < K ? *(const uint4 *)(row + k) : make_uint4(0, 0, 0, 0);
      }
    }
}

__device__ __forceinline__ void multiply(float c[4], const operand a[2], int a_part, const operand &b, int b_part)
{
  asm volatile("mma.sync.aligned.m16n8k16.row.col." MMA " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0].part[a_part][0]), "r"(a[1].part[a_part][0]), "r"(a[0].part[a_part][1]),
                 "r"(a[1].part[a_part][1]), "r"(b.part[b_part][0]), "r"(b.part[b_part][1]));
}

/* Which parts a step of K is the sum of products of, as in matmul.cuh; of 16 bits the two halves of it. */
#define FIRST_TERM (WIDE == 3 ? 0 : WIDE ? 3 : 6)
#define LAST_TERM (WIDE ? 5 : 7)
#define A_PART(term) ((term) == 0 ? 2 : (term) == 2 || (term) == 3 || (term) == 7)
#define B_PART(term) ((term) == 1 ? 2 : (term) == 2 || (term) == 4 || (term) == 7)

typedef float sums[ROW_TILES][PART * TILES_OF_GROUP][4];

/* As the instruction takes them. */
struct operands { operand at[ROW_TILES][STEPS][2]; };

/* Tiles whose products are interleaved, so that none waits for the one before. */
#define ABREAST (!WIDE ? 1 : PART * TILES_OF_GROUP % 4 ? 2 : 4)

/* Those from t on, of a step.  Of three parts each step is added up from zero (matmul.cuh). */
__device__ __forceinline__ void multiply_tiles(sums sum, const operands *x, const uint4 *w, int first, int s, int t,
                                               int lane)
{
  operand b[ABREAST];
  float   own[ROW_TILES][ABREAST][4];

  _Pragma("unroll") for (int i = 0; i < ABREAST; ++i) b[i] = get_operand(w, (first + s * W_TILES + t + i) * 32 + lane);
  _Pragma("unroll") for (int m = 0; m < ROW_TILES; ++m)
    _Pragma("unroll") for (int i = 0; i < 4 * ABREAST; ++i)
      own[m][i / 4][i % 4] = WIDE == 3 ? 0.0f : sum[m][t + i / 4][i % 4];
  _Pragma("unroll") for (int term = FIRST_TERM; term <= LAST_TERM; ++term)
    _Pragma("unroll") for (int i = 0; i < ABREAST; ++i)
      _Pragma("unroll") for (int m = 0; m < ROW_TILES; ++m)
        multiply(own[m][i], x->at[m][s], A_PART(term), b[i], B_PART(term));
  _Pragma("unroll") for (int m = 0; m < ROW_TILES; ++m)
    _Pragma("unroll") for (int i = 0; i < 4 * ABREAST; ++i)
      sum[m][t + i / 4][i % 4] = own[m][i / 4][i % 4] + (WIDE == 3 ? sum[m][t + i / 4][i % 4] : 0.0f);
}

__device__ __forceinline__ void multiply_part(sums sum, const operands *x, const uint4 *w, int first, int lane)
{
  _Pragma("unroll") for (int m = 0; m < ROW_TILES; ++m)
    _Pragma("unroll") for (int t = 0; t < PART * TILES_OF_GROUP; ++t)
      _Pragma("unroll") for (int i = 0; i < 4; ++i) sum[m][t][i] = 0.0f;
  _Pragma("unroll") for (int s = 0; s < STEPS; ++s)
    _Pragma("unroll") for (int t = 0; t < PART * TILES_OF_GROUP; t += ABREAST)
      multiply_tiles(sum, x, w, first, s, t, lane);
}

/* Nothing is stored before what its neighbours load has been asked for; outside the result they load what is inside. */
__device__ __forceinline__ void finish_part(PARAMETERS, const sums sum, int row0, int column0)
{
  finished result[PART][2 * ROW_TILES];

  _Pragma("unroll") for (int g = 0; g < PART; ++g)
    _Pragma("unroll") for (int i = 0; i < 2 * ROW_TILES; ++i) {
      float total[V];

      LANES total[l] = sum[i / 2][g * TILES_OF_GROUP + l / 2][2 * (i % 2) + l % 2];
      result[g][i] = evaluate(ARGUMENTS min(row0 + i * 8, M - 1), min(column0 + g * GROUP, N - V), total);
    }
  _Pragma("unroll") for (int g = 0; g < PART; ++g)
    _Pragma("unroll") for (int i = 0; i < 2 * ROW_TILES; ++i)
      if (row0 + i * 8 < M && column0 + g * GROUP < N)
        store(ARGUMENTS row0 + i * 8, column0 + g * GROUP, result[g][i]);
}

extern "C" __global__ void __launch_bounds__(32 * WARPS, 1) kernel(PARAMETERS)
{
  extern __shared__ uint4 weights[];
  const int lane = threadIdx.x % 32, apart = (int)gridDim.x * WARPS;
  rows next;

  pack_weights(W, weights);
  __syncthreads();
  START
  int turn = (int)blockIdx.x * WARPS + (int)threadIdx.x / 32;
  if (AHEAD && turn < TURNS) load_rows(&next, X, turn, lane);
  for (; turn < TURNS; turn += apart) {
    operands x;

    if (!AHEAD) load_rows(&next, X, turn, lane);
    _Pragma("unroll") for (int m = 0; m < ROW_TILES; ++m)
      _Pragma("unroll") for (int s = 0; s < STEPS; ++s)
        _Pragma("unroll") for (int half = 0; half < 2; ++half)
          x.at[m][s][half] = operand_of_row(ARGUMENTS next.at[m][s][half], turn * ROWS + m * 16 + half * 8 + lane / 4,
                                            s * STEP + lane % 4 * CHUNK);
    if (AHEAD && turn + apart < TURNS) load_rows(&next, X, turn + apart, lane);
    _Pragma("unroll 1") for (int part = 0; part < PARTS; ++part) {
      sums sum;

      multiply_part(sum, &x, weights, part * PART * TILES_OF_GROUP, lane);
      finish_part(ARGUMENTS sum, turn * ROWS + lane / 4, part * PART * GROUP + lane % 4 * V);
    }
  }
}
