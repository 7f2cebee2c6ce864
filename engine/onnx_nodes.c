#include "engine/onnx_scope.h"

#include <string.h>

#include "base/alloc.h"

/* One node after another: find its row, resolve its inputs, run its importer, publish its outputs. */

static const char *text_or(const char *text, const char *other)
{
    return text && *text ? text : other;
}

static const char *make_name(const pf_onnx_scope *scope, const Onnx__NodeProto *proto)
{
    const char *own =
        text_or(proto->name, text_or(proto->n_output ? proto->output[0] : NULL, text_or(proto->op_type, "")));
    size_t      prefix_bytes = strlen(scope->prefix), own_bytes = strlen(own);
    char       *name = pf_arena_alloc(scope->graph->arena, prefix_bytes + own_bytes + 1);

    if (name) {
        memcpy(name, scope->prefix, prefix_bytes);
        memcpy(name + prefix_bytes, own, own_bytes);
    }
    return name;
}

static pf_status resolve_inputs(pf_onnx_node *node, pf_value_id *in)
{
    const Onnx__NodeProto *proto = node->proto;
    pf_status              st = PF_OK;

    for (size_t i = 0; !st && i < proto->n_input; i++) {
        in[i] = PF_NONE;
        if (!*proto->input[i])
            continue;
        st = pf_onnx_scope_find(node->scope, proto->input[i], &in[i], node->err);
        if (!st && in[i] != PF_NONE)
            node->in_count = (uint32_t)i + 1;
    }
    return st;
}

static pf_status check_arity(pf_onnx_node *node, const pf_onnx_op *op)
{
    if (node->proto->n_input > op->in_max && op->in_max < 255)
        return PF_FAIL(node->err, PF_INVALID, "%zu inputs where there may be at most %u", node->proto->n_input,
                       op->in_max);
    if (node->out_count > op->out_max && op->out_max < 255)
        return PF_FAIL(node->err, PF_INVALID, "%u outputs where there may be at most %u", node->out_count, op->out_max);
    for (uint32_t i = 0; i < op->in_min; i++)
        if (pf_onnx_in(node, i) == PF_NONE)
            return PF_FAIL(node->err, PF_INVALID, "input %u is missing", i);
    return PF_OK;
}

static pf_status publish(pf_onnx_node *node)
{
    pf_status st = PF_OK;

    for (size_t i = 0; !st && i < node->proto->n_output; i++) {
        const char *name = node->proto->output[i];
        pf_value   *value = NULL;

        if (!*name)
            continue;
        if (node->out[i] == PF_NONE)
            return PF_FAIL(node->err, PF_UNSUPPORTED, "output %zu is not supported", i);
        value = pf_graph_value(node->graph, node->out[i]);
        if (!*text_or(value->name, ""))
            value->name = pf_arena_strdup(node->graph->arena, name);
        st = value->name ? pf_onnx_scope_set(node->scope, name, node->out[i], node->err)
                         : PF_FAIL_MEMORY(node->err, strlen(name));
    }
    return st;
}

static bool is_harmless(const char *name)
{
    static const char *const names[] = {
        "accuracy_level",           /* of MatMulNBits, how exact its products must be: they are of floats */
        "kv_cache_bit_width",       /* of GroupQueryAttention, of keys that are kept quantized: these are refused */
        "mask_filter_value",        /* of attention, what masked scores fall by: far enough to count no more */
        "mask_index_type",          /* of EmbedLayerNormalization: lengths are int32 in any case */
        "pads",                     /* of windows whose pads auto_pad says */
        "qk_output",                /* of GroupQueryAttention, of an output that is refused */
        "rotary_embedding_dim",     /* of Attention, of positions that are turned into q and k: these are refused */
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

/* Operators of other domains have no version that says what is in them: ONNX Runtime's grow attributes that change what
   is computed. */
static void refuse_unknown_attributes(pf_onnx_node *node)
{
    for (size_t i = 0; i < node->proto->n_attribute && !node->status; i++) {
        const char *name = text_or(node->proto->attribute[i]->name, "");

        if ((i >= PF_ONNX_ASKED_LIMIT || !(node->asked_attrs >> i & 1)) && !is_harmless(name))
            pf_onnx_fail(node, PF_UNSUPPORTED, "attribute \"%.60s\" is not known here and may change what is computed",
                         name);
    }
}

static pf_status run_importer(pf_onnx_node *node)
{
    const Onnx__NodeProto *proto = node->proto;
    int64_t                opset = pf_onnx_scope_opset(node->scope, proto->domain);
    const pf_onnx_op      *op = pf_onnx_op_find(proto->domain, node->op_type, opset);
    pf_status              st = PF_OK;

    if (!op)
        return PF_FAIL(node->err, PF_UNSUPPORTED, "opset %lld of \"%.40s\" has no such operator here", (long long)opset,
                       text_or(proto->domain, "ai.onnx"));
    node->opset = opset;
    st = check_arity(node, op);
    if (st)
        return st;
    op->import(node);
    if (!pf_onnx_domain_is_default(proto->domain))
        refuse_unknown_attributes(node);
    return node->status;
}

static pf_status import_resolved(pf_onnx_node *node)
{
    const Onnx__FunctionProto *function = pf_onnx_function_find(node->scope->state, node->proto);
    pf_status                  st = PF_OK;

    if (function) {
        pf_onnx_function_call(node, function);
        st = node->status;
    } else {
        st = run_importer(node);
    }
    return st ? st : publish(node);
}

static pf_status import_node(pf_onnx_scope *scope, const Onnx__NodeProto *proto, pf_err *err)
{
    pf_onnx_node node = {
        .scope = scope, .graph = scope->graph, .proto = proto, .op_type = text_or(proto->op_type, ""), .err = err
    };
    pf_value_id *ids = NULL;
    pf_status    st = PF_OK;

    if (++scope->state->node_count > PF_ONNX_NODE_LIMIT)
        return PF_FAIL(err, PF_INVALID, "the model has more than %d nodes once its functions are expanded",
                       PF_ONNX_NODE_LIMIT);
    node.name = make_name(scope, proto);
    ids = pf_calloc(proto->n_input + proto->n_output + 1, sizeof *ids);
    if (!node.name || !ids) {
        st = PF_FAIL_MEMORY(err, proto->n_input + proto->n_output);
        goto out;
    }
    node.in = ids;
    node.out = ids + proto->n_input;
    node.out_count = (uint32_t)proto->n_output;
    while (node.out_count && !*proto->output[node.out_count - 1])
        node.out_count--;
    for (uint32_t i = 0; i < proto->n_output; i++)
        node.out[i] = PF_NONE;
    st = resolve_inputs(&node, ids);
    if (!st)
        st = import_resolved(&node);
    if (st && !scope->state->failed_named) { /* the innermost node says enough: its name holds those of its callers */
        scope->state->failed_named = true;
        pf_err_at(err, node.name);
        st = pf_err_add(err, st, "node \"%.200s\" (%.60s)", node.name, node.op_type);
    }
out:
    pf_free(ids);
    return st;
}

pf_status pf_onnx_scope_nodes(pf_onnx_scope *scope, Onnx__NodeProto *const *nodes, size_t count, pf_err *err)
{
    uint32_t *order = pf_calloc(count, sizeof *order);
    pf_status st = PF_OK;

    if (!order)
        return PF_FAIL_MEMORY(err, count * sizeof *order);
    st = pf_onnx_order(nodes, count, order, err);
    for (size_t i = 0; !st && i < count; i++)
        st = import_node(scope, nodes[order[i]], err);
    pf_free(order);
    return st;
}
