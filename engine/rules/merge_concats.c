/* A concat of concats along one dim is one concat; neighbouring slices of one value that it puts together again are one
   slice, whatever it joins beside them; and parts without elements, such as a past that is still empty, are none. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

enum { LIMIT = 64 };                /* parts of a concat that is looked at */

typedef struct parts { pf_value_id at[LIMIT]; uint32_t count; } parts;

static bool is_empty(const pf_graph *graph, pf_value_id part, int64_t axis)
{
    return graph->values[part].shape.dim[axis] == 0;
}

/* The parts of inner concats take their place.  One stays in any case. */
static bool flatten(const pf_graph *graph, const pf_node *node, parts *out)
{
    int64_t axis = ((const pf_axis_attrs *)node->attrs)->axis;
    bool    any = false;

    for (uint32_t i = 0; i < node->in_count; i++) {
        pf_node_id     inner = pf_rewrite_maker(graph, node->in[i], PF_OP_CONCAT);
        const pf_node *from = inner == PF_NONE ? NULL : &graph->nodes[inner];
        bool           opens = from && ((const pf_axis_attrs *)from->attrs)->axis == axis &&
                               pf_rewrite_used_once(graph, node->in[i]);

        if (out->count + (opens ? from->in_count : 1) > LIMIT)
            return false;
        if (is_empty(graph, node->in[i], axis) && (out->count || i + 1 < node->in_count)) {
            any = true;
            continue;
        }
        for (uint32_t k = 0; k < (opens ? from->in_count : 1); k++)
            out->at[out->count++] = opens ? from->in[k] : node->in[i];
        any |= opens;
    }
    return any;
}

static const pf_slice_attrs *slice_along(const pf_graph *graph, pf_value_id value, int64_t axis)
{
    pf_node_id            slice = pf_rewrite_maker(graph, value, PF_OP_SLICE);
    const pf_slice_attrs *attrs = slice == PF_NONE ? NULL : graph->nodes[slice].attrs;

    return attrs && attrs->axes.count == 1 && attrs->axes.at[0] == axis && attrs->steps.at[0] == 1 ? attrs : NULL;
}

typedef struct run { pf_value_id whole; pf_dim start, end; uint32_t count; } run;

/* Parts from `first` on that are slices of one value, each beginning where the last one ended; count 0: that one is
   none. */
static run slices_from(const pf_graph *graph, const pf_node *node, uint32_t first)
{
    int64_t axis = ((const pf_axis_attrs *)node->attrs)->axis;
    run     found = { .whole = PF_NONE };

    for (uint32_t i = first; i < node->in_count; i++) {
        const pf_slice_attrs *attrs = slice_along(graph, node->in[i], axis);
        pf_value_id           x = attrs ? graph->nodes[graph->values[node->in[i]].producer].in[0] : PF_NONE;

        if (!attrs || (found.count && (x != found.whole || attrs->starts.at[0] != found.end)) ||
            (pf_dim_is_number(attrs->starts.at[0]) && attrs->starts.at[0] < 0) ||
            pf_dim_sub(graph->dims, attrs->ends.at[0], attrs->starts.at[0]) !=
                graph->values[node->in[i]].shape.dim[axis])
            break;
        if (!found.count)
            found.start = attrs->starts.at[0];
        found.end = attrs->ends.at[0];
        found.whole = x;
        found.count++;
    }
    return found;
}

/* One slice for each run of them.  *any: there was one. */
static pf_status join_slices(pf_graph *graph, const pf_node *node, parts *out, bool *any, pf_err *err)
{
    int64_t   axis = ((const pf_axis_attrs *)node->attrs)->axis;
    pf_status st = PF_OK;

    *any = false;
    for (uint32_t i = 0; i < node->in_count && out->count < LIMIT && !st;) {
        run         found = slices_from(graph, node, i);
        pf_value_id part = node->in[i];

        if (found.count > 1)
            st = pf_make_slice(graph, node->name, found.whole, axis, found.start, found.end, 1, &part, err);
        *any = *any || found.count > 1;
        i += found.count > 1 ? found.count : 1;
        out->at[out->count++] = part;
    }
    return st;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_node     node = graph->nodes[id];         /* a copy: adding nodes moves them */
    parts       all = { .count = 0 };
    pf_value_id out = PF_NONE;
    bool        any = false;
    pf_status   st = PF_OK;

    if (node.op != PF_OP_CONCAT)
        return PF_OK;
    if (node.in_count <= LIMIT)
        st = join_slices(graph, &node, &all, &any, err);
    if (!st && !any) {
        all.count = 0;
        any = flatten(graph, &node, &all);
    }
    if (!st && any && all.count == 1)
        out = all.at[0];
    else if (!st && any)
        st = pf_make_concat(graph, node.name, all.at, all.count, ((const pf_axis_attrs *)node.attrs)->axis, &out, err);
    return st || out == PF_NONE ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_merge_concats = {
    .name = "merge_concats", .summary = "one concat instead of two, none of neighbouring slices, and no empty parts",
    .phase = PF_RULES_CLEAN, .default_on = true, .apply = apply,
};
