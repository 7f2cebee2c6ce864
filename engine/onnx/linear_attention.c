#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* LinearAttention and the convolution that such networks put before it. */

void pf_onnx_linear_attention(pf_onnx_node *node)
{
    static const char *const  rules[] = { "linear", "gated", "delta", "gated_delta", NULL };
    pf_linear_attention_attrs attrs = { pf_onnx_choice(node, "update_rule", "gated_delta", rules),
                                        pf_onnx_int(node, "q_num_heads", 0), pf_onnx_int(node, "kv_num_heads", 0),
                                        pf_onnx_float(node, "scale", 0) };
    pf_value_id               out[2] = { PF_NONE, PF_NONE };

    pf_onnx_emit(node, PF_OP_LINEAR_ATTENTION, &attrs, node->in_count, node->in, 2, out);
    for (uint32_t i = 0; i < node->out_count; i++)
        node->out[i] = out[i];
}

/* The input [batch, channels, length] with the k - 1 positions before it: the past, or zeros. */
static pf_value_id with_past(pf_onnx_node *node, int64_t before)
{
    static const pf_axis_attrs along = { 2 };
    pf_pad_attrs               zeros = { .mode = PF_PAD_CONSTANT, .pads = { 6, { 0, 0, before, 0, 0, 0 } } };

    if (pf_onnx_in(node, 3) != PF_NONE)
        return pf_onnx_emit2(node, PF_OP_CONCAT, &along, pf_onnx_in(node, 3), pf_onnx_in(node, 0));
    return pf_onnx_emit1(node, PF_OP_PAD, &zeros, pf_onnx_in(node, 0));
}

void pf_onnx_causal_conv(pf_onnx_node *node)
{
    static const char *const       activations[] = { "none", "silu", "swish", NULL };
    static const pf_pointwise_attrs silu = { 1, 0 };
    pf_dim k = pf_onnx_dim(node, pf_onnx_in(node, 1), 2), channels = pf_onnx_dim(node, pf_onnx_in(node, 1), 0);
    int32_t                        activation = pf_onnx_choice(node, "activation", "none", activations);
    pf_conv_attrs                  conv = { { 1, { 1 } }, { 1, { 1 } }, { 2, { 0 } }, channels, PF_AUTO_PAD_NONE };
    pf_slice_attrs                 last = { { 1, { 2 } }, { 1, { 1 - k } }, { 1, { PF_SLICE_FAR } }, { 1, { 1 } } };
    pf_value_id                    x = PF_NONE;

    if (!node->status && (!pf_dim_is_number(k) || !pf_dim_is_number(channels) || k < 1))
        pf_onnx_fail(node, PF_UNSUPPORTED, "the size of its weights is not known when the model is built");
    x = with_past(node, k - 1);
    node->out[0] = pf_onnx_emit3(node, PF_OP_CONV, &conv, x, pf_onnx_in(node, 1), pf_onnx_in(node, 2));
    if (activation)
        node->out[0] = pf_onnx_emit1(node, PF_OP_SWISH, &silu, node->out[0]);
    if (k == 1)         /* from the end, no positions are position 0 */
        last.ends.at[0] = 0;
    if (node->out_count > 1)
        node->out[1] = pf_onnx_emit1(node, PF_OP_SLICE, &last, x);
}
