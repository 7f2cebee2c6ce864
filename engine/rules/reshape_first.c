/* A reshape behind a transpose goes in front of it, and so does one behind a slice: reshapes meet reshapes then, and
   transposes transposes. Condition: nothing else reads what is in between; dims that the reshape joins lie side by side
   in front of the transpose too; dims that are sliced stay as they are. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/reshape_map.h"
#include "engine/rewrite.h"

typedef struct job {
    pf_graph   *graph;
    const char *name;
    pf_node     before;         /* a copy: adding nodes moves them */
    pf_value_id reshaped;
    pf_shape    between, to;
    bool        alone;          /* nothing else reads what is in between */
    pf_value_id out;
} job;

/* ---- Behind a transpose */

static bool swaps_last(const pf_ints *perm)
{
    for (int32_t d = 0; d < perm->count - 2; d++)
        if (perm->at[d] != d)
            return false;
    return perm->count >= 2 && perm->at[perm->count - 1] == perm->count - 2;
}

static bool is_undone_by(const pf_graph *graph, pf_use use, const pf_ints *perm)
{
    const pf_node *node = use.node == PF_NONE ? NULL : &graph->nodes[use.node];

    if (node && node->op == PF_OP_MATMUL && use.slot < 2) {
        const pf_matmul_attrs *attrs = node->attrs;

        return swaps_last(perm) && (use.slot ? attrs->trans_b : attrs->trans_a);
    }
    if (!node || node->op != PF_OP_TRANSPOSE)
        return false;
    for (int32_t d = 0; d < perm->count; d++)
        if (perm->at[((const pf_transpose_attrs *)node->attrs)->perm.at[d]] != d)
            return false;
    return true;
}

/* Is the transpose that the reshape's result would be behind undone wherever that is read? */
static bool is_undone(const job *j, const pf_ints *perm)
{
    uint32_t uses = pf_graph_use_count(j->graph, j->reshaped);

    for (uint32_t i = 0; i < uses; i++)
        if (!is_undone_by(j->graph, pf_graph_use(j->graph, j->reshaped, i), perm))
            return false;
    return uses > 0;
}

static pf_status of_transpose(job *j, pf_err *err)
{
    pf_ints   perm = ((const pf_transpose_attrs *)j->before.attrs)->perm, new_perm = { 0 };
    pf_shape  shape = { 0 };
    pf_status st = PF_OK;

    if (!pf_reshape_before_transpose(j->graph->dims, &j->between, &perm, &j->to, &shape, &new_perm) ||
        (!j->alone && !is_undone(j, &new_perm)))
        return PF_OK;
    st = pf_make_reshape(j->graph, j->before.name, j->before.in[0], &shape, &j->out, err);
    return st ? st : pf_make_transpose(j->graph, j->name, j->out, new_perm.at, &j->out, err);
}

/* ---- Behind a slice */

/* The dim of the result that dim d of the slice's result is; -1 when it is not one of its own. */
static int32_t dim_behind(const pf_reshape_group *groups, int32_t count, int64_t d)
{
    for (int32_t g = 0; g < count; g++)
        if (groups[g].from == d && groups[g].from_count == 1 && groups[g].to_count == 1)
            return groups[g].to;
    return -1;
}

static pf_status of_slice(job *j, pf_err *err)
{
    pf_slice_attrs   attrs = *(const pf_slice_attrs *)j->before.attrs;
    const pf_shape  *whole = &j->graph->values[j->before.in[0]].shape;
    pf_reshape_group groups[PF_RESHAPE_GROUPS];
    pf_shape         shape = j->to;
    int32_t          count = pf_reshape_groups(j->graph->dims, &j->between, &j->to, groups);
    pf_value_id      reshaped = PF_NONE;
    pf_status        st = PF_OK;

    if (!j->alone)
        return PF_OK;
    for (int32_t i = 0; i < attrs.axes.count; i++) {
        int32_t d = dim_behind(groups, count, attrs.axes.at[i]);

        if (d < 0)
            return PF_OK;
        shape.dim[d] = whole->dim[attrs.axes.at[i]];
        attrs.axes.at[i] = d;
    }
    st = pf_make_reshape(j->graph, j->name, j->before.in[0], &shape, &reshaped, err);
    return st ? st : pf_graph_add_node(j->graph, PF_OP_SLICE, j->before.name, &reshaped, 1, &attrs, 1, &j->out, err);
}

static const struct { pf_op_kind op; pf_status (*run)(job *j, pf_err *err); } rows[] = {
    { PF_OP_TRANSPOSE, of_transpose }, { PF_OP_SLICE, of_slice },
};

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_node    *node = &graph->nodes[id];
    pf_node_id  before = node->op == PF_OP_RESHAPE ? graph->values[node->in[0]].producer : PF_NONE;
    job         j = { .graph = graph, .name = node->name, .out = PF_NONE };
    pf_status   st = PF_OK;

    if (before == PF_NONE)
        return PF_OK;
    j.alone = pf_rewrite_used_once(graph, node->in[0]);
    j.reshaped = node->out[0];
    j.before = graph->nodes[before];
    j.between = graph->values[node->in[0]].shape;
    j.to = graph->values[node->out[0]].shape;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !st; i++)
        if (rows[i].op == j.before.op)
            st = rows[i].run(&j, err);
    return st || j.out == PF_NONE ? st : pf_rewrite_replace(rewrite, id, 0, j.out, changed, err);
}

const pf_rule pf_rule_reshape_first = {
    .name = "reshape_first", .summary = "reshape in front of a transpose or slice rather than behind it",
    .phase = PF_RULES_CLEAN, .default_on = true, .apply = apply,
};
