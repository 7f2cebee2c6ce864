/* resize: each axis by a table of weights.  Coordinates and weights from
   https://onnx.ai/onnx/operators/onnx__Resize.html. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/resize_weights.h"
#include "engine/ops/rows.h"

static const char *const modes[] = { "nearest", "linear", "cubic", NULL };
static const char *const coordinates[] = { "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                                           "asymmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn", NULL };
static const char *const roundings[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL };
static const char *const aspects[] = { "stretch", "not_larger", "not_smaller", NULL };
static const pf_attr_field fields[] = {
    PF_ATTR_ENUM_FIELD(pf_resize_attrs, mode, modes), PF_ATTR_ENUM_FIELD(pf_resize_attrs, coordinates, coordinates),
    PF_ATTR_ENUM_FIELD(pf_resize_attrs, nearest, roundings), PF_ATTR_ENUM_FIELD(pf_resize_attrs, keep_aspect, aspects),
    PF_ATTR_FIELD(pf_resize_attrs, scales, FLOATS), PF_ATTR_FIELD(pf_resize_attrs, sizes, DIMS),
    PF_ATTR_FIELD(pf_resize_attrs, aspect_axes, INTS),
    PF_ATTR_FIELD(pf_resize_attrs, roi, FLOATS), PF_ATTR_FIELD(pf_resize_attrs, cubic_a, FLOAT),
    PF_ATTR_FIELD(pf_resize_attrs, exclude_outside, INT), PF_ATTR_FIELD(pf_resize_attrs, antialias, INT),
    PF_ATTR_FIELD(pf_resize_attrs, extrapolation_value, FLOAT), { NULL },
};

/* floor(dim * scale) for a dim that is a symbol: the scale must be a ratio of small numbers. */
static pf_dim scale_symbol(pf_dims *dims, pf_dim dim, double scale)
{
    enum { GREATEST_DIVISOR = 64 };

    for (int64_t q = 1; q <= GREATEST_DIVISOR; q++) {
        double p = rint(scale * (double)q);

        if (fabs(p - scale * (double)q) <= 1e-6 * p)
            return pf_dim_floor_div(dims, pf_dim_mul(dims, dim, (int64_t)p), q);
    }
    return PF_DIM_INVALID;
}

static pf_dim size_of(double size) { return size >= 0 && size < 0x1p40 ? (pf_dim)size : PF_DIM_INVALID; }

static pf_dim scaled(pf_dims *dims, pf_dim dim, double scale)
{
    if (pf_dim_is_symbolic(dim))
        return scale_symbol(dims, dim, scale);
    return size_of(floorf((float)dim * (float)scale));    /* in floats, as the scales are */
}

/* The one scale that keep_aspect allows. */
static double common_scale(const pf_resize_attrs *attrs, const int64_t *in)
{
    double best = 0;

    for (int32_t i = 0; i < attrs->aspect_axes.count; i++) {
        int64_t d = attrs->aspect_axes.at[i];
        double  scale = (double)attrs->sizes.at[d] / (double)in[d];
        bool    better = attrs->keep_aspect == PF_ASPECT_NOT_LARGER ? scale < best : scale > best;

        best = i == 0 || better ? scale : best;
    }
    return best;
}

static bool keeps(const pf_resize_attrs *attrs, int32_t d)
{
    for (int32_t i = 0; i < attrs->aspect_axes.count; i++)
        if (attrs->aspect_axes.at[i] == d)
            return attrs->keep_aspect != PF_ASPECT_STRETCH;
    return false;
}

static pf_status check(const pf_resize_attrs *attrs, const pf_shape *x, pf_err *err)
{
    pf_status st = attrs->sizes.count ? pf_infer_count("sizes", attrs->sizes.count, x->rank, err) : PF_OK;

    if (!st && (attrs->scales.count || !attrs->sizes.count))
        st = pf_infer_count("scales", attrs->scales.count, x->rank, err);
    if (!st && attrs->coordinates == PF_RESIZE_TF_CROP_AND_RESIZE)
        st = pf_infer_count("roi", attrs->roi.count, 2 * x->rank, err);
    for (int32_t d = 0; d < attrs->scales.count && !st; d++)
        if (!(attrs->scales.at[d] > 0 && attrs->scales.at[d] < 1e9))
            st = PF_FAIL(err, PF_INVALID, "a scale is %g", attrs->scales.at[d]);
    if (!st)
        st = pf_infer_axes(&attrs->aspect_axes, x->rank, err);
    for (int32_t i = 0; i < attrs->aspect_axes.count && !st; i++) {
        int64_t d = attrs->aspect_axes.at[i];

        if (!attrs->sizes.count || pf_dim_is_symbolic(x->dim[d]) || pf_dim_is_symbolic(attrs->sizes.at[d]))
            st = PF_FAIL(err, PF_UNSUPPORTED,
                         "the aspect ratio of sizes that are not numbers is not kept: give the input a fixed size");
    }
    return st;
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_resize_attrs *attrs = infer->node->attrs;
    const pf_value        *x = pf_infer_in(infer, 0);
    pf_status              st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);
    pf_shape               out = { 0 };
    double                 common = 0;

    if (!st)
        st = check(attrs, &x->shape, err);
    if (st)
        return st;
    out = x->shape;
    common = attrs->keep_aspect != PF_ASPECT_STRETCH ? common_scale(attrs, x->shape.dim) : 0;
    for (int32_t d = 0; d < out.rank; d++) {
        if (keeps(attrs, d))
            out.dim[d] = size_of(floor(common * (double)x->shape.dim[d] + 0.5));
        else
            out.dim[d] = attrs->sizes.count ? attrs->sizes.at[d]
                                            : scaled(infer->graph->dims, x->shape.dim[d], attrs->scales.at[d]);
        if (out.dim[d] == PF_DIM_INVALID)
            return PF_FAIL(err, PF_UNSUPPORTED, "dim %d cannot be scaled: give the input a fixed size", d);
    }
    pf_infer_set(infer, 0, x->dtype, &out);
    return pf_infer_check_out(infer, err);
}

