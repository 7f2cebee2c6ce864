/* deform_conv: a convolution whose kernel positions are moved by offsets and weighted by a mask. */
#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/product.h"
#include "engine/ops/rows.h"
#include "engine/ops/sample.h"
#include "engine/ops/sliding.h"

enum { X, W, OFFSET, BIAS, MASK };

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_deform_conv_attrs, strides, INTS), PF_ATTR_FIELD(pf_deform_conv_attrs, dilations, INTS),
    PF_ATTR_FIELD(pf_deform_conv_attrs, pads, INTS), PF_ATTR_FIELD(pf_deform_conv_attrs, groups, INT),
    PF_ATTR_FIELD(pf_deform_conv_attrs, offset_groups, INT), { NULL },
};

static pf_sliding_attrs window_of(const pf_deform_conv_attrs *a)
{
    return (pf_sliding_attrs){ &a->strides, &a->dilations, &a->pads, PF_AUTO_PAD_NONE, false };
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_deform_conv_attrs *a = infer->node->attrs;
    pf_sliding_attrs            window = window_of(a);
    const pf_value             *x = pf_infer_in(infer, X), *w = pf_infer_in(infer, W);
    pf_dims                    *dims = infer->graph->dims;
    pf_status                   st = pf_infer_rank(infer, X, 3, PF_MAX_RANK, err);
    pf_shape                    out = { 0 };

    if (!st)
        st = pf_infer_rank(infer, W, x->shape.rank, x->shape.rank, err);
    if (!st)
        st = pf_infer_rank(infer, OFFSET, x->shape.rank, x->shape.rank, err);
    if (!st)
        st = pf_sliding_check(&window, x->shape.rank - 2, err);
    if (!st && (a->groups < 1 || a->offset_groups < 1))
        st = PF_FAIL(err, PF_INVALID, "%lld groups and %lld offset groups", (long long)a->groups,
                     (long long)a->offset_groups);
    if (!st)
        st = pf_infer_dims_agree(infer, x->shape.dim[1], pf_dim_mul(dims, w->shape.dim[1], a->groups),
                                 "channels of input and weights", err);
    if (!st)
        st = pf_infer_vector(infer, BIAS, w->shape.dim[0], "bias", err);
    if (st)
        return st;
    out = x->shape;
    out.dim[1] = w->shape.dim[0];
    for (int32_t d = 2; d < out.rank; d++)
        out.dim[d] = pf_sliding_out(dims, &window, d - 2, out.rank - 2, x->shape.dim[d], w->shape.dim[d]);
    pf_infer_set(infer, 0, x->dtype, &out);
    return pf_infer_check_out(infer, err);
}

/* The sample that kernel element k of output position o reads for offset group g of image n, and its mask. */
static double place_sample(const pf_reference_call *call, const pf_sliding *s, int64_t n, int64_t g, int64_t k,
                           int64_t o, pf_sample *sample)
{
    const pf_deform_conv_attrs *a = call->attrs;
    const pf_tensor            *offset = &call->in[OFFSET],
                               *mask = call->in_count > MASK && call->in[MASK].data ? &call->in[MASK] : NULL;
    int64_t                     index[PF_SLIDING_DIMS] = { 0 }, inside[PF_SLIDING_DIMS] = { 0 };
    int64_t                     row = (n * a->offset_groups + g) * s->kernel_elems + k;

    pf_sliding_position(s, o, s->out, index);
    pf_sliding_position(s, k, s->kernel, inside);
    for (int32_t d = 0; d < s->spatial; d++) {
        double moved = pf_dtype_get(offset->dtype, offset->data, (uint64_t)((row * s->spatial + d) * s->out_elems + o));

        pf_sample_linear(sample, d,
                         (double)(index[d] * s->stride[d] - s->begin[d] + inside[d] * s->dilation[d]) + moved);
    }
    return mask ? pf_dtype_get(mask->dtype, mask->data, (uint64_t)(row * s->out_elems + o)) : 1;
}

/* owned; matrix [C * kernel, out] of one image */
typedef struct job { pf_sliding s; double *x, *w, *y, *matrix; } job;

