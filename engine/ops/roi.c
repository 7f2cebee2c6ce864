/* roi_align and max_roi_pool: regions of an image brought to one size. */
#include <math.h>
#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

static const char *const modes[] = { "avg", "max", NULL };
static const char *const coordinates[] = { "half_pixel", "output_half_pixel", NULL };
static const pf_attr_field align_fields[] = {
    PF_ATTR_ENUM_FIELD(pf_roi_align_attrs, mode, modes),
    PF_ATTR_ENUM_FIELD(pf_roi_align_attrs, coordinates, coordinates),
    PF_ATTR_FIELD(pf_roi_align_attrs, output_height, INT), PF_ATTR_FIELD(pf_roi_align_attrs, output_width, INT),
    PF_ATTR_FIELD(pf_roi_align_attrs, sampling_ratio, INT), PF_ATTR_FIELD(pf_roi_align_attrs, spatial_scale, FLOAT),
    { NULL },
};
static const pf_attr_field pool_fields[] = {
    PF_ATTR_FIELD(pf_max_roi_pool_attrs, pooled_shape, INTS),
    PF_ATTR_FIELD(pf_max_roi_pool_attrs, spatial_scale, FLOAT), { NULL },
};

static pf_status infer_rois(pf_infer *infer, int64_t columns, int64_t height, int64_t width, pf_err *err)
{
    const pf_value *x = pf_infer_in(infer, 0), *rois = pf_infer_in(infer, 1);
    pf_status       st = pf_infer_rank(infer, 0, 4, 4, err);
    pf_shape        out = { .rank = 4 };

    if (!st)
        st = pf_infer_rank(infer, 1, 2, 2, err);
    if (!st)
        st = pf_infer_float(infer, 0, err);
    if (!st)
        st = pf_infer_dims_agree(infer, rois->shape.dim[1], columns, "columns of the regions", err);
    if (!st && (height < 1 || width < 1 || height > 1 << 20 || width > 1 << 20))
        st = PF_FAIL(err, PF_INVALID, "a result of %lld x %lld", (long long)height, (long long)width);
    if (st)
        return st;
    out.dim[0] = rois->shape.dim[0];
    out.dim[1] = x->shape.dim[1];
    out.dim[2] = height;
    out.dim[3] = width;
    pf_infer_set(infer, 0, x->dtype, &out);
    return PF_OK;
}

static pf_status infer_align(pf_infer *infer, pf_err *err)
{
    const pf_roi_align_attrs *a = infer->node->attrs;
    pf_status                 st = infer_rois(infer, 4, a->output_height, a->output_width, err);

    if (!st)
        st = pf_infer_vector(infer, 2, pf_infer_in(infer, 1)->shape.dim[0], "batch_indices", err);
    return st ? st : pf_infer_integer(infer, 2, err);
}

static pf_status infer_pool(pf_infer *infer, pf_err *err)
{
    const pf_max_roi_pool_attrs *a = infer->node->attrs;
    pf_status                    st = pf_infer_positive("pooled_shape", &a->pooled_shape, 2, err);

    return st ? st : infer_rois(infer, 5, a->pooled_shape.at[0], a->pooled_shape.at[1], err);
}

/* One region: where it starts and how large its bins are; samples per bin. */
typedef struct region { double y, x, bin_height, bin_width; int64_t rows, columns; } region;

/* None where the region has no size. */
static int64_t samples_of(const pf_roi_align_attrs *a, double bin)
{
    return a->sampling_ratio > 0 ? a->sampling_ratio : (int64_t)fmax(0, fmin(ceil(bin), 1 << 16));
}

static region region_of(const pf_roi_align_attrs *a, const pf_tensor *rois, int64_t n)
{
    double  corner[4] = { 0 }, offset = a->coordinates == PF_ROI_HALF_PIXEL ? 0.5 : 0, height = 0, width = 0;
    region  r = { 0 };

    for (int i = 0; i < 4; i++)
        corner[i] = pf_dtype_get(rois->dtype, rois->data, (uint64_t)(n * 4 + i)) * a->spatial_scale - offset;
    height = corner[3] - corner[1];
    width = corner[2] - corner[0];
    if (a->coordinates != PF_ROI_HALF_PIXEL) {      /* older models: at least one pixel */
        height = height < 1 ? 1 : height;
        width = width < 1 ? 1 : width;
    }
    r.y = corner[1];
    r.x = corner[0];
    r.bin_height = height / (double)a->output_height;
    r.bin_width = width / (double)a->output_width;
    r.rows = samples_of(a, r.bin_height);
    r.columns = samples_of(a, r.bin_width);
    return r;
}

