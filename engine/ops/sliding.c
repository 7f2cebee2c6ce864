#include "engine/ops/sliding.h"

#include <string.h>

#include "kernels/cpu_isa.h"

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
    if (attrs->ceil_mode)       /* then a window may reach beyond the padding */
        room = pf_dim_add(dims, room, stride - 1);
    if (pf_dim_is_number(room) && room < 0)
        return -1;              /* refused by pf_infer_check_out */
    out = pf_dim_add(dims, pf_dim_floor_div(dims, room, stride), 1);
    /* A window that would start in the padding at the end is left out. */
    return attrs->ceil_mode ? pf_dim_min(dims, out, pf_dim_ceil_div(dims, pf_dim_add(dims, in, begin), stride)) : out;
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

/* Some neighbours of an output line: they meet elements start, start + stride ... of `line`, of which the first `low`
   and those from `high` on lie in the padding. */
typedef struct piece { const double *line; int64_t start, count, low, high; } piece;

static int64_t steps_up(int64_t distance, int64_t stride)
{
    return distance <= 0 ? 0 : stride == 1 ? distance : (distance + stride - 1) / stride;
}

static piece piece_of(const pf_sliding *s, const double *x, int64_t x_first, const int64_t *k, int64_t line,
                      int64_t column, int64_t count)
{
    int32_t last = s->spatial - 1;
    int64_t at = input_line(s, line, k);
    piece   p = { .start = column * s->stride[last] + k[last] * s->dilation[last] - s->begin[last], .count = count };

    if (at < 0)
        return p;
    p.line = x + (at - x_first);
    p.high = steps_up(s->in[last] - p.start, s->stride[last]);
    p.high = p.high > count ? count : p.high;
    p.low = steps_up(-p.start, s->stride[last]);
    p.low = p.low > p.high ? p.high : p.low;
    return p;
}

/* Every output meets the element of its own place. */
static bool is_plain(const pf_sliding *s)
{
    bool plain = s->kernel_elems == 1 && s->in_elems == s->out_elems;

    for (int32_t d = 0; d < s->spatial; d++)
        plain &= s->stride[d] == 1 && s->begin[d] == 0;
    return plain;
}

static void unfold_piece(const piece *p, int64_t stride, double *out)
{
    memset(out, 0, (size_t)p->low * sizeof *out);
    if (stride == 1 && p->high > p->low)
        memcpy(out + p->low, p->line + p->start + p->low, (size_t)(p->high - p->low) * sizeof *out);
    else
        for (int64_t o = p->low; o < p->high; o++)
            out[o] = p->line[p->start + o * stride];
    memset(out + p->high, 0, (size_t)(p->count - p->high) * sizeof *out);
}

void pf_sliding_unfold(const pf_sliding *s, const double *x, int64_t x_first, int64_t tap, int64_t from,
                       int64_t count, double *out)
{
    int64_t k[PF_SLIDING_DIMS] = { 0 }, width = s->out[s->spatial - 1], line = from / width, column = from % width;

    if (is_plain(s)) {
        memcpy(out, x + (from - x_first), (size_t)count * sizeof *out);
        return;
    }
    pf_sliding_position(s, tap, s->kernel, k);
    for (int64_t done = 0; done < count; line++, column = 0) {
        int64_t here = count - done < width - column ? count - done : width - column;
        piece   p = piece_of(s, x, x_first, k, line, column, here);

        unfold_piece(&p, s->stride[s->spatial - 1], out + done);
        done += here;
    }
}

PF_WIDE static void add_neighbours(const double *x, double w, int64_t count, double *sum)
{
    for (int64_t i = 0; i < count; i++)
        sum[i] += w * x[i];
}

static void add_piece(const piece *p, int64_t stride, double w, double *sum)
{
    if (stride == 1 && p->high > p->low)
        add_neighbours(p->line + p->start + p->low, w, p->high - p->low, sum + p->low);
    else
        for (int64_t o = p->low; o < p->high; o++)
            sum[o] += w * p->line[p->start + o * stride];
}

void pf_sliding_add(const pf_sliding *s, const double *x, int64_t x_first, int64_t tap, double w, int64_t from,
                    int64_t count, double *sum)
{
    int64_t k[PF_SLIDING_DIMS] = { 0 }, width = s->out[s->spatial - 1], line = from / width, column = from % width;

    pf_sliding_position(s, tap, s->kernel, k);
    for (int64_t done = 0; done < count; line++, column = 0) {
        int64_t here = count - done < width - column ? count - done : width - column;
        piece   p = piece_of(s, x, x_first, k, line, column, here);

        add_piece(&p, s->stride[s->spatial - 1], w, sum + done);
        done += here;
    }
}

/* By the outermost dim alone. */
void pf_sliding_span(const pf_sliding *s, int64_t from, int64_t count, int64_t *first, int64_t *end)
{
    int64_t outer_out = s->out_elems / s->out[0], outer_in = s->in[0] ? s->in_elems / s->in[0] : 0;
    int64_t low = from / outer_out * s->stride[0] - s->begin[0],
            high = (from + count - 1) / outer_out * s->stride[0] - s->begin[0];

    high += (s->kernel[0] - 1) * s->dilation[0] + 1;
    low = low < 0 ? 0 : low > s->in[0] ? s->in[0] : low;
    high = high < low ? low : high > s->in[0] ? s->in[0] : high;
    *first = low * outer_in;
    *end = high * outer_in;
}
