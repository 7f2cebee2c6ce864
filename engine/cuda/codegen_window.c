#include "engine/cuda/codegen_window.h"

#include <string.h>

#include "engine/cuda/codegen_loop.h"
#include "engine/epilogue.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

enum { SOURCE_LIMIT_BYTES = 1 << 20, VAR_N = 0, VAR_H = 1, VAR_W = 2, VAR_C = 3 };

typedef struct window_form {
    const pf_node *node;
    uint32_t       x;               /* input of the problem */
    const pf_ints *kernel, *strides, *dilations, *pads;
    pf_ints        from_weights;    /* kernel of a convolution */
} window_form;

static const char *take_conv(const pf_graph *graph, const pf_node *node, window_form *form)
{
    const pf_conv_attrs *attrs = node->attrs;
    const pf_shape      *x = &pf_graph_value(graph, node->in[0])->shape,
                        *w = &pf_graph_value(graph, node->in[1])->shape;

    if (x->rank != 4) return "not two spatial dims";
    if (attrs->auto_pad) return "padding depends on a symbol";
    if (attrs->groups != x->dim[1] || w->dim[0] != x->dim[1] || w->dim[1] != 1) return "not depthwise";
    form->from_weights = (pf_ints){ 2, { w->dim[2], w->dim[3] } };
    form->kernel = &form->from_weights;
    form->strides = &attrs->strides;
    form->dilations = &attrs->dilations;
    form->pads = &attrs->pads;
    return NULL;
}

static const char *take_pool(const pf_graph *graph, const pf_node *node, window_form *form)
{
    const pf_pool_attrs *attrs = node->attrs;

    if (pf_graph_value(graph, node->in[0])->shape.rank != 4 || cg_pool_wants_places(graph, node))
        return "not two spatial dims, or places are wanted";
    if (attrs->auto_pad) return "padding depends on a symbol";
    form->kernel = &attrs->kernel;
    form->strides = &attrs->strides;
    form->dilations = &attrs->dilations;
    form->pads = &attrs->pads;
    return NULL;
}

static const char *take(const pf_problem *p, const pf_node *node, window_form *form)
{
    form->node = node;
    form->x = pf_problem_input_index(p, node->in[0]);
    if (form->x == UINT32_MAX) return "x is computed inside the region";
    return node->op == PF_OP_CONV ? take_conv(p->graph, node, form) : take_pool(p->graph, node, form);
}

static bool is_window(const pf_node *node)
{
    return node->op == PF_OP_CONV || node->op == PF_OP_MAX_POOL || node->op == PF_OP_AVERAGE_POOL;
}

static const char *recognize(const pf_problem *p, window_form *form)
{
    const pf_node *node = NULL;
    const char    *reason = cg_find_anchor(p->graph, is_window, "no window", "two windows", &node);

    memset(form, 0, sizeof *form);
    return reason ? reason : take(p, node, form);
}

static const char *check_layouts(const pf_problem *p, const window_form *form)
{
    const pf_graph *graph = p->graph;
    const pf_shape *shape = &pf_graph_value(graph, form->node->out[0])->shape;

    if (!cg_is_channels_last(p->in_layout[form->x], pf_graph_value(graph, graph->inputs[form->x])->dtype))
        return "x is not channels-last";
    if (form->node->op == PF_OP_CONV && p->in_layout[pf_problem_input_index(p, form->node->in[1])] != PF_LAYOUT_LINEAR)
        return "weights are not linear";
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const pf_value *out = pf_graph_value(graph, graph->outputs[i]);

        if (!cg_is_channels_last(p->out_layout[i], out->dtype) || !pf_shape_equal(&out->shape, shape))
            return "outputs differ in shape or are not channels-last";
        if (out->is_constant || out->producer == PF_NONE) return "an output that is an input";
    }
    return NULL;
}

const char *pf_codegen_window_declines(const pf_problem *p)
{
    window_form form;
    const char *reason = recognize(p, &form);

    if (!reason) reason = cg_behind_declines(p->graph, form.node);
    if (reason) return reason;
    if (form.node->op == PF_OP_CONV && pf_problem_input_index(p, form.node->in[1]) == UINT32_MAX)
        return "weights are computed inside the region";
    if (!pf_dtype_is_float(pf_graph_value(p->graph, form.node->in[0])->dtype) ||
        !cg_storage_type(pf_graph_value(p->graph, form.node->in[0])->dtype))
        return "element type";
    if (p->graph->input_count + p->graph->output_count > CG_IN_OUT_MAX)
        return "too many inputs and outputs for one kernel";
    return check_layouts(p, &form);
}

