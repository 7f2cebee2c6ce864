#include "engine/ops/convolve.h"

#include "engine/ops/product.h"

/* Output positions unfolded at a time, before whole lines are made of them; doubles. */
enum { MOST = 1024, LEAST = 64, SCRATCH = 1 << 17 };

pf_status pf_convolve_infer(pf_infer *infer, pf_dtype dtype, pf_err *err)
{
    const pf_conv_attrs *a = infer->node->attrs;
    pf_sliding_attrs     window = { &a->strides, &a->dilations, &a->pads, a->auto_pad, false };
    const pf_value      *x = pf_infer_in(infer, 0), *w = pf_infer_in(infer, 1);
    pf_dims             *dims = infer->graph->dims;
    pf_status            st = pf_infer_rank(infer, 0, 3, PF_MAX_RANK, err);
    pf_shape             out = { 0 };

    if (!st)
        st = pf_infer_rank(infer, 1, 3, PF_MAX_RANK, err);
    if (!st && x->shape.rank != w->shape.rank)
        st = PF_FAIL(err, PF_INVALID, "input has rank %d but weights have %d", x->shape.rank, w->shape.rank);
    if (!st)
        st = pf_sliding_check(&window, x->shape.rank - 2, err);
    if (!st && a->groups < 1)
        st = PF_FAIL(err, PF_INVALID, "groups is %lld", (long long)a->groups);
    if (!st)
        st = pf_infer_dims_agree(infer, x->shape.dim[1], pf_dim_mul(dims, w->shape.dim[1], a->groups),
                                 "channels of input and weights", err);
    if (!st && pf_dim_is_number(w->shape.dim[0]) && w->shape.dim[0] % a->groups)
        st = PF_FAIL(err, PF_INVALID, "%lld outputs do not divide into %lld groups", (long long)w->shape.dim[0],
                     (long long)a->groups);
    if (st)
        return st;
    out = x->shape;
    out.dim[1] = w->shape.dim[0];
    for (int32_t d = 2; d < out.rank; d++)
        out.dim[d] = pf_sliding_out(dims, &window, d - 2, out.rank - 2, x->shape.dim[d], w->shape.dim[d]);
    pf_infer_set(infer, 0, dtype, &out);
    return pf_infer_check_out(infer, err);
}

int64_t pf_convolve_block(const pf_sliding *s, int64_t channels_of_group)
{
    int64_t depth = channels_of_group * s->kernel_elems, width = s->out[s->spatial - 1],
            positions = SCRATCH / (depth > 0 ? depth : 1);

    positions = positions < LEAST ? LEAST : positions > MOST ? MOST : positions;
    return width > 0 ? (positions > width ? positions / width * width : width) : 1;
}

void pf_convolve(const pf_convolution *conv, int64_t g, int64_t from, int64_t count, const double *x, const double *w,
                 double *y, double *scratch)
{
    const pf_sliding *s = &conv->s;
    const int64_t     c = conv->channels / conv->groups, m = conv->outputs / conv->groups, k = c * s->kernel_elems;

    pf_sliding_unfold(s, x + g * c * s->in_elems, c, from, count, scratch);
    (conv->floats ? pf_product_of_floats : pf_product)(m, count, k, w + g * m * k, k, scratch, count,
                                                       y + g * m * s->out_elems + from, s->out_elems);
}
