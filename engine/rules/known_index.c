/* Index arithmetic that gives the same number everywhere becomes that number: tests of position ids that always hold,
   masks that mask nothing. Looked at are bools, integers and what is chosen by or cast from them. */
#include "engine/index_form.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

static bool is_candidate(const pf_graph *graph, const pf_node *node)
{
    const pf_value *v = &graph->values[node->out[0]];
    bool            is_index = v->dtype == PF_BOOL || pf_dtype_is_integer(v->dtype);

    if (node->out_count != 1 || v->kind != PF_VALUE_TENSOR || v->shape.rank < 0 ||
        pf_op_def_of(node->op)->flags & PF_OPF_RANDOM)
        return false;
    if (node->op == PF_OP_EXPAND && graph->values[node->in[0]].is_constant)      /* the form that this rule makes */
        return false;
    if (node->op == PF_OP_IDENTITY)             /* what stands between a constant and a graph output */
        return false;
    return is_index || node->op == PF_OP_WHERE || node->op == PF_OP_CAST || node->op == PF_OP_TRILU;
}

static pf_status add_everywhere(pf_graph *graph, pf_value_id like, double value, pf_value_id *out, pf_err *err)
{
    pf_value  from = graph->values[like];
    pf_shape  ones = { .rank = from.shape.rank, .dim = { 1, 1, 1, 1, 1, 1, 1, 1 } };
    pf_status st = pf_make_filled(graph, from.dtype, &ones, value, out, err);

    return st ? st : pf_make_expand(graph, from.name, *out, &from.shape, out, err);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph     *graph = pf_rewrite_graph(rewrite);
    pf_value_id   made = graph->nodes[id].out[0], out = PF_NONE;
    pf_index_form form = { 0 };
    double        value = 0;
    pf_status     st = PF_OK;

    if (!is_candidate(graph, &graph->nodes[id]) || !pf_index_form_of(graph, made, &form) ||
        !pf_index_form_uniform(graph->dims, &graph->values[made].shape, &form, &value))
        return PF_OK;
    st = add_everywhere(graph, made, value, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_known_index = {
    .name = "known_index", .summary = "replace tests of positions whose result is known", .phase = PF_RULES_CLEAN,
    .default_on = true, .apply = apply,
};
