#include "engine/cuda/codegen_matmul.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/cuda/bf16_parts.h"
#include "engine/cuda/codegen_product.h"
#include "engine/cuda/conv_weights.h"
#include "engine/op.h"

extern const char pf_nvrtc_cluster[], pf_nvrtc_matmul[];        /* kernels/nvrtc/<name>.cuh */

enum { SOURCE_LIMIT_BYTES = 1 << 20, SHARED_LIMIT_BYTES = 200 << 10, SUM_PADDING = 8, WARPS_PER_SM = 64,
       BLOCKS_MAX = 65535 /* along y and z */, BATCH_MAX = BLOCKS_MAX / 8 /* in clusters of up to eight */,
       APART = 8 /* numbers are taken apart by so many */ };

enum { AXIS_H, AXIS_W };

/* Why the kernel does not read rows of these operands, or NULL.  packs: constant weights come in a form of its own. */
static const char *rows_decline(const pf_problem *p, const cg_product *product, bool packs)
{
    int chunk = product->wide ? 4 : 8;

    if (!pf_dim_is_number(product->k) || !pf_dim_is_number(product->n)) return "sizes of a matrix that vary";
    if (product->n % chunk && !product->trans_w && !(packs && product->w_constant))
        return "rows of w that are no multiple of 16 bytes";
    if (product->k % 2 && !product->wide) return "rows of x that are no multiple of four bytes";
    if (product->windowed && (!pf_problem_is_bound(p) || product->window.channels % chunk))
        return "channels that are no multiple of 16 bytes, or shapes that vary";
    return NULL;
}

static const char *types_decline(const pf_problem *p, const cg_product *product)
{
    pf_dtype dtype = pf_graph_value(p->graph, product->node->in[0])->dtype;

    if (product->wide)
        return p->numerics & (PF_NUMERICS_BF16_PARTS | PF_NUMERICS_BF16_THREE) && product->k > 1
                   ? NULL
                   : "FP32 that is not to be taken in parts of 16 bits";
    return (dtype != PF_F16 && dtype != PF_BF16) || pf_graph_value(p->graph, product->node->in[1])->dtype != dtype
               ? "element type"
               : NULL;
}

/* The libraries are fast at batches of 16 bits. */
static const char *batch_decline(const pf_problem *p, const cg_product *product)
{
    if (product->batch == 1 && !product->batched) return NULL;
    if (product->batched && !product->wide) return "a batch of products of 16 bits";
    return pf_problem_is_bound(p) && (product->batch > BATCH_MAX || product->batch * product->m > INT32_MAX)
               ? "too many products at once"
               : NULL;
}

/* Halves of a tile come in the same chunks. */
static const char *gate_declines(const cg_product *product)
{
    if (product->halves == 1) return NULL;
    if (product->wide) return "a gate in FP32";
    return cg_product_columns(product) % 8 ? "halves of rows that are no multiple of 16 bytes" : NULL;
}

/* Factors are multiplied as x is read, by kernels of FP32. */
static const char *factor_declines(const cg_product *product)
{
    if (!product->scaled) return NULL;
    if (!product->conv || product->windowed) return "factors of what is no image of single pixels";
    return product->wide ? NULL : "factors of 16 bits";
}

/* What a kernel can do: find a window's pixels, pack constant weights itself, multiply factors of channels as it
   reads. */
enum { WINDOWS = 1, PACKS = 2, SCALES = 4 };

static const char *declines(const pf_problem *p, unsigned can)
{
    cg_product  product;
    const bool  windowed = can & WINDOWS;
    const char *reason = can & SCALES ? cg_product_recognize_scaled(p, &product) : cg_product_recognize(p, &product);

    if (!reason) reason = cg_product_behind_declines(p, &product);
    if (reason) return reason;
    if (product.windowed != windowed)
        return windowed ? "not a convolution with a window" : "a convolution with a window";
    if (windowed && !p->in_constant[product.w]) return "weights that are computed";
    reason = types_decline(p, &product);
    if (!reason) reason = factor_declines(&product);
    if (!reason) reason = gate_declines(&product);
    if (!reason) reason = batch_decline(p, &product);
    if (!reason) reason = rows_decline(p, &product, can & PACKS);
    if (reason) return reason;
    if (p->graph->input_count + p->graph->output_count > CG_IN_OUT_MAX)
        return "too many inputs and outputs for one kernel";
    return cg_product_check_places(p, &product);
}

