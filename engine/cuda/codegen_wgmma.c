#include "engine/cuda/codegen_wgmma.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/cuda/codegen_matmul.h"
#include "engine/cuda/codegen_product.h"

extern const char pf_nvrtc_cluster[], pf_nvrtc_warp_groups[], pf_nvrtc_wgmma[];     /* kernels/nvrtc/<name>.cuh */

enum {
    SOURCE_LIMIT_BYTES = 1 << 20, SHARED_LIMIT_BYTES = 227 << 10, ALIGNMENT_BYTES = 1024, BARRIER_BYTES = 256,
    ROWS_MIN = 64,                          /* of a result: fewer rows leave the instruction's 64 unused */
    TILE_COLUMNS_MAX = 256,
    SUMS_MAX = 128, SUMS_MAX_OF_THREE = 96, /* of a thread, by how many registers it has */
    PACK_BLOCK = 64,
    PACK_ALONE = 1 << 20,       /* elements: fewer are not shared out among threads */
};

#define LONG_NS 20000.0     /* a product that takes so long is worth twice the tunings */

const char *pf_codegen_wgmma_declines(const pf_problem *p)
{
    const char *reason = pf_codegen_matmul_declines_packed(p);
    cg_product  product;

    if (reason) return reason;
    cg_product_recognize(p, &product);
    if (!pf_problem_is_bound(p)) return "shapes that vary";
    if (product.halves > 1 && (cg_product_vector(p, &product) < 4 || !p->in_constant[product.w]))
        return "a gate whose weights nobody can pack";
    if (product.wide) return "FP32 operands";
    if (product.k % 8) return "rows that are no multiple of 16 bytes";
    if (product.m < ROWS_MIN) return "too few rows";
    return !product.trans_w && !p->in_constant[product.w] ? "weights that are computed, and lie transposed" : NULL;
}

/* ---- Tunings */

bool pf_wgmma_tuning_read(const char *text, pf_wgmma_tuning *out)
{
    return sscanf(text, PF_WGMMA_TUNING, &out->rows, &out->columns, &out->team, &out->split, &out->stages) == 5;
}

typedef struct shape { int rows, columns, team, stages; } shape;
static const shape shapes[] = {
    { 128, 128, 1, 6 }, { 192, 192, 3, 4 }, { 192, 128, 3, 5 }, { 64, 256, 1, 5 }, { 64, 192, 1, 6 },
    { 128, 256, 2, 4 }, { 128, 192, 2, 5 }, { 128, 96, 1, 6 },  { 128, 64, 1, 8 }, { 64, 128, 1, 8 },
    { 64, 96, 1, 10 },  { 64, 64, 1, 12 },  { 64, 48, 1, 12 },  { 64, 80, 1, 11 }, { 64, 112, 1, 9 },
};

static int groups_of(const pf_wgmma_tuning *t) { return t->team == 1 ? 2 : t->team; }

/* finish_columns 0: sums are finished where they are. */
static uint32_t shared_bytes(const pf_wgmma_tuning *t, int finish_columns)
{
    int scratch = finish_columns ? groups_of(t) * 4 * 16 * (finish_columns + 8) * 4 : 0;

    return (uint32_t)(ALIGNMENT_BYTES + t->stages * (t->rows + t->columns) * CG_STEP_K * 2 + BARRIER_BYTES + scratch);
}

/* The widest part of a tile that there is room to finish at once; 0: none. */
static int finish_columns_of(const pf_wgmma_tuning *t)
{
    static const int widths[] = { 64, 32, 16 };

    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        if (t->columns % widths[i] == 0 && shared_bytes(t, widths[i]) <= SHARED_LIMIT_BYTES) return widths[i];
    return 0;
}

/* How a tile's sums are finished. run: neighbouring columns that a thread has the sums of; vector: those that it
   finishes at once. Threads whose stores would be narrower than eight bytes leave them to neighbours that share a line,
   through shared memory; so do weights that nobody can pack. */
typedef struct finishing { int run, vector, columns; } finishing;

/* A group of columns that the threads of a row share lies whole in a tile. */
static bool holds_halves(const cg_product *product, const pf_wgmma_tuning *t)
{
    return t->columns % (16 * product->halves) == 0;
}

static finishing finishing_of(const pf_problem *p, const cg_product *product, const pf_wgmma_tuning *t)
{
    int vector = cg_product_vector(p, product), run = t->columns % (32 * product->halves) ? 4 : vector;

    if (vector < 4 || !p->in_constant[product->w]) return (finishing){ 2, vector, finish_columns_of(t) };
    return (finishing){ run, run, 0 };
}

static bool is_tuning(const pf_wgmma_tuning *t)
{
    bool counts = t->team >= 1 && t->team <= 3 && t->stages >= 2 && t->stages <= 16 && t->columns >= 16 &&
                  t->columns <= TILE_COLUMNS_MAX;

    if (t->split < 1 || t->split > 8 ||
        t->rows * (t->columns + 16) * 4 > t->stages * (t->rows + t->columns) * CG_STEP_K * 2)
        return false;
    return counts && t->rows >= 64 * t->team && t->rows <= 256 && t->rows % (64 * t->team) == 0 &&
           t->rows / t->team / 64 * t->columns / 2 <= (t->team == 3 ? SUMS_MAX_OF_THREE : SUMS_MAX) &&
           finish_columns_of(t) > 0;
}

