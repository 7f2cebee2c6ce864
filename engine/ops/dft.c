/* dft and stft.  The last dim holds the real or the real and imaginary parts.
   Rules from https://onnx.ai/onnx/operators/onnx__DFT.html and onnx__STFT.html. */
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/fourier.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

static const pf_attr_field dft_fields[] = {
    PF_ATTR_FIELD(pf_dft_attrs, axis, INT), PF_ATTR_FIELD(pf_dft_attrs, inverse, INT),
    PF_ATTR_FIELD(pf_dft_attrs, onesided, INT), PF_ATTR_FIELD(pf_dft_attrs, length, DIMS), { NULL },
};
static const pf_attr_field stft_fields[] = {
    PF_ATTR_FIELD(pf_stft_attrs, frame_step, INT), PF_ATTR_FIELD(pf_stft_attrs, frame_length, INT),
    PF_ATTR_FIELD(pf_stft_attrs, onesided, INT), { NULL },
};

/* The input is half a spectrum and the result is real. */
static bool gives_reals(const pf_dft_attrs *a) { return a->inverse && a->onesided; }

static pf_status check_parts(const pf_infer *infer, int32_t rank, pf_err *err)
{
    pf_dim parts = pf_infer_in(infer, 0)->shape.dim[rank - 1];

    if (parts != 1 && parts != 2)
        return PF_FAIL(err, PF_INVALID, "the last dim is neither 1 (real) nor 2 (complex)");
    return pf_infer_float(infer, 0, err);
}

static pf_status infer_dft(pf_infer *infer, pf_err *err)
{
    const pf_dft_attrs *a = infer->node->attrs;
    const pf_value     *x = pf_infer_in(infer, 0);
    pf_dims            *dims = infer->graph->dims;
    pf_status           st = pf_infer_rank(infer, 0, 2, PF_MAX_RANK, err);
    pf_dim              length = 0;
    pf_shape            out = { 0 };

    if (!st)
        st = pf_infer_axis(a->axis, x->shape.rank - 1, err);
    if (!st)
        st = check_parts(infer, x->shape.rank, err);
    if (!st && a->length.count > 1)
        st = pf_infer_count("length", a->length.count, 1, err);
    if (st)
        return st;
    out = x->shape;
    length = a->length.count  ? a->length.at[0]
             : gives_reals(a) ? pf_dim_mul(dims, 2, pf_dim_sub(dims, out.dim[a->axis], 1))
                              : out.dim[a->axis];
    out.dim[a->axis] = a->onesided && !a->inverse ? pf_dim_add(dims, pf_dim_floor_div(dims, length, 2), 1) : length;
    out.dim[out.rank - 1] = gives_reals(a) ? 1 : 2;
    pf_infer_set(infer, 0, x->dtype, &out);
    return pf_infer_check_out(infer, err);
}

static pf_status infer_stft(pf_infer *infer, pf_err *err)
{
    const pf_stft_attrs *a = infer->node->attrs;
    const pf_value      *x = pf_infer_in(infer, 0);
    pf_dims             *dims = infer->graph->dims;
    pf_status            st = pf_infer_rank(infer, 0, 3, 3, err);
    pf_shape             out = { .rank = 4 };

    if (!st)
        st = check_parts(infer, 3, err);
    if (!st && (a->frame_step < 1 || a->frame_length < 1))
        st = PF_FAIL(err, PF_INVALID, "frames of %lld at steps of %lld", (long long)a->frame_length,
                     (long long)a->frame_step);
    if (!st)
        st = pf_infer_vector(infer, 1, a->frame_length, "window", err);
    if (st)
        return st;
    out.dim[0] = x->shape.dim[0];
    out.dim[1] = pf_dim_add(dims,
                            pf_dim_floor_div(dims, pf_dim_sub(dims, x->shape.dim[1], a->frame_length), a->frame_step),
                            1);
    out.dim[2] = a->onesided ? a->frame_length / 2 + 1 : a->frame_length;
    out.dim[3] = 2;
    pf_infer_set(infer, 0, x->dtype, &out);
    return pf_infer_check_out(infer, err);
}

/* Room for one line: its elements, its transform and the table; all of n. */
static pf_complex *new_work(int64_t n, pf_complex **out, pf_complex **table, pf_err *err)
{
    pf_complex *work = pf_calloc((size_t)n * 3 + 1, sizeof *work);

    if (!work) {
        PF_FAIL_MEMORY(err, (size_t)n * 3 * sizeof *work);
        return NULL;
    }
    *out = work + n;
    *table = work + 2 * n;
    pf_fourier_table(n, *table);
    return work;
}

