#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

static const struct reduction { const char *name; int32_t mode;
} reductions[] = {
    { "ReduceSum", PF_REDUCE_SUM },
    { "ReduceMean", PF_REDUCE_MEAN },
    { "ReduceMax", PF_REDUCE_MAX },
    { "ReduceMin", PF_REDUCE_MIN },
    { "ReduceProd", PF_REDUCE_PROD },
    { "ReduceL1", PF_REDUCE_L1 },
    { "ReduceL2", PF_REDUCE_L2 },
    { "ReduceLogSum", PF_REDUCE_LOG_SUM },
    { "ReduceLogSumExp", PF_REDUCE_LOG_SUM_EXP },
    { "ReduceSumSquare", PF_REDUCE_SUM_SQUARE },
};

static int32_t mode_of(pf_onnx_node *node)
{
    for (size_t i = 0; i < sizeof reductions / sizeof *reductions; i++)
        if (!strcmp(reductions[i].name, node->op_type))
            return reductions[i].mode;
    pf_onnx_fail(node, PF_INTERNAL, "the reduction is in no table");
    return PF_REDUCE_SUM;
}

static void reduce_over(pf_onnx_node *node, pf_ints axes, bool all_when_empty)
{
    pf_reduce_attrs attrs = { .mode = mode_of(node), .keepdims = pf_onnx_int(node, "keepdims", 1) };
    int32_t         rank = pf_onnx_rank(node, pf_onnx_in(node, 0));

    for (int32_t i = 0; i < axes.count; i++)
        attrs.axes.at[attrs.axes.count++] = pf_onnx_axis(node, axes.at[i], rank);
    for (int32_t i = 0; !axes.count && all_when_empty && i < rank; i++)
        attrs.axes.at[attrs.axes.count++] = i;
    node->out[0] = pf_onnx_emit1(node, PF_OP_REDUCE, &attrs, pf_onnx_in(node, 0));
}

/* axes as an attribute: up to opset 12 for ReduceSum, 17 for the others */
void pf_onnx_reduce_1(pf_onnx_node *node)
{
    reduce_over(node, pf_onnx_ints(node, "axes"), true);
}

void pf_onnx_reduce(pf_onnx_node *node)
{
    pf_ints axes = { 0 };

    if (pf_onnx_in(node, 1) != PF_NONE && !pf_onnx_constant_ints(node, pf_onnx_in(node, 1), &axes))
        pf_onnx_fail(node, PF_UNSUPPORTED, "its axes are not known when the model is built");
    reduce_over(node, axes, !pf_onnx_int(node, "noop_with_empty_axes", 0));
}

void pf_onnx_arg_reduce(pf_onnx_node *node)
{
    int32_t             rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    pf_arg_reduce_attrs attrs = {
        .mode = strcmp(node->op_type, "ArgMin") ? PF_ARG_MAX : PF_ARG_MIN,
        .axis = pf_onnx_axis(node, pf_onnx_int(node, "axis", 0), rank),
        .keepdims = pf_onnx_int(node, "keepdims", 1),
        .select_last = pf_onnx_int(node, "select_last_index", 0),
    };

    node->out[0] = pf_onnx_emit1(node, PF_OP_ARG_REDUCE, &attrs, pf_onnx_in(node, 0));
}

void pf_onnx_cumulate(pf_onnx_node *node)
{
    int64_t           axis = 0;
    pf_cumulate_attrs attrs = {
        .mode = strcmp(node->op_type, "CumProd") ? PF_CUMULATE_SUM : PF_CUMULATE_PROD,
        .exclusive = pf_onnx_int(node, "exclusive", 0),
        .reverse = pf_onnx_int(node, "reverse", 0),
    };

    if (!pf_onnx_constant_int(node, pf_onnx_in(node, 1), &axis))
        pf_onnx_fail(node, PF_UNSUPPORTED, "its axis is not known when the model is built");
    attrs.axis = pf_onnx_axis(node, axis, pf_onnx_rank(node, pf_onnx_in(node, 0)));
    node->out[0] = pf_onnx_emit1(node, PF_OP_CUMULATE, &attrs, pf_onnx_in(node, 0));
}

/* k: an attribute in opset 1, then an input. */
void pf_onnx_topk(pf_onnx_node *node)
{
    int32_t       rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    pf_topk_attrs attrs = {
        .k = { 1, { node->opset < 10 ? pf_onnx_int(node, "k", 0) : 0 } },
        .axis = pf_onnx_axis(node, pf_onnx_int(node, "axis", -1), rank),
        .smallest = !pf_onnx_int(node, "largest", 1),
        .unsorted = !pf_onnx_int(node, "sorted", 1),
    };
    pf_value_id   out[2] = { PF_NONE, PF_NONE };

    if (node->opset >= 10 && pf_onnx_late_dims(node, pf_onnx_in(node, 1), &attrs.k) && attrs.k.count != 1)
        pf_onnx_fail(node, PF_INVALID, "k is %d numbers", attrs.k.count);
    if (!node->status && pf_dim_is_number(attrs.k.at[0]) && attrs.k.at[0] < 0)
        pf_onnx_fail(node, PF_INVALID, "k is %lld", (long long)attrs.k.at[0]);
    pf_onnx_emit(node, PF_OP_TOPK, &attrs, 1, node->in, 2, out);
    for (uint32_t i = 0; i < node->out_count; i++)
        node->out[i] = out[i];
}
