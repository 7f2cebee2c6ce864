#include "engine/ops/stack.h"

#include <string.h>

#include "engine/ops/move.h"
#include "engine/ops/rows.h"

pf_status pf_stack_take(const pf_tensor *x, int64_t axis, int64_t index, pf_tensor *out, pf_err *err)
{
    pf_move   move = { .rank = x->rank - 1 };
    int64_t   stride[PF_MAX_RANK] = { 0 };
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    out->dtype = x->dtype;
    out->rank = x->rank - 1;
    pf_tensor_strides(x, stride);
    for (int32_t d = 0; d < out->rank; d++) {
        int32_t from = d < axis ? d : d + 1;

        out->dim[d] = x->dim[from];
        move.dim[d] = x->dim[from];
        move.in_stride[d] = stride[from];
    }
    move.in_at = index * stride[axis];
    pf_tensor_strides(out, move.out_stride);
    st = pf_tensor_alloc(out, err);
    return st ? st : pf_move_all(x->dtype, &move, x->data, out->data, err);
}

static pf_status stacked_dims(const pf_tensor *slices, int64_t count, int64_t axis, const pf_tensor *y, int32_t *rank,
                              int64_t *dim, pf_err *err)
{
    const pf_tensor *one = count ? &slices[0] : NULL;

    *rank = one ? one->rank + 1 : y->rank < 1 ? 1 : y->rank;
    if (*rank > PF_MAX_RANK || axis < 0 || axis >= *rank)
        return PF_FAIL(err, PF_UNSUPPORTED, "slices of rank %d cannot be put together", *rank - 1);
    for (int32_t d = 0; d < *rank; d++)
        dim[d] = d == axis ? count : one ? one->dim[d < axis ? d : d - 1] : y->dim[d] > 0 ? y->dim[d] : 0;
    for (int64_t i = 1; i < count; i++)
        if (!pf_tensor_same_shape(one, &slices[i]) || one->dtype != slices[i].dtype)
            return PF_FAIL(err, PF_INVALID, "the results of two rounds differ in shape");
    return PF_OK;
}

pf_status pf_stack_join(const pf_tensor *slices, int64_t count, int64_t axis, pf_tensor *y, pf_err *err)
{
    int32_t   rank = 0;
    int64_t   dim[PF_MAX_RANK] = { 0 };
    pf_status st = stacked_dims(slices, count, axis, y, &rank, dim, err);

    if (!st)
        st = pf_rows_size(y, rank, dim, err);
    for (int64_t i = 0; i < count && !st; i++) {
        pf_move move = { .rank = slices[i].rank };
        int64_t stride[PF_MAX_RANK] = { 0 };

        pf_tensor_strides(&slices[i], move.in_stride);
        pf_tensor_strides(y, stride);
        for (int32_t d = 0; d < move.rank; d++) {
            move.dim[d] = slices[i].dim[d];
            move.out_stride[d] = stride[d < axis ? d : d + 1];
        }
        move.out_at = i * stride[axis];
        st = pf_move_all(y->dtype, &move, slices[i].data, y->data, err);
    }
    return st;
}
