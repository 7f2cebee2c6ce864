#include "engine/cuda/codegen_wgmma.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/cuda/codegen_matmul.h"
#include "engine/cuda/codegen_product.h"

extern const char pf_nvrtc_cluster[], pf_nvrtc_wgmma[];        /* kernels/nvrtc/<name>.cuh */

enum {
    SOURCE_LIMIT_BYTES = 1 << 20, SHARED_LIMIT_BYTES = 227 << 10, ALIGNMENT_BYTES = 1024, BARRIER_BYTES = 256, WARPS = 8, THREADS = 384,
    ROWS_MIN = 64,                          /* of a result: fewer rows leave the instruction's 64 unused */
    TILE_COLUMNS_MAX = 256, SUMS_MAX = 128, /* of a thread */
    PACK_BLOCK = 64,
};

const char *pf_codegen_wgmma_declines(const pf_problem *p)
{
    const char *reason = pf_codegen_matmul_declines(p);
    cg_product  product;

    if (reason) return reason;
    cg_product_recognize(p, &product);
    if (!pf_problem_is_bound(p)) return "shapes that vary";
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
    { 128, 128, 1, 5 }, { 64, 256, 1, 5 }, { 64, 192, 1, 6 }, { 128, 256, 2, 4 }, { 128, 192, 2, 5 }, { 128, 96, 1, 6 },  { 128, 64, 1, 8 },
    { 64, 128, 1, 8 },  { 64, 96, 1, 10 }, { 64, 64, 1, 12 }, { 64, 48, 1, 12 },  { 64, 80, 1, 11 },  { 64, 112, 1, 9 },
};

static uint32_t shared_bytes(const pf_wgmma_tuning *t, int finish_columns)
{
    return (uint32_t)(ALIGNMENT_BYTES + t->stages * (t->rows + t->columns) * CG_STEP_K * 2 + BARRIER_BYTES + WARPS * 16 * (finish_columns + 8) * 4);
}

/* The widest part of a tile that there is room to finish at once; 0: none. */
static int finish_columns_of(const pf_wgmma_tuning *t)
{
    static const int widths[] = { 64, 32, 16 };

    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        if (t->columns % widths[i] == 0 && shared_bytes(t, widths[i]) <= SHARED_LIMIT_BYTES) return widths[i];
    return 0;
}

static bool is_tuning(const pf_wgmma_tuning *t)
{
    bool counts = (t->team == 1 || t->team == 2) && t->stages >= 2 && t->stages <= 16 && t->columns >= 16 && t->columns <= TILE_COLUMNS_MAX;

    if (t->split < 1 || t->split > 8 || t->rows * (t->columns + 8) * 4 > t->stages * (t->rows + t->columns) * CG_STEP_K * 2) return false;
    return counts && t->rows >= 64 * t->team && t->rows <= 256 && t->rows % (64 * t->team) == 0 &&
           t->rows / t->team / 64 * t->columns / 2 <= SUMS_MAX && finish_columns_of(t) > 0;
}

/* A guess in nanoseconds, good enough to order by. A step over K lasts as long as the tensor cores or an SM's part of L2 take; a tile's end is hidden
   behind the other group's tile where they have their own. Rates of an H200, from 100 measured tunings of a dozen products; clusters of four and eight
   leave SMs idle there, as they lie within one of the chip's parts. */
static double clusters_at_once(int split, int sm_count)
{
    return floor(sm_count * (split < 4 ? 1 : split == 4 ? 0.85 : 0.61) / split);
}

static double guess_ns(const cg_product *product, const pf_wgmma_tuning *t, int sm_count)
{
    double tiles = (double)(cg_up(product->m, t->rows) * cg_up(product->n, t->columns)), blocks = tiles * t->split;
    double rounds = ceil(tiles / fmax(clusters_at_once(t->split, sm_count), 1)), bytes_per_ns = fmin(118, 10000 / fmin(blocks, sm_count));
    double step = fmax(t->rows * t->columns * 0.0237, (t->rows + t->columns) * CG_STEP_K * 2 / bytes_per_ns);
    double multiply = (double)cg_up(cg_up(product->k, CG_STEP_K), t->split) * step, finish = t->rows * t->columns * 0.17;

    if (t->split > 1) return 1300 + rounds * (multiply + 1500 + finish / t->split + t->rows * t->columns * 0.05);
    return 1300 + (t->team == 2 ? rounds * (multiply + finish) : fmax(rounds * multiply, rounds / 2 * (multiply + finish)) + finish);
}

static pf_wgmma_tuning tuning_of(int s, int split)
{
    return (pf_wgmma_tuning){ shapes[s].rows, shapes[s].columns, shapes[s].team, split, shapes[s].stages };
}

static double guess(const cg_product *product, int s, int split, int sm_count)
{
    pf_wgmma_tuning t = tuning_of(s, split);

    return is_tuning(&t) ? guess_ns(product, &t, sm_count) : -1;
}

int pf_codegen_wgmma_tunings(const pf_problem *p, int sm_count, pf_wgmma_tuning *out, int max)
{
    cg_tiling list[PF_WGMMA_TUNINGS];
    int       count = cg_product_tilings(p, sm_count, sizeof shapes / sizeof *shapes, guess, list, max < PF_WGMMA_TUNINGS ? max : PF_WGMMA_TUNINGS);

    for (int i = 0; i < count; i++) out[i] = tuning_of(list[i].shape, list[i].split);
    return count;
}

