/* A constant that is multiplied with or added to what a norm makes, along the dim of the norm's own scale, is part of
   its scale and shift. */
#include <math.h>

#include "base/alloc.h"
#include "engine/fold.h"
#include "engine/ops/attrs.h"

enum { SCALE = 1, SHIFT = 2 };

/* Which dim the scale of the norm belongs to; -1: no norm, or a scale of several dims. */
static int32_t scale_axis(const pf_graph *graph, const pf_node *node)
{
    int32_t last = graph->values[node->out[0]].shape.rank - 1;

    switch (node->op) {
    case PF_OP_LAYER_NORM: return ((const pf_layer_norm_attrs *)node->attrs)->axis == last ? last : -1;
    case PF_OP_RMS_NORM: return ((const pf_rms_norm_attrs *)node->attrs)->axis == last ? last : -1;
    case PF_OP_GROUP_NORM:
    case PF_OP_INSTANCE_NORM: return 1;
    default: return -1;
    }
}

/* items: what the constant is per channel, then the scale, then the shift. */
static bool read_all(const pf_graph *graph, const pf_node *norm, pf_value_id constant, int32_t axis, int64_t size,
                     double *items)
{
    int32_t rank = graph->values[norm->out[0]].shape.rank;

    if (!pf_fold_along(graph, constant, rank, axis, size, items) ||
        !pf_fold_along(graph, norm->in[SCALE], 1, 0, size, items + size))
        return false;
    for (int64_t i = 0; i < size; i++)
        items[2 * size + i] = 0;
    return norm->in_count <= SHIFT || norm->in[SHIFT] == PF_NONE ||
           pf_fold_along(graph, norm->in[SHIFT], 1, 0, size, items + 2 * size);
}

static pf_status add_norm(pf_graph *graph, pf_node_id norm, const char *with, const double *items, int64_t size,
                          bool shifted, pf_value_id *out, pf_err *err)
{
    pf_node     node = graph->nodes[norm];       /* a copy: adding nodes moves them */
    pf_dtype    dtype = graph->values[node.in[SCALE]].dtype;
    pf_value_id in[3] = { node.in[0], PF_NONE, PF_NONE };
    bool        has_shift = shifted || (node.in_count > SHIFT && node.in[SHIFT] != PF_NONE);
    const char *name = pf_rewrite_joined_name(graph, node.name, with);
    pf_status   st = name ? PF_OK : PF_FAIL_MEMORY(err, 1);

    if (!st)
        st = pf_fold_vector(graph, dtype, items + size, size, &in[SCALE], err);
    if (!st && has_shift)
        st = pf_fold_vector(graph, dtype, items + 2 * size, size, &in[SHIFT], err);
    return st ? st : pf_graph_add_node(graph, node.op, name, in, has_shift ? 3 : 2, node.attrs, 1, out, err);
}

static bool is_candidate(const pf_graph *graph, pf_node_id id, pf_node_id *norm)
{
    const pf_node *node = &graph->nodes[id];

    if ((node->op != PF_OP_MUL && node->op != PF_OP_ADD) || !graph->values[node->in[1]].is_constant ||
        !pf_rewrite_used_once(graph, node->in[0]) ||
        !pf_shape_equal(&graph->values[node->in[0]].shape, &graph->values[node->out[0]].shape))
        return false;
    *norm = graph->values[node->in[0]].producer;
    return *norm != PF_NONE && scale_axis(graph, &graph->nodes[*norm]) >= 0 && graph->nodes[*norm].out_count == 1 &&
           !(node->op == PF_OP_ADD && graph->nodes[*norm].op == PF_OP_RMS_NORM);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_node_id  norm = PF_NONE;
    pf_value_id constant = PF_NONE, out = PF_NONE;
    bool        is_mul = graph->nodes[id].op == PF_OP_MUL;
    int32_t     axis = 0;
    pf_dim      size = 0;
    double     *items = NULL;
    pf_status   st = PF_OK;

    if (!is_candidate(graph, id, &norm))
        return PF_OK;
    constant = graph->nodes[id].in[1];
    axis = scale_axis(graph, &graph->nodes[norm]);
    size = graph->values[graph->nodes[norm].out[0]].shape.dim[axis];
    if (!pf_dim_is_number(size) || size < 1)
        return PF_OK;
    items = pf_alloc(3 * (size_t)size * sizeof *items);
    if (!items)
        return PF_FAIL_MEMORY(err, 3 * (size_t)size * sizeof *items);
    if (read_all(graph, &graph->nodes[norm], constant, axis, size, items)) {
        for (int64_t i = 0; i < size; i++) {
            items[size + i] *= is_mul ? items[i] : 1;
            items[2 * size + i] = is_mul ? items[2 * size + i] * items[i] : items[2 * size + i] + items[i];
        }
        st = add_norm(graph, norm, graph->nodes[id].name, items, size, !is_mul, &out, err);
        if (!st)
            st = pf_rewrite_replace(rewrite, id, 0, out, changed, err);
    }
    pf_free(items);
    return st;
}

const pf_rule pf_rule_norm_affine = {
    .name = "norm_affine", .summary = "multiply and add constants inside the norm before", .phase = PF_RULES_PATTERN,
    .default_on = true, .apply = apply,
};
