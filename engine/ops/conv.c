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

enum { ROUND = 1 << 23 };       /* doubles of images, in and out, that are there at a time */

/* Everything one call needs, in doubles. */
typedef struct job {
    pf_convolution c;
    int64_t        images, block, blocks;  /* in a round; positions of an image that one thread computes at a time */
    double        *w, *x, *y, *bias;            /* owned; bias NULL when there is none */
} job;

static bool has_floats(const pf_tensor *tensor)
{
    return pf_dtype_is_float(tensor->dtype) && pf_dtype_bits(tensor->dtype) <= 32;
}

static pf_status job_init(job *j, const pf_reference_call *call, pf_err *err)
{
    const pf_conv_attrs *a = call->attrs;
    pf_sliding_attrs     window = { &a->strides, &a->dilations, &a->pads, a->auto_pad, false };
    const pf_tensor     *x = &call->in[0], *w = &call->in[1], *y = &call->out[0];
    int64_t              image = 0;

    j->c = (pf_convolution){ .groups = a->groups, .channels = x->dim[1], .outputs = w->dim[0],
                             .floats = has_floats(x) && has_floats(w) };
    pf_sliding_init(&j->c.s, &window, x->rank - 2, x->dim + 2, w->dim + 2, y->dim + 2);
    if (x->dim[1] != w->dim[1] * a->groups || w->dim[0] % a->groups)
        return PF_FAIL(err, PF_INVALID, "%lld channels against weights for %lld", (long long)x->dim[1],
                       (long long)(w->dim[1] * a->groups));
    image = j->c.channels * j->c.s.in_elems + j->c.outputs * j->c.s.out_elems + 1;
    j->images = ROUND / image < 1 ? 1 : ROUND / image > x->dim[0] ? x->dim[0] : ROUND / image;
    j->block = pf_convolve_block(&j->c.s, w->dim[1]);
    j->blocks = (j->c.s.out_elems + j->block - 1) / j->block;
    j->w = pf_rows_doubles(w);
    j->x = pf_rows_new(j->images * j->c.channels * j->c.s.in_elems);
    j->y = pf_rows_new(j->images * j->c.outputs * j->c.s.out_elems);
    return j->w && j->x && j->y ? PF_OK : PF_FAIL_MEMORY(err, (uint64_t)(j->images * image) * sizeof(double));
}

static void job_clear(job *j)
{
    pf_free(j->w);
    pf_free(j->x);
    pf_free(j->y);
    pf_free(j->bias);
}

/* Part `unit` of the round: a block of a group of an image. */
static void run_unit(const job *j, int64_t unit, double *scratch)
{
    int64_t from = unit % j->blocks * j->block, g = unit / j->blocks % j->c.groups, n = unit / j->blocks / j->c.groups;
    int64_t count = j->c.s.out_elems - from < j->block ? j->c.s.out_elems - from : j->block,
            m = j->c.outputs / j->c.groups;
    double *y = j->y + n * j->c.outputs * j->c.s.out_elems;

    for (int64_t o = g * m; o < (g + 1) * m; o++)
        for (int64_t i = from; i < from + count; i++)
            y[o * j->c.s.out_elems + i] = j->bias ? j->bias[o] : 0;
    pf_convolve(&j->c, g, from, count, j->x + n * j->c.channels * j->c.s.in_elems, j->w, y, scratch);
}

static bool run_units(const job *j, int64_t units)
{
    int64_t depth = j->c.channels / j->c.groups * j->c.s.kernel_elems;
    bool    failed = false;

#pragma omp parallel if (units > 1 && units * j->block * depth > PF_ROWS_ALONE)
    {
        double *scratch = pf_rows_new(depth * j->block);

        if (!scratch) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for schedule(dynamic)
        for (int64_t unit = 0; unit < units; unit++)
            if (scratch)
                run_unit(j, unit, scratch);
        pf_free(scratch);
    }
    return !failed;
}

static void read_images(const job *j, const pf_tensor *x, int64_t first, int64_t count, double x_zero)
{
    const int64_t plane = j->c.s.in_elems, planes = count * j->c.channels;

#pragma omp parallel for schedule(static) if (planes * plane > PF_ROWS_ALONE)
    for (int64_t p = 0; p < planes; p++) {
        pf_rows_read(x->dtype, x->data, (first * j->c.channels + p) * plane, 1, plane, j->x + p * plane);
        for (int64_t i = p * plane; i < (p + 1) * plane && x_zero != 0; i++)
            j->x[i] -= x_zero;
    }
}

static void write_images(const job *j, pf_tensor *y, int64_t first, int64_t count)
{
    const int64_t plane = j->c.s.out_elems, planes = count * j->c.outputs;

#pragma omp parallel for schedule(static) if (planes * plane > PF_ROWS_ALONE)
    for (int64_t p = 0; p < planes; p++)
        pf_rows_write(y->dtype, y->data, (first * j->c.outputs + p) * plane, plane, j->y + p * plane);
}

/* Some images at a time; their groups and blocks of positions are shared out among threads. */
static pf_status run_images(const job *j, const pf_tensor *x, pf_tensor *y, double x_zero, pf_err *err)
{
    for (int64_t first = 0; first < x->dim[0]; first += j->images) {
        int64_t count = x->dim[0] - first < j->images ? x->dim[0] - first : j->images;

        read_images(j, x, first, count, x_zero);
        if (!run_units(j, count * j->c.groups * j->blocks))
            return PF_FAIL_MEMORY(err, (uint64_t)(j->c.channels / j->c.groups * j->c.s.kernel_elems * j->block) *
                                           sizeof(double));
        write_images(j, y, first, count);
    }
    return PF_OK;
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
    int64_t per = pf_tensor_elems(zero) > 1, row = j->c.channels / j->c.groups * j->c.s.kernel_elems;

    for (int64_t i = 0; i < j->c.outputs * row; i++)
        j->w[i] -= pf_dtype_get(zero->dtype, zero->data, (uint64_t)(per * (i / row)));
}

static pf_status reference_integer(pf_reference_call *call, pf_err *err)
{
    job       j = { 0 };
    pf_status st = job_init(&j, call, err);
    double    x_zero = call->in_count > 2 && call->in[2].data ? pf_dtype_get(call->in[2].dtype, call->in[2].data, 0)
                                                              : 0;

    if (!st && call->in_count > 3 && call->in[3].data && pf_tensor_elems(&call->in[3]) > 1)
        st = pf_rows_need(call, 3, j.c.outputs, "the zero point of the weights", err);
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