const char *pf_codegen_matmul_declines(const pf_problem *p) { return declines(p, 0); }
const char *pf_codegen_matmul_declines_packed(const pf_problem *p) { return declines(p, PACKS); }
const char *pf_codegen_matmul_declines_scaled(const pf_problem *p, bool packs)
{
    return declines(p, SCALES | (packs ? PACKS : 0));
}
const char *pf_codegen_conv_declines(const pf_problem *p) { return declines(p, WINDOWS); }

int64_t pf_codegen_matmul_work(const pf_problem *p)
{
    cg_product product;

    if (!pf_problem_is_bound(p) || cg_product_recognize(p, &product)) return 0;
    return product.batch * product.m * product.n * product.k;
}

bool pf_codegen_matmul_is_wide(const pf_problem *p)
{
    cg_product product;

    return !cg_product_recognize(p, &product) && product.wide;
}

bool pf_codegen_matmul_is_batch(const pf_problem *p)
{
    cg_product product;

    return !cg_product_recognize(p, &product) && product.wide &&
           pf_graph_value(p->graph, product.node->in[1])->shape.rank > 2;
}

bool pf_codegen_conv_is_grouped(const pf_problem *p)
{
    cg_product product;

    return !cg_product_recognize(p, &product) && product.windowed && product.batch > 1;
}

bool pf_codegen_matmul_is_gated(const pf_problem *p)
{
    cg_product product;

    return !cg_product_recognize(p, &product) && product.halves == 2;
}

bool pf_codegen_matmul_is_scaled(const pf_problem *p)
{
    cg_product product;

    return !cg_product_recognize_scaled(p, &product) && product.scaled;
}

bool pf_codegen_matmul_is_turned(const pf_problem *p)
{
    cg_product product;

    return !cg_product_recognize(p, &product) && product.turn;
}

void pf_codegen_matmul_prefers(const pf_problem *p, pf_layout *in)
{
    cg_product product;

    if (cg_product_recognize(p, &product) || !product.turn) return;
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (!pf_shape_equal(&pf_graph_value(p->graph, p->graph->inputs[i])->shape,
                            &pf_graph_value(p->graph, product.result)->shape) || i == product.x)
            in[i] = PF_LAYOUT_LINEAR;
}

bool pf_codegen_matmul_is_odd(const pf_problem *p)
{
    cg_product product;

    return !cg_product_recognize(p, &product) && product.n % 8 != 0;
}

/* ---- Tunings */

bool pf_matmul_tuning_read(const char *text, pf_matmul_tuning *out)
{
    return sscanf(text, PF_MATMUL_TUNING, &out->rows, &out->columns, &out->warps_m, &out->warps_n, &out->split,
                  &out->stages) == 6;
}

typedef struct shape { int rows, columns, warps_m, warps_n, stages; } shape;
static const shape shapes[] = {
    { 64, 64, 2, 2, 4 },   { 64, 64, 2, 2, 6 },   { 64, 64, 4, 2, 6 },   { 64, 64, 4, 2, 8 },   { 128, 64, 2, 2, 4 },
    { 128, 64, 4, 2, 4 },
    { 128, 128, 2, 2, 3 }, { 128, 128, 2, 4, 3 }, { 128, 128, 2, 4, 6 }, { 64, 128, 2, 2, 4 },  { 64, 128, 1, 4, 4 },
    { 32, 64, 1, 2, 4 },
    { 32, 64, 1, 4, 8 },   { 32, 64, 2, 4, 8 },   { 32, 128, 1, 4, 5 },  { 16, 64, 1, 4, 8 },   { 16, 128, 1, 8, 6 },
    { 112, 64, 7, 2, 5 }, { 224, 64, 7, 2, 3 },  { 64, 128, 2, 4, 4 },  { 128, 128, 4, 4, 3 },
    { 64, 16, 4, 1, 6 },   { 128, 16, 8, 1, 5 },  { 64, 32, 4, 1, 6 },   { 128, 32, 8, 1, 5 },  { 64, 48, 4, 1, 6 },
};

