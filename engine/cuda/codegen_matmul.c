#include "engine/cuda/codegen_matmul.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cuda/codegen.h"
#include "engine/cuda/conv_weights.h"
#include "engine/epilogue.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

extern const char pf_nvrtc_matmul[];        /* kernels/nvrtc/matmul.cuh */

enum {
    SOURCE_LIMIT_BYTES = 1 << 20, STEP_K = 64, SHARED_LIMIT_BYTES = 200 << 10, SUM_PADDING = 8, WARPS_PER_SM = 64,
    ROW_DIMS = 3,                           /* as many dims of the output may make up its rows */
};

enum { AXIS_H, AXIS_W };

typedef struct conv_window {
    int64_t in[2], out[2], channels;        /* channels: as they lie in memory */
    int64_t kernel[2], stride[2], pad[2], dilation[2];
} conv_window;

typedef struct matmul_form {
    const pf_node *node;
    uint32_t       x, w;                    /* inputs of the problem */
    bool           trans_w, conv, windowed;
    conv_window    window;                  /* when windowed */
    double         alpha;
    int64_t        m, n, k;
} matmul_form;

static const pf_shape *shape_of(const pf_problem *p, pf_value_id value) { return &pf_graph_value(p->graph, value)->shape; }

/* ---- Recognizing */

static bool is_product(const pf_node *node) { return node->op == PF_OP_MATMUL || node->op == PF_OP_GEMM || node->op == PF_OP_CONV; }

static bool is_repeated(const pf_ints *ints, int64_t value)
{
    for (int i = 0; i < ints->count; i++)
        if (ints->at[i] != value) return false;
    return true;
}

/* Few channels lie padded to eight: a stem. */
static int64_t channels_in_memory(const pf_problem *p, const matmul_form *form, int64_t channels)
{
    return p->in_layout[form->x] == PF_LAYOUT_C8 ? (channels + 7) / 8 * 8 : channels;
}

static void take_window(const pf_problem *p, const pf_node *node, matmul_form *form)
{
    const pf_conv_attrs *attrs = node->attrs;
    const pf_shape      *x = shape_of(p, node->in[0]), *w = shape_of(p, node->in[1]), *y = shape_of(p, node->out[0]);

    form->windowed = true;
    form->window.channels = channels_in_memory(p, form, x->dim[1]);
    for (int a = 0; a < 2; a++) {
        form->window.in[a] = x->dim[2 + a];
        form->window.out[a] = y->dim[2 + a];
        form->window.kernel[a] = w->dim[2 + a];
        form->window.stride[a] = attrs->strides.count ? attrs->strides.at[a] : 1;
        form->window.dilation[a] = attrs->dilations.count ? attrs->dilations.at[a] : 1;
        form->window.pad[a] = attrs->pads.count ? attrs->pads.at[a] : 0;
    }
    form->m = y->dim[0] * y->dim[2] * y->dim[3];
    form->k = form->window.channels * w->dim[2] * w->dim[3];
}

static const char *take_conv(const pf_problem *p, const pf_node *node, matmul_form *form)
{
    const pf_conv_attrs *attrs = node->attrs;
    const pf_shape      *x = shape_of(p, node->in[0]), *w = shape_of(p, node->in[1]);

    if (x->rank != 4 || attrs->groups != 1) return "not a convolution of pictures, or one in groups";
    if (attrs->auto_pad) return "padding that depends on the shape";
    form->conv = form->trans_w = true;
    form->m = x->dim[0] * x->dim[2] * x->dim[3];
    form->k = x->dim[1];
    form->n = w->dim[0];
    if (w->dim[2] != 1 || w->dim[3] != 1 || !is_repeated(&attrs->strides, 1) || !is_repeated(&attrs->pads, 0) || p->in_layout[form->x] == PF_LAYOUT_C8)
        take_window(p, node, form);
    return NULL;
}

