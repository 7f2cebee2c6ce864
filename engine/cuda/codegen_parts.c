#include "engine/cuda/codegen_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/cuda/bf16_parts.h"
#include "engine/cuda/codegen_matmul.h"
#include "engine/cuda/codegen_product.h"

extern const char pf_nvrtc_cluster[], pf_nvrtc_warp_groups[], pf_nvrtc_parts[];     /* kernels/nvrtc/<name>.cuh */

enum {
    SOURCE_LIMIT_BYTES = 1 << 20, SHARED_LIMIT_BYTES = 227 << 10, ALIGNMENT_BYTES = 1024, BARRIER_BYTES = 256,
    ROWS = 64,                              /* of a warp group */
    COLUMNS_MAX = 128, COLUMNS_MAX_OF_THREE = 80,   /* of a tile, by how many registers a thread has */
    STAGES_MAX = 8,
    OWN_COLUMNS = 96, OWN_COLUMNS_OF_THREE = 64,    /* as far as there are registers for two sums besides; fewer */
    FACTOR_COLUMNS = 16,                            /* with factors */
    TERM = 16,                              /* elements of K that the instruction takes */
    PACK_ALONE = 1 << 18,                   /* elements: fewer are not shared out among threads */
};

const char *pf_codegen_parts_declines(const pf_problem *p)
{
    const char *reason = pf_codegen_matmul_declines_scaled(p, true);
    cg_product  product;

    if (reason) return reason;
    cg_product_recognize_scaled(p, &product);
    if (!product.wide) return "operands of 16 bits";
    if (!pf_problem_is_bound(p)) return "shapes that vary";
    if (product.batched) return "a batch of products";
    if (!p->in_constant[product.w]) return "weights that are computed";
    if (product.k % 4) return "rows of x that are no multiple of 16 bytes";
    if (cg_product_vector(p, &product) < 4) return "rows of the result at odd places";
    return product.m < ROWS ? "too few rows" : NULL;
}

/* ---- Tunings */

bool pf_parts_tuning_read(const char *text, pf_parts_tuning *out)
{
    return sscanf(text, PF_PARTS_TUNING, &out->columns, &out->groups, &out->team, &out->depth, &out->split,
                  &out->stages) == 6;
}

static int rows_of(const pf_parts_tuning *t) { return ROWS * t->team; }

static int stage_bytes(const cg_product *product, const pf_parts_tuning *t)
{
    return CG_STEP_K * (rows_of(t) * 4 + t->columns * 2 * product->parts);
}

static uint32_t shared_bytes(const cg_product *product, const pf_parts_tuning *t)
{
    int scratch = (t->depth - 1) * ROWS * t->columns * 4;

    return (uint32_t)(ALIGNMENT_BYTES + t->stages * stage_bytes(product, t) + BARRIER_BYTES + scratch);
}

static int columns_max(const pf_parts_tuning *t) { return t->groups == 3 ? COLUMNS_MAX_OF_THREE : COLUMNS_MAX; }

static bool is_tuning(const cg_product *product, const pf_parts_tuning *t)
{
    bool shares = t->team * t->depth == t->groups, turns = t->team == 1 && t->depth == 1;
    bool counts = t->columns >= 16 && t->columns % 16 == 0 && t->columns <= columns_max(t) && t->groups >= 2 &&
                  t->groups <= 3 && t->team >= 1 && t->depth >= 1 && t->depth <= 2 && t->split >= 1 && t->split <= 8;

    return counts && (shares || (turns && t->split == 1)) && t->stages >= 2 * t->depth && t->stages <= STAGES_MAX &&
           t->stages % t->depth == 0 &&     /* a stage is always the same group's */
           t->split <= cg_up(product->k, CG_STEP_K) &&
           (t->split == 1 || rows_of(t) * (t->columns + 16) * 4 <= t->stages * stage_bytes(product, t)) &&
           shared_bytes(product, t) <= SHARED_LIMIT_BYTES;
}

typedef struct shape { int columns, groups, team, depth; } shape;
static const shape shapes[] = {
    { 32, 3, 1, 1 },  { 48, 3, 1, 1 },  { 64, 3, 1, 1 },  { 80, 3, 1, 1 },  { 64, 2, 1, 1 },  { 80, 2, 1, 1 },
    { 96, 2, 1, 1 },  { 112, 2, 1, 1 }, { 128, 2, 1, 1 }, { 48, 2, 2, 1 },  { 64, 2, 2, 1 },  { 80, 2, 2, 1 },
    { 96, 2, 2, 1 },  { 112, 2, 2, 1 }, { 128, 2, 2, 1 }, { 48, 3, 3, 1 },  { 64, 3, 3, 1 },  { 80, 3, 3, 1 },
    { 32, 2, 1, 2 },  { 48, 2, 1, 2 },  { 64, 2, 1, 2 },  { 80, 2, 1, 2 },  { 96, 2, 1, 2 },
};

