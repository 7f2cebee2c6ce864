#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* Sizes that data decides, as symbols. */

enum { CONCAT_DEPTH = 8 };

static void append(pf_onnx_node *node, pf_dim_list *to, const pf_dim_list *more)
{
    if (to->count + more->count > PF_ATTR_LIST) {
        pf_onnx_fail(node, PF_UNSUPPORTED, "a list of more than %d sizes", PF_ATTR_LIST);
        return;
    }
    memcpy(to->at + to->count, more->at, (size_t)more->count * sizeof *more->at);
    to->count += more->count;
}

static int32_t element_count(pf_onnx_node *node, pf_value_id value)
{
    const pf_shape *shape = &pf_onnx_value(node, value)->shape;

    if (shape->rank == 0)
        return 1;
    return shape->rank == 1 && pf_dim_is_number(shape->dim[0]) && shape->dim[0] <= PF_ATTR_LIST ? (int32_t)shape->dim[0]
                                                                                                : -1;
}

static void hold(pf_onnx_node *node, pf_value_id value, pf_dim_list *out)
{
    pf_value_id held[PF_ATTR_LIST] = { 0 };
    int32_t     count = node->status ? 0 : element_count(node, value);

    if (count < 0)
        pf_onnx_fail(node, PF_UNSUPPORTED, "how many sizes \"%.200s\" holds is not known when the model is built",
                     pf_onnx_value(node, value)->name);
    if (node->status || count == 0)
        return;
    pf_onnx_emit(node, PF_OP_HOLD_SIZES, NULL, 1, &value, (uint32_t)count, held);
    for (int32_t i = 0; i < count && !node->status; i++)
        out->at[out->count++] = pf_onnx_dim(node, held[i], 1);
}

/* Of a list that was put together, what is known stays known. */
static void collect(pf_onnx_node *node, pf_value_id value, int32_t depth, pf_dim_list *out)
{
    pf_node_id  maker = pf_onnx_value(node, value)->producer;
    pf_dim_list part = { 0 };

    if (pf_onnx_known_dims(node, value, &part))
        append(node, out, &part);
    else if (maker != PF_NONE && pf_graph_node(node->graph, maker)->op == PF_OP_CONCAT && depth < CONCAT_DEPTH)
        for (uint32_t i = 0; i < pf_graph_node(node->graph, maker)->in_count && !node->status; i++)
            collect(node, pf_graph_node(node->graph, maker)->in[i], depth + 1, out);
    else {
        hold(node, value, &part);
        append(node, out, &part);
    }
}

bool pf_onnx_late_dims(pf_onnx_node *node, pf_value_id value, pf_dim_list *out)
{
    memset(out, 0, sizeof *out);
    if (!node->status && value != PF_NONE)
        collect(node, value, 0, out);
    return !node->status && value != PF_NONE;
}
