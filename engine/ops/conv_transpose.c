/* conv_transpose: each input element adds its weights to the outputs it reaches.
   Sizes from https://onnx.ai/onnx/operators/onnx__ConvTranspose.html. */
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/product.h"
#include "engine/ops/rows.h"
#include "engine/ops/sliding.h"

static const char *const auto_pad_names[] = { "none", "same_upper", "same_lower", NULL };
static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_conv_transpose_attrs, strides, INTS), PF_ATTR_FIELD(pf_conv_transpose_attrs, dilations, INTS),
    PF_ATTR_FIELD(pf_conv_transpose_attrs, pads, INTS), PF_ATTR_FIELD(pf_conv_transpose_attrs, output_padding, INTS),
    PF_ATTR_FIELD(pf_conv_transpose_attrs, output_shape, DIMS), PF_ATTR_FIELD(pf_conv_transpose_attrs, groups, INT),
    PF_ATTR_ENUM_FIELD(pf_conv_transpose_attrs, auto_pad, auto_pad_names), { NULL },
};

static bool has_pads(const pf_conv_transpose_attrs *a)
{
    return a->output_shape.count == 0 && a->auto_pad == PF_AUTO_PAD_NONE;
}

static pf_status check_lists(const pf_conv_transpose_attrs *a, int32_t spatial, pf_err *err)
{
    pf_status st = pf_infer_positive("strides", &a->strides, spatial, err);

    if (!st)
        st = pf_infer_positive("dilations", &a->dilations, spatial, err);
    if (!st)
        st = pf_infer_count("output_padding", a->output_padding.count, spatial, err);
    if (!st && has_pads(a))
        st = pf_infer_count("pads", a->pads.count, 2 * spatial, err);
    if (!st && a->output_shape.count)
        st = pf_infer_count("output_shape", a->output_shape.count, spatial, err);
    if (!st && a->groups < 1)
        st = PF_FAIL(err, PF_INVALID, "groups is %lld", (long long)a->groups);
    return st;
}

static pf_dim out_dim(pf_dims *dims, const pf_conv_transpose_attrs *a, int32_t d, int32_t spatial, pf_dim in,
                      pf_dim kernel)
{
    pf_dim full = 0, reach = 0;

    if (a->output_shape.count)
        return a->output_shape.at[d];
    if (a->auto_pad != PF_AUTO_PAD_NONE)
        return pf_dim_mul(dims, in, a->strides.at[d]);
    reach = pf_dim_add(dims, pf_dim_mul(dims, pf_dim_sub(dims, kernel, 1), a->dilations.at[d]), 1);
    full = pf_dim_add(dims, pf_dim_mul(dims, pf_dim_sub(dims, in, 1), a->strides.at[d]), reach);
    return pf_dim_add(dims, full, a->output_padding.at[d] - a->pads.at[d] - a->pads.at[d + spatial]);
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_conv_transpose_attrs *a = infer->node->attrs;
    const pf_value                *x = pf_infer_in(infer, 0), *w = pf_infer_in(infer, 1);
    pf_dims                       *dims = infer->graph->dims;
    pf_status                      st = pf_infer_rank(infer, 0, 3, PF_MAX_RANK, err);
    pf_shape                       out = { 0 };

    if (!st)
        st = pf_infer_rank(infer, 1, x->shape.rank, x->shape.rank, err);
    if (!st)
        st = check_lists(a, x->shape.rank - 2, err);
    if (!st)
        st = pf_infer_float(infer, 0, err);
    if (!st)
        st = pf_infer_same_dtype(infer, 0, 1, err);
    if (!st)
        st = pf_infer_dims_agree(infer, x->shape.dim[1], w->shape.dim[0], "channels of input and weights", err);
    if (st)
        return st;
    out = x->shape;
    out.dim[1] = pf_dim_mul(dims, w->shape.dim[1], a->groups);
    for (int32_t d = 2; d < out.rank; d++)
        out.dim[d] = out_dim(dims, a, d - 2, out.rank - 2, x->shape.dim[d], w->shape.dim[d]);
    pf_infer_set(infer, 0, x->dtype, &out);
    st = pf_infer_vector(infer, 2, out.dim[1], "bias", err);
    return st ? st : pf_infer_check_out(infer, err);
}

/* The padding at the beginning of dim d. */
static int64_t begin_of(const pf_conv_transpose_attrs *a, const pf_reference_call *call, int32_t d)
{
    int64_t in = call->in[0].dim[d + 2], out = call->out[0].dim[d + 2], total = 0;

    if (has_pads(a))
        return a->pads.at[d];
    total = (in - 1) * a->strides.at[d] + a->output_padding.at[d] + (call->in[1].dim[d + 2] - 1) * a->dilations.at[d] +
            1 - out;
    total = total < 0 ? 0 : total;
    return a->auto_pad == PF_AUTO_PAD_SAME_UPPER ? total / 2 : total - total / 2;
}

/* The convolution whose gradient this is: its input is our output. */
static void mirror(const pf_reference_call *call, pf_sliding *s)
{
    const pf_conv_transpose_attrs *a = call->attrs;

    memset(s, 0, sizeof *s);
    s->spatial = call->in[0].rank - 2;
    s->in_elems = s->out_elems = s->kernel_elems = 1;
    for (int32_t d = 0; d < s->spatial; d++) {
        s->in[d] = call->out[0].dim[d + 2];
        s->out[d] = call->in[0].dim[d + 2];
        s->kernel[d] = call->in[1].dim[d + 2];
        s->stride[d] = a->strides.at[d];
        s->dilation[d] = a->dilations.at[d];
        s->begin[d] = begin_of(a, call, d);
        s->in_elems *= s->in[d];
        s->out_elems *= s->out[d];
        s->kernel_elems *= s->kernel[d];
    }
}

