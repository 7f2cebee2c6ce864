#include "engine/onnx/conv.h"

#include <string.h>

static pf_ints filled(int32_t count, int64_t value)
{
    pf_ints out = { count };

    for (int32_t i = 0; i < count && i < PF_ATTR_LIST; i++)
        out.at[i] = value;
    return out;
}

/* The attribute, or `count` times the default when it is absent. */
static pf_ints list_or(pf_onnx_node *node, const char *name, int32_t count, int64_t when_absent)
{
    pf_ints list = pf_onnx_ints(node, name);

    if (!list.count)
        return filled(count, when_absent);
    if (list.count != count)
        pf_onnx_fail(node, PF_INVALID, "attribute \"%s\" has %d entries where %d are needed", name, list.count, count);
    return list;
}

/* ONNX: the output has ceil(size / stride) elements; what that needs beyond the input is split, the odd one at the end
   for SAME_UPPER and at the beginning for SAME_LOWER. */
static void pad_same(const pf_onnx_window *w, int32_t i, int64_t size, int64_t *begin, int64_t *end)
{
    int64_t reach = (w->kernel.at[i] - 1) * w->dilations.at[i] + 1;
    int64_t out = (size + w->strides.at[i] - 1) / w->strides.at[i];
    int64_t total = (out - 1) * w->strides.at[i] + reach - size;

    if (total < 0)
        total = 0;
    *begin = w->auto_pad == PF_AUTO_PAD_SAME_LOWER ? total - total / 2 : total / 2;
    *end = total - *begin;
}

static void resolve_same(pf_onnx_node *node, pf_value_id x, pf_onnx_window *w)
{
    pf_ints pads = { 2 * w->spatial };

    for (int32_t i = 0; i < w->spatial; i++) {
        pf_dim size = pf_onnx_dim(node, x, i + 2);

        if (node->status || !pf_dim_is_number(size))
            return;                     /* the op does the same sum when it runs */
        pad_same(w, i, size, &pads.at[i], &pads.at[w->spatial + i]);
    }
    w->pads = pads;
    w->auto_pad = PF_AUTO_PAD_NONE;
}

static void check_window(pf_onnx_node *node, const pf_onnx_window *w)
{
    for (int32_t i = 0; i < w->spatial && !node->status; i++) {
        bool good = w->kernel.at[i] > 0 && w->strides.at[i] > 0 && w->dilations.at[i] > 0;

        if (!good || w->kernel.at[i] > INT32_MAX || w->strides.at[i] > INT32_MAX || w->dilations.at[i] > INT32_MAX)
            pf_onnx_fail(node, PF_INVALID, "kernel, stride and dilation have to be between 1 and 2147483647");
    }
}

pf_onnx_window pf_onnx_window_read(pf_onnx_node *node, pf_value_id x, pf_ints kernel)
{
    static const char *const names[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "", NULL };
    pf_onnx_window           w = { .spatial = pf_onnx_rank(node, x) - 2, .kernel = kernel };
    int32_t                  form = pf_onnx_choice(node, "auto_pad", "NOTSET", names);

    if (w.spatial < 1 && !node->status)
        pf_onnx_fail(node, PF_INVALID, "the input has %d dimensions and needs batch, channel and at least one more",
                     w.spatial + 2);
    if (node->status)
        return w;
    if (kernel.count != w.spatial)
        pf_onnx_fail(node, PF_INVALID, "a kernel of %d dimensions for %d spatial ones", kernel.count, w.spatial);
    w.strides = list_or(node, "strides", w.spatial, 1);
    w.dilations = list_or(node, "dilations", w.spatial, 1);
    check_window(node, &w);
    if (node->status)
        return w;
    if (form == 1 || form == 2) {
        w.auto_pad = form == 1 ? PF_AUTO_PAD_SAME_UPPER : PF_AUTO_PAD_SAME_LOWER;
        resolve_same(node, x, &w);
    } else {
        w.pads = form == 3 ? filled(2 * w.spatial, 0) : list_or(node, "pads", 2 * w.spatial, 0);
    }
    return w;
}

/* What only a branch or a body does may never run. */
void pf_onnx_window_need(pf_onnx_node *node, pf_value_id x, const pf_onnx_window *w, bool ceil_mode)
{
    for (int32_t i = 0; i < w->spatial && !node->status && !node->graph->outer && !w->auto_pad; i++) {
        int64_t reach = (w->kernel.at[i] - 1) * w->dilations.at[i] + 1,
                more = w->pads.at[i] + w->pads.at[w->spatial + i] + (ceil_mode ? w->strides.at[i] - 1 : 0);

        pf_dims_need(node->graph->dims, pf_onnx_dim(node, x, i + 2), reach - more);
    }
}

/* Spatial dims of weights [M, C, kernel...], which must be numbers and agree with the attribute kernel_shape. */
static pf_ints kernel_of(pf_onnx_node *node, pf_value_id weights)
{
    int32_t rank = pf_onnx_rank(node, weights);
    pf_ints given = pf_onnx_ints(node, "kernel_shape");
    pf_ints kernel = { 0 };

    if (!node->status && rank < 3)
        pf_onnx_fail(node, PF_INVALID, "the weights have %d dimensions and need at least 3", rank);
    for (int32_t i = 2; i < rank && !node->status; i++) {
        pf_dim size = pf_onnx_dim(node, weights, i);

        if (!pf_dim_is_number(size))
            pf_onnx_fail(node, PF_UNSUPPORTED, "the kernel's size has to be a number");
        if (given.count && (given.count != rank - 2 || given.at[i - 2] != size))
            pf_onnx_fail(node, PF_INVALID, "attribute \"kernel_shape\" does not agree with the weights");
        kernel.at[kernel.count++] = size;
    }
    return kernel;
}

