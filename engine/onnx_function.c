#include "engine/onnx_scope.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* Functions that the model defines: each call is replaced by the body. */

enum { KEY_BYTES = 512 };

static bool make_key(const char *domain, const char *name, const char *overload, char out[KEY_BYTES])
{
    int n = snprintf(out, KEY_BYTES, "%s:%s:%s", pf_onnx_domain_is_default(domain) ? "" : domain, name ? name : "",
                     overload ? overload : "");

    return n > 0 && n < KEY_BYTES;
}

pf_status pf_onnx_functions_index(pf_onnx_state *state, pf_err *err)
{
    char     key[KEY_BYTES];
    uint64_t there = 0;

    for (size_t i = 0; i < state->model->n_functions; i++) {
        const Onnx__FunctionProto *f = state->model->functions[i];

        if (!make_key(f->domain, f->name, f->overload, key))
            return PF_FAIL(err, PF_INVALID, "function %zu has too long a name", i);
        if (pf_map_get(state->functions, key, &there))
            return PF_FAIL(err, PF_INVALID, "two functions are named \"%.200s\"", key);
        if (!pf_map_set(state->functions, key, i))
            return PF_FAIL_MEMORY(err, sizeof key);
    }
    return PF_OK;
}

const Onnx__FunctionProto *pf_onnx_function_find(const pf_onnx_state *state, const Onnx__NodeProto *node)
{
    char     key[KEY_BYTES];
    uint64_t at = 0;

    if (!state->model->n_functions || !make_key(node->domain, node->op_type, node->overload, key))
        return NULL;
    return pf_map_get(state->functions, key, &at) ? state->model->functions[at] : NULL;
}

static pf_status bind_arguments(pf_onnx_node *node, const Onnx__FunctionProto *f, pf_onnx_scope *scope)
{
    pf_status st = PF_OK;

    if (node->proto->n_input > f->n_input || node->proto->n_output > f->n_output)
        return PF_FAIL(node->err, PF_INVALID, "%zu inputs and %zu outputs where the function has %zu and %zu",
                       node->proto->n_input, node->proto->n_output, f->n_input, f->n_output);
    for (size_t i = 0; !st && i < f->n_input; i++)
        st = pf_onnx_scope_set(scope, f->input[i], pf_onnx_in(node, (uint32_t)i), node->err);
    return st;
}

static pf_status run_body(pf_onnx_node *node, const Onnx__FunctionProto *f, pf_onnx_scope *scope)
{
    pf_status st = bind_arguments(node, f, scope);

    if (!st)
        st = pf_onnx_scope_nodes(scope, f->node, f->n_node, node->err);
    for (uint32_t i = 0; !st && i < node->out_count; i++)
        if (*node->proto->output[i])
            st = pf_onnx_scope_find(scope, f->output[i], &node->out[i], node->err);
    return st;
}

void pf_onnx_function_call(pf_onnx_node *node, const Onnx__FunctionProto *function)
{
    pf_onnx_state *state = node->scope->state;
    pf_onnx_scope  scope = { 0 };
    size_t         bytes = strlen(node->name) + 2;
    char          *prefix = pf_arena_alloc(node->graph->arena, bytes);
    pf_status      st = PF_OK;

    if (!prefix)
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
    if (state->depth == PF_ONNX_CALL_DEPTH)
        pf_onnx_fail(node, PF_INVALID,
                     "functions and bodies are nested more than %d deep; does the function call itself?",
                     PF_ONNX_CALL_DEPTH);
    if (node->status)
        return;
    state->depth++;
    snprintf(prefix, bytes, "%s/", node->name);
    st = pf_onnx_scope_init(&scope, state, NULL, node->graph, NULL, node->err);
    scope.opsets = function->opset_import;
    scope.opset_count = function->n_opset_import;
    scope.function = function;
    scope.call = node->proto;
    scope.caller = node->scope;
    scope.prefix = prefix;
    if (!st)
        st = run_body(node, function, &scope);
    pf_onnx_ok(node, st);
    pf_onnx_scope_clear(&scope);
    state->depth--;
}