static double scale_of(const pf_resize_attrs *attrs, const pf_reference_call *call, int32_t d)
{
    const int64_t *in = call->in[0].dim;

    if (keeps(attrs, d))
        return common_scale(attrs, in);
    if (attrs->scales.count)
        return attrs->scales.at[d];
    return in[d] ? (double)call->out[0].dim[d] / (double)in[d] : 1;
}

static bool is_plain(const pf_resize_attrs *attrs, const pf_reference_call *call, int32_t d)
{
    return call->in[0].dim[d] == call->out[0].dim[d] && scale_of(attrs, call, d) == 1 &&
           attrs->coordinates != PF_RESIZE_TF_CROP_AND_RESIZE;
}

/* Replaces *data, of shape `dim`, by itself resized along axis d. */
static pf_status resize_axis(const pf_reference_call *call, int32_t d, double **data, int64_t *dim, pf_err *err)
{
    const pf_resize_attrs *attrs = call->attrs;
    int64_t                outer = 1, inner = 1, from = dim[d], to = call->out[0].dim[d];
    bool                   crop = attrs->coordinates == PF_RESIZE_TF_CROP_AND_RESIZE;
    pf_resize_axis         axis = { from, to, scale_of(attrs, call, d), crop ? attrs->roi.at[d] : 0,
                                    crop ? attrs->roi.at[d + call->in[0].rank] : 1 };
    pf_resize_weights      weights = { 0 };
    double                *out = NULL;
    pf_status              st = PF_OK;

    for (int32_t i = 0; i < call->in[0].rank; i++) {
        outer *= i < d ? dim[i] : 1;
        inner *= i > d ? dim[i] : 1;
    }
    st = pf_resize_weights_init(&weights, attrs, &axis, err);
    out = st ? NULL : pf_rows_new(outer * to * inner);
    if (!st && !out)
        st = PF_FAIL_MEMORY(err, (size_t)(outer * to * inner) * sizeof *out);
#pragma omp parallel for schedule(static) if (!st && outer * to * inner > PF_ROWS_ALONE)
    for (int64_t o = 0; o < (st ? 0 : outer * to); o++)
        pf_resize_weights_apply(&weights, o % to, *data + o / to * from * inner, inner, attrs->extrapolation_value,
                                out + o * inner);
    pf_resize_weights_clear(&weights);
    if (st)
        return st;
    pf_free(*data);
    *data = out;
    dim[d] = to;
    return PF_OK;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_resize_attrs *attrs = call->attrs;
    int64_t                dim[PF_MAX_RANK] = { 0 };
    double                *data = pf_rows_doubles(&call->in[0]);
    pf_status              st = data ? PF_OK : PF_FAIL_MEMORY(err, call->in[0].bytes * 2);

    memcpy(dim, call->in[0].dim, sizeof dim);
    for (int32_t d = call->in[0].rank - 1; d >= 0 && !st; d--)
        if (!is_plain(attrs, call, d))
            st = resize_axis(call, d, &data, dim, err);
    if (!st)
        pf_rows_store(&call->out[0], data);
    pf_free(data);
    return st;
}

/* Each element is a copy of one. */
static bool only_moves(const void *attrs)
{
    const pf_resize_attrs *resize = attrs;

    return resize->mode == PF_RESIZE_NEAREST && resize->coordinates != PF_RESIZE_TF_CROP_AND_RESIZE;
}

const pf_op_def pf_op_resize = {
    .name = "resize", .klass = PF_CLASS_ANCHOR, .only_moves = only_moves,
    .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_resize_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
