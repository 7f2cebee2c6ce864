/* A product x[M,K] w[N,K] of FP32 with everything behind it, each number taken as the sum of PARTS of BF16. One warp
   group sends for tiles of x as they are and of w taken apart, by the tensor copy engine, STAGES deep; the others take
   their rows of x apart on the way to their registers, from where the instruction has them: no part of x is ever in
   memory, and each is multiplied with all parts of w that matter beside it.

   Blocks stay and take one tile of BM x BN after another. With TEAM above 1 that many groups have 64 rows of it each.
   With DEPTH 2 two groups have one tile of 64 rows, take stages in turns, and the first adds up. Else GROUPS of them
   take tiles in turns: one multiplies while others finish theirs. With SPLIT above 1 the blocks of a cluster have one
   tile, each a part of K (warp_groups.cuh).

   w's rows are packed in another order, for RUN sums of neighbours (wgmma.cuh), and 16 elements of K in that in which a
   thread has them that reads four neighbours of x at once: 2 t, 2 t + 1, 8 + 2 t and 9 + 2 t.

   Defined by the generator:
     M, N, K, BM, BN, STAGES, TEAM, DEPTH, SPLIT, RUN, V, START, W_CONSTANT, evaluate, store, finish as for wgmma.cuh
     times_factor(ARGUMENTS numbers, row, k)    four numbers of x as the product has them
     PARTS        2: 16 bits of each number, a product is the sum of three; 3: all 24, the sum of six
     OWN          how many sums of 16 elements of K a group has at once: 2, or 1 where registers are few
     COLUMNS      rows of each part of w as they are packed, one part behind the other
     multiply(sum, x, w, add)   one wgmma over 64 x BN x 16, x in four registers, w by its descriptor
   A stage has two boxes of x, and one of each part of w. */
#define X_BOX (BM * 128)                    /* bytes */
#define LAST ((K - (STEPS - 1) * BK + 15) / 16)     /* times 16 elements of the last stage */

/* Which parts a product is the sum of products of, the smallest first; of two parts the last three. */
#define FIRST_TERM (PARTS == 3 ? 0 : 3)
#define X_PART(term) ((term) == 0 ? 2 : (term) == 2 || (term) == 3)
#define W_PART(term) ((term) == 1 ? 2 : (term) == 2 || (term) == 4)

/* As the instruction takes 16 elements of K from 64 rows: two pairs of a row and of the eighth below in turns. */
struct operand { unsigned part[PARTS][4]; };

/* The i-th register of each part from two numbers: the nearest, and what that leaves.  None is infinite: what an
   infinity leaves is no number. */
__device__ __forceinline__ void take_apart(operand *to, int i, float a, float b)
{
  _Pragma("unroll") for (int p = 0; p < PARTS; ++p) {
    asm("cvt.rn.satfinite.bf16x2.f32 %0, %1, %2;" : "=r"(to->part[p][i]) : "f"(b), "f"(a));
    a -= __uint_as_float(to->part[p][i] << 16);
    b -= __uint_as_float(to->part[p][i] & 0xffff0000u);
  }
}