/* As many stages as there is room for. */
static pf_parts_tuning tuning_of(const cg_product *product, int s, int split)
{
    pf_parts_tuning t = { shapes[s].columns, shapes[s].groups, shapes[s].team, shapes[s].depth, split, STAGES_MAX };

    while (t.stages > 2 && shared_bytes(product, &t) > SHARED_LIMIT_BYTES) t.stages -= t.depth;
    return t;
}

/* A guess in nanoseconds, good enough to order by. A step over 16 of K lasts as long as tensor cores or an SM's part of
   L2 take, a stage has a beginning of its own, and a tile's end is hidden where groups take turns. Rates of an H200. */
static double guess_ns(const cg_product *product, const pf_parts_tuning *t, int sm_count)
{
    double tiles = (double)(cg_up(product->m, rows_of(t)) * cg_up(product->n, t->columns));
    double blocks = tiles * t->split, rounds = ceil(blocks / sm_count), terms = product->parts == 3 ? 6 : 3;
    double bytes_per_ns = fmin(118, 11800 / fmin(blocks, sm_count));
    double step = fmax(terms * t->columns * t->team * 0.22, stage_bytes(product, t) / 4 / bytes_per_ns);
    double multiply = ceil((double)cg_up(product->k, TERM) / t->split) * step +
                      ceil((double)cg_up(product->k, CG_STEP_K) / t->split) * 350 / t->depth;
    double finish = 360 + ROWS * t->columns * 0.3 + (t->split > 1 ? 1500 : 0);

    if (t->team * t->depth > 1) return rounds * (multiply + finish);
    return fmax(rounds * multiply, ceil(rounds / t->groups) * (multiply + finish)) + finish;
}

static double guess(const cg_product *product, int s, int split, int sm_count)
{
    pf_parts_tuning t = tuning_of(product, s, split);

    return is_tuning(product, &t) && t.columns < product->n + TERM ? guess_ns(product, &t, sm_count) : -1;
}

int pf_codegen_parts_tunings(const pf_problem *p, int sm_count, pf_parts_tuning *out, int max)
{
    cg_tiling  list[PF_PARTS_TUNINGS];
    cg_product product;
    int        count = cg_product_tilings(p, sm_count, sizeof shapes / sizeof *shapes, guess, list,
                                          max < PF_PARTS_TUNINGS ? max : PF_PARTS_TUNINGS);

    cg_product_recognize_scaled(p, &product);
    for (int i = 0; i < count; i++) out[i] = tuning_of(&product, list[i].shape, list[i].split);
    return count;
}

/* ---- Emitting */

/* The instruction over 64 x columns x 16: every thread has columns / 2 sums, and four registers of x. */
static void print_multiply(int columns, pf_buf *out)
{
    int sums = columns / 2;

    pf_buf_printf(out, "__device__ __forceinline__ "
                       "void multiply(float sum[%d], const unsigned x[4], unsigned long long w, int add)\n{\n"
                       "  asm volatile(\"{\\n", sums);
    pf_buf_printf(out, ".reg .pred add;\\nsetp.ne.b32 add, %%%d, 0;\\n"
                       "wgmma.mma_async.sync.aligned.m64n%dk16.f32.bf16.bf16 {", sums + 5, columns);
    for (int i = 0; i < sums; i++) pf_buf_printf(out, "%s%%%d", i ? "," : "", i);
    pf_buf_printf(out, "}, {%%%d,%%%d,%%%d,%%%d}, %%%d, add, 1, 1, 0;\\n}\"\n    : ", sums, sums + 1, sums + 2,
                  sums + 3, sums + 4);
    for (int i = 0; i < sums; i++) pf_buf_printf(out, "%s\"+f\"(sum[%d])", i ? ", " : "", i);
    pf_buf_printf(out, " : \"r\"(x[0]), \"r\"(x[1]), \"r\"(x[2]), \"r\"(x[3]), \"l\"(w), \"r\"(add));\n}\n");
}

/* Neighbouring columns that a thread has the sums of, and finishes at once. */
static int run_of(const pf_problem *p, const cg_product *product, const pf_parts_tuning *t)
{
    return t->columns % 32 ? 4 : cg_product_vector(p, product);
}

/* Of a part of w as they are packed. */
static int64_t packed_rows(const cg_product *product, int run) { return cg_up(product->n, 4 * run) * 4 * run; }
static int64_t packed_k(const cg_product *product) { return cg_up(product->k, TERM) * TERM; }

/* Sums of 16 elements that a group has at once. */
static int own_of(const cg_product *product, const pf_parts_tuning *t)
{
    int most = (t->groups == 3 ? OWN_COLUMNS_OF_THREE : OWN_COLUMNS) - (product->scaled ? FACTOR_COLUMNS : 0);

    return t->columns <= most ? 2 : 1;
}

