/* x cos + (x with its halves swapped, the first one negated) sin, with tables that are the same for both halves, is
   rotary_embedding. Condition: x has rank 4 and an even number dim of elements per head; the tables are broadcast to [1
   or batch, 1, length, dim] and were made by pointwise ops of a concat of one value with itself.
   Off unless asked for: as slices and products it joins the kernels round it, which a device without a kernel for
   rotary_embedding loses. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/pattern.h"

enum { X, COS, SIN, RANK = 4, DEPTH_LIMIT = 8 };

typedef struct rotation { pf_value_id x, cos, sin; } rotation;

static pf_dim last_dim(const pf_graph *graph, pf_value_id value)
{
    const pf_shape *shape = &graph->values[value].shape;

    return shape->rank > 0 ? shape->dim[shape->rank - 1] : PF_DIM_INVALID;
}

/* The slice [start, end) of the last dim of x. */
static bool is_half(const pf_graph *graph, pf_value_id value, pf_value_id x, int64_t start, int64_t end)
{
    const pf_node        *node = pf_graph_maker(graph, value);
    const pf_slice_attrs *attrs = node && node->op == PF_OP_SLICE && node->in[0] == x ? node->attrs : NULL;

    return attrs && attrs->axes.count == 1 && attrs->axes.at[0] == RANK - 1 && attrs->steps.at[0] == 1 &&
           attrs->starts.at[0] == start &&
           (attrs->ends.at[0] == end ||
            (end == last_dim(graph, x) && pf_dim_is_number(attrs->ends.at[0]) && attrs->ends.at[0] > end));
}

/* concat(-second half, first half) of x */
static bool is_turned(const pf_graph *graph, pf_value_id value, pf_value_id x)
{
    const pf_node *concat = pf_graph_maker(graph, value), *neg = NULL;
    pf_dim         size = last_dim(graph, x);

    if (!concat || concat->op != PF_OP_CONCAT || concat->in_count != 2 ||
        ((const pf_axis_attrs *)concat->attrs)->axis != RANK - 1 || !pf_dim_is_number(size) || size % 2)
        return false;
    neg = pf_graph_maker(graph, concat->in[0]);
    return neg && neg->op == PF_OP_NEG && is_half(graph, neg->in[0], x, size / 2, size) &&
           is_half(graph, concat->in[1], x, 0, size / 2);
}

/* Both halves of the last dim hold the same: a concat of one value with itself, and what is done to each element of
   that. */
static bool has_equal_halves(const pf_graph *graph, pf_value_id value)
{
    pf_dim size = last_dim(graph, value);

    for (int i = 0; i < DEPTH_LIMIT && last_dim(graph, value) == size; i++) {
        const pf_node *node = pf_graph_maker(graph, value);

        if (!node)
            return false;
        if (node->op == PF_OP_CONCAT)
            return node->in_count == 2 && node->in[0] == node->in[1] &&
                   ((const pf_axis_attrs *)node->attrs)->axis == graph->values[value].shape.rank - 1;
        if (node->op != PF_OP_RESHAPE && node->op != PF_OP_CAST &&
            (!pf_op_is_pointwise(node->op) || node->in_count != 1))
            return false;
        value = node->in[0];
    }
    return false;
}

static bool is_table(const pf_graph *graph, pf_value_id value, pf_value_id x)
{
    const pf_shape *shape = &graph->values[value].shape, *whole = &graph->values[x].shape;

    return shape->rank == RANK && (shape->dim[0] == 1 || shape->dim[0] == whole->dim[0]) && shape->dim[1] == 1 &&
           shape->dim[2] == whole->dim[2] && shape->dim[3] == whole->dim[3] && has_equal_halves(graph, value);
}

/* mul(x, cos) + mul(turned x, sin), the factors and terms in any order. */
static bool find_rotation(const pf_graph *graph, const pf_node *node, rotation *out)
{
    for (int order = 0; order < 8 && node->op == PF_OP_ADD; order++) {
        const pf_node *straight = pf_graph_maker(graph, node->in[order & 1]),
                      *turned = pf_graph_maker(graph, node->in[1 - (order & 1)]);

        if (!straight || !turned || straight->op != PF_OP_MUL || turned->op != PF_OP_MUL)
            return false;
        *out = (rotation){ straight->in[order >> 1 & 1], straight->in[1 - (order >> 1 & 1)],
                           turned->in[1 - (order >> 2 & 1)] };
        if (graph->values[out->x].shape.rank == RANK && is_turned(graph, turned->in[order >> 2 & 1], out->x) &&
            is_table(graph, out->cos, out->x) && is_table(graph, out->sin, out->x))
            return true;
    }
    return false;
}

/* [batch, length, dim / 2] of a table. */
static pf_status halve(pf_graph *graph, const char *name, pf_value_id table, pf_value_id x, pf_value_id *out,
                       pf_err *err)
{
    pf_shape  from = graph->values[table].shape, flat = { 3, { from.dim[0], from.dim[2], from.dim[3] / 2 } },
              whole = flat;
    pf_status st = pf_make_slice(graph, name, table, RANK - 1, 0, from.dim[3] / 2, 1, out, err);

    whole.dim[0] = graph->values[x].shape.dim[0];
    if (!st)
        st = pf_make_reshape(graph, name, *out, &flat, out, err);
    return st ? st : pf_make_expand(graph, name, *out, &whole, out, err);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph                 *graph = pf_rewrite_graph(rewrite);
    const char               *name = graph->nodes[id].name;
    pf_rotary_embedding_attrs attrs = { 0 };
    rotation                  r = { PF_NONE, PF_NONE, PF_NONE };
    pf_value_id               in[3] = { PF_NONE, PF_NONE, PF_NONE }, out = PF_NONE;
    pf_status                 st = PF_OK;

    if (!find_rotation(graph, &graph->nodes[id], &r))
        return PF_OK;
    in[X] = r.x;
    st = halve(graph, name, r.cos, r.x, &in[COS], err);
    if (!st)
        st = halve(graph, name, r.sin, r.x, &in[SIN], err);
    if (!st)
        st = pf_graph_add_node(graph, PF_OP_ROTARY_EMBEDDING, name, in, 3, &attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_rotary_embedding = {
    .name = "rotary_embedding", .summary = "recognize positions that are turned into queries and keys",
    .phase = PF_RULES_PATTERN, .default_on = false, .apply = apply,
};
