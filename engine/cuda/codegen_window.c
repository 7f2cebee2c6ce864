#include "engine/cuda/codegen_window.h"

#include <string.h>

#include "engine/cuda/codegen_loop.h"
#include "engine/cuda/codegen_window_private.h"
#include "engine/epilogue.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

enum { SOURCE_LIMIT_BYTES = 1 << 20, VAR_N = 0, VAR_H = 1, VAR_W = 2, VAR_C = 3, TILED_SHARED = 2,
       MANY_TAPS = 25 };

static const char *take_conv(const pf_graph *graph, const pf_node *node, cg_window_form *form)
{
    const pf_conv_attrs *attrs = node->attrs;
    const pf_shape      *x = &pf_graph_value(graph, node->in[0])->shape,
                        *w = &pf_graph_value(graph, node->in[1])->shape;

    if (x->rank != 4) return "not two spatial dims";
    if (attrs->auto_pad) return "padding depends on a symbol";
    form->stem = cg_stem_is(attrs, x, w);
    if (!form->stem && (attrs->groups != x->dim[1] || w->dim[0] != x->dim[1] || w->dim[1] != 1))
        return "neither depthwise nor of few channels";
    form->from_weights = (pf_ints){ 2, { w->dim[2], w->dim[3] } };
    form->kernel = &form->from_weights;
    form->strides = &attrs->strides;
    form->dilations = &attrs->dilations;
    form->pads = &attrs->pads;
    return NULL;
}

static const char *take_pool(const pf_graph *graph, const pf_node *node, cg_window_form *form)
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

static const char *take(const pf_problem *p, const pf_node *node, cg_window_form *form)
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

static const char *recognize(const pf_problem *p, cg_window_form *form)
{
    const pf_node *node = NULL;
    const char    *reason = cg_find_anchor(p->graph, is_window, "no window", "two windows", &node);

    memset(form, 0, sizeof *form);
    return reason ? reason : take(p, node, form);
}

