#include <math.h>
#include <string.h>

#include "engine/onnx/conv.h"
#include "engine/ops/attrs.h"

/* Operators of com.microsoft that optimizers and quantizers write, as the plain ops that they stand for.
   Semantics from ONNX Runtime's ContribOperators.md. */

void pf_onnx_fused_matmul(pf_onnx_node *node)
{
    pf_matmul_attrs attrs = { pf_onnx_int(node, "transA", 0) != 0, pf_onnx_int(node, "transB", 0) != 0 };
    double          alpha = pf_onnx_float(node, "alpha", 1.0);
    pf_value_id     y = pf_onnx_emit2(node, PF_OP_MATMUL, &attrs, pf_onnx_in(node, 0), pf_onnx_in(node, 1));

    if (pf_onnx_int(node, "transBatchA", 0) || pf_onnx_int(node, "transBatchB", 0))
        pf_onnx_fail(node, PF_UNSUPPORTED, "transposed batches");
    node->out[0] =
        alpha == 1.0 ? y : pf_onnx_emit2(node, PF_OP_MUL, NULL, y, pf_onnx_scalar(node, pf_onnx_dtype(node, y), alpha));
}

/* Gelu and BiasGelu by erf, FastGelu by tanh; QuickGelu is x * sigmoid(alpha x). */
void pf_onnx_bias_gelu(pf_onnx_node *node)
{
    pf_op_kind op = strcmp(node->op_type, "FastGelu") ? PF_OP_GELU : PF_OP_GELU_TANH;

    node->out[0] = pf_onnx_emit1(node, op, NULL, pf_onnx_add_bias(node, pf_onnx_in(node, 0), pf_onnx_in(node, 1)));
}

void pf_onnx_quick_gelu(pf_onnx_node *node)
{
    pf_pointwise_attrs attrs = { pf_onnx_float(node, "alpha", 1.702), 0 };

    node->out[0] = pf_onnx_emit1(node, PF_OP_SWISH, &attrs, pf_onnx_in(node, 0));
}

static int64_t last_axis(pf_onnx_node *node, pf_value_id x)
{
    int32_t rank = pf_onnx_rank(node, x);

    return rank ? rank - 1 : 0;
}

/* Outputs 1 and 2, mean and deviation, are of training; the sum comes as output 3. */
static void publish_sum(pf_onnx_node *node, pf_value_id sum)
{
    if (node->out_count > 3)
        node->out[3] = sum;
}

/* input, skip, gamma, beta, bias */
void pf_onnx_skip_layer_norm(pf_onnx_node *node)
{
    pf_value_id         sum = pf_onnx_emit2(node, PF_OP_ADD, NULL, pf_onnx_in(node, 0), pf_onnx_in(node, 1));
    pf_layer_norm_attrs attrs = { last_axis(node, sum), pf_onnx_float(node, "epsilon", 1e-12) };

    sum = pf_onnx_add_bias(node, sum, pf_onnx_in(node, 4));
    node->out[0] = pf_onnx_emit3(node, PF_OP_LAYER_NORM, &attrs, sum, pf_onnx_in(node, 2), pf_onnx_in(node, 3));
    publish_sum(node, sum);
}

/* input, skip, gamma, bias */
void pf_onnx_skip_rms_norm(pf_onnx_node *node)
{
    pf_value_id       sum = pf_onnx_emit2(node, PF_OP_ADD, NULL, pf_onnx_in(node, 0), pf_onnx_in(node, 1));
    pf_rms_norm_attrs attrs = { last_axis(node, sum), pf_onnx_float(node, "epsilon", 1e-12) };

    sum = pf_onnx_add_bias(node, sum, pf_onnx_in(node, 3));
    node->out[0] = pf_onnx_emit2(node, PF_OP_RMS_NORM, &attrs, sum, pf_onnx_in(node, 2));
    publish_sum(node, sum);
}

static pf_value_id look_up(pf_onnx_node *node, pf_value_id table, pf_value_id ids)
{
    static const pf_axis_attrs rows = { 0 };

    return pf_onnx_emit2(node, PF_OP_GATHER, &rows, table, ids);
}

/* Rows 0, 1, 2 ... of the table of positions, one per token. */
static pf_value_id positions(pf_onnx_node *node, pf_value_id ids)
{
    pf_range_attrs attrs = { .dtype = PF_I64, .bounds = { 3, { 0, pf_onnx_dim(node, ids, 1), 1 } } };

    return pf_onnx_emit0(node, PF_OP_RANGE, &attrs);
}