__device__ __forceinline__ float4 load4(unsigned at)
{
  float4 v;

  asm volatile("ld.shared.v4.f32 {%0,%1,%2,%3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(at) : "memory");
  return v;
}

/* Of the eight rows that the instruction has side by side, the order of those of a stage: the rows of eight threads
   then lie in different banks. */
__device__ __forceinline__ int row_of(int lane) { return lane / 4 % 2 * 4 + lane / 8; }

/* What a thread has of x: a row of a stage and the eighth below, which are rows of the matrix too, and there its own
   four of the stage's first 16 elements of K. */
struct place { int in_stage, row, k; };

/* The k-th 16 elements of the stage at `at`. */
__device__ __forceinline__ operand operand_at(PARAMETERS, unsigned at, int k, const place &x, int lane)
{
  const unsigned from = at + k / 2 * X_BOX + x.in_stage * 128 + (((k % 2 * 4 + lane % 4) ^ (x.in_stage % 8)) * 16);
  const float4   first = times_factor(ARGUMENTS load4(from), min(x.row, M - 1), x.k + k * 16),
                 second = times_factor(ARGUMENTS load4(from + 8 * 128), min(x.row + 8, M - 1), x.k + k * 16);
  operand        to;

  take_apart(&to, 0, first.x, first.y);
  take_apart(&to, 1, second.x, second.y);
  take_apart(&to, 2, first.z, first.w);
  take_apart(&to, 3, second.z, second.w);
  return to;
}

/* Tensor cores cut their sums off, for which three parts are too good: 16 elements of K are added up from zero, and
   their sum is rounded as it is added. Of two parts sums go on. */
__device__ __forceinline__ void multiply_parts(float sum[BN / 2], const operand &x, unsigned long long w)
{
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  _Pragma("unroll") for (int term = FIRST_TERM; term < 6; ++term)
    multiply(sum, x.part[X_PART(term)], w + W_PART(term) * (W_BYTES >> 4), PARTS == 2 || term > FIRST_TERM);
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* Until at most `left` of the youngest are under way; sums are those that may be read then. */
template <int left> __device__ __forceinline__ void wait_for_sums(float sum[BN / 2])
{
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(left) : "memory");
  _Pragma("unroll") for (int i = 0; i < BN / 2; ++i) asm volatile("" : "+f"(sum[i]) :: "memory");
}

__device__ __forceinline__ void add(float sum[BN / 2], const float more[BN / 2])
{
  _Pragma("unroll") for (int i = 0; i < BN / 2; ++i) sum[i] += more[i];
}

/* `count` times 16 elements of K.  The next are taken apart while those before are multiplied. */
template <int count>
__device__ __forceinline__ void multiply_stage(PARAMETERS, float sum[BN / 2], unsigned at, const place &from, int lane)
{
  const unsigned long long w = descriptor(at + X_BYTES);
  operand x[2];
#if PARTS == 3
  float own[OWN][BN / 2];
#endif

  x[0] = operand_at(ARGUMENTS at, 0, from, lane);
  _Pragma("unroll") for (int k = 0; k < count; ++k) {
#if PARTS == 3
    multiply_parts(own[k % OWN], x[k % 2], w + k * 2);
    if (OWN == 2 && k > 0) {
      wait_for_sums<1>(own[(k + 1) % OWN]);
      add(sum, own[(k + 1) % OWN]);
    }
    if (k + 1 < count) x[(k + 1) % 2] = operand_at(ARGUMENTS at, k + 1, from, lane);
    if (OWN == 1 || k + 1 == count) {
      wait_for_sums<0>(own[k % OWN]);
      add(sum, own[k % OWN]);
    }
#else
    multiply_parts(sum, x[k % 2], w + k * 2);
    if (k > 0) asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
    if (k + 1 < count) x[(k + 1) % 2] = operand_at(ARGUMENTS at, k + 1, from, lane);
#endif
  }
  if (PARTS == 2) wait_for_sums<0>(sum);
}

#define IN_TURNS (GROUPS > TEAM * DEPTH)

/* A tile's sums of the thread's rows, or the group's part of them. x.k: that of K's first elements. The next group may
   look at its stages when we have seen all of ours, if there is a tile for it (wgmma.cuh). `others`: stages until the
   next of this group's, to which a stage always belongs, as DEPTH divides STAGES: it could take the round of another
   group, whose end it does not see, for its own. */
__device__ __forceinline__ void multiply_tile(PARAMETERS, float sum[BN / 2], ring *r, int *others, place x, int group,
                                              unsigned full, unsigned empty, int lane, bool last)
{
  const int k = x.k;

  _Pragma("unroll") for (int i = 0; i < BN / 2; ++i) sum[i] = 0.0f;
  for (int step = FIRST_STEP; step < LAST_STEP; ++step) {
    if (DEPTH == 1 || (*others)-- == 0) {
      *others = DEPTH - 1;
      wait_for(full + r->stage * 8, r->parity);
      if (IN_TURNS && !last && step == LAST_STEP - 1)
        asm volatile("bar.arrive %0, 256;" ::"r"(1 + (group + 1) % GROUPS) : "memory");
      x.k = step * BK + k;
      if (LAST < BK / 16 && step == STEPS - 1) multiply_stage<LAST>(ARGUMENTS sum, r->at, x, lane);
      else multiply_stage<BK / 16>(ARGUMENTS sum, r->at, x, lane);
      release(empty + r->stage * 8, lane);
    }
    advance(r);
  }
}

#if DEPTH > 1
/* To the first group's sums those of the other; scratch has room for these. first: of the block's tiles. */
__device__ __forceinline__ void add_up(float sum[BN / 2], float *scratch, int group, int thread, bool first, bool last)
{
  float4 *own = (float4 *)scratch + thread;

  if (group > 0) {
    if (!first) asm volatile("bar.sync 2, 256;" ::: "memory");
    _Pragma("unroll") for (int i = 0; i < BN / 8; ++i)
      own[i * 128] = make_float4(sum[4 * i], sum[4 * i + 1], sum[4 * i + 2], sum[4 * i + 3]);
    asm volatile("bar.arrive 1, 256;" ::: "memory");
    return;
  }
  asm volatile("bar.sync 1, 256;" ::: "memory");
  _Pragma("unroll") for (int i = 0; i < BN / 8; ++i) {
    const float4 more = own[i * 128];

    sum[4 * i] += more.x, sum[4 * i + 1] += more.y, sum[4 * i + 2] += more.z, sum[4 * i + 3] += more.w;
  }
  if (!last) asm volatile("bar.arrive 2, 256;" ::: "memory");
}
#endif

extern "C" __global__ void __launch_bounds__(128 * (GROUPS + 1), 1)
#if SPLIT > 1
__cluster_dims__(SPLIT, 1, 1)
#endif
kernel(PARAMETERS, const __grid_constant__ tensor_map x_map, const __grid_constant__ tensor_map w_map)
{
  extern __shared__ unsigned char memory[];
  const unsigned given = (unsigned)__cvta_generic_to_shared(memory), base = (given + 1023) & ~1023u;
  const unsigned full = base + STAGES * STAGE_BYTES, empty = full + STAGES * 8;
  const int group = __shfl_sync(0xffffffffu, (int)threadIdx.x / 128, 0), thread = threadIdx.x % 128;
  ring r = { base, 0, 0 };

  set_up(full, empty, 4 * TEAM);            /* by warps: each reads x for itself */
  if (group == GROUPS) {
    send_all(ARGUMENTS &x_map, &w_map, r, full, empty);
  } else {
    const int lane = thread % 32, row = group % TEAM * 64 + thread / 32 * 16 + row_of(lane);
    float     sum[1][BN / 2];
    int       others = group % DEPTH;

    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(GROUPS == 2 ? 232 : 160));
    START
    for (int tile = FIRST_TILE, turn = 0; tile < TILES; tile += APART, ++turn) {
      const bool last = tile + APART >= TILES;

      if (IN_TURNS && turn % GROUPS != group) {
        skip(&r);
        continue;
      }
      if (IN_TURNS && turn > 0) asm volatile("bar.sync %0, 256;" ::"r"(1 + group) : "memory");
      multiply_tile(ARGUMENTS sum[0], &r, &others, place{ row, tile % TILES_M * BM + row, lane % 4 * 4 }, group, full,
                    empty, lane, last);
#if DEPTH > 1
      add_up(sum[0], (float *)(memory + (full - given) + BARRIER_BYTES), group, thread, turn == 0, last);
#endif
#if SPLIT > 1
      finish_together(ARGUMENTS sum, (float *)(memory + (base - given)), base, tile % TILES_M * BM,
                      tile / TILES_M * TILE_COLUMNS, group, row % 64);
#else
      if (DEPTH == 1 || group == 0)
        finish_tile(ARGUMENTS sum, NULL, tile % TILES_M * BM + row, tile / TILES_M * TILE_COLUMNS, lane);
#endif
    }
  }
}
