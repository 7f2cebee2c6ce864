/* A product x[M,K] w[N,K] with everything behind it. One warp group sends for tiles of both operands by the tensor copy
   engine, STAGES deep; others multiply what has come with wgmma. Blocks stay and take one tile of BM x BN after
   another. With TEAM above 1 that many groups multiply one tile; with TEAM 1 two have a tile each, and one finishes its
   tile while the other multiplies. With SPLIT above 1 the blocks of a cluster have one tile, each a part of K, and add
   up through each other's shared memory, always in the same order. (On an H200 clusters that share
   a tile by multicast were no faster, on a rested card or on one kept busy; they were half as fast while arrivals at
   the other block's barriers were releases to the cluster, each of which waits for all memory. Tiles taken in bands of
   the result were no faster than column by column. Products that fill the card run into its power limit.)

   Of each eight columns the instruction leaves a thread the sums of two. Where w's rows are packed in another order
   (RUN above 2), the instruction's columns are others than the result's, so that a thread has the sums of RUN
   neighbours in each 4 RUN columns; it finishes and stores them as they are in its registers. Else (RUN 2) sums go
   through shared memory, 16 x FINISH_COLUMNS of a warp at a time.

   Defined by the generator:
     M, N, K, BM, BN, STAGES, TEAM, SPLIT, RUN, FINISH_COLUMNS
     HALVES       2: results, of N columns, are computed from two halves of the product's rows; 4 RUN columns of one and
                  4 RUN of the other take turns in w's rows as they are packed, so that a thread has the sums of both
                  (RUN above 2). Else 1
     COLUMNS      w's rows as they are packed
     multiply(sum, x, w, add)   one wgmma over 64 x BN x 16, x and w by their descriptors
     START        waits for the kernel before
     W_CONSTANT   w is nobody's result, so that its first stages are on their way while that kernel still runs
     V            elements are finished at once, RUN of them where that is above 2:
     evaluate(ARGUMENTS row, column, sums)    gives a struct finished
     store(ARGUMENTS row, column, finished)   puts that into memory
     finish(ARGUMENTS row, column, sums)      does both
   x_map and w_map have boxes of BM x BK and BN x BK elements, whose rows of 128 bytes are swizzled. */
#define FINISH_ROW (FINISH_COLUMNS + 8)

#if RUN == 2
__device__ __forceinline__ void load_sums(float sum[V], const float *from)
{
#if V % 4
  LANES sum[l] = from[l];
#else
  _Pragma("unroll") for (int l = 0; l < V; l += 4) {
    const float4 four = *(const float4 *)(from + l);
    sum[l] = four.x, sum[l + 1] = four.y, sum[l + 2] = four.z, sum[l + 3] = four.w;
  }
#endif
}

__device__ __forceinline__ void finish_at(PARAMETERS, const float *scratch, int row, int column, int v, bool inside)
{
  const int down = v / (FINISH_COLUMNS / V), across = v % (FINISH_COLUMNS / V) * V;
  float total[V];

  if (!inside && (row + down >= M || column + across >= N)) return;
  load_sums(total, scratch + down * FINISH_ROW + across);
  finish(ARGUMENTS row + down, column + across, total);
}

/* The 16 x FINISH_COLUMNS elements that a warp has the sums of, at `row` and `column` of the result. */
__device__ __forceinline__ void finish_part(PARAMETERS, const float *sum, float *scratch, int row, int column, int lane)
{
  __syncwarp();
  _Pragma("unroll") for (int j = 0; j < FINISH_COLUMNS / 8; ++j)
    _Pragma("unroll") for (int half = 0; half < 2; ++half)
      *(float2 *)(scratch + (half * 8 + lane / 4) * FINISH_ROW + j * 8 + lane % 4 * 2) =
        make_float2(sum[4 * j + 2 * half], sum[4 * j + 2 * half + 1]);
  __syncwarp();
  if (row + 16 <= M && column + FINISH_COLUMNS <= N)
    _Pragma("unroll 4") for (int i = 0; i < FINISH_COLUMNS / V / 2; ++i)
      finish_at(ARGUMENTS scratch, row, column, i * 32 + lane, true);
  else
    _Pragma("unroll 1") for (int v = lane; v < 16 * (FINISH_COLUMNS / V); v += 32)
      finish_at(ARGUMENTS scratch, row, column, v, false);
}

