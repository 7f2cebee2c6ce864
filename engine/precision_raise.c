#include "engine/precision_raise.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

/* Per value: its type in the network as it was, whether it is wide now, and its twin of the other type once that was
   needed. */
typedef struct twin { pf_dtype narrow; bool wide; pf_value_id other; } twin;

typedef struct raising {
    pf_graph *graph;
    twin     *twins; uint32_t count, capacity;
    pf_err   *err;
} raising;

static pf_dtype narrow_type(const pf_value *value)
{
    return value->kind == PF_VALUE_TENSOR && (value->dtype == PF_F16 || value->dtype == PF_BF16) ? value->dtype
                                                                                                 : PF_DTYPE_NONE;
}

static pf_status cover_values(raising *r)
{
    if (pf_grow((void **)&r->twins, &r->capacity, r->graph->value_count, sizeof *r->twins))
        return PF_FAIL_MEMORY(r->err, r->graph->value_count * sizeof *r->twins);
    for (; r->count < r->graph->value_count; r->count++)
        r->twins[r->count] = (twin){ narrow_type(&r->graph->values[r->count]), false, PF_NONE };
    return PF_OK;
}

static pf_status wide_constant(raising *r, pf_value_id from, pf_value_id *out)
{
    pf_graph   *graph = r->graph;
    pf_value    value = graph->values[from];
    uint64_t    elems = (uint64_t)pf_shape_elems(graph->dims, &value.shape);
    size_t      bytes = pf_dtype_bytes(PF_F32, elems);
    void       *data = pf_arena_alloc(graph->arena, bytes + 1);
    const void *narrow = NULL;

    if (!data)
        return PF_FAIL_MEMORY(r->err, bytes);
    if (pf_constant_bytes(&value.constant, &narrow, r->err))
        return PF_NO_SPACE;
    pf_dtype_convert(value.dtype, narrow, PF_F32, data, elems);
    return pf_graph_add_constant(graph, value.name, PF_F32, &value.shape, data, bytes, out, r->err);
}

/* The value's twin of the other type, made once. */
static pf_status other_of(raising *r, pf_value_id value, pf_value_id *out)
{
    twin         *own = &r->twins[value];
    pf_cast_attrs attrs = { .dtype = (int32_t)(own->wide ? own->narrow : PF_F32) };
    pf_status     st = PF_OK;

    if (own->other == PF_NONE) {
        st = r->graph->values[value].is_constant
                 ? wide_constant(r, value, out)
                 : pf_graph_add_node(r->graph, PF_OP_CAST, "", &value, 1, &attrs, 1, out, r->err);
        if (!st)
            st = cover_values(r);
        if (!st)
            r->twins[value].other = *out;
    }
    if (!st)
        *out = r->twins[value].other;
    return st;
}

static bool has_attr(const pf_op_def *def, int kind)
{
    for (const pf_attr_field *field = def->attr_fields; field && field->name; field++)
        if ((int)field->kind == kind)
            return true;
    return false;
}

/* Ops whose type an attribute gives, and the attributes with FP32 in the place of the narrow type; *attrs NULL: the op
   is no such one. */
static pf_status widen_attrs(raising *r, const pf_node *node, void **attrs)
{
    const pf_op_def *def = pf_op_def_of(node->op);

    *attrs = NULL;
    if (node->op != PF_OP_CAST && node->op != PF_OP_DEQUANTIZE_LINEAR)
        return PF_OK;
    *attrs = pf_arena_alloc(r->graph->arena, def->attr_bytes);
    if (!*attrs)
        return PF_FAIL_MEMORY(r->err, def->attr_bytes);
    memcpy(*attrs, node->attrs, def->attr_bytes);
    if (node->op == PF_OP_CAST)
        ((pf_cast_attrs *)*attrs)->dtype = PF_F32;
    else
        ((pf_dequantize_linear_attrs *)*attrs)->dtype = PF_F32;
    return PF_OK;
}

static bool makes_narrow(const raising *r, const pf_node *node)
{
    for (uint32_t i = 0; i < node->out_count; i++)
        if (r->twins[node->out[i]].narrow != PF_DTYPE_NONE)
            return true;
    return false;
}

static pf_status set_inputs(raising *r, pf_node_id id, bool wide)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < r->graph->nodes[id].in_count && !st; i++) {
        pf_value_id in = r->graph->nodes[id].in[i], made = in;

        if (in == PF_NONE || r->twins[in].narrow == PF_DTYPE_NONE || r->twins[in].wide == wide)
            continue;
        st = other_of(r, in, &made);
        if (!st)
            st = pf_graph_set_input(r->graph, id, i, made, r->err);
    }
    return st;
}

static pf_status raise_node(raising *r, pf_node_id id)
{
    const pf_node   *node = &r->graph->nodes[id];
    const pf_op_def *def = pf_op_def_of(node->op);
    void            *attrs = NULL;
    bool             narrow = makes_narrow(r, node),
                     wide = def->klass != PF_CLASS_HOST && !has_attr(def, PF_ATTR_GRAPH);
    pf_status        st = narrow ? widen_attrs(r, node, &attrs) : PF_OK;

    if (narrow && !attrs && has_attr(def, PF_ATTR_DTYPE))
        wide = false;
    if (!st)
        st = set_inputs(r, id, wide);
    if (st || !wide)
        return st;
    if (attrs)
        r->graph->nodes[id].attrs = attrs;
    for (uint32_t i = 0; i < r->graph->nodes[id].out_count; i++)
        r->twins[r->graph->nodes[id].out[i]].wide = r->twins[r->graph->nodes[id].out[i]].narrow != PF_DTYPE_NONE;
    return PF_OK;
}

static pf_status restore_outputs(raising *r)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < r->graph->output_count && !st; i++) {
        pf_value_id made = r->graph->outputs[i];

        if (!r->twins[made].wide)
            continue;
        st = other_of(r, made, &made);
        if (!st)
            st = pf_graph_set_output(r->graph, i, made, r->err);
    }
    return st;
}

static bool has_narrow(const pf_graph *graph)
{
    for (uint32_t v = 0; v < graph->value_count; v++)
        if (narrow_type(&graph->values[v]) != PF_DTYPE_NONE && pf_graph_use_count(graph, v))
            return true;
    return false;
}

pf_status pf_precision_raise(pf_graph *graph, pf_err *err)
{
    raising     r = { .graph = graph, .err = err };
    pf_node_id *order = NULL;
    uint32_t    count = 0;
    pf_status   st = PF_OK;

    if (!has_narrow(graph))
        return PF_OK;
    st = pf_graph_order(graph, &order, &count, err);
    if (!st)
        st = cover_values(&r);
    for (uint32_t i = 0; i < count && !st; i++)
        st = raise_node(&r, order[i]);
    if (!st)
        st = restore_outputs(&r);
    if (!st)
        st = pf_graph_infer(graph, err);
    pf_free(order);
    pf_free(r.twins);
    return st;
}
