#include "engine/onnx_import.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/onnx_scope.h"

/* Values known at build time.  Many ONNX inputs (axes, pads, sizes) are attributes of IR ops, and exporters compute
   them by small graphs of constants; these are run here, by the references, when an importer asks. */

enum {
    FOLD_DEPTH = 512,                           /* nodes behind each other */
    FOLD_INPUTS = 64,
    FOLD_OUTPUTS = 16,
};
#define FOLD_BYTES ((size_t)4 << 20)            /* per tensor: what becomes an attribute is small */
#define FOLD_PRODUCT_BYTES ((size_t)64 << 10)   /* the same of products, whose time grows faster than their size */

typedef struct key { char text[64]; } key;

/* A body that is imported a second time may lie where the first one lay: the generation tells them apart. */
static key key_of(const pf_onnx_state *state, const pf_graph *graph, pf_value_id value)
{
    key k;

    snprintf(k.text, sizeof k.text, "%u %p %u", state->generation, (const void *)graph, value);
    return k;
}

/* state->known: 0 says that the value depends on inputs, i that it is tensor i - 1. */
static bool remember(pf_onnx_state *state, const pf_graph *graph, pf_value_id value, const pf_tensor *tensor)
{
    if (!tensor)
        return pf_map_set(state->known, key_of(state, graph, value).text, 0);
    if (pf_grow((void **)&state->tensors, &state->tensor_capacity, state->tensor_count + 1, sizeof *state->tensors))
        return false;
    state->tensors[state->tensor_count++] = *tensor;
    return pf_map_set(state->known, key_of(state, graph, value).text, state->tensor_count);
}

static void borrow_constant(const pf_value *v, pf_tensor *out)
{
    *out = (pf_tensor) { .dtype = v->dtype,
                         .rank = v->shape.rank,
                         .data = (void *)(uintptr_t)v->constant.data,
                         .bytes = v->constant.bytes };
    for (int32_t i = 0; i < v->shape.rank; i++)
        out->dim[i] = v->shape.dim[i];
}

static bool content_is_numbers(const pf_value *v)
{
    if (!v->content || v->kind != PF_VALUE_TENSOR || !pf_shape_is_static(&v->shape) || !pf_dtype_is_whole(v->dtype))
        return false;
    for (uint32_t i = 0; i < v->content_count; i++)
        if (!pf_dim_is_number(v->content[i]))
            return false;
    return true;
}

static bool copy_content(pf_arena *arena, const pf_value *v, pf_tensor *out)
{
    size_t bytes = pf_dtype_bytes(v->dtype, v->content_count);

    borrow_constant(v, out);
    out->bytes = bytes;
    out->data = pf_arena_alloc(arena, bytes ? bytes : 1);
    for (uint32_t i = 0; out->data && i < v->content_count; i++)
        pf_dtype_set_i64(v->dtype, out->data, i, v->content[i]);
    return out->data;
}

static bool find_known(pf_onnx_node *node, pf_value_id value, uint32_t depth, pf_tensor *out);

static bool is_small(const pf_onnx_node *node, pf_value_id value, size_t limit)
{
    const pf_value *v = pf_graph_value(node->graph, value);
    pf_dim          elems = pf_shape_is_static(&v->shape) ? pf_shape_elems(node->graph->dims, &v->shape) : 0;

    return v->kind == PF_VALUE_TENSOR && v->dtype != PF_STRING && elems >= 0 && (uint64_t)elems <= limit &&
           pf_dtype_bytes(v->dtype, (uint64_t)elems) <= limit;
}

/* Bodies are left alone: a loop may run for ever. */
static bool may_fold(const pf_onnx_node *node, const pf_node *producer)
{
    const pf_op_def *def = pf_op_def_of(producer->op);
    size_t           limit = def->klass == PF_CLASS_ANCHOR ? FOLD_PRODUCT_BYTES : FOLD_BYTES;

    if (def->flags & PF_OPF_RANDOM || pf_op_has_body(def) || producer->in_count > FOLD_INPUTS ||
        producer->out_count > FOLD_OUTPUTS)
        return false;
    for (uint32_t i = 0; i < producer->out_count; i++)
        if (!is_small(node, producer->out[i], limit))
            return false;
    for (uint32_t i = 0; def->klass == PF_CLASS_ANCHOR && i < producer->in_count; i++)
        if (producer->in[i] != PF_NONE && !is_small(node, producer->in[i], limit))
            return false;
    return true;
}

static bool keep_output(pf_onnx_node *node, pf_value_id value, pf_tensor *tensor)
{
    pf_tensor kept = *tensor;

    kept.owned = false;
    kept.data = pf_arena_copy(node->scope->state->arena, tensor->data ? tensor->data : &kept,
                              tensor->bytes ? tensor->bytes : 1);
    return kept.data && remember(node->scope->state, node->graph, value, &kept);
}

/* Runs the producer when all it reads is known. A reference that refuses (a division by zero, say) leaves the value
   unknown: the network would fail in the same place. */