static void print_defines(const cg_product *product, const pf_parts_tuning *t, int run, pf_buf *out)
{
    pf_buf_printf(out, "#define M %lld\n#define N %lld\n#define K %lld\n#define COLUMNS %lld\n#define HALVES 1\n",
                  (long long)product->m, (long long)product->n, (long long)product->k,
                  (long long)packed_rows(product, run));
    pf_buf_printf(out, "#define BM %d\n#define BN %d\n#define TEAM %d\n#define DEPTH %d\n#define GROUPS %d\n",
                  rows_of(t), t->columns, t->team, t->depth, t->groups);
    pf_buf_printf(out, "#define SPLIT %d\n#define STAGES %d\n#define PARTS %d\n#define X_BOXES 2\n#define W_BOXES %d\n"
                       "#define RUN %d\n#define V %d\n#define OWN %d\n", t->split, t->stages, product->parts,
                  product->parts, run, run, own_of(product, t));
}

static pf_status print_source(const pf_problem *p, const cg_product *product, const pf_parts_tuning *t, int run,
                              pf_buf *out, pf_err *err)
{
    pf_status st = PF_OK;

    pf_buf_printf(out, "%s", cg_prelude);
    cg_product_print_index(p, product, out);
    print_defines(product, t, run, out);
    cg_product_print_defines(p, product, out);
    cg_product_print_factor(product, out);
    print_multiply(t->columns, out);
    st = cg_product_emit_finish(p, product, run, out, err);
    pf_buf_printf(out, "%s%s%s", pf_nvrtc_cluster, pf_nvrtc_warp_groups, pf_nvrtc_parts);
    if (!st && out->failed)
        st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    return st;
}

pf_status pf_codegen_parts(const pf_problem *p, const pf_parts_tuning *t, pf_program *out, pf_err *err)
{
    cg_product  product;
    const char *reason = cg_product_recognize_scaled(p, &product);
    uint64_t    rows = 0, k = 0;
    int         run = 0;
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    if (reason) return PF_FAIL(err, PF_UNSUPPORTED, "%s", reason);
    if (!is_tuning(&product, t))
        return PF_FAIL(err, PF_INVALID, "%d columns for %d warp groups are no tile", t->columns, t->groups);
    run = run_of(p, &product, t);
    rows = (uint64_t)(product.parts * packed_rows(&product, run));
    k = (uint64_t)packed_k(&product);
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    st = print_source(p, &product, t, run, &out->source, err);
    out->grid[0] = (uint32_t)(cg_up(product.m, rows_of(t)) * cg_up(product.n, t->columns) * t->split);
    out->grid[1] = out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = (uint32_t)(128 * (t->groups + 1));
    out->shared_bytes = shared_bytes(&product, t);
    out->stays = t->split == 1;
    out->map_count = 2;
    out->maps[0] = (pf_program_map){ product.x, (uint64_t)product.m, (uint64_t)product.k,
                                     (uint64_t)cg_product_x_row(p, &product), (uint32_t)rows_of(t), PF_F32 };
    out->maps[1] = (pf_program_map){ product.w, rows, k, k, (uint32_t)t->columns, PF_BF16 };
    out->packs = true;
    out->packed_input = product.w;
    out->packed_form = run;
    out->packed_bytes = (size_t)(rows * k) * 2;
    if (st) pf_program_clear(out);
    return st;
}

/* ---- Packing */

/* One column of the product, to its row of each part. Of each TERM elements of K a thread has four neighbours
   (parts.cuh). */
static void pack_column(const cg_product *product, const float *from, int64_t column, uint16_t *row, int64_t part_elems)
{
    for (int64_t i = 0; i < product->k; i++) {
        uint16_t parts[PF_BF16_PARTS_MAX];

        pf_bf16_take_apart(product->trans_w ? from[column * product->k + i] : from[i * product->n + column],
                           product->parts, parts);
        for (int part = 0; part < product->parts; part++)
            row[part * part_elems + cg_warp_group_place(i, TERM / 4)] = parts[part];
    }
}

void pf_codegen_parts_pack(const pf_problem *p, int form, const pf_tensor *weights, void *to)
{
    cg_product product;
    uint16_t  *rows = to;
    int64_t    k = 0, part_elems = 0;

    cg_product_recognize_scaled(p, &product);
    k = packed_k(&product);
    part_elems = packed_rows(&product, form) * k;
    memset(to, 0, (size_t)(product.parts * part_elems) * 2);
#pragma omp parallel for schedule(static) if (product.n * product.k > PACK_ALONE)
    for (int64_t column = 0; column < product.n; column++)
        pack_column(&product, weights->data, column, rows + cg_warp_group_place(column, form) * k, part_elems);
}