static const char *check_layouts(const pf_problem *p, const cg_window_form *form)
{
    const pf_graph *graph = p->graph;
    const pf_shape *shape = &pf_graph_value(graph, form->node->out[0])->shape;

    if (form->stem ? p->in_layout[form->x] != PF_LAYOUT_LINEAR
                   : !cg_is_channels_last(p->in_layout[form->x], pf_graph_value(graph, graph->inputs[form->x])->dtype))
        return "x is not channels-last, or a picture for each of few channels";
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
    cg_window_form form;
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

void pf_codegen_window_prefers(const pf_problem *p, pf_layout *in)
{
    cg_window_form form;

    if (!recognize(p, &form) && form.stem) in[form.x] = PF_LAYOUT_LINEAR;
}

/* A stem's weights come from shared memory, the more for each access the better. */
static int widest(const pf_problem *p, const cg_window_form *form)
{
    int vector = form->stem ? 8 : 128 / (int)pf_dtype_bits(pf_graph_value(p->graph, form->node->in[0])->dtype);

    while (vector > 1 && cg_window_out(p, form)->dim[1] % vector) vector /= 2;
    return vector;
}

static int64_t taps_of(const cg_window_form *form)
{
    return form->node->op == PF_OP_CONV ? form->kernel->at[0] * form->kernel->at[1] : 0;
}

/* Registers that a thread needs for weights, a row of columns and its sums bound what is worth trying. */
static bool fits_registers(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *t)
{
    int64_t bits = pf_dtype_bits(pf_graph_value(p->graph, form->node->in[0])->dtype);
    int64_t columns = (t->strip - 1) * form->strides->at[1] + (form->kernel->at[1] - 1) * form->dilations->at[1] + 1;
    int64_t taps = t->tiled == TILED_SHARED ? 0 : taps_of(form);

    if (form->stem) return columns + t->strip * t->vector <= 100;
    return (columns + taps) * t->vector * bits / 32 + t->rows * t->strip * t->vector <= 200;
}

/* Seven columns or eight: these take long to compile, and the one that fills its last strip in a row is the faster. */
static int longest_strip(int64_t columns)
{
    return columns % 7 && columns % 8 == 0 ? 8 : 7;
}

/* narrower: how often the vector is halved; strip 0: the longest. */
typedef struct choice { int narrower, strip, rows, tiled, threads; } choice;

/* Of 25 tried for seven depthwise convolutions on an H200 the first four hold the best of each. */
static const choice choices[] = {
    { 2, 0, 2, 1, 256 }, { 2, 4, 4, 0, 128 }, { 1, 0, 2, 1, 256 }, { 1, 4, 2, 0, 128 }, { 1, 2, 2, 0, 128 },
    { 0, 2, 1, 0, 128 }, { 1, 0, 1, 0, 128 }, { 0, 1, 1, 0, 128 }, { 1, 2, 4, 0, 128 }, { 1, 4, 1, 0, 128 },
    { 1, 0, 2, 0, 128 }, { 0, 4, 1, 0, 128 }, { 1, 0, 1, 1, 256 }, { 1, 4, 4, 0, 128 }, { 1, 2, 1, 0, 128 },
    { 0, 2, 2, 0, 128 }, { 0, 4, 2, 1, 256 }, { 1, 4, 2, 1, 256 }, { 1, 2, 2, 1, 128 }, { 1, 4, 4, 1, 256 },
    { 1, 4, 1, 1, 256 }, { 1, 2, 4, 1, 256 }, { 0, 0, 1, 1, 256 }, { 0, 2, 2, 1, 256 }, { 2, 4, 1, 0, 128 },
};

/* By way of shared memory, of which neighbours read the bytes of a piece each. */
typedef struct shared_choice { int piece_bytes, strip, rows, threads, channels; } shared_choice;

/* Of 28 tried for eleven depthwise convolutions of 25 and 49 taps on an H200 the first four, with the first four from
   above, come within 4 % of the best of each; for nine taps none was the best. */
static const shared_choice shared_choices[] = {
    { 4, 0, 1, 128, 16 }, { 4, 0, 2, 256, 32 }, { 4, 0, 1, 256, 32 }, { 4, 0, 2, 128, 16 }, { 4, 4, 2, 256, 32 },
    { 8, 4, 4, 128, 32 }, { 4, 0, 1, 128, 32 }, { 8, 2, 2, 128, 32 }, { 4, 0, 4, 128, 32 }, { 8, 0, 2, 128, 16 },
};

static int strip_of(const pf_problem *p, const cg_window_form *form, int strip)
{
    return strip ? strip : form->stem ? 8 : longest_strip(cg_window_out(p, form)->dim[3]);
}

static bool fits(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *t)
{
    const pf_shape *shape = cg_window_out(p, form);

    return t->vector > 0 && shape->dim[1] % t->vector == 0 && fits_registers(p, form, t) &&
           (t->strip == 1 || t->strip <= shape->dim[3]) && (t->rows == 1 || t->rows <= shape->dim[2]);
}

static bool tuning_of(const pf_problem *p, const cg_window_form *form, const choice *c, pf_window_tuning *out)
{
    *out = (pf_window_tuning){ widest(p, form) >> c->narrower, strip_of(p, form, c->strip), c->rows, c->tiled,
                               c->threads, 0 };
    return !(form->stem && (c->rows > 1 || c->tiled)) && fits(p, form, out);
}

static bool shared_tuning_of(const pf_problem *p, const cg_window_form *form, const shared_choice *c,
                             pf_window_tuning *out)
{
    int bytes = (int)pf_dtype_bits(pf_graph_value(p->graph, form->node->in[0])->dtype) / 8;

    *out = (pf_window_tuning){ c->piece_bytes / bytes, strip_of(p, form, c->strip), c->rows, TILED_SHARED, c->threads,
                               c->channels };
    return fits(p, form, out) && cg_shared_takes(p, form, out);
}

/* Of many taps each way has its turn. */
int pf_codegen_window_tunings(const pf_problem *p, pf_window_tuning *out, int max)
{
    enum { CHOICES = sizeof choices / sizeof *choices, SHARED = sizeof shared_choices / sizeof *shared_choices };
    cg_window_form form;
    int            count = 0;
    bool           shares = false;

    recognize(p, &form);
    shares = taps_of(&form) >= MANY_TAPS;
    for (int i = 0; i < CHOICES && count < max; i++) {
        if (shares && i < SHARED) count += shared_tuning_of(p, &form, &shared_choices[i], &out[count]);
        if (count < max) count += tuning_of(p, &form, &choices[i], &out[count]);
    }
    if (!count) out[count++] = (pf_window_tuning){ 1, 1, 1, 0, 128, 0 };
    return count;
}

/* ---- Emitting */

/* A piece is V neighbours as they lie in memory. Those of 16 bits stay two in a register: where a zero is taken instead
   of what lies outside, halves that are chosen one by one would take an instruction each. */
static void emit_pieces(pf_dtype dtype, int vector, pf_buf *out)
{
    bool pairs = pf_dtype_bits(dtype) == 16 && vector % 2 == 0;

    if (!pairs)
        pf_buf_printf(out, "typedef wide<%s, V> piece;\n"
                           "__device__ __forceinline__ float element(const piece &of, int l) {\n"
                           "  return %s(of.at[l]); }\n", cg_storage_type(dtype), cg_load_function(dtype));
    else
        pf_buf_printf(out, "typedef wide<unsigned, V / 2> piece;\n"
                           "__device__ __forceinline__ float element(const piece &of, int l) {\n"
                           "  const unsigned pair = of.at[l / 2]; %s bits; *(unsigned short *)&bits = "
                           "(unsigned short)(l %% 2 ? pair >> 16 : pair);\n  return %s(bits); }\n",
                      cg_storage_type(dtype), cg_load_function(dtype));
}

/* Weights are packed as [KH,KW,C], so that neighbours load what is side by side: from [C,1,KH,KW] each would touch a
   line of its own. */
static void emit_weights(const pf_problem *p, const cg_window_form *form, pf_buf *out)
{
    uint32_t    w = pf_problem_input_index(p, form->node->in[1]);
    const char *type = cg_storage_type(pf_graph_value(p->graph, form->node->in[1])->dtype);

    pf_buf_printf(out, "  piece weights[KH * KW]; const %s *first = in%u + i3;\n"
                       "  _Pragma(\"unroll\") for (int t = 0; t < KH * KW; ++t) {\n", type, w);
    if (p->in_constant[w])
        pf_buf_printf(out, "    weights[t] = *(const piece *)(first + t * %lld); }\n",
                      (long long)cg_window_out(p, form)->dim[1]);
    else
        pf_buf_printf(out, "    wide<%s, V> loose; LANES loose.at[l] = first[i3 * (KH * KW - 1) + l * (KH * KW) + t];\n"
                           "    weights[t] = *(const piece *)&loose; }\n", type);
}

/* What one tap does to sum[s][l], given the column's values in `column[..]`, and what an element outside does. */
static const char *tap_statement(pf_op_kind op)
{
    return op == PF_OP_CONV ? "sum[s][l] = fmaf(a, WEIGHT, sum[s][l]);"
         : op == PF_OP_MAX_POOL ? "sum[s][l] = a > sum[s][l] || a != a ? a : sum[s][l];" : "sum[s][l] += a;";
}

/* A convolution's padding counts as zeros, which cost less than not to multiply them: no branches around every tap. The
   address of the first element is settled: the compiler would make it anew for every one that may lie outside. */
static void emit_taps(const pf_problem *p, const cg_window_form *form, pf_buf *out)
{
    const char *type = cg_storage_type(pf_graph_value(p->graph, form->node->in[0])->dtype);
    bool        max = form->node->op == PF_OP_MAX_POOL, conv = form->node->op == PF_OP_CONV;

    pf_buf_printf(out, "  float sum[R * S][V];\n"
                       "  _Pragma(\"unroll\") for (int s = 0; s < R * S; ++s) LANES sum[s][l] = %s;\n",
                  max ? "__int_as_float(0xff800000)" : "0.0f");
    pf_buf_printf(out, "  const %s *corner = settled(in%u + (((long long)i0 * H + oh * SH - PH) * W + ow * SW - PW) * "
                       "PIXEL + i3);\n", type, form->x);
    pf_buf_printf(out, "  _Pragma(\"unroll\") for (int down = 0; down < (R - 1) * SH + (KH - 1) * DH + 1; ++down) {\n"
                       "    const idx ih = oh * SH - PH + down; const bool there = ih >= 0 && ih < H;\n%s",
                  conv ? "" : "    if (!there) continue;\n");
    pf_buf_printf(out, "    piece column[COLUMNS]; bool inside[COLUMNS];\n");
    pf_buf_printf(out, "    _Pragma(\"unroll\") for (int k = 0; k < COLUMNS; ++k) { const idx iw = ow * SW - PW + k; "
                       "inside[k] = there && iw >= 0 && iw < W;\n");
    pf_buf_printf(out, "      %sif (inside[k]) column[k] = *(const piece *)(corner + (down * W + k) * PIXEL); }\n",
                  conv ? "column[k] = {}; " : "");
    pf_buf_printf(out, "    _Pragma(\"unroll\") for (int r = 0; r < R; ++r) {\n"
                       "      const int kh = (down - r * SH) / DH;\n"
                       "      if (down < r * SH || (down - r * SH) %% DH || kh >= KH) continue;\n");
    pf_buf_printf(out, "      _Pragma(\"unroll\") for (int kw = 0; kw < KW; ++kw)\n"
                       "        _Pragma(\"unroll\") for (int c = 0; c < S; ++c) {\n        const int s = r * S + c;\n");
    pf_buf_printf(out,
                  "        %sLANES { const float a = element(column[c * SW + kw * DW], l); %s } }\n    }\n  }\n",
                  conv ? "" : "if (inside[c * SW + kw * DW]) ", tap_statement(form->node->op));
}

static void emit_defines(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *tuning, pf_buf *out)
{
    const pf_shape *x = cg_window_in(p, form);
    const pf_ints  *k = form->kernel, *s = form->strides, *d = form->dilations, *pads = form->pads;
    int64_t         pitch = pf_layout_pitch(p->in_layout[form->x]);

    pf_buf_printf(out, "#define S %d\n#define R %d\n#define H %lld\n#define W %lld\n#define PIXEL %lld\n",
                  tuning->strip, tuning->rows,
                  (long long)x->dim[2], (long long)x->dim[3], (long long)(pitch ? pitch : x->dim[1]));
    pf_buf_printf(out, "#define KH %lld\n#define KW %lld\n#define SH %lld\n#define SW %lld\n", (long long)k->at[0],
                  (long long)k->at[1], (long long)s->at[0], (long long)s->at[1]);
    pf_buf_printf(out, "#define DH %lld\n#define DW %lld\n#define PH %lld\n#define PW %lld\n",
                  (long long)(d->count ? d->at[0] : 1), (long long)(d->count ? d->at[1] : 1), (long long)pads->at[0],
                  (long long)pads->at[1]);
    pf_buf_printf(out, "#define COLUMNS ((S - 1) * SW + (KW - 1) * DW + 1)\n"
                       "#define WEIGHT element(weights[kh * KW + kw], l)\n");
    if (!form->stem) emit_pieces(pf_graph_value(p->graph, form->node->in[0])->dtype, tuning->vector, out);
    else cg_stem_emit_defines(p, form, tuning, out);
    if (tuning->tiled == TILED_SHARED) cg_shared_emit_defines(p, form, tuning, out);
}

/* Average: the divisor is the window's size, or how much of it lies inside; with ceil_mode the part beyond the padded
   input never counts. */
static void emit_average(const cg_window_form *form, pf_buf *out)
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
static int32_t emit_anchor(cg_context *cg, const cg_window_form *form, const cg_point *point)
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
    pf_buf_printf(cg->body, "  float v%d[V]; LANES v%d[l] = sum[r * S + s][l]", id, id);
    if (node->op == PF_OP_AVERAGE_POOL) pf_buf_printf(cg->body, " / count");
    if (bias) pf_buf_printf(cg->body, " + v%d[l]", bias);
    pf_buf_printf(cg->body, ";\n");
    return cg_bind(cg, node->out[0], point, id) ? id : -1;
}

