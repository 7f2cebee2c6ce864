#include "engine/cuda/codegen_thin.h"

#include <stdio.h>
#include <string.h>

#include "engine/cuda/codegen_matmul.h"
#include "engine/cuda/codegen_product.h"

extern const char pf_nvrtc_thin[];          /* kernels/nvrtc/thin.cuh */

enum {
    SOURCE_LIMIT_BYTES = 1 << 20, SHARED_LIMIT_BYTES = 160 << 10, CHUNK_BYTES = 16,
    ROWS_MIN = 4096,            /* fewer do not keep the warps of all SMs busy */
    STEPS_MAX = 10,
    REGISTERS = 65536,          /* of an SM */
    REGISTERS_MAX = 255,        /* of a thread */
    REGISTERS_BESIDE = 44,      /* a thread's for all but rows and sums */
    ROW_REGISTERS = 8,          /* of 16 rows and a step; taken in three parts half as many more */
    SUMS_MAX = 64, PART_MAX = 4,    /* sums of a thread and groups of columns at once */
};

/* What a kernel takes at once, by its tuning. */
typedef struct form { int vector, chunk, steps, groups, part, parts; } form;

static int sums_of(const pf_thin_tuning *t, int vector, int part) { return t->row_tiles * part * 2 * vector; }

static int registers_of(const pf_thin_tuning *t)
{
    int share = REGISTERS / (32 * t->warps);

    return share < REGISTERS_MAX ? share : REGISTERS_MAX;
}

/* Columns whose neighbours a thread has: fewer where that leaves less of them empty. */
static int vector_of(const pf_problem *p, const cg_product *product)
{
    int vector = cg_product_vector(p, product);

    return vector == 8 && cg_up(product->n, 16) * 16 < cg_up(product->n, 32) * 32 ? 4 : vector;
}

static int row_registers_of(const cg_product *product, const pf_thin_tuning *t)
{
    int apart = product->parts == 3 ? ROW_REGISTERS * 3 / 2 : ROW_REGISTERS;

    return t->row_tiles * (t->ahead * ROW_REGISTERS + apart);
}

/* part 0: too many registers. */
static form form_of(const pf_problem *p, const cg_product *product, const pf_thin_tuning *t)
{
    form f = { .vector = vector_of(p, product), .chunk = product->wide ? 4 : 8 };
    int  left = 0, most = 0;

    f.steps = (int)cg_up(product->k, 4 * f.chunk);
    f.groups = (int)cg_up(product->n, 4 * f.vector);
    left = registers_of(t) - REGISTERS_BESIDE - row_registers_of(product, t) * f.steps;
    if (left > SUMS_MAX) left = SUMS_MAX;
    while (most < f.groups && most < PART_MAX && sums_of(t, f.vector, most + 1) <= left) most++;
    if (!most) return f;
    f.parts = (int)cg_up(f.groups, most);
    f.part = (int)cg_up(f.groups, f.parts);
    return f;
}

static uint32_t shared_bytes(const cg_product *product, const form *f)
{
    int lane_bytes = product->parts == 3 ? CHUNK_BYTES * 3 / 2 : CHUNK_BYTES;

    return (uint32_t)(f->steps * f->parts * f->part * (f->vector / 2) * 32 * lane_bytes);
}

static bool is_tuning(const pf_problem *p, const cg_product *product, const pf_thin_tuning *t)
{
    form f = { 0 };

    if (t->row_tiles < 1 || t->row_tiles > 4 || t->warps < 1 || t->warps > 32 || t->ahead < 0 ||
        t->ahead > 1)
        return false;
    f = form_of(p, product, t);
    return f.part > 0 && shared_bytes(product, &f) <= SHARED_LIMIT_BYTES;
}

