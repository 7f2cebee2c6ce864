#include <string.h>

#include "engine/onnx/conv.h"
#include "engine/ops/attrs.h"

/* Quantized operators of com.microsoft: the floating-point op between dequantizers and a quantizer. */

static pf_value_id to_float(pf_onnx_node *node, pf_value_id x, pf_value_id scale, pf_value_id zero)
{
    int32_t                    rank = pf_onnx_rank(node, x);
    pf_dequantize_linear_attrs attrs = { .dtype = (int32_t)pf_onnx_dtype(node, scale), .axis = rank ? rank - 1 : 0 };

    return pf_onnx_emit3(node, PF_OP_DEQUANTIZE_LINEAR, &attrs, x, scale, zero);
}

/* The type of the result is the zero point's, or `when_absent`. */
static pf_value_id from_float(pf_onnx_node *node, pf_value_id y, pf_value_id scale, pf_value_id zero,
                              pf_dtype when_absent)
{
    pf_dtype                 dtype = zero == PF_NONE ? when_absent : pf_onnx_dtype(node, zero);
    pf_quantize_linear_attrs attrs = { .dtype = (int32_t)dtype };

    return pf_onnx_emit3(node, PF_OP_QUANTIZE_LINEAR, &attrs, y, scale, zero);
}

/* a, its scale and zero point, b, ..., c's scale and zero point */
void pf_onnx_qlinear_binary(pf_onnx_node *node)
{
    pf_op_kind  op = strcmp(node->op_type, "QLinearMul") ? PF_OP_ADD : PF_OP_MUL;
    pf_value_id a = to_float(node, pf_onnx_in(node, 0), pf_onnx_in(node, 1), pf_onnx_in(node, 2));
    pf_value_id b = to_float(node, pf_onnx_in(node, 3), pf_onnx_in(node, 4), pf_onnx_in(node, 5));

    node->out[0] = from_float(node, pf_onnx_emit2(node, op, NULL, a, b), pf_onnx_in(node, 6), pf_onnx_in(node, 7),
                              pf_onnx_dtype(node, pf_onnx_in(node, 0)));
}

static pf_value_id unary(pf_onnx_node *node, pf_value_id x)
{
    pf_pointwise_attrs slope = { pf_onnx_float(node, "alpha", 0.01), 0 };
    int32_t            rank = pf_onnx_rank(node, x);
    pf_axis_attrs      axis = { 0 };

    if (!strcmp(node->op_type, "QLinearSigmoid"))
        return pf_onnx_emit1(node, PF_OP_SIGMOID, NULL, x);
    if (!strcmp(node->op_type, "QLinearLeakyRelu"))
        return pf_onnx_emit1(node, PF_OP_LEAKY_RELU, &slope, x);
    axis.axis = pf_onnx_axis(node, pf_onnx_int(node, "axis", -1), rank);
    if (pf_onnx_int(node, "opset", 13) < 13 && axis.axis != rank - 1)
        pf_onnx_fail(node, PF_UNSUPPORTED, "a softmax over several dimensions");
    return pf_onnx_emit1(node, PF_OP_SOFTMAX, &axis, x);
}

/* x, its scale and zero point, y's scale and zero point */
void pf_onnx_qlinear_unary(pf_onnx_node *node)
{
    pf_value_id x = to_float(node, pf_onnx_in(node, 0), pf_onnx_in(node, 1), pf_onnx_in(node, 2));

    node->out[0] = from_float(node, unary(node, x), pf_onnx_in(node, 3), pf_onnx_in(node, 4),
                              pf_onnx_dtype(node, pf_onnx_in(node, 0)));
}

void pf_onnx_qlinear_average_pool(pf_onnx_node *node)
{
    pf_value_id    x = to_float(node, pf_onnx_in(node, 0), pf_onnx_in(node, 1), pf_onnx_in(node, 2));
    pf_onnx_window w = pf_onnx_window_read(node, x, pf_onnx_ints(node, "kernel_shape"));
    pf_pool_attrs attrs = { w.kernel,
                            w.strides,
                            w.dilations,
                            w.pads,
                            w.auto_pad,
                            pf_onnx_int(node, "ceil_mode", 0),
                            pf_onnx_int(node, "count_include_pad", 0) };

    if (pf_onnx_int(node, "channels_last", 0))
        pf_onnx_fail(node, PF_UNSUPPORTED, "channels in the last dimension");
    x = pf_onnx_emit1(node, PF_OP_AVERAGE_POOL, &attrs, x);
    node->out[0] =
        from_float(node, x, pf_onnx_in(node, 3), pf_onnx_in(node, 4), pf_onnx_dtype(node, pf_onnx_in(node, 0)));
}

