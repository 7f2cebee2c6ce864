#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

static pf_cast_attrs cast_attrs(pf_onnx_node *node, pf_dtype to)
{
    static const char *const rounds[] = { "up", "down", "nearest", NULL };

    return (pf_cast_attrs){
        .dtype = (int32_t)to,
        .overflow = pf_onnx_int(node, "saturate", 1) ? PF_OVERFLOW_SATURATE : PF_OVERFLOW_INFINITY,
        .rounding = pf_onnx_choice(node, "round_mode", "up", rounds),
    };
}

void pf_onnx_cast(pf_onnx_node *node)
{
    pf_cast_attrs attrs = cast_attrs(node, pf_onnx_dtype_attr(node, "to", PF_DTYPE_NONE));

    node->out[0] = pf_onnx_emit1(node, PF_OP_CAST, &attrs, pf_onnx_in(node, 0));
}

static const struct type_name { const char *name; pf_dtype dtype;
} type_names[] = {
    { "FLOAT", PF_F32 },  { "UINT8", PF_U8 },   { "INT8", PF_I8 },       { "UINT16", PF_U16 }, { "INT16", PF_I16 },
    { "INT32", PF_I32 },  { "INT64", PF_I64 },  { "STRING", PF_STRING }, { "BOOL", PF_BOOL },  { "FLOAT16", PF_F16 },
    { "DOUBLE", PF_F64 }, { "UINT32", PF_U32 }, { "UINT64", PF_U64 },
};

/* Opset 1 named the type by a string. */
void pf_onnx_cast_1(pf_onnx_node *node)
{
    const char   *name = pf_onnx_string(node, "to", "");
    pf_cast_attrs attrs = { 0 };

    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
        if (!strcmp(type_names[i].name, name))
            attrs.dtype = (int32_t)type_names[i].dtype;
    if (!attrs.dtype)
        pf_onnx_fail(node, PF_INVALID, "attribute \"to\" is \"%.40s\", which is no type", name);
    node->out[0] = pf_onnx_emit1(node, PF_OP_CAST, &attrs, pf_onnx_in(node, 0));
}

void pf_onnx_cast_like(pf_onnx_node *node)
{
    pf_cast_attrs attrs = cast_attrs(node, pf_onnx_dtype(node, pf_onnx_in(node, 1)));

    node->out[0] = pf_onnx_emit1(node, PF_OP_CAST, &attrs, pf_onnx_in(node, 0));
}

void pf_onnx_bit_cast(pf_onnx_node *node)
{
    pf_dtype_attrs attrs = { (int32_t)pf_onnx_dtype_attr(node, "to", PF_DTYPE_NONE) };

    node->out[0] = pf_onnx_emit1(node, PF_OP_BIT_CAST, &attrs, pf_onnx_in(node, 0));
}

static pf_value_id strings_value(pf_onnx_node *node, const char **items, uint32_t count, int32_t rank)
{
    pf_onnx_data data = { .dtype = PF_STRING,
                          .shape = { rank, { count } },
                          .data = items ? (const void *)items : "",
                          .bytes = count * sizeof *items };

    return pf_onnx_add_data(node, &data);
}

static pf_value_id floats_value(pf_onnx_node *node)
{
    const Onnx__AttributeProto *a = pf_onnx_attr(node, "value_floats");
    pf_onnx_data data = { .dtype = PF_F32,
                          .shape = { 1, { (int64_t)a->n_floats } },
                          .bytes = a->n_floats * sizeof *a->floats };

    data.data = a->n_floats ? (const void *)a->floats : "";
    return pf_onnx_add_data(node, &data);
}

static pf_value_id ints_value(pf_onnx_node *node)
{
    const Onnx__AttributeProto *a = pf_onnx_attr(node, "value_ints");

    return pf_onnx_i64s(node, a->ints, (uint32_t)a->n_ints);
}

static pf_value_id int_value(pf_onnx_node *node)
{
    int64_t      item = pf_onnx_int(node, "value_int", 0);
    pf_onnx_data data = { .dtype = PF_I64, .bytes = sizeof item };

    data.data = pf_arena_copy(node->graph->arena, &item, sizeof item);
    if (!data.data)
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
    return pf_onnx_add_data(node, &data);
}

static pf_value_id tensor_value(pf_onnx_node *node)
{
    const Onnx__AttributeProto *a = pf_onnx_attr(node, "value");
    pf_onnx_data                data = { 0 };

    if (!a->t)
        pf_onnx_fail(node, PF_INVALID, "attribute \"value\" holds no tensor");
    else
        pf_onnx_ok(node, pf_onnx_tensor_read(a->t, pf_onnx_files_of(node), node->graph->arena, &data, node->err));
    return pf_onnx_add_data(node, &data);
}

static pf_value_id sparse_value(pf_onnx_node *node)
{
    const Onnx__AttributeProto *a = pf_onnx_attr(node, "sparse_value");
    pf_onnx_data                data = { 0 };

    if (!a->sparse_tensor)
        pf_onnx_fail(node, PF_INVALID, "attribute \"sparse_value\" holds no tensor");
    else
        pf_onnx_ok(node,
                   pf_onnx_sparse_read(a->sparse_tensor, pf_onnx_files_of(node), node->graph->arena, &data, node->err));
    return pf_onnx_add_data(node, &data);
}

void pf_onnx_constant_node(pf_onnx_node *node)
{
    uint32_t     count = 0;
    const char **strings = NULL;

    if (pf_onnx_has_attr(node, "value"))
        node->out[0] = tensor_value(node);
    else if (pf_onnx_has_attr(node, "sparse_value"))
        node->out[0] = sparse_value(node);
    else if (pf_onnx_has_attr(node, "value_float"))
        node->out[0] = pf_onnx_scalar(node, PF_F32, pf_onnx_float(node, "value_float", 0));
    else if (pf_onnx_has_attr(node, "value_int"))
        node->out[0] = int_value(node);
    else if (pf_onnx_has_attr(node, "value_floats"))
        node->out[0] = floats_value(node);
    else if (pf_onnx_has_attr(node, "value_ints"))
        node->out[0] = ints_value(node);
    else if (pf_onnx_has_attr(node, "value_strings")) {
        strings = pf_onnx_strings(node, "value_strings", &count);
        node->out[0] = strings_value(node, strings, count, 1);
    } else if (pf_onnx_has_attr(node, "value_string")) {
        const char *text = pf_onnx_string(node, "value_string", "");
        const char **one = pf_arena_copy(node->graph->arena, &text, sizeof text);

        node->out[0] = strings_value(node, one, 1, 0);
    } else {
        pf_onnx_fail(node, PF_INVALID, "the constant has no value");
    }
}