static const pf_shape *shape_in(const pf_problem *p, const window_form *form)
{
    return &pf_graph_value(p->graph, form->node->in[0])->shape;
}
static const pf_shape *shape_out(const pf_problem *p, const window_form *form)
{
    return &pf_graph_value(p->graph, form->node->out[0])->shape;
}

static int widest(const pf_problem *p, const window_form *form)
{
    int vector = 128 / (int)pf_dtype_bits(pf_graph_value(p->graph, form->node->in[0])->dtype);

    while (vector > 1 && shape_in(p, form)->dim[1] % vector) vector /= 2;
    return vector;
}

/* Registers that a thread needs for weights, a row of columns and its sums bound what is worth trying. */
static bool fits_registers(const window_form *form, int vector, int strip)
{
    int64_t columns = (strip - 1) * form->strides->at[1] + (form->kernel->at[1] - 1) * form->dilations->at[1] + 1;
    int64_t taps = form->node->op == PF_OP_CONV ? form->kernel->at[0] * form->kernel->at[1] : 0;

    return columns * vector / 2 + strip * vector + taps * vector / 2 <= 200;
}

/* Seven columns or eight: these take long to compile, and the one that fills its last strip in a row is the faster. */
static int longest_strip(int64_t columns)
{
    return columns % 7 && columns % 8 == 0 ? 8 : 7;
}

int pf_codegen_window_tunings(const pf_problem *p, pf_window_tuning *out, int max)
{
    static const int threads[] = { 128, 256, 64 };
    window_form      form;
    int              strips[] = { 2, 4, 1, 7 }, count = 0;

    recognize(p, &form);
    strips[3] = longest_strip(shape_out(p, &form)->dim[3]);
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++)
        for (int vector = widest(p, &form); vector >= 1 && vector * 4 >= widest(p, &form); vector /= 2)
            for (size_t s = 0; s < sizeof strips / sizeof *strips && count < max; s++)
                if (fits_registers(&form, vector, strips[s]) &&
                    (strips[s] == 1 || strips[s] <= shape_out(p, &form)->dim[3]))
                    out[count++] = (pf_window_tuning){ vector, strips[s], threads[t] };
    if (!count) out[count++] = (pf_window_tuning){ 1, 1, 128 };
    return count;
}

/* ---- Emitting */

/* Weights of the thread's channels are neighbours in [C,1,KH,KW]: whole vectors are loaded and used by constant
   index. */
static void emit_weights(const pf_problem *p, const window_form *form, pf_buf *out)
{
    uint32_t    w = pf_problem_input_index(p, form->node->in[1]);
    const char *type = cg_storage_type(pf_graph_value(p->graph, form->node->in[1])->dtype);

    pf_buf_printf(out, "  %s weights[V * KH * KW];\n", type);
    pf_buf_printf(out, "  { const wide<%s, V> *from = (const wide<%s, V> *)(in%u + (long long)i3 * (KH * KW));\n", type,
                  type, w);
    pf_buf_printf(out,
                  "    _Pragma(\"unroll\") for (int t = 0; t < KH * KW; ++t) { wide<%s, V> piece = from[t]; LANES "
                  "weights[t * V + l] = piece.at[l]; } }\n",
                  type);
}

/* What one tap does to sum[s][l], given the column's values in `column[..]`, and what an element outside does. */
static const char *tap_statement(pf_op_kind op)
{
    return op == PF_OP_CONV ? "sum[s][l] = fmaf(a, WEIGHT, sum[s][l]);"
         : op == PF_OP_MAX_POOL ? "sum[s][l] = a > sum[s][l] || a != a ? a : sum[s][l];" : "sum[s][l] += a;";
}

