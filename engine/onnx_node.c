#include "engine/onnx_import.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "engine/onnx_scope.h"

void pf_onnx_fail(pf_onnx_node *node, pf_status status, const char *format, ...)
{
    char    text[PF_ERR_MSG_BYTES];
    va_list list;

    if (node->status)
        return;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    node->status = PF_FAIL(node->err, status, "%s", text);
}

bool pf_onnx_ok(pf_onnx_node *node, pf_status status)
{
    if (!node->status)
        node->status = status;
    return !node->status;
}

/* Inside a function an attribute may stand for the caller's, or for the function's default. */
static const Onnx__AttributeProto *find_in(const Onnx__NodeProto *proto, const char *name)
{
    for (size_t i = 0; i < proto->n_attribute; i++)
        if (proto->attribute[i]->name && !strcmp(proto->attribute[i]->name, name))
            return proto->attribute[i];
    return NULL;
}

static const Onnx__AttributeProto *find_default(const Onnx__FunctionProto *function, const char *name)
{
    for (size_t i = 0; i < function->n_attribute_proto; i++)
        if (function->attribute_proto[i]->name && !strcmp(function->attribute_proto[i]->name, name))
            return function->attribute_proto[i];
    return NULL;
}

static void note_asked(pf_onnx_node *node, const Onnx__AttributeProto *attr)
{
    for (size_t i = 0; i < node->proto->n_attribute && i < PF_ONNX_ASKED_LIMIT; i++)
        if (node->proto->attribute[i] == attr)
            node->asked_attrs |= (uint64_t)1 << i;
}

const Onnx__AttributeProto *pf_onnx_attr(pf_onnx_node *node, const char *name)
{
    const pf_onnx_scope        *scope = node->scope;
    const Onnx__AttributeProto *attr = find_in(node->proto, name);

    note_asked(node, attr);
    while (attr && attr->ref_attr_name && *attr->ref_attr_name) {
        const char *wanted = attr->ref_attr_name;

        if (!scope || !scope->call)
            return NULL;
        attr = find_in(scope->call, wanted);
        if (!attr)
            return find_default(scope->function, wanted);
        scope = scope->caller;
    }
    return attr;
}

/* Old files have no type: then the field that is there decides. */
static bool is_kind(const Onnx__AttributeProto *a, int32_t kind, bool field_is_there)
{
    return a->has_type && a->type ? a->type == kind : field_is_there;
}

static const Onnx__AttributeProto *typed_attr(pf_onnx_node *node, const char *name, int32_t kind)
{
    const Onnx__AttributeProto *a = node->status ? NULL : pf_onnx_attr(node, name);
    bool                        there = false;

    if (!a)
        return NULL;
    switch (kind) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:   there = a->has_f; break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:     there = a->has_i; break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:  there = a->has_s; break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:  there = a->n_floats; break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:    there = a->n_ints; break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS: there = a->n_strings; break;
    default: break;
    }
    if (is_kind(a, kind, there))
        return a;
    pf_onnx_fail(node, PF_INVALID, "attribute \"%s\" has the wrong type", name);
    return NULL;
}

bool pf_onnx_has_attr(pf_onnx_node *node, const char *name)
{
    return !node->status && pf_onnx_attr(node, name);
}

int64_t pf_onnx_int(pf_onnx_node *node, const char *name, int64_t when_absent)
{
    const Onnx__AttributeProto *a = typed_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);

    return a ? a->has_i ? a->i : 0 : when_absent;
}

double pf_onnx_float(pf_onnx_node *node, const char *name, double when_absent)
{
    const Onnx__AttributeProto *a = typed_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);

    return a ? a->has_f ? (double)a->f : 0.0 : when_absent;
}

static const char *keep_bytes(pf_onnx_node *node, const ProtobufCBinaryData *bytes)
{
    char *text = pf_arena_strndup(node->graph->arena, bytes->data ? (const char *)bytes->data : "", bytes->len);

    if (!text)
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
    return text;
}

const char *pf_onnx_string(pf_onnx_node *node, const char *name, const char *when_absent)
{
    const Onnx__AttributeProto *a = typed_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    const char                 *text = a ? keep_bytes(node, &a->s) : NULL;

    return text ? text : when_absent;
}

