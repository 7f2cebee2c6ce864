#include "engine/ops/sliding.h"

#include <string.h>

pf_status pf_sliding_check(const pf_sliding_attrs *attrs, int32_t spatial, pf_err *err)
{
    pf_status st = pf_infer_positive("strides", attrs->strides, spatial, err);

    if (!st)
        st = pf_infer_positive("dilations", attrs->dilations, spatial, err);
    if (!st && attrs->auto_pad == PF_AUTO_PAD_NONE)
        st = pf_infer_count("pads", attrs->pads->count, 2 * spatial, err);
    for (int32_t i = 0; i < 2 * spatial && !st && attrs->auto_pad == PF_AUTO_PAD_NONE; i++)
        if (attrs->pads->at[i] < 0 || attrs->pads->at[i] > INT32_MAX)
            st = PF_FAIL(err, PF_INVALID, "pads holds %lld, which is out of range", (long long)attrs->pads->at[i]);
    return st;
}

pf_dim pf_sliding_out(pf_dims *dims, const pf_sliding_attrs *attrs, int32_t axis, int32_t spatial, pf_dim in,
                      pf_dim kernel)
{
    int64_t stride = attrs->strides->at[axis], begin = 0, end = 0;
    pf_dim  reach = 0, room = 0, out = 0;

    if (attrs->auto_pad != PF_AUTO_PAD_NONE)
        return pf_dim_ceil_div(dims, in, stride);
    begin = attrs->pads->at[axis];
    end = attrs->pads->at[axis + spatial];
    reach = pf_dim_add(dims, pf_dim_mul(dims, pf_dim_sub(dims, kernel, 1), attrs->dilations->at[axis]), 1);
    room = pf_dim_sub(dims, pf_dim_add(dims, in, begin + end), reach);
    if (pf_dim_is_number(room) && room < 0)
        return -1;              /* refused by pf_infer_check_out */
    if (!attrs->ceil_mode)
        return pf_dim_add(dims, pf_dim_floor_div(dims, room, stride), 1);
    out = pf_dim_add(dims, pf_dim_ceil_div(dims, room, stride), 1);
    /* A window that would start in the padding at the end is left out. */
    return pf_dim_min(dims, out, pf_dim_ceil_div(dims, pf_dim_add(dims, in, begin), stride));
}

static void set_pads(pf_sliding *s, const pf_sliding_attrs *attrs, int32_t d)
{
    int64_t total = 0;

    if (attrs->auto_pad == PF_AUTO_PAD_NONE) {
        s->begin[d] = attrs->pads->at[d];
        s->end[d] = attrs->pads->at[d + s->spatial];
        return;
    }
    total = (s->out[d] - 1) * s->stride[d] + (s->kernel[d] - 1) * s->dilation[d] + 1 - s->in[d];
    total = total < 0 ? 0 : total;
    s->begin[d] = attrs->auto_pad == PF_AUTO_PAD_SAME_UPPER ? total / 2 : total - total / 2;
    s->end[d] = total - s->begin[d];
}

void pf_sliding_init(pf_sliding *s, const pf_sliding_attrs *attrs, int32_t spatial, const int64_t *in,
                     const int64_t *kernel, const int64_t *out)
{
    memset(s, 0, sizeof *s);
    s->spatial = spatial;
    s->in_elems = s->out_elems = s->kernel_elems = 1;
    for (int32_t d = 0; d < spatial; d++) {
        s->in[d] = in[d];
        s->out[d] = out[d];
        s->kernel[d] = kernel[d];
        s->stride[d] = attrs->strides->at[d];
        s->dilation[d] = attrs->dilations->at[d];
        set_pads(s, attrs, d);
        s->in_elems *= in[d];
        s->out_elems *= out[d];
        s->kernel_elems *= kernel[d];
    }
}

void pf_sliding_position(const pf_sliding *s, int64_t linear, const int64_t *size, int64_t *index)
{
    for (int32_t d = s->spatial - 1; d >= 0; d--) {
        index[d] = linear % size[d];
        linear /= size[d];
    }
}

/* One output line: elements (o * stride + shift) of an input line of `size`, 0 outside. */
static void unfold_line(const double *line, int64_t size, int64_t stride, int64_t shift, int64_t count, double *out)
{
    int64_t low = shift >= 0 ? 0 : (-shift + stride - 1) / stride,
            high = size - 1 - shift < 0 ? 0 : (size - 1 - shift) / stride + 1;

    high = high > count ? count : high;
    low = low > high ? high : low;
    memset(out, 0, (size_t)low * sizeof *out);
    if (stride == 1)
        memcpy(out + low, line + low + shift, (size_t)(high - low) * sizeof *out);
    else
        for (int64_t o = low; o < high; o++)
            out[o] = line[o * stride + shift];
    memset(out + high, 0, (size_t)(count - high) * sizeof *out);
}

/* Where the input line that output line `line` reads at kernel position k begins; -1 in the padding. */
static int64_t input_line(const pf_sliding *s, int64_t line, const int64_t *k)
{
    int64_t at = 0, step = s->in[s->spatial - 1];

    for (int32_t d = s->spatial - 2; d >= 0; d--) {
        int64_t i = line % s->out[d] * s->stride[d] - s->begin[d] + k[d] * s->dilation[d];

        if (i < 0 || i >= s->in[d])
            return -1;
        line /= s->out[d];
        at += i * step;
        step *= s->in[d];
    }
    return at;
}

void pf_sliding_unfold(const pf_sliding *s, const double *x, int64_t channels, int64_t from, int64_t count,
                       double *matrix)
{
    int32_t last = s->spatial - 1;
    int64_t width = s->out[last];

    for (int64_t row = 0; row < channels * s->kernel_elems; row++) {
        const double *channel = x + row / s->kernel_elems * s->in_elems;
        double       *out = matrix + row * count;
        int64_t       k[PF_SLIDING_DIMS] = { 0 };

        pf_sliding_position(s, row % s->kernel_elems, s->kernel, k);
        for (int64_t line = from / width; line < (from + count) / width; line++, out += width) {
            int64_t at = input_line(s, line, k);

            if (at < 0)
                memset(out, 0, (size_t)width * sizeof *out);
            else
                unfold_line(channel + at, s->in[last], s->stride[last], k[last] * s->dilation[last] - s->begin[last],
                            width, out);
        }
    }
}
