/* A constant per input channel that is multiplied with or added to what a linear op reads becomes part of its weights:
   images that are normalized, batch normalization in front of a convolution.
   Condition: nothing else reads what the op reads, or its weights, and what is added meets no padding, which stays 0.
   A matmul that takes no bias gets an addition behind it, where the one in front was. */
#include <math.h>

#include "base/alloc.h"
#include "engine/fold.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"

typedef struct job {
    pf_graph      *graph;
    pf_fold_linear linear;
    pf_node        node, affine;        /* copies: adding nodes moves them */
    int64_t        channels;            /* of the input */
    double        *scale, *shift;       /* per input channel; NULL: 1, 0 */
} job;

/* Which input channel a weight meets: its index along a dim of `size`, plus `per_group` for each `group_rows`
   weights. */
typedef struct meeting { int64_t size, inner, group_elems, per_group; } meeting;

static bool is_product(const pf_node *node) { return node->op == PF_OP_MATMUL || node->op == PF_OP_GEMM; }

static bool trans_w(const pf_node *node)
{
    return node->op == PF_OP_GEMM ? ((const pf_gemm_attrs *)node->attrs)->trans_b
                                  : ((const pf_matmul_attrs *)node->attrs)->trans_b;
}

static bool trans_x(const pf_node *node)
{
    return node->op == PF_OP_GEMM ? ((const pf_gemm_attrs *)node->attrs)->trans_a
                                  : ((const pf_matmul_attrs *)node->attrs)->trans_a;
}

static meeting meeting_of(const job *j)
{
    const pf_value *w = &j->graph->values[j->linear.weights];
    int32_t         axis = is_product(&j->node) ? trans_w(&j->node) : j->node.op == PF_OP_CONV;
    meeting         m = { .size = w->shape.dim[axis], .inner = 1 };

    for (int32_t d = axis + 1; d < w->shape.rank; d++)
        m.inner *= w->shape.dim[d];
    if (j->node.op == PF_OP_CONV) {
        m.group_elems = w->shape.dim[0] / ((const pf_conv_attrs *)j->node.attrs)->groups * m.size * m.inner;
        m.per_group = m.size;
    }
    return m;
}

static int64_t channel_met(const meeting *m, int64_t i)
{
    return i / m->inner % m->size + (m->group_elems ? i / m->group_elems * m->per_group : 0);
}

static bool meets_padding(const pf_node *node)
{
    const pf_conv_attrs *attrs = node->attrs;

    if (node->op != PF_OP_CONV)
        return node->op == PF_OP_CONV_TRANSPOSE;        /* whose borders see a part of the kernel only */
    for (int32_t i = 0; i < attrs->pads.count; i++)
        if (attrs->pads.at[i])
            return true;
    return attrs->auto_pad != PF_AUTO_PAD_NONE;
}

static bool read_constant(job *j, int32_t axis)
{
    int32_t rank = j->graph->values[j->linear.x].shape.rank;
    bool    adds = j->affine.op == PF_OP_ADD || j->affine.op == PF_OP_SUB;
    double *items = adds ? j->shift : j->scale;

    if (!pf_fold_along(j->graph, j->affine.in[1], rank, axis, j->channels, items) || (adds && meets_padding(&j->node)))
        return false;
    for (int64_t c = 0; c < j->channels; c++) {
        items[c] = j->affine.op == PF_OP_SUB ? -items[c] : j->affine.op == PF_OP_DIV ? 1 / items[c] : items[c];
        if (!isfinite(items[c]))
            return false;
    }
    return true;
}

/* ---- Weights, each times the scale that it meets */

typedef struct scaled { pf_late late; pf_constant from; meeting m; const double *scale; } scaled;

static void scale_run(pf_dtype dtype, const void *from, const double *scale, int64_t step, int64_t count, void *out)
{
    if (dtype == PF_F32)        /* nearly always, and many */
        for (int64_t i = 0; i < count; i++)
            ((float *)out)[i] = (float)(((const float *)from)[i] * scale[i * step]);
    else
        for (int64_t i = 0; i < count; i++)
            pf_dtype_set(dtype, out, (uint64_t)i, pf_dtype_get(dtype, from, (uint64_t)i) * scale[i * step]);
}

