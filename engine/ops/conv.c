#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/convolve.h"
#include "engine/ops/rows.h"

static const char *const auto_pad_names[] = { "none", "same_upper", "same_lower", NULL };
static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_conv_attrs, strides, INTS), PF_ATTR_FIELD(pf_conv_attrs, dilations, INTS),
    PF_ATTR_FIELD(pf_conv_attrs, pads, INTS),
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

/* The weights and biases of one call, in doubles. */
typedef struct job { pf_convolution c; double *w, *bias; } job;     /* owned; bias NULL when there is none */

static bool has_floats(const pf_tensor *tensor)
{
    return pf_dtype_is_float(tensor->dtype) && pf_dtype_bits(tensor->dtype) <= 32;
}

static pf_status job_init(job *j, const pf_reference_call *call, pf_err *err)
{
    const pf_conv_attrs *a = call->attrs;
    pf_sliding_attrs     window = { &a->strides, &a->dilations, &a->pads, a->auto_pad, false };
    const pf_tensor     *x = &call->in[0], *w = &call->in[1], *y = &call->out[0];

    j->c = (pf_convolution){ .groups = a->groups, .channels = x->dim[1], .outputs = w->dim[0],
                             .floats = has_floats(x) && has_floats(w), .x = x, .y = &call->out[0] };
    pf_sliding_init(&j->c.s, &window, x->rank - 2, x->dim + 2, w->dim + 2, y->dim + 2);
    if (x->dim[1] != w->dim[1] * a->groups || w->dim[0] % a->groups)
        return PF_FAIL(err, PF_INVALID, "%lld channels against weights for %lld", (long long)x->dim[1],
                       (long long)(w->dim[1] * a->groups));
    j->c.w = j->w = pf_rows_doubles(w);
    return j->w ? PF_OK : PF_FAIL_MEMORY(err, w->bytes);
}

static void job_clear(job *j)
{
    pf_free(j->w);
    pf_free(j->bias);
}

static pf_status reference_conv(pf_reference_call *call, pf_err *err)
{
    job       j = { 0 };
    pf_status st = job_init(&j, call, err);

    if (!st)
        st = pf_rows_need(call, 2, call->in[1].dim[0], "bias", err);
    if (!st && call->in_count > 2 && call->in[2].data) {
        j.c.bias = j.bias = pf_rows_doubles(&call->in[2]);
        if (!j.bias)
            st = PF_FAIL_MEMORY(err, call->in[2].bytes);
    }
    if (!st)
        st = pf_convolve(&j.c, err);
    job_clear(&j);
    return st;
}

/* The zero point of the weights is one number or one per output. */
static void shift_weights(job *j, const pf_tensor *zero)
{
    int64_t per = pf_tensor_elems(zero) > 1, row = j->c.channels / j->c.groups * j->c.s.kernel_elems;

    for (int64_t i = 0; i < j->c.outputs * row; i++)
        j->w[i] -= pf_dtype_get(zero->dtype, zero->data, (uint64_t)(per * (i / row)));
}

static pf_status reference_integer(pf_reference_call *call, pf_err *err)
{
    job       j = { 0 };
    pf_status st = job_init(&j, call, err);

    if (call->in_count > 2 && call->in[2].data)
        j.c.x_zero = pf_dtype_get(call->in[2].dtype, call->in[2].data, 0);
    if (!st && call->in_count > 3 && call->in[3].data && pf_tensor_elems(&call->in[3]) > 1)
        st = pf_rows_need(call, 3, j.c.outputs, "the zero point of the weights", err);
    if (!st && call->in_count > 3 && call->in[3].data)
        shift_weights(&j, &call->in[3]);
    if (!st)
        st = pf_convolve(&j.c, err);
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
