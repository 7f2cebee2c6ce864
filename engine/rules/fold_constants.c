/* Nodes whose inputs are all constants become constants, computed by the reference.  Left alone:
   - random ops;
   - dequantize_linear, which quantize_by_parts takes apart where its constants shall become floats;
   - control flow, which may run for any length of time;
   - results larger than LIMIT_BYTES and larger than what they are made from. */
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

enum { LIMIT_BYTES = 64 << 20 };

static bool dims_are_numbers(const pf_op_def *def, const void *attrs)
{
    for (const pf_attr_field *field = def->attr_fields; field && field->name; field++) {
        const pf_dim_list *list = (const pf_dim_list *)((const char *)attrs + field->offset);

        for (int32_t i = 0; field->kind == PF_ATTR_DIMS && i < list->count; i++)
            if (!pf_dim_is_number(list->at[i]))
                return false;
    }
    return true;
}

static size_t input_bytes(const pf_graph *graph, const pf_node *node)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < node->in_count; i++)
        if (node->in[i] != PF_NONE)
            bytes += graph->values[node->in[i]].constant.bytes;
    return bytes;
}

static bool inputs_are_constant(const pf_graph *graph, const pf_node *node)
{
    for (uint32_t i = 0; i < node->in_count; i++)
        if (node->in[i] != PF_NONE && !graph->values[node->in[i]].is_constant)
            return false;
    return true;
}

/* Shapes that only the data says are looked at after the fact. */
static bool outputs_fit(const pf_graph *graph, const pf_node *node, size_t limit)
{
    for (uint32_t i = 0; i < node->out_count; i++) {
        const pf_value *value = &graph->values[node->out[i]];
        pf_tensor       tensor = { .dtype = value->dtype, .rank = value->shape.rank };

        if (value->kind != PF_VALUE_TENSOR)
            return false;
        memcpy(tensor.dim, value->shape.dim, sizeof tensor.dim);
        if (pf_shape_is_static(&value->shape) && (pf_tensor_measure(&tensor, NULL) || tensor.bytes > limit))
            return false;
    }
    return true;
}

static bool is_foldable(const pf_graph *graph, const pf_node *node)
{
    const pf_op_def *def = pf_op_def_of(node->op);
    size_t           bytes = 0;

    if (def->flags & PF_OPF_RANDOM || node->op == PF_OP_DEQUANTIZE_LINEAR || pf_op_has_body(def) ||
        !inputs_are_constant(graph, node))
        return false;
    bytes = input_bytes(graph, node);
    return dims_are_numbers(def, node->attrs) && outputs_fit(graph, node, bytes > LIMIT_BYTES ? bytes : LIMIT_BYTES);
}

static void release_tensor(void *tensor)
{
    pf_tensor_clear(tensor);
    pf_free(tensor);
}

/* The tensor becomes a constant that the graph keeps alive. */
static pf_status take_tensor(pf_graph *graph, pf_tensor *tensor, const char *name, pf_value_id *out, pf_err *err)
{
    pf_tensor *kept = pf_alloc(sizeof *kept);
    pf_shape   shape = { .rank = tensor->rank };
    pf_status  st = kept ? PF_OK : PF_FAIL_MEMORY(err, sizeof *kept);

    if (st)
        return st;
    *kept = *tensor;
    memset(tensor, 0, sizeof *tensor);
    memcpy(shape.dim, kept->dim, sizeof shape.dim);
    st = pf_graph_keep(graph, kept, release_tensor, err);
    if (st) {
        release_tensor(kept);
        return st;
    }
    return pf_graph_add_constant(graph, name, kept->dtype, &shape, kept->data, kept->bytes, out, err);
}

static pf_status read_inputs(const pf_graph *graph, const pf_node *node, pf_tensor *in, pf_err *err)
{
    static const char no_bytes[1];
    const void       *data = NULL;

    for (uint32_t i = 0; i < node->in_count; i++) {
        const pf_value *value = node->in[i] == PF_NONE ? NULL : &graph->values[node->in[i]];

        if (!value)
            continue;
        in[i] = (pf_tensor){ .dtype = value->dtype, .rank = value->shape.rank, .bytes = value->constant.bytes };
        memcpy(in[i].dim, value->shape.dim, sizeof in[i].dim);
        if (pf_constant_bytes(&value->constant, &data, err))
            return PF_NO_SPACE;
        in[i].data = (void *)(uintptr_t)(data ? data : no_bytes);
    }
    return PF_OK;
}

static pf_status replace_outputs(pf_rewrite *rewrite, pf_node_id id, pf_tensor *out, bool *changed, pf_err *err)
{
    pf_graph *graph = pf_rewrite_graph(rewrite);

    for (uint32_t i = 0; i < graph->nodes[id].out_count; i++) {
        pf_value_id made = graph->nodes[id].out[i], constant = PF_NONE;
        pf_status   st = PF_OK;

        if (!pf_graph_use_count(graph, made))
            continue;
        st = take_tensor(graph, &out[i], graph->values[made].name, &constant, err);
        if (!st)
            st = pf_rewrite_replace(rewrite, id, i, constant, changed, err);
        if (st)
            return st;
    }
    return PF_OK;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph      *graph = pf_rewrite_graph(rewrite);
    const pf_node *node = &graph->nodes[id];
    uint32_t       in_count = node->in_count, out_count = node->out_count;
    pf_tensor     *io = NULL;
    pf_err         why = { 0 };
    pf_status      st = PF_OK;

    if (!is_foldable(graph, node) || (node->op == PF_OP_IDENTITY && pf_graph_is_output(graph, node->out[0])))
        return PF_OK;
    io = pf_calloc(in_count + out_count, sizeof *io);
    if (!io)
        return PF_FAIL_MEMORY(err, (in_count + out_count) * sizeof *io);
    st = read_inputs(graph, node, io, &why);
    if (!st)
        st = pf_interpret_node(graph, id, io, io + in_count, NULL, &why);
    if (!st)
        st = replace_outputs(rewrite, id, io + in_count, changed, err);
    else if (st == PF_NO_SPACE)
        st = PF_FAIL(err, st, "%s", why.msg);
    else
        st = PF_OK;  /* the node stays: it may never run, and whoever runs it says what is wrong */
    for (uint32_t i = 0; i < out_count; i++)
        pf_tensor_clear(&io[in_count + i]);
    pf_free(io);
    return st;
}

const pf_rule pf_rule_fold_constants = {
    .name = "fold_constants", .summary = "compute now what depends on constants only", .phase = PF_RULES_CLEAN,
    .default_on = true, .apply = apply,
};
