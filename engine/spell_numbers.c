/* Quantization as arithmetic, and rare norms and reductions as the common ones. */
#include <math.h>
#include <string.h>

#include "engine/fold.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/spell.h"

enum { PARTS_ONCE = 24 };       /* of a concat: kernels take a few dozen arguments */

/* ---- Quantization */

/* Scale or zero point as FP32 that broadcasts to x: one number, or one for each index of axis. PF_NONE with blocks. */
static pf_value_id spread(pf_speller *s, pf_value_id operand, const pf_shape *x, int64_t axis)
{
    const pf_shape shape = *pf_spell_shape(s, operand);
    pf_dim         dim[PF_MAX_RANK] = { 0 };
    pf_value_id    number = pf_spell_cast(s, operand, PF_F32);

    if (shape.rank == 0)
        return number;
    if (shape.rank == 1 && shape.dim[0] == 1)
        return pf_spell_reshape(s, number, 0, dim);
    for (int32_t d = 0; d < x->rank; d++)
        dim[d] = d == axis ? shape.dim[0] : 1;
    return pf_spell_reshape(s, number, x->rank, dim);
}

static bool range_of(pf_dtype dtype, double *low, double *high)
{
    int32_t bits = pf_dtype_is_integer(dtype) ? (int32_t)pf_dtype_bits(dtype) : 0;
    bool    is_signed = dtype == PF_I8 || dtype == PF_I16;

    if (dtype != PF_I8 && dtype != PF_U8 && dtype != PF_I16 && dtype != PF_U16)
        return false;
    *low = is_signed ? -ldexp(1, bits - 1) : 0;
    *high = ldexp(1, is_signed ? bits - 1 : bits) - 1;
    return true;
}

void pf_spell_quantize(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_quantize_linear_attrs *attrs = node->attrs;
    const pf_shape                  shape = *pf_spell_shape(s, node->in[0]);
    double                          low = 0, high = 0;
    pf_value_id                     y = node->in[0], scale = PF_NONE, zero = PF_NONE;

    if (attrs->block_size || !range_of((pf_dtype)attrs->dtype, &low, &high))
        return;
    scale = spread(s, node->in[1], &shape, attrs->axis);
    if (pf_spell_has(node, 2))
        zero = spread(s, node->in[2], &shape, attrs->axis);
    y = pf_spell_binary(s, PF_OP_DIV, pf_spell_cast(s, y, PF_F32), scale);
    y = pf_spell_unary(s, PF_OP_ROUND, y, 0, 0);
    if (zero != PF_NONE)
        y = pf_spell_binary(s, PF_OP_ADD, y, zero);
    y = pf_spell_unary(s, PF_OP_CLIP, y, low, high);
    out[0] = pf_spell_cast(s, y, (pf_dtype)attrs->dtype);
}

/* Differences of integers of up to 16 bits are exact in FP32; of 32 bits there are biases, whose last places the scale
   makes small. */
void pf_spell_dequantize(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_dequantize_linear_attrs *attrs = node->attrs;
    const pf_shape                    shape = *pf_spell_shape(s, node->in[0]);
    pf_dtype                          from = pf_spell_dtype(s, node->in[0]);
    pf_value_id                       y = node->in[0], scale = PF_NONE, zero = PF_NONE;

    if (attrs->block_size || !pf_dtype_is_integer(from) || pf_dtype_bits(from) > 32)
        return;
    scale = spread(s, node->in[1], &shape, attrs->axis);
    if (pf_spell_has(node, 2))
        zero = spread(s, node->in[2], &shape, attrs->axis);
    y = pf_spell_cast(s, y, PF_F32);
    if (zero != PF_NONE)
        y = pf_spell_binary(s, PF_OP_SUB, y, zero);
    y = pf_spell_binary(s, PF_OP_MUL, y, scale);
    out[0] = pf_spell_cast(s, y, (pf_dtype)attrs->dtype);
}

/* The least or greatest element, or 0 when that is beyond. */
static pf_value_id extreme(pf_speller *s, pf_value_id x, int32_t mode)
{
    const pf_shape shape = *pf_spell_shape(s, x);
    pf_ints        axes = { 0 };
    pf_dim         none[1] = { 0 };

    for (int32_t d = 0; d < shape.rank; d++)
        axes.at[axes.count++] = d;
    x = shape.rank ? pf_spell_reshape(s, pf_spell_reduce(s, mode, x, &axes), 0, none) : x;
    return pf_spell_number(s, mode == PF_REDUCE_MIN ? PF_OP_MIN : PF_OP_MAX, x, 0);
}