/* Leading dims of x are rows; w is one matrix. */
static const char *take_matmul(const pf_problem *p, const pf_node *node, matmul_form *form)
{
    const pf_matmul_attrs *matmul = node->op == PF_OP_MATMUL ? node->attrs : NULL;
    const pf_gemm_attrs   *gemm = node->op == PF_OP_GEMM ? node->attrs : NULL;
    const pf_shape        *x = shape_of(p, node->in[0]), *w = shape_of(p, node->in[1]);

    if (x->rank < 2 || w->rank != 2) return "not a product with one matrix";
    if (matmul ? matmul->trans_a : gemm->trans_a) return "x is transposed";
    if (x->rank > ROW_DIMS + 1) return "too many dims";
    form->trans_w = matmul ? matmul->trans_b : gemm->trans_b;
    form->alpha = gemm ? gemm->alpha : 1;
    if (gemm && node->in_count > 2 && node->in[2] != PF_NONE && gemm->beta != 1) return "a scaled third operand";
    form->m = 1;
    for (int d = 0; d + 1 < x->rank; d++) form->m *= x->dim[d];
    form->k = x->dim[x->rank - 1];
    form->n = w->dim[form->trans_w ? 0 : 1];
    return NULL;
}

static const char *take(const pf_problem *p, const pf_node *node, matmul_form *form)
{
    form->node = node;
    form->alpha = 1;
    form->x = pf_problem_input_index(p, node->in[0]);
    form->w = pf_problem_input_index(p, node->in[1]);
    if (form->x == UINT32_MAX || form->w == UINT32_MAX) return "an operand inside the region";
    return node->op == PF_OP_CONV ? take_conv(p, node, form) : take_matmul(p, node, form);
}

static const char *recognize(const pf_problem *p, matmul_form *form)
{
    const pf_graph *graph = p->graph;
    const char     *reason = NULL;

    memset(form, 0, sizeof *form);
    for (uint32_t n = 0; n < graph->node_count && !reason; n++) {
        const pf_node *node = &graph->nodes[n];

        if (!node->live) continue;
        if (!is_product(node)) reason = cg_node_declines(graph, node);
        else reason = form->node ? "two products" : take(p, node, form);
    }
    return reason ? reason : form->node ? NULL : "no product";
}

static const char *check_places(const pf_problem *p, const matmul_form *form)
{
    const pf_shape *shape = shape_of(p, form->node->out[0]);
    pf_layout       layout = form->conv ? PF_LAYOUT_CHANNELS_LAST : PF_LAYOUT_LINEAR;

    bool      padded = form->windowed && p->in_layout[form->x] == PF_LAYOUT_C8 && shape_of(p, form->node->in[0])->dim[1] <= 8;

    if ((p->in_layout[form->x] != layout && !padded) || p->in_layout[form->w] != PF_LAYOUT_LINEAR) return "operands in another layout";
    for (uint32_t i = 0; i < p->graph->output_count; i++) {
        const pf_value *out = pf_graph_value(p->graph, p->graph->outputs[i]);

        if (p->out_layout[i] != layout || !pf_shape_equal(&out->shape, shape)) return "outputs differ in shape or layout";
        if (out->is_constant || out->producer == PF_NONE) return "an output that is an input";
    }
    return NULL;
}

static const char *declines(const pf_problem *p, bool windowed)
{
    matmul_form form;
    const char *reason = recognize(p, &form);
    pf_dtype    dtype = PF_DTYPE_NONE;

    if (!reason) reason = cg_behind_declines(p->graph, form.node);
    if (reason) return reason;
    if (form.windowed != windowed) return windowed ? "not a convolution with a window" : "a convolution with a window";
    if (windowed && !p->in_constant[form.w]) return "weights that are computed";
    dtype = pf_graph_value(p->graph, form.node->in[0])->dtype;
    if ((dtype != PF_F16 && dtype != PF_BF16) || pf_graph_value(p->graph, form.node->in[1])->dtype != dtype) return "element type";
    if (!pf_dim_is_number(form.k) || !pf_dim_is_number(form.n) || form.k % 8 || (form.n % 8 && !form.trans_w)) return "rows of x or w that are no multiple of 16 bytes";
    if (windowed && (!pf_problem_is_bound(p) || form.window.channels % 8)) return "channels that are no multiple of 16 bytes, or shapes that vary";
    if (p->graph->input_count + p->graph->output_count > CG_IN_OUT_MAX) return "too many inputs and outputs for one kernel";
    return check_places(p, &form);
}

