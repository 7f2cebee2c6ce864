/* cast and bit_cast.  Rules from https://onnx.ai/onnx/operators/onnx__Cast.html. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/number.h"
#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/move.h"
#include "engine/ops/narrow.h"
#include "engine/ops/rows.h"
#include "engine/ops/whole.h"

static const char *const overflow_names[] = { "saturate", "infinity", NULL };
static const char *const rounding_names[] = { "up", "down", "nearest", NULL };
static const pf_attr_field cast_fields[] = {
    PF_ATTR_FIELD(pf_cast_attrs, dtype, DTYPE), PF_ATTR_ENUM_FIELD(pf_cast_attrs, overflow, overflow_names),
    PF_ATTR_ENUM_FIELD(pf_cast_attrs, rounding, rounding_names), { NULL },
};
static const pf_attr_field bit_cast_fields[] = { PF_ATTR_FIELD(pf_dtype_attrs, dtype, DTYPE), { NULL } };

static pf_status cast_content(pf_infer *infer, pf_dtype to, pf_err *err)
{
    pf_content c = pf_content_of(infer, 0);

    if (c.count < 0 && pf_dtype_is_float(pf_infer_in(infer, 0)->dtype) && pf_dtype_is_integer(to)) {
        c.at[0] = pf_whole_of(infer->graph, infer->node->in[0]);
        c.count = c.at[0] == PF_DIM_INVALID ? -1 : 1;
    }
    for (int32_t i = 0; i < c.count; i++) {
        bool number = pf_dim_is_number(c.at[i]);

        if (to == PF_BOOL && number)
            c.at[i] = c.at[i] != 0;
        else if (to == PF_BOOL)
            c.at[i] = pf_content_less(infer->graph->dims, 0, c.at[i]) ? 1 : PF_DIM_INVALID;
        else if (number && to != PF_I64 && (c.at[i] > INT32_MAX || c.at[i] < INT32_MIN || pf_dtype_bits(to) < 32))
            c.count = -1;       /* may wrap */
        else if (!number && pf_dtype_bits(to) < 32)
            c.count = -1;
    }
    return pf_content_set(infer, &c, err);
}

static pf_status infer_cast(pf_infer *infer, pf_err *err)
{
    const pf_cast_attrs *attrs = infer->node->attrs;
    const pf_value      *x = pf_infer_in(infer, 0);
    pf_dtype             to = (pf_dtype)attrs->dtype;

    if (!x || to <= PF_DTYPE_NONE || to >= PF_DTYPE_COUNT)
        return PF_FAIL(err, PF_INVALID, "cast needs an input and a type");
    if (pf_dtype_kind_of(to) == PF_KIND_COMPLEX || pf_dtype_kind_of(x->dtype) == PF_KIND_COMPLEX)
        return PF_FAIL(err, PF_UNSUPPORTED, "complex numbers are not cast");
    pf_infer_set(infer, 0, to, &x->shape);
    return cast_content(infer, to, err);
}

/* ONNX writes floats as NumPy's repr does: here the shortest of up to 17 digits that reads back the same. */
static char *print_element(const pf_tensor *x, int64_t i)
{
    char   text[64] = "";
    double value = pf_dtype_get(x->dtype, x->data, (uint64_t)i);

    if (!pf_dtype_is_float(x->dtype)) {
        snprintf(text, sizeof text, "%lld", (long long)pf_dtype_get_i64(x->dtype, x->data, (uint64_t)i));
        return pf_strdup(text);
    }
    if (isnan(value))
        return pf_strdup("NaN");
    if (isinf(value))
        return pf_strdup(value > 0 ? "INF" : "-INF");
    for (int digits = 1; digits <= 17; digits++) {
        pf_number_print(text, sizeof text, "%.*g", digits, value);
        if (x->dtype == PF_F64 ? pf_number_read(text, NULL) == value
                               : (float)pf_number_read(text, NULL) == (float)value)
            break;
    }
    if (!strpbrk(text, ".en"))
        snprintf(text + strlen(text), sizeof text - strlen(text), ".0");
    return pf_strdup(text);
}

static pf_status to_strings(const pf_tensor *x, pf_tensor *y, int64_t count, pf_err *err)
{
    for (int64_t i = 0; i < count; i++) {
        ((char **)y->data)[i] = print_element(x, i);
        if (!((char **)y->data)[i])
            return PF_FAIL_MEMORY(err, 1);
    }
    return PF_OK;
}