/* Runs of weights that meet one channel, or each the next one. */
static void fill_scaled(const pf_late *late, uint64_t first, uint64_t count, void *out)
{
    const scaled *s = (const scaled *)late;
    const size_t  item = pf_dtype_bytes(late->dtype, 1);
    const int64_t step = s->m.inner == 1, period = step ? s->m.size : s->m.inner, end = (int64_t)(first + count);
    double        room[PF_LATE_CHUNK];
    uint8_t      *to = out;

    for (int64_t at = (int64_t)first, run = 0; at < end; at += run, to += (size_t)run * item) {
        run = period - at % period < end - at ? period - at % period : end - at;
        run = run < PF_LATE_CHUNK ? run : PF_LATE_CHUNK;
        scale_run(late->dtype, pf_constant_part(&s->from, late->dtype, (uint64_t)at, (uint64_t)run, room),
                  &s->scale[channel_met(&s->m, at)], step, run, to);
    }
}

static void forget_scaled(const pf_late *late) { pf_constant_forget(&((const scaled *)late)->from); }

static bool all_finite(pf_dtype dtype, const void *items, uint64_t count)
{
    bool finite = true;

    for (uint64_t i = 0; i < count; i++)
        finite &= dtype == PF_F32 ? isfinite(((const float *)items)[i]) : isfinite(pf_dtype_get(dtype, items, i));
    return finite;
}

static bool stays_finite(const scaled *s, uint64_t elems)
{
    bool finite = true;

#pragma omp parallel for schedule(static) reduction(&& : finite) if (elems > PF_LATE_LEAST_BYTES)
    for (uint64_t at = 0; at < elems; at += PF_LATE_CHUNK) {
        uint64_t count = elems - at < PF_LATE_CHUNK ? elems - at : PF_LATE_CHUNK;
        double   room[PF_LATE_CHUNK];

        fill_scaled(&s->late, at, count, room);
        finite = finite && all_finite(s->late.dtype, room, count);
    }
    return finite;
}

/* What does not fit its type is not folded, and *out PF_NONE. */
static pf_status scale_weights(job *j, pf_value_id *out, pf_err *err)
{
    pf_value w = j->graph->values[j->linear.weights];
    uint64_t elems = (uint64_t)pf_shape_elems(j->graph->dims, &w.shape);
    scaled  *s = pf_arena_alloc(j->graph->arena, sizeof *s);
    double  *scale = pf_arena_copy(j->graph->arena, j->scale, (size_t)j->channels * sizeof *scale);

    *out = PF_NONE;
    if (!s || !scale)
        return PF_FAIL_MEMORY(err, sizeof *s + (size_t)j->channels * sizeof *scale);
    s->late.fill = fill_scaled;
    s->late.forget = forget_scaled;
    s->late.dtype = w.dtype;
    s->from = w.constant;
    s->m = meeting_of(j);
    s->scale = scale;
    return stays_finite(s, elems) ? pf_graph_add_late(j->graph, w.name, &w.shape, &s->late, out, err) : PF_OK;
}

/* ---- Shifts */

/* What the shift makes of each output channel: the sum of its weights times the shifts that they meet. */
static pf_status sum_shifts(const job *j, double *sums, pf_err *err)
{
    const pf_value *w = &j->graph->values[j->linear.weights];
    meeting         m = meeting_of(j);
    int64_t         elems = (int64_t)pf_shape_elems(j->graph->dims, &w->shape), outer = elems / j->linear.channels;
    bool            last = is_product(&j->node) && !trans_w(&j->node);
    double          alpha = j->node.op == PF_OP_GEMM ? ((const pf_gemm_attrs *)j->node.attrs)->alpha : 1;
    const void     *weights = NULL;

    if (pf_constant_bytes(&w->constant, &weights, err))
        return PF_NO_SPACE;
    for (int64_t i = 0; i < elems; i++)
        sums[last ? i % j->linear.channels : i / outer] +=
            alpha * pf_dtype_get(w->dtype, weights, (uint64_t)i) * j->shift[channel_met(&m, i)];
    return PF_OK;
}

