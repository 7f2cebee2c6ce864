/* grid_sample and affine_grid.  Rules from https://onnx.ai/onnx/operators/onnx__GridSample.html. */
#include <math.h>
#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"
#include "engine/ops/sample.h"

static const char *const modes[] = { "linear", "nearest", "cubic", NULL };
static const char *const paddings[] = { "zeros", "border", "reflection", NULL };
static const pf_attr_field sample_fields[] = {
    PF_ATTR_ENUM_FIELD(pf_grid_sample_attrs, mode, modes), PF_ATTR_ENUM_FIELD(pf_grid_sample_attrs, padding, paddings),
    PF_ATTR_FIELD(pf_grid_sample_attrs, align_corners, INT), { NULL },
};
static const pf_attr_field affine_fields[] = {
    PF_ATTR_FIELD(pf_affine_grid_attrs, size, DIMS), PF_ATTR_FIELD(pf_affine_grid_attrs, align_corners, INT), { NULL },
};

static pf_status infer_sample(pf_infer *infer, pf_err *err)
{
    const pf_value *x = pf_infer_in(infer, 0), *grid = pf_infer_in(infer, 1);
    pf_status       st = pf_infer_rank(infer, 0, 3, PF_MAX_RANK, err);
    pf_shape        out = { 0 };

    if (!st)
        st = pf_infer_rank(infer, 1, x->shape.rank, x->shape.rank, err);
    if (!st)
        st = pf_infer_dims_agree(infer, x->shape.dim[0], grid->shape.dim[0], "batch of input and grid", err);
    if (!st)
        st = pf_infer_dims_agree(infer, grid->shape.dim[x->shape.rank - 1], x->shape.rank - 2,
                                 "coordinates of the grid", err);
    if (st)
        return st;
    out = x->shape;
    for (int32_t d = 2; d < out.rank; d++)
        out.dim[d] = grid->shape.dim[d - 1];
    pf_infer_set(infer, 0, x->dtype, &out);
    return PF_OK;
}

/* Folds x back into [low, high] at its ends. */
static double reflect(double x, double low, double high)
{
    double range = high - low, beyond = x < low ? low - x : x - high, times = 0, rest = 0;

    if ((x >= low && x <= high) || range <= 0)
        return range <= 0 ? low : x;
    times = floor(beyond / range);
    rest = beyond - times * range;
    if (fmod(times, 2) == 0)
        return x < low ? low + rest : high - rest;
    return x < low ? high - rest : low + rest;
}

static int64_t pixel(double i, int64_t size, const pf_grid_sample_attrs *a)
{
    double low = a->align_corners ? 0 : -0.5, high = a->align_corners ? (double)size - 1 : (double)size - 0.5;

    if (i >= 0 && i < (double)size)
        return (int64_t)i;
    if (a->padding == PF_GRID_ZEROS || isnan(i))
        return -1;
    if (a->padding == PF_GRID_BORDER)
        return i < 0 ? 0 : size - 1;
    i = reflect(i, low, high);
    return i < 0 ? 0 : i >= (double)size ? size - 1 : (int64_t)i;
}

