#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/convolve.h"
#include "engine/ops/rows.h"

static const char *const auto_pad_names[] = { "none", "same_upper", "same_lower", NULL };
static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_conv_attrs, strides, INTS), PF_ATTR_FIELD(pf_conv_attrs, dilations, INTS), PF_ATTR_FIELD(pf_conv_attrs, pads, INTS),
    PF_ATTR_FIELD(pf_conv_attrs, groups, INT), PF_ATTR_ENUM_FIELD(pf_conv_attrs, auto_pad, auto_pad_names), { NULL },
};

static pf_status infer_conv(pf_infer *infer, pf_err *err)
{
    pf_status st = pf_infer_rank(infer, 0, 3, PF_MAX_RANK, err);

    for (uint32_t i = 0; i < 3 && !st; i++)
        st = pf_infer_float(infer, i, err);
    if (!st)
        st = pf_infer_same_dtype(infer, 0, 1, err);
    if (!st)
        st = pf_infer_rank(infer, 1, 3, PF_MAX_RANK, err);
    if (!st)
        st = pf_infer_vector(infer, 2, pf_infer_in(infer, 1)->shape.dim[0], "bias", err);
    return st ? st : pf_convolve_infer(infer, pf_infer_in(infer, 0)->dtype, err);
}

static pf_status infer_integer(pf_infer *infer, pf_err *err)
{
    pf_status st = pf_infer_integer(infer, 0, err);

    if (!st)
        st = pf_infer_integer(infer, 1, err);
    return st ? st : pf_convolve_infer(infer, PF_I32, err);
}

/* Everything one call needs, in doubles. */
typedef struct job {
    pf_sliding s;
    int64_t    groups, channels, outputs;
    double    *w, *x, *y, *scratch, *bias;      /* owned; bias NULL when there is none */
} job;

static pf_status job_init(job *j, const pf_reference_call *call, pf_err *err)
{
    const pf_conv_attrs *a = call->attrs;
    pf_sliding_attrs     window = { &a->strides, &a->dilations, &a->pads, a->auto_pad, false };
    const pf_tensor     *x = &call->in[0], *w = &call->in[1], *y = &call->out[0];

    pf_sliding_init(&j->s, &window, x->rank - 2, x->dim + 2, w->dim + 2, y->dim + 2);
    j->groups = a->groups;
    j->channels = x->dim[1];
    j->outputs = w->dim[0];
    if (j->channels != w->dim[1] * j->groups || w->dim[0] % j->groups)
        return PF_FAIL(err, PF_INVALID, "%lld channels against weights for %lld", (long long)j->channels, (long long)(w->dim[1] * j->groups));
    j->w = pf_rows_doubles(w);
    return j->w ? PF_OK : PF_FAIL_MEMORY(err, w->bytes * 2);
}

static void job_clear(job *j)
{
    pf_free(j->w);
    pf_free(j->bias);
}

/* What one thread works in: an image, its result, and the unfolded block. */
static bool take_room(job *j)
{
    j->x = pf_rows_new(j->channels * j->s.in_elems);
    j->y = pf_rows_new(j->outputs * j->s.out_elems);
    j->scratch = pf_rows_new(pf_convolve_scratch(&j->s, j->groups, j->channels));
    return j->x && j->y && j->scratch;
}

static void leave_room(job *j)
{
    pf_free(j->x);
    pf_free(j->y);
    pf_free(j->scratch);
}

static void run_image(job *j, const pf_tensor *x, pf_tensor *y, int64_t n, double x_zero)
{
    int64_t in = j->channels * j->s.in_elems, out = j->outputs * j->s.out_elems;

    pf_rows_read(x->dtype, x->data, n * in, 1, in, j->x);
    for (int64_t i = 0; i < in && x_zero != 0; i++)
        j->x[i] -= x_zero;
    for (int64_t i = 0; i < out; i++)
        j->y[i] = j->bias ? j->bias[i / j->s.out_elems] : 0;
    pf_convolve_image(&j->s, j->groups, j->channels, j->outputs, j->x, j->w, j->y, j->scratch);
    pf_rows_write(y->dtype, y->data, n * out, out, j->y);
}

/* Images are shared out among threads; one image alone is shared out by its product. */
static pf_status run_images(const job *j, const pf_tensor *x, pf_tensor *y, double x_zero, pf_err *err)
{
    bool failed = false;

#pragma omp parallel if (x->dim[0] > 1)
    {
        job  own = *j;
        bool ready = take_room(&own);

        if (!ready) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for schedule(dynamic)
        for (int64_t n = 0; n < x->dim[0]; n++)
            if (ready)
                run_image(&own, x, y, n, x_zero);
        leave_room(&own);
    }
    return failed ? PF_FAIL_MEMORY(err, pf_convolve_scratch(&j->s, j->groups, j->channels) * 8) : PF_OK;
}

static pf_status reference_conv(pf_reference_call *call, pf_err *err)
{
    job       j = { 0 };
    pf_status st = job_init(&j, call, err);

    if (!st)
        st = pf_rows_need(call, 2, call->in[1].dim[0], "bias", err);
    if (!st && call->in_count > 2 && call->in[2].data) {
        j.bias = pf_rows_doubles(&call->in[2]);
        if (!j.bias)
            st = PF_FAIL_MEMORY(err, call->in[2].bytes);
    }
    if (!st)
        st = run_images(&j, &call->in[0], &call->out[0], 0, err);
    job_clear(&j);
    return st;
}

/* The zero point of the weights is one number or one per output. */
static void shift_weights(job *j, const pf_tensor *zero)
{
    int64_t per = pf_tensor_elems(zero) > 1, row = j->channels / j->groups * j->s.kernel_elems;

    for (int64_t i = 0; i < j->outputs * row; i++)
        j->w[i] -= pf_dtype_get(zero->dtype, zero->data, (uint64_t)(per * (i / row)));
}

static pf_status reference_integer(pf_reference_call *call, pf_err *err)
{
    job       j = { 0 };
    pf_status st = job_init(&j, call, err);
    double    x_zero = call->in_count > 2 && call->in[2].data ? pf_dtype_get(call->in[2].dtype, call->in[2].data, 0) : 0;

    if (!st && call->in_count > 3 && call->in[3].data && pf_tensor_elems(&call->in[3]) > 1)
        st = pf_rows_need(call, 3, j.outputs, "the zero point of the weights", err);
    if (!st && call->in_count > 3 && call->in[3].data)
        shift_weights(&j, &call->in[3]);
    if (!st)
        st = run_images(&j, &call->in[0], &call->out[0], x_zero, err);
    job_clear(&j);
    return st;
}

const pf_op_def pf_op_conv = {
    .name = "conv", .klass = PF_CLASS_ANCHOR, .in_min = 2, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_conv_attrs), .attr_fields = fields, .infer = infer_conv, .reference = reference_conv,
};
const pf_op_def pf_op_conv_integer = {
    .name = "conv_integer", .klass = PF_CLASS_ANCHOR, .in_min = 2, .in_max = 4, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_conv_attrs), .attr_fields = fields, .infer = infer_integer, .reference = reference_integer,
};
