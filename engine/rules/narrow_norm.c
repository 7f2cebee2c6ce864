/* Norms and softmax compute in FP32 whatever they read and write: casts to FP32 in front of one and back behind it go.
   Condition: its constants are as well in the narrow type. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

static const pf_op_kind ops[] = { PF_OP_LAYER_NORM, PF_OP_RMS_NORM, PF_OP_GROUP_NORM, PF_OP_INSTANCE_NORM,
                                  PF_OP_SOFTMAX, PF_OP_LOG_SOFTMAX };

static pf_node_id find_norm(const pf_graph *graph, pf_value_id value)
{
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (pf_rewrite_maker(graph, value, ops[i]) != PF_NONE)
            return graph->values[value].producer;
    return PF_NONE;
}

/* The constant in the narrow type; *out PF_NONE when that would change it. */
static pf_status narrow_constant(pf_graph *graph, pf_value_id from, pf_dtype dtype, pf_value_id *out, pf_err *err)
{
    pf_value  v = graph->values[from];
    uint64_t  elems = v.is_constant ? (uint64_t)pf_shape_elems(graph->dims, &v.shape) : 0;
    size_t    bytes = pf_dtype_bytes(dtype, elems);
    void     *data = pf_arena_alloc(graph->arena, bytes + 1);

    *out = PF_NONE;
    if (!data)
        return PF_FAIL_MEMORY(err, bytes);
    for (uint64_t i = 0; i < elems; i++) {
        double item = pf_constant_get(&v.constant, v.dtype, i);

        pf_dtype_set(dtype, data, i, item);
        if (pf_dtype_get(dtype, data, i) != item)
            return PF_OK;
    }
    return v.is_constant ? pf_graph_add_constant(graph, v.name, dtype, &v.shape, data, bytes, out, err) : PF_OK;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_node_id  norm = graph->nodes[id].op == PF_OP_CAST ? find_norm(graph, graph->nodes[id].in[0]) : PF_NONE,
                widen = PF_NONE;
    pf_dtype    dtype = graph->values[graph->nodes[id].out[0]].dtype;
    pf_value_id in[3] = { PF_NONE, PF_NONE, PF_NONE }, out = PF_NONE;
    pf_node     node = { 0 };
    pf_status   st = PF_OK;

    if (norm == PF_NONE || (dtype != PF_F16 && dtype != PF_BF16) ||
        !pf_rewrite_used_once(graph, graph->nodes[id].in[0]))
        return PF_OK;
    node = graph->nodes[norm];
    widen = pf_rewrite_maker(graph, node.in[0], PF_OP_CAST);
    if (widen == PF_NONE || node.out_count != 1 || graph->values[graph->nodes[widen].in[0]].dtype != dtype)
        return PF_OK;
    in[0] = graph->nodes[widen].in[0];
    for (uint32_t i = 1; i < node.in_count; i++) {
        if (node.in[i] == PF_NONE)
            continue;
        st = narrow_constant(graph, node.in[i], dtype, &in[i], err);
        if (st || in[i] == PF_NONE)
            return st;
    }
    st = pf_graph_add_node(graph, node.op, node.name, in, node.in_count, node.attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_narrow_norm = {
    .name = "narrow_norm", .summary = "leave out casts round norms that compute in FP32 anyway",
    .phase = PF_RULES_PATTERN, .default_on = true, .apply = apply,
};