const char *pf_codegen_thin_declines(const pf_problem *p)
{
    const char    *reason = pf_codegen_matmul_declines_scaled(p, false);
    cg_product     product;
    pf_thin_tuning first = { 0 };

    if (reason) return reason;
    cg_product_recognize_scaled(p, &product);
    if (!pf_problem_is_bound(p)) return "shapes that vary";
    if (product.batched) return "a batch of products";
    if (product.halves > 1) return "a gated product";
    if (product.m < ROWS_MIN || product.m > INT32_MAX / 2) return "few rows, or too many";
    if (!p->in_constant[product.w]) return "weights that are computed";
    if (product.k % (product.wide ? 4 : 8)) return "rows of x that are no multiple of 16 bytes";
    if (cg_product_vector(p, &product) < 4) return "rows of the result at odd places";
    if (product.k > STEPS_MAX * (product.wide ? 16 : 32) || !pf_codegen_thin_tunings(p, &first, 1))
        return "too many weights";
    return NULL;
}

/* ---- Tunings */

bool pf_thin_tuning_read(const char *text, pf_thin_tuning *out)
{
    return sscanf(text, PF_THIN_TUNING, &out->row_tiles, &out->warps, &out->ahead) == 3;
}

int pf_codegen_thin_tunings(const pf_problem *p, pf_thin_tuning *out, int max)
{
    static const pf_thin_tuning list[PF_THIN_TUNINGS] = {
        { 1, 16, 1 }, { 1, 16, 0 }, { 1, 24, 1 }, { 1, 8, 1 }, { 2, 16, 1 }, { 1, 24, 0 }, { 2, 16, 0 }, { 2, 8, 1 },
    };
    cg_product product;
    int        count = 0;

    cg_product_recognize_scaled(p, &product);
    for (int i = 0; i < PF_THIN_TUNINGS && count < max; i++)
        if (is_tuning(p, &product, &list[i])) out[count++] = list[i];
    return count;
}

/* ---- Emitting */

static void print_defines(const pf_problem *p, const cg_product *product, const pf_thin_tuning *t, const form *f,
                          pf_buf *out)
{
    const char *type = pf_graph_value(p->graph, product->node->in[0])->dtype == PF_F16 ? "f16" : "bf16";

    pf_buf_printf(out, "#define M %lld\n#define N %lld\n#define K %lld\n", (long long)product->m,
                  (long long)product->n, (long long)product->k);
    pf_buf_printf(out, "#define ROW_TILES %d\n#define WARPS %d\n#define AHEAD %d\n#define PART %d\n"
                       "#define V %d\n", t->row_tiles, t->warps, t->ahead, f->part, f->vector);
    pf_buf_printf(out, "#define TRANS_W %d\n#define WIDE %d\n#define ELEM %s\n#define MMA \"f32.%s.%s.f32\"\n",
                  product->trans_w, product->parts, product->wide ? "float" : "f16", type, type);
    pf_buf_printf(out, "#define X_ROW %lld\n#define X ((const ELEM *)in%u)\n#define W ((const ELEM *)in%u)\n",
                  (long long)cg_product_x_row(p, product), product->x, product->w);
    cg_product_print_defines(p, product, out);
    cg_product_print_factor(product, out);
}

pf_status pf_codegen_thin(const pf_problem *p, const pf_thin_tuning *t, pf_program *out, pf_err *err)
{
    cg_product  product;
    const char *reason = cg_product_recognize_scaled(p, &product);
    form        f = { 0 };
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    if (reason) return PF_FAIL(err, PF_UNSUPPORTED, "%s", reason);
    if (!is_tuning(p, &product, t))
        return PF_FAIL(err, PF_INVALID, "%d x 16 rows for each of %d warps are no tuning", t->row_tiles, t->warps);
    f = form_of(p, &product, t);
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_printf(&out->source, "%s", cg_prelude);
    cg_product_print_index(p, &product, &out->source);
    print_defines(p, &product, t, &f, &out->source);
    st = cg_product_emit_finish(p, &product, f.vector, &out->source, err);
    pf_buf_printf(&out->source, "%s", pf_nvrtc_thin);
    out->grid[0] = (uint32_t)cg_up(product.m, 16 * t->row_tiles * t->warps);
    out->grid[1] = out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = (uint32_t)(32 * t->warps);
    out->shared_bytes = shared_bytes(&product, &f);
    out->stays = true;
    if (!st && out->source.failed)
        st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    if (st) pf_program_clear(out);
    return st;
}
