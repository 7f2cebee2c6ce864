#include "engine/ops/resize_weights.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { TAPS_LIMIT = 1 << 20 };

/* The input coordinate of output position x, in floats as those who export networks compute it: a scale such as 13 / 6
   is rounded, and a quotient by it rounds to the whole number that was meant, of which a double would fall short. */
static float coordinate(int32_t mode, const pf_resize_axis *axis, float x)
{
    float in = (float)axis->from, scale = (float)axis->scale, out = scale * in, offset = 0;
    float begin = (float)axis->roi_begin, length = (float)(axis->roi_end - axis->roi_begin);

    switch (mode) {
    case PF_RESIZE_ALIGN_CORNERS:
        return out == 1 ? 0 : x * (in - 1) / (out - 1);
    case PF_RESIZE_ASYMMETRIC:
        return x / scale;
    case PF_RESIZE_TF_CROP_AND_RESIZE:
        if (out == 1)
            return length * (in - 1) / 2 + begin * (in - 1);
        return x * length * (in - 1) / (out - 1) + begin * (in - 1);
    case PF_RESIZE_PYTORCH_HALF_PIXEL:
        return axis->to == 1 ? 0 : (x + 0.5F) / scale - 0.5F;
    case PF_RESIZE_HALF_PIXEL_SYMMETRIC:
        offset = in / 2 * (1 - (float)axis->to / out);
        return offset + (x + 0.5F) / scale - 0.5F;
    case PF_RESIZE_TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5F) / scale;
    default:
        return (x + 0.5F) / scale - 0.5F;
    }
}

static double cubic(double x, double a)
{
    x = fabs(x);
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    return 0;
}

static double nearest_weight(int32_t rounding, double ratio, bool right)
{
    bool take_right = ratio == 1 || (rounding == PF_NEAREST_CEIL) ||
                      (rounding == PF_NEAREST_ROUND_PREFER_FLOOR && ratio > 0.5) ||
                      (rounding == PF_NEAREST_ROUND_PREFER_CEIL && ratio >= 0.5);

    return take_right == right;
}

/* Weight of the input `distance` positions away from base, where the coordinate is base + ratio, 0 < ratio <= 1. */
static double weight_of(const pf_resize_attrs *attrs, double stretch, double ratio, int64_t distance)
{
    double x = ((double)distance - ratio) * stretch;

    if (attrs->mode == PF_RESIZE_NEAREST)
        return nearest_weight(attrs->nearest, ratio, distance == 1);
    if (attrs->mode == PF_RESIZE_LINEAR)
        return fabs(x) < 1 ? 1 - fabs(x) : 0;
    return cubic(x, attrs->cubic_a);
}

/* First tap relative to base. With antialias the filter widens when the image shrinks. */
static int64_t first_tap(const pf_resize_attrs *attrs, double stretch)
{
    int64_t reach = attrs->mode == PF_RESIZE_CUBIC ? 2 : 1;

    if (attrs->mode == PF_RESIZE_NEAREST)
        return 0;
    return (int64_t)floor(-(double)reach / stretch) + 1;
}

/* Coordinates this far outside all read the edge. */
static double bounded(double x) { return isnan(x) ? 0 : fmin(fmax(x, -0x1p40), 0x1p40); }

static void fill_position(pf_resize_weights *w, const pf_resize_attrs *attrs, const pf_resize_axis *axis,
                          double stretch, int64_t position)
{
    double  x = bounded(coordinate(attrs->coordinates, axis, (float)position)), base = ceil(x) - 1, sum = 0;
    int64_t first = first_tap(attrs, stretch), *at = w->at + position * w->taps;
    double *weight = w->weight + position * w->taps;
    bool    rescale = attrs->exclude_outside || (attrs->antialias && attrs->mode != PF_RESIZE_NEAREST);

    for (int64_t k = 0; k < w->taps; k++) {
        int64_t i = (int64_t)base + first + k;

        weight[k] = weight_of(attrs, stretch, x - base, first + k);
        if (attrs->exclude_outside && (i < 0 || i >= axis->from))
            weight[k] = 0;
        at[k] = i < 0 ? 0 : i >= axis->from ? axis->from - 1 : i;
        sum += weight[k];
    }
    for (int64_t k = 0; k < w->taps && rescale && sum != 0; k++)
        weight[k] /= sum;
    if (attrs->coordinates == PF_RESIZE_TF_CROP_AND_RESIZE && (x < 0 || x > (double)(axis->from - 1)))
        at[0] = -1;
}

pf_status pf_resize_weights_init(pf_resize_weights *weights, const pf_resize_attrs *attrs, const pf_resize_axis *axis,
                                 pf_err *err)
{
    double stretch = attrs->antialias && axis->scale < 1 ? axis->scale : 1;

    memset(weights, 0, sizeof *weights);
    if (!(stretch * TAPS_LIMIT > 1))
        return PF_FAIL(err, PF_UNSUPPORTED, "a filter for the scale %g", stretch);
    weights->to = axis->to;
    weights->taps = 2 - 2 * first_tap(attrs, stretch);
    if (axis->from < 1 && axis->to > 0)
        return PF_FAIL(err, PF_INVALID, "nothing cannot be resized to something");
    if (weights->taps > TAPS_LIMIT)
        return PF_FAIL(err, PF_UNSUPPORTED, "a filter of %lld elements", (long long)weights->taps);
    weights->at = pf_calloc((size_t)(axis->to * weights->taps) + 1, sizeof *weights->at);
    weights->weight = pf_calloc((size_t)(axis->to * weights->taps) + 1, sizeof *weights->weight);
    if (!weights->at || !weights->weight)
        return PF_FAIL_MEMORY(err, (size_t)(axis->to * weights->taps) * sizeof *weights->weight);
    for (int64_t i = 0; i < axis->to; i++)
        fill_position(weights, attrs, axis, stretch, i);
    return PF_OK;
}

void pf_resize_weights_clear(pf_resize_weights *weights)
{
    pf_free(weights->at);
    pf_free(weights->weight);
    memset(weights, 0, sizeof *weights);
}

void pf_resize_weights_apply(const pf_resize_weights *weights, int64_t position, const double *in, int64_t inner,
                             double extrapolation, double *out)
{
    const int64_t *at = weights->at + position * weights->taps;
    const double  *weight = weights->weight + position * weights->taps;
    bool           outside = at[0] < 0;

    for (int64_t i = 0; i < inner; i++)
        out[i] = outside ? extrapolation : 0;
    for (int64_t k = 0; k < weights->taps && !outside; k++) {
        if (weight[k] == 0)     /* a nearest neighbour does not multiply what it leaves out, which may be infinite */
            continue;
        for (int64_t i = 0; i < inner; i++)
            out[i] += weight[k] * in[at[k] * inner + i];
    }
}