void pf_spell_dynamic_quantize(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    pf_value_id least = extreme(s, node->in[0], PF_REDUCE_MIN), most = extreme(s, node->in[0], PF_REDUCE_MAX);
    pf_value_id scale = pf_spell_number(s, PF_OP_DIV, pf_spell_binary(s, PF_OP_SUB, most, least), 255);
    pf_value_id divisor = pf_spell_number(s, PF_OP_MAX, scale, 1e-38);      /* where all is zero, all stays zero */
    pf_value_id zero = pf_spell_unary(s, PF_OP_ROUND,
                                      pf_spell_unary(s, PF_OP_NEG, pf_spell_binary(s, PF_OP_DIV, least, divisor), 0, 0),
                                      0, 0);
    pf_value_id y = pf_spell_unary(s, PF_OP_ROUND, pf_spell_binary(s, PF_OP_DIV, node->in[0], divisor), 0, 0);

    zero = pf_spell_unary(s, PF_OP_CLIP, zero, 0, 255);
    y = pf_spell_unary(s, PF_OP_CLIP, pf_spell_binary(s, PF_OP_ADD, y, zero), 0, 255);
    out[0] = pf_spell_cast(s, y, PF_U8);
    out[1] = scale;
    out[2] = pf_spell_cast(s, zero, PF_U8);
}

/* Rows of a, or columns of b, less their zero point; PF_NONE when that is of a form not met here. */
static pf_value_id centred(pf_speller *s, const pf_node *node, uint32_t slot)
{
    pf_value_id    x = pf_spell_cast(s, node->in[slot], PF_F32), zero = PF_NONE;
    const pf_shape shape = pf_spell_has(node, slot + 2) ? *pf_spell_shape(s, node->in[slot + 2]) : (pf_shape){ 0 };

    if (!pf_spell_has(node, slot + 2))
        return x;
    zero = pf_spell_cast(s, node->in[slot + 2], PF_F32);
    if (shape.rank == 1 && slot == 0 && shape.dim[0] != 1)
        zero = pf_spell_reshape(s, zero, 2, (pf_dim[]){ shape.dim[0], 1 });
    return pf_spell_binary(s, PF_OP_SUB, x, zero);
}

/* Products of 8-bit integers are exact in FP32 up to sums of 2^24, which takes more than 256 of the largest. */
void pf_spell_matmul_integer(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_matmul_attrs *attrs = node->attrs;
    pf_value_id            in[2] = { PF_NONE, PF_NONE };

    if (attrs->trans_a || attrs->trans_b || pf_spell_shape(s, node->in[0])->rank < 2 ||
        pf_spell_shape(s, node->in[1])->rank < 2 || pf_dtype_bits(pf_spell_dtype(s, node->in[0])) != 8 ||
        pf_dtype_bits(pf_spell_dtype(s, node->in[1])) != 8)
        return;
    in[0] = centred(s, node, 0);
    in[1] = centred(s, node, 1);
    out[0] = pf_spell_cast(s, pf_spell_node(s, PF_OP_MATMUL, in, 2, attrs), PF_I32);
}

/* ---- Rows */

static pf_value_id row_number(pf_speller *s, pf_value_id x, int64_t axis)
{
    return pf_spell_range(s, 0, pf_spell_shape(s, x)->dim[axis], pf_spell_shape(s, x)->rank - 1 - (int32_t)axis);
}

void pf_spell_hardmax(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    int64_t            axis = ((const pf_axis_attrs *)node->attrs)->axis;
    pf_arg_reduce_attrs attrs = { .mode = PF_ARG_MAX, .axis = axis, .keepdims = 1 };
    pf_value_id         first = pf_spell_node(s, PF_OP_ARG_REDUCE, &node->in[0], 1, &attrs);

    out[0] = pf_spell_cast(s, pf_spell_binary(s, PF_OP_EQUAL, row_number(s, node->in[0], axis), first),
                           pf_spell_dtype(s, node->in[0]));
}

void pf_spell_lp_norm(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_lp_norm_attrs *attrs = node->attrs;
    pf_ints                 axes = { 1, { attrs->axis } };
    pf_value_id             norm = PF_NONE;

    if (attrs->p != 1 && attrs->p != 2)
        return;
    norm = pf_spell_reduce(s, attrs->p == 1 ? PF_REDUCE_L1 : PF_REDUCE_L2, node->in[0], &axes);
    /* a row of zeros stays one */
    norm = pf_spell_number(s, PF_OP_MAX, norm, pf_spell_dtype(s, norm) == PF_F16 ? 6e-8 : 1e-38);
    out[0] = pf_spell_binary(s, PF_OP_DIV, node->in[0], norm);
}

