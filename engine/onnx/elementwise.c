#include <math.h>
#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* Ops that are one row of pointwise.def, perhaps with two numbers. */
static const struct unary {
    const char *name;
    pf_op_kind  op;
    const char *p_name; double p;   /* attribute and its default */
    const char *q_name; double q;
} unaries[] = {
    { "Abs", PF_OP_ABS },
    { "Acos", PF_OP_ACOS },
    { "Acosh", PF_OP_ACOSH },
    { "Asin", PF_OP_ASIN },
    { "Asinh", PF_OP_ASINH },
    { "Atan", PF_OP_ATAN },
    { "Atanh", PF_OP_ATANH },
    { "BitwiseNot", PF_OP_BIT_NOT },
    { "Ceil", PF_OP_CEIL },
    { "Cos", PF_OP_COS },
    { "Cosh", PF_OP_COSH },
    { "Erf", PF_OP_ERF },
    { "Exp", PF_OP_EXP },
    { "Floor", PF_OP_FLOOR },
    { "HardSwish", PF_OP_HARD_SWISH },
    { "IsNaN", PF_OP_IS_NAN },
    { "Log", PF_OP_LOG },
    { "Mish", PF_OP_MISH },
    { "Neg", PF_OP_NEG },
    { "Not", PF_OP_NOT },
    { "Reciprocal", PF_OP_RECIPROCAL },
    { "Relu", PF_OP_RELU },
    { "Round", PF_OP_ROUND },
    { "Sigmoid", PF_OP_SIGMOID },
    { "Sign", PF_OP_SIGN },
    { "Sin", PF_OP_SIN },
    { "Sinh", PF_OP_SINH },
    { "Softplus", PF_OP_SOFTPLUS },
    { "Softsign", PF_OP_SOFTSIGN },
    { "Sqrt", PF_OP_SQRT },
    { "Tan", PF_OP_TAN },
    { "Tanh", PF_OP_TANH },
    { "Celu", PF_OP_CELU, "alpha", 1.0 },
    { "Elu", PF_OP_ELU, "alpha", 1.0 },
    { "HardSigmoid", PF_OP_HARD_SIGMOID, "alpha", 0.2, "beta", 0.5 },
    { "LeakyRelu", PF_OP_LEAKY_RELU, "alpha", 0.01 },
    { "Selu", PF_OP_SELU, "alpha", 1.67326319217681884765625, "gamma", 1.05070102214813232421875 },
    { "Shrink", PF_OP_SHRINK, "lambd", 0.5, "bias", 0.0 },
    { "Swish", PF_OP_SWISH, "alpha", 1.0 },
    { "ThresholdedRelu", PF_OP_THRESHOLDED_RELU, "alpha", 1.0 },
};

void pf_onnx_unary(pf_onnx_node *node)
{
    for (size_t i = 0; i < sizeof unaries / sizeof *unaries; i++) {
        const struct unary *u = &unaries[i];
        pf_pointwise_attrs  attrs = { 0 };

        if (strcmp(u->name, node->op_type))
            continue;
        attrs.p = u->p_name ? pf_onnx_float(node, u->p_name, u->p) : 0;
        attrs.q = u->q_name ? pf_onnx_float(node, u->q_name, u->q) : 0;
        node->out[0] = pf_onnx_emit1(node, u->op, &attrs, pf_onnx_in(node, 0));
        return;
    }
    pf_onnx_fail(node, PF_INTERNAL, "the unary operator is in no table");
}

/* Selu of opset 1 had shorter constants. */
void pf_onnx_selu_1(pf_onnx_node *node)
{
    pf_pointwise_attrs attrs = { pf_onnx_float(node, "alpha", 1.6732), pf_onnx_float(node, "gamma", 1.0507) };

    node->out[0] = pf_onnx_emit1(node, PF_OP_SELU, &attrs, pf_onnx_in(node, 0));
}

void pf_onnx_gelu(pf_onnx_node *node)
{
    static const char *const names[] = { "none", "tanh", NULL };
    int32_t                  form = pf_onnx_choice(node, "approximate", "none", names);

    node->out[0] = pf_onnx_emit1(node, form ? PF_OP_GELU_TANH : PF_OP_GELU, NULL, pf_onnx_in(node, 0));
}