const char *pf_codegen_matmul_declines(const pf_problem *p) { return declines(p, false); }
const char *pf_codegen_conv_declines(const pf_problem *p) { return declines(p, true); }

int64_t pf_codegen_matmul_work(const pf_problem *p)
{
    matmul_form form;

    return !pf_problem_is_bound(p) || recognize(p, &form) ? 0 : form.m * form.n * form.k;
}

bool pf_codegen_matmul_is_odd(const pf_problem *p)
{
    matmul_form form;

    return !recognize(p, &form) && form.n % 8 != 0;
}

/* ---- Tunings */

bool pf_matmul_tuning_read(const char *text, pf_matmul_tuning *out)
{
    return sscanf(text, PF_MATMUL_TUNING, &out->rows, &out->columns, &out->warps_m, &out->warps_n, &out->split, &out->stages) == 6;
}

typedef struct shape { int rows, columns, warps_m, warps_n, stages; } shape;
static const shape shapes[] = {
    { 64, 64, 2, 2, 4 },   { 64, 64, 2, 2, 6 },   { 64, 64, 4, 2, 6 },   { 64, 64, 4, 2, 8 },   { 128, 64, 2, 2, 4 }, { 128, 64, 4, 2, 4 },
    { 128, 128, 2, 2, 3 }, { 128, 128, 2, 4, 3 }, { 128, 128, 2, 4, 6 }, { 64, 128, 2, 2, 4 },  { 64, 128, 1, 4, 4 }, { 32, 64, 1, 2, 4 },
    { 32, 64, 1, 4, 8 },   { 32, 64, 2, 4, 8 },   { 32, 128, 1, 4, 5 },  { 16, 64, 1, 4, 8 },   { 16, 128, 1, 8, 6 }, { 112, 64, 7, 2, 5 },
    { 224, 64, 7, 2, 3 },  { 64, 128, 2, 4, 4 },  { 128, 128, 4, 4, 3 },
};

static int64_t up(int64_t value, int64_t unit) { return (value + unit - 1) / unit; }

static uint32_t shared_bytes(const pf_matmul_tuning *t)
{
    uint32_t stages = (uint32_t)(t->stages * (t->rows + t->columns) * STEP_K * 2);
    uint32_t sums = (uint32_t)(t->rows * (t->columns + SUM_PADDING) * 4);

    return stages > sums ? stages : sums;
}

/* Bytes that the warps of a block read from shared memory in a step: 16 x 16 elements at once. */
static double fragment_bytes(const pf_matmul_tuning *t)
{
    int per_warp = t->rows / t->warps_m / 16 + t->columns / t->warps_n / 16;

    return 512.0 * per_warp * t->warps_m * t->warps_n * (STEP_K / 16);
}

/* A guess in nanoseconds, good enough to order by: waves of blocks, each with its start, its steps over K, the meeting of a cluster and its output. A
   step lasts as long as the slowest of: an SM's shared memory and its part of L2 (bytes a nanosecond), a warp's own chain of instructions, and the
   latency that the stages hide. The numbers are fitted to 1290 measured tunings of 129 products and convolutions on an H200: the best of the first
   three by this guess was 3.4 % off the best on average, of the first six 0.4 %. */
