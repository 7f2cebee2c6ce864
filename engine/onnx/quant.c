#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* Scales of one element have no axis: the attribute's default may even lie outside of x. */
static int64_t quantized_axis(pf_onnx_node *node)
{
    pf_value_id x = pf_onnx_in(node, 0), scale = pf_onnx_in(node, 1);
    int32_t     rank = pf_onnx_rank(node, scale);
    int64_t     axis = pf_onnx_int(node, "axis", 1);        /* none before opset 13, but of com.microsoft */

    if (node->status || rank == 0 || (rank == 1 && pf_onnx_dim(node, scale, 0) == 1))
        return 0;
    return pf_onnx_axis(node, axis, pf_onnx_rank(node, x));
}

/* The type of y: the zero point's, the attribute's, or uint8. */
void pf_onnx_quantize_linear(pf_onnx_node *node)
{
    pf_dtype                 given = pf_onnx_dtype(node, pf_onnx_in(node, 2));
    int64_t                  wanted = pf_onnx_int(node, "output_dtype", 0);
    pf_quantize_linear_attrs attrs = {
        .dtype = (int32_t)(given != PF_DTYPE_NONE ? given
                           : wanted               ? pf_onnx_dtype_attr(node, "output_dtype", PF_U8)
                                                  : PF_U8),
        .overflow = pf_onnx_int(node, "saturate", 1) ? PF_OVERFLOW_SATURATE : PF_OVERFLOW_INFINITY,
        .axis = quantized_axis(node),
        .block_size = pf_onnx_int(node, "block_size", 0),
    };

    pf_onnx_emit_same(node, PF_OP_QUANTIZE_LINEAR, &attrs);
}

void pf_onnx_dequantize_linear(pf_onnx_node *node)
{
    int64_t                    wanted = pf_onnx_int(node, "output_dtype", 0);
    pf_dequantize_linear_attrs attrs = {
        .dtype = (int32_t)(wanted ? pf_onnx_dtype_attr(node, "output_dtype", PF_F32)
                                  : pf_onnx_dtype(node, pf_onnx_in(node, 1))),
        .axis = quantized_axis(node),
        .block_size = pf_onnx_int(node, "block_size", 0),
    };

    pf_onnx_emit_same(node, PF_OP_DEQUANTIZE_LINEAR, &attrs);
}

void pf_onnx_dynamic_quantize_linear(pf_onnx_node *node)
{
    pf_value_id out[3] = { PF_NONE, PF_NONE, PF_NONE };

    pf_onnx_emit(node, PF_OP_DYNAMIC_QUANTIZE_LINEAR, NULL, 1, node->in, 3, out);
    for (uint32_t i = 0; i < node->out_count; i++)
        node->out[i] = out[i];
}
