#include "engine/ops/broadcast.h"

#include <string.h>

pf_status pf_broadcast_dims(const pf_tensor *in, uint32_t count, int32_t *rank, int64_t *dim, pf_err *err)
{
    *rank = 0;
    for (uint32_t i = 0; i < count; i++)
        *rank = in[i].rank > *rank ? in[i].rank : *rank;
    for (int32_t d = 0; d < *rank; d++) {
        dim[d] = 1;
        for (uint32_t i = 0; i < count; i++) {
            int32_t own = d - (*rank - in[i].rank);
            int64_t size = own < 0 ? 1 : in[i].dim[own];

            if (size != 1 && dim[d] != 1 && size != dim[d])
                return PF_FAIL(err, PF_INVALID, "sizes %lld and %lld do not broadcast", (long long)size,
                               (long long)dim[d]);
            dim[d] = dim[d] == 1 ? size : dim[d];
        }
    }
    return PF_OK;
}

static pf_status operand_strides(const pf_tensor *t, int32_t rank, const int64_t *dim, int64_t *stride, pf_err *err)
{
    int64_t dense = 1;

    if (t->rank > rank)
        return PF_FAIL(err, PF_INVALID, "a tensor of rank %d does not broadcast to rank %d", t->rank, rank);
    for (int32_t d = rank - 1; d >= 0; d--) {
        int32_t own = d - (rank - t->rank);
        int64_t size = own < 0 ? 1 : t->dim[own];

        if (size != 1 && size != dim[d])
            return PF_FAIL(err, PF_INVALID, "size %lld does not broadcast to %lld", (long long)size, (long long)dim[d]);
        stride[d] = size == 1 ? 0 : dense;
        dense *= size;
    }
    return PF_OK;
}

static bool mergeable(const pf_broadcast *w, int32_t outer, int64_t inner_dim, int32_t inner)
{
    for (uint32_t i = 0; i < w->operands; i++)
        if (w->stride[i][outer] != w->stride[i][inner] * inner_dim)
            return false;
    return true;
}

/* Merges from the innermost dim outwards, in place at the back, then moves to the front. */
static void merge(pf_broadcast *w)
{
    int32_t at = w->rank - 1;

    for (int32_t d = w->rank - 2; d >= 0; d--) {
        if (w->dim[d] == 1)
            continue;
        if (w->dim[at] == 1 || mergeable(w, d, w->dim[at], at)) {
            bool take = w->dim[at] == 1;

            w->dim[at] *= w->dim[d];
            for (uint32_t i = 0; i < w->operands && take; i++)
                w->stride[i][at] = w->stride[i][d];
            continue;
        }
        at--;
        w->dim[at] = w->dim[d];
        for (uint32_t i = 0; i < w->operands; i++)
            w->stride[i][at] = w->stride[i][d];
    }
    w->rank -= at;
    memmove(w->dim, w->dim + at, (size_t)w->rank * sizeof *w->dim);
    for (uint32_t i = 0; i < w->operands; i++)
        memmove(w->stride[i], w->stride[i] + at, (size_t)w->rank * sizeof **w->stride);
}

pf_status pf_broadcast_begin(pf_broadcast *walk, int32_t rank, const int64_t *dim, const pf_tensor *const *operand,
                             uint32_t operands, pf_err *err)
{
    pf_status st = PF_OK;

    memset(walk, 0, sizeof *walk);
    walk->operands = operands;
    walk->rank = rank;
    memcpy(walk->dim, dim, (size_t)rank * sizeof *dim);
    for (uint32_t i = 0; i < operands && !st; i++)
        st = operand_strides(operand[i], rank, dim, walk->stride[i], err);
    if (st)
        return st;
    if (rank == 0) {
        walk->rank = 1;
        walk->dim[0] = 1;
        return PF_OK;
    }
    merge(walk);
    return PF_OK;
}

bool pf_broadcast_any(const pf_broadcast *walk)
{
    for (int32_t d = 0; d < walk->rank; d++)
        if (walk->dim[d] <= 0)
            return false;
    return true;
}

bool pf_broadcast_next(pf_broadcast *walk)
{
    for (int32_t d = walk->rank - 2; d >= 0; d--) {
        walk->index[d]++;
        for (uint32_t i = 0; i < walk->operands; i++)
            walk->at[i] += walk->stride[i][d];
        if (walk->index[d] < walk->dim[d])
            return true;
        for (uint32_t i = 0; i < walk->operands; i++)
            walk->at[i] -= walk->index[d] * walk->stride[i][d];
        walk->index[d] = 0;
    }
    return false;
}

int64_t pf_broadcast_rows(const pf_broadcast *walk)
{
    int64_t rows = 1;

    for (int32_t d = 0; d < walk->rank - 1; d++)
        rows *= walk->dim[d];
    return rows;
}

void pf_broadcast_seek(pf_broadcast *walk, int64_t row)
{
    for (uint32_t i = 0; i < walk->operands; i++)
        walk->at[i] = 0;
    for (int32_t d = walk->rank - 2; d >= 0; d--) {
        walk->index[d] = row % walk->dim[d];
        row /= walk->dim[d];
        for (uint32_t i = 0; i < walk->operands; i++)
            walk->at[i] += walk->index[d] * walk->stride[i][d];
    }
}