/* Over all spatial dims, which are the middle ones when channels come last. */
void pf_onnx_qlinear_global_average_pool(pf_onnx_node *node)
{
    pf_value_id     x = to_float(node, pf_onnx_in(node, 0), pf_onnx_in(node, 1), pf_onnx_in(node, 2));
    int32_t         rank = pf_onnx_rank(node, x), first = pf_onnx_int(node, "channels_last", 0) ? 1 : 2;
    pf_reduce_attrs attrs = { .mode = PF_REDUCE_MEAN, .keepdims = 1 };

    for (int32_t i = first; i < rank - (first == 1); i++)
        attrs.axes.at[attrs.axes.count++] = i;
    x = pf_onnx_emit1(node, PF_OP_REDUCE, &attrs, x);
    node->out[0] =
        from_float(node, x, pf_onnx_in(node, 3), pf_onnx_in(node, 4), pf_onnx_dtype(node, pf_onnx_in(node, 0)));
}

/* y's scale and zero point, then each x with its own */
void pf_onnx_qlinear_concat(pf_onnx_node *node)
{
    enum { MOST = 64 };
    pf_value_id   parts[MOST] = { 0 }, y = PF_NONE;
    uint32_t      count = node->in_count > 2 ? (node->in_count - 2) / 3 : 0;
    pf_axis_attrs attrs = { pf_onnx_axis(node, pf_onnx_int(node, "axis", 0), pf_onnx_rank(node, pf_onnx_in(node, 2))) };

    if (count < 1 || count > MOST)
        pf_onnx_fail(node, PF_UNSUPPORTED, "%u values to join; between 1 and %d are supported", count, MOST);
    for (uint32_t i = 0; i < count && i < MOST; i++)
        parts[i] =
            to_float(node, pf_onnx_in(node, 2 + 3 * i), pf_onnx_in(node, 3 + 3 * i), pf_onnx_in(node, 4 + 3 * i));
    if (!node->status)
        pf_onnx_emit(node, PF_OP_CONCAT, &attrs, count, parts, 1, &y);
    node->out[0] =
        from_float(node, y, pf_onnx_in(node, 0), pf_onnx_in(node, 1), pf_onnx_dtype(node, pf_onnx_in(node, 2)));
}

/* a, b, their scales, their zero points, bias: floats come out */
void pf_onnx_matmul_integer_to_float(pf_onnx_node *node)
{
    pf_value_id a = to_float(node, pf_onnx_in(node, 0), pf_onnx_in(node, 2), pf_onnx_in(node, 4));
    pf_value_id b = to_float(node, pf_onnx_in(node, 1), pf_onnx_in(node, 3), pf_onnx_in(node, 5));

    node->out[0] = pf_onnx_add_bias(node, pf_onnx_emit2(node, PF_OP_MATMUL, NULL, a, b), pf_onnx_in(node, 6));
}

/* a as floats, b with scale and zero point, bias: a is quantized to its own range first */
void pf_onnx_dynamic_quantize_matmul(pf_onnx_node *node)
{
    pf_value_id q[3] = { PF_NONE, PF_NONE, PF_NONE }, a = PF_NONE, b = PF_NONE;

    pf_onnx_emit(node, PF_OP_DYNAMIC_QUANTIZE_LINEAR, NULL, 1, node->in, 3, q);
    a = to_float(node, q[0], q[1], q[2]);
    b = to_float(node, pf_onnx_in(node, 1), pf_onnx_in(node, 2), pf_onnx_in(node, 3));
    node->out[0] = pf_onnx_add_bias(node, pf_onnx_emit2(node, PF_OP_MATMUL, NULL, a, b), pf_onnx_in(node, 4));
}