static double guess_ns(const matmul_form *form, const pf_matmul_tuning *t, int sm_count)
{
    int64_t blocks = up(form->m, t->rows) * up(form->n, t->columns) * t->split, warps = t->warps_m * t->warps_n;
    int64_t by_memory = SHARED_LIMIT_BYTES / shared_bytes(t), per_sm = by_memory < WARPS_PER_SM / warps ? by_memory : WARPS_PER_SM / warps;
    int64_t steps = up(up(form->k, STEP_K), t->split), resident = up(blocks, sm_count);
    double  here = (double)(resident < per_sm ? resident : per_sm), stage = (t->rows + t->columns) * STEP_K * 2.0;
    double  down = t->rows / t->warps_m / 16.0, across = t->columns / t->warps_n / 16.0;
    double  chain = STEP_K / 16 * (2 * down * across * 0.13 + (down + across) * 0.32);
    double  step = fmax(fmax((fragment_bytes(t) + stage) / 216, stage / 338) * here, fmax(chain, 963.0 / t->stages));
    double  ends = 829 + (t->split > 1 ? 178 + 183 * t->split : 0) + 0.577 * t->rows * t->columns / sqrt(sqrt((double)warps)) * here;

    return (double)up(blocks, sm_count * per_sm) * (ends + (double)steps * step);
}

typedef struct ranked { pf_matmul_tuning tuning; double ns; } ranked;

static int by_guess(const void *a, const void *b)
{
    double one = ((const ranked *)a)->ns, two = ((const ranked *)b)->ns;

    return one < two ? -1 : one > two;
}

int pf_codegen_matmul_tunings(const pf_problem *p, int sm_count, pf_matmul_tuning *out, int max)
{
    static const int splits[] = { 1, 2, 4, 8 };
    ranked           list[sizeof shapes / sizeof *shapes * sizeof splits / sizeof *splits];
    matmul_form      form;
    int              count = 0;

    recognize(p, &form);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (size_t k = 0; k < sizeof splits / sizeof *splits; k++) {
            pf_matmul_tuning t = { shapes[s].rows, shapes[s].columns, shapes[s].warps_m, shapes[s].warps_n, splits[k], shapes[s].stages };

            if (up(form.k, STEP_K) >= splits[k]) list[count++] = (ranked){ t, guess_ns(&form, &t, sm_count) };
        }
    qsort(list, (size_t)count, sizeof *list, by_guess);
    if (count > max) count = max;
    for (int i = 0; i < count; i++) out[i] = list[i].tuning;
    return count;
}

/* ---- Emitting */

static const char *parameter_type(const pf_problem *p, pf_value_id value) { return cg_storage_type(pf_graph_value(p->graph, value)->dtype); }

/* "const T *in0, .., T *out0" as parameters; "in0, .., out0, " as arguments. */
static void print_parameters(const pf_problem *p, bool types, pf_buf *out)
{
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (types) pf_buf_printf(out, "%sconst %s *__restrict__ in%u", i ? ", " : "", parameter_type(p, p->graph->inputs[i]), i);
        else pf_buf_printf(out, "in%u, ", i);
    for (uint32_t i = 0; i < p->graph->output_count; i++)
        if (types) pf_buf_printf(out, ", %s *__restrict__ out%u", parameter_type(p, p->graph->outputs[i]), i);
        else pf_buf_printf(out, "out%u, ", i);
}

static void print_axis(const conv_window *window, int axis, char name, pf_buf *out)
{
    pf_buf_printf(out, "#define OUT_%c %lld\n#define IN_%c %lld\n#define KERNEL_%c %lld\n#define STRIDE_%c %lld\n#define PAD_%c %lld\n#define DILATION_%c %lld\n", name,
                  (long long)window->out[axis], name, (long long)window->in[axis], name, (long long)window->kernel[axis], name,
                  (long long)window->stride[axis], name, (long long)window->pad[axis], name, (long long)window->dilation[axis]);
}

static void print_window(const matmul_form *form, pf_buf *out)
{
    pf_buf_printf(out, "#define WINDOW %d\n", form->windowed);
    if (!form->windowed) return;
    pf_buf_printf(out, "#define CHANNELS %lld\n", (long long)form->window.channels);
    print_axis(&form->window, AXIS_H, 'H', out);
    print_axis(&form->window, AXIS_W, 'W', out);
}