void pf_onnx_is_inf(pf_onnx_node *node)
{
    pf_pointwise_attrs attrs = { (double)pf_onnx_int(node, "detect_negative", 1),
                                 (double)pf_onnx_int(node, "detect_positive", 1) };

    node->out[0] = pf_onnx_emit1(node, PF_OP_IS_INF, &attrs, pf_onnx_in(node, 0));
}

/* SwiGLU(a, b) = swish(a) * b */
void pf_onnx_swiglu(pf_onnx_node *node)
{
    pf_pointwise_attrs attrs = { pf_onnx_float(node, "alpha", 1.0), 0 };
    pf_value_id        gate = pf_onnx_emit1(node, PF_OP_SWISH, &attrs, pf_onnx_in(node, 0));

    node->out[0] = pf_onnx_emit2(node, PF_OP_MUL, NULL, gate, pf_onnx_in(node, 1));
}

static const struct binary { const char *name; pf_op_kind op;
} binaries[] = {
    { "Add", PF_OP_ADD },
    { "And", PF_OP_AND },
    { "BitwiseAnd", PF_OP_BIT_AND },
    { "BitwiseOr", PF_OP_BIT_OR },
    { "BitwiseXor", PF_OP_BIT_XOR },
    { "Div", PF_OP_DIV },
    { "Equal", PF_OP_EQUAL },
    { "Greater", PF_OP_GREATER },
    { "GreaterOrEqual", PF_OP_GREATER_EQUAL },
    { "Less", PF_OP_LESS },
    { "LessOrEqual", PF_OP_LESS_EQUAL },
    { "Mul", PF_OP_MUL },
    { "Or", PF_OP_OR },
    { "Pow", PF_OP_POW },
    { "PRelu", PF_OP_PRELU },
    { "Sub", PF_OP_SUB },
    { "Xor", PF_OP_XOR },
    { "Sum", PF_OP_ADD },
    { "Mean", PF_OP_ADD },
    { "Max", PF_OP_MAX },
    { "Min", PF_OP_MIN },
};

static pf_op_kind find_binary(pf_onnx_node *node)
{
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++)
        if (!strcmp(binaries[i].name, node->op_type))
            return binaries[i].op;
    pf_onnx_fail(node, PF_INTERNAL, "the binary operator is in no table");
    return PF_OP_ADD;
}

void pf_onnx_binary(pf_onnx_node *node)
{
    node->out[0] = pf_onnx_emit2(node, find_binary(node), NULL, pf_onnx_in(node, 0), pf_onnx_in(node, 1));
}

/* value with `count` dims of 1 behind its own, so that NumPy's broadcasting puts it where an axis said. */
static pf_value_id add_trailing_ones(pf_onnx_node *node, pf_value_id value, int32_t count)
{
    int32_t     rank = pf_onnx_rank(node, value);
    pf_dim_list shape = { rank + count };

    if (count <= 0 || node->status)
        return value;
    if (rank + count > PF_MAX_RANK) {
        pf_onnx_fail(node, PF_INVALID, "broadcasting to %d dimensions", rank + count);
        return PF_NONE;
    }
    for (int32_t i = 0; i < rank + count; i++)
        shape.at[i] = i < rank ? pf_onnx_dim(node, value, i) : 1;
    return pf_onnx_reshape_to(node, value, &shape);
}

/* Before opset 7 b was broadcast to a only when `broadcast` said so, its first dim against a's dim `axis`. */
void pf_onnx_binary_1(pf_onnx_node *node)
{
    pf_value_id a = pf_onnx_in(node, 0), b = pf_onnx_in(node, 1);
    int32_t     rank_a = pf_onnx_rank(node, a), rank_b = pf_onnx_rank(node, b);

    if (pf_onnx_int(node, "broadcast", 0) && pf_onnx_has_attr(node, "axis") && rank_b) {
        int32_t axis = pf_onnx_axis(node, pf_onnx_int(node, "axis", 0), rank_a);

        b = add_trailing_ones(node, b, rank_a - axis - rank_b);
    }
    node->out[0] = pf_onnx_emit2(node, find_binary(node), NULL, a, b);
}

