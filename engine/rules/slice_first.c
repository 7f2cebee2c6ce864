/* A slice of one dim, with step 1, goes up to where the whole is made:
     of a slice along the same dim            one slice
     of a concat along that dim               of one of the parts, or the part
     of a transpose that nothing else reads   the transpose of a slice
     of a reshape that splits the dim         the reshape of a slice, when what is sliced lies in one piece of the dim
                                              before it */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/ops/content.h"
#include "engine/reshape_map.h"
#include "engine/rewrite.h"

typedef struct range { int64_t axis; pf_dim start, end; } range;
typedef struct job {
    pf_graph    *graph;
    const char  *name;
    pf_node_id   before;
    range        cut;
    pf_shape     shape;
    pf_value_id  out;
} job;

/* [start, end) of a slice, counted from the front and inside of the dim; false when that cannot be said, or it has
   several axes or steps. */
static bool read_range(const pf_graph *graph, const pf_node *node, range *out)
{
    const pf_slice_attrs *attrs = node->op == PF_OP_SLICE ? node->attrs : NULL;
    pf_dim                size = 0;

    if (!attrs || attrs->axes.count != 1 || attrs->steps.at[0] != 1)
        return false;
    *out = (range){ attrs->axes.at[0], attrs->starts.at[0], attrs->ends.at[0] };
    size = graph->values[node->in[0]].shape.dim[out->axis];
    if (pf_dim_is_number(out->start) && out->start < 0)
        out->start = pf_dim_add(graph->dims, out->start, size);
    if (pf_dim_is_number(out->end) && out->end >= PF_SLICE_FAR)
        out->end = size;
    if (pf_dim_is_number(out->end) && out->end < 0)
        out->end = pf_dim_add(graph->dims, out->end, size);
    return pf_content_less_equal(graph->dims, 0, out->start) &&
           pf_content_less_equal(graph->dims, out->start, out->end) &&
           pf_content_less_equal(graph->dims, out->end, size);
}

static const pf_node *before(const job *j) { return &j->graph->nodes[j->before]; }
static const pf_shape *shape_of(const job *j, pf_value_id value) { return &j->graph->values[value].shape; }

static pf_status cut(job *j, pf_value_id x, int64_t axis, pf_dim start, pf_dim end, pf_err *err)
{
    return pf_make_slice(j->graph, j->name, x, axis, start, end, 1, &j->out, err);
}

static pf_status of_slice(job *j, pf_err *err)
{
    pf_dims *dims = j->graph->dims;
    range    outer = { 0 };

    if (!read_range(j->graph, before(j), &outer) || outer.axis != j->cut.axis)
        return PF_OK;
    return cut(j, before(j)->in[0], outer.axis, pf_dim_add(dims, outer.start, j->cut.start),
               pf_dim_add(dims, outer.start, j->cut.end), err);
}

static pf_status of_concat(job *j, pf_err *err)
{
    pf_dims *dims = j->graph->dims;
    pf_dim   start = 0;

    if (((const pf_axis_attrs *)before(j)->attrs)->axis != j->cut.axis)
        return PF_OK;
    for (uint32_t i = 0; i < before(j)->in_count; i++) {
        pf_value_id part = before(j)->in[i];
        pf_dim      end = pf_dim_add(dims, start, shape_of(j, part)->dim[j->cut.axis]);

        if (pf_content_less_equal(dims, start, j->cut.start) && pf_content_less_equal(dims, j->cut.end, end))
            return cut(j, part, j->cut.axis, pf_dim_sub(dims, j->cut.start, start), pf_dim_sub(dims, j->cut.end, start),
                       err);
        start = end;
    }
    return PF_OK;
}

static pf_status of_transpose(job *j, pf_err *err)
{
    pf_ints     perm = ((const pf_transpose_attrs *)before(j)->attrs)->perm;
    pf_value_id out = PF_NONE;
    pf_status   st = PF_OK;

    if (!pf_rewrite_used_once(j->graph, before(j)->out[0]))
        return PF_OK;
    st = cut(j, before(j)->in[0], perm.at[j->cut.axis], j->cut.start, j->cut.end, err);
    out = j->out;
    j->out = PF_NONE;
    return st ? st : pf_make_transpose(j->graph, j->name, out, perm.at, &j->out, err);
}

/* The dim lies in a group that comes from one dim of x, and nothing larger than 1 stands before it in the group. */
static pf_status of_reshape(job *j, pf_err *err)
{
    pf_dims         *dims = j->graph->dims;
    pf_value_id      x = before(j)->in[0], out = PF_NONE;
    const pf_shape  *to = shape_of(j, before(j)->out[0]);
    pf_reshape_group groups[PF_RESHAPE_GROUPS];
    int32_t          count = pf_reshape_groups(dims, shape_of(j, x), to, groups), g = 0;
    pf_dim           inner = 1;
    pf_status        st = PF_OK;

    while (g < count && !(groups[g].to <= j->cut.axis && j->cut.axis < groups[g].to + groups[g].to_count))
        g++;
    /* past a dim that stays as it is there is nothing to win */
    if (g == count || groups[g].from_count != 1 || groups[g].to_count == 1)
        return PF_OK;
    for (int32_t d = groups[g].to; d < groups[g].to + groups[g].to_count; d++) {
        if (d < j->cut.axis && to->dim[d] != 1)
            return PF_OK;
        if (d > j->cut.axis)
            inner = pf_dim_mul(dims, inner, to->dim[d]);
    }
    st = cut(j, x, groups[g].from, pf_dim_mul(dims, j->cut.start, inner), pf_dim_mul(dims, j->cut.end, inner), err);
    out = j->out;
    j->out = PF_NONE;
    return st ? st : pf_make_reshape(j->graph, j->name, out, &j->shape, &j->out, err);
}

static const struct { pf_op_kind op; pf_status (*run)(job *j, pf_err *err); } rows[] = {
    { PF_OP_SLICE, of_slice }, { PF_OP_CONCAT, of_concat }, { PF_OP_TRANSPOSE, of_transpose },
    { PF_OP_RESHAPE, of_reshape },
};

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph  *graph = pf_rewrite_graph(rewrite);
    job        j = { .graph = graph, .name = graph->nodes[id].name,
                     .shape = graph->values[graph->nodes[id].out[0]].shape, .out = PF_NONE };
    pf_status  st = PF_OK;

    if (!read_range(graph, &graph->nodes[id], &j.cut))
        return PF_OK;
    j.before = graph->values[graph->nodes[id].in[0]].producer;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !st && j.before != PF_NONE; i++)
        if (rows[i].op == graph->nodes[j.before].op)
            st = rows[i].run(&j, err);
    return st || j.out == PF_NONE ? st : pf_rewrite_replace(rewrite, id, 0, j.out, changed, err);
}

const pf_rule pf_rule_slice_first = {
    .name = "slice_first", .summary = "slice where the whole is made", .phase = PF_RULES_CLEAN, .default_on = true,
    .apply = apply,
};
