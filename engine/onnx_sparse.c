#include "engine/onnx_tensor.h"

#include <string.h>

/* Sparse tensors (coordinate form) to dense ones. */

/* The position in the dense tensor of value i: indices hold either one linear index or one index per dimension. */
static pf_status dense_index(const pf_onnx_data *indices, const pf_shape *shape, uint64_t i, uint64_t elems,
                             uint64_t *out, pf_err *err)
{
    const int64_t *at = indices->data;
    uint64_t       index = 0;
    bool           good = true;

    if (indices->shape.rank == 1) {
        good = at[i] >= 0 && (uint64_t)at[i] < elems;
        index = good ? (uint64_t)at[i] : 0;
    }
    for (int32_t d = 0; indices->shape.rank == 2 && good && d < shape->rank; d++) {
        int64_t part = at[i * (uint64_t)shape->rank + (uint64_t)d];

        good = part >= 0 && part < shape->dim[d];
        index = good ? index * (uint64_t)shape->dim[d] + (uint64_t)part : 0;
    }
    *out = index;
    return good ? PF_OK
                : PF_FAIL(err, PF_INVALID, "a sparse tensor with index %llu outside of its shape",
                          (unsigned long long)i);
}

static pf_status check_parts(const Onnx__SparseTensorProto *sparse, const pf_onnx_data *values,
                             const pf_onnx_data *indices, pf_err *err)
{
    const pf_shape *shape = &indices->shape;

    if (values->shape.rank != 1 || indices->dtype != PF_I64 || pf_dtype_bits(values->dtype) < 8 ||
        values->dtype == PF_STRING)
        return PF_FAIL(err, PF_INVALID, "a sparse tensor needs values of rank 1 and indices of int64");
    if (shape->rank < 1 || shape->rank > 2 || shape->dim[0] != values->shape.dim[0])
        return PF_FAIL(err, PF_INVALID, "a sparse tensor needs as many indices as values");
    if (shape->rank == 2 && shape->dim[1] != (int64_t)sparse->n_dims)
        return PF_FAIL(err, PF_INVALID, "a sparse tensor whose indices have %lld parts for %zu dimensions",
                       (long long)shape->dim[1], sparse->n_dims);
    return PF_OK;
}

static pf_status dense_shape(const Onnx__SparseTensorProto *sparse, pf_onnx_data *out, uint64_t *elems, pf_err *err)
{
    size_t   width = pf_dtype_bits(out->dtype) / 8;
    uint64_t count = 1;

    if (sparse->n_dims > PF_MAX_RANK)
        return PF_FAIL(err, PF_UNSUPPORTED, "a sparse tensor of rank %zu; up to %d are supported", sparse->n_dims,
                       PF_MAX_RANK);
    out->shape.rank = (int32_t)sparse->n_dims;
    for (size_t i = 0; i < sparse->n_dims; i++) {
        out->shape.dim[i] = sparse->dims[i];
        if (sparse->dims[i] < 0 || __builtin_mul_overflow(count, (uint64_t)sparse->dims[i], &count) ||
            count > PF_ONNX_DENSE_LIMIT_BYTES / width)
            return PF_FAIL(err, PF_INVALID, "a sparse tensor that would take more than 2 GiB");
    }
    *elems = count;
    out->bytes = count * width;
    return PF_OK;
}

static pf_status scatter(const pf_onnx_data *values, const pf_onnx_data *indices, uint64_t elems, pf_arena *arena,
                         pf_onnx_data *out, pf_err *err)
{
    size_t    width = pf_dtype_bits(out->dtype) / 8;
    uint8_t  *dense = pf_arena_alloc(arena, out->bytes ? out->bytes : 1);
    uint64_t  at = 0;
    pf_status st = PF_OK;

    if (!dense)
        return PF_FAIL_MEMORY(err, out->bytes);
    for (int64_t i = 0; !st && i < values->shape.dim[0]; i++) {
        st = dense_index(indices, &out->shape, (uint64_t)i, elems, &at, err);
        if (!st)
            memcpy(dense + at * width, (const uint8_t *)values->data + (uint64_t)i * width, width);
    }
    out->data = dense;
    return st;
}

pf_status pf_onnx_sparse_read(const Onnx__SparseTensorProto *sparse, pf_onnx_files *files, pf_arena *arena,
                              pf_onnx_data *out, pf_err *err)
{
    pf_onnx_data values = { 0 }, indices = { 0 };
    uint64_t     elems = 0;
    pf_status    st = PF_OK;

    memset(out, 0, sizeof *out);
    if (!sparse->values || !sparse->indices)
        return PF_FAIL(err, PF_INVALID, "a sparse tensor without values or indices");
    st = pf_onnx_tensor_read(sparse->values, files, arena, &values, err);
    if (!st)
        st = pf_onnx_tensor_read(sparse->indices, files, arena, &indices, err);
    if (!st)
        st = check_parts(sparse, &values, &indices, err);
    out->dtype = values.dtype;
    if (!st)
        st = dense_shape(sparse, out, &elems, err);
    return st ? st : scatter(&values, &indices, elems, arena, out, err);
}
