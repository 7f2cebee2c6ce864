/* Convolutions of one value with kernels of one place, each followed by the same function or by none, are one
   convolution with the kernels one behind the other, and slices of it: the branches of an Inception block.
   Condition: they move alike, all together are no more than LIMIT, and no concat reads them: what a concat joins is
   better written in its place. */
#include <string.h>

#include "base/alloc.h"
#include "engine/fold.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"

enum { LIMIT = 8 };

typedef struct branch {
    pf_node_id  conv, root;             /* root: the function behind it, or itself */
    pf_value_id weights, bias;          /* bias PF_NONE: none */
    int64_t     channels;
} branch;

typedef struct branches { branch at[LIMIT]; uint32_t count; int64_t channels; bool has_bias; } branches;

static bool same_ints(const pf_ints *a, const pf_ints *b)
{
    return a->count == b->count && !memcmp(a->at, b->at, (size_t)a->count * sizeof *a->at);
}

static bool moves_alike(const pf_conv_attrs *a, const pf_conv_attrs *b)
{
    return same_ints(&a->strides, &b->strides) && same_ints(&a->pads, &b->pads) && a->groups == b->groups &&
           a->auto_pad == b->auto_pad;
}

static bool is_constant(const pf_graph *graph, pf_value_id value) { return graph->values[value].is_constant; }

/* A kernel of one place, without pads. */
static bool is_pointlike(const pf_graph *graph, const pf_node *node)
{
    const pf_conv_attrs *attrs = node->attrs;
    const pf_value      *w = &graph->values[node->in[1]];

    for (int32_t d = 2; d < w->shape.rank; d++)
        if (w->shape.dim[d] != 1)
            return false;
    for (int32_t i = 0; i < attrs->pads.count; i++)
        if (attrs->pads.at[i])
            return false;
    return attrs->groups == 1 && attrs->auto_pad == PF_AUTO_PAD_NONE && w->is_constant &&
           pf_shape_is_static(&w->shape) && w->shape.rank > 2;
}

/* The one function of its result, where that is all that reads it. */
static pf_node_id function_behind(const pf_graph *graph, pf_node_id conv)
{
    pf_value_id made = graph->nodes[conv].out[0];
    pf_node_id  user = pf_rewrite_used_once(graph, made) ? pf_graph_use(graph, made, 0).node : PF_NONE;

    return user != PF_NONE && graph->nodes[user].in_count == 1 && pf_op_is_pointwise(graph->nodes[user].op) ? user
                                                                                                            : conv;
}

static bool is_joined(const pf_graph *graph, pf_value_id value)
{
    for (uint32_t i = 0; i < pf_graph_use_count(graph, value); i++) {
        pf_node_id user = pf_graph_use(graph, value, i).node;

        if (user == PF_NONE || graph->nodes[user].op == PF_OP_CONCAT)
            return true;
    }
    return false;
}

static bool read_branch(const pf_graph *graph, pf_use use, branch *out)
{
    const pf_node *node = use.node == PF_NONE || use.slot != 0 ? NULL : &graph->nodes[use.node];
    bool           has_bias = node && node->in_count > 2 && node->in[2] != PF_NONE;

    if (!node || node->op != PF_OP_CONV || !is_pointlike(graph, node) || (has_bias && !is_constant(graph, node->in[2])))
        return false;
    *out = (branch){ use.node, function_behind(graph, use.node), node->in[1], has_bias ? node->in[2] : PF_NONE,
                     graph->values[node->in[1]].shape.dim[0] };
    return !is_joined(graph, graph->nodes[out->root].out[0]);
}

static bool go_together(const pf_graph *graph, const branch *a, const branch *b)
{
    const pf_node *x = &graph->nodes[a->root], *y = &graph->nodes[b->root];
    bool           none = a->root == a->conv;

    if (none != (b->root == b->conv) ||
        (!none && (x->op != y->op || memcmp(x->attrs, y->attrs, sizeof(pf_pointwise_attrs)))))
        return false;
    return moves_alike(graph->nodes[a->conv].attrs, graph->nodes[b->conv].attrs) &&
           graph->values[a->weights].dtype == graph->values[b->weights].dtype;
}