static bool emit_epilogue(cg_context *cg, const cg_window_form *form, const cg_point *point)
{
    const pf_graph *graph = cg->problem->graph;

    pf_buf_printf(cg->body, "  _Pragma(\"unroll\") for (int r = 0; r < R; ++r)\n"
                            "  _Pragma(\"unroll\") for (int s = 0; s < S; ++s) {\n"
                            "  const idx i1 = oh + r, i2 = ow + s; if (i1 >= %lld || i2 >= %lld) continue;\n",
                  (long long)cg->var_extent[VAR_H], (long long)cg->var_extent[VAR_W]);
    if (emit_anchor(cg, form, point) < 0) return false;
    for (uint32_t i = 0; i < graph->output_count; i++) {
        cg_index address = cg_address(cg, cg->problem->out_layout[i], pf_graph_value(graph, graph->outputs[i]), point);
        int32_t  id = cg_eval(cg, graph->outputs[i], point);

        if (id < 0) return false;
        cg_store(cg, i, id, &address);
    }
    return pf_buf_printf(cg->body, "  }\n");
}

/* How many threads' places there are: channels, columns, rows, images; and how many of these a block has where it is a
   tile of an image, whose rows its threads then find in the cache. */
typedef struct places { int64_t vectors, strips, rows, images, across, along, down; } places;

