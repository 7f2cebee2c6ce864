/* rotary_embedding: pairs of elements of a head turn by an angle that depends on the position. */
#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

enum { X, COS, SIN, POSITIONS };

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_rotary_embedding_attrs, interleaved, INT),
    PF_ATTR_FIELD(pf_rotary_embedding_attrs, rotary_dim, INT), { NULL },
};

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_rotary_embedding_attrs *attrs = infer->node->attrs;
    int32_t                          cache_rank = pf_infer_in(infer, POSITIONS) ? 2 : 3;
    pf_status                        st = pf_infer_rank(infer, X, 4, 4, err);
    pf_dim                           depth = 0;

    if (!st)
        st = pf_infer_rank(infer, COS, cache_rank, cache_rank, err);
    if (!st)
        st = pf_infer_rank(infer, SIN, cache_rank, cache_rank, err);
    if (!st && pf_infer_in(infer, POSITIONS))
        st = pf_infer_rank(infer, POSITIONS, 2, 2, err);
    if (!st)
        st = pf_infer_float(infer, X, err);
    if (st)
        return st;
    depth = pf_infer_in(infer, X)->shape.dim[3];
    if (attrs->rotary_dim < 0 || attrs->rotary_dim % 2 ||
        (pf_dim_is_number(depth) && (attrs->rotary_dim > depth || (!attrs->rotary_dim && depth % 2))))
        return PF_FAIL(err, PF_INVALID, "%lld elements of a head cannot be turned in pairs",
                       (long long)attrs->rotary_dim);
    pf_infer_like(infer, X);
    return PF_OK;
}

/* Row of the caches for position s of batch b; -1 when a position id is outside of them. */
static int64_t cache_row(const pf_reference_call *call, int64_t b, int64_t s, int64_t length)
{
    int64_t row = b * length + s;

    if (call->in_count > POSITIONS && call->in[POSITIONS].data) {
        row = pf_dtype_get_i64(call->in[POSITIONS].dtype, call->in[POSITIONS].data, (uint64_t)row);
        return row >= 0 && row < call->in[COS].dim[0] ? row : -1;
    }
    return row;
}

static void turn(double *x, const pf_reference_call *call, int64_t row, int64_t rotary, bool interleaved)
{
    for (int64_t i = 0; i < rotary / 2; i++) {
        double *a = &x[interleaved ? 2 * i : i], *b = &x[interleaved ? 2 * i + 1 : i + rotary / 2], re = *a, im = *b;
        double  c = pf_dtype_get(call->in[COS].dtype, call->in[COS].data, (uint64_t)(row * (rotary / 2) + i));
        double  s = pf_dtype_get(call->in[SIN].dtype, call->in[SIN].data, (uint64_t)(row * (rotary / 2) + i));

        *a = c * re - s * im;
        *b = s * re + c * im;
    }
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_rotary_embedding_attrs *attrs = call->attrs;
    const int64_t                   *dim = call->in[X].dim;
    int64_t                          rotary = attrs->rotary_dim ? attrs->rotary_dim : dim[3],
                                     half = call->in[COS].dim[call->in[COS].rank - 1];
    bool                             outside = false;
    double                          *x = NULL;
    pf_status                        st = PF_OK;

    if (call->in_count <= POSITIONS || !call->in[POSITIONS].data)
        st = pf_rows_need(call, COS, dim[0] * dim[2] * half, "the cosine cache", err);
    if (!st)
        st = pf_rows_need(call, POSITIONS, dim[0] * dim[2], "position_ids", err);
    if (!st)
        st = pf_rows_need(call, SIN, pf_tensor_elems(&call->in[COS]), "the sine cache", err);
    if (st)
        return st;
    if (rotary > dim[3] || rotary % 2)
        return PF_FAIL(err, PF_INVALID, "%lld of %lld elements cannot be turned in pairs", (long long)rotary,
                       (long long)dim[3]);
    if (half != rotary / 2)
        return PF_FAIL(err, PF_INVALID, "caches of %lld columns for %lld pairs", (long long)half,
                       (long long)(rotary / 2));
    x = pf_rows_doubles(&call->in[X]);
    if (!x)
        return PF_FAIL_MEMORY(err, call->in[X].bytes * 2);
#pragma omp parallel for schedule(static) reduction(|| : outside) if (pf_tensor_elems(&call->in[X]) > PF_ROWS_ALONE)
    for (int64_t i = 0; i < dim[0] * dim[1] * dim[2]; i++) {
        int64_t row = cache_row(call, i / (dim[1] * dim[2]), i % dim[2], dim[2]);

        outside = outside || row < 0;
        if (row >= 0)
            turn(x + i * dim[3], call, row, rotary, attrs->interleaved != 0);
    }
    if (outside)
        st = PF_FAIL(err, PF_INVALID, "a position id lies outside of the caches");
    if (!st)
        pf_rows_store(&call->out[0], x);
    pf_free(x);
    return st;
}

const pf_op_def pf_op_rotary_embedding = {
    .name = "rotary_embedding", .klass = PF_CLASS_ANCHOR, .in_min = 3, .in_max = 4, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_rotary_embedding_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