static bool find_branches(const pf_graph *graph, pf_node_id id, branches *out)
{
    pf_value_id x = graph->nodes[id].in[0];
    branch      own = { 0 };

    *out = (branches){ .count = 0 };
    if (!read_branch(graph, (pf_use){ id, 0 }, &own))
        return false;
    for (uint32_t i = 0; i < pf_graph_use_count(graph, x); i++) {
        branch next = { 0 };

        if (!read_branch(graph, pf_graph_use(graph, x, i), &next) || !go_together(graph, &own, &next))
            continue;
        if (out->count == LIMIT)
            return false;
        out->at[out->count++] = next;
        out->channels += next.channels;
        out->has_bias |= next.bias != PF_NONE;
    }
    return out->count > 1 && pf_dtype_is_float(graph->values[own.weights].dtype);
}

/* The branches' constants one behind the other; zeros for one that is left out. */
static pf_status join(pf_graph *graph, const branches *b, bool bias, pf_value_id *out, pf_err *err)
{
    const pf_value *like = &graph->values[b->at[0].weights];
    pf_dtype        dtype = like->dtype;
    pf_shape        shape = like->shape;
    const char     *name = like->name;
    int64_t         each = 1;
    size_t          bytes = 0;
    char           *data = NULL, *to = NULL;

    shape.rank = bias ? 1 : shape.rank;
    shape.dim[0] = b->channels;
    for (int32_t d = 1; d < shape.rank; d++)
        each *= shape.dim[d];
    bytes = pf_dtype_bytes(dtype, (uint64_t)(b->channels * each));
    data = to = pf_arena_alloc(graph->arena, bytes + 1);
    *out = PF_NONE;
    if (!data)
        return PF_FAIL_MEMORY(err, bytes);
    for (uint32_t i = 0; i < b->count; i++) {
        pf_value_id from = bias ? b->at[i].bias : b->at[i].weights;
        size_t      run = pf_dtype_bytes(dtype, (uint64_t)(b->at[i].channels * each));

        if (from == PF_NONE)
            memset(to, 0, run);
        else
            pf_constant_copy(&graph->values[from].constant, to);
        to += run;
    }
    return pf_graph_add_constant(graph, name, dtype, &shape, data, bytes, out, err);
}

static pf_status add_conv(pf_graph *graph, const branches *b, const char *name, pf_value_id *out, pf_err *err)
{
    pf_node_id  first = b->at[0].conv, root = b->at[0].root;
    pf_value_id in[3] = { graph->nodes[first].in[0], PF_NONE, PF_NONE }, made = PF_NONE;
    pf_status   st = join(graph, b, false, &in[1], err);

    if (!st && b->has_bias)
        st = join(graph, b, true, &in[2], err);
    if (!st)
        st = pf_graph_add_node(graph, PF_OP_CONV, name, in, b->has_bias ? 3 : 2, graph->nodes[first].attrs, 1, &made,
                               err);
    *out = made;
    return st || root == first
               ? st
               : pf_graph_add_node(graph, graph->nodes[root].op, name, &made, 1, graph->nodes[root].attrs, 1, out, err);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    branches    b = { .count = 0 };
    const char *name = graph->nodes[id].name;
    pf_value_id whole = PF_NONE;
    int64_t     start = 0;
    pf_status   st = PF_OK;

    if (graph->nodes[id].op != PF_OP_CONV || !find_branches(graph, id, &b))
        return PF_OK;
    for (uint32_t i = 0; i < b.count && name; i++)
        name = pf_rewrite_joined_name(graph, name, graph->nodes[b.at[i].root].name);
    if (!name)
        return PF_FAIL_MEMORY(err, 1);
    st = add_conv(graph, &b, name, &whole, err);
    for (uint32_t i = 0; i < b.count && !st; i++) {
        pf_value_id part = PF_NONE;

        st = pf_make_slice(graph, graph->nodes[b.at[i].root].name, whole, 1, start, start + b.at[i].channels, 1, &part,
                           err);
        if (!st)
            st = pf_rewrite_replace(rewrite, b.at[i].root, 0, part, changed, err);
        start += b.at[i].channels;
    }
    return st;
}

const pf_rule pf_rule_merge_convs = {
    .name = "merge_convs", .summary = "one convolution where several kernels of one place meet one value",
    .phase = PF_RULES_MERGE, .default_on = true, .may_lose = PF_RULE_LOSES_OFTEN, .apply = apply,
};