void pf_spell_mean_variance_norm(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_ints *axes = &((const pf_mean_variance_norm_attrs *)node->attrs)->axes;
    pf_dtype       dtype = pf_spell_dtype(s, node->in[0]);
    pf_value_id    x = pf_spell_cast(s, node->in[0], PF_F32);
    pf_value_id    centred = pf_spell_binary(s, PF_OP_SUB, x, pf_spell_reduce(s, PF_REDUCE_MEAN, x, axes));
    pf_value_id    variance = pf_spell_reduce(s, PF_REDUCE_MEAN, pf_spell_binary(s, PF_OP_MUL, centred, centred), axes);
    pf_value_id    deviation = pf_spell_number(s, PF_OP_ADD, pf_spell_unary(s, PF_OP_SQRT, variance, 0, 0), 1e-9);

    out[0] = pf_spell_cast(s, pf_spell_binary(s, PF_OP_DIV, centred, deviation), dtype);
}

/* The mean of squares along channels is a pool over [N,1,C,H*W]. */
void pf_spell_lrn(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_lrn_attrs *attrs = node->attrs;
    const pf_shape      shape = *pf_spell_shape(s, node->in[0]);
    pf_dtype            dtype = pf_spell_dtype(s, node->in[0]);
    int64_t             before = (attrs->size - 1) / 2, behind = attrs->size - 1 - before;
    pf_pool_attrs       pool = { .kernel = { 2, { attrs->size, 1 } }, .strides = { 2, { 1, 1 } },
                                 .dilations = { 2, { 1, 1 } }, .pads = { 4, { before, 0, behind, 0 } },
                                 .count_include_pad = 1 };
    pf_dim              flat[4] = { shape.dim[0], 1, shape.dim[1], 1 };
    pf_value_id         x = pf_spell_cast(s, node->in[0], PF_F32), y = PF_NONE;

    for (int32_t d = 2; d < shape.rank; d++)
        flat[3] = pf_dim_mul(s->graph->dims, flat[3], shape.dim[d]);
    y = pf_spell_reshape(s, pf_spell_binary(s, PF_OP_MUL, x, x), 4, flat);
    y = pf_spell_reshape(s, pf_spell_node(s, PF_OP_AVERAGE_POOL, &y, 1, &pool), shape.rank, shape.dim);
    y = pf_spell_number(s, PF_OP_ADD, pf_spell_number(s, PF_OP_MUL, y, attrs->alpha), attrs->bias);
    y = pf_spell_binary(s, PF_OP_DIV, x, pf_spell_number(s, PF_OP_POW, y, attrs->beta));
    out[0] = pf_spell_cast(s, y, dtype);
}

static pf_value_id without_dims(pf_speller *s, pf_value_id y, const pf_node *node)
{
    const pf_shape shape = s->graph->values[node->out[0]].shape;

    return pf_spell_reshape(s, y, shape.rank, shape.dim);
}

/* log(sum(exp(x))) from the row's greatest, so that nothing overflows. */
void pf_spell_reduce_op(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_reduce_attrs *attrs = node->attrs;
    pf_dtype               dtype = pf_spell_dtype(s, node->in[0]);
    pf_value_id            x = PF_NONE, most = PF_NONE, y = PF_NONE;

    if (pf_spell_reduces_lines(s->graph, node)) {
        pf_spell_lines(s, node, out);
        return;
    }
    if (attrs->mode != PF_REDUCE_LOG_SUM_EXP || !pf_dtype_is_float(dtype) || attrs->axes.count == 0)
        return;
    x = pf_spell_cast(s, node->in[0], PF_F32);
    most = pf_spell_reduce(s, PF_REDUCE_MAX, x, &attrs->axes);
    y = pf_spell_reduce(s, PF_REDUCE_LOG_SUM,
                        pf_spell_unary(s, PF_OP_EXP, pf_spell_binary(s, PF_OP_SUB, x, most), 0, 0), &attrs->axes);
    out[0] = without_dims(s, pf_spell_cast(s, pf_spell_binary(s, PF_OP_ADD, y, most), dtype), node);
}

