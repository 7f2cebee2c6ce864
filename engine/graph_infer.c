/* Inference of dtypes and shapes, once per node and again when inputs change. */
#include <string.h>

#include "base/alloc.h"
#include "engine/graph_private.h"

static pf_status check_made(const pf_op_def *def, const pf_value *made, uint32_t count, pf_err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (pf_dtype_bits(made[i].dtype) == 0)
            return PF_FAIL(err, PF_INTERNAL, "inference of %s left output %u without an element type", def->name, i);
        for (int32_t d = 0; d < made[i].shape.rank; d++)
            if (made[i].shape.dim[d] == PF_DIM_INVALID)
                return PF_FAIL(err, PF_INVALID, "dim %d of output %u overflows or has too many terms", d, i);
    }
    return PF_OK;
}

pf_status graph_infer_node(pf_graph *graph, pf_node_id node, pf_value *out, pf_err *err)
{
    const pf_op_def *def = pf_op_def_of(graph->nodes[node].op);
    pf_infer         infer = { graph, &graph->nodes[node], out };
    pf_dims_scope   *before = pf_dims_scope_enter(graph->dims, &graph->private_->scopes[node]);
    pf_status        st = def->infer(&infer, err);

    pf_dims_scope_leave(graph->dims, before);
    if (!st)
        st = check_made(def, out, graph->nodes[node].out_count, err);
    if (st && pf_dims_out_of_memory(graph->dims)) {      /* an op sees an invalid dim only, and blames the model */
        pf_err_clear(err);
        st = PF_FAIL_MEMORY(err, sizeof *out);
    }
    return st;
}

/* The symbol that the node made for a size that it did not know, when dim is just that. */
static uint32_t own_symbol(const pf_graph *graph, pf_node_id node, pf_dim dim)
{
    uint32_t        count = 0;
    const uint32_t *symbols = pf_graph_sizes_of(graph, node, &count);

    for (uint32_t i = 0; i < count && pf_dim_is_symbolic(dim); i++)
        if (pf_dims_symbol(graph->dims, pf_dims_symbol_name(graph->dims, symbols[i])) == dim)
            return symbols[i];
    return UINT32_MAX;
}

/* A size that only data seemed to decide, and that is known now: whoever needs the symbol takes what is known. */
static pf_status replace_sizes(pf_graph *graph, pf_node_id node, const pf_shape *before, const pf_shape *now,
                               pf_err *err)
{
    pf_status st = PF_OK;

    for (int32_t i = 0; i < now->rank && before->rank == now->rank && !st; i++) {
        uint32_t symbol = before->dim[i] == now->dim[i] ? UINT32_MAX : own_symbol(graph, node, before->dim[i]);

        if (symbol != UINT32_MAX && !pf_dim_uses(graph->dims, now->dim[i], symbol))
            st = pf_graph_substitute(graph, symbol, now->dim[i], err);
    }
    return st;
}

static pf_status infer_again(pf_graph *graph, pf_node_id id, pf_err *err)
{
    const pf_node *node = &graph->nodes[id];
    pf_value      *made = pf_calloc(node->out_count, sizeof *made);
    pf_status      st = made ? graph_infer_node(graph, id, made, err)
                             : PF_FAIL_MEMORY(err, node->out_count * sizeof *made);

    for (uint32_t i = 0; i < node->out_count && !st; i++) {
        pf_value *value = &graph->values[node->out[i]];

        st = replace_sizes(graph, id, &value->shape, &made[i].shape, err);
        value->kind = made[i].kind;
        value->dtype = made[i].dtype;
        value->shape = made[i].shape;
        value->content = made[i].content;
        value->content_count = made[i].content_count;
    }
    pf_free(made);
    return st ? pf_err_add(err, st, "%s \"%s\"", pf_op_def_of(node->op)->name, node->name) : PF_OK;
}

pf_status pf_graph_infer(pf_graph *graph, pf_err *err)
{
    pf_node_id *order = NULL;
    uint32_t    count = 0;
    pf_status   st = pf_graph_order(graph, &order, &count, err);

    for (uint32_t i = 0; i < count && !st; i++)
        st = infer_again(graph, order[i], err);
    pf_free(order);
    return st;
}

pf_status pf_graph_set_input_shape(pf_graph *graph, pf_value_id input, const pf_shape *shape, pf_err *err)
{
    if (input >= graph->value_count || !graph->values[input].is_input)
        return PF_FAIL(err, PF_INTERNAL, "value %u is not an input", input);
    graph->values[input].shape = *shape;
    graph->values[input].content = NULL;
    graph->values[input].content_count = 0;
    return PF_OK;
}

pf_status pf_graph_set_body_inputs(pf_graph *body, uint32_t first, const pf_graph *graph, const pf_value_id *values,
                                   uint32_t count, pf_err *err)
{
    if (first > body->input_count || count > body->input_count - first)
        return PF_FAIL(err, PF_INVALID, "the body \"%s\" has %u inputs where %u are needed", body->name,
                       body->input_count, first + count);
    for (uint32_t i = 0; i < count; i++) {
        const pf_value *from = NULL;
        pf_value       *to = &body->values[body->inputs[first + i]];

        if (values[i] == PF_NONE)
            return PF_FAIL(err, PF_INVALID, "input %u of the body \"%s\" is left out outside", first + i, body->name);
        from = &graph->values[values[i]];
        to->kind = from->kind;
        to->dtype = from->dtype;
        to->shape = from->shape;
        to->content_count = from->content_count;
        to->content = from->content_count
                          ? pf_arena_copy(body->arena, from->content, from->content_count * sizeof *from->content)
                          : NULL;
        if (from->content_count && !to->content)
            return PF_FAIL_MEMORY(err, from->content_count * sizeof *from->content);
    }
    return PF_OK;
}
