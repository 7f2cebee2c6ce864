#include "engine/onnx_tensor.h"

#include <string.h>

/* Where a file that has no raw_data keeps elements of a type: items of item_bytes, per_element of them each. */
typedef struct typed {
    const void *items;
    size_t      count, item_bytes, per_element;
} typed;

static typed typed_data(const Onnx__TensorProto *t, pf_dtype dtype)
{
    switch (dtype) {
    case PF_F32:  return (typed){ t->float_data, t->n_float_data, 4, 1 };
    case PF_C64:  return (typed){ t->float_data, t->n_float_data, 4, 2 };
    case PF_F64:  return (typed){ t->double_data, t->n_double_data, 8, 1 };
    case PF_C128: return (typed){ t->double_data, t->n_double_data, 8, 2 };
    case PF_I64:  return (typed){ t->int64_data, t->n_int64_data, 8, 1 };
    case PF_U32:
    case PF_U64:  return (typed){ t->uint64_data, t->n_uint64_data, 8, 1 };
    default:      return (typed){ t->int32_data, t->n_int32_data, 4, 1 };
    }
}

static pf_status read_dims(const int64_t *dims, size_t count, pf_shape *out, uint64_t *elems, pf_err *err)
{
    *elems = 1;
    if (count > PF_MAX_RANK)
        return PF_FAIL(err, PF_UNSUPPORTED, "a tensor of rank %zu; up to %d are supported", count, PF_MAX_RANK);
    out->rank = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        if (dims[i] < 0)
            return PF_FAIL(err, PF_INVALID, "a tensor with a dimension of %lld", (long long)dims[i]);
        if (__builtin_mul_overflow(*elems, (uint64_t)dims[i], elems) || *elems > INT64_MAX / 16)
            return PF_FAIL(err, PF_INVALID, "a tensor whose dimensions overflow");
        out->dim[i] = dims[i];
    }
    return PF_OK;
}

static size_t alignment_of(pf_dtype dtype)
{
    uint32_t bytes = pf_dtype_bits(dtype) / 8;

    return bytes > 8 ? 8 : bytes ? bytes : 1;
}

static bool is_canonical_bool(const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i] > 1)
            return false;
    return true;
}

/* Takes data as it lies unless it is misaligned or holds odd booleans. */
static pf_status take_raw(const void *data, pf_arena *arena, pf_onnx_data *out, pf_err *err)
{
    bool     odd_bool = out->dtype == PF_BOOL && !is_canonical_bool(data, out->bytes);
    uint8_t *copy = NULL;

    if (!odd_bool && (uintptr_t)data % alignment_of(out->dtype) == 0) {
        out->data = data;
        return PF_OK;
    }
    copy = pf_arena_copy(arena, data, out->bytes);
    if (!copy)
        return PF_FAIL_MEMORY(err, out->bytes);
    for (size_t i = 0; odd_bool && i < out->bytes; i++)
        copy[i] = copy[i] != 0;
    out->data = copy;
    return PF_OK;
}

/* Keeps the low bytes of each item: float16 in int32_data, uint32 in uint64_data. */
static pf_status narrow(const typed *from, size_t width, pf_arena *arena, pf_onnx_data *out, pf_err *err)
{
    uint8_t *copy = pf_arena_alloc(arena, out->bytes);

    if (!copy)
        return PF_FAIL_MEMORY(err, out->bytes);
    for (size_t i = 0; i < from->count; i++)
        memcpy(copy + i * width, (const uint8_t *)from->items + i * from->item_bytes, width);
    return take_raw(copy, arena, out, err);
}

static pf_status read_typed(const Onnx__TensorProto *tensor, uint64_t elems, pf_arena *arena, pf_onnx_data *out,
                            pf_err *err)
{
    typed    from = typed_data(tensor, out->dtype);
    uint32_t bits = pf_dtype_bits(out->dtype);
    uint64_t need = bits < 8 ? out->bytes : elems * from.per_element;
    size_t   width = bits < 8 ? 1 : bits / 8 / from.per_element;

    if (from.count != need)
        return PF_FAIL(err, PF_INVALID, "a tensor with %zu items of data where its shape needs %llu", from.count,
                       (unsigned long long)need);
    if (width == from.item_bytes)
        return take_raw(from.items, arena, out, err);
    return narrow(&from, width, arena, out, err);
}

static pf_status read_strings(const Onnx__TensorProto *tensor, uint64_t elems, pf_arena *arena, pf_onnx_data *out,
                              pf_err *err)
{
    char **items = NULL;

    if (tensor->n_string_data != elems)
        return PF_FAIL(err, PF_INVALID, "a tensor with %zu strings where its shape needs %llu", tensor->n_string_data,
                       (unsigned long long)elems);
    items = pf_arena_alloc(arena, out->bytes);
    if (!items)
        return PF_FAIL_MEMORY(err, out->bytes);
    for (uint64_t i = 0; i < elems; i++) {
        items[i] = pf_arena_strndup(arena, (const char *)tensor->string_data[i].data, tensor->string_data[i].len);
        if (!items[i])
            return PF_FAIL_MEMORY(err, tensor->string_data[i].len);
    }
    out->data = items;
    return PF_OK;
}

static pf_status read_external(const Onnx__TensorProto *tensor, pf_onnx_files *files, pf_arena *arena,
                               pf_onnx_data *out, pf_err *err)
{
    const void *data = NULL;
    pf_status   st = pf_onnx_files_data(files, tensor, out->bytes, &data, err);

    return st ? st : take_raw(data, arena, out, err);
}

static pf_status read_raw(const Onnx__TensorProto *tensor, pf_arena *arena, pf_onnx_data *out, pf_err *err)
{
    if (tensor->raw_data.len != out->bytes)
        return PF_FAIL(err, PF_INVALID, "a tensor with %zu bytes of data where its type and shape need %zu",
                       tensor->raw_data.len, out->bytes);
    return take_raw(tensor->raw_data.data, arena, out, err);
}

static pf_status read_data(const Onnx__TensorProto *tensor, pf_onnx_files *files, pf_arena *arena, pf_onnx_data *out,
                           pf_err *err)
{
    static const uint64_t nothing = 0;
    uint64_t              elems = 0;
    pf_status             st = read_dims(tensor->dims, tensor->n_dims, &out->shape, &elems, err);

    if (st)
        return st;
    out->dtype = pf_dtype_from_onnx(tensor->has_data_type ? tensor->data_type : 0);
    if (out->dtype == PF_DTYPE_NONE)
        return PF_FAIL(err, PF_UNSUPPORTED, "a tensor of the unknown element type %d",
                       tensor->has_data_type ? tensor->data_type : 0);
    out->bytes = pf_dtype_bytes(out->dtype, elems);
    if (!out->bytes) {
        out->data = &nothing;
        return PF_OK;
    }
    if (out->dtype == PF_STRING)
        return read_strings(tensor, elems, arena, out, err);
    if (pf_onnx_is_external(tensor))
        return read_external(tensor, files, arena, out, err);
    if (tensor->has_raw_data)
        return read_raw(tensor, arena, out, err);
    return read_typed(tensor, elems, arena, out, err);
}

pf_status pf_onnx_tensor_read(const Onnx__TensorProto *tensor, pf_onnx_files *files, pf_arena *arena, pf_onnx_data *out,
                              pf_err *err)
{
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    st = read_data(tensor, files, arena, out, err);
    if (st && tensor->name && *tensor->name)
        return pf_err_add(err, st, "tensor \"%.200s\"", tensor->name);
    return st;
}