pf_ints pf_onnx_ints(pf_onnx_node *node, const char *name)
{
    const Onnx__AttributeProto *a = typed_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    pf_ints                     out = { 0 };

    if (a && a->n_ints > PF_ATTR_LIST) {
        pf_onnx_fail(node, PF_UNSUPPORTED, "attribute \"%s\" lists %zu numbers; up to %d are supported", name,
                     a->n_ints, PF_ATTR_LIST);
        return out;
    }
    for (size_t i = 0; a && i < a->n_ints; i++)
        out.at[out.count++] = a->ints[i];
    return out;
}

pf_floats pf_onnx_floats(pf_onnx_node *node, const char *name)
{
    const Onnx__AttributeProto *a = typed_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
    pf_floats                   out = { 0 };

    if (a && a->n_floats > PF_ATTR_LIST) {
        pf_onnx_fail(node, PF_UNSUPPORTED, "attribute \"%s\" lists %zu numbers; up to %d are supported", name,
                     a->n_floats, PF_ATTR_LIST);
        return out;
    }
    for (size_t i = 0; a && i < a->n_floats; i++)
        out.at[out.count++] = (double)a->floats[i];
    return out;
}

const char **pf_onnx_strings(pf_onnx_node *node, const char *name, uint32_t *count)
{
    const Onnx__AttributeProto *a = typed_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS);
    const char                **out = NULL;

    *count = 0;
    if (!a || !a->n_strings)
        return NULL;
    out = pf_arena_alloc(node->graph->arena, a->n_strings * sizeof *out);
    if (!out) {
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < a->n_strings; i++) {
        out[i] = keep_bytes(node, &a->strings[i]);
        if (!out[i])
            return NULL;
    }
    *count = (uint32_t)a->n_strings;
    return out;
}

int32_t pf_onnx_choice(pf_onnx_node *node, const char *name, const char *when_absent, const char *const *names)
{
    const char *text = pf_onnx_string(node, name, when_absent);

    for (int32_t i = 0; names[i]; i++)
        if (!strcmp(names[i], text))
            return i;
    pf_onnx_fail(node, PF_INVALID, "attribute \"%s\" is \"%.40s\", which is none of its values", name, text);
    return 0;
}

pf_dtype pf_onnx_dtype_attr(pf_onnx_node *node, const char *name, pf_dtype when_absent)
{
    int64_t  number = pf_onnx_int(node, name, 0);
    pf_dtype dtype = number > 0 && number < INT32_MAX ? pf_dtype_from_onnx((int32_t)number) : PF_DTYPE_NONE;

    if (!pf_onnx_has_attr(node, name) && when_absent != PF_DTYPE_NONE)
        return when_absent;
    if (dtype == PF_DTYPE_NONE)
        pf_onnx_fail(node, PF_INVALID, "attribute \"%s\" is %lld, which is no element type", name, (long long)number);
    return dtype;
}

pf_onnx_files *pf_onnx_files_of(const pf_onnx_node *node)
{
    return node->scope->state->files;
}

pf_value_id pf_onnx_in(const pf_onnx_node *node, uint32_t i)
{
    return i < node->in_count ? node->in[i] : PF_NONE;
}

const pf_value *pf_onnx_value(const pf_onnx_node *node, pf_value_id value)
{
    static const pf_value none = { .name = "", .shape = { .rank = -1 }, .producer = PF_NONE };

    return value == PF_NONE ? &none : pf_graph_value(node->graph, value);
}

pf_dtype pf_onnx_dtype(const pf_onnx_node *node, pf_value_id value)
{
    return pf_onnx_value(node, value)->dtype;
}

int32_t pf_onnx_rank(pf_onnx_node *node, pf_value_id value)
{
    int32_t rank = pf_onnx_value(node, value)->shape.rank;

    if (rank >= 0)
        return rank;
    pf_onnx_fail(node, PF_UNSUPPORTED,
                 "the number of dimensions of \"%.200s\" is not known when the model is built; one size for each input "
                 "(shapes), or a value for one that decides (freeze_inputs), may settle it",
                 pf_onnx_value(node, value)->name);
    return 0;
}

pf_dim pf_onnx_dim(pf_onnx_node *node, pf_value_id value, int32_t axis)
{
    int32_t rank = pf_onnx_rank(node, value);

    if (!node->status && (axis < 0 || axis >= rank))
        pf_onnx_fail(node, PF_INVALID, "\"%.200s\" has %d dimensions and no number %d",
                     pf_onnx_value(node, value)->name, rank, axis);
    return node->status ? 0 : pf_onnx_value(node, value)->shape.dim[axis];
}

