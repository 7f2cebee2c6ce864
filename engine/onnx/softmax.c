#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

static pf_op_kind softmax_op(const pf_onnx_node *node)
{
    if (!strcmp(node->op_type, "LogSoftmax"))
        return PF_OP_LOG_SOFTMAX;
    return strcmp(node->op_type, "Hardmax") ? PF_OP_SOFTMAX : PF_OP_HARDMAX;
}

void pf_onnx_softmax(pf_onnx_node *node)
{
    pf_axis_attrs attrs = { pf_onnx_axis(node, pf_onnx_int(node, "axis", -1),
                                         pf_onnx_rank(node, pf_onnx_in(node, 0))) };

    node->out[0] = pf_onnx_emit1(node, softmax_op(node), &attrs, pf_onnx_in(node, 0));
}

/* The only dim from axis on that may be other than 1; -1 when there are several. */
static int32_t only_axis(pf_onnx_node *node, int32_t axis, int32_t rank)
{
    int32_t found = rank - 1;
    int32_t count = 0;

    for (int32_t i = axis; i < rank; i++) {
        if (pf_onnx_dim(node, pf_onnx_in(node, 0), i) == 1)
            continue;
        found = i;
        count++;
    }
    return count > 1 ? -1 : found;
}

static pf_dim product(pf_onnx_node *node, pf_value_id x, int32_t first, int32_t end)
{
    pf_dim out = 1;

    for (int32_t i = first; i < end; i++)
        out = pf_dim_mul(node->graph->dims, out, pf_onnx_dim(node, x, i));
    return out;
}

/* Before opset 13 the input was seen as a matrix of prod(dims before axis) rows. */
void pf_onnx_softmax_flat(pf_onnx_node *node)
{
    pf_value_id   x = pf_onnx_in(node, 0);
    int32_t       rank = pf_onnx_rank(node, x);
    int32_t       axis = pf_onnx_axis(node, pf_onnx_int(node, "axis", 1), rank);
    int32_t       only = only_axis(node, axis, rank);
    pf_axis_attrs attrs = { only < 0 ? 1 : only };
    pf_dim_list   flat = { 2, { product(node, x, 0, axis), product(node, x, axis, rank) } };
    pf_dim_list   back = { rank };

    if (node->status || only >= 0) {
        node->out[0] = pf_onnx_emit1(node, softmax_op(node), &attrs, x);
        return;
    }
    for (int32_t i = 0; i < rank; i++)
        back.at[i] = pf_onnx_dim(node, x, i);
    x = pf_onnx_reshape_to(node, x, &flat);
    x = pf_onnx_emit1(node, softmax_op(node), &attrs, x);
    node->out[0] = pf_onnx_reshape_to(node, x, &back);
}