static pf_complex read_complex(const pf_tensor *x, int64_t i)
{
    int64_t    parts = x->dim[x->rank - 1];
    pf_complex c = { pf_dtype_get(x->dtype, x->data, (uint64_t)(i * parts)), 0 };

    if (parts == 2)
        c.im = pf_dtype_get(x->dtype, x->data, (uint64_t)(i * parts + 1));
    return c;
}

static void write_complex(pf_tensor *y, int64_t i, pf_complex c)
{
    int64_t parts = y->dim[y->rank - 1];

    pf_dtype_set(y->dtype, y->data, (uint64_t)(i * parts), c.re);
    if (parts == 2)
        pf_dtype_set(y->dtype, y->data, (uint64_t)(i * parts + 1), c.im);
}

/* The other half of the spectrum of a real signal mirrors the first; its ends are real. */
static void mirror(pf_complex *line, int64_t n)
{
    line[0].im = 0;
    if (n % 2 == 0 && n > 0)
        line[n / 2].im = 0;
    for (int64_t k = n / 2 + 1; k < n; k++)
        line[k] = (pf_complex){ line[n - k].re, -line[n - k].im };
}

static pf_status reference_dft(pf_reference_call *call, pf_err *err)
{
    const pf_dft_attrs *a = call->attrs;
    const pf_tensor    *x = &call->in[0];
    pf_tensor          *y = &call->out[0];
    int64_t             inner = 1, size = x->dim[a->axis], bins = y->dim[a->axis], n = bins, lines = 1;
    pf_complex         *out = NULL, *table = NULL, *line = NULL;

    if (a->onesided && !a->inverse)
        n = a->length.count ? a->length.at[0] : size;
    for (int32_t d = 0; d < x->rank - 1; d++) {
        inner *= d > a->axis ? x->dim[d] : 1;
        lines *= d != a->axis ? x->dim[d] : 1;
    }
    line = new_work(n, &out, &table, err);
    if (!line)
        return PF_NO_SPACE;
    for (int64_t l = 0; l < lines; l++) {
        for (int64_t i = 0; i < n; i++)
            line[i] = i < size ? read_complex(x, (l / inner * size + i) * inner + l % inner) : (pf_complex){ 0, 0 };
        if (gives_reals(a))
            mirror(line, n);
        pf_fourier(line, n, table, a->inverse != 0, out, bins);
        for (int64_t k = 0; k < bins; k++)
            write_complex(y, (l / inner * bins + k) * inner + l % inner, out[k]);
    }
    pf_free(line);
    return PF_OK;
}

static pf_status reference_stft(pf_reference_call *call, pf_err *err)
{
    const pf_stft_attrs *a = call->attrs;
    const pf_tensor     *x = &call->in[0], *window = call->in_count > 1 && call->in[1].data ? &call->in[1] : NULL;
    pf_tensor           *y = &call->out[0];
    int64_t              n = a->frame_length, frames = y->dim[1], bins = y->dim[2];
    pf_complex          *out = NULL, *table = NULL, *line = NULL;
    pf_status            st = pf_rows_need(call, 1, n, "window", err);

    if (st)
        return st;
    line = new_work(n, &out, &table, err);
    if (!line)
        return PF_NO_SPACE;
    for (int64_t f = 0; f < x->dim[0] * frames; f++) {
        for (int64_t i = 0; i < n; i++) {
            double weight = window ? pf_dtype_get(window->dtype, window->data, (uint64_t)i) : 1;

            line[i] = read_complex(x, f / frames * x->dim[1] + f % frames * a->frame_step + i);
            line[i] = (pf_complex){ line[i].re * weight, line[i].im * weight };
        }
        pf_fourier(line, n, table, false, out, bins);
        for (int64_t k = 0; k < bins; k++)
            write_complex(y, f * bins + k, out[k]);
    }
    pf_free(line);
    return PF_OK;
}

const pf_op_def pf_op_dft = {
    .name = "dft", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_dft_attrs), .attr_fields = dft_fields, .infer = infer_dft, .reference = reference_dft,
};
const pf_op_def pf_op_stft = {
    .name = "stft", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_stft_attrs), .attr_fields = stft_fields, .infer = infer_stft, .reference = reference_stft,
};
