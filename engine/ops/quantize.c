/* quantize_linear, dequantize_linear, dynamic_quantize_linear.
   Rules from https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html. */
#include <math.h>
#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/narrow.h"
#include "engine/ops/rows.h"

enum { X, SCALE, ZERO, PARALLEL_FROM = 1 << 14 };

static const char *const overflow_names[] = { "saturate", "infinity", NULL };
static const pf_attr_field quantize_fields[] = {
    PF_ATTR_FIELD(pf_quantize_linear_attrs, dtype, DTYPE),
    PF_ATTR_ENUM_FIELD(pf_quantize_linear_attrs, overflow, overflow_names),
    PF_ATTR_FIELD(pf_quantize_linear_attrs, axis, INT), PF_ATTR_FIELD(pf_quantize_linear_attrs, block_size, INT),
    { NULL },
};
static const pf_attr_field dequantize_fields[] = {
    PF_ATTR_FIELD(pf_dequantize_linear_attrs, dtype, DTYPE), PF_ATTR_FIELD(pf_dequantize_linear_attrs, axis, INT),
    PF_ATTR_FIELD(pf_dequantize_linear_attrs, block_size, INT), { NULL },
};

/* Scale and zero point are for the tensor, for each index of axis, or for each block along axis. */
static pf_status check_scale(const pf_infer *infer, uint32_t slot, int64_t axis, int64_t block, pf_err *err)
{
    const pf_shape *x = &pf_infer_in(infer, X)->shape,
                   *s = pf_infer_in(infer, slot) ? &pf_infer_in(infer, slot)->shape : NULL;
    pf_status       st = PF_OK;

    if (!s || s->rank == 0 || (s->rank == 1 && s->dim[0] == 1 && block == 0))
        return PF_OK;
    st = pf_infer_axis(axis, x->rank, err);
    if (!st && block == 0)
        return pf_infer_vector(infer, slot, x->dim[axis], "the scale", err);
    if (!st && s->rank != x->rank)
        st = PF_FAIL(err, PF_INVALID, "scales of blocks have rank %d where %d is needed", s->rank, x->rank);
    for (int32_t d = 0; d < x->rank && !st; d++) {
        pf_dim want = d == axis ? pf_dim_ceil_div(infer->graph->dims, x->dim[d], block) : x->dim[d];

        st = pf_infer_dims_agree(infer, s->dim[d], want, "the scales of blocks", err);
    }
    return st;
}

static pf_status infer_linear(pf_infer *infer, int32_t dtype, int64_t axis, int64_t block, pf_err *err)
{
    pf_status st = pf_infer_rank(infer, X, 0, PF_MAX_RANK, err);

    if (!st)
        st = pf_infer_rank(infer, SCALE, 0, PF_MAX_RANK, err);
    if (!st && (dtype <= PF_DTYPE_NONE || dtype >= PF_DTYPE_COUNT || block < 0 || block > INT32_MAX))
        st = PF_FAIL(err, PF_INVALID, "the result has no type, or blocks of %lld", (long long)block);
    if (!st)
        st = check_scale(infer, SCALE, axis, block, err);
    if (!st)
        st = check_scale(infer, ZERO, axis, block, err);
    if (st)
        return st;
    pf_infer_set(infer, 0, (pf_dtype)dtype, &pf_infer_in(infer, X)->shape);
    return PF_OK;
}

static pf_status infer_quantize(pf_infer *infer, pf_err *err)
{
    const pf_quantize_linear_attrs *a = infer->node->attrs;

    return infer_linear(infer, a->dtype, a->axis, a->block_size, err);
}

static pf_status infer_dequantize(pf_infer *infer, pf_err *err)
{
    const pf_dequantize_linear_attrs *a = infer->node->attrs;

    return infer_linear(infer, a->dtype, a->axis, a->block_size, err);
}

/* Which scale element i has. */
typedef struct scale_map { int64_t inner, size, block, blocks; } scale_map;