static pf_status fold_scale(job *j, pf_value_id *out, pf_err *err)
{
    pf_value_id in[3] = { j->affine.in[0], PF_NONE, j->node.in_count > 2 ? j->node.in[2] : PF_NONE };
    const char *name = pf_rewrite_joined_name(j->graph, j->affine.name, j->node.name);
    pf_status   st = name ? scale_weights(j, &in[1], err) : PF_FAIL_MEMORY(err, 1);

    if (st || in[1] == PF_NONE)
        return st;
    return pf_graph_add_node(j->graph, j->node.op, name, in, j->node.in_count, j->node.attrs, 1, out, err);
}

/* The op without the shift, and then its bias with what the shift makes. */
static pf_status fold_shift(job *j, pf_value_id *out, pf_err *err)
{
    pf_value_id in[3] = { j->affine.in[0], j->node.in[1], j->node.in_count > 2 ? j->node.in[2] : PF_NONE },
                sum = PF_NONE;
    double     *sums = pf_calloc((size_t)j->linear.channels, sizeof *sums);
    pf_status   st = PF_OK;

    if (!sums)
        return PF_FAIL_MEMORY(err, (size_t)j->linear.channels * sizeof *sums);
    st = sum_shifts(j, sums, err);
    if (!st)
        st = pf_graph_add_node(j->graph, j->node.op, j->node.name, in, j->node.in_count, j->node.attrs, 1, out,
                               err);
    j->linear.node = st ? PF_NONE : j->graph->values[*out].producer;
    j->linear.x = in[0];
    if (!st && j->linear.takes_bias)
        st = pf_fold_into_linear(j->graph, &j->linear, NULL, sums, j->affine.name, out, err);
    else if (!st) {
        st = pf_fold_vector(j->graph, j->graph->values[*out].dtype, sums, j->linear.channels, &sum, err);
        if (!st)
            st = pf_make_binary(j->graph, PF_OP_ADD, j->affine.name, *out, sum, out, err);
    }
    pf_free(sums);
    return st;
}

static bool find(job *j, pf_node_id id)
{
    static const pf_op_kind ops[] = { PF_OP_MUL, PF_OP_DIV, PF_OP_ADD, PF_OP_SUB };
    pf_node_id              affine = PF_NONE;

    j->node = j->graph->nodes[id];
    if (j->node.out_count != 1 || !pf_fold_find_linear(j->graph, j->node.out[0], &j->linear) ||
        !pf_rewrite_used_once(j->graph, j->linear.x) || !pf_rewrite_used_once(j->graph, j->linear.weights) ||
        (is_product(&j->node) && (trans_x(&j->node) || j->graph->values[j->linear.x].shape.rank < 2)))
        return false;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0] && affine == PF_NONE; i++)
        affine = pf_rewrite_maker(j->graph, j->linear.x, ops[i]);
    if (affine == PF_NONE)
        return false;
    j->affine = j->graph->nodes[affine];
    return pf_shape_equal(&j->graph->values[j->affine.in[0]].shape, &j->graph->values[j->linear.x].shape) &&
           j->graph->values[j->affine.in[0]].dtype == j->graph->values[j->linear.weights].dtype;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph       *graph = pf_rewrite_graph(rewrite);
    job             j = { .graph = graph };
    const pf_shape *shape = NULL;
    int32_t         axis = 1;
    double         *items = NULL;
    pf_value_id     out = PF_NONE;
    pf_status       st = PF_OK;

    if (!find(&j, id))
        return PF_OK;
    shape = &graph->values[j.linear.x].shape;
    axis = is_product(&j.node) ? shape->rank - 1 : 1;
    j.channels = shape->dim[axis];
    if (!pf_dim_is_number(j.channels) || j.channels < 1)
        return PF_OK;
    items = pf_calloc(2 * (size_t)j.channels, sizeof *items);
    if (!items)
        return PF_FAIL_MEMORY(err, 2 * (size_t)j.channels * sizeof *items);
    j.scale = items;
    j.shift = items + j.channels;
    if (read_constant(&j, axis))
        st = j.affine.op == PF_OP_MUL || j.affine.op == PF_OP_DIV ? fold_scale(&j, &out, err)
                                                                  : fold_shift(&j, &out, err);
    pf_free(items);
    return st || out == PF_NONE ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_fold_input = {
    .name = "fold_input", .summary = "multiply and add constants inside the weights behind", .phase = PF_RULES_WEIGHTS,
    .default_on = true, .apply = apply,
};