/* W can be taken apart when it is packed; in three parts in rows of K alone. */
static bool comes_apart(const cg_product *product)
{
    return product->wide && product->w_constant && product->k % APART == 0 &&
           (product->trans_w || (product->parts == 2 && product->n % APART == 0));
}

static uint32_t shared_bytes(const cg_product *product, const pf_matmul_tuning *t)
{
    int      third = product->parts == 3 && comes_apart(product) ? t->columns * CG_STEP_BYTES / 2 : 0;
    uint32_t stages = (uint32_t)(t->stages * ((t->rows + t->columns) * CG_STEP_BYTES + third));
    uint32_t sums = (uint32_t)(t->rows * (t->columns + SUM_PADDING) * 4);

    return stages > sums ? stages : sums;
}

/* Bytes that the warps of a block read from shared memory in a step: 16 x 16 elements at once. */
static double fragment_bytes(const pf_matmul_tuning *t)
{
    int per_warp = t->rows / t->warps_m / 16 + t->columns / t->warps_n / 16;

    return 512.0 * per_warp * t->warps_m * t->warps_n * (CG_STEP_K / 16);
}

/* A guess in nanoseconds, good enough to order by: waves of blocks, each with its start, its steps over K, the meeting
   of a cluster and its output. A step lasts as long as the slowest of: an SM's shared memory and its part of L2 (bytes
   a nanosecond), a warp's own chain of instructions, and the latency that the stages hide. The numbers are fitted to
   1290 measured tunings of 129 products and convolutions on an H200: the best of the first three by this guess was 3.4
   % off the best on average, of the first six 0.4 %. */
static double guess_ns(const cg_product *product, const pf_matmul_tuning *t, int sm_count)
{
    int64_t blocks = product->batch * cg_up(product->m, t->rows) * cg_up(product->n, t->columns) * t->split,
            warps = t->warps_m * t->warps_n;
    int64_t by_memory = SHARED_LIMIT_BYTES / shared_bytes(product, t),
            per_sm = by_memory < WARPS_PER_SM / warps ? by_memory : WARPS_PER_SM / warps;
    int64_t steps = cg_up(cg_product_steps(product), t->split), resident = cg_up(blocks, sm_count);
    double  here = (double)(resident < per_sm ? resident : per_sm),
            stage = (t->rows + t->columns) * (double)CG_STEP_BYTES;
    double  down = t->rows / t->warps_m / 16.0, across = t->columns / t->warps_n / 16.0;
    double  chain = CG_STEP_K / 16 * (2 * down * across * 0.13 + (down + across) * 0.32);
    /* three or six instructions for each, and what takes numbers apart */
    double  chain_here = product->parts == 3 ? 4 * chain : product->wide ? 2 * chain : chain;
    double  step = fmax(fmax((fragment_bytes(t) + stage) / 216, stage / 338) * here,
                        fmax(chain_here, 963.0 / t->stages));
    double  ends = 829 + (t->split > 1 ? 178 + 183 * t->split : 0) +
                   0.577 * t->rows * t->columns / sqrt(sqrt((double)warps)) * here;

    return (double)cg_up(blocks, sm_count * per_sm) * (ends + (double)steps * step);
}

static bool is_tuning(const cg_product *product, const pf_matmul_tuning *t)
{
    /* narrower tiles are for windows of few outputs, whose weights lie in rows of K */
    bool narrow = product->windowed && t->columns >= 16 && product->n <= t->columns;
    bool counts = t->rows >= 16 && t->rows <= 256 && (t->columns >= 64 || narrow) && t->columns <= 256 &&
                  t->warps_m >= 1 &&
                  t->warps_n >= 1 && t->warps_m * t->warps_n <= 16 && t->stages >= 2 && t->stages <= 8 &&
                  t->split >= 1 && t->split <= 8;
    int  apart = product->wide && !product->trans_w ? 2 : 1;

    /* a thread's copies of a stage lie whole rows apart: kernels/nvrtc/matmul.cuh */
    return counts && (narrow || 32 * t->warps_m * t->warps_n % (t->columns * apart) == 0) &&
           t->rows % (16 * t->warps_m) == 0 &&
           t->columns % (16 * t->warps_n) == 0 && t->rows % t->split == 0 &&
           shared_bytes(product, t) <= SHARED_LIMIT_BYTES;
}

