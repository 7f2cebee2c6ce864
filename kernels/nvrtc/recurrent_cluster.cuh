/* lstm, gru and rnn in 16 bits on tensor cores: the SPLIT blocks of a cluster go through the steps of up to COLUMNS
   sequences of one direction together. Each owns UNITS of the states, with their rows of all gates, and keeps its part
   of R in registers where RESIDENT says so. After each step a block writes its new states into the shared memory of all
   of them; one that is alone, as small states allow, waits for no other. What comes from x is computed ahead for 32
   columns at a time: STEPS steps of the sequences.

   A product of a tile of 16 rows reads 32 entries of the sum at a time, of which each thread takes 8 neighbours of W or
   R and of the states: in which order a sum's entries meet makes no difference as long as both sides have the same.

   Defined by the generator, besides what recurrent.cuh has:
     SPLIT, UNITS (a multiple of 16), COLUMNS (1, 2, 4, 8: sequences of a cluster), PARTS (warps that share a tile's
     sum), RESIDENT, SLICE (entries of x held at once, a multiple of 32), MMA (the instruction's types); TO_16, W_DATA,
     R_DATA. */
#define TILES (GATES * UNITS / 16)
#define PADDED (UNITS * SPLIT)
#define ROWS (GATES * UNITS)
#define STEPS (32 / COLUMNS)
#define WIDE 33                             /* floats of a row of what comes from x */
#define STATE_STRIDE (PADDED + 8)           /* rows of 16-byte pieces that do not meet in the same banks */
#define SLICE_STRIDE (SLICE + 8)
#define CHUNKS (PADDED / 32 / PARTS)        /* of a warp */
#define OWN ((UNITS * COLUMNS + THREADS - 1) / THREADS)     /* states that a thread finishes */

typedef struct pieces { uint4 top, bottom; } pieces;

