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
#define BK 64
#define GROUPS (TEAM == 1 ? 2 : TEAM)       /* that multiply */
#define WM (BM / TEAM)
#define X_BYTES (BM * BK * 2)
#define STAGE_BYTES (X_BYTES + BN * BK * 2)
#define STEPS ((K + BK - 1) / BK)
#define TILES_M ((M + BM - 1) / BM)
#define TILES (TILES_M * ((COLUMNS + BN - 1) / BN))
#define TILE_COLUMNS (BN / HALVES)          /* of the result */
#define PIECE (RUN < 4 ? 2 : 4)             /* floats that go to shared memory at once */
/* Floats; so that the rows of one store lie in different banks. */
#define SUM_ROW (BN + (RUN == 8 ? 4 : RUN == 4 ? 16 - BN % 32 : 8))
#define FINISH_ROW (FINISH_COLUMNS + 8)
#define BARRIER_BYTES 256
#define AT_ONCE (1024 / WM)             /* columns that a thread evaluates before it stores the first: 32 elements */
#if SPLIT > 1
#define PART ((int)blockIdx.x % SPLIT)
#define FIRST_TILE ((int)blockIdx.x / SPLIT)
#define APART TILES                         /* no second tile */
#else
#define PART 0
#define FIRST_TILE ((int)blockIdx.x)
#define APART ((int)gridDim.x)
#endif
#define FIRST_STEP (STEPS * PART / SPLIT)
#define LAST_STEP (STEPS * (PART + 1) / SPLIT)  /* exclusive */

struct alignas(64) tensor_map { unsigned long long opaque[16]; };

struct ring { unsigned at, stage, parity; };    /* the stage's start, its number, and which round it is in */

__device__ __forceinline__ void advance(ring *r)
{
  r->at += STAGE_BYTES;
  if (++r->stage == STAGES) {
    r->at -= STAGES * STAGE_BYTES;
    r->stage = 0;
    r->parity ^= 1;
  }
}

/* Past the stages of a whole tile. */
__device__ __forceinline__ void skip(ring *r)
{
  const unsigned stage = r->stage + STEPS % STAGES, around = stage >= STAGES;

  r->parity ^= (STEPS / STAGES + around) & 1;
  r->at += (stage - around * STAGES - r->stage) * STAGE_BYTES;
  r->stage = stage - around * STAGES;
}

__device__ __forceinline__ void wait_for(unsigned barrier, unsigned parity)
{
  asm volatile("{\n.reg .pred done;\nAGAIN:\n"
               "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra AGAIN;\n}"
               ::"r"(barrier), "r"(parity) : "memory");
}

__device__ __forceinline__ void expect_stage(unsigned full)
{
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(full), "n"(STAGE_BYTES) : "memory");
}

__device__ __forceinline__ void copy_tile(const tensor_map *map, unsigned to, unsigned full, int k, int row)
{
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
               ::"r"(to), "l"(map), "r"(k), "r"(row), "r"(full) : "memory");
}

/* The stage may be filled again. */
__device__ __forceinline__ void release(unsigned empty, int thread)
{
  if (thread == 0) asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(empty) : "memory");
}

/* Rows of 128 swizzled bytes, eight of them 1024 bytes before the next eight. */
__device__ __forceinline__ unsigned long long descriptor(unsigned at)
{
  return (1ull << 62) | (64ull << 32) | (1ull << 16) | ((at & 0x3ffff) >> 4);
}

/* Of one row of a warp's 16 x BN sums, `count` of a thread's columns from its `first` on; half: the row, or the eighth
   below. */
__device__ __forceinline__ void take_sums(float *total, const float sum[BN / 2], int first, int count, int half)
{
  _Pragma("unroll") for (int l = 0; l < count; ++l) total[l] = sum[4 * ((first + l) / 2) + 2 * half + (first + l) % 2];
}

/* Where in a tile a thread's column number `at` lies, the columns of one half behind those of the other. */
__device__ __forceinline__ int column_of(int at, int lane)
{
  const int group = at / RUN;

  return group % HALVES * TILE_COLUMNS + group / HALVES * (4 * RUN) + lane % 4 * RUN + at % RUN;
}

#if RUN > 2
/* All sums of a thread, whose first is that of `row` and the tile's first column `column`. Nothing is stored before
   what its neighbours load has been asked for; outside the result they load what is inside. */