static pf_matmul_tuning tuning_of(int s, int split)
{
    return (pf_matmul_tuning){ shapes[s].rows, shapes[s].columns, shapes[s].warps_m, shapes[s].warps_n,
                               split,          shapes[s].stages };
}

static double guess(const cg_product *product, int s, int split, int sm_count)
{
    pf_matmul_tuning t = tuning_of(s, split);

    return is_tuning(product, &t) ? guess_ns(product, &t, sm_count) : -1;
}

int pf_codegen_matmul_tunings(const pf_problem *p, int sm_count, pf_matmul_tuning *out, int max)
{
    cg_tiling list[PF_MATMUL_TUNINGS];
    int       count = cg_product_tilings(p, sm_count, sizeof shapes / sizeof *shapes, guess, list,
                                         max < PF_MATMUL_TUNINGS ? max : PF_MATMUL_TUNINGS);

    for (int i = 0; i < count; i++) out[i] = tuning_of(list[i].shape, list[i].split);
    return count;
}

/* ---- Emitting */

static void print_axis(const cg_window *window, int axis, char name, pf_buf *out)
{
    pf_buf_printf(out,
                  "#define OUT_%c %lld\n#define IN_%c %lld\n#define KERNEL_%c %lld\n#define STRIDE_%c %lld\n#define "
                  "PAD_%c %lld\n#define DILATION_%c %lld\n",
                  name, (long long)window->out[axis], name, (long long)window->in[axis], name,
                  (long long)window->kernel[axis], name, (long long)window->stride[axis], name,
                  (long long)window->pad[axis], name, (long long)window->dilation[axis]);
}

static void print_window(const cg_product *product, pf_buf *out)
{
    pf_buf_printf(out, "#define WINDOW %d\n", product->windowed);
    if (!product->windowed) return;
    pf_buf_printf(out, "#define CHANNELS %lld\n", (long long)product->window.channels);
    print_axis(&product->window, AXIS_H, 'H', out);
    print_axis(&product->window, AXIS_W, 'W', out);
}


static size_t weight_bytes(const cg_product *product)
{
    return !product->wide ? 2 : product->parts == 3 && comes_apart(product) ? 6 : 4;
}

/* Elements from one product's x to the next: groups of a convolution lie side by side in each pixel. */
static int64_t x_batch(const cg_product *product)
{
    return product->repeats_x ? 0 : product->windowed ? product->window.channels : product->m * product->k;
}

static void print_defines(const pf_problem *p, const cg_product *product, const pf_matmul_tuning *t, int vector,
                          pf_buf *out)
{
    const char *type = pf_graph_value(p->graph, product->node->in[0])->dtype == PF_F16 ? "f16" : "bf16";
    const char *elem = product->wide ? "float" : "f16";

    pf_buf_printf(out, "#define M %lld\n#define N %lld\n#define HALVES %d\n#define K %lld\n#define BM %d\n"
                       "#define BN %d\n#define WARPS_M %d\n#define WARPS_N %d\n", (long long)product->m,
                  (long long)cg_product_columns(product), product->halves, (long long)product->k, t->rows, t->columns,
                  t->warps_m, t->warps_n);
    pf_buf_printf(out, "#define STAGES %d\n#define SPLIT %d\n#define TRANS_W %d\n#define V %d\n"
                       "#define MMA \"f32.%s.%s.f32\"\n", t->stages, t->split, product->trans_w,
                  vector, type, type);
    pf_buf_printf(out, "#define WIDE %d\n#define APART %d\n#define LOOSE %d\n#define ELEM %s\n", product->parts,
                  comes_apart(product), product->k % (product->wide ? 4 : 8) != 0, elem);
    pf_buf_printf(out, "#define X_ROW %lld\n", (long long)cg_product_x_row(p, product));
    pf_buf_printf(out, "#define BATCH %lld\n#define X_BATCH %lld\n#define W_BATCH %lld\n", (long long)product->batch,
                  (long long)x_batch(product), (long long)(product->n * product->k));
    print_window(product, out);
    pf_buf_printf(out, "#define X ((const ELEM *)in%u)\n#define W ((const ELEM *)in%u)\n", product->x, product->w);
    cg_product_print_defines(p, product, out);
}