static places places_of(const cg_context *cg, const pf_window_tuning *tuning)
{
    places at = { cg->var_extent[VAR_C] / tuning->vector, cg_up(cg->var_extent[VAR_W], tuning->strip),
                  cg_up(cg->var_extent[VAR_H], tuning->rows), cg->var_extent[VAR_N], 0, 0, 0 };
    int64_t vectors_max = 64 / tuning->vector > 1 ? 64 / tuning->vector : 1;

    at.across = cg_up(at.vectors, cg_up(at.vectors, vectors_max));
    at.along = tuning->threads / at.across < at.strips ? tuning->threads / at.across : at.strips;
    if (at.along < 1) at.along = 1;
    at.down = tuning->threads / at.across / at.along < at.rows ? tuning->threads / at.across / at.along : at.rows;
    if (at.down < 1) at.down = 1;
    return at;
}

/* The thread's place: i3, ow, oh and i0. */
static void emit_line(const places *at, const pf_window_tuning *tuning, pf_program *out)
{
    int64_t items = at->vectors * at->strips * at->rows * at->images;

    out->grid[0] = (uint32_t)cg_up(items, tuning->threads);
    out->block[0] = (uint32_t)tuning->threads;
    pf_buf_printf(&out->source, "  const long long item = (long long)blockIdx.x * %d + threadIdx.x;\n"
                                "  if (item >= %lld) return;\n  idx rest = (idx)item;\n",
                  tuning->threads, (long long)items);
    pf_buf_printf(&out->source, "  const idx i3 = rest %% %lld * V; rest /= %lld;\n"
                                "  const idx ow = rest %% %lld * S; rest /= %lld;\n"
                                "  const idx oh = rest %% %lld * R, i0 = rest / %lld;\n",
                  (long long)at->vectors, (long long)at->vectors, (long long)at->strips, (long long)at->strips,
                  (long long)at->rows, (long long)at->rows);
}

