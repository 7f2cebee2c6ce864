#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"
#include "engine/ops/content.h"

static const char *const coordinate_names[] = { "half_pixel",           "half_pixel_symmetric",
                                                "pytorch_half_pixel",   "align_corners",
                                                "asymmetric",           "tf_crop_and_resize",
                                                "tf_half_pixel_for_nn", NULL };
static const char *const nearest_names[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL };
static const char *const aspect_names[] = { "stretch", "not_larger", "not_smaller", NULL };

/* "bilinear" and "bicubic" are old spellings. */
static int32_t read_mode(pf_onnx_node *node)
{
    static const char *const names[] = { "nearest", "linear", "cubic", "bilinear", "bicubic", NULL };
    int32_t                  mode = pf_onnx_choice(node, "mode", "nearest", names);

    return mode >= 3 ? mode - 2 : mode;
}

/* Floats of a constant input; count 0 when it is left out or empty. */
static pf_floats read_floats(pf_onnx_node *node, uint32_t slot, const char *what)
{
    pf_floats out = { 0 };
    pf_tensor tensor = { 0 };

    if (pf_onnx_in(node, slot) == PF_NONE)
        return out;
    if (!pf_onnx_constant(node, pf_onnx_in(node, slot), &tensor)) {
        pf_onnx_fail(node, PF_UNSUPPORTED, "its %s are not known when the model is built", what);
        return out;
    }
    if (pf_tensor_elems(&tensor) > PF_ATTR_LIST || !pf_dtype_is_float(tensor.dtype)) {
        pf_onnx_fail(node, PF_INVALID, "its %s are no list of up to %d floats", what, PF_ATTR_LIST);
        return out;
    }
    for (int64_t i = 0; i < pf_tensor_elems(&tensor); i++)
        out.at[out.count++] = pf_dtype_get(tensor.dtype, tensor.data, (uint64_t)i);
    return out;
}

/* The axes that scales, sizes and roi speak of: all, or those of the attribute. */
static pf_ints read_axes(pf_onnx_node *node, int32_t rank)
{
    pf_ints axes = pf_onnx_ints(node, "axes");

    for (int32_t i = 0; i < axes.count; i++)
        axes.at[i] = pf_onnx_axis(node, axes.at[i], rank);
    for (int32_t i = 0; !axes.count && i < rank; i++)
        axes.at[i] = i;
    axes.count = axes.count ? axes.count : rank;
    return axes;
}

static void check_count(pf_onnx_node *node, const char *what, int32_t count, int32_t want)
{
    if (count != want)
        pf_onnx_fail(node, PF_INVALID, "%d %s for %d axes", count, what, want);
}

static void spread_scales(pf_onnx_node *node, const pf_floats *scales, const pf_ints *axes, int32_t rank,
                          pf_resize_attrs *attrs)
{
    check_count(node, "scales", scales->count, axes->count);
    attrs->scales.count = rank;
    for (int32_t i = 0; i < rank; i++)
        attrs->scales.at[i] = 1.0;
    for (int32_t i = 0; i < axes->count && !node->status; i++) {
        attrs->scales.at[axes->at[i]] = scales->at[i];
        if (!(scales->at[i] > 0))
            pf_onnx_fail(node, PF_INVALID, "a scale of %g", scales->at[i]);
    }
}

static void spread_sizes(pf_onnx_node *node, const pf_dim_list *sizes, const pf_ints *axes, int32_t rank,
                         pf_resize_attrs *attrs)
{
    check_count(node, "sizes", sizes->count, axes->count);
    attrs->sizes.count = rank;
    for (int32_t i = 0; i < rank; i++)
        attrs->sizes.at[i] = pf_onnx_dim(node, pf_onnx_in(node, 0), i);
    for (int32_t i = 0; i < axes->count && !node->status; i++)
        attrs->sizes.at[axes->at[i]] = sizes->at[i];
}

