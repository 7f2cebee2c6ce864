#include "engine/ops/pool.h"

#include <math.h>
#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/rows.h"

static const char *const auto_pad_names[] = { "none", "same_upper", "same_lower", NULL };
const pf_attr_field pf_pool_fields[] = {
    PF_ATTR_FIELD(pf_pool_attrs, kernel, INTS), PF_ATTR_FIELD(pf_pool_attrs, strides, INTS),
    PF_ATTR_FIELD(pf_pool_attrs, dilations, INTS),
    PF_ATTR_FIELD(pf_pool_attrs, pads, INTS), PF_ATTR_ENUM_FIELD(pf_pool_attrs, auto_pad, auto_pad_names),
    PF_ATTR_FIELD(pf_pool_attrs, ceil_mode, INT), PF_ATTR_FIELD(pf_pool_attrs, count_include_pad, INT),
    PF_ATTR_FIELD(pf_pool_attrs, column_major, INT), PF_ATTR_FIELD(pf_pool_attrs, p, INT), { NULL },
};

static pf_sliding_attrs sliding_attrs(const pf_pool_attrs *a)
{
    return (pf_sliding_attrs){ &a->strides, &a->dilations, &a->pads, a->auto_pad, a->ceil_mode != 0 };
}

pf_status pf_pool_infer(pf_infer *infer, pf_err *err)
{
    const pf_pool_attrs *a = infer->node->attrs;
    pf_sliding_attrs     window = sliding_attrs(a);
    const pf_value      *x = pf_infer_in(infer, 0);
    pf_status            st = pf_infer_rank(infer, 0, 3, PF_MAX_RANK, err);
    pf_shape             out = { 0 };

    if (!st)
        st = pf_infer_positive("kernel", &a->kernel, x->shape.rank - 2, err);
    if (!st)
        st = pf_sliding_check(&window, x->shape.rank - 2, err);
    if (st)
        return st;
    out = x->shape;
    for (int32_t d = 2; d < out.rank; d++)
        out.dim[d] = pf_sliding_out(infer->graph->dims, &window, d - 2, out.rank - 2, x->shape.dim[d],
                                    a->kernel.at[d - 2]);
    pf_infer_set(infer, 0, x->dtype, &out);
    pf_infer_set(infer, 1, PF_I64, &out);
    return pf_infer_check_out(infer, err);
}

static void sliding_of(const pf_reference_call *call, pf_sliding *s)
{
    const pf_pool_attrs *a = call->attrs;
    pf_sliding_attrs     window = sliding_attrs(a);

    pf_sliding_init(s, &window, call->in[0].rank - 2, call->in[0].dim + 2, a->kernel.at, call->out[0].dim + 2);
}

/* The taps of a window that begins at `start` which meet [0, end): from *first on, less than *behind. */
static void find_taps(const pf_sliding *s, int32_t d, int64_t start, int64_t end, int64_t *first, int64_t *behind)
{
    *first = start < 0 ? (-start + s->dilation[d] - 1) / s->dilation[d] : 0;
    *behind = end > start ? (end - start + s->dilation[d] - 1) / s->dilation[d] : 0;
    *behind = *behind < s->kernel[d] ? *behind : s->kernel[d];
}

/* Positions of window `o` in a channel. Elements in the padding are counted in padded_count only; those beyond it
   (ceil_mode) nowhere. */
static void find_window(const pf_sliding *s, int64_t o, int64_t *at, pf_pool_window *w)
{
    int64_t index[PF_SLIDING_DIMS] = { 0 }, start[PF_SLIDING_DIMS] = { 0 }, first = 0, behind = 0;

    pf_sliding_position(s, o, s->out, index);
    w->count = w->padded_count = 1;
    at[0] = 0;
    for (int32_t d = 0; d < s->spatial; d++) {
        start[d] = index[d] * s->stride[d] - s->begin[d];
        find_taps(s, d, start[d], s->in[d] + s->end[d], &first, &behind);
        w->padded_count *= behind;
        find_taps(s, d, start[d], s->in[d], &first, &behind);
        /* each position so far with each tap of this dim, from behind, as they are written over */
        behind = behind > first ? behind - first : 0;
        for (int64_t i = w->count * behind; i-- > 0;)
            at[i] = at[i / behind] * s->in[d] + start[d] + (first + i % behind) * s->dilation[d];
        w->count *= behind;
    }
}

/* ONNX counts indices over the whole input, within each channel by rows or (column_major) by columns. */
static int64_t whole_index(const pf_sliding *s, int64_t channel, int64_t at, bool column_major)
{
    int64_t index[PF_SLIDING_DIMS] = { 0 }, linear = 0;

    if (column_major) {
        pf_sliding_position(s, at, s->in, index);
        for (int32_t d = s->spatial - 1; d >= 0; d--)
            linear = linear * s->in[d] + index[d];
        at = linear;
    }
    return channel * s->in_elems + at;
}

/* All outputs of the channels from first to end. */
static void run_channels(const pf_sliding *s, pf_reference_call *call, pf_pool_fn *fn, const double *x, int64_t *at,
                         int64_t first, int64_t end)
{
    const pf_pool_attrs *a = call->attrs;
    pf_tensor           *y = &call->out[0];

    for (int64_t o = 0; o < s->out_elems; o++) {
        pf_pool_window w = { .at = at };

        find_window(s, o, at, &w);
        for (int64_t c = first; c < end; c++) {
            int64_t chosen = 0;
            double  value = fn(x + c * s->in_elems, &w, a, &chosen);

            pf_dtype_set(y->dtype, y->data, (uint64_t)(c * s->out_elems + o), value);
            if (call->out_count > 1 && call->out[1].data)
                ((int64_t *)call->out[1].data)[c * s->out_elems + o] = whole_index(s, c, chosen, a->column_major != 0);
        }
    }
}

/* Channels are shared out among threads, some at a time since finding a window takes as long as using it once. */
pf_status pf_pool_run(pf_reference_call *call, pf_pool_fn *fn, pf_err *err)
{
    enum { PART = 8 };
    pf_sliding s = { 0 };
    int64_t    channels = call->in[0].dim[0] * call->in[0].dim[1], parts = (channels + PART - 1) / PART, most = 1;
    double    *x = pf_rows_doubles(&call->in[0]);
    bool       failed = !x;

    sliding_of(call, &s);
    for (int32_t d = 0; d < s.spatial; d++) {       /* find_window takes one after the other: one may have no size */
        int64_t taps = s.in[d] < s.kernel[d] ? s.in[d] : s.kernel[d];

        most *= taps ? taps : 1;
    }
#pragma omp parallel if (x && parts > 1 && channels * s.in_elems > PF_ROWS_ALONE)
    {
        int64_t *at = pf_alloc((size_t)most * sizeof *at);

        if (!at) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for schedule(dynamic)
        for (int64_t p = 0; p < parts; p++)
            if (at && x)
                run_channels(&s, call, fn, x, at, p * PART, p * PART + PART < channels ? p * PART + PART : channels);
        pf_free(at);
    }
    pf_free(x);
    return failed ? PF_FAIL_MEMORY(err, (size_t)s.kernel_elems * sizeof(int64_t)) : PF_OK;
}