/* A guess in nanoseconds, good enough to order by. A step over K lasts as long as the tensor cores or an SM's part of
   L2 take; a tile's end is hidden behind the other group's tile where they have their own, and else all groups share
   it. Rates of an H200, from 150 measured tunings of two dozen products; clusters of four and eight leave SMs idle
   there, as they lie within one of the chip's parts. */
static double clusters_at_once(int split, int sm_count)
{
    return floor(sm_count * (split < 4 ? 1 : split == 4 ? 0.85 : 0.61) / split);
}

static double guess_ns(const cg_product *product, const pf_wgmma_tuning *t, int sm_count)
{
    double tiles = (double)(cg_up(product->m, t->rows) * cg_up(product->n, t->columns)), blocks = tiles * t->split;
    double rounds = ceil(tiles / fmax(clusters_at_once(t->split, sm_count), 1));
    double bytes_per_ns = fmin(118, 12500 / fmin(blocks, sm_count));
    double sums = t->rows * t->columns;
    double step = fmax(sums * 0.0225, (t->rows + t->columns) * CG_STEP_K * 2 / bytes_per_ns);
    double multiply = (double)cg_up(cg_up(product->k, CG_STEP_K), t->split) * step;
    double finish = 500 + sums * (t->team == 1 ? 0.1 : 0.04);

    if (t->split > 1) return 1300 + rounds * (multiply + 1500 + sums * (0.05 + 0.17 / t->split));
    return 1300 + (t->team > 1 ? rounds * (multiply + finish)
                               : fmax(rounds * multiply, rounds / 2 * (multiply + finish)) + finish);
}

static pf_wgmma_tuning tuning_of(int s, int split)
{
    return (pf_wgmma_tuning){ shapes[s].rows, shapes[s].columns, shapes[s].team, split, shapes[s].stages };
}

static double guess(const cg_product *product, int s, int split, int sm_count)
{
    pf_wgmma_tuning t = tuning_of(s, split);

    return is_tuning(&t) && holds_halves(product, &t) ? guess_ns(product, &t, sm_count) : -1;
}

/* The best tuning of a product of 25 us was the sixth guess. */
int pf_codegen_wgmma_tunings(const pf_problem *p, int sm_count, pf_wgmma_tuning *out, int max)
{
    cg_tiling list[PF_WGMMA_TUNINGS];
    int       count = cg_product_tilings(p, sm_count, sizeof shapes / sizeof *shapes, guess, list, PF_WGMMA_TUNINGS);
    int       wanted = count && list[0].ns > LONG_NS ? 2 * max : max;

    count = count < wanted ? count : wanted;
    for (int i = 0; i < count; i++) out[i] = tuning_of(list[i].shape, list[i].split);
    return count;
}

/* ---- Emitting */

/* The instruction over 64 x columns x 16: every thread has columns / 2 sums. */
static void print_multiply(int columns, const char *type, pf_buf *out)
{
    int sums = columns / 2;

    pf_buf_printf(out, "__device__ __forceinline__ "
                       "void multiply(float sum[%d], unsigned long long x, unsigned long long w, int add)\n{\n"
                       "  asm volatile(\"{\\n", sums);
    pf_buf_printf(out, ".reg .pred add;\\nsetp.ne.b32 add, %%%d, 0;\\n"
                       "wgmma.mma_async.sync.aligned.m64n%dk16.f32.%s.%s {", sums + 2, columns, type, type);
    for (int i = 0; i < sums; i++) pf_buf_printf(out, "%s%%%d", i ? "," : "", i);
    pf_buf_printf(out, "}, %%%d, %%%d, add, 1, 1, 0, 0;\\n}\"\n    : ", sums, sums + 1);
    for (int i = 0; i < sums; i++) pf_buf_printf(out, "%s\"+f\"(sum[%d])", i ? ", " : "", i);
    pf_buf_printf(out, " : \"l\"(x), \"l\"(w), \"r\"(add));\n}\n");
}

/* Rows of w as they are packed. */
static int64_t packed_columns(const cg_product *product, int run)
{
    int64_t columns = cg_product_columns(product);

    return (run > 2 ? cg_up(columns, 4 * run) * 4 * run : columns) * product->halves;
}

