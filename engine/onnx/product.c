#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

void pf_onnx_matmul(pf_onnx_node *node)
{
    node->out[0] = pf_onnx_emit2(node, PF_OP_MATMUL, NULL, pf_onnx_in(node, 0), pf_onnx_in(node, 1));
}

void pf_onnx_matmul_integer(pf_onnx_node *node)
{
    pf_onnx_emit_same(node, PF_OP_MATMUL_INTEGER, NULL);
}

void pf_onnx_gemm(pf_onnx_node *node)
{
    pf_gemm_attrs attrs = {
        .trans_a = pf_onnx_int(node, "transA", 0) != 0,
        .trans_b = pf_onnx_int(node, "transB", 0) != 0,
        .alpha = pf_onnx_float(node, "alpha", 1.0),
        .beta = pf_onnx_float(node, "beta", 1.0),
    };

    node->out[0] =
        pf_onnx_emit3(node, PF_OP_GEMM, &attrs, pf_onnx_in(node, 0), pf_onnx_in(node, 1), pf_onnx_in(node, 2));
}

void pf_onnx_einsum(pf_onnx_node *node)
{
    pf_einsum_attrs attrs = { pf_onnx_string(node, "equation", "") };

    pf_onnx_emit_same(node, PF_OP_EINSUM, &attrs);
}

void pf_onnx_det(pf_onnx_node *node)
{
    pf_onnx_emit_same(node, PF_OP_DET, NULL);
}

/* a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point */
void pf_onnx_qlinear_matmul(pf_onnx_node *node)
{
    pf_dtype                   dtype = pf_onnx_dtype(node, pf_onnx_in(node, 1));
    int32_t rank_a = pf_onnx_rank(node, pf_onnx_in(node, 0)), rank_b = pf_onnx_rank(node, pf_onnx_in(node, 3));
    pf_dequantize_linear_attrs a_attrs = { .dtype = (int32_t)dtype, .axis = rank_a > 1 ? rank_a - 2 : 0 };
    pf_dequantize_linear_attrs b_attrs = { .dtype = (int32_t)dtype, .axis = rank_b > 1 ? rank_b - 1 : 0 };
    pf_quantize_linear_attrs   y_attrs = { .dtype = (int32_t)pf_onnx_dtype(node, pf_onnx_in(node, 7)) };
    pf_value_id a = pf_onnx_emit3(node, PF_OP_DEQUANTIZE_LINEAR, &a_attrs, pf_onnx_in(node, 0), pf_onnx_in(node, 1),
                                  pf_onnx_in(node, 2));
    pf_value_id b = pf_onnx_emit3(node, PF_OP_DEQUANTIZE_LINEAR, &b_attrs, pf_onnx_in(node, 3), pf_onnx_in(node, 4),
                                  pf_onnx_in(node, 5));
    pf_value_id                y = pf_onnx_emit2(node, PF_OP_MATMUL, NULL, a, b);

    node->out[0] = pf_onnx_emit3(node, PF_OP_QUANTIZE_LINEAR, &y_attrs, y, pf_onnx_in(node, 6), pf_onnx_in(node, 7));
}