/* Adds the rows of `matrix` ([channels * kernel_elems, out_elems]) to the places they came from: the reverse of
   pf_sliding_unfold. */
static void fold_channel(const pf_sliding *s, const double *matrix, int64_t channel, double *y)
{
    for (int64_t row = channel * s->kernel_elems; row < (channel + 1) * s->kernel_elems; row++) {
        int64_t k[PF_SLIDING_DIMS] = { 0 };

        pf_sliding_position(s, row % s->kernel_elems, s->kernel, k);
        for (int64_t o = 0; o < s->out_elems; o++) {
            int64_t index[PF_SLIDING_DIMS] = { 0 }, at = 0;
            bool    inside = true;

            pf_sliding_position(s, o, s->out, index);
            for (int32_t d = 0; d < s->spatial; d++) {
                int64_t i = index[d] * s->stride[d] - s->begin[d] + k[d] * s->dilation[d];

                inside = inside && i >= 0 && i < s->in[d];
                at = at * s->in[d] + i;
            }
            if (inside)
                y[row / s->kernel_elems * s->in_elems + at] += matrix[row * s->out_elems + o];
        }
    }
}

static void fold(const pf_sliding *s, const double *matrix, int64_t channels, double *y)
{
#pragma omp parallel for schedule(static) if (channels * s->kernel_elems * s->out_elems > PF_ROWS_ALONE)
    for (int64_t channel = 0; channel < channels; channel++)
        fold_channel(s, matrix, channel, y);
}

typedef struct job {
    pf_sliding s;
    int64_t    groups, c, m;                    /* per group: input and output channels */
    double    *x, *w_transposed, *y, *matrix;   /* owned; w_transposed: per group [m * kernel_elems, c] */
} job;

static void transpose_weights(job *j, const pf_tensor *w)
{
    int64_t rows = j->m * j->s.kernel_elems;

    for (int64_t g = 0; g < j->groups; g++)
        for (int64_t c = 0; c < j->c; c++)
            for (int64_t r = 0; r < rows; r++)
                j->w_transposed[(g * rows + r) * j->c + c] = pf_dtype_get(w->dtype, w->data,
                                                                          (uint64_t)((g * j->c + c) * rows + r));
}

static void run_image(job *j, const pf_reference_call *call, int64_t n)
{
    int64_t          rows = j->m * j->s.kernel_elems, in = j->groups * j->c * j->s.out_elems,
                     out = j->groups * j->m * j->s.in_elems;
    const pf_tensor *bias = call->in_count > 2 && call->in[2].data ? &call->in[2] : NULL;

    pf_rows_read(call->in[0].dtype, call->in[0].data, n * in, 1, in, j->x);
    for (int64_t i = 0; i < out; i++)
        j->y[i] = bias ? pf_dtype_get(bias->dtype, bias->data, (uint64_t)(i / j->s.in_elems)) : 0;
    for (int64_t g = 0; g < j->groups; g++) {
        memset(j->matrix, 0, (size_t)(rows * j->s.out_elems) * sizeof *j->matrix);
        pf_product(rows, j->s.out_elems, j->c, j->w_transposed + g * rows * j->c, j->c,
                   j->x + g * j->c * j->s.out_elems, j->s.out_elems, j->matrix, j->s.out_elems);
        fold(&j->s, j->matrix, j->m, j->y + g * j->m * j->s.in_elems);
    }
    pf_rows_write(call->out[0].dtype, call->out[0].data, n * out, out, j->y);
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_conv_transpose_attrs *a = call->attrs;
    job                            j = { .groups = a->groups, .c = call->in[0].dim[1] / a->groups,
                                         .m = call->in[1].dim[1] };
    pf_status                      st = PF_OK;

    if (call->in[0].dim[1] % a->groups || call->in[1].dim[0] != call->in[0].dim[1])
        return PF_FAIL(err, PF_INVALID, "%lld channels do not fit the weights and %lld groups",
                       (long long)call->in[0].dim[1], (long long)a->groups);
    st = pf_rows_need(call, 2, call->out[0].dim[1], "bias", err);
    if (st)
        return st;
    mirror(call, &j.s);
    j.x = pf_rows_new(j.groups * j.c * j.s.out_elems);
    j.w_transposed = pf_rows_new(pf_tensor_elems(&call->in[1]));
    j.y = pf_rows_new(j.groups * j.m * j.s.in_elems);
    j.matrix = pf_rows_new(j.m * j.s.kernel_elems * j.s.out_elems);
    if (!j.x || !j.w_transposed || !j.y || !j.matrix)
        st = PF_FAIL_MEMORY(err, j.m * j.s.kernel_elems * j.s.out_elems * 8);
    else
        transpose_weights(&j, &call->in[1]);
    for (int64_t n = 0; n < call->in[0].dim[0] && !st; n++)
        run_image(&j, call, n);
    pf_free(j.x);
    pf_free(j.w_transposed);
    pf_free(j.y);
    pf_free(j.matrix);
    return st;
}

const pf_op_def pf_op_conv_transpose = {
    .name = "conv_transpose", .klass = PF_CLASS_ANCHOR, .in_min = 2, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_conv_transpose_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
