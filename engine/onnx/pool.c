#include <string.h>

#include "engine/onnx/conv.h"

static pf_pool_attrs pool_attrs(pf_onnx_node *node)
{
    pf_onnx_window w = pf_onnx_window_read(node, pf_onnx_in(node, 0), pf_onnx_ints(node, "kernel_shape"));
    pf_pool_attrs  attrs = { w.kernel, w.strides, w.dilations, w.pads, w.auto_pad, pf_onnx_int(node, "ceil_mode", 0) };

    pf_onnx_window_need(node, pf_onnx_in(node, 0), &w, attrs.ceil_mode != 0);
    return attrs;
}

void pf_onnx_max_pool(pf_onnx_node *node)
{
    pf_pool_attrs attrs = pool_attrs(node);

    attrs.column_major = pf_onnx_int(node, "storage_order", 0);
    pf_onnx_emit_same(node, PF_OP_MAX_POOL, &attrs);
}

void pf_onnx_average_pool(pf_onnx_node *node)
{
    pf_pool_attrs attrs = pool_attrs(node);

    attrs.count_include_pad = pf_onnx_int(node, "count_include_pad", 0);
    pf_onnx_emit_same(node, PF_OP_AVERAGE_POOL, &attrs);
}

/* p was a float in opset 1. */
static int64_t read_p(pf_onnx_node *node)
{
    double p = node->opset < 2 ? pf_onnx_float(node, "p", 2.0) : (double)pf_onnx_int(node, "p", 2);

    if (!node->status && (p < 1 || p > 1e6 || p != (double)(int32_t)p))
        pf_onnx_fail(node, PF_UNSUPPORTED, "p is %g; whole numbers from 1 are supported", p);
    return node->status ? 2 : (int32_t)p;
}

void pf_onnx_lp_pool(pf_onnx_node *node)
{
    pf_pool_attrs attrs = pool_attrs(node);

    attrs.p = read_p(node);
    pf_onnx_emit_same(node, PF_OP_LP_POOL, &attrs);
}

static pf_reduce_attrs over_spatial(pf_onnx_node *node, int32_t mode)
{
    pf_reduce_attrs attrs = { .mode = mode, .keepdims = 1 };
    int32_t         rank = pf_onnx_rank(node, pf_onnx_in(node, 0));

    for (int32_t i = 2; i < rank; i++)
        attrs.axes.at[attrs.axes.count++] = i;
    return attrs;
}

static void global_pool(pf_onnx_node *node, int32_t mode)
{
    pf_reduce_attrs attrs = over_spatial(node, mode);

    node->out[0] = pf_onnx_emit1(node, PF_OP_REDUCE, &attrs, pf_onnx_in(node, 0));
}

void pf_onnx_global_average_pool(pf_onnx_node *node)
{
    global_pool(node, PF_REDUCE_MEAN);
}

void pf_onnx_global_max_pool(pf_onnx_node *node)
{
    global_pool(node, PF_REDUCE_MAX);
}

/* (sum |x|^p)^(1/p) */
void pf_onnx_global_lp_pool(pf_onnx_node *node)
{
    int64_t         p = read_p(node);
    pf_reduce_attrs sum = over_spatial(node, PF_REDUCE_SUM);
    pf_value_id     x = pf_onnx_in(node, 0);
    pf_dtype        dtype = pf_onnx_dtype(node, x);

    if (p <= 2) {
        global_pool(node, p == 1 ? PF_REDUCE_L1 : PF_REDUCE_L2);
        return;
    }
    x = pf_onnx_emit1(node, PF_OP_ABS, NULL, x);
    x = pf_onnx_emit2(node, PF_OP_POW, NULL, x, pf_onnx_scalar(node, dtype, (double)p));
    x = pf_onnx_emit1(node, PF_OP_REDUCE, &sum, x);
    node->out[0] = pf_onnx_emit2(node, PF_OP_POW, NULL, x, pf_onnx_scalar(node, dtype, 1.0 / (double)p));
}

/* The optional third input is the shape to come out. */
void pf_onnx_max_unpool(pf_onnx_node *node)
{
    pf_onnx_window      w = pf_onnx_window_read(node, pf_onnx_in(node, 0), pf_onnx_ints(node, "kernel_shape"));
    pf_max_unpool_attrs attrs = { w.kernel, w.strides, w.pads, { 0 } };

    if (pf_onnx_in(node, 2) != PF_NONE && !pf_onnx_known_dims(node, pf_onnx_in(node, 2), &attrs.output_shape))
        pf_onnx_fail(node, PF_UNSUPPORTED, "the output shape is not known when the model is built");
    node->out[0] = pf_onnx_emit2(node, PF_OP_MAX_UNPOOL, &attrs, pf_onnx_in(node, 0), pf_onnx_in(node, 1));
}

void pf_onnx_max_roi_pool(pf_onnx_node *node)
{
    pf_max_roi_pool_attrs attrs = { pf_onnx_ints(node, "pooled_shape"), pf_onnx_float(node, "spatial_scale", 1.0) };

    pf_onnx_emit_same(node, PF_OP_MAX_ROI_POOL, &attrs);
}

/* Before opset 16 coordinates were not shifted by half a pixel. */
void pf_onnx_roi_align(pf_onnx_node *node)
{
    static const char *const modes[] = { "avg", "max", NULL };
    static const char *const forms[] = { "half_pixel", "output_half_pixel", NULL };
    pf_roi_align_attrs attrs = {
        .mode = pf_onnx_choice(node, "mode", "avg", modes),
        .coordinates = pf_onnx_choice(node, "coordinate_transformation_mode",
                                      node->opset < 16 ? "output_half_pixel" : "half_pixel", forms),
        .output_height = pf_onnx_int(node, "output_height", 1),
        .output_width = pf_onnx_int(node, "output_width", 1),
        .sampling_ratio = pf_onnx_int(node, "sampling_ratio", 0),
        .spatial_scale = pf_onnx_float(node, "spatial_scale", 1.0),
    };

    pf_onnx_emit_same(node, PF_OP_ROI_ALIGN, &attrs);
}