/* Before opset 7 a slope of rank 1 was one per channel. */
void pf_onnx_prelu_1(pf_onnx_node *node)
{
    pf_value_id x = pf_onnx_in(node, 0), slope = pf_onnx_in(node, 1);

    if (pf_onnx_rank(node, slope) == 1)
        slope = add_trailing_ones(node, slope, pf_onnx_rank(node, x) - 2);
    node->out[0] = pf_onnx_emit2(node, PF_OP_PRELU, NULL, x, slope);
}

void pf_onnx_variadic(pf_onnx_node *node)
{
    pf_op_kind  op = find_binary(node);
    pf_value_id sum = pf_onnx_in(node, 0);

    for (uint32_t i = 1; i < node->in_count; i++)
        sum = pf_onnx_emit2(node, op, NULL, sum, pf_onnx_in(node, i));
    if (!strcmp(node->op_type, "Mean") && node->in_count > 1)
        sum = pf_onnx_emit2(node, PF_OP_MUL, NULL, sum,
                            pf_onnx_scalar(node, pf_onnx_dtype(node, sum), 1.0 / node->in_count));
    node->out[0] = node->in_count > 1 ? sum : pf_onnx_emit1(node, PF_OP_IDENTITY, NULL, sum);
}

void pf_onnx_mod(pf_onnx_node *node)
{
    pf_op_kind op = pf_onnx_int(node, "fmod", 0) ? PF_OP_FMOD : PF_OP_MOD;

    node->out[0] = pf_onnx_emit2(node, op, NULL, pf_onnx_in(node, 0), pf_onnx_in(node, 1));
}

void pf_onnx_bit_shift(pf_onnx_node *node)
{
    static const char *const names[] = { "LEFT", "RIGHT", NULL };
    int32_t                  right = pf_onnx_choice(node, "direction", "", names);

    node->out[0] = pf_onnx_emit2(node, right ? PF_OP_SHIFT_RIGHT : PF_OP_SHIFT_LEFT, NULL, pf_onnx_in(node, 0),
                                 pf_onnx_in(node, 1));
}

void pf_onnx_where(pf_onnx_node *node)
{
    node->out[0] =
        pf_onnx_emit3(node, PF_OP_WHERE, NULL, pf_onnx_in(node, 0), pf_onnx_in(node, 1), pf_onnx_in(node, 2));
}

static pf_value_id clip_to(pf_onnx_node *node, pf_value_id x, double low, double high)
{
    pf_pointwise_attrs attrs = { low > high ? high : low, high };      /* ONNX: min(max(x, low), high) */

    return pf_onnx_emit1(node, PF_OP_CLIP, &attrs, x);
}

void pf_onnx_clip_1(pf_onnx_node *node)
{
    node->out[0] =
        clip_to(node, pf_onnx_in(node, 0), pf_onnx_float(node, "min", -INFINITY), pf_onnx_float(node, "max", INFINITY));
}

void pf_onnx_clip(pf_onnx_node *node)
{
    pf_value_id x = pf_onnx_in(node, 0), min = pf_onnx_in(node, 1), max = pf_onnx_in(node, 2);
    double      low = -INFINITY, high = INFINITY;
    bool known = (min == PF_NONE || pf_onnx_constant_number(node, min, &low)) &
                 (max == PF_NONE || pf_onnx_constant_number(node, max, &high));

    if (known && pf_dtype_is_float(pf_onnx_dtype(node, x))) {
        node->out[0] = clip_to(node, x, min == PF_NONE ? -INFINITY : low, max == PF_NONE ? INFINITY : high);
        return;
    }
    if (min != PF_NONE)
        x = pf_onnx_emit2(node, PF_OP_MAX, NULL, x, min);
    if (max != PF_NONE)
        x = pf_onnx_emit2(node, PF_OP_MIN, NULL, x, max);
    node->out[0] = min == PF_NONE && max == PF_NONE ? pf_onnx_emit1(node, PF_OP_IDENTITY, NULL, x) : x;
}

void pf_onnx_identity(pf_onnx_node *node)
{
    node->out[0] = pf_onnx_emit1(node, PF_OP_IDENTITY, NULL, pf_onnx_in(node, 0));
}