static void emit_tile(const places *at, pf_program *out)
{
    int64_t across = cg_up(at->vectors, at->across), along = cg_up(at->strips, at->along),
            down = cg_up(at->rows, at->down);

    out->grid[0] = (uint32_t)(across * along * down * at->images);
    out->block[0] = (uint32_t)(at->across * at->along * at->down);
    pf_buf_printf(&out->source, "  idx rest = blockIdx.x, here = threadIdx.x;\n"
                                "  const idx i3 = (rest %% %lld * %lld + here %% %lld) * V;\n"
                                "  rest /= %lld; here /= %lld;\n",
                  (long long)across, (long long)at->across, (long long)at->across, (long long)across,
                  (long long)at->across);
    pf_buf_printf(&out->source, "  const idx ow = (rest %% %lld * %lld + here %% %lld) * S;\n"
                                "  rest /= %lld; here /= %lld;\n",
                  (long long)along, (long long)at->along, (long long)at->along, (long long)along,
                  (long long)at->along);
    pf_buf_printf(&out->source, "  const idx oh = (rest %% %lld * %lld + here) * R, i0 = rest / %lld;\n"
                                "  if (i3 >= %lld * V || ow >= %lld * S || oh >= %lld * R) return;\n",
                  (long long)down, (long long)at->down, (long long)down, (long long)at->vectors,
                  (long long)at->strips, (long long)at->rows);
}

