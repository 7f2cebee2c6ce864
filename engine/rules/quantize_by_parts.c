/* quantize_linear is a quotient, a rounding and limits, dequantize_linear a difference and a product: as pointwise ops
   they join the kernels around them, and of constants they are computed now.  Weights so become floats: no device here
   multiplies integers of a network's own.  Condition: scale and zero point are constants, one for all or one for each
   index of an axis, and the arithmetic is in f32. */
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"
#include "engine/spell.h"

enum { X, SCALE, ZERO };

static bool is_zero(const pf_value *value)
{
    uint64_t elems = value->constant.bytes * 8 / pf_dtype_bits(value->dtype);

    for (uint64_t i = 0; i < elems; i++)
        if (pf_dtype_get(value->dtype, value->constant.data, i) != 0)
            return false;
    return true;
}

/* A constant of one element, or of one for each index of the axis. */
static bool fits(const pf_graph *graph, pf_value_id value, const pf_shape *x, int64_t axis)
{
    const pf_value *v = &graph->values[value];

    if (!v->is_constant || v->shape.rank > 1)
        return false;
    return v->shape.rank == 0 || v->shape.dim[0] == 1 || (axis < x->rank && v->shape.dim[0] == x->dim[axis]);
}

static bool has_fitting(const pf_graph *graph, const pf_node *node, int64_t axis)
{
    const pf_shape *x = &graph->values[node->in[X]].shape;

    return x->rank >= 0 && graph->values[node->in[SCALE]].dtype == PF_F32 && fits(graph, node->in[SCALE], x, axis) &&
           (!pf_spell_has(node, ZERO) || fits(graph, node->in[ZERO], x, axis));
}

/* Numbers of more than 16 bits are left as they are where they are not known: a float may not hold them. */
static bool takes(const pf_graph *graph, const pf_node *node)
{
    const pf_quantize_linear_attrs   *to = node->attrs;
    const pf_dequantize_linear_attrs *from = node->attrs;
    const pf_value                   *x = &graph->values[node->in[X]];

    if (node->op == PF_OP_QUANTIZE_LINEAR)
        return x->dtype == PF_F32 && has_fitting(graph, node, to->axis);
    return from->dtype == PF_F32 && (x->is_constant || pf_dtype_bits(x->dtype) <= 16) &&
           has_fitting(graph, node, from->axis);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph    *graph = pf_rewrite_graph(rewrite);
    pf_node      node = graph->nodes[id];
    pf_speller   s = { .graph = graph, .name = node.name, .err = err };
    pf_spelling *spell = node.op == PF_OP_QUANTIZE_LINEAR     ? pf_spell_quantize
                         : node.op == PF_OP_DEQUANTIZE_LINEAR ? pf_spell_dequantize
                                                              : NULL;
    pf_value_id  made = PF_NONE;

    if (!spell || !takes(graph, &node))
        return PF_OK;
    if (pf_spell_has(&node, ZERO) && is_zero(&graph->values[node.in[ZERO]]))
        node.in_count = ZERO;
    spell(&s, &node, &made);
    if (s.status || made == PF_NONE)
        return s.status;
    return pf_rewrite_replace(rewrite, id, 0, made, changed, err);
}

const pf_rule pf_rule_quantize_by_parts = {
    .name = "quantize_by_parts", .summary = "quotients, roundings and products instead of quantizations",
    .phase = PF_RULES_WEIGHTS, .default_on = true, .apply = apply,
};
