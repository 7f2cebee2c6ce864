#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* Before opset 9 the statistics could be one per element of a sample: plain arithmetic then. */
static pf_value_id elementwise_norm(pf_onnx_node *node, double epsilon)
{
    pf_value_id x = pf_onnx_emit2(node, PF_OP_SUB, NULL, pf_onnx_in(node, 0), pf_onnx_in(node, 3));
    pf_value_id tiny = pf_onnx_scalar(node, pf_onnx_dtype(node, pf_onnx_in(node, 4)), epsilon);
    pf_value_id deviation =
        pf_onnx_emit1(node, PF_OP_SQRT, NULL, pf_onnx_emit2(node, PF_OP_ADD, NULL, pf_onnx_in(node, 4), tiny));

    x = pf_onnx_emit2(node, PF_OP_DIV, NULL, x, deviation);
    x = pf_onnx_emit2(node, PF_OP_MUL, NULL, x, pf_onnx_in(node, 1));
    return pf_onnx_emit2(node, PF_OP_ADD, NULL, x, pf_onnx_in(node, 2));
}

void pf_onnx_batch_norm(pf_onnx_node *node)
{
    pf_batch_norm_attrs attrs = {
        .epsilon = pf_onnx_float(node, "epsilon", 1e-5),
        .momentum = pf_onnx_float(node, "momentum", 0.9),
        .training = node->opset >= 14 && pf_onnx_int(node, "training_mode", 0),
    };

    if (attrs.training) {
        pf_onnx_emit_same(node, PF_OP_BATCH_NORM, &attrs);
        return;
    }
    if (node->opset < 9 && !pf_onnx_int(node, "spatial", 1)) {
        node->out[0] = elementwise_norm(node, attrs.epsilon);
        return;
    }
    pf_onnx_emit(node, PF_OP_BATCH_NORM, &attrs, node->in_count, node->in, 1, node->out);
}

void pf_onnx_instance_norm(pf_onnx_node *node)
{
    pf_instance_norm_attrs attrs = { pf_onnx_float(node, "epsilon", 1e-5) };

    pf_onnx_emit_same(node, PF_OP_INSTANCE_NORM, &attrs);
}

/* [groups] to [channels], each entry repeated. */
static pf_value_id per_channel(pf_onnx_node *node, pf_value_id value, pf_dim groups, pf_dim channels)
{
    pf_dim           each = pf_dim_floor_div(node->graph->dims, channels, groups);
    pf_reshape_attrs column = { { 2, { groups, 1 } } };
    pf_expand_attrs  wide = { { 2, { groups, each } } };
    pf_reshape_attrs flat = { { 1, { channels } } };

    value = pf_onnx_emit1(node, PF_OP_RESHAPE, &column, value);
    value = pf_onnx_emit1(node, PF_OP_EXPAND, &wide, value);
    return pf_onnx_emit1(node, PF_OP_RESHAPE, &flat, value);
}

/* Opset 18 had scale and bias per group. */
void pf_onnx_group_norm(pf_onnx_node *node)
{
    pf_group_norm_attrs attrs = { pf_onnx_int(node, "num_groups", 0), pf_onnx_float(node, "epsilon", 1e-5) };
    pf_value_id         scale = pf_onnx_in(node, 1), bias = pf_onnx_in(node, 2);

    if (!node->status && attrs.groups < 1)
        pf_onnx_fail(node, PF_INVALID, "attribute \"num_groups\" is %lld", (long long)attrs.groups);
    if (!node->status && node->opset < 21) {
        pf_dim channels = pf_onnx_dim(node, pf_onnx_in(node, 0), 1);

        scale = per_channel(node, scale, attrs.groups, channels);
        bias = per_channel(node, bias, attrs.groups, channels);
    }
    node->out[0] = pf_onnx_emit3(node, PF_OP_GROUP_NORM, &attrs, pf_onnx_in(node, 0), scale, bias);
}

void pf_onnx_layer_norm(pf_onnx_node *node)
{
    pf_layer_norm_attrs attrs = {
        .axis = pf_onnx_axis(node, pf_onnx_int(node, "axis", -1), pf_onnx_rank(node, pf_onnx_in(node, 0))),
        .epsilon = pf_onnx_float(node, "epsilon", 1e-5),
    };

    pf_onnx_emit_same(node, PF_OP_LAYER_NORM, &attrs);
}

void pf_onnx_rms_norm(pf_onnx_node *node)
{
    pf_rms_norm_attrs attrs = {
        .axis = pf_onnx_axis(node, pf_onnx_int(node, "axis", -1), pf_onnx_rank(node, pf_onnx_in(node, 0))),
        .epsilon = pf_onnx_float(node, "epsilon", 1e-5),
    };

    pf_onnx_emit_same(node, PF_OP_RMS_NORM, &attrs);
}

void pf_onnx_lp_norm(pf_onnx_node *node)
{
    pf_lp_norm_attrs attrs = { pf_onnx_axis(node, pf_onnx_int(node, "axis", -1),
                                            pf_onnx_rank(node, pf_onnx_in(node, 0))),
                               pf_onnx_int(node, "p", 2) };

    pf_onnx_emit_same(node, PF_OP_LP_NORM, &attrs);
}

void pf_onnx_mean_variance_norm(pf_onnx_node *node)
{
    pf_mean_variance_norm_attrs attrs = { pf_onnx_ints(node, "axes") };
    int32_t                     rank = pf_onnx_rank(node, pf_onnx_in(node, 0));

    if (!pf_onnx_has_attr(node, "axes"))
        attrs.axes = (pf_ints){ 3, { 0, 2, 3 } };
    for (int32_t i = 0; i < attrs.axes.count; i++)
        attrs.axes.at[i] = pf_onnx_axis(node, attrs.axes.at[i], rank);
    pf_onnx_emit_same(node, PF_OP_MEAN_VARIANCE_NORM, &attrs);
}

void pf_onnx_lrn(pf_onnx_node *node)
{
    pf_lrn_attrs attrs = {
        .size = pf_onnx_int(node, "size", 0),
        .alpha = pf_onnx_float(node, "alpha", 1e-4),
        .beta = pf_onnx_float(node, "beta", 0.75),
        .bias = pf_onnx_float(node, "bias", 1.0),
    };

    pf_onnx_emit_same(node, PF_OP_LRN, &attrs);
}

/* Inference: the values pass, and the mask says that all did. */
void pf_onnx_dropout(pf_onnx_node *node)
{
    pf_value_id     x = pf_onnx_in(node, 0);
    int32_t         rank = node->out_count > 1 ? pf_onnx_rank(node, x) : 0;
    pf_expand_attrs attrs = { { rank } };
    double          training = 0;

    if (pf_onnx_in(node, 2) != PF_NONE && !pf_onnx_constant_number(node, pf_onnx_in(node, 2), &training))
        pf_onnx_fail(node, PF_UNSUPPORTED, "whether it trains is not known when the model is built");
    if (training != 0)
        pf_onnx_fail(node, PF_UNSUPPORTED, "it is in training mode; export the model for inference");
    node->out[0] = pf_onnx_emit1(node, PF_OP_IDENTITY, NULL, x);
    if (node->out_count < 2 || node->status)
        return;
    for (int32_t i = 0; i < rank; i++)
        attrs.shape.at[i] = pf_onnx_dim(node, x, i);
    node->out[1] = pf_onnx_emit1(node, PF_OP_EXPAND, &attrs,
                                 pf_onnx_scalar(node, node->opset < 10 ? pf_onnx_dtype(node, x) : PF_BOOL, 1));
}