static scale_map map_of(const pf_reference_call *call, int64_t axis, int64_t block)
{
    const pf_tensor *x = &call->in[X];
    scale_map        m = { 1, 1, block ? block : 1, 1 };

    if (pf_tensor_elems(&call->in[SCALE]) == 1 || axis >= x->rank)
        return (scale_map){ 1, 0, 1, 0 };
    for (int32_t d = (int32_t)axis + 1; d < x->rank; d++)
        m.inner *= x->dim[d];
    m.size = x->dim[axis];
    m.blocks = (m.size + m.block - 1) / m.block;
    if (block == 0)
        m.blocks = 0;       /* one scale per index of the axis, whatever lies outside */
    return m;
}

/* How many scales the map reads. */
static pf_status check_map(const pf_reference_call *call, const scale_map *m, pf_err *err)
{
    int64_t   elems = pf_tensor_elems(&call->in[X]), want = m->size == 0 ? 1 : m->size;
    pf_status st = PF_OK;

    if (m->blocks)
        want = elems / (m->size ? m->size : 1) * m->blocks;
    if (elems == 0)
        return PF_OK;
    st = pf_rows_need(call, SCALE, want, "the scale", err);
    if (!st && call->in_count > ZERO && call->in[ZERO].data && pf_tensor_elems(&call->in[ZERO]) != 1)
        st = pf_rows_need(call, ZERO, want, "the zero point", err);
    return st;
}

static int64_t scale_index(const scale_map *m, int64_t i)
{
    int64_t along = 0;

    if (m->size == 0)
        return 0;
    along = i / m->inner % m->size;
    if (m->blocks == 0)
        return along;
    return (i / (m->inner * m->size) * m->blocks + along / m->block) * m->inner + i % m->inner;
}

static double zero_at(const pf_reference_call *call, int64_t s)
{
    const pf_tensor *z = &call->in[ZERO];

    if (call->in_count <= ZERO || !z->data)
        return 0;
    return pf_dtype_get(z->dtype, z->data, (uint64_t)(pf_tensor_elems(z) == 1 ? 0 : s));
}

/* The least and greatest number of an integer type. */
static void bounds_of(pf_dtype dtype, double *least, double *greatest)
{
    uint32_t bits = pf_dtype_bits(dtype);
    bool     is_signed = pf_dtype_kind_of(dtype) == PF_KIND_INT;

    *greatest = ldexp(1, (int)bits - is_signed) - 1;
    *least = is_signed ? -ldexp(1, (int)bits - 1) : 0;
}

static void store_rounded(pf_tensor *y, int64_t i, double value)
{
    double least = 0, greatest = 0;

    bounds_of(y->dtype, &least, &greatest);
    value = isnan(value) ? 0 : value < least ? least : value > greatest ? greatest : value;
    pf_dtype_set_i64(y->dtype, y->data, (uint64_t)i, (int64_t)value);
}

/* The quotient is rounded to a float first, as everyone computes it: which side of a tie it falls on depends on it. */
static pf_status reference_quantize(pf_reference_call *call, pf_err *err)
{
    const pf_quantize_linear_attrs *a = call->attrs;
    const pf_tensor                *x = &call->in[X], *scale = &call->in[SCALE];
    pf_tensor                      *y = &call->out[0];
    scale_map                       m = map_of(call, a->axis, a->block_size);
    pf_narrow                       narrow = { y->dtype, a->overflow == PF_OVERFLOW_INFINITY, PF_ROUND_NEAREST };
    pf_status                       st = check_map(call, &m, err);

    if (st)
        return st;
    for (int64_t i = 0, count = pf_tensor_elems(x); i < count; i++) {
        int64_t s = scale_index(&m, i);
        double  by = pf_dtype_get(scale->dtype, scale->data, (uint64_t)s),
                v = pf_dtype_get(x->dtype, x->data, (uint64_t)i) / by;

        v = x->dtype == PF_F64 ? v : (double)(float)v;
        if (pf_dtype_is_integer(y->dtype))
            store_rounded(y, i, rint(v) + zero_at(call, s));
        else if (pf_narrow_is_special(&narrow))
            pf_narrow_set(&narrow, y->data, i, v);
        else
            pf_dtype_set(y->dtype, y->data, (uint64_t)i, v);
    }
    return PF_OK;
}