pf_status pf_codegen_matmul(const pf_problem *p, const pf_matmul_tuning *t, pf_program *out, pf_err *err)
{
    cg_product  product;
    const char *reason = cg_product_recognize(p, &product);
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    if (reason) return PF_FAIL(err, PF_UNSUPPORTED, "%s", reason);
    if (!is_tuning(&product, t))
        return PF_FAIL(err, PF_INVALID, "a tile of %d x %d on %d x %d warps is none", t->rows, t->columns, t->warps_m,
                       t->warps_n);
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_printf(&out->source, "%s", cg_prelude);
    cg_product_print_index(p, &product, &out->source);
    print_defines(p, &product, t, cg_product_vector(p, &product), &out->source);
    st = cg_product_emit_finish(p, &product, cg_product_vector(p, &product), &out->source, err);
    pf_buf_printf(&out->source, "%s%s", pf_nvrtc_cluster, pf_nvrtc_matmul);
    out->grid[0] = (uint32_t)cg_up(product.n, t->columns);
    out->grid[1] = (uint32_t)cg_up(product.m, t->rows);
    out->grid[2] = (uint32_t)(t->split * product.batch);
    out->block[0] = (uint32_t)(32 * t->warps_m * t->warps_n);
    out->block[1] = out->block[2] = 1;
    out->shared_bytes = shared_bytes(&product, t);
    out->packs = product.windowed || comes_apart(&product);
    out->packed_input = product.w;
    out->packed_bytes = out->packs ? (size_t)(product.batch * product.n * product.k) * weight_bytes(&product) : 0;
    if (!st && out->source.failed)
        st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    if (!st && cg_up(product.m, t->rows) > BLOCKS_MAX)
        st = PF_FAIL(err, PF_UNSUPPORTED, "more than %d tiles of %d rows", BLOCKS_MAX, t->rows);
    if (st) pf_program_clear(out);
    return st;
}

bool pf_codegen_conv_is_stem(const pf_problem *p)
{
    cg_product product;

    return !cg_product_recognize(p, &product) && product.windowed && p->in_layout[product.x] == PF_LAYOUT_C8;
}

/* ---- Packing */

/* Which of eight elements of K comes i-th: a thread takes the t-th and the (4 + t)-th at once. */
static int64_t source_of(int64_t i) { return i % 2 * 4 + i / 2; }

/* Eight numbers, which may lie where the result goes. third: NULL, or of three parts the third. */
static void take_apart(const float *from, bool along_k, uint16_t *to, uint16_t *third)
{
    float own[APART];

    memcpy(own, from, sizeof own);
    for (int i = 0; i < APART; i++) {
        uint16_t parts[PF_BF16_PARTS_MAX];

        pf_bf16_take_apart(own[along_k ? source_of(i) : i], third ? 3 : 2, parts);
        to[i] = parts[0];
        to[APART + i] = parts[1];
        if (third) third[i] = parts[2];
    }
}

static void take_rows_apart(const cg_product *product, const float *from, uint16_t *to)
{
    int64_t columns = product->trans_w ? product->k : product->n,
            rows = product->batch * (product->trans_w ? product->n : product->k);
    uint16_t *third = product->parts == 3 ? to + 2 * rows * columns : NULL;

    for (int64_t row = 0; row < rows; row++) {
        int64_t source = product->trans_w ? row : row - row % APART + source_of(row % APART);

        for (int64_t c = 0; c < columns; c += APART)
            take_apart(from + source * columns + c, product->trans_w, to + 2 * (row * columns + c),
                       third ? third + row * columns + c : NULL);
    }
}

void pf_codegen_matmul_pack(const pf_problem *p, const pf_tensor *weights, void *to)
{
    cg_product product;

    cg_product_recognize(p, &product);
    if (product.windowed) pf_conv_weights_pack(weights, product.window.channels, to);
    if (comes_apart(&product)) take_rows_apart(&product, product.windowed ? to : weights->data, to);
}