/* All sums of a warp, whose first are those of `row` - lane / 4 and `column`. */
__device__ __forceinline__ void finish_tile(PARAMETERS, const float sum[WM / 64][BN / 2], float *scratch, int row,
                                            int column, int lane)
{
  _Pragma("unroll") for (int m = 0; m < WM / 64; ++m)
    _Pragma("unroll") for (int c = 0; c < BN / FINISH_COLUMNS; ++c)
      finish_part(ARGUMENTS sum[m] + c * (FINISH_COLUMNS / 2), scratch, row - lane / 4 + m * 64,
                  column + c * FINISH_COLUMNS, lane);
}
#endif

/* A tile's sums: rows part * WM of it and the next. The other group may look at its stages when we have seen all of
   ours, if there is a tile for it. Nothing may branch around a wait for multiplications, or between the last and its
   wait: ptxas 13.0 then rounds the sums in front of that wait, where nothing else is done with them, and they are
   wrong, or has each multiplication wait for the one before (its remark C7514). */
__device__ __forceinline__ void multiply_tile(float sum[WM / 64][BN / 2], ring *r, int part, unsigned full,
                                              unsigned empty, int thread, bool last)
{
  const int steps = LAST_STEP - FIRST_STEP;
  unsigned before = 0;

  for (int step = 0; step < steps; ++step) {
    wait_for(full + r->stage * 8, r->parity);
    if (TEAM == 1 && !last && step == steps - 1)
      asm volatile("bar.arrive %0, 256;" ::"r"(GROUPS - (int)threadIdx.x / 128) : "memory");
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    _Pragma("unroll") for (int k = 0; k < BK / 16; ++k)
      _Pragma("unroll") for (int m = 0; m < WM / 64; ++m)
        multiply(sum[m], descriptor(r->at + (part * WM + m * 64) * BK * 2) + k * 2,
                 descriptor(r->at + X_BYTES) + k * 2, step > 0 || k > 0);
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
    if (step > 0) release(before, thread);
    before = empty + r->stage * 8;
    advance(r);
  }
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
  release(before, thread);
}

extern "C" __global__ void __launch_bounds__(128 * (GROUPS + 1), 1)
#if SPLIT > 1
__cluster_dims__(SPLIT, 1, 1)
#endif
kernel(PARAMETERS, const __grid_constant__ tensor_map x_map, const __grid_constant__ tensor_map w_map)
{
  extern __shared__ unsigned char memory[];
  const unsigned given = (unsigned)__cvta_generic_to_shared(memory), base = (given + 1023) & ~1023u;
  const unsigned full = base + STAGES * STAGE_BYTES, empty = full + STAGES * 8;
  /* By a shuffle, so that the compiler knows all lanes to have the same: a step then takes 40 instructions of a warp,
     and not 57, as descriptors are made in uniform registers. */
  const int group = __shfl_sync(0xffffffffu, (int)threadIdx.x / 128, 0), thread = threadIdx.x % 128;
  ring r = { base, 0, 0 };

  set_up(full, empty, TEAM);
  if (group == GROUPS) {
    send_all(ARGUMENTS &x_map, &w_map, r, full, empty);
  } else {
    const int lane = thread % 32, warp = thread / 32, part = group % TEAM;
    float *scratch = (float *)(memory + (full - given) + BARRIER_BYTES) + (group * 4 + warp) * 16 * FINISH_ROW;
    float sum[WM / 64][BN / 2];

    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(GROUPS == 2 ? 232 : 160));
    START
#if SPLIT > 1
    if (group < TEAM) multiply_tile(sum, &r, part, full, empty, thread, true);
    finish_together(ARGUMENTS sum, (float *)(memory + (base - given)), base, FIRST_TILE % TILES_M * BM,
                    FIRST_TILE / TILES_M * TILE_COLUMNS, group, warp * 16 + lane / 4);
#else
    for (int tile = FIRST_TILE, turn = 0; tile < TILES; tile += APART, ++turn) {
      const int row = tile % TILES_M * BM + part * WM + warp * 16 + lane / 4;

      if (TEAM == 1 && turn % GROUPS != group) {
        skip(&r);
        continue;
      }
      /* The other group has seen all its stages: a wait for one of ours could take the round before for ours. */
      if (TEAM == 1 && turn > 0) asm volatile("bar.sync %0, 256;" ::"r"(1 + group) : "memory");
      multiply_tile(sum, &r, part, full, empty, thread, tile + APART >= TILES);
      finish_tile(ARGUMENTS sum, scratch, row, tile / TILES_M * TILE_COLUMNS, lane);
    }
#endif
  }
}