/* A convolution's padding counts as zeros, which cost less than not to multiply them: no branches around every tap. */
static void emit_taps(const pf_problem *p, const window_form *form, pf_buf *out)
{
    pf_dtype    dtype = pf_graph_value(p->graph, form->node->in[0])->dtype;
    const char *type = cg_storage_type(dtype), *convert = cg_load_function(dtype);
    bool        max = form->node->op == PF_OP_MAX_POOL, conv = form->node->op == PF_OP_CONV;

    pf_buf_printf(out, "  float sum[S][V];\n  _Pragma(\"unroll\") for (int s = 0; s < S; ++s) LANES sum[s][l] = %s;\n",
                  max ? "__int_as_float(0xff800000)" : "0.0f");
    pf_buf_printf(out, "  _Pragma(\"unroll\") for (int kh = 0; kh < KH; ++kh) {\n"
                       "    const idx ih = i1 * SH - PH + kh * DH;\n    if (ih < 0 || ih >= H) continue;\n");
    pf_buf_printf(out, "    wide<%s, V> column[COLUMNS]; bool inside[COLUMNS];\n", type);
    pf_buf_printf(out, "    _Pragma(\"unroll\") for (int k = 0; k < COLUMNS; ++k) { const idx iw = ow * SW - PW + k; "
                       "inside[k] = iw >= 0 && iw < W;\n");
    pf_buf_printf(out,
                  "      %sif (inside[k]) column[k] = *(const wide<%s, V> *)(in%u + (((long long)i0 * H + ih) * W + "
                  "iw) * PIXEL + i3); }\n",
                  conv ? "column[k] = {}; " : "", type, form->x);
    pf_buf_printf(out, "    _Pragma(\"unroll\") for (int kw = 0; kw < KW; ++kw) _Pragma(\"unroll\") for (int s = 0; s "
                       "< S; ++s)\n");
    pf_buf_printf(out,
                  "      %sLANES { const float a = %s(column[s * SW + kw * DW].at[l]); %s "
                  "}\n  }\n",
                  conv ? "" : "if (inside[s * SW + kw * DW]) ", convert, tap_statement(form->node->op));
}

static void emit_defines(const pf_problem *p, const window_form *form, const pf_window_tuning *tuning, pf_buf *out)
{
    const pf_shape *x = shape_in(p, form);
    const pf_ints  *k = form->kernel, *s = form->strides, *d = form->dilations, *pads = form->pads;
    const char     *convert = cg_load_function(pf_graph_value(p->graph, form->node->in[0])->dtype);
    int64_t         pitch = pf_layout_pitch(p->in_layout[form->x]);

    pf_buf_printf(out, "#define S %d\n#define H %lld\n#define W %lld\n#define PIXEL %lld\n", tuning->strip,
                  (long long)x->dim[2], (long long)x->dim[3], (long long)(pitch ? pitch : x->dim[1]));
    pf_buf_printf(out, "#define KH %lld\n#define KW %lld\n#define SH %lld\n#define SW %lld\n", (long long)k->at[0],
                  (long long)k->at[1], (long long)s->at[0], (long long)s->at[1]);
    pf_buf_printf(out, "#define DH %lld\n#define DW %lld\n#define PH %lld\n#define PW %lld\n",
                  (long long)(d->count ? d->at[0] : 1), (long long)(d->count ? d->at[1] : 1), (long long)pads->at[0],
                  (long long)pads->at[1]);
    pf_buf_printf(out, "#define COLUMNS ((S - 1) * SW + (KW - 1) * DW + 1)\n"
                       "#define WEIGHT %s(weights[l * (KH * KW) + kh * KW + kw])\n", convert);
}

/* Average: the divisor is the window's size, or how much of it lies inside; with ceil_mode the part beyond the padded
   input never counts. */
static void emit_average(const window_form *form, pf_buf *out)
{
    const pf_pool_attrs *attrs = form->node->attrs;

    if (attrs->count_include_pad)
        pf_buf_printf(out, "  const int high_h = H + %lld, high_w = W + %lld, low_h = -PH, low_w = -PW;\n",
                      (long long)attrs->pads.at[2], (long long)attrs->pads.at[3]);
    else pf_buf_printf(out, "  const int high_h = H, high_w = W, low_h = 0, low_w = 0;\n");
    pf_buf_printf(out, "  int rows = 0, columns = 0;\n");
    pf_buf_printf(out, "  _Pragma(\"unroll\") for (int k = 0; k < KH; ++k) { const int at = i1 * SH - PH + k * DH; "
                       "rows += at >= low_h && at < high_h; }\n");
    pf_buf_printf(out, "  _Pragma(\"unroll\") for (int k = 0; k < KW; ++k) { const int at = i2 * SW - PW + k * DW; "
                       "columns += at >= low_w && at < high_w; }\n");
    pf_buf_printf(out, "  const float count = (float)(rows * columns);\n");
}

