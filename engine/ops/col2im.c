/* col2im: columns of sliding blocks are added up into an image. */
#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/rows.h"
#include "engine/ops/sliding.h"

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_col2im_attrs, image, DIMS), PF_ATTR_FIELD(pf_col2im_attrs, block, INTS),
    PF_ATTR_FIELD(pf_col2im_attrs, strides, INTS),
    PF_ATTR_FIELD(pf_col2im_attrs, dilations, INTS), PF_ATTR_FIELD(pf_col2im_attrs, pads, INTS), { NULL },
};

static pf_sliding_attrs window_of(const pf_col2im_attrs *a)
{
    return (pf_sliding_attrs){ &a->strides, &a->dilations, &a->pads, PF_AUTO_PAD_NONE, false };
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_col2im_attrs *a = infer->node->attrs;
    pf_sliding_attrs       window = window_of(a);
    const pf_value        *x = pf_infer_in(infer, 0);
    pf_dims               *dims = infer->graph->dims;
    pf_dim                 blocks = 1;
    int64_t                block = 1;
    pf_status              st = pf_infer_rank(infer, 0, 3, 3, err);
    pf_shape               out = { 0 };

    if (!st && (a->image.count < 1 || a->image.count > PF_SLIDING_DIMS))
        st = PF_FAIL(err, PF_UNSUPPORTED, "an image of %d dims", a->image.count);
    if (!st)
        st = pf_infer_positive("block", &a->block, a->image.count, err);
    if (!st)
        st = pf_sliding_check(&window, a->image.count, err);
    if (st)
        return st;
    out.dim[out.rank++] = x->shape.dim[0];
    out.rank++;
    for (int32_t d = 0; d < a->image.count; d++) {
        block *= a->block.at[d];
        blocks = pf_dim_mul(dims, blocks,
                            pf_sliding_out(dims, &window, d, a->image.count, a->image.at[d], a->block.at[d]));
        out.dim[out.rank++] = a->image.at[d];
    }
    out.dim[1] = pf_dim_floor_div(dims, x->shape.dim[1], block);
    if (pf_dim_is_number(x->shape.dim[1]) && x->shape.dim[1] % block)
        return PF_FAIL(err, PF_INVALID, "%lld rows are not blocks of %lld", (long long)x->shape.dim[1],
                       (long long)block);
    st = pf_infer_dims_agree(infer, x->shape.dim[2], blocks, "the number of blocks", err);
    pf_infer_set(infer, 0, x->dtype, &out);
    return st ? st : pf_infer_check_out(infer, err);
}

/* Where block `o` puts its element `k`; -1 in the padding. */
static int64_t place(const pf_sliding *s, int64_t o, int64_t k)
{
    int64_t index[PF_SLIDING_DIMS] = { 0 }, inside[PF_SLIDING_DIMS] = { 0 }, at = 0;

    pf_sliding_position(s, o, s->out, index);
    pf_sliding_position(s, k, s->kernel, inside);
    for (int32_t d = 0; d < s->spatial; d++) {
        int64_t i = index[d] * s->stride[d] - s->begin[d] + inside[d] * s->dilation[d];

        if (i < 0 || i >= s->in[d])
            return -1;
        at = at * s->in[d] + i;
    }
    return at;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_col2im_attrs *a = call->attrs;
    pf_sliding_attrs       window = window_of(a);
    const pf_tensor       *x = &call->in[0], *y = &call->out[0];
    int64_t                out[PF_SLIDING_DIMS] = { 0 };
    pf_sliding             s = { 0 };
    double                *image = NULL;
    pf_status              st = PF_OK;

    for (int32_t d = 0; d < a->image.count; d++)
        out[d] = (a->image.at[d] + a->pads.at[d] + a->pads.at[d + a->image.count] -
                  (a->block.at[d] - 1) * a->dilations.at[d] - 1) /
                     a->strides.at[d] +
                 1;
    pf_sliding_init(&s, &window, a->image.count, a->image.at, a->block.at, out);
    st = pf_rows_need(call, 0, y->dim[0] * y->dim[1] * s.kernel_elems * s.out_elems, "the input", err);
    image = st ? NULL : pf_rows_new(pf_tensor_elems(y));
    if (!st && !image)
        st = PF_FAIL_MEMORY(err, y->bytes * 2);
    if (st)
        return st;
    for (int64_t i = 0, count = pf_tensor_elems(x); i < count; i++) {
        int64_t row = i / s.out_elems, at = place(&s, i % s.out_elems, row % s.kernel_elems);

        if (at >= 0)
            image[row / s.kernel_elems * s.in_elems + at] += pf_dtype_get(x->dtype, x->data, (uint64_t)i);
    }
    pf_rows_store(&call->out[0], image);
    pf_free(image);
    return PF_OK;
}

const pf_op_def pf_op_col2im = {
    .name = "col2im", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_col2im_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
