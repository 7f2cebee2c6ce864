/* Shape arithmetic whose result is known: a constant when all are numbers, else dim_values, which needs no input at run
   time. */
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

/* True when every element is a number; *usable false when one is no dim at all. */
static bool all_numbers(const pf_value *value, bool *usable)
{
    bool numbers = true;

    *usable = true;
    for (uint32_t i = 0; i < value->content_count; i++) {
        numbers &= pf_dim_is_number(value->content[i]);
        *usable &= value->content[i] != PF_DIM_INVALID;
    }
    return numbers;
}

static pf_status add_numbers(pf_graph *graph, pf_value_id from, pf_value_id *out, pf_err *err)
{
    const pf_value *value = &graph->values[from];
    pf_shape        shape = { .rank = value->shape.rank, .dim = { value->content_count } };
    pf_dtype        dtype = value->dtype;
    size_t          bytes = pf_dtype_bytes(dtype, value->content_count);
    void           *data = pf_arena_alloc(graph->arena, bytes + 1);

    if (!data)
        return PF_FAIL_MEMORY(err, bytes);
    for (uint32_t i = 0; i < value->content_count; i++)
        pf_dtype_set_i64(dtype, data, i, value->content[i]);
    return pf_graph_add_constant(graph, value->name, dtype, &shape, data, bytes, out, err);
}

static pf_status add_dims(pf_graph *graph, const pf_node *node, pf_value_id *out, pf_err *err)
{
    const pf_value     *value = &graph->values[node->out[0]];
    pf_dim_values_attrs attrs = { .dtype = value->dtype, .rank = value->shape.rank,
                                  .values = { .count = (int32_t)value->content_count } };

    for (uint32_t i = 0; i < value->content_count; i++)
        attrs.values.at[i] = value->content[i];
    return pf_graph_add_node(graph, PF_OP_DIM_VALUES, node->name, NULL, 0, &attrs, 1, out, err);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph       *graph = pf_rewrite_graph(rewrite);
    const pf_node  *node = &graph->nodes[id];
    const pf_value *value = &graph->values[node->out[0]];
    pf_value_id     to = PF_NONE;
    bool            usable = false, numbers = false;
    pf_status       st = PF_OK;

    if (!value->content || node->out_count != 1 || value->shape.rank < 0 || value->shape.rank > 1 ||
        value->kind != PF_VALUE_TENSOR)
        return PF_OK;
    numbers = all_numbers(value, &usable);
    if (!usable || (!numbers && (node->op == PF_OP_DIM_VALUES || value->content_count > PF_ATTR_LIST)))
        return PF_OK;
    if (node->op == PF_OP_IDENTITY && pf_graph_is_output(graph, node->out[0]))
        return PF_OK;
    st = numbers ? add_numbers(graph, node->out[0], &to, err) : add_dims(graph, node, &to, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, to, changed, err);
}

const pf_rule pf_rule_known_content = {
    .name = "known_content", .summary = "replace shape arithmetic whose result is known", .phase = PF_RULES_CLEAN,
    .default_on = true, .apply = apply,
};