static void print_defines(const pf_problem *p, const matmul_form *form, const pf_matmul_tuning *t, int vector, pf_buf *out)
{
    bool half = pf_graph_value(p->graph, form->node->in[0])->dtype == PF_F16;

    pf_buf_printf(out, "#define M %lld\n#define N %lld\n#define K %lld\n#define BM %d\n#define BN %d\n#define WARPS_M %d\n#define WARPS_N %d\n", (long long)form->m,
                  (long long)form->n, (long long)form->k, t->rows, t->columns, t->warps_m, t->warps_n);
    pf_buf_printf(out, "#define STAGES %d\n#define SPLIT %d\n#define TRANS_W %d\n#define V %d\n#define MMA \"f32.%s.%s.f32\"\n", t->stages, t->split, form->trans_w,
                  vector, half ? "f16" : "bf16", half ? "f16" : "bf16");
    print_window(form, out);
    pf_buf_printf(out, "#define W_CONSTANT %d\n", p->in_constant[form->w]);
    cg_print_start(p, out);
    pf_buf_printf(out, "#define X ((const f16 *)in%u)\n#define W ((const f16 *)in%u)\n#define ARGUMENTS ", form->x, form->w);
    print_parameters(p, false, out);
    pf_buf_printf(out, "\n#define PARAMETERS ");
    print_parameters(p, true, out);
    pf_buf_printf(out, "\n");
}

/* The third operand of a convolution or a gemm at the output's point; 0: none, -1: failed. */
static int32_t eval_bias(cg_context *cg, const matmul_form *form, const cg_point *point)
{
    const pf_node *node = form->node;
    cg_point       at = { .rank = 1 };

    if (node->op == PF_OP_MATMUL || node->in_count < 3 || node->in[2] == PF_NONE) return 0;
    if (form->conv) {
        at.at[0] = point->at[1];
        return cg_eval(cg, node->in[2], &at);
    }
    at = *point;
    at.rank = shape_of(cg->problem, node->in[2])->rank;
    for (int d = 0; d < at.rank; d++)
        at.at[d] = shape_of(cg->problem, node->in[2])->dim[d] == 1 ? cg_index_number(0) : point->at[point->rank - at.rank + d];
    return cg_eval(cg, node->in[2], &at);
}

static bool emit_values(cg_context *cg, const matmul_form *form, const cg_point *point)
{
    const pf_graph *graph = cg->problem->graph;
    int32_t         bias = eval_bias(cg, form, point), id = ++cg->next_id;

    if (bias < 0) return false;
    pf_buf_printf(cg->body, "  float v%d[V]; LANES v%d[l] = sum[l]", id, id);
    if (form->alpha != 1) pf_buf_printf(cg->body, " * %.9ef", form->alpha);
    if (bias) pf_buf_printf(cg->body, " + v%d[l]", bias);
    pf_buf_printf(cg->body, ";\n");
    if (!cg_bind(cg, form->node->out[0], point, id)) return false;
    for (uint32_t i = 0; i < graph->output_count; i++) {
        cg_index address = cg_address(cg, cg->problem->out_layout[i], pf_graph_value(graph, graph->outputs[i]), point);
        int32_t  value = cg_eval(cg, graph->outputs[i], point);

        if (value < 0) return false;
        cg_store(cg, i, value, &address);
    }
    return true;
}

/* finish(): loop variables from row and column, the anchor's value from its sum, and what follows. */
static pf_status emit_finish(const pf_problem *p, const matmul_form *form, int vector, pf_buf *out, pf_err *err)
{
    cg_context cg;
    cg_point   point;
    pf_buf     body = {0};
    bool       fine = false;

    pf_buf_init(&body, SOURCE_LIMIT_BYTES);
    cg_context_init(&cg, p, &body, vector, err);
    cg_loop_over(&cg, p->out_layout[0], pf_graph_value(p->graph, form->node->out[0]), &point);
    fine = emit_values(&cg, form, &point);
    pf_buf_printf(out, "__device__ __forceinline__ void finish(PARAMETERS, const idx row, const idx column, const float sum[V])\n{\n  idx rest = row;\n");
    for (int v = cg.var_count - 2; v > 0; v--)
        pf_buf_printf(out, "  const idx i%d = rest %% %lld; rest /= %lld;\n", v, (long long)cg.var_extent[v], (long long)cg.var_extent[v]);
    pf_buf_printf(out, "  const idx i0 = rest, i%d = column;\n", cg.var_count - 1);
    pf_buf_put(out, body.data, body.size);
    pf_buf_printf(out, "}\n");
    if (fine && body.failed) fine = false;
    cg_context_clear(&cg);
    pf_buf_clear(&body);
    return fine ? PF_OK : PF_FAIL(err, PF_UNSUPPORTED, "the region behind the product cannot be evaluated");
}