/* Per-column scales of b belong to its columns, which are rows while it is transposed. */
static pf_value_id gemm_weights(pf_onnx_node *node, bool transposed)
{
    pf_dequantize_linear_attrs attrs = { .dtype = (int32_t)pf_onnx_dtype(node, pf_onnx_in(node, 4)),
                                         .axis = transposed ? 0 : 1 };

    return pf_onnx_emit3(node, PF_OP_DEQUANTIZE_LINEAR, &attrs, pf_onnx_in(node, 3), pf_onnx_in(node, 4),
                         pf_onnx_in(node, 5));
}

/* a, scale, zero; b, scale, zero; c in units of both scales; y's scale and zero, or floats come out */
void pf_onnx_qgemm(pf_onnx_node *node)
{
    pf_gemm_attrs attrs = { pf_onnx_int(node, "transA", 0) != 0, pf_onnx_int(node, "transB", 0) != 0,
                            pf_onnx_float(node, "alpha", 1.0), 1.0 };
    pf_value_id                a = to_float(node, pf_onnx_in(node, 0), pf_onnx_in(node, 1), pf_onnx_in(node, 2));
    pf_value_id                b = gemm_weights(node, attrs.trans_b), c = pf_onnx_in(node, 6), y = PF_NONE;
    pf_dequantize_linear_attrs whole = { .dtype = PF_F32 };

    if (c != PF_NONE) {
        pf_value_id scale = pf_onnx_emit2(node, PF_OP_MUL, NULL, pf_onnx_in(node, 1), pf_onnx_in(node, 4));

        scale = pf_onnx_emit2(node, PF_OP_MUL, NULL, scale, pf_onnx_scalar(node, PF_F32, attrs.alpha));
        whole.axis = pf_onnx_rank(node, c) > 1 ? pf_onnx_rank(node, c) - 1 : 0;
        c = pf_onnx_emit2(node, PF_OP_DEQUANTIZE_LINEAR, &whole, c, scale);
    }
    y = pf_onnx_emit3(node, PF_OP_GEMM, &attrs, a, b, c);
    if (pf_onnx_in(node, 7) != PF_NONE)
        y = from_float(node, y, pf_onnx_in(node, 7), pf_onnx_in(node, 8), pf_onnx_dtype(node, pf_onnx_in(node, 0)));
    node->out[0] = y;
}

/* (w - zero) * scale with scales [directions] or [directions, columns], then [directions, columns, rows] as LSTM wants
   it. */
static pf_value_id lstm_weights(pf_onnx_node *node, pf_value_id w, pf_value_id scale, pf_value_id zero)
{
    static const pf_transpose_attrs swap = { { 3, { 0, 2, 1 } } };
    pf_cast_attrs                   cast = { .dtype = PF_F32 };
    bool                            columns = pf_onnx_rank(node, scale) == 2;
    pf_dim_list shape = { 3, { pf_onnx_dim(node, scale, 0), 1, columns ? pf_onnx_dim(node, scale, 1) : 1 } };

    w = pf_onnx_emit1(node, PF_OP_CAST, &cast, w);
    if (zero != PF_NONE)
        w = pf_onnx_emit2(node, PF_OP_SUB, NULL, w,
                          pf_onnx_reshape_to(node, pf_onnx_emit1(node, PF_OP_CAST, &cast, zero), &shape));
    w = pf_onnx_emit2(node, PF_OP_MUL, NULL, w, pf_onnx_reshape_to(node, scale, &shape));
    return pf_onnx_emit1(node, PF_OP_TRANSPOSE, &swap, w);
}

/* LSTM with int8 weights: x, w, r, bias, lengths, h, c, peepholes, then scales and zero points of w and r. Products are
   in floats here. */
void pf_onnx_dynamic_quantize_lstm(pf_onnx_node *node)
{
    pf_value_id        in[8] = { 0 };
    const pf_value_id *before = node->in;
    uint32_t           count = node->in_count;

    if (pf_onnx_in(node, 8) == PF_NONE || pf_onnx_in(node, 10) == PF_NONE)
        pf_onnx_fail(node, PF_INVALID, "the scales of its weights are missing");
    for (uint32_t i = 0; i < 8; i++)
        in[i] = pf_onnx_in(node, i);
    in[1] = lstm_weights(node, in[1], pf_onnx_in(node, 8), pf_onnx_in(node, 9));
    in[2] = lstm_weights(node, in[2], pf_onnx_in(node, 10), pf_onnx_in(node, 11));
    node->in = in;
    node->in_count = 8;
    pf_onnx_lstm(node);
    node->in = before;
    node->in_count = count;
}