static pf_status reference_dequantize(pf_reference_call *call, pf_err *err)
{
    const pf_dequantize_linear_attrs *a = call->attrs;
    const pf_tensor                  *x = &call->in[X], *scale = &call->in[SCALE];
    scale_map                         m = map_of(call, a->axis, a->block_size);
    int64_t                           count = pf_tensor_elems(x);
    pf_status                         st = check_map(call, &m, err);

    if (st)
        return st;
#pragma omp parallel for schedule(static) if (count > PARALLEL_FROM)
    for (int64_t i = 0; i < count; i++) {
        int64_t s = scale_index(&m, i);
        double  by = pf_dtype_get(scale->dtype, scale->data, (uint64_t)s);

        pf_dtype_set(call->out[0].dtype, call->out[0].data, (uint64_t)i,
                     (pf_dtype_get(x->dtype, x->data, (uint64_t)i) - zero_at(call, s)) * by);
    }
    return PF_OK;
}

static pf_status infer_dynamic(pf_infer *infer, pf_err *err)
{
    pf_status st = pf_infer_rank(infer, X, 0, PF_MAX_RANK, err);
    pf_shape  scalar = { .rank = 0 };

    if (!st && pf_infer_in(infer, X)->dtype != PF_F32)
        st = PF_FAIL(err, PF_INVALID, "the input is %s, not f32", pf_dtype_name(pf_infer_in(infer, X)->dtype));
    if (st)
        return st;
    pf_infer_set(infer, 0, PF_U8, &pf_infer_in(infer, X)->shape);
    pf_infer_set(infer, 1, PF_F32, &scalar);
    pf_infer_set(infer, 2, PF_U8, &scalar);
    return PF_OK;
}

/* uint8 over [min(x, 0), max(x, 0)]; in floats, as the standard's own function is written. */
static pf_status reference_dynamic(pf_reference_call *call, pf_err *err)
{
    const float *x = call->in[X].data;
    int64_t      count = pf_tensor_elems(&call->in[X]);
    float        least = 0, most = 0, scale = 0, zero = 0;

    (void)err;
    for (int64_t i = 0; i < count; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    scale = (most - least) / 255;
    zero = scale == 0 ? 0 : rintf((0 - least) / scale);
    zero = zero < 0 ? 0 : zero > 255 ? 255 : zero;
    for (int64_t i = 0; i < count; i++)
        store_rounded(&call->out[0], i, scale == 0 ? 0 : (double)(rintf(x[i] / scale) + zero));
    if (call->out_count > 1)
        *(float *)call->out[1].data = scale;
    if (call->out_count > 2)
        *(uint8_t *)call->out[2].data = (uint8_t)zero;
    return PF_OK;
}

const pf_op_def pf_op_quantize_linear = {
    .name = "quantize_linear", .klass = PF_CLASS_ANCHOR, .in_min = 2, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_quantize_linear_attrs), .attr_fields = quantize_fields, .infer = infer_quantize,
    .reference = reference_quantize,
};
const pf_op_def pf_op_dequantize_linear = {
    .name = "dequantize_linear", .klass = PF_CLASS_ANCHOR, .in_min = 2, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_dequantize_linear_attrs), .attr_fields = dequantize_fields, .infer = infer_dequantize,
    .reference = reference_dequantize,
};
const pf_op_def pf_op_dynamic_quantize_linear = {
    .name = "dynamic_quantize_linear", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 3,
    .infer = infer_dynamic, .reference = reference_dynamic,
};
