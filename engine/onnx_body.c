#include "engine/onnx_scope.h"

#include <string.h>

/* Graphs in attributes: bodies of If, Loop and Scan. */

static const Onnx__GraphProto *body_proto(pf_onnx_node *node, const char *attribute)
{
    const Onnx__AttributeProto *a = node->status ? NULL : pf_onnx_attr(node, attribute);

    if (a && a->g)
        return a->g;
    pf_onnx_fail(node, PF_INVALID, "attribute \"%s\" should hold a graph and does not", attribute);
    return NULL;
}

static pf_status add_inputs(pf_onnx_scope *scope, const pf_value *types, uint32_t type_count, pf_err *err)
{
    const Onnx__GraphProto *proto = scope->proto;
    pf_status               st = PF_OK;

    if (proto->n_input != type_count)
        return PF_FAIL(err, PF_INVALID, "its body has %zu inputs where %u are given", proto->n_input, type_count);
    for (uint32_t i = 0; !st && i < type_count; i++) {
        const char *name = proto->input[i]->name ? proto->input[i]->name : "";
        pf_value_id id = PF_NONE;

        st = pf_graph_add_input(scope->graph, name, types[i].dtype, &types[i].shape, &id, err);
        if (!st)
            pf_graph_value(scope->graph, id)->kind = types[i].kind;
        if (!st)
            st = pf_onnx_scope_set(scope, name, id, err);
    }
    return st;
}

static pf_status add_outputs(pf_onnx_scope *scope, pf_err *err)
{
    pf_status st = PF_OK;

    for (size_t i = 0; !st && i < scope->proto->n_output; i++) {
        const char *name = scope->proto->output[i]->name ? scope->proto->output[i]->name : "";
        pf_value_id id = PF_NONE;

        st = pf_onnx_scope_find(scope, name, &id, err);
        if (!st)
            st = pf_graph_add_output(scope->graph, id, name, err);
    }
    return st;
}

static bool enter(pf_onnx_node *node)
{
    if (node->scope->state->depth == PF_ONNX_CALL_DEPTH)
        pf_onnx_fail(node, PF_INVALID, "bodies are nested more than %d deep", PF_ONNX_CALL_DEPTH);
    if (node->status)
        return false;
    node->scope->state->depth++;
    return true;
}

pf_graph *pf_onnx_body(pf_onnx_node *node, const char *attribute, const pf_value *types, uint32_t type_count)
{
    const Onnx__GraphProto *proto = body_proto(node, attribute);
    pf_onnx_scope           scope = { 0 };
    pf_graph               *graph = NULL;
    pf_status               st = PF_OK;

    if (!proto || !enter(node))
        return NULL;
    graph = pf_graph_new(proto->name ? proto->name : "", node->graph);
    st = graph ? PF_OK : PF_FAIL_MEMORY(node->err, sizeof *graph);
    if (!st)
        st = pf_onnx_scope_init(&scope, node->scope->state, node->scope, graph, proto, node->err);
    if (!st)
        st = add_inputs(&scope, types, type_count, node->err);
    if (!st)
        st = pf_onnx_scope_nodes(&scope, proto->node, proto->n_node, node->err);
    if (!st)
        st = add_outputs(&scope, node->err);
    pf_onnx_scope_clear(&scope);
    node->scope->state->depth--;
    if (pf_onnx_ok(node, st))
        return graph;
    pf_onnx_body_free(node, graph);
    return NULL;
}

void pf_onnx_body_free(pf_onnx_node *node, pf_graph *body)
{
    node->scope->state->generation++;
    pf_graph_free(body);
}

void pf_onnx_inline_body(pf_onnx_node *node, const char *attribute, const pf_value_id *in, uint32_t in_count,
                         pf_value_id *out, uint32_t out_count)
{
    const Onnx__GraphProto *proto = body_proto(node, attribute);
    pf_onnx_scope           scope = { 0 };
    pf_status               st = PF_OK;

    if (!proto || !enter(node))
        return;
    if (proto->n_input != in_count || proto->n_output < out_count)
        st = PF_FAIL(node->err, PF_INVALID, "its body has %zu inputs and %zu outputs where %u and %u are needed",
                     proto->n_input, proto->n_output, in_count, out_count);
    if (!st)
        st = pf_onnx_scope_init(&scope, node->scope->state, node->scope, node->graph, proto, node->err);
    for (uint32_t i = 0; !st && i < in_count; i++)
        st = pf_onnx_scope_set(&scope, proto->input[i]->name ? proto->input[i]->name : "", in[i], node->err);
    if (!st)
        st = pf_onnx_scope_nodes(&scope, proto->node, proto->n_node, node->err);
    for (uint32_t i = 0; !st && i < out_count; i++)
        st = pf_onnx_scope_find(&scope, proto->output[i]->name ? proto->output[i]->name : "", &out[i], node->err);
    pf_onnx_scope_clear(&scope);
    node->scope->state->depth--;
    pf_onnx_ok(node, st);
}

static bool graph_reads(const Onnx__GraphProto *graph, const char *name);

static bool node_reads(const Onnx__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_input; i++)
        if (!strcmp(node->input[i], name))
            return true;
    for (size_t i = 0; i < node->n_attribute; i++)
        if (node->attribute[i]->g && graph_reads(node->attribute[i]->g, name))
            return true;
    return false;
}

/* Also of another value of that name inside: that says yes where it might be no. */
static bool graph_reads(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_node; i++)
        if (node_reads(graph->node[i], name))
            return true;
    for (size_t i = 0; i < graph->n_output; i++)
        if (graph->output[i]->name && !strcmp(graph->output[i]->name, name))
            return true;
    return false;
}

bool pf_onnx_body_reads(pf_onnx_node *node, const char *attribute, uint32_t input)
{
    const Onnx__GraphProto *proto = body_proto(node, attribute);

    return !proto || input >= proto->n_input || !proto->input[input]->name ||
           graph_reads(proto, proto->input[input]->name);
}