static void emit_sums(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *tuning,
                      const places *at, pf_program *program)
{
    pf_buf *out = &program->source;

    if (tuning->tiled == TILED_SHARED) {
        cg_shared_emit_sums(p, form, tuning, program);
        return;
    }
    if (tuning->tiled) emit_tile(at, program);
    else emit_line(at, tuning, program);
    if (form->stem) cg_stem_emit_taps(p, form, out);
    else {
        if (form->node->op == PF_OP_CONV) emit_weights(p, form, out);
        emit_taps(p, form, out);
    }
}

static void describe_packing(const pf_problem *p, const cg_window_form *form, pf_program *out)
{
    const pf_value *w = form->node->op == PF_OP_CONV ? pf_graph_value(p->graph, form->node->in[1]) : NULL;

    if (!w || form->stem || !p->in_constant[pf_problem_input_index(p, form->node->in[1])]) return;
    out->packs = true;
    out->packed_input = pf_problem_input_index(p, form->node->in[1]);
    out->packed_bytes = (size_t)pf_shape_elems(p->graph->dims, &w->shape) * pf_dtype_bits(w->dtype) / 8;
}

pf_status pf_codegen_window(const pf_problem *p, const pf_window_tuning *tuning, pf_program *out, pf_err *err)
{
    cg_window_form form;
    cg_context  cg;
    cg_point    point;
    places      at;
    pf_buf      body = {0}, defines = {0};
    int64_t     elems = 0;
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    recognize(p, &form);
    if (tuning->tiled == TILED_SHARED && !cg_shared_takes(p, &form, tuning))
        return PF_FAIL(err, PF_UNSUPPORTED, "a block's pixels do not fit into shared memory");
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_init(&body, SOURCE_LIMIT_BYTES);
    pf_buf_init(&defines, SOURCE_LIMIT_BYTES);
    cg_context_init(&cg, p, &body, tuning->vector, err);
    cg_loop_over(&cg, PF_LAYOUT_CHANNELS_LAST, pf_graph_value(p->graph, form.node->out[0]), &point);
    at = places_of(&cg, tuning);
    elems = at.vectors * at.strips * at.rows * at.images * tuning->strip * tuning->rows * tuning->vector *
            form.strides->at[0] * form.strides->at[1];
    if (elems < cg_most_places(p)) elems = cg_most_places(p);
    emit_defines(p, &form, tuning, &defines);
    if (defines.failed) st = PF_FAIL_MEMORY(err, SOURCE_LIMIT_BYTES);
    else
        pf_codegen_header(p, tuning->vector, tuning->threads, elems, (const char *)defines.data, &out->source);
    out->grid[1] = out->grid[2] = out->block[1] = out->block[2] = 1;
    describe_packing(p, &form, out);
    if (form.stem) cg_stem_emit_weights(p, &form, &out->source);
    emit_sums(p, &form, tuning, &at, out);
    if (!emit_epilogue(&cg, &form, &point)) st = PF_FAIL(err, PF_UNSUPPORTED, "the region cannot be evaluated");
    pf_buf_put(&out->source, body.data, body.size);
    pf_buf_printf(&out->source, "}\n");
    if (!st && (body.failed || out->source.failed))
        st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    cg_context_clear(&cg);
    pf_buf_clear(&body);
    pf_buf_clear(&defines);
    if (st) pf_program_clear(out);
    return st;
}

/* ---- Packing */

void pf_codegen_window_pack(const pf_tensor *weights, void *to)
{
    int64_t        channels = weights->dim[0], taps = weights->dim[2] * weights->dim[3];
    size_t         bytes = pf_dtype_bits(weights->dtype) / 8;
    const uint8_t *from = weights->data;
    uint8_t       *out = to;

    for (int64_t c = 0; c < channels; c++)
        for (int64_t t = 0; t < taps; t++)
            memcpy(out + (size_t)(t * channels + c) * bytes, from + (size_t)(c * taps + t) * bytes, bytes);
}
