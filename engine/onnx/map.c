#include "base/alloc.h"
#include "engine/onnx_scope.h"
#include "engine/ops/attrs.h"

/* SequenceMap: a loop over the items of a sequence that runs the model's graph on each and collects what it gives. */

enum { MOST_RESULTS = 32 };

/* What the graph sees of an input: an item of a sequence, or the whole tensor. */
static pf_value item_type(const pf_onnx_node *node, pf_value_id value)
{
    pf_value type = *pf_onnx_value(node, value);

    type.kind = PF_VALUE_TENSOR;
    type.content = NULL;
    type.content_count = 0;
    return type;
}

/* Element types of the results, by importing the graph once for nothing else. */
static void result_types(pf_onnx_node *node, pf_dtype out[MOST_RESULTS])
{
    pf_value *types = pf_calloc(node->in_count + 1, sizeof *types);
    pf_graph *trial = NULL;

    if (!types)
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
    for (uint32_t i = 0; types && i < node->in_count; i++)
        types[i] = item_type(node, pf_onnx_in(node, i));
    trial = pf_onnx_body(node, "body", types, node->in_count);
    if (!node->status && (trial->output_count < node->out_count || node->out_count > MOST_RESULTS))
        pf_onnx_fail(node, PF_INVALID, "its graph gives %u values for %u outputs", trial->output_count,
                     node->out_count);
    for (uint32_t i = 0; !node->status && i < node->out_count; i++)
        out[i] = trial->values[trial->outputs[i]].dtype;
    pf_onnx_body_free(node, trial);
    pf_free(types);
}

/* The loop's body: iteration, condition and the sequences made so far. */
static pf_status add_formals(pf_graph *body, const pf_dtype *dtypes, uint32_t count, pf_err *err)
{
    const pf_shape scalar = { 0 }, any = { .rank = -1 };
    pf_value_id    id = PF_NONE;
    pf_status      st = pf_graph_add_input(body, "iteration", PF_I64, &scalar, &id, err);

    if (!st)
        st = pf_graph_add_input(body, "condition", PF_BOOL, &scalar, &id, err);
    for (uint32_t i = 0; !st && i < count; i++) {
        st = pf_graph_add_input(body, "made", dtypes[i], &any, &id, err);
        if (!st)
            pf_graph_value(body, id)->kind = PF_VALUE_SEQUENCE;
    }
    return st;
}

/* Names of the model's graph for this round's items. inner adds nodes to the loop's body. */
static void bind_items(pf_onnx_node *node, pf_onnx_node *inner, const Onnx__GraphProto *proto)
{
    for (uint32_t i = 0; i < node->in_count && !inner->status; i++) {
        bool        sequence = pf_onnx_value(node, node->in[i])->kind == PF_VALUE_SEQUENCE;
        pf_value_id item = PF_NONE;

        pf_onnx_ok(inner, pf_graph_capture(inner->graph, node->in[i], &item, node->err));
        if (sequence)
            item = pf_onnx_emit2(inner, PF_OP_SEQUENCE_AT, NULL, item, inner->graph->inputs[0]);
        if (!inner->status)
            pf_onnx_ok(inner, pf_onnx_scope_set(inner->scope, proto->input[i]->name ? proto->input[i]->name : "", item,
                                                node->err));
    }
}

static void collect_results(pf_onnx_node *inner, const Onnx__GraphProto *proto, uint32_t count)
{
    pf_value_id more = pf_onnx_emit1(inner, PF_OP_IDENTITY, NULL, inner->graph->inputs[1]);

    if (!inner->status)
        pf_onnx_ok(inner, pf_graph_add_output(inner->graph, more, "more", inner->err));
    for (uint32_t i = 0; i < count && !inner->status; i++) {
        pf_value_id item = PF_NONE;

        pf_onnx_ok(inner, pf_onnx_scope_find(inner->scope, proto->output[i]->name ? proto->output[i]->name : "", &item,
                                             inner->err));
        item = pf_onnx_emit2(inner, PF_OP_SEQUENCE_INSERT, NULL, inner->graph->inputs[2 + i], item);
        if (!inner->status)
            pf_onnx_ok(inner, pf_graph_add_output(inner->graph, item, "", inner->err));
    }
}

static pf_graph *map_body(pf_onnx_node *node, const Onnx__GraphProto *proto, const pf_dtype *dtypes)
{
    pf_graph     *body = pf_graph_new("map", node->graph);
    pf_onnx_scope scope = { 0 };
    pf_onnx_node  inner = *node;
    pf_status st = body ? pf_onnx_scope_init(&scope, node->scope->state, node->scope, body, proto, node->err)
                        : PF_FAIL_MEMORY(node->err, sizeof *body);

    inner.scope = &scope;
    inner.graph = body;
    if (!st)
        st = add_formals(body, dtypes, node->out_count, node->err);
    if (pf_onnx_ok(&inner, st))
        bind_items(node, &inner, proto);
    if (!inner.status)
        pf_onnx_ok(&inner, pf_onnx_scope_nodes(&scope, proto->node, proto->n_node, node->err));
    if (!inner.status)
        collect_results(&inner, proto, node->out_count);
    pf_onnx_scope_clear(&scope);
    if (pf_onnx_ok(node, inner.status))
        return body;
    pf_onnx_body_free(node, body);
    return NULL;
}

static void emit_loop(pf_onnx_node *node, pf_graph *body, const pf_dtype *dtypes)
{
    uint32_t      count = 2 + node->out_count + body->capture_count;
    pf_value_id  *in = pf_calloc(count, sizeof *in);
    pf_loop_attrs attrs = { body, node->out_count };

    if (!in) {
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
        return;
    }
    in[0] = pf_onnx_emit1(node, PF_OP_SEQUENCE_LENGTH, NULL, node->in[0]);
    in[1] = PF_NONE;
    for (uint32_t i = 0; i < node->out_count; i++) {
        pf_sequence_construct_attrs empty = { (int32_t)dtypes[i] };

        in[2 + i] = pf_onnx_emit0(node, PF_OP_SEQUENCE_CONSTRUCT, &empty);
    }
    for (uint32_t i = 0; i < body->capture_count; i++)
        in[2 + node->out_count + i] = body->captured[i];
    pf_onnx_emit(node, PF_OP_LOOP, &attrs, count, in, node->out_count, node->out);
    pf_free(in);
}

void pf_onnx_sequence_map(pf_onnx_node *node)
{
    const Onnx__AttributeProto *a = pf_onnx_attr(node, "body");
    pf_dtype                    dtypes[MOST_RESULTS] = { 0 };
    pf_graph                   *body = NULL;

    result_types(node, dtypes);
    if (node->status)
        return;
    if (a->g->n_input != node->in_count)
        pf_onnx_fail(node, PF_INVALID, "its graph has %zu inputs where %u are given", a->g->n_input, node->in_count);
    body = node->status ? NULL : map_body(node, a->g, dtypes);
    if (body)
        emit_loop(node, body, dtypes);
}
