/* quantize_linear is a quotient, a rounding and limits, dequantize_linear a difference and a product: as pointwise ops they join the kernels around
   them, and of constants they are computed now.  Weights so become floats: no device here multiplies integers of a network's own.
   Condition: scale and zero point are constants, one for all or one for each index of an axis, and the arithmetic is in f32. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

enum { X, SCALE, ZERO };

typedef struct linear {
    pf_node_id  node;
    pf_value_id x, scale, zero;         /* zero PF_NONE: 0; both fit x by broadcasting */
    const char *name;
} linear;

/* The limits of types whose numbers floats hold. */
static bool find_limits(pf_dtype dtype, double *least, double *most)
{
    uint32_t bits = pf_dtype_bits(dtype);
    bool     is_signed = pf_dtype_kind_of(dtype) == PF_KIND_INT;

    if (!pf_dtype_is_integer(dtype) || bits < 8 || bits > 16)
        return false;
    *most = (double)(1 << (bits - is_signed)) - 1;
    *least = is_signed ? -(double)(1 << (bits - 1)) : 0;
    return true;
}

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

static bool read_linear(const pf_graph *graph, pf_node_id id, int64_t axis, int64_t block, linear *out)
{
    const pf_node  *node = &graph->nodes[id];
    const pf_shape *x = &graph->values[node->in[X]].shape;
    bool            has_zero = node->in_count > ZERO && node->in[ZERO] != PF_NONE;

    *out = (linear){ id, node->in[X], node->in[SCALE], has_zero ? node->in[ZERO] : PF_NONE, node->name };
    if (block || x->rank < 0 || graph->values[out->scale].dtype != PF_F32 || !fits(graph, out->scale, x, axis) ||
        (has_zero && !fits(graph, out->zero, x, axis)))
        return false;
    if (has_zero && is_zero(&graph->values[out->zero]))
        out->zero = PF_NONE;
    return true;
}

/* The constant as f32, its elements along the axis of a tensor of that rank. */
static pf_status spread(pf_graph *graph, const linear *l, pf_value_id *value, int64_t axis, pf_err *err)
{
    pf_shape  shape = { 0, { 0 } };
    pf_status st = PF_OK;

    if (*value == PF_NONE)
        return PF_OK;
    if (graph->values[*value].shape.rank == 1 && graph->values[*value].shape.dim[0] != 1) {
        shape.rank = graph->values[l->x].shape.rank;
        for (int32_t d = 0; d < shape.rank; d++)
            shape.dim[d] = d == axis ? graph->values[*value].shape.dim[0] : 1;
    }
    st = pf_make_reshape(graph, l->name, *value, &shape, value, err);
    return st ? st : pf_make_cast(graph, l->name, *value, PF_F32, value, err);
}

static pf_status dequantize(pf_graph *graph, const linear *l, pf_value_id *out, pf_err *err)
{
    pf_status st = pf_make_cast(graph, l->name, l->x, PF_F32, out, err);

    if (!st && l->zero != PF_NONE)
        st = pf_make_binary(graph, PF_OP_SUB, l->name, *out, l->zero, out, err);
    return st ? st : pf_make_binary(graph, PF_OP_MUL, l->name, *out, l->scale, out, err);
}

static pf_status quantize(pf_graph *graph, const linear *l, pf_dtype dtype, pf_value_id *out, pf_err *err)
{
    double    least = 0, most = 0;
    pf_status st = pf_make_binary(graph, PF_OP_DIV, l->name, l->x, l->scale, out, err);

    (void)find_limits(dtype, &least, &most);
    if (!st)
        st = pf_make_unary(graph, PF_OP_ROUND, l->name, *out, 0, 0, out, err);
    if (!st && l->zero != PF_NONE)
        st = pf_make_binary(graph, PF_OP_ADD, l->name, *out, l->zero, out, err);
    if (!st)
        st = pf_make_unary(graph, PF_OP_CLIP, l->name, *out, least, most, out, err);
    return st ? st : pf_make_cast(graph, l->name, *out, dtype, out, err);
}

/* Numbers of more than 16 bits are left as they are where they are not known: a float may not hold them. */
static bool find_dequantize(const pf_graph *graph, pf_node_id id, linear *out, int64_t *axis)
{
    const pf_dequantize_linear_attrs *attrs = graph->nodes[id].attrs;
    const pf_value                   *x = &graph->values[graph->nodes[id].in[X]];
    double                            least = 0, most = 0;

    *axis = attrs->axis;
    return attrs->dtype == PF_F32 && pf_dtype_is_integer(x->dtype) && (x->is_constant || find_limits(x->dtype, &least, &most)) &&
           read_linear(graph, id, attrs->axis, attrs->block_size, out);
}

static bool find_quantize(const pf_graph *graph, pf_node_id id, linear *out, int64_t *axis)
{
    const pf_quantize_linear_attrs *attrs = graph->nodes[id].attrs;
    double                          least = 0, most = 0;

    *axis = attrs->axis;
    return graph->values[graph->nodes[id].in[X]].dtype == PF_F32 && find_limits((pf_dtype)attrs->dtype, &least, &most) &&
           read_linear(graph, id, attrs->axis, attrs->block_size, out);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_op_kind  op = graph->nodes[id].op;
    linear      l = { 0 };
    int64_t     axis = 0;
    pf_value_id made = PF_NONE;
    pf_status   st = PF_OK;

    if (!(op == PF_OP_DEQUANTIZE_LINEAR && find_dequantize(graph, id, &l, &axis)) && !(op == PF_OP_QUANTIZE_LINEAR && find_quantize(graph, id, &l, &axis)))
        return PF_OK;
    st = spread(graph, &l, &l.scale, axis, err);
    if (!st)
        st = spread(graph, &l, &l.zero, axis, err);
    if (!st)
        st = op == PF_OP_QUANTIZE_LINEAR ? quantize(graph, &l, graph->values[graph->nodes[id].out[0]].dtype, &made, err) : dequantize(graph, &l, &made, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, made, changed, err);
}

const pf_rule pf_rule_quantize_by_parts = {
    .name = "quantize_by_parts", .summary = "quotients, roundings and products instead of quantizations", .phase = PF_RULES_WEIGHTS, .default_on = true,
    .apply = apply,
};