/* ---- Emitting */

/* The instruction over 64 x columns x 16: every thread has columns / 2 sums. */
static void print_multiply(int columns, const char *type, pf_buf *out)
{
    int sums = columns / 2;

    pf_buf_printf(out, "__device__ __forceinline__ void multiply(float sum[%d], unsigned long long x, unsigned long long w, int add)\n{\n  asm volatile(\"{\\n", sums);
    pf_buf_printf(out, ".reg .pred add;\\nsetp.ne.b32 add, %%%d, 0;\\nwgmma.mma_async.sync.aligned.m64n%dk16.f32.%s.%s {", sums + 2, columns, type, type);
    for (int i = 0; i < sums; i++) pf_buf_printf(out, "%s%%%d", i ? "," : "", i);
    pf_buf_printf(out, "}, %%%d, %%%d, add, 1, 1, 0, 0;\\n}\"\n    : ", sums, sums + 1);
    for (int i = 0; i < sums; i++) pf_buf_printf(out, "%s\"+f\"(sum[%d])", i ? ", " : "", i);
    pf_buf_printf(out, " : \"l\"(x), \"l\"(w), \"r\"(add));\n}\n");
}

static void print_defines(const cg_product *product, const pf_wgmma_tuning *t, int vector, pf_buf *out)
{
    pf_buf_printf(out, "#define M %lld\n#define N %lld\n#define K %lld\n#define BM %d\n#define BN %d\n", (long long)product->m, (long long)product->n,
                  (long long)product->k, t->rows, t->columns);
    pf_buf_printf(out, "#define STAGES %d\n#define TEAM %d\n#define SPLIT %d\n#define V %d\n#define FINISH_COLUMNS %d\n", t->stages, t->team, t->split, vector, finish_columns_of(t));
}

static pf_status print_source(const pf_problem *p, const cg_product *product, const pf_wgmma_tuning *t, pf_buf *out, pf_err *err)
{
    int       vector = cg_product_vector(p, product);
    bool      half = pf_graph_value(p->graph, product->node->in[0])->dtype == PF_F16;
    pf_status st = PF_OK;

    pf_buf_printf(out, "%s", cg_prelude);
    cg_product_print_index(product, out);
    print_defines(product, t, vector, out);
    cg_product_print_defines(p, product, out);
    print_multiply(t->columns, half ? "f16" : "bf16", out);
    st = cg_product_emit_finish(p, product, vector, out, err);
    pf_buf_printf(out, "%s%s", pf_nvrtc_cluster, pf_nvrtc_wgmma);
    return !st && out->failed ? PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES) : st;
}

pf_status pf_codegen_wgmma(const pf_problem *p, const pf_wgmma_tuning *t, pf_program *out, pf_err *err)
{
    cg_product  product;
    const char *reason = cg_product_recognize(p, &product);
    pf_dtype    dtype = PF_DTYPE_NONE;
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    if (reason) return PF_FAIL(err, PF_UNSUPPORTED, "%s", reason);
    if (!is_tuning(t)) return PF_FAIL(err, PF_INVALID, "a tile of %d x %d for %d warp groups is none", t->rows, t->columns, t->team);
    dtype = pf_graph_value(p->graph, product.node->in[0])->dtype;
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    st = print_source(p, &product, t, &out->source, err);
    out->grid[0] = (uint32_t)(cg_up(product.m, t->rows) * cg_up(product.n, t->columns) * t->split);
    out->grid[1] = out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = THREADS;
    out->shared_bytes = shared_bytes(t, finish_columns_of(t));
    out->stays = t->split == 1;
    out->map_count = 2;
    out->maps[0] = (pf_program_map){ product.x, (uint64_t)product.m, (uint64_t)product.k, (uint32_t)t->rows, dtype };
    out->maps[1] = (pf_program_map){ product.w, (uint64_t)product.n, (uint64_t)product.k, (uint32_t)t->columns, dtype };
    out->packs = p->in_constant[product.w];
    out->packed_input = product.w;
    out->packed_bytes = out->packs ? (size_t)(product.n * product.k) * 2 : 0;
    if (st) pf_program_clear(out);
    return st;
}

/* ---- Packing */

/* Block by block: a column's elements lie n apart. */
static void transpose(const uint16_t *from, int64_t k, int64_t n, uint16_t *to)
{
    for (int64_t row = 0; row < k; row += PACK_BLOCK)
        for (int64_t column = 0; column < n; column += PACK_BLOCK)
            for (int64_t c = column; c < n && c < column + PACK_BLOCK; c++)
                for (int64_t r = row; r < k && r < row + PACK_BLOCK; r++) to[c * k + r] = from[r * n + c];
}

void pf_codegen_wgmma_pack(const pf_problem *p, const pf_tensor *weights, void *to)
{
    cg_product product;

    cg_product_recognize(p, &product);
    if (product.trans_w) memcpy(to, weights->data, (size_t)(product.n * product.k) * 2);
    else transpose(weights->data, product.k, product.n, to);
}