static void print_defines(const cg_product *product, const pf_wgmma_tuning *t, const finishing *f, pf_buf *out)
{
    pf_buf_printf(out, "#define M %lld\n#define N %lld\n#define HALVES %d\n#define COLUMNS %lld\n",
                  (long long)product->m, (long long)cg_product_columns(product), product->halves,
                  (long long)packed_columns(product, f->run));
    pf_buf_printf(out, "#define K %lld\n#define BM %d\n#define BN %d\n", (long long)product->k, t->rows, t->columns);
    pf_buf_printf(out, "#define STAGES %d\n#define TEAM %d\n#define GROUPS %d\n#define SPLIT %d\n", t->stages, t->team,
                  groups_of(t), t->split);
    pf_buf_printf(out, "#define X_BOXES 1\n#define W_BOXES 1\n");
    pf_buf_printf(out, "#define V %d\n#define RUN %d\n#define FINISH_COLUMNS %d\n", f->vector, f->run, f->columns);
}

static pf_status print_source(const pf_problem *p, const cg_product *product, const pf_wgmma_tuning *t,
                              const finishing *f, pf_buf *out, pf_err *err)
{
    bool      half = pf_graph_value(p->graph, product->node->in[0])->dtype == PF_F16;
    pf_status st = PF_OK;

    pf_buf_printf(out, "%s", cg_prelude);
    cg_product_print_index(p, product, out);
    print_defines(product, t, f, out);
    cg_product_print_defines(p, product, out);
    print_multiply(t->columns, half ? "f16" : "bf16", out);
    st = cg_product_emit_finish(p, product, f->vector, out, err);
    pf_buf_printf(out, "%s%s%s", pf_nvrtc_cluster, pf_nvrtc_warp_groups, pf_nvrtc_wgmma);
    if (!st && out->failed)
        st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    return st;
}

pf_status pf_codegen_wgmma(const pf_problem *p, const pf_wgmma_tuning *t, pf_program *out, pf_err *err)
{
    cg_product  product;
    const char *reason = cg_product_recognize(p, &product);
    pf_dtype    dtype = PF_DTYPE_NONE;
    finishing   f = { 0 };
    int64_t     columns = 0;
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    if (reason) return PF_FAIL(err, PF_UNSUPPORTED, "%s", reason);
    if (!is_tuning(t) || !holds_halves(&product, t))
        return PF_FAIL(err, PF_INVALID, "a tile of %d x %d for %d warp groups is none", t->rows, t->columns, t->team);
    dtype = pf_graph_value(p->graph, product.node->in[0])->dtype;
    f = finishing_of(p, &product, t);
    columns = packed_columns(&product, f.run);
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    st = print_source(p, &product, t, &f, &out->source, err);
    out->grid[0] = (uint32_t)(cg_up(product.m, t->rows) * cg_up(columns, t->columns) * t->split);
    out->grid[1] = out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = (uint32_t)(128 * (groups_of(t) + 1));
    out->shared_bytes = shared_bytes(t, f.columns);
    out->stays = t->split == 1;
    out->map_count = 2;
    out->maps[0] = (pf_program_map){ product.x, (uint64_t)product.m, (uint64_t)product.k,
                                     (uint64_t)cg_product_x_row(p, &product), (uint32_t)t->rows, dtype };
    out->maps[1] = (pf_program_map){ product.w, (uint64_t)columns, (uint64_t)product.k, (uint64_t)product.k,
                                     (uint32_t)t->columns, dtype };
    out->packs = p->in_constant[product.w];
    out->packed_input = product.w;
    out->packed_form = f.run;
    out->packed_bytes = out->packs ? (size_t)(columns * product.k) * 2 : 0;
    if (st) pf_program_clear(out);
    return st;
}

/* ---- Packing */

/* The row of the packed matrix for a column of the product: neighbours that a thread has are to be neighbours in the
   result too, and groups of two halves take turns. */
static int64_t row_of(const cg_product *product, int64_t column, int run)
{
    int64_t half = column / cg_product_columns(product), own = column % cg_product_columns(product);
    int64_t group = own / (4 * run);

    return (group * product->halves + half) * 4 * run + cg_warp_group_place(own, run) % (4 * run);
}

/* Block by block: a column's elements lie n apart.  Threads write columns of their own. */
static void transpose(const cg_product *product, const uint16_t *from, int run, uint16_t *to)
{
    int64_t k = product->k, n = product->n;

#pragma omp parallel for schedule(static) if (k * n > PACK_ALONE)
    for (int64_t column = 0; column < n; column += PACK_BLOCK)
        for (int64_t row = 0; row < k; row += PACK_BLOCK)
            for (int64_t c = column; c < n && c < column + PACK_BLOCK; c++) {
                uint16_t *line = to + row_of(product, c, run) * k;

                for (int64_t r = row; r < k && r < row + PACK_BLOCK; r++) line[r] = from[r * n + c];
            }
}

void pf_codegen_wgmma_pack(const pf_problem *p, int form, const pf_tensor *weights, void *to)
{
    cg_product      product;
    const uint16_t *from = weights->data;
    uint16_t       *rows = to;

    cg_product_recognize(p, &product);
    if (!product.trans_w) transpose(&product, from, form, rows);
    for (int64_t c = 0; product.trans_w && c < product.n; c++)
        memcpy(rows + row_of(&product, c, form) * product.k, from + c * product.k, (size_t)product.k * 2);
}
