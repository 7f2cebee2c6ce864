/* det: determinants of square matrices, by elimination with row pivots. */
#include <math.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_value *x = pf_infer_in(infer, 0);
    pf_status       st = pf_infer_rank(infer, 0, 2, PF_MAX_RANK, err);
    pf_shape        out = { 0 };

    if (!st)
        st = pf_infer_float(infer, 0, err);
    if (!st)
        st = pf_infer_dims_agree(infer, x->shape.dim[x->shape.rank - 1], x->shape.dim[x->shape.rank - 2],
                                 "rows and columns", err);
    if (st)
        return st;
    out = pf_infer_shape(x->shape.rank - 2, x->shape.dim);
    pf_infer_set(infer, 0, x->dtype, &out);
    return PF_OK;
}

static void swap_rows(double *m, int64_t n, int64_t a, int64_t b)
{
    for (int64_t c = 0; c < n; c++) {
        double held = m[a * n + c];

        m[a * n + c] = m[b * n + c];
        m[b * n + c] = held;
    }
}

static double determinant(double *m, int64_t n)
{
    double det = 1;

    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = k;

        for (int64_t r = k + 1; r < n; r++)
            pivot = fabs(m[r * n + k]) > fabs(m[pivot * n + k]) ? r : pivot;
        if (m[pivot * n + k] == 0)
            return 0;
        if (pivot != k) {
            swap_rows(m, n, pivot, k);
            det = -det;
        }
        det *= m[k * n + k];
        for (int64_t r = k + 1; r < n; r++) {
            double factor = m[r * n + k] / m[k * n + k];

            for (int64_t c = k; c < n; c++)
                m[r * n + c] -= factor * m[k * n + c];
        }
    }
    return det;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_tensor *x = &call->in[0];
    pf_tensor       *y = &call->out[0];
    int64_t          n = x->dim[x->rank - 1];
    double          *m = pf_rows_doubles(x);

    if (!m)
        return PF_FAIL_MEMORY(err, x->bytes * 2);
    for (int64_t i = 0, count = pf_tensor_elems(y); i < count; i++)
        pf_dtype_set(y->dtype, y->data, (uint64_t)i, determinant(m + i * n * n, n));
    pf_free(m);
    return PF_OK;
}

const pf_op_def pf_op_det = {
    .name = "det", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .infer = infer, .reference = reference,
};
