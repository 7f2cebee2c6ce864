#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/broadcast.h"
#include "engine/ops/infer.h"
#include "engine/ops/matrices.h"
#include "engine/ops/rows.h"

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_gemm_attrs, trans_a, INT), PF_ATTR_FIELD(pf_gemm_attrs, trans_b, INT),
    PF_ATTR_FIELD(pf_gemm_attrs, alpha, FLOAT), PF_ATTR_FIELD(pf_gemm_attrs, beta, FLOAT), { NULL },
};

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_gemm_attrs *attrs = infer->node->attrs;
    const pf_value      *a = pf_infer_in(infer, 0), *b = pf_infer_in(infer, 1), *c = pf_infer_in(infer, 2);
    pf_status            st = pf_infer_rank(infer, 0, 2, 2, err);
    pf_shape             out = { .rank = 2 }, both = { 0 };

    if (!st)
        st = pf_infer_rank(infer, 1, 2, 2, err);
    if (!st)
        st = pf_infer_same_dtype(infer, 0, 1, err);
    if (!st)
        st = pf_infer_same_dtype(infer, 0, 2, err);
    if (!st)
        st = pf_infer_dims_agree(infer, a->shape.dim[!attrs->trans_a], b->shape.dim[!!attrs->trans_b],
                                 "the dims that are summed over", err);
    if (st)
        return st;
    out.dim[0] = a->shape.dim[!!attrs->trans_a];
    out.dim[1] = b->shape.dim[!attrs->trans_b];
    if (c && c->shape.rank > 2)
        return PF_FAIL(err, PF_INVALID, "the addend has rank %d where at most 2 is allowed", c->shape.rank);
    if (c && c->shape.rank >= 0)
        st = pf_shape_broadcast(infer->graph->dims, &out, &c->shape, &both, err);
    if (st)
        return st;
    pf_infer_set(infer, 0, a->dtype, &out);
    return PF_OK;
}

static pf_matrix matrix_of(const pf_tensor *t, bool transposed)
{
    return (pf_matrix){ t, 0, t->dim[transposed], t->dim[!transposed], transposed };
}

static pf_status add_scaled(const pf_gemm_attrs *attrs, const pf_tensor *c, const pf_tensor *y, double *product,
                            pf_err *err)
{
    int64_t          count = pf_tensor_elems(y);
    const pf_tensor *list[1] = { c };
    pf_broadcast     walk = { 0 };
    pf_status        st = PF_OK;

    for (int64_t i = 0; i < count; i++)
        product[i] *= attrs->alpha;
    if (!c || !c->data || attrs->beta == 0)
        return PF_OK;
    st = pf_broadcast_begin(&walk, 2, y->dim, list, 1, err);
    if (st || !pf_broadcast_any(&walk))
        return st;
    do {
        int32_t last = walk.rank - 1;

        for (int64_t i = 0; i < walk.dim[last]; i++)
            *product++ += attrs->beta *
                          pf_dtype_get(c->dtype, c->data, (uint64_t)(walk.at[0] + i * walk.stride[0][last]));
    } while (pf_broadcast_next(&walk));
    return PF_OK;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_gemm_attrs *attrs = call->attrs;
    pf_tensor           *y = &call->out[0], product = { .dtype = PF_F64, .rank = 2, .dim = { y->dim[0], y->dim[1] } };
    pf_matrix            a = matrix_of(&call->in[0], attrs->trans_a), b = matrix_of(&call->in[1], attrs->trans_b);
    pf_status            st = pf_tensor_alloc(&product, err);

    if (!st && a.columns != b.rows)
        st = PF_FAIL(err, PF_INVALID, "the dims that are summed over differ");
    if (!st)
        st = pf_matrices_multiply(&a, &b, 1, &product, err);
    if (!st)
        st = add_scaled(attrs, call->in_count > 2 ? &call->in[2] : NULL, y, product.data, err);
    if (!st)
        pf_rows_store(y, product.data);
    pf_tensor_clear(&product);
    return st;
}

const pf_op_def pf_op_gemm = {
    .name = "gemm", .klass = PF_CLASS_ANCHOR, .in_min = 2, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_gemm_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