__device__ __forceinline__ void finish_tile(PARAMETERS, const float sum[WM / 64][BN / 2], float *, int row, int column,
                                            int lane)
{
  _Pragma("unroll") for (int first = 0; first < TILE_COLUMNS / 4; first += AT_ONCE) {
    finished result[AT_ONCE / V][WM / 32];

    _Pragma("unroll") for (int at = first; at < first + AT_ONCE && at < TILE_COLUMNS / 4; at += V)
      _Pragma("unroll") for (int i = 0; i < WM / 32; ++i) {
        float total[HALVES * V];

        take_sums(total, sum[i / 2], at * HALVES, HALVES * V, i % 2);
        result[(at - first) / V][i] = evaluate(ARGUMENTS min(row + i / 2 * 64 + i % 2 * 8, M - 1),
                                               min(column + column_of(at * HALVES, lane), N - V), total);
      }
    _Pragma("unroll") for (int at = first; at < first + AT_ONCE && at < TILE_COLUMNS / 4; at += V)
      _Pragma("unroll") for (int i = 0; i < WM / 32; ++i) {
        const int down = row + i / 2 * 64 + i % 2 * 8, across = column + column_of(at * HALVES, lane);

        if (down < M && across < N) store(ARGUMENTS down, across, result[(at - first) / V][i]);
      }
  }
}
#else
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

/* One thread sends for all tiles of the block. */
__device__ __forceinline__ void send(PARAMETERS, const tensor_map *x_map, const tensor_map *w_map, ring r,
                                     unsigned full, unsigned empty)
{
  const int steps = LAST_STEP - FIRST_STEP, ahead = W_CONSTANT ? min(STAGES, steps) : 0;

  for (int s = 0; s < ahead; ++s) {
    expect_stage(full + s * 8);
    copy_tile(w_map, r.at + s * STAGE_BYTES + X_BYTES, full + s * 8, (FIRST_STEP + s) * BK, FIRST_TILE / TILES_M * BN);
  }
  START
  for (int tile = FIRST_TILE; tile < TILES; tile += APART)
    for (int step = 0; step < steps; ++step) {
      if (tile != FIRST_TILE || step >= ahead) {
        wait_for(empty + r.stage * 8, r.parity ^ 1);
        expect_stage(full + r.stage * 8);
        copy_tile(w_map, r.at + X_BYTES, full + r.stage * 8, (FIRST_STEP + step) * BK, tile / TILES_M * BN);
      }
      copy_tile(x_map, r.at, full + r.stage * 8, (FIRST_STEP + step) * BK, tile % TILES_M * BM);
      advance(&r);
    }
}

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

#if SPLIT > 1
/* The block's sums to where its stages were, and its part of the tile's rows from those of all. */
__device__ __forceinline__ void finish_together(PARAMETERS, float sum[WM / 64][BN / 2], float *sums, unsigned base,
                                                int row0, int column0, int group)
{
  const int lane = threadIdx.x % 32, warp = threadIdx.x % 128 / 32;

  asm volatile("bar.sync 3, %0;" ::"n"(128 * GROUPS) : "memory");       /* all groups are through with the stages */
  if (group < TEAM)
    _Pragma("unroll") for (int i = 0; i < WM / 32; ++i)
      _Pragma("unroll") for (int at = 0; at < BN / 4; at += PIECE) {
        wide<float, PIECE> piece;

        take_sums(piece.at, sum[i / 2], at, PIECE, i % 2);
        *(wide<float, PIECE> *)(sums + (group * WM + i / 2 * 64 + warp * 16 + i % 2 * 8 + lane / 4) * SUM_ROW +
                                column_of(at, lane)) = piece;
      }
  meet();
  finish_rows(ARGUMENTS base, SUM_ROW, row0, M, column0, PART, 128 * GROUPS);
  __syncwarp();
  meet();                                   /* nobody leaves while others read what it has */
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
  /* By a shuffle, so that the compiler knows all lanes to have the same: a step then takes 40 instructions of a warp,
     and not 57, as descriptors are made in uniform registers. */
  const int group = __shfl_sync(0xffffffffu, (int)threadIdx.x / 128, 0), thread = threadIdx.x % 128;
  ring r = { base, 0, 0 };

  if (threadIdx.x == 0) {
    for (int s = 0; s < STAGES; ++s) {
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(full + s * 8) : "memory");
      asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(empty + s * 8), "n"(TEAM) : "memory");
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  if (group == GROUPS) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(GROUPS == 2 ? 40 : 32));
    if (thread == 0) send(ARGUMENTS &x_map, &w_map, r, full, empty);
#if SPLIT > 1
    __syncwarp();
    meet();
    meet();
#endif
  } else {
    const int lane = thread % 32, warp = thread / 32, part = group % TEAM;
    float *scratch = (float *)(memory + (full - given) + BARRIER_BYTES) + (group * 4 + warp) * 16 * FINISH_ROW;
    float sum[WM / 64][BN / 2];

    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(GROUPS == 2 ? 232 : 160));
    START
#if SPLIT > 1
    if (group < TEAM) multiply_tile(sum, &r, part, full, empty, thread, true);
    finish_together(ARGUMENTS sum, (float *)(memory + (base - given)), base, FIRST_TILE % TILES_M * BM,
                    FIRST_TILE / TILES_M * TILE_COLUMNS, group);
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