int32_t pf_onnx_axis(pf_onnx_node *node, int64_t axis, int32_t rank)
{
    if (!node->status && (axis < -rank || axis >= rank))
        pf_onnx_fail(node, PF_INVALID, "axis %lld is outside of %d dimensions", (long long)axis, rank);
    if (node->status)
        return 0;
    return (int32_t)(axis < 0 ? axis + rank : axis);
}

static void refuse_fluid(pf_onnx_node *node, const pf_op_def *def, const void *attrs)
{
    for (const pf_attr_field *field = def->attr_fields; attrs && field && field->name; field++) {
        const pf_dim_list *list = (const pf_dim_list *)((const char *)attrs + field->offset);

        for (int32_t i = 0; field->kind == PF_ATTR_DIMS && i < list->count; i++)
            if (pf_onnx_is_fluid(node, list->at[i]))
                pf_onnx_fail(node, PF_UNSUPPORTED, "a size that changes from round to round of a loop");
    }
}

void pf_onnx_emit(pf_onnx_node *node, pf_op_kind op, const void *attrs, uint32_t in_count, const pf_value_id *in,
                  uint32_t out_count, pf_value_id *out)
{
    for (uint32_t i = 0; i < out_count; i++)
        out[i] = PF_NONE;
    while (in_count && in[in_count - 1] == PF_NONE)
        in_count--;
    refuse_fluid(node, pf_op_def_of(op), attrs);
    if (!node->status)
        pf_onnx_ok(node,
                   pf_graph_add_node(node->graph, op, node->name, in, in_count, attrs, out_count, out, node->err));
}

pf_value_id pf_onnx_emit0(pf_onnx_node *node, pf_op_kind op, const void *attrs)
{
    pf_value_id out = PF_NONE;

    pf_onnx_emit(node, op, attrs, 0, NULL, 1, &out);
    return out;
}

pf_value_id pf_onnx_emit1(pf_onnx_node *node, pf_op_kind op, const void *attrs, pf_value_id a)
{
    pf_value_id out = PF_NONE;

    pf_onnx_emit(node, op, attrs, 1, &a, 1, &out);
    return out;
}

pf_value_id pf_onnx_emit2(pf_onnx_node *node, pf_op_kind op, const void *attrs, pf_value_id a, pf_value_id b)
{
    pf_value_id in[2] = { a, b }, out = PF_NONE;

    pf_onnx_emit(node, op, attrs, 2, in, 1, &out);
    return out;
}

pf_value_id pf_onnx_add_bias(pf_onnx_node *node, pf_value_id x, pf_value_id bias)
{
    return bias == PF_NONE ? x : pf_onnx_emit2(node, PF_OP_ADD, NULL, x, bias);
}

pf_value_id pf_onnx_emit3(pf_onnx_node *node, pf_op_kind op, const void *attrs, pf_value_id a, pf_value_id b,
                          pf_value_id c)
{
    pf_value_id in[3] = { a, b, c }, out = PF_NONE;

    pf_onnx_emit(node, op, attrs, 3, in, 1, &out);
    return out;
}

void pf_onnx_emit_same(pf_onnx_node *node, pf_op_kind op, const void *attrs)
{
    pf_onnx_emit(node, op, attrs, node->in_count, node->in, node->out_count, node->out);
}

pf_value_id pf_onnx_add_data(pf_onnx_node *node, const pf_onnx_data *data)
{
    pf_value_id out = PF_NONE;

    if (!node->status)
        pf_onnx_ok(node, pf_graph_add_constant(node->graph, "", data->dtype, &data->shape, data->data, data->bytes,
                                               &out, node->err));
    return out;
}

pf_value_id pf_onnx_scalar(pf_onnx_node *node, pf_dtype dtype, double value)
{
    pf_onnx_data data = { .dtype = dtype, .bytes = pf_dtype_bytes(dtype, 1) };
    void        *item = node->status ? NULL : pf_arena_alloc(node->graph->arena, 16);

    if (!item) {
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
        return PF_NONE;
    }
    pf_dtype_set(dtype, item, 0, value);
    data.data = item;
    return pf_onnx_add_data(node, &data);
}

pf_value_id pf_onnx_i64s(pf_onnx_node *node, const int64_t *items, uint32_t count)
{
    pf_onnx_data data = { .dtype = PF_I64, .shape = { 1, { count } }, .bytes = count * sizeof *items };

    data.data = node->status ? NULL : pf_arena_alloc(node->graph->arena, data.bytes ? data.bytes : 1);
    if (!data.data) {
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
        return PF_NONE;
    }
    if (count)
        memcpy((void *)(uintptr_t)data.data, items, data.bytes);
    return pf_onnx_add_data(node, &data);
}