/* Keys's cubic convolution with a = -0.75. */
static double cubic(double x)
{
    const double a = -0.75;

    x = fabs(x);
    return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

static void set_taps(pf_sample *s, int32_t d, double x, const pf_grid_sample_attrs *a)
{
    double  low = a->mode == PF_GRID_NEAREST ? x : floor(x);
    int32_t before = a->mode == PF_GRID_CUBIC ? 1 : 0;

    s->taps = a->mode == PF_GRID_NEAREST ? 1 : a->mode == PF_GRID_LINEAR ? 2 : 4;
    for (int32_t t = 0; t < s->taps; t++) {
        double at = low + t - before;

        s->at[d][t] = pixel(at, s->size[d], a);
        s->weight[d][t] = a->mode == PF_GRID_NEAREST ? 1 : a->mode == PF_GRID_LINEAR ? 1 - fabs(x - at) : cubic(x - at);
    }
}

/* The pixel coordinate of a grid coordinate in [-1, 1], after padding.  A cubic stays where it is beyond the border and
   only its taps are padded: so do PyTorch and ONNX Runtime, where the standard's reference moves it there first. */
static double coordinate(double n, int64_t size, const pf_grid_sample_attrs *a)
{
    double x = a->align_corners ? (n + 1) / 2 * ((double)size - 1) : ((n + 1) * (double)size - 1) / 2;
    double low = a->align_corners ? 0 : -0.5, high = a->align_corners ? (double)size - 1 : (double)size - 0.5;

    x = a->mode == PF_GRID_NEAREST ? rint(x) : x;
    if (x >= low && x <= high)
        return x;
    if (a->padding == PF_GRID_BORDER && a->mode != PF_GRID_CUBIC)
        return x < 0 ? 0 : (double)size - 1;
    return a->padding == PF_GRID_REFLECTION ? reflect(x, low, high) : x;
}

static pf_status reference_sample(pf_reference_call *call, pf_err *err)
{
    const pf_grid_sample_attrs *a = call->attrs;
    const pf_tensor            *x = &call->in[0], *grid = &call->in[1];
    pf_tensor                  *y = &call->out[0];
    pf_sample                   s = { .dims = x->rank - 2 };
    int64_t                     plane = 1, points = 1, channels = x->dim[1];
    double                     *image = NULL;
    pf_status                   st = PF_OK;

    for (int32_t d = 0; d < s.dims; d++) {
        s.size[d] = x->dim[d + 2];
        plane *= x->dim[d + 2];
        points *= y->dim[d + 2];
    }
    st = pf_rows_need(call, 1, x->dim[0] * points * s.dims, "the grid", err);
    image = st ? NULL : pf_rows_doubles(x);
    if (!st && !image)
        st = PF_FAIL_MEMORY(err, x->bytes * 2);
    for (int64_t p = 0; p < x->dim[0] * points && !st; p++) {
        for (int32_t d = 0; d < s.dims; d++) {
            double n = pf_dtype_get(grid->dtype, grid->data, (uint64_t)(p * s.dims + s.dims - 1 - d));

            set_taps(&s, d, coordinate(n, s.size[d], a), a);
        }
        for (int64_t c = 0; c < channels; c++) {
            int64_t at = (p / points * channels + c) * points + p % points;

            pf_dtype_set(y->dtype, y->data, (uint64_t)at,
                         pf_sample_value(&s, image + (p / points * channels + c) * plane));
        }
    }
    pf_free(image);
    return st;
}

static pf_status infer_affine(pf_infer *infer, pf_err *err)
{
    const pf_affine_grid_attrs *a = infer->node->attrs;
    pf_status                   st = pf_infer_rank(infer, 0, 3, 3, err);
    pf_shape                    out = { 0 };

    if (!st && a->size.count != 4 && a->size.count != 5)
        st = PF_FAIL(err, PF_INVALID, "the size has %d entries where 4 or 5 are needed", a->size.count);
    if (!st)
        st = pf_infer_dims_agree(infer, pf_infer_in(infer, 0)->shape.dim[1], a->size.count - 2, "rows of theta", err);
    if (st)
        return st;
    out.dim[out.rank++] = pf_infer_in(infer, 0)->shape.dim[0];
    for (int32_t d = 2; d < a->size.count; d++)
        out.dim[out.rank++] = a->size.at[d];
    out.dim[out.rank++] = a->size.count - 2;
    pf_infer_set(infer, 0, pf_infer_in(infer, 0)->dtype, &out);
    return pf_infer_check_out(infer, err);
}

static double base_coordinate(int64_t i, int64_t size, bool align_corners)
{
    if (align_corners)
        return size > 1 ? -1 + 2 * (double)i / ((double)size - 1) : -1;
    return (2 * (double)i + 1) / (double)size - 1;
}

static pf_status reference_affine(pf_reference_call *call, pf_err *err)
{
    const pf_affine_grid_attrs *a = call->attrs;
    const pf_tensor            *theta = &call->in[0];
    pf_tensor                  *y = &call->out[0];
    int32_t                     dims = a->size.count - 2;
    int64_t                     points = 1;
    pf_status                   st = pf_rows_need(call, 0, theta->dim[0] * dims * (dims + 1), "theta", err);

    if (st)
        return st;
    for (int32_t d = 0; d < dims; d++)
        points *= a->size.at[d + 2];
    for (int64_t p = 0; p < theta->dim[0] * points; p++) {
        double  base[4] = { 0 };
        int64_t rest = p % points;

        base[dims] = 1;
        for (int32_t d = dims - 1; d >= 0; d--) {       /* the last dim is x, which comes first */
            base[dims - 1 - d] = base_coordinate(rest % a->size.at[d + 2], a->size.at[d + 2], a->align_corners != 0);
            rest /= a->size.at[d + 2];
        }
        for (int32_t r = 0; r < dims; r++) {
            double sum = 0;

            for (int32_t c = 0; c <= dims; c++)
                sum += base[c] *
                       pf_dtype_get(theta->dtype, theta->data, (uint64_t)((p / points * dims + r) * (dims + 1) + c));
            pf_dtype_set(y->dtype, y->data, (uint64_t)(p * dims + r), sum);
        }
    }
    return PF_OK;
}

const pf_op_def pf_op_grid_sample = {
    .name = "grid_sample", .klass = PF_CLASS_ANCHOR, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_grid_sample_attrs), .attr_fields = sample_fields, .infer = infer_sample,
    .reference = reference_sample,
};
const pf_op_def pf_op_affine_grid = {
    .name = "affine_grid", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_affine_grid_attrs), .attr_fields = affine_fields, .infer = infer_affine,
    .reference = reference_affine,
};
