#include "engine/ops/rows.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/op.h"

void pf_rows_read(pf_dtype dtype, const void *data, int64_t at, int64_t step, int64_t count, double *out)
{
    uint32_t bits = pf_dtype_bits(dtype);

    if (step == 1 && bits >= 8) {
        pf_dtype_convert(dtype, (const uint8_t *)data + at * (int64_t)(bits / 8), PF_F64, out, (uint64_t)count);
        return;
    }
    if (step == 0) {
        double value = count > 0 ? pf_dtype_get(dtype, data, (uint64_t)at) : 0;

        for (int64_t i = 0; i < count; i++)
            out[i] = value;
        return;
    }
    if (dtype == PF_F32) {
        const float *in = (const float *)data + at;

        for (int64_t i = 0; i < count; i++)
            out[i] = in[i * step];
        return;
    }
    for (int64_t i = 0; i < count; i++)
        out[i] = pf_dtype_get(dtype, data, (uint64_t)(at + i * step));
}

void pf_rows_write(pf_dtype dtype, void *data, int64_t at, int64_t count, const double *in)
{
    uint32_t bits = pf_dtype_bits(dtype);

    if (bits >= 8) {
        pf_dtype_convert(PF_F64, in, dtype, (uint8_t *)data + at * (int64_t)(bits / 8), (uint64_t)count);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        pf_dtype_set(dtype, data, (uint64_t)(at + i), in[i]);
}

void pf_rows_read_i64(pf_dtype dtype, const void *data, int64_t at, int64_t step, int64_t count, int64_t *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = pf_dtype_get_i64(dtype, data, (uint64_t)(at + i * step));
}

void pf_rows_write_i64(pf_dtype dtype, void *data, int64_t at, int64_t count, const int64_t *in)
{
    for (int64_t i = 0; i < count; i++)
        pf_dtype_set_i64(dtype, data, (uint64_t)(at + i), in[i]);
}

double *pf_rows_new(int64_t count)
{
    double *out = pf_calloc((size_t)(count > 0 ? count : 1), sizeof *out);

    pf_alloc_expect_filling(out, (size_t)(count > 0 ? count : 0) * sizeof *out);
    return out;
}

/* Elements that one thread converts at a time: whole bytes of any type. */
enum { PART = 1 << 14 };

double *pf_rows_doubles(const pf_tensor *tensor)
{
    int64_t count = pf_tensor_elems(tensor);
    double *out = pf_rows_new(count);

#pragma omp parallel for schedule(static) if (out && count > PF_ROWS_ALONE)
    for (int64_t from = 0; from < count; from += PART)
        if (out)
            pf_rows_read(tensor->dtype, tensor->data, from, 1, count - from < PART ? count - from : PART, out + from);
    return out;
}

void pf_rows_store(pf_tensor *out, const double *in)
{
    int64_t count = pf_tensor_elems(out);

#pragma omp parallel for schedule(static) if (count > PF_ROWS_ALONE)
    for (int64_t from = 0; from < count; from += PART)
        pf_rows_write(out->dtype, out->data, from, count - from < PART ? count - from : PART, in + from);
}

pf_status pf_rows_size(pf_tensor *out, int32_t rank, const int64_t *dim, pf_err *err)
{
    if (!out->data) {
        out->rank = rank;
        memcpy(out->dim, dim, (size_t)rank * sizeof *dim);
        return pf_tensor_alloc(out, err);
    }
    if (out->rank != rank)
        return PF_FAIL(err, PF_INVALID, "the result has rank %d where %d was inferred", rank, out->rank);
    for (int32_t d = 0; d < rank; d++)
        if (out->dim[d] != dim[d])
            return PF_FAIL(err, PF_INVALID,
                           "dim %d of the result is %lld and was taken to be %lld: sizes that the network leaves open "
                           "have to be equal where they meet", d, (long long)dim[d], (long long)out->dim[d]);
    return PF_OK;
}

pf_status pf_rows_need(const pf_reference_call *call, uint32_t slot, int64_t elems, const char *what, pf_err *err)
{
    if (slot >= call->in_count || !call->in[slot].data || pf_tensor_elems(&call->in[slot]) == elems)
        return PF_OK;
    return PF_FAIL(err, PF_INVALID, "%s has %lld elements where %lld are needed", what,
                   (long long)pf_tensor_elems(&call->in[slot]), (long long)elems);
}