/* A coordinate along one dim: between which pixels, and how near the second is. */
typedef struct tap { bool inside; int64_t low, high; double part; } tap;

static tap tap_at(double at, int64_t size)
{
    tap t = { .inside = size > 0 && at >= -1 && at <= (double)size };

    if (!t.inside)
        return t;
    at = at < 0 ? 0 : at;
    t.low = (int64_t)at;
    t.high = t.low + 1;
    if (t.low >= size - 1) {
        t.low = t.high = size - 1;
        at = (double)t.low;
    }
    t.part = at - (double)t.low;
    return t;
}

/* Of all samples of all bins along one dim. */
static pf_status taps_of(double start, double bin, int64_t bins, int64_t samples, int64_t size, tap **out, pf_err *err)
{
    int64_t count = 0;

    *out = NULL;
    if (!__builtin_mul_overflow(bins, samples, &count))
        *out = pf_calloc((size_t)count + 1, sizeof **out);
    if (!*out)
        return PF_FAIL(err, PF_NO_SPACE, "there is no memory for %lld samples in each of %lld bins", (long long)samples,
                       (long long)bins);
    for (int64_t i = 0; i < count; i++) {
        double within = ((double)(i % samples) + 0.5) / (double)samples;

        (*out)[i] = tap_at(start + ((double)(i / samples) + within) * bin, size);
    }
    return PF_OK;
}

/* The four weighted neighbours of a sample: their sum, or the greatest (which is what the standard calls max). */
static double sample(const double *image, int64_t width, const tap *y, const tap *x, bool greatest)
{
    double part[4] = { 0 };

    if (!y->inside || !x->inside)
        return 0;
    part[0] = (1 - y->part) * (1 - x->part) * image[y->low * width + x->low];
    part[1] = (1 - y->part) * x->part * image[y->low * width + x->high];
    part[2] = y->part * (1 - x->part) * image[y->high * width + x->low];
    part[3] = y->part * x->part * image[y->high * width + x->high];
    return greatest ? fmax(fmax(part[0], part[1]), fmax(part[2], part[3])) : part[0] + part[1] + part[2] + part[3];
}

/* ys, xs: the bin's own. */
static double bin_value(const region *r, const double *image, int64_t width, const tap *ys, const tap *xs,
                        bool greatest)
{
    double value = 0;

    for (int64_t y = 0; y < r->rows; y++)
        for (int64_t x = 0; x < r->columns; x++) {
            double v = sample(image, width, &ys[y], &xs[x], greatest);

            value = !greatest ? value + v : !(y || x) || v > value ? v : value;
        }
    return greatest || r->rows < 1 || r->columns < 1 ? value : value / (double)(r->rows * r->columns);
}

/* All channels of region n; image: the first of them. */
static pf_status align(pf_reference_call *call, const double *image, int64_t n, pf_err *err)
{
    const pf_roi_align_attrs *a = call->attrs;
    const int64_t            *dim = call->in[0].dim;
    pf_tensor                *out = &call->out[0];
    region                    r = region_of(a, &call->in[1], n);
    int64_t                   bins = a->output_height * a->output_width, values = dim[1] * bins;
    tap                      *ys = NULL, *xs = NULL;
    pf_status                 st = taps_of(r.y, r.bin_height, a->output_height, r.rows, dim[2], &ys, err);

    if (!st)
        st = taps_of(r.x, r.bin_width, a->output_width, r.columns, dim[3], &xs, err);
#pragma omp parallel for schedule(static) if (4 * values >= PF_ROWS_ALONE)      /* each is of four elements or more */
    for (int64_t i = 0; i < (st ? 0 : values); i++)
        pf_dtype_set(out->dtype, out->data, (uint64_t)(n * values + i),
                     bin_value(&r, image + i / bins * dim[2] * dim[3], dim[3],
                               ys + i % bins / a->output_width * r.rows, xs + i % a->output_width * r.columns,
                               a->mode == PF_ROI_MAX));
    pf_free(ys);
    pf_free(xs);
    return st;
}