/* Indices count from the end when negative; those out of range are nowhere hot. */
void pf_spell_one_hot(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_one_hot_attrs *attrs = node->attrs;
    const pf_shape          shape = s->graph->values[node->out[0]].shape;
    pf_dim                  depth = attrs->depth.at[0], dim[PF_MAX_RANK] = { 0 }, none[1] = { 0 };
    pf_value_id             index = node->in[0], negative = PF_NONE, off = PF_NONE, on = PF_NONE;

    if (!pf_dim_is_number(depth) || !pf_dtype_is_integer(pf_spell_dtype(s, index)))
        return;
    for (int32_t d = 0; d < shape.rank; d++)
        dim[d] = d == attrs->axis ? 1 : shape.dim[d];
    index = pf_spell_reshape(s, pf_spell_cast(s, index, PF_I64), shape.rank, dim);
    negative = pf_spell_number(s, PF_OP_LESS, index, 0);
    index = pf_spell_node(s, PF_OP_WHERE,
                          (pf_value_id[]){ negative, pf_spell_number(s, PF_OP_ADD, index, (double)depth), index }, 3,
                          NULL);
    off = pf_spell_reshape(s, pf_spell_slice(s, node->in[1], 0, 0, 1), 0, none);
    on = pf_spell_reshape(s, pf_spell_slice(s, node->in[1], 0, 1, 2), 0, none);
    index = pf_spell_binary(s, PF_OP_EQUAL, index, pf_spell_range(s, 0, depth, shape.rank - 1 - (int32_t)attrs->axis));
    out[0] = pf_spell_node(s, PF_OP_WHERE, (pf_value_id[]){ index, on, off }, 3, NULL);
}

/* y = (x - mean) * scale / sqrt(var + epsilon) + bias, a number for each channel. */
void pf_spell_batch_norm(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_batch_norm_attrs *attrs = node->attrs;
    const pf_shape             shape = *pf_spell_shape(s, node->in[0]);
    pf_dtype                   dtype = pf_spell_dtype(s, node->in[0]);
    pf_value_id                scale = PF_NONE, y = PF_NONE;

    if (attrs->training || shape.rank < 2)
        return;
    scale = pf_spell_unary(s, PF_OP_RSQRT,
                           pf_spell_number(s, PF_OP_ADD, spread(s, node->in[4], &shape, 1), attrs->epsilon), 0, 0);
    scale = pf_spell_binary(s, PF_OP_MUL, scale, spread(s, node->in[1], &shape, 1));
    y = pf_spell_binary(s, PF_OP_SUB, pf_spell_cast(s, node->in[0], PF_F32), spread(s, node->in[3], &shape, 1));
    y = pf_spell_binary(s, PF_OP_ADD, pf_spell_binary(s, PF_OP_MUL, y, scale), spread(s, node->in[2], &shape, 1));
    out[0] = pf_spell_cast(s, y, dtype);
}

/* ---- Many parts */

/* Parts of a concat, some at a time. */
void pf_spell_concat(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_axis_attrs attrs = *(const pf_axis_attrs *)node->attrs;
    pf_value_id         joined[PARTS_ONCE] = { 0 }, in[PARTS_ONCE] = { 0 };
    uint32_t            count = 0, each = (node->in_count + PARTS_ONCE - 1) / PARTS_ONCE;

    if (node->in_count <= PARTS_ONCE || each > PARTS_ONCE)
        return;
    for (uint32_t from = 0; from < node->in_count; from += each) {
        uint32_t here = node->in_count - from < each ? node->in_count - from : each;

        memcpy(in, node->in + from, here * sizeof *in);
        joined[count++] = here > 1 ? pf_spell_node(s, PF_OP_CONCAT, in, here, &attrs) : in[0];
    }
    out[0] = pf_spell_node(s, PF_OP_CONCAT, joined, count, &attrs);
}

/* ---- Dims as data */

/* Each as a range that holds it alone: unlike dim_values, a range runs where its readers do. */
void pf_spell_dim_values(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_dim_values_attrs attrs = *(const pf_dim_values_attrs *)node->attrs;
    const pf_shape            shape = s->graph->values[node->out[0]].shape;
    pf_axis_attrs             concat = { .axis = 0 };
    pf_value_id               parts[PF_ATTR_LIST] = { 0 };

    if (attrs.values.count == 0)
        return;
    for (int32_t i = 0; i < attrs.values.count; i++) {
        pf_dim         value = attrs.values.at[i], next = pf_dim_add(s->graph->dims, value, 1);
        pf_range_attrs one = { .dtype = PF_I64, .bounds = { 3, { value, next, 1 } } };

        parts[i] = pf_spell_node(s, PF_OP_RANGE, NULL, 0, &one);
    }
    if (attrs.values.count > 1)
        parts[0] = pf_spell_node(s, PF_OP_CONCAT, parts, (uint32_t)attrs.values.count, &concat);
    if (s->status)
        return;
    parts[0] = pf_spell_reshape(s, parts[0], shape.rank, shape.dim);
    out[0] = attrs.dtype == PF_I64 ? parts[0] : pf_spell_cast(s, parts[0], (pf_dtype)attrs.dtype);
}