/* How many tokens of each row the mask leaves, int32; 0 when there is no mask, as in ONNX Runtime. */
static pf_value_id mask_lengths(pf_onnx_node *node)
{
    pf_reduce_attrs attrs = { .mode = PF_REDUCE_SUM, .axes = { 1, { 1 } } };
    pf_cast_attrs   as_i32 = { .dtype = PF_I32 };
    pf_value_id     ids = pf_onnx_in(node, 0), mask = pf_onnx_in(node, 7), kept = PF_NONE;

    if (mask == PF_NONE)
        kept = pf_onnx_emit2(node, PF_OP_SUB, NULL, ids, ids);
    else
        kept = pf_onnx_emit2(node, PF_OP_EQUAL, NULL, mask, pf_onnx_scalar(node, pf_onnx_dtype(node, mask), 1));
    return pf_onnx_emit1(node, PF_OP_REDUCE, &attrs, pf_onnx_emit1(node, PF_OP_CAST, &as_i32, kept));
}

static void need_inputs(pf_onnx_node *node, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last && !node->status; i++)
        if (pf_onnx_in(node, i) == PF_NONE)
            pf_onnx_fail(node, PF_INVALID, "input %u is missing", i);
}

/* ids, segments, word, position and segment tables, gamma, beta, mask, position ids */
void pf_onnx_embed_layer_norm(pf_onnx_node *node)
{
    pf_value_id         ids = pf_onnx_in(node, 0), segments = pf_onnx_in(node, 1), at = pf_onnx_in(node, 8);
    pf_layer_norm_attrs attrs = { 2, pf_onnx_float(node, "epsilon", 1e-12) };
    pf_value_id         sum = PF_NONE;

    need_inputs(node, 2, 3);
    need_inputs(node, segments == PF_NONE ? 5 : 4, 6);
    sum = look_up(node, pf_onnx_in(node, 2), ids);
    sum = pf_onnx_emit2(node, PF_OP_ADD, NULL, sum,
                        look_up(node, pf_onnx_in(node, 3), at == PF_NONE ? positions(node, ids) : at));
    if (segments != PF_NONE)
        sum = pf_onnx_emit2(node, PF_OP_ADD, NULL, sum, look_up(node, pf_onnx_in(node, 4), segments));
    node->out[0] = pf_onnx_emit3(node, PF_OP_LAYER_NORM, &attrs, sum, pf_onnx_in(node, 5), pf_onnx_in(node, 6));
    if (node->out_count > 1)
        node->out[1] = mask_lengths(node);
    if (node->out_count > 2)
        node->out[2] = sum;
}

/* The activation that a fused convolution or product ends with. */
static pf_value_id activate(pf_onnx_node *node, pf_value_id x)
{
    static const struct { const char *name; pf_op_kind op; } simple[] = {
        { "Relu", PF_OP_RELU }, { "Tanh", PF_OP_TANH }, { "Sigmoid", PF_OP_SIGMOID }, { "LeakyRelu", PF_OP_LEAKY_RELU },
        { "Clip", PF_OP_CLIP }, { "HardSigmoid", PF_OP_HARD_SIGMOID },
    };
    const char        *name = pf_onnx_string(node, "activation", "");
    pf_floats          given = pf_onnx_floats(node, "activation_params");
    pf_pointwise_attrs attrs = { given.count > 0 ? given.at[0] : pf_onnx_float(node, "activation_alpha", 0),
                                 given.count > 1 ? given.at[1] : pf_onnx_float(node, "activation_beta", 0) };

    if (!*name)
        return x;
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
        if (!strcmp(simple[i].name, name))
            return pf_onnx_emit1(node, simple[i].op, &attrs, x);
    pf_onnx_fail(node, PF_UNSUPPORTED, "the activation \"%.40s\"", name);
    return x;
}

/* x, weights, bias, and what is added before the activation */
void pf_onnx_fused_conv(pf_onnx_node *node)
{
    pf_conv_attrs attrs = pf_onnx_conv_attrs(node, pf_onnx_in(node, 0), pf_onnx_in(node, 1));
    pf_value_id y =
        pf_onnx_emit3(node, PF_OP_CONV, &attrs, pf_onnx_in(node, 0), pf_onnx_in(node, 1), pf_onnx_in(node, 2));

    node->out[0] = activate(node, pf_onnx_add_bias(node, y, pf_onnx_in(node, 3)));
}

void pf_onnx_fused_gemm(pf_onnx_node *node)
{
    pf_onnx_gemm(node);
    node->out[0] = activate(node, node->out[0]);
}