static pf_status reference_align(pf_reference_call *call, pf_err *err)
{
    const pf_tensor *x = &call->in[0], *batch = &call->in[2];
    int64_t          regions = call->out[0].dim[0];
    double          *image = NULL;
    pf_status        st = pf_rows_need(call, 1, regions * 4, "rois", err);

    if (!st)
        st = pf_rows_need(call, 2, regions, "batch_indices", err);
    image = st || !regions ? NULL : pf_rows_doubles(x);
    if (!st && regions && !image)
        st = PF_FAIL_MEMORY(err, x->bytes * 2);
    for (int64_t n = 0; n < regions && !st; n++) {
        int64_t b = pf_dtype_get_i64(batch->dtype, batch->data, (uint64_t)n);

        if (b < 0 || b >= x->dim[0])
            st = PF_FAIL(err, PF_INVALID, "a region names image %lld of %lld", (long long)b, (long long)x->dim[0]);
        else
            st = align(call, image + b * x->dim[1] * x->dim[2] * x->dim[3], n, err);
    }
    pf_free(image);
    return st;
}

/* First and last pixel of bin i of `bins` along a dim, for a region that starts at `start` and has `size` pixels. */
static void bin_range(int64_t i, int64_t bins, double start, double size, int64_t limit, int64_t *low, int64_t *high)
{
    *low = (int64_t)(floor((double)i * size / (double)bins) + start);
    *high = (int64_t)(ceil((double)(i + 1) * size / (double)bins) + start);
    *low = *low < 0 ? 0 : *low > limit ? limit : *low;
    *high = *high < 0 ? 0 : *high > limit ? limit : *high;
}

/* Fast R-CNN's pooling: corners are rounded to pixels, both ends belong to the region, an empty bin is 0. */
static double pool_bin(const double *image, const int64_t *dim, const double *corner, const int64_t *pooled,
                       int64_t bin)
{
    int64_t y_low = 0, y_high = 0, x_low = 0, x_high = 0;
    double  best = -INFINITY;

    bin_range(bin / pooled[1], pooled[0], corner[1], fmax(corner[3] - corner[1] + 1, 1), dim[2], &y_low, &y_high);
    bin_range(bin % pooled[1], pooled[1], corner[0], fmax(corner[2] - corner[0] + 1, 1), dim[3], &x_low, &x_high);
    for (int64_t y = y_low; y < y_high; y++)
        for (int64_t x = x_low; x < x_high; x++)
            best = image[y * dim[3] + x] > best ? image[y * dim[3] + x] : best;
    return y_low < y_high && x_low < x_high ? best : 0;
}

static pf_status reference_pool(pf_reference_call *call, pf_err *err)
{
    const pf_max_roi_pool_attrs *a = call->attrs;
    const pf_tensor             *x = &call->in[0], *rois = &call->in[1];
    pf_tensor                   *y = &call->out[0];
    int64_t                      bins = a->pooled_shape.at[0] * a->pooled_shape.at[1], plane = x->dim[2] * x->dim[3];
    double                      *image = NULL;
    pf_status                    st = pf_rows_need(call, 1, y->dim[0] * 5, "rois", err);

    image = st ? NULL : pf_rows_doubles(x);
    if (!st && !image)
        st = PF_FAIL_MEMORY(err, x->bytes * 2);

    for (int64_t n = 0; n < y->dim[0] && !st; n++) {
        double corner[4] = { 0 }, b = pf_dtype_get(rois->dtype, rois->data, (uint64_t)(n * 5));

        if (!(b >= 0 && b < (double)x->dim[0])) {
            st = PF_FAIL(err, PF_INVALID, "a region names image %g of %lld", b, (long long)x->dim[0]);
            break;
        }
        for (int i = 0; i < 4; i++)
            corner[i] = round(pf_dtype_get(rois->dtype, rois->data, (uint64_t)(n * 5 + 1 + i)) * a->spatial_scale);
        for (int64_t i = 0; i < y->dim[1] * bins; i++)
            pf_dtype_set(y->dtype, y->data, (uint64_t)(n * y->dim[1] * bins + i),
                         pool_bin(image + ((int64_t)b * x->dim[1] + i / bins) * plane, x->dim, corner,
                                  a->pooled_shape.at, i % bins));
    }
    pf_free(image);
    return st;
}

const pf_op_def pf_op_roi_align = {
    .name = "roi_align", .klass = PF_CLASS_ANCHOR, .in_min = 3, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_roi_align_attrs), .attr_fields = align_fields, .infer = infer_align,
    .reference = reference_align,
};
const pf_op_def pf_op_max_roi_pool = {
    .name = "max_roi_pool", .klass = PF_CLASS_ANCHOR, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_max_roi_pool_attrs), .attr_fields = pool_fields, .infer = infer_pool,
    .reference = reference_pool,
};
