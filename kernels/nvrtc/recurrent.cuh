/* lstm, gru and rnn: a block for each sequence and direction goes through its steps. States and gates stay in shared
   memory; weights are read anew in each step, from the card's cache. A warp computes a row of the products at a time.

   Defined by the generator:
     KIND, GATES              0 lstm, 1 gru, 2 rnn; 4, 3, 1
     SEQ, BATCH, DIRS, INPUT, HIDDEN, THREADS, PARAMETERS, START
     REVERSE                  the only direction is backwards
     BATCH_FIRST, LINEAR_BEFORE_RESET, INPUT_FORGET
     LOAD_X, LOAD_W, LOAD_R   element i
     LOAD_B, LOAD_LENGTH, LOAD_H, LOAD_C, LOAD_P   the same, with HAS_BIAS, HAS_LENGTHS, HAS_H, HAS_C, HAS_PEEPHOLES
     STORE_Y, STORE_H, STORE_C (i, v)   do nothing where the output is not wanted
     act(d, f, v)             function f of direction d with its clipping
     out_act(d, v)            what the lstm's cell goes through, unclipped */
#define ROWS (GATES * HIDDEN)
#define WARPS (THREADS / 32)

struct sequence { float *x, *h, *c, *from_x, *from_h, *reset; int d, b; };

__device__ __forceinline__ float over_warp(float v)
{
  _Pragma("unroll") for (int m = 16; m; m /= 2) v += __shfl_xor_sync(0xffffffffu, v, m);
  return v;
}

__device__ __forceinline__ float bias_of(const int d, const int row, const bool recurrent, PARAMETERS)
{
#if HAS_BIAS
  return LOAD_B((long long)d * 2 * ROWS + (recurrent ? ROWS : 0) + row);
#else
  return 0.0f;
#endif
}

/* from_h[row] = bias + R[row] v for rows [first, end). */
__device__ __forceinline__ void multiply_state(const sequence s, const float *v, const int first, const int end,
                                               PARAMETERS)
{
  for (int row = first + threadIdx.x / 32; row < end; row += WARPS) {
    const long long at = ((long long)s.d * ROWS + row) * HIDDEN;
    float sum = 0.0f;
    for (int k = threadIdx.x % 32; k < HIDDEN; k += 32) sum = fmaf(LOAD_R(at + k), v[k], sum);
    sum = over_warp(sum);
    if (threadIdx.x % 32 == 0) s.from_h[row] = sum + bias_of(s.d, row, true, ARGUMENTS);
  }
}

__device__ __forceinline__ void multiply_input(const sequence s, PARAMETERS)
{
  for (int row = threadIdx.x / 32; row < ROWS; row += WARPS) {
    const long long at = ((long long)s.d * ROWS + row) * INPUT;
    float sum = 0.0f;
    for (int k = threadIdx.x % 32; k < INPUT; k += 32) sum = fmaf(LOAD_W(at + k), s.x[k], sum);
    sum = over_warp(sum);
    if (threadIdx.x % 32 == 0) s.from_x[row] = sum + bias_of(s.d, row, false, ARGUMENTS);
  }
}

__device__ __forceinline__ float gate(const sequence s, const int g, const int i)
{
  return s.from_x[g * HIDDEN + i] + s.from_h[g * HIDDEN + i];
}

__device__ __forceinline__ float peephole(const sequence s, const int g, const int i, const float c, PARAMETERS)
{
#if HAS_PEEPHOLES
  return LOAD_P(((long long)s.d * 3 + g) * HIDDEN + i) * c;
#else
  return 0.0f;
#endif
}

