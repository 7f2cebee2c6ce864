/* A product x[M,K] w[N,K] with everything behind it. One warp group sends for tiles of both operands by the tensor copy engine, STAGES deep; two others
   multiply what has come with wgmma. Blocks stay and take one tile of BM x BN after another. With TEAM 2 both multiply one tile; with TEAM 1 each has
   a tile of its own, and one finishes its tile while the other multiplies. With SPLIT above 1 the blocks of a cluster have one tile, each a part of K,
   and add up through each other's shared memory, always in the same order. (Clusters that share a tile by multicast were half as fast on an H200.)

   Defined by the generator:
     M, N, K, BM, BN, STAGES, TEAM, SPLIT, FINISH_COLUMNS; multiply(sum, x, w, add): one wgmma over 64 x BN x 16, x and w by their descriptors;
     START: waits for the kernel before. W_CONSTANT: w is nobody's result, so that its first stages are on their way while that kernel still runs;
     V elements are finished at once: finish(ARGUMENTS row, column, sum) evaluates the epilogue at them and stores.
   x_map and w_map have boxes of BM x BK and BN x BK elements, whose rows of 128 bytes are swizzled. */
#define BK 64
#define GROUPS 2                            /* that multiply */
#define WM (BM / TEAM)
#define X_BYTES (BM * BK * 2)
#define STAGE_BYTES (X_BYTES + BN * BK * 2)
#define STEPS ((K + BK - 1) / BK)
#define TILES_M ((M + BM - 1) / BM)
#define TILES (TILES_M * ((N + BN - 1) / BN))
#define FINISH_ROW (FINISH_COLUMNS + 8)     /* floats; so that the rows of a store lie in different banks */
#define BARRIER_BYTES 256
#define SUM_ROW (BN + 8)
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

struct ring { unsigned at, stage, parity; };                /* the stage's start, its number, and which round it is in */

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
  asm volatile("{\n.reg .pred done;\nAGAIN:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra AGAIN;\n}" ::"r"(barrier), "r"(parity) : "memory");
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
  _Pragma("unroll") for (int j = 0; j < FINISH_COLUMNS / 8; ++j) _Pragma("unroll") for (int half = 0; half < 2; ++half)
    *(float2 *)(scratch + (half * 8 + lane / 4) * FINISH_ROW + j * 8 + lane % 4 * 2) = make_float2(sum[4 * j + 2 * half], sum[4 * j + 2 * half + 1]);
  __syncwarp();
  if (row + 16 <= M && column + FINISH_COLUMNS <= N)
    _Pragma("unroll 4") for (int i = 0; i < FINISH_COLUMNS / V / 2; ++i) finish_at(ARGUMENTS scratch, row, column, i * 32 + lane, true);
  else
    _Pragma("unroll 1") for (int v = lane; v < 16 * (FINISH_COLUMNS / V); v += 32) finish_at(ARGUMENTS scratch, row, column, v, false);
}

/* One thread sends for all tiles of the block. */
__device__ __forceinline__ void send(PARAMETERS, const tensor_map *x_map, const tensor_map *w_map, ring r, unsigned full, unsigned empty)
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

/* A tile's sums: rows part * WM of it and the next. The other group may look at its stages when we have seen all of ours, if there is a tile for it. */
__device__ __forceinline__ void multiply_tile(float sum[WM / 64][BN / 2], ring *r, int part, unsigned full, unsigned empty, int thread, bool last)
{
  const int steps = LAST_STEP - FIRST_STEP;
  unsigned before = 0;

  for (int step = 0; step < steps; ++step) {
    wait_for(full + r->stage * 8, r->parity);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    _Pragma("unroll") for (int k = 0; k < BK / 16; ++k) _Pragma("unroll") for (int m = 0; m < WM / 64; ++m)
      multiply(sum[m], descriptor(r->at + (part * WM + m * 64) * BK * 2) + k * 2, descriptor(r->at + X_BYTES) + k * 2, step > 0 || k > 0);
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    if (step > 0) {
      asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
      release(before, thread);
    }
    before = empty + r->stage * 8;
    advance(r);
  }
  if (TEAM == 1 && !last) asm volatile("bar.arrive %0, 256;" ::"r"(GROUPS - (int)threadIdx.x / 128) : "memory");
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
  release(before, thread);
}

#if SPLIT > 1
/* The block's sums to where its stages were, and its part of the tile's rows from those of all. */
__device__ __forceinline__ void finish_together(PARAMETERS, float sum[WM / 64][BN / 2], unsigned base, int row0, int column0, int group)
{
  const int lane = threadIdx.x % 32, warp = threadIdx.x % 128 / 32;

  asm volatile("bar.sync 3, 256;" ::: "memory");            /* both groups are through with the stages */
  if (group < TEAM)
    _Pragma("unroll") for (int m = 0; m < WM / 64; ++m) _Pragma("unroll") for (int j = 0; j < BN / 8; ++j) _Pragma("unroll") for (int half = 0; half < 2; ++half) {
      const int row = group * WM + m * 64 + warp * 16 + half * 8 + lane / 4, column = j * 8 + lane % 4 * 2;
      asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(base + (row * SUM_ROW + column) * 4), "f"(sum[m][4 * j + 2 * half]), "f"(sum[m][4 * j + 2 * half + 1]) : "memory");
    }
  meet();
  for (int v = threadIdx.x; v < BM / SPLIT * (BN / V); v += 128 * GROUPS) {
    const int row = PART * (BM / SPLIT) + v / (BN / V), column = v % (BN / V) * V;
    float total[V];

    if (row0 + row >= M || column0 + column >= N) continue;
    LANES total[l] = 0.0f;
    _Pragma("unroll") for (int s = 0; s < SPLIT; ++s) add_from(total, base + (row * SUM_ROW + column) * 4, s);
    finish(ARGUMENTS row0 + row, column0 + column, total);
  }
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
  const int group = threadIdx.x / 128, thread = threadIdx.x % 128;
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
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
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

    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    START
#if SPLIT > 1
    if (group < TEAM) multiply_tile(sum, &r, part, full, empty, thread, true);
    finish_together(ARGUMENTS sum, base, FIRST_TILE % TILES_M * BM, FIRST_TILE / TILES_M * BN, group);
#else
    for (int tile = FIRST_TILE, turn = 0; tile < TILES; tile += APART, ++turn) {
      const int row0 = tile % TILES_M * BM + part * WM + warp * 16, column0 = tile / TILES_M * BN;

      if (TEAM == 1 && turn % GROUPS != group) {
        skip(&r);
        continue;
      }
      /* The other group has seen all its stages: a wait for one of ours could take the round before for ours. */
      if (TEAM == 1 && turn > 0) asm volatile("bar.sync %0, 256;" ::"r"(1 + group) : "memory");
      multiply_tile(sum, &r, part, full, empty, thread, tile + APART >= TILES);
      _Pragma("unroll") for (int m = 0; m < WM / 64; ++m) _Pragma("unroll") for (int c = 0; c < BN / FINISH_COLUMNS; ++c)
        finish_part(ARGUMENTS sum[m] + c * (FINISH_COLUMNS / 2), scratch, row0 + m * 64, column0 + c * FINISH_COLUMNS, lane);
    }
#endif
  }
}