static void spread_roi(pf_onnx_node *node, const pf_floats *roi, const pf_ints *axes, int32_t rank,
                       pf_resize_attrs *attrs)
{
    check_count(node, "bounds of the region", roi->count, 2 * axes->count);
    attrs->roi.count = 2 * rank;
    for (int32_t i = 0; i < rank; i++) {
        attrs->roi.at[i] = 0;
        attrs->roi.at[i + rank] = 1;
    }
    for (int32_t i = 0; i < axes->count && !node->status; i++) {
        attrs->roi.at[axes->at[i]] = roi->at[i];
        attrs->roi.at[axes->at[i] + rank] = roi->at[i + axes->count];
    }
}

/* Scales that are no constants, as sizes. */
static bool read_ratios(pf_onnx_node *node, uint32_t slot, const pf_ints *axes, pf_dim_list *sizes)
{
    pf_value_id scales = pf_onnx_in(node, slot);
    pf_tensor   tensor = { 0 };
    pf_dim_list dims = { axes->count };

    if (node->status || scales == PF_NONE || pf_onnx_constant(node, scales, &tensor))
        return false;
    for (int32_t i = 0; i < axes->count; i++)
        dims.at[i] = pf_onnx_dim(node, pf_onnx_in(node, 0), (int32_t)axes->at[i]);
    return pf_onnx_scaled_dims(node, scales, &dims, sizes);
}

/* x, roi, scales, sizes: exactly one of the last two. */
static void read_target(pf_onnx_node *node, pf_resize_attrs *attrs)
{
    int32_t     rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    pf_ints     axes = read_axes(node, rank);
    pf_floats   scales = { 0 }, roi = { 0 };
    pf_dim_list sizes = { 0 };

    if (!read_ratios(node, 2, &axes, &sizes)) {
        scales = read_floats(node, 2, "scales");
        pf_onnx_late_dims(node, pf_onnx_in(node, 3), &sizes);
    }
    if (!node->status && !scales.count == !sizes.count)
        pf_onnx_fail(node, PF_INVALID, "it needs either scales or sizes");
    if (scales.count)
        spread_scales(node, &scales, &axes, rank, attrs);
    else
        spread_sizes(node, &sizes, &axes, rank, attrs);
    if (attrs->keep_aspect)
        attrs->aspect_axes = axes;
    if (attrs->coordinates != PF_RESIZE_TF_CROP_AND_RESIZE)
        return;
    roi = read_floats(node, 1, "region");
    spread_roi(node, &roi, &axes, rank, attrs);
}

void pf_onnx_resize(pf_onnx_node *node)
{
    pf_resize_attrs attrs = {
        .mode = read_mode(node),
        .coordinates = pf_onnx_choice(node, "coordinate_transformation_mode", "half_pixel", coordinate_names),
        .nearest = pf_onnx_choice(node, "nearest_mode", "round_prefer_floor", nearest_names),
        .keep_aspect = pf_onnx_choice(node, "keep_aspect_ratio_policy", "stretch", aspect_names),
        .cubic_a = pf_onnx_float(node, "cubic_coeff_a", -0.75),
        .exclude_outside = pf_onnx_int(node, "exclude_outside", 0),
        .antialias = pf_onnx_int(node, "antialias", 0),
        .extrapolation_value = pf_onnx_float(node, "extrapolation_value", 0.0),
    };

    read_target(node, &attrs);
    node->out[0] = pf_onnx_emit1(node, PF_OP_RESIZE, &attrs, pf_onnx_in(node, 0));
}

static bool shrinks(const pf_floats *scales)
{
    for (int32_t i = 0; i < scales->count; i++)
        if (scales->at[i] < 1)
            return true;
    return false;
}

/* Whether no dim shrinks, or none grows, in every case; fails when that is not known. */
static int32_t rounding_of(pf_onnx_node *node, const pf_dim_list *sizes)
{
    bool grows = true, falls = true;

    for (int32_t i = 0; i < sizes->count && !node->status; i++) {
        pf_dim dim = pf_onnx_dim(node, pf_onnx_in(node, 0), i);

        grows = grows && pf_content_less_equal(node->graph->dims, dim, sizes->at[i]);
        falls = falls && pf_content_less_equal(node->graph->dims, sizes->at[i], dim);
    }
    if (!grows && !falls)
        pf_onnx_fail(node, PF_UNSUPPORTED,
                     "whether it grows or shrinks is not known when the model is built; fixed shapes for the inputs "
                     "settle it");
    return grows ? PF_NEAREST_FLOOR : PF_NEAREST_CEIL;
}

