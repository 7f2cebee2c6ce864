/* What kernels share whose warp groups multiply what another sends for by the tensor copy engine: the ring of stages in
   shared memory, and how a tile's sums are finished in the registers that hold them. In front of wgmma.cuh and
   parts.cuh, which say what their generators define, behind cluster.cuh.

   Defined by the generator besides:
     GROUPS      warp groups that multiply
     X_BOXES     that have a stage's columns of x, side by side
     W_BOXES     that have its rows of w, COLUMNS rows apart
   x_map has boxes of BM and w_map of BN rows, of 128 bytes that are swizzled. */
#define BK 64                               /* elements of K that a stage has */
#define X_BYTES (BM * 128 * X_BOXES)
#define W_BYTES (BN * 128)                  /* of a box */
#define STAGE_BYTES (X_BYTES + W_BYTES * W_BOXES)
#define WM (BM / TEAM)
#define STEPS ((K + BK - 1) / BK)
#define TILES_M ((M + BM - 1) / BM)
#define TILES (TILES_M * ((COLUMNS + BN - 1) / BN))
#define TILE_COLUMNS (BN / HALVES)          /* of the result */
#define PIECE (RUN < 4 ? 2 : 4)             /* floats that go to shared memory at once */
/* Floats; so that the rows of one store lie in different banks. */
#define SUM_ROW (BN + (RUN == 8 ? 4 : RUN == 4 ? 16 - BN % 32 : 8))
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

__device__ __forceinline__ void copy_box(const tensor_map *map, unsigned to, unsigned full, int k, int row)
{
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
               ::"r"(to), "l"(map), "r"(k), "r"(row), "r"(full) : "memory");
}

/* A tile's operands for a step over K, into the stage at `at`. */
__device__ __forceinline__ void copy_x(const tensor_map *map, unsigned at, unsigned full, int step, int tile)
{
  _Pragma("unroll") for (int i = 0; i < X_BOXES; ++i)
    copy_box(map, at + i * BM * 128, full, step * BK + i * (BK / X_BOXES), tile % TILES_M * BM);
}

__device__ __forceinline__ void copy_w(const tensor_map *map, unsigned at, unsigned full, int step, int tile)
{
  _Pragma("unroll") for (int i = 0; i < W_BOXES; ++i)
    copy_box(map, at + X_BYTES + i * W_BYTES, full, step * BK, i * COLUMNS + tile / TILES_M * BN);
}

/* One thread sends for all tiles of the block. */
__device__ __forceinline__ void send(PARAMETERS, const tensor_map *x_map, const tensor_map *w_map, ring r,
                                     unsigned full, unsigned empty)
{
  const int steps = LAST_STEP - FIRST_STEP, ahead = W_CONSTANT ? min(STAGES, steps) : 0;

  for (int s = 0; s < ahead; ++s) {
    expect_stage(full + s * 8);
    copy_w(w_map, r.at + s * STAGE_BYTES, full + s * 8, FIRST_STEP + s, FIRST_TILE);
  }
  START
  for (int tile = FIRST_TILE; tile < TILES; tile += APART)
    for (int step = 0; step < steps; ++step) {
      if (tile != FIRST_TILE || step >= ahead) {
        wait_for(empty + r.stage * 8, r.parity ^ 1);
        expect_stage(full + r.stage * 8);
        copy_w(w_map, r.at, full + r.stage * 8, FIRST_STEP + step, tile);
      }
      copy_x(x_map, r.at, full + r.stage * 8, FIRST_STEP + step, tile);
      advance(&r);
    }
}

/* Stages are full when all is copied, and empty when `users` have released them. */
__device__ __forceinline__ void set_up(unsigned full, unsigned empty, int users)
{
  if (threadIdx.x == 0) {
    for (int s = 0; s < STAGES; ++s) {
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(full + s * 8) : "memory");
      asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(empty + s * 8), "r"(users) : "memory");
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
}

/* What the group does that multiplies nothing. */
__device__ __forceinline__ void send_all(PARAMETERS, const tensor_map *x_map, const tensor_map *w_map, const ring &r,
                                         unsigned full, unsigned empty)
{
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(GROUPS == 2 ? 40 : 32));
  if (threadIdx.x % 128 == 0) send(ARGUMENTS x_map, w_map, r, full, empty);
#if SPLIT > 1
  __syncwarp();
  meet();
  meet();
#endif
}

/* The stage may be filled again, as far as that thread's user of it knows which is number 0. */
__device__ __forceinline__ void release(unsigned empty, int number)
{
  if (number == 0) asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(empty) : "memory");
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
#endif

#if SPLIT > 1
/* The block's sums to where its stages were, and its part of the tile's rows from those of all. own: the row of the
   thread's first sum in those of its group. */
__device__ __forceinline__ void finish_together(PARAMETERS, float sum[WM / 64][BN / 2], float *sums, unsigned base,
                                                int row0, int column0, int group, int own)
{
  const int lane = threadIdx.x % 32;

  asm volatile("bar.sync 3, %0;" ::"n"(128 * GROUPS) : "memory");       /* all groups are through with the stages */
  if (group < TEAM)
    _Pragma("unroll") for (int i = 0; i < WM / 32; ++i)
      _Pragma("unroll") for (int at = 0; at < BN / 4; at += PIECE) {
        wide<float, PIECE> piece;

        take_sums(piece.at, sum[i / 2], at, PIECE, i % 2);
        *(wide<float, PIECE> *)(sums + (group * WM + i / 2 * 64 + i % 2 * 8 + own) * SUM_ROW +
                                column_of(at, lane)) = piece;
      }
  meet();
  finish_rows(ARGUMENTS base, SUM_ROW, row0, M, column0, PART, 128 * GROUPS);
  __syncwarp();
  meet();                                   /* nobody leaves while others read what it has */
}
#endif
