/* window and mel_weight_matrix: tables for audio, which depend on attributes alone. */
#include <math.h>
#include <stddef.h>

#include "engine/ops/infer.h"

static const char *const kinds[] = { "hann", "hamming", "blackman", NULL };
static const pf_attr_field window_fields[] = {
    PF_ATTR_ENUM_FIELD(pf_window_attrs, kind, kinds), PF_ATTR_FIELD(pf_window_attrs, dtype, DTYPE),
    PF_ATTR_FIELD(pf_window_attrs, symmetric, INT), PF_ATTR_FIELD(pf_window_attrs, size, DIMS), { NULL },
};
static const pf_attr_field mel_fields[] = {
    PF_ATTR_FIELD(pf_mel_weight_matrix_attrs, dtype, DTYPE), PF_ATTR_FIELD(pf_mel_weight_matrix_attrs, bins, INT),
    PF_ATTR_FIELD(pf_mel_weight_matrix_attrs, dft_length, INT),
    PF_ATTR_FIELD(pf_mel_weight_matrix_attrs, sample_rate, INT),
    PF_ATTR_FIELD(pf_mel_weight_matrix_attrs, lower_hertz, FLOAT),
    PF_ATTR_FIELD(pf_mel_weight_matrix_attrs, upper_hertz, FLOAT), { NULL },
};

static pf_status infer_window(pf_infer *infer, pf_err *err)
{
    const pf_window_attrs *a = infer->node->attrs;
    pf_shape               out = { .rank = 1 };
    pf_status              st = pf_infer_count("size", a->size.count, 1, err);

    if (!st)
        st = pf_infer_numeric_dtype(a->dtype, err);
    if (st)
        return st;
    out.dim[0] = a->size.at[0];
    pf_infer_set(infer, 0, (pf_dtype)a->dtype, &out);
    return pf_infer_check_out(infer, err);
}

/* a0 - a1 cos(t) + a2 cos(2 t): https://onnx.ai/onnx/operators/onnx__HammingWindow.html */
static const double terms[][3] = { { 0.5, 0.5, 0 }, { 25.0 / 46, 21.0 / 46, 0 }, { 0.42, 0.5, 0.08 } };

static pf_status reference_window(pf_reference_call *call, pf_err *err)
{
    const pf_window_attrs *a = call->attrs;
    pf_tensor             *y = &call->out[0];
    const double          *term = terms[a->kind];
    int64_t                size = y->dim[0], period = a->symmetric ? size - 1 : size;

    (void)err;
    for (int64_t i = 0; i < size; i++) {
        double t = period ? 2 * M_PI * (double)i / (double)period : 0;

        pf_dtype_set(y->dtype, y->data, (uint64_t)i, term[0] - term[1] * cos(t) + term[2] * cos(2 * t));
    }
    return PF_OK;
}

static pf_status infer_mel(pf_infer *infer, pf_err *err)
{
    const pf_mel_weight_matrix_attrs *a = infer->node->attrs;
    pf_shape                          out = { .rank = 2, .dim = { a->dft_length / 2 + 1, a->bins } };

    if (a->bins < 1 || a->dft_length < 1 || a->sample_rate < 1 || a->bins > 1 << 20 || a->dft_length > 1 << 24)
        return PF_FAIL(err, PF_INVALID, "%lld bins of a transform of %lld at %lld Hz", (long long)a->bins,
                       (long long)a->dft_length, (long long)a->sample_rate);
    pf_infer_set(infer, 0, (pf_dtype)a->dtype, &out);
    return pf_infer_numeric_dtype(a->dtype, err);
}

/* Which line of the spectrum the i-th corner of the triangles lies at. */
static int64_t corner(const pf_mel_weight_matrix_attrs *a, int64_t i)
{
    double low = 2595 * log10(1 + a->lower_hertz / 700), high = 2595 * log10(1 + a->upper_hertz / 700);
    double mel = (double)i * ((high - low) / (double)(a->bins + 2)) + low, hertz = 700 * (pow(10, mel / 2595) - 1);
    double line = floor((double)(a->dft_length + 1) * hertz / (double)a->sample_rate);
    double most = (double)(a->dft_length / 2);

    return line < 0 ? 0 : line > most ? (int64_t)most : (int64_t)line;
}

static double triangle(int64_t line, int64_t left, int64_t center, int64_t right)
{
    if (line < left || line > right || (line == right && line != center))
        return 0;
    if (line == center)
        return 1;
    return line < center ? (double)(line - left) / (double)(center - left)
                         : (double)(right - line) / (double)(right - center);
}

static pf_status reference_mel(pf_reference_call *call, pf_err *err)
{
    const pf_mel_weight_matrix_attrs *a = call->attrs;
    pf_tensor                        *y = &call->out[0];

    (void)err;
    for (int64_t m = 0; m < a->bins; m++)
        for (int64_t line = 0; line < y->dim[0]; line++)
            pf_dtype_set(y->dtype, y->data, (uint64_t)(line * a->bins + m),
                         triangle(line, corner(a, m), corner(a, m + 1), corner(a, m + 2)));
    return PF_OK;
}

const pf_op_def pf_op_window = {
    .name = "window", .klass = PF_CLASS_MOVE, .in_min = 0, .in_max = 0, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_window_attrs), .attr_fields = window_fields, .infer = infer_window,
    .reference = reference_window,
};
const pf_op_def pf_op_mel_weight_matrix = {
    .name = "mel_weight_matrix", .klass = PF_CLASS_MOVE, .in_min = 0, .in_max = 0, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_mel_weight_matrix_attrs), .attr_fields = mel_fields, .infer = infer_mel,
    .reference = reference_mel,
};