static void resize_to(pf_onnx_node *node, const pf_dim_list *sizes)
{
    pf_resize_attrs attrs = { .mode = read_mode(node), .coordinates = PF_RESIZE_ASYMMETRIC, .nearest = PF_NEAREST_FLOOR,
                              .cubic_a = -0.75, .sizes = *sizes };

    if (attrs.mode == PF_RESIZE_NEAREST)
        attrs.nearest = rounding_of(node, sizes);
    node->out[0] = pf_onnx_emit1(node, PF_OP_RESIZE, &attrs, pf_onnx_in(node, 0));
}

static void resize_by(pf_onnx_node *node, pf_floats scales)
{
    int32_t         rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    pf_ints         axes = { rank };
    pf_resize_attrs attrs = {
        .mode = read_mode(node), .coordinates = PF_RESIZE_ASYMMETRIC, .nearest = PF_NEAREST_FLOOR, .cubic_a = -0.75
    };

    for (int32_t i = 0; i < rank; i++)
        axes.at[i] = i;
    spread_scales(node, &scales, &axes, rank, &attrs);
    if (attrs.mode == PF_RESIZE_NEAREST && shrinks(&scales))
        attrs.nearest = PF_NEAREST_CEIL;
    node->out[0] = pf_onnx_emit1(node, PF_OP_RESIZE, &attrs, pf_onnx_in(node, 0));
}

/* Opset 10 said little of coordinates: x * scale, rounded down when growing, up when shrinking, as onnxruntime does. */
void pf_onnx_resize_10(pf_onnx_node *node)
{
    pf_ints     axes = { pf_onnx_rank(node, pf_onnx_in(node, 0)) };
    pf_dim_list sizes = { 0 };

    for (int32_t i = 0; i < axes.count; i++)
        axes.at[i] = i;
    if (read_ratios(node, 1, &axes, &sizes))
        resize_to(node, &sizes);
    else
        resize_by(node, read_floats(node, 1, "scales"));
}

/* Upsample: scales as two attributes of the last two dims, as one list, then as an input. */
void pf_onnx_upsample_1(pf_onnx_node *node)
{
    pf_floats scales = { 4, { 1, 1, pf_onnx_float(node, "height_scale", 1), pf_onnx_float(node, "width_scale", 1) } };

    resize_by(node, scales);
}

void pf_onnx_upsample_7(pf_onnx_node *node)
{
    resize_by(node, pf_onnx_floats(node, "scales"));
}

/* Before opset 20 the modes had other names. */
void pf_onnx_grid_sample(pf_onnx_node *node)
{
    static const char *const modes[] = { "linear", "nearest", "cubic", NULL };
    static const char *const old_modes[] = { "bilinear", "nearest", "bicubic", NULL };
    static const char *const paddings[] = { "zeros", "border", "reflection", NULL };
    bool                     old = node->opset < 20;
    pf_grid_sample_attrs     attrs = {
        .mode = pf_onnx_choice(node, "mode", old ? "bilinear" : "linear", old ? old_modes : modes),
        .padding = pf_onnx_choice(node, "padding_mode", "zeros", paddings),
        .align_corners = pf_onnx_int(node, "align_corners", 0),
    };

    pf_onnx_emit_same(node, PF_OP_GRID_SAMPLE, &attrs);
}

void pf_onnx_affine_grid(pf_onnx_node *node)
{
    pf_affine_grid_attrs attrs = { .align_corners = pf_onnx_int(node, "align_corners", 0) };

    pf_onnx_late_dims(node, pf_onnx_in(node, 1), &attrs.size);
    node->out[0] = pf_onnx_emit1(node, PF_OP_AFFINE_GRID, &attrs, pf_onnx_in(node, 0));
}