/* The anchor's value at the point, from sum[s]. */
static int32_t emit_anchor(cg_context *cg, const window_form *form, const cg_point *point)
{
    const pf_node *node = form->node;
    int32_t        bias = 0, id = 0;

    if (node->op == PF_OP_AVERAGE_POOL) emit_average(form, cg->body);
    if (node->op == PF_OP_CONV && node->in_count > 2 && node->in[2] != PF_NONE) {
        cg_point at = { .rank = 1 };

        at.at[0] = point->at[1];
        bias = cg_eval(cg, node->in[2], &at);
        if (bias < 0) return -1;
    }
    id = ++cg->next_id;
    pf_buf_printf(cg->body, "  float v%d[V]; LANES v%d[l] = sum[s][l]", id, id);
    if (node->op == PF_OP_AVERAGE_POOL) pf_buf_printf(cg->body, " / count");
    if (bias) pf_buf_printf(cg->body, " + v%d[l]", bias);
    pf_buf_printf(cg->body, ";\n");
    return cg_bind(cg, node->out[0], point, id) ? id : -1;
}

static bool emit_epilogue(cg_context *cg, const window_form *form, const cg_point *point)
{
    const pf_graph *graph = cg->problem->graph;

    pf_buf_printf(cg->body, "  _Pragma(\"unroll\") for (int s = 0; s < S; ++s) {\n"
                            "  const idx i2 = ow + s; if (i2 >= %lld) break;\n",
                  (long long)cg->var_extent[VAR_W]);
    if (emit_anchor(cg, form, point) < 0) return false;
    for (uint32_t i = 0; i < graph->output_count; i++) {
        cg_index address = cg_address(cg, cg->problem->out_layout[i], pf_graph_value(graph, graph->outputs[i]), point);
        int32_t  id = cg_eval(cg, graph->outputs[i], point);

        if (id < 0) return false;
        cg_store(cg, i, id, &address);
    }
    return pf_buf_printf(cg->body, "  }\n");
}

pf_status pf_codegen_window(const pf_problem *p, const pf_window_tuning *tuning, pf_program *out, pf_err *err)
{
    window_form form;
    cg_context  cg;
    cg_point    point;
    pf_buf      body = {0}, defines = {0};
    int64_t     strips = 0, vectors = 0, items = 0, elems = 0;
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_init(&body, SOURCE_LIMIT_BYTES);
    pf_buf_init(&defines, SOURCE_LIMIT_BYTES);
    recognize(p, &form);
    cg_context_init(&cg, p, &body, tuning->vector, err);
    cg_loop_over(&cg, PF_LAYOUT_CHANNELS_LAST, pf_graph_value(p->graph, form.node->out[0]), &point);
    strips = (cg.var_extent[VAR_W] + tuning->strip - 1) / tuning->strip;
    vectors = cg.var_extent[VAR_C] / tuning->vector;
    items = cg.var_extent[VAR_N] * cg.var_extent[VAR_H] * strips * vectors;
    elems = items * tuning->strip * tuning->vector * form.strides->at[0] * form.strides->at[1];
    if (elems < cg_most_places(p)) elems = cg_most_places(p);
    emit_defines(p, &form, tuning, &defines);
    if (defines.failed) st = PF_FAIL_MEMORY(err, SOURCE_LIMIT_BYTES);
    else
        pf_codegen_header(p, tuning->vector, tuning->threads, elems, (const char *)defines.data, &out->source);
    pf_buf_printf(&out->source, "  const long long item = (long long)blockIdx.x * %d + threadIdx.x;\n"
                                "  if (item >= %lld) return;\n  idx rest = (idx)item;\n",
                  tuning->threads, (long long)items);
    pf_buf_printf(&out->source, "  const idx i3 = rest %% %lld * V; rest /= %lld;\n"
                                "  const idx ow = rest %% %lld * S; rest /= %lld;\n", (long long)vectors,
                  (long long)vectors, (long long)strips, (long long)strips);
    pf_buf_printf(&out->source, "  const idx i1 = rest %% %lld, i0 = rest / %lld;\n", (long long)cg.var_extent[VAR_H],
                  (long long)cg.var_extent[VAR_H]);
    if (form.node->op == PF_OP_CONV) emit_weights(p, &form, &out->source);
    emit_taps(p, &form, &out->source);
    if (!emit_epilogue(&cg, &form, &point)) st = PF_FAIL(err, PF_UNSUPPORTED, "the region cannot be evaluated");
    pf_buf_put(&out->source, body.data, body.size);
    pf_buf_printf(&out->source, "}\n");
    if (!st && (body.failed || out->source.failed))
        st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    out->grid[0] = (uint32_t)((items + tuning->threads - 1) / tuning->threads);
    out->grid[1] = out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = (uint32_t)tuning->threads;
    cg_context_clear(&cg);
    pf_buf_clear(&body);
    pf_buf_clear(&defines);
    if (st) pf_program_clear(out);
    return st;
}