__device__ __forceinline__ void advance(const sequence s, PARAMETERS)
{
#if KIND == 0
  for (int i = threadIdx.x; i < HIDDEN; i += THREADS) {
    const float c = s.c[i], in = act(s.d, 0, gate(s, 0, i) + peephole(s, 0, i, c, ARGUMENTS));
    const float forget = INPUT_FORGET ? 1.0f - in : act(s.d, 0, gate(s, 2, i) + peephole(s, 2, i, c, ARGUMENTS));
    const float next = forget * c + in * act(s.d, 1, gate(s, 3, i));
    s.c[i] = next;
    s.h[i] = act(s.d, 0, gate(s, 1, i) + peephole(s, 1, i, next, ARGUMENTS)) * out_act(s.d, next);
  }
#elif KIND == 1
  for (int i = threadIdx.x; i < HIDDEN; i += THREADS)
    s.reset[i] = act(s.d, 0, gate(s, 1, i)) * (LINEAR_BEFORE_RESET ? s.from_h[2 * HIDDEN + i] : s.h[i]);
  __syncthreads();
  if (!LINEAR_BEFORE_RESET) {
    multiply_state(s, s.reset, 2 * HIDDEN, 3 * HIDDEN, ARGUMENTS);
    __syncthreads();
  }
  for (int i = threadIdx.x; i < HIDDEN; i += THREADS) {
    const float update = act(s.d, 0, gate(s, 0, i));
    const float state = LINEAR_BEFORE_RESET ? s.reset[i] : s.from_h[2 * HIDDEN + i];
    s.h[i] = (1.0f - update) * act(s.d, 1, s.from_x[2 * HIDDEN + i] + state) + update * s.h[i];
  }
#else
  for (int i = threadIdx.x; i < HIDDEN; i += THREADS) s.h[i] = act(s.d, 0, gate(s, 0, i));
#endif
}

__device__ __forceinline__ int length_of(const int b, PARAMETERS)
{
#if HAS_LENGTHS
  const long long length = LOAD_LENGTH(b);
  return length < 0 ? 0 : length > SEQ ? SEQ : (int)length;
#else
  return SEQ;
#endif
}

__device__ __forceinline__ void load_states(const sequence s, const long long state, PARAMETERS)
{
  for (int i = threadIdx.x; i < HIDDEN; i += THREADS) {
    s.h[i] = s.c[i] = 0.0f;
#if HAS_H
    s.h[i] = LOAD_H(state + i);
#endif
#if HAS_C
    s.c[i] = LOAD_C(state + i);
#endif
  }
}

/* First element of y at a step. */
__device__ __forceinline__ long long output_at(const sequence s, const int t)
{
  return (BATCH_FIRST ? ((long long)s.b * SEQ + t) * DIRS + s.d : ((long long)t * DIRS + s.d) * BATCH + s.b) * HIDDEN;
}

extern "C" __global__ void __launch_bounds__(THREADS) kernel(PARAMETERS)
{
  START
  extern __shared__ float memory[];
  const sequence s = { memory, memory + INPUT, memory + INPUT + HIDDEN, memory + INPUT + 3 * HIDDEN,
                       memory + INPUT + 3 * HIDDEN + ROWS, memory + INPUT + 2 * HIDDEN,
                       (int)blockIdx.x / BATCH, (int)blockIdx.x % BATCH };
  const bool backwards = REVERSE || s.d == 1;
  const int length = length_of(s.b, ARGUMENTS);
  const long long state = (BATCH_FIRST ? (long long)s.b * DIRS + s.d : (long long)s.d * BATCH + s.b) * HIDDEN;

  load_states(s, state, ARGUMENTS);
  for (int step = 0; step < length; ++step) {
    const int t = backwards ? length - 1 - step : step;
    const long long x_at = (BATCH_FIRST ? (long long)s.b * SEQ + t : (long long)t * BATCH + s.b) * INPUT;
    const long long y_at = output_at(s, t);
    for (int i = threadIdx.x; i < INPUT; i += THREADS) s.x[i] = LOAD_X(x_at + i);
    __syncthreads();
    multiply_input(s, ARGUMENTS);
    multiply_state(s, s.h, 0, ROWS, ARGUMENTS);
    __syncthreads();
    advance(s, ARGUMENTS);
    __syncthreads();
    for (int i = threadIdx.x; i < HIDDEN; i += THREADS) STORE_Y(y_at + i, s.h[i]);
  }
  for (int t = length; t < SEQ; ++t)
    for (int i = threadIdx.x; i < HIDDEN; i += THREADS) STORE_Y(output_at(s, t) + i, 0.0f);
  for (int i = threadIdx.x; i < HIDDEN; i += THREADS) {
    STORE_H(state + i, s.h[i]);
    STORE_C(state + i, s.c[i]);
  }
}