static bool fold(pf_onnx_node *node, pf_node_id id, uint32_t depth)
{
    pf_tensor     in[FOLD_INPUTS] = { 0 }, out[FOLD_OUTPUTS] = { 0 };
    const pf_node producer = *pf_graph_node(node->graph, id);
    bool          good = may_fold(node, &producer);

    for (uint32_t i = 0; good && i < producer.in_count; i++)
        good = producer.in[i] == PF_NONE || find_known(node, producer.in[i], depth + 1, &in[i]);
    good = good && !pf_interpret_node(node->graph, id, in, out, NULL, NULL);
    for (uint32_t i = 0; good && i < producer.out_count; i++)
        good = keep_output(node, producer.out[i], &out[i]);
    for (uint32_t i = 0; i < producer.out_count && i < FOLD_OUTPUTS; i++)
        pf_tensor_clear(&out[i]);
    return good;
}

static bool find_known(pf_onnx_node *node, pf_value_id value, uint32_t depth, pf_tensor *out)
{
    pf_onnx_state *state = node->scope->state;
    pf_value       v = *pf_graph_value(node->graph, value);
    uint64_t       at = 0;

    if (v.is_constant) {
        borrow_constant(&v, out);
        return true;
    }
    if (!pf_map_get(state->known, key_of(state, node->graph, value).text, &at)) {
        pf_tensor content = { 0 };
        bool      good = false;

        if (content_is_numbers(&v))
            good = copy_content(state->arena, &v, &content) && remember(state, node->graph, value, &content);
        else if (v.producer != PF_NONE && depth < FOLD_DEPTH)
            good = fold(node, v.producer, depth);
        if (!good)
            remember(state, node->graph, value, NULL);
        if (!good || !pf_map_get(state->known, key_of(state, node->graph, value).text, &at))
            return false;
    }
    if (at)
        *out = state->tensors[at - 1];
    return at;
}

bool pf_onnx_constant(pf_onnx_node *node, pf_value_id value, pf_tensor *out)
{
    memset(out, 0, sizeof *out);
    return !node->status && value != PF_NONE && find_known(node, value, 0, out);
}

bool pf_onnx_constant_ints(pf_onnx_node *node, pf_value_id value, pf_ints *out)
{
    pf_tensor tensor = { 0 };
    int64_t   count = 0;

    memset(out, 0, sizeof *out);
    if (!pf_onnx_constant(node, value, &tensor))
        return false;
    count = pf_tensor_elems(&tensor);
    if (tensor.rank > 1 || !pf_dtype_is_integer(tensor.dtype)) {
        pf_onnx_fail(node, PF_INVALID, "a list of integers was expected in \"%.200s\"",
                     pf_onnx_value(node, value)->name);
        return false;
    }
    if (count > PF_ATTR_LIST) {
        pf_onnx_fail(node, PF_UNSUPPORTED, "a list of %lld numbers; up to %d are supported", (long long)count,
                     PF_ATTR_LIST);
        return false;
    }
    for (int64_t i = 0; i < count; i++)
        out->at[out->count++] = pf_dtype_get_i64(tensor.dtype, tensor.data, (uint64_t)i);
    return true;
}

pf_dim_list pf_onnx_as_dims(pf_ints ints)
{
    pf_dim_list out = { ints.count };

    for (int32_t i = 0; i < ints.count; i++)
        out.at[i] = pf_onnx_number(ints.at[i]);
    return out;
}

bool pf_onnx_known_dims(pf_onnx_node *node, pf_value_id value, pf_dim_list *out)
{
    const pf_value *v = pf_onnx_value(node, value);
    pf_ints         ints = { 0 };

    memset(out, 0, sizeof *out);
    if (node->status || value == PF_NONE)
        return false;
    for (uint32_t i = 0; v->content && i < v->content_count; i++)
        if (pf_onnx_is_fluid(node, v->content[i]))
            return false;
    if (v->content && v->shape.rank <= 1 && v->content_count <= PF_ATTR_LIST) {
        out->count = (int32_t)v->content_count;
        memcpy(out->at, v->content, v->content_count * sizeof *out->at);
        return true;
    }
    if (!pf_onnx_constant_ints(node, value, &ints))
        return false;
    *out = pf_onnx_as_dims(ints);
    return true;
}

bool pf_onnx_constant_number(pf_onnx_node *node, pf_value_id value, double *out)
{
    pf_tensor tensor = { 0 };

    *out = 0;
    if (!pf_onnx_constant(node, value, &tensor) || pf_tensor_elems(&tensor) != 1)
        return false;
    *out = pf_dtype_get(tensor.dtype, tensor.data, 0);
    return true;
}

bool pf_onnx_constant_int(pf_onnx_node *node, pf_value_id value, int64_t *out)
{
    pf_tensor tensor = { 0 };

    *out = 0;
    if (!pf_onnx_constant(node, value, &tensor) || pf_tensor_elems(&tensor) != 1)
        return false;
    if (pf_dtype_is_float(tensor.dtype))
        pf_dtype_convert(tensor.dtype, tensor.data, PF_I64, out, 1);
    else
        *out = pf_dtype_get_i64(tensor.dtype, tensor.data, 0);
    return true;
}