static void unfold(job *j, const pf_reference_call *call, int64_t n)
{
    const pf_deform_conv_attrs *a = call->attrs;
    int64_t                     channels = call->in[X].dim[1], per = channels / a->offset_groups;
    pf_sample                   sample = { .dims = j->s.spatial };

    for (int32_t d = 0; d < j->s.spatial; d++)
        sample.size[d] = j->s.in[d];
    for (int64_t g = 0; g < a->offset_groups; g++)
        for (int64_t k = 0; k < j->s.kernel_elems; k++)
            for (int64_t o = 0; o < j->s.out_elems; o++) {
                double weight = place_sample(call, &j->s, n, g, k, o, &sample);

                for (int64_t c = g * per; c < (g + 1) * per; c++)
                    j->matrix[(c * j->s.kernel_elems + k) * j->s.out_elems + o] =
                        weight * pf_sample_value(&sample, j->x + (n * channels + c) * j->s.in_elems);
            }
}

static void run_image(job *j, const pf_reference_call *call, int64_t n)
{
    const pf_deform_conv_attrs *a = call->attrs;
    const pf_tensor            *bias = call->in_count > BIAS && call->in[BIAS].data ? &call->in[BIAS] : NULL;
    int64_t                     m = call->in[W].dim[0], rows = m / a->groups,
                                depth = call->in[W].dim[1] * j->s.kernel_elems, out = m * j->s.out_elems;

    unfold(j, call, n);
    for (int64_t i = 0; i < out; i++)
        j->y[i] = bias ? pf_dtype_get(bias->dtype, bias->data, (uint64_t)(i / j->s.out_elems)) : 0;
    for (int64_t g = 0; g < a->groups; g++)
        pf_product(rows, j->s.out_elems, depth, j->w + g * rows * depth, depth, j->matrix + g * depth * j->s.out_elems,
                   j->s.out_elems, j->y + g * rows * j->s.out_elems, j->s.out_elems);
    pf_rows_write(call->out[0].dtype, call->out[0].data, n * out, out, j->y);
}

/* Offset and mask have as many elements as are read. */
static pf_status check_sizes(const pf_reference_call *call, const pf_sliding *s, pf_err *err)
{
    const pf_deform_conv_attrs *a = call->attrs;
    int64_t                     rows = call->in[X].dim[0] * a->offset_groups * s->kernel_elems * s->out_elems;

    if (call->in[X].dim[1] != call->in[W].dim[1] * a->groups || call->in[W].dim[0] % a->groups ||
        call->in[X].dim[1] % a->offset_groups)
        return PF_FAIL(err, PF_INVALID, "channels, weights and groups do not fit together");
    if (pf_tensor_elems(&call->in[OFFSET]) != rows * s->spatial)
        return PF_FAIL(err, PF_INVALID, "there are %lld offsets where %lld are needed",
                       (long long)pf_tensor_elems(&call->in[OFFSET]), (long long)(rows * s->spatial));
    if (call->in_count > MASK && call->in[MASK].data && pf_tensor_elems(&call->in[MASK]) != rows)
        return PF_FAIL(err, PF_INVALID, "the mask has %lld elements where %lld are needed",
                       (long long)pf_tensor_elems(&call->in[MASK]), (long long)rows);
    return PF_OK;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_deform_conv_attrs *a = call->attrs;
    pf_sliding_attrs            window = window_of(a);
    const pf_tensor            *x = &call->in[X], *w = &call->in[W], *y = &call->out[0];
    job                         j = { 0 };
    pf_status                   st = PF_OK;

    pf_sliding_init(&j.s, &window, x->rank - 2, x->dim + 2, w->dim + 2, y->dim + 2);
    st = check_sizes(call, &j.s, err);
    if (st)
        return st;
    j.x = pf_rows_doubles(x);
    j.w = pf_rows_doubles(w);
    j.y = pf_rows_new(w->dim[0] * j.s.out_elems);
    j.matrix = pf_rows_new(x->dim[1] * j.s.kernel_elems * j.s.out_elems);
    if (!j.x || !j.w || !j.y || !j.matrix)
        st = PF_FAIL_MEMORY(err, x->bytes * 2);
    for (int64_t n = 0; n < x->dim[0] && !st; n++)
        run_image(&j, call, n);
    pf_free(j.x);
    pf_free(j.w);
    pf_free(j.y);
    pf_free(j.matrix);
    return st;
}

const pf_op_def pf_op_deform_conv = {
    .name = "deform_conv", .klass = PF_CLASS_ANCHOR, .in_min = 3, .in_max = 5, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_deform_conv_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
