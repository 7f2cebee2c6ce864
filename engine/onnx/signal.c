#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* A number that an input holds and that has to be known now. */
static double known_number(pf_onnx_node *node, uint32_t slot, const char *what)
{
    double value = 0;

    if (!pf_onnx_constant_number(node, pf_onnx_in(node, slot), &value))
        pf_onnx_fail(node, PF_UNSUPPORTED, "its %s is not known when the model is built", what);
    return value;
}

static int64_t known_int(pf_onnx_node *node, uint32_t slot, const char *what)
{
    int64_t value = 0;

    if (!pf_onnx_constant_int(node, pf_onnx_in(node, slot), &value))
        pf_onnx_fail(node, PF_UNSUPPORTED, "its %s is not known when the model is built", what);
    return value;
}

/* The axis: an attribute in opset 17, then an input. */
void pf_onnx_dft(pf_onnx_node *node)
{
    bool         old = node->opset < 20;
    int64_t      axis = old ? pf_onnx_int(node, "axis", 1) : -2;
    pf_dft_attrs attrs = { .inverse = pf_onnx_int(node, "inverse", 0), .onesided = pf_onnx_int(node, "onesided", 0) };

    if (!old && pf_onnx_in(node, 2) != PF_NONE)
        axis = known_int(node, 2, "axis");
    attrs.axis = pf_onnx_axis(node, axis, pf_onnx_rank(node, pf_onnx_in(node, 0)));
    if (pf_onnx_in(node, 1) != PF_NONE &&
        (!pf_onnx_known_dims(node, pf_onnx_in(node, 1), &attrs.length) || attrs.length.count != 1))
        pf_onnx_fail(node, PF_UNSUPPORTED, "its length is not known when the model is built");
    node->out[0] = pf_onnx_emit1(node, PF_OP_DFT, &attrs, pf_onnx_in(node, 0));
}

/* A real signal as [batch, length, 1]: the standard asks for that, and PyTorch writes it without the last dim. */
static pf_value_id with_parts(pf_onnx_node *node, pf_value_id signal)
{
    pf_dim_list shape = { 3, { pf_onnx_dim(node, signal, 0), pf_onnx_dim(node, signal, 1), 1 } };

    return pf_onnx_rank(node, signal) == 2 ? pf_onnx_reshape_to(node, signal, &shape) : signal;
}

/* signal, frame step, window, frame length: the length is the window's when it is left out. */
void pf_onnx_stft(pf_onnx_node *node)
{
    pf_value_id   window = pf_onnx_in(node, 2), signal = with_parts(node, pf_onnx_in(node, 0));
    pf_stft_attrs attrs = { .frame_step = known_int(node, 1, "frame step"),
                            .onesided = pf_onnx_int(node, "onesided", 1) };

    if (pf_onnx_in(node, 3) != PF_NONE) {
        attrs.frame_length = known_int(node, 3, "frame length");
    } else if (window != PF_NONE) {
        attrs.frame_length = pf_onnx_dim(node, window, 0);
        if (!pf_dim_is_number(attrs.frame_length))
            pf_onnx_fail(node, PF_UNSUPPORTED, "its frame length is not known when the model is built");
    } else {
        pf_onnx_fail(node, PF_INVALID, "it has neither a window nor a frame length");
    }
    if (window == PF_NONE)
        node->out[0] = pf_onnx_emit1(node, PF_OP_STFT, &attrs, signal);
    else
        node->out[0] = pf_onnx_emit2(node, PF_OP_STFT, &attrs, signal, window);
}

void pf_onnx_window_op(pf_onnx_node *node)
{
    pf_window_attrs attrs = {
        .kind = !strcmp(node->op_type, "HannWindow")      ? PF_WINDOW_HANN
                : !strcmp(node->op_type, "HammingWindow") ? PF_WINDOW_HAMMING
                                                          : PF_WINDOW_BLACKMAN,
        .dtype = (int32_t)pf_onnx_dtype_attr(node, "output_datatype", PF_F32),
        .symmetric = !pf_onnx_int(node, "periodic", 1),
    };

    if (!pf_onnx_known_dims(node, pf_onnx_in(node, 0), &attrs.size) || attrs.size.count != 1)
        pf_onnx_fail(node, PF_UNSUPPORTED, "its size is not known when the model is built");
    node->out[0] = pf_onnx_emit0(node, PF_OP_WINDOW, &attrs);
}

void pf_onnx_mel_weight_matrix(pf_onnx_node *node)
{
    pf_mel_weight_matrix_attrs attrs = {
        .dtype = (int32_t)pf_onnx_dtype_attr(node, "output_datatype", PF_F32),
        .bins = known_int(node, 0, "number of bins"),
        .dft_length = known_int(node, 1, "length"),
        .sample_rate = known_int(node, 2, "sample rate"),
        .lower_hertz = known_number(node, 3, "lower edge"),
        .upper_hertz = known_number(node, 4, "upper edge"),
    };

    node->out[0] = pf_onnx_emit0(node, PF_OP_MEL_WEIGHT_MATRIX, &attrs);
}
