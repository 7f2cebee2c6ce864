#include "engine/strided.h"

#include <string.h>

#include "engine/ops/attrs.h"

enum { CHAIN_LIMIT = 8 };

/* Strides over dims that are symbols mean nothing yet; whether a window exists does not depend on them. */
static int64_t times(int64_t step, pf_dim dim)
{
    return pf_dim_is_number(dim) ? step * dim : 0;
}

static void whole(const pf_problem *p, pf_value_id base, pf_strided *out)
{
    const pf_shape *shape = &pf_graph_value(p->graph, base)->shape;
    int64_t         step = 1;

    *out = (pf_strided){ .base = base, .rank = shape->rank, .unit = shape->rank - 1, .dense = true };
    memcpy(out->dim, shape->dim, sizeof out->dim);
    for (int32_t d = shape->rank; d-- > 0;) {
        out->stride[d] = step;
        step = times(step, shape->dim[d]);
    }
}

static const char *apply_transpose(const pf_node *node, pf_strided *w)
{
    const pf_transpose_attrs *attrs = node->attrs;
    pf_strided                before = *w;

    w->unit = -1;
    for (int32_t d = 0; d < w->rank; d++) {
        w->dim[d] = before.dim[attrs->perm.at[d]];
        w->stride[d] = before.stride[attrs->perm.at[d]];
        w->dense = w->dense && attrs->perm.at[d] == d;
        if (attrs->perm.at[d] == before.unit)
            w->unit = d;
    }
    return NULL;
}

/* A slice as NumPy counts, of a dim that is a number or with a start that is one. */
static const char *apply_slice(const pf_node *node, const pf_shape *result, pf_strided *w)
{
    const pf_slice_attrs *attrs = node->attrs;

    for (int32_t i = 0; i < attrs->axes.count; i++) {
        int64_t axis = attrs->axes.at[i], start = attrs->starts.at[i];

        if (attrs->steps.at[i] != 1 || pf_dim_is_symbolic(start) || start < 0 ||
            (pf_dim_is_number(w->dim[axis]) && start > w->dim[axis]))
            return "a slice that does not start at a known place";
        w->offset += start * w->stride[axis];
        w->dim[axis] = result->dim[axis];
    }
    w->dense = false;
    return NULL;
}

/* Dims that are the same in front and behind, and one dim between that becomes several: the only reshape of a window
   that never moves anything. */
static const char *split_dim(const pf_shape *to, pf_strided *w)
{
    int32_t    front = 0, back = 0, grown = to->rank - w->rank;
    pf_strided before = *w;

    if (grown < 1)
        return "a reshape of a window";
    while (front < w->rank && w->dim[front] == to->dim[front])
        front++;
    while (back < w->rank - front && w->dim[w->rank - 1 - back] == to->dim[to->rank - 1 - back])
        back++;
    if (front + back != w->rank - 1)
        return "a reshape of a window";
    w->rank = to->rank;
    memcpy(w->dim, to->dim, sizeof w->dim);
    for (int32_t d = 0; d < back; d++)
        w->stride[to->rank - 1 - d] = before.stride[before.rank - 1 - d];
    w->stride[front + grown] = before.stride[front];
    for (int32_t d = front + grown; d-- > front;)
        w->stride[d] = times(w->stride[d + 1], w->dim[d + 1]);
    w->unit = before.unit < 0 || before.unit < front ? before.unit : before.unit + grown;
    return NULL;
}

static const char *apply(const pf_problem *p, const pf_node *node, pf_strided *w)
{
    const pf_shape *result = &pf_graph_value(p->graph, node->out[0])->shape;
    uint32_t        steps = w->steps + 1;
    const char     *reason = NULL;

    if (node->op == PF_OP_TRANSPOSE) {
        reason = apply_transpose(node, w);
    } else if (node->op == PF_OP_SLICE) {
        reason = apply_slice(node, result, w);
    } else if (w->dense) {
        pf_value_id base = w->base;

        whole(p, node->out[0], w);
        w->base = base;
    } else {
        reason = split_dim(result, w);
    }
    w->steps = steps;
    return reason;
}

static bool is_window_op(pf_op_kind op)
{
    return op == PF_OP_TRANSPOSE || op == PF_OP_SLICE || op == PF_OP_RESHAPE || op == PF_OP_IDENTITY;
}

const char *pf_strided_read(const pf_problem *p, pf_value_id value, pf_strided *out)
{
    const pf_node *chain[CHAIN_LIMIT];
    uint32_t       count = 0;
    const char    *reason = NULL;

    for (;;) {
        pf_node_id producer = pf_graph_value(p->graph, value)->producer;

        if (producer == PF_NONE || !is_window_op(pf_graph_node(p->graph, producer)->op) || count == CHAIN_LIMIT)
            break;
        chain[count] = pf_graph_node(p->graph, producer);
        value = chain[count++]->in[0];
    }
    whole(p, value, out);
    while (count-- > 0 && !reason)
        reason = apply(p, chain[count], out);
    return reason;
}

/* Dims of the window w, which lie in memory in the order of `to`: where each goes in w's numbering. */
static void place_back(const pf_transpose_attrs *attrs, pf_strided *w)
{
    pf_strided before = *w;

    for (int32_t d = 0; d < w->rank; d++) {
        w->stride[attrs->perm.at[d]] = before.stride[d];
        w->dim[attrs->perm.at[d]] = before.dim[d];
        if (before.unit == d)
            w->unit = (int32_t)attrs->perm.at[d];
        w->dense = w->dense && attrs->perm.at[d] == d;
    }
}

const char *pf_strided_write(const pf_problem *p, pf_value_id value, pf_strided *out)
{
    const pf_node *transposes[CHAIN_LIMIT];
    pf_value_id    flow = value;
    uint32_t       count = 0, reshapes = 0;

    if (p->graph->output_count != 1)
        return "more than one output";
    while (flow != p->graph->outputs[0]) {
        const pf_node *node = NULL;

        if (pf_graph_use_count(p->graph, flow) != 1)
            return "the result is read inside too";
        node = pf_graph_node(p->graph, pf_graph_use(p->graph, flow, 0).node);
        if (node->op == PF_OP_TRANSPOSE && !reshapes && count < CHAIN_LIMIT)
            transposes[count++] = node;
        else if (node->op == PF_OP_RESHAPE || node->op == PF_OP_IDENTITY)
            reshapes++;
        else
            return "something follows that is no view of the result";
        flow = node->out[0];
    }
    whole(p, count ? transposes[count - 1]->out[0] : value, out);
    out->base = value;
    out->steps = count + reshapes;
    while (count-- > 0)
        place_back(transposes[count]->attrs, out);
    return NULL;
}