pf_conv_attrs pf_onnx_conv_attrs(pf_onnx_node *node, pf_value_id x, pf_value_id weights)
{
    pf_onnx_window w = pf_onnx_window_read(node, x, kernel_of(node, weights));

    pf_onnx_window_need(node, x, &w, false);
    return (pf_conv_attrs){ w.strides, w.dilations, w.pads, pf_onnx_int(node, "group", 1), w.auto_pad };
}

void pf_onnx_conv(pf_onnx_node *node)
{
    pf_conv_attrs attrs = pf_onnx_conv_attrs(node, pf_onnx_in(node, 0), pf_onnx_in(node, 1));

    pf_onnx_emit_same(node, PF_OP_CONV, &attrs);
}

void pf_onnx_conv_integer(pf_onnx_node *node)
{
    pf_conv_attrs attrs = pf_onnx_conv_attrs(node, pf_onnx_in(node, 0), pf_onnx_in(node, 1));

    pf_onnx_emit_same(node, PF_OP_CONV_INTEGER, &attrs);
}

/* x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, bias: the floating-point form between
   quantizers. */
void pf_onnx_qlinear_conv(pf_onnx_node *node)
{
    pf_value_id                x = pf_onnx_in(node, 0), w = pf_onnx_in(node, 3), bias = pf_onnx_in(node, 8);
    pf_conv_attrs              attrs = pf_onnx_conv_attrs(node, x, w);
    pf_dequantize_linear_attrs from = { .dtype = PF_F32 };
    pf_quantize_linear_attrs   to = { .dtype = (int32_t)pf_onnx_dtype(node, pf_onnx_in(node, 7)) };
    pf_value_id xf = pf_onnx_emit3(node, PF_OP_DEQUANTIZE_LINEAR, &from, x, pf_onnx_in(node, 1), pf_onnx_in(node, 2));
    pf_value_id wf = pf_onnx_emit3(node, PF_OP_DEQUANTIZE_LINEAR, &from, w, pf_onnx_in(node, 4), pf_onnx_in(node, 5));
    pf_value_id                y = PF_NONE;

    if (bias != PF_NONE) {
        pf_value_id scale = pf_onnx_emit2(node, PF_OP_MUL, NULL, pf_onnx_in(node, 1), pf_onnx_in(node, 4));

        bias = pf_onnx_emit2(node, PF_OP_DEQUANTIZE_LINEAR, &from, bias, scale);
    }
    y = pf_onnx_emit3(node, PF_OP_CONV, &attrs, xf, wf, bias);
    node->out[0] = pf_onnx_emit3(node, PF_OP_QUANTIZE_LINEAR, &to, y, pf_onnx_in(node, 6), pf_onnx_in(node, 7));
}

/* An explicit output_shape may list spatial dims only, or all. */
static void read_output_shape(pf_onnx_node *node, int32_t spatial, pf_conv_transpose_attrs *attrs)
{
    pf_ints shape = pf_onnx_ints(node, "output_shape");
    int32_t skip = shape.count - spatial;

    if (!shape.count)
        return;
    if (skip != 0 && skip != 2) {
        pf_onnx_fail(node, PF_INVALID, "attribute \"output_shape\" has %d entries for %d spatial dimensions",
                     shape.count, spatial);
        return;
    }
    for (int32_t i = 0; i < spatial; i++)
        attrs->output_shape.at[attrs->output_shape.count++] = shape.at[i + skip];
}

static pf_conv_transpose_attrs transpose_attrs(pf_onnx_node *node)
{
    static const char *const names[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "", NULL };
    pf_conv_transpose_attrs  attrs = { .groups = pf_onnx_int(node, "group", 1) };
    pf_ints                  kernel = kernel_of(node, pf_onnx_in(node, 1));
    int32_t                  spatial = pf_onnx_rank(node, pf_onnx_in(node, 0)) - 2;
    int32_t                  form = pf_onnx_choice(node, "auto_pad", "NOTSET", names);

    if (!node->status && kernel.count != spatial)
        pf_onnx_fail(node, PF_INVALID, "a kernel of %d dimensions for %d spatial ones", kernel.count, spatial);
    if (node->status)
        return attrs;
    attrs.strides = list_or(node, "strides", spatial, 1);
    attrs.dilations = list_or(node, "dilations", spatial, 1);
    attrs.output_padding = list_or(node, "output_padding", spatial, 0);
    read_output_shape(node, spatial, &attrs);
    if (form == 1 || form == 2)
        attrs.auto_pad = form == 1 ? PF_AUTO_PAD_SAME_UPPER : PF_AUTO_PAD_SAME_LOWER;
    else if (!attrs.output_shape.count)
        attrs.pads = form == 3 ? filled(2 * spatial, 0) : list_or(node, "pads", 2 * spatial, 0);
    return attrs;
}

void pf_onnx_conv_transpose(pf_onnx_node *node)
{
    pf_conv_transpose_attrs attrs = transpose_attrs(node);

    pf_onnx_emit_same(node, PF_OP_CONV_TRANSPOSE, &attrs);
}

void pf_onnx_deform_conv(pf_onnx_node *node)
{
    pf_onnx_window w = pf_onnx_window_read(node, pf_onnx_in(node, 0), kernel_of(node, pf_onnx_in(node, 1)));
    pf_deform_conv_attrs attrs = { w.strides, w.dilations, w.pads, pf_onnx_int(node, "group", 1),
                                   pf_onnx_int(node, "offset_group", 1) };

    pf_onnx_window_need(node, pf_onnx_in(node, 0), &w, false);
    pf_onnx_emit_same(node, PF_OP_DEFORM_CONV, &attrs);
}