__device__ __forceinline__ void multiply(float sum[4], const unsigned a0, const unsigned a1, const unsigned a2,
                                         const unsigned a3, const unsigned b0, const unsigned b1)
{
  asm volatile("mma.sync.aligned.m16n8k16.row.col." MMA " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
               : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/* 32 entries of the sums of 16 rows and 8 columns. */
__device__ __forceinline__ void multiply_pieces(float even[4], float odd[4], const pieces a, const uint4 b)
{
  multiply(even, a.top.x, a.bottom.x, a.top.y, a.bottom.y, b.x, b.y);
  multiply(odd, a.top.z, a.bottom.z, a.top.w, a.bottom.w, b.z, b.w);
}

/* 8 neighbours of a row of width entries, zeros outside. */
__device__ __forceinline__ uint4 piece(const unsigned short *row, const bool there, const int k, const int width)
{
  uint4 v = make_uint4(0, 0, 0, 0);
  if (!there || k >= width) return v;
  if (width % 8 == 0) return __ldg((const uint4 *)(row + k));
  unsigned *at = (unsigned *)&v;
  _Pragma("unroll") for (int i = 0; i < 4; ++i) {
    const unsigned low = k + 2 * i < width ? row[k + 2 * i] : 0, high = k + 2 * i + 1 < width ? row[k + 2 * i + 1] : 0;
    at[i] = low | high << 16;
  }
  return v;
}

/* A thread's pieces of a tile: rows lane / 4 and 8 behind it, of matrix rows of width entries. */
__device__ __forceinline__ pieces load_pieces(const void *data, const int d, const int part, const int tile,
                                              const int k, const int width)
{
  const int gate = tile / (UNITS / 16), unit = part * UNITS + tile % (UNITS / 16) * 16 + threadIdx.x % 32 / 4;
  const int at = k + threadIdx.x % 4 * 8;
  const unsigned short *row = (const unsigned short *)data + (((long long)d * GATES + gate) * HIDDEN + unit) * width;
  pieces p;
  p.top = piece(row, unit < HIDDEN, at, width);
  p.bottom = piece(row + 8ll * width, unit + 8 < HIDDEN, at, width);
  return p;
}

/* All blocks come to arrive before one goes on behind wait. */
__device__ __forceinline__ void arrive(void)
{
#if SPLIT > 1
  __syncwarp();
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
}

__device__ __forceinline__ void wait(void)
{
#if SPLIT > 1
  __syncwarp();
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#else
  __syncthreads();
#endif
}

__device__ __forceinline__ float bias_of(const int d, const int gate, const int unit, const bool recurrent, PARAMETERS)
{
#if HAS_BIAS
  return unit < HIDDEN ? LOAD_B(((long long)d * 2 + recurrent) * GATES * HIDDEN + gate * HIDDEN + unit) : 0.0f;
#else
  return 0.0f;
#endif
}

struct memory { unsigned short *states, *slice, *fresh; float *from_x, *from_h; };

/* What a thread keeps of a state of its own, number threadIdx.x + i THREADS of the block's: [sequence][unit]. at: where
   it lies in y at step 0. */
struct state { float h, c, bias_x[GATES], bias_h[GATES]; bool there; long long at; };

__device__ __forceinline__ int unit_of(const int i) { return (threadIdx.x + i * THREADS) % UNITS; }
__device__ __forceinline__ int column_of(const int i) { return (threadIdx.x + i * THREADS) / UNITS; }
__device__ __forceinline__ bool has_state(const int i) { return threadIdx.x + i * THREADS < UNITS * COLUMNS; }

/* Step s of the sequences: which place it has in x and y. */
__device__ __forceinline__ int place(const bool backwards, const int s) { return backwards ? SEQ - 1 - s : s; }

/* Entries [k, k + SLICE) of x of 32 columns: step first + column / COLUMNS of sequence column % COLUMNS. */
__device__ __forceinline__ void load_slice(const memory m, const int k, const int first, const bool backwards,
                                           const int sequence, PARAMETERS)
{
  for (int i = threadIdx.x; i < 32 * SLICE; i += THREADS) {
    const int column = i / SLICE, at = k + i % SLICE, s = first + column / COLUMNS, b = sequence + column % COLUMNS;
    const bool there = s < SEQ && b < BATCH && at < INPUT;
    const long long t = place(backwards, there ? s : 0);
    const long long row = BATCH_FIRST ? (long long)b * SEQ + t : t * BATCH + b;
    m.slice[column * SLICE_STRIDE + i % SLICE] = there ? TO_16(LOAD_X(row * INPUT + at)) : 0;
  }
}

/* from_x[part of the sum][row][column] of the next STEPS steps. */
__device__ __forceinline__ void multiply_input(const memory m, const int d, const int part, const int first,
                                               const bool backwards, const int sequence, PARAMETERS)
{
  const int lane = threadIdx.x % 32, tile = threadIdx.x / 32 % TILES, share = threadIdx.x / 32 / TILES;
  float sum[4][2][4] = {};

  for (int k = 0; k < INPUT; k += SLICE) {
    __syncthreads();
    load_slice(m, k, first, backwards, sequence, ARGUMENTS);
    __syncthreads();
    for (int chunk = share; chunk < SLICE / 32; chunk += PARTS) {
      const pieces a = load_pieces(W_DATA, d, part, tile, k + chunk * 32, INPUT);
      _Pragma("unroll") for (int n = 0; n < 4; ++n)
        multiply_pieces(sum[n][0], sum[n][1], a,
                        *(const uint4 *)(m.slice + (n * 8 + lane / 4) * SLICE_STRIDE + chunk * 32 + lane % 4 * 8));
    }
  }
  float *to = m.from_x + (share * ROWS + tile * 16 + lane / 4) * WIDE + lane % 4 * 2;
  _Pragma("unroll") for (int n = 0; n < 4; ++n)
    _Pragma("unroll") for (int i = 0; i < 4; ++i) to[i / 2 * 8 * WIDE + n * 8 + i % 2] = sum[n][0][i] + sum[n][1][i];
}

/* from_h[part of the sum][row][sequence] of the states. */
__device__ __forceinline__ void multiply_state(const memory m, const pieces *kept, const unsigned short *states,
                                               const int d, const int part, PARAMETERS)
{
  const int lane = threadIdx.x % 32, tile = threadIdx.x / 32 % TILES, share = threadIdx.x / 32 / TILES;
  const unsigned short *from = states + lane / 4 % COLUMNS * STATE_STRIDE + share * CHUNKS * 32 + lane % 4 * 8;
  float sum[4][4] = {};

  _Pragma("unroll") for (int chunk = 0; chunk < CHUNKS; ++chunk) {
#if RESIDENT
    const pieces a = kept[chunk];
#else
    const pieces a = load_pieces(R_DATA, d, part, tile, (share * CHUNKS + chunk) * 32, HIDDEN);
#endif
    multiply_pieces(sum[chunk % 2 * 2], sum[chunk % 2 * 2 + 1], a, *(const uint4 *)(from + chunk * 32));
  }
  _Pragma("unroll") for (int i = 0; i < 4; ++i) {
    const int column = lane % 4 * 2 + i % 2;
    if (column < COLUMNS)
      m.from_h[((share * TILES + tile) * 16 + lane / 4 + i / 2 * 8) * COLUMNS + column] =
          sum[0][i] + sum[1][i] + sum[2][i] + sum[3][i];
  }
}

/* Sums of a gate's row at column of the 32, and of the states' part. */
__device__ __forceinline__ float sum_x(const memory m, const int g, const int u, const int column)
{
  float sum = 0.0f;
  _Pragma("unroll") for (int p = 0; p < PARTS; ++p) sum += m.from_x[((p * GATES + g) * UNITS + u) * WIDE + column];
  return sum;
}

__device__ __forceinline__ float sum_h(const memory m, const int g, const int u, const int b)
{
  float sum = 0.0f;
  _Pragma("unroll") for (int p = 0; p < PARTS; ++p) sum += m.from_h[((p * GATES + g) * UNITS + u) * COLUMNS + b];
  return sum;
}

#define X_GATE(g) (sum_x(m, g, u, column) + own[i].bias_x[g])
#define H_GATE(g) (sum_h(m, g, u, b) + own[i].bias_h[g])
#define GATE(g) (X_GATE(g) + H_GATE(g))

/* The block's states after the step whose x is at column0 of from_x, to fresh[sequence][unit], rows of stride apart. */
__device__ __forceinline__ void advance(const memory m, state own[OWN], unsigned short *fresh, const int stride,
                                        const int d, const int column0)
{
  _Pragma("unroll") for (int i = 0; i < OWN; ++i) {
    const int u = unit_of(i), b = column_of(i), column = column0 + b;
    float h = 0.0f;

    if (!has_state(i)) continue;
#if KIND == 0
    const float in = act(d, 0, GATE(0)), forget = INPUT_FORGET ? 1.0f - in : act(d, 0, GATE(2));
    const float next = forget * own[i].c + in * act(d, 1, GATE(3));
    own[i].c = next;
    h = act(d, 0, GATE(1)) * out_act(d, next);
#elif KIND == 1
    const float reset = act(d, 0, GATE(1)), update = act(d, 0, GATE(0));
    h = (1.0f - update) * act(d, 1, X_GATE(2) + reset * H_GATE(2)) + update * own[i].h;
#else
    h = act(d, 0, GATE(0));
#endif
    own[i].h = h;
    fresh[b * stride + u] = own[i].there ? TO_16(h) : 0;
  }
}

#if SPLIT > 1
/* fresh into the states of all blocks, 8 at a time. */
__device__ __forceinline__ void spread(const memory m, unsigned short *states, const int part)
{
  const unsigned base = (unsigned)__cvta_generic_to_shared(states);
  for (int i = threadIdx.x; i < SPLIT * COLUMNS * (UNITS / 8); i += THREADS) {
    const int v = i % (UNITS / 8), b = i / (UNITS / 8) % COLUMNS, to = i / (UNITS / 8) / COLUMNS;
    const uint4 value = *(const uint4 *)(m.fresh + b * UNITS + v * 8);
    unsigned at = base + (b * STATE_STRIDE + part * UNITS + v * 8) * 2;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(at) : "r"(at), "r"(to));
    asm volatile("st.shared::cluster.v4.b32 [%0], {%1,%2,%3,%4};"
                 :: "r"(at), "r"(value.x), "r"(value.y), "r"(value.z), "r"(value.w) : "memory");
  }
}
#endif

__device__ __forceinline__ long long state_at(const int d, const int b, const int unit)
{
  return (BATCH_FIRST ? (long long)b * DIRS + d : (long long)d * BATCH + b) * HIDDEN + unit;
}

__device__ __forceinline__ void load_states(const memory m, state own[OWN], const int d, const int part,
                                            const int sequence, PARAMETERS)
{
  _Pragma("unroll") for (int i = 0; i < OWN; ++i) {
    const int unit = part * UNITS + unit_of(i), b = sequence + column_of(i);
    const long long row = BATCH_FIRST ? (long long)b * SEQ * DIRS + d : (long long)d * BATCH + b;

    own[i].there = has_state(i) && unit < HIDDEN && b < BATCH;
    own[i].h = own[i].c = 0.0f;
    own[i].at = row * HIDDEN + unit;
    _Pragma("unroll") for (int g = 0; g < GATES; ++g) {
      own[i].bias_x[g] = bias_of(d, g, unit, false, ARGUMENTS);
      own[i].bias_h[g] = bias_of(d, g, unit, true, ARGUMENTS);
    }
    if (!own[i].there) continue;
#if HAS_H
    own[i].h = LOAD_H(state_at(d, b, unit));
#endif
#if HAS_C
    own[i].c = LOAD_C(state_at(d, b, unit));
#endif
  }
  for (int i = threadIdx.x; i < PADDED * COLUMNS; i += THREADS) {
    const int unit = i % PADDED, b = sequence + i / PADDED;
    float h = 0.0f;
#if HAS_H
    if (unit < HIDDEN && b < BATCH) h = LOAD_H(state_at(d, b, unit));
#endif
    m.states[i / PADDED * STATE_STRIDE + unit] = TO_16(h);
  }
}

__device__ __forceinline__ void store_step(const state own[OWN], const int t, PARAMETERS)
{
  const long long step = (long long)t * (BATCH_FIRST ? DIRS * HIDDEN : DIRS * BATCH * HIDDEN);

  _Pragma("unroll") for (int i = 0; i < OWN; ++i)
    if (own[i].there) STORE_Y(own[i].at + step, own[i].h);
}

extern "C" __global__ void __cluster_dims__(SPLIT, 1, 1) __launch_bounds__(THREADS) kernel(PARAMETERS)
{
  extern __shared__ uint4 room[];
  const int part = blockIdx.x % SPLIT, group = blockIdx.x / SPLIT, groups = (BATCH + COLUMNS - 1) / COLUMNS;
  const int d = group / groups, sequence = group % groups * COLUMNS;
  const bool backwards = REVERSE || d == 1;
  memory m;
  m.states = (unsigned short *)room;
  m.slice = m.states + 2 * COLUMNS * STATE_STRIDE;
  m.fresh = m.slice + 32 * SLICE_STRIDE;
  m.from_x = (float *)(m.fresh + COLUMNS * UNITS);
  m.from_h = m.from_x + PARTS * ROWS * WIDE;
  state own[OWN];
  pieces kept[RESIDENT ? CHUNKS : 1];
#if RESIDENT
  _Pragma("unroll") for (int chunk = 0; chunk < CHUNKS; ++chunk)
    kept[chunk] = load_pieces(R_DATA, d, part, threadIdx.x / 32 % TILES,
                              (threadIdx.x / 32 / TILES * CHUNKS + chunk) * 32, HIDDEN);
#endif

  START
  load_states(m, own, d, part, sequence, ARGUMENTS);
  arrive();
  wait();
  for (int s = 0; s < SEQ; ++s) {
    unsigned short *next = m.states + (s + 1) % 2 * COLUMNS * STATE_STRIDE;
    if (s % STEPS == 0) multiply_input(m, d, part, s, backwards, sequence, ARGUMENTS);
    multiply_state(m, kept, m.states + s % 2 * COLUMNS * STATE_STRIDE, d, part, ARGUMENTS);
    __syncthreads();
#if SPLIT > 1
    advance(m, own, m.fresh, UNITS, d, s % STEPS * COLUMNS);
    __syncthreads();
    spread(m, next, part);
#else
    advance(m, own, next, STATE_STRIDE, d, s % STEPS * COLUMNS);
#endif
    arrive();
    store_step(own, place(backwards, s), ARGUMENTS);
    wait();
  }
  _Pragma("unroll") for (int i = 0; i < OWN; ++i) {
    const int unit = part * UNITS + unit_of(i), b = sequence + column_of(i);

    if (!own[i].there) continue;
    STORE_H(state_at(d, b, unit), own[i].h);
    STORE_C(state_at(d, b, unit), own[i].c);
  }
}