static pf_status from_strings(const pf_tensor *x, pf_tensor *y, int64_t count, pf_err *err)
{
    for (int64_t i = 0; i < count; i++) {
        const char *text = ((char *const *)x->data)[i];
        char       *end = NULL;

        text = text ? text : "";
        if (pf_dtype_is_float(y->dtype))
            pf_dtype_set(y->dtype, y->data, (uint64_t)i, pf_number_read(text, &end));
        else
            pf_dtype_set_i64(y->dtype, y->data, (uint64_t)i, strtoll(text, &end, 10));
        if (end == text || *end)
            return PF_FAIL(err, PF_INVALID, "'%s' is not a number", text);
    }
    return PF_OK;
}

static void convert_all(const pf_tensor *x, pf_tensor *y, int64_t count)
{
    enum { PART = 1 << 14 };
    size_t from_bytes = pf_dtype_bits(x->dtype) / 8, to_bytes = pf_dtype_bits(y->dtype) / 8;

    if (!from_bytes || !to_bytes || count <= PF_ROWS_ALONE) {
        pf_dtype_convert(x->dtype, x->data, y->dtype, y->data, (uint64_t)count);
        return;
    }
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < count; at += PART)
        pf_dtype_convert(x->dtype, (const char *)x->data + (size_t)at * from_bytes, y->dtype,
                         (char *)y->data + (size_t)at * to_bytes, (uint64_t)(count - at < PART ? count - at : PART));
}

static int64_t truncated(double value) { return fabs(value) < 0x1p62 ? (int64_t)value : 0; }

/* Floats outside of an integer type: ONNX leaves it open. They saturate, but keep their low bits in types under 8 bits,
   as ONNX's own tests say. */
static void convert(const pf_cast_attrs *attrs, const pf_tensor *x, pf_tensor *y, int64_t count)
{
    pf_narrow narrow = { (pf_dtype)attrs->dtype, attrs->overflow == PF_OVERFLOW_INFINITY, attrs->rounding };

    if (pf_dtype_is_whole(x->dtype) && pf_dtype_is_whole(y->dtype) && y->dtype != PF_BOOL) {
        for (int64_t i = 0; i < count; i++)
            pf_dtype_set_i64(y->dtype, y->data, (uint64_t)i, pf_dtype_get_i64(x->dtype, x->data, (uint64_t)i));
        return;
    }
    if (pf_dtype_is_integer(y->dtype) && pf_dtype_bits(y->dtype) < 8) {
        for (int64_t i = 0; i < count; i++)
            pf_dtype_set_i64(y->dtype, y->data, (uint64_t)i, truncated(pf_dtype_get(x->dtype, x->data, (uint64_t)i)));
        return;
    }
    if (!pf_narrow_is_special(&narrow)) {
        convert_all(x, y, count);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        pf_narrow_set(&narrow, y->data, i, pf_dtype_get(x->dtype, x->data, (uint64_t)i));
}

static pf_status reference_cast(pf_reference_call *call, pf_err *err)
{
    const pf_tensor *x = &call->in[0];
    pf_tensor       *y = &call->out[0];
    int64_t          count = pf_tensor_elems(x);
    pf_status        st = pf_rows_size(y, x->rank, x->dim, err);

    if (st)
        return st;
    if (x->dtype == y->dtype)
        return pf_move_whole(x, y, err);
    if (y->dtype == PF_STRING)
        return to_strings(x, y, count, err);
    if (x->dtype == PF_STRING)
        return from_strings(x, y, count, err);
    convert(call->attrs, x, y, count);
    return PF_OK;
}

static pf_status infer_bit_cast(pf_infer *infer, pf_err *err)
{
    const pf_dtype_attrs *attrs = infer->node->attrs;
    const pf_value       *x = pf_infer_in(infer, 0);
    pf_dtype              to = (pf_dtype)attrs->dtype;

    if (!x || to <= PF_DTYPE_NONE || to >= PF_DTYPE_COUNT || pf_dtype_bits(to) != pf_dtype_bits(x->dtype) ||
        to == PF_STRING)
        return PF_FAIL(err, PF_INVALID, "bit_cast needs a type of the same width as its input");
    pf_infer_set(infer, 0, to, &x->shape);
    return PF_OK;
}

static pf_status reference_bit_cast(pf_reference_call *call, pf_err *err)
{
    (void)err;
    if (call->out[0].bytes)
        memcpy(call->out[0].data, call->in[0].data, call->out[0].bytes);
    return PF_OK;
}

const pf_op_def pf_op_cast = {
    .name = "cast", .klass = PF_CLASS_POINTWISE, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_cast_attrs), .attr_fields = cast_fields, .infer = infer_cast, .reference = reference_cast,
};
const pf_op_def pf_op_bit_cast = {
    .name = "bit_cast", .klass = PF_CLASS_POINTWISE, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_dtype_attrs), .attr_fields = bit_cast_fields,
    .infer = infer_bit_cast, .reference = reference_bit_cast,
};