static bool is_tuning(const pf_matmul_tuning *t)
{
    bool counts = t->rows >= 16 && t->rows <= 256 && t->columns >= 64 && t->columns <= 256 && t->warps_m >= 1 && t->warps_n >= 1 &&
                  t->warps_m * t->warps_n <= 16 && t->stages >= 2 && t->stages <= 8 && t->split >= 1 && t->split <= 8;

    /* a thread's copies of a stage lie whole rows apart: kernels/nvrtc/matmul.cuh */
    return counts && 32 * t->warps_m * t->warps_n % t->columns == 0 && t->rows % (16 * t->warps_m) == 0 && t->columns % (16 * t->warps_n) == 0 && t->rows % t->split == 0 &&
           shared_bytes(t) <= SHARED_LIMIT_BYTES;
}

/* 16 bytes of the widest output: at most eight elements, and no more than divide a row. */
static int vector_of(const pf_problem *p, const matmul_form *form)
{
    int vector = 8;

    while (form->n % vector) vector /= 2;
    for (uint32_t i = 0; i < p->graph->output_count; i++) {
        int fits = 128 / (int)pf_dtype_bits(pf_graph_value(p->graph, p->graph->outputs[i])->dtype);

        if (fits < vector) vector = fits;
    }
    return vector;
}

pf_status pf_codegen_matmul(const pf_problem *p, const pf_matmul_tuning *t, pf_program *out, pf_err *err)
{
    matmul_form form;
    const char *reason = recognize(p, &form);
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    if (reason) return PF_FAIL(err, PF_UNSUPPORTED, "%s", reason);
    if (!is_tuning(t)) return PF_FAIL(err, PF_INVALID, "a tile of %d x %d on %d x %d warps is none", t->rows, t->columns, t->warps_m, t->warps_n);
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_printf(&out->source, "%stypedef %s idx;\n", cg_prelude, form.m * form.n < INT64_C(1) << 30 && form.m * form.k < INT64_C(1) << 30 && form.n * form.k < INT64_C(1) << 30 ? "int" : "long long");
    print_defines(p, &form, t, vector_of(p, &form), &out->source);
    st = emit_finish(p, &form, vector_of(p, &form), &out->source, err);
    pf_buf_printf(&out->source, "%s", pf_nvrtc_matmul);
    out->grid[0] = (uint32_t)up(form.n, t->columns);
    out->grid[1] = (uint32_t)up(form.m, t->rows);
    out->grid[2] = (uint32_t)t->split;
    out->block[0] = (uint32_t)(32 * t->warps_m * t->warps_n);
    out->block[1] = out->block[2] = 1;
    out->shared_bytes = shared_bytes(t);
    out->packs = form.windowed;
    out->packed_input = form.w;
    out->packed_bytes = form.windowed ? (size_t)(form.n * form.k) * 2 : 0;
    if (!st && out->source.failed) st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    if (st) pf_program_clear(out);
    return st;
}

uint32_t pf_codegen_conv_weights(const pf_problem *p)
{
    matmul_form form;

    recognize(p, &form);
    return form.w;
}

void pf_codegen_conv_pack(const pf_problem *p, const pf_tensor *weights, void *to)
{
    matmul_form form;

    recognize(p, &form);
    pf_conv_weights_pack(weights, form.window.channels, to);
}
