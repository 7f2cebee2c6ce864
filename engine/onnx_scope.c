#include "engine/onnx_scope.h"

#include <string.h>

#include "base/alloc.h"

bool pf_onnx_domain_is_default(const char *domain)
{
    return !domain || !*domain || !strcmp(domain, "ai.onnx");
}

int64_t pf_onnx_scope_opset(const pf_onnx_scope *scope, const char *domain)
{
    for (size_t i = 0; i < scope->opset_count; i++) {
        const Onnx__OperatorSetIdProto *opset = scope->opsets[i];
        bool both_default = pf_onnx_domain_is_default(domain) && pf_onnx_domain_is_default(opset->domain);

        if (both_default || (domain && opset->domain && !strcmp(domain, opset->domain)))
            return opset->has_version ? opset->version : 0;
    }
    return 0;
}

static const char *initializer_name(const Onnx__GraphProto *proto, size_t index)
{
    const Onnx__TensorProto *tensor = NULL;

    if (index < proto->n_initializer)
        tensor = proto->initializer[index];
    else
        tensor = proto->sparse_initializer[index - proto->n_initializer]->values;
    return tensor && tensor->name ? tensor->name : "";
}

static pf_status index_initializers(pf_onnx_scope *scope, pf_err *err)
{
    const Onnx__GraphProto *proto = scope->proto;
    size_t                  count = proto ? proto->n_initializer + proto->n_sparse_initializer : 0;
    uint64_t                there = 0;

    for (size_t i = 0; i < count; i++) {
        const char *name = initializer_name(proto, i);

        if (!*name)
            return PF_FAIL(err, PF_INVALID, "initializer %zu has no name", i);
        if (pf_map_get(scope->initializers, name, &there))
            return PF_FAIL(err, PF_INVALID, "two initializers have the name \"%.200s\"", name);
        if (!pf_map_set(scope->initializers, name, i))
            return PF_FAIL_MEMORY(err, strlen(name));
    }
    return PF_OK;
}

pf_status pf_onnx_scope_init(pf_onnx_scope *scope, pf_onnx_state *state, pf_onnx_scope *outer, pf_graph *graph,
                             const Onnx__GraphProto *proto, pf_err *err)
{
    *scope = (pf_onnx_scope){ .state = state, .outer = outer, .graph = graph, .proto = proto, .prefix = "" };
    if (outer) {
        scope->opsets = outer->opsets;
        scope->opset_count = outer->opset_count;
        scope->function = outer->function;
        scope->call = outer->call;
        scope->caller = outer->caller;
        scope->prefix = outer->prefix;
    }
    scope->values = pf_map_new();
    scope->initializers = pf_map_new();
    if (!scope->values || !scope->initializers)
        return PF_FAIL_MEMORY(err, sizeof(void *));
    return index_initializers(scope, err);
}

void pf_onnx_scope_clear(pf_onnx_scope *scope)
{
    pf_map_free(scope->values);
    pf_map_free(scope->initializers);
    memset(scope, 0, sizeof *scope);
}

pf_status pf_onnx_scope_set(pf_onnx_scope *scope, const char *name, pf_value_id value, pf_err *err)
{
    uint64_t there = 0;

    if (pf_map_get(scope->values, name, &there) || pf_map_get(scope->initializers, name, &there))
        return PF_FAIL(err, PF_INVALID, "two values have the name \"%.200s\"", name);
    if (!pf_map_set(scope->values, name, value))
        return PF_FAIL_MEMORY(err, strlen(name));
    return PF_OK;
}

/* Initializers become constants when they are first used, so that unused ones cost nothing. */
static pf_status take_initializer(pf_onnx_scope *scope, const char *name, uint64_t index, pf_value_id *out, pf_err *err)
{
    const Onnx__GraphProto *proto = scope->proto;
    pf_onnx_state          *state = scope->state;
    pf_onnx_data            data = { 0 };
    pf_status               st = PF_OK;

    if (index < proto->n_initializer)
        st = pf_onnx_tensor_read(proto->initializer[index], state->files, state->arena, &data, err);
    else
        st = pf_onnx_sparse_read(proto->sparse_initializer[index - proto->n_initializer], state->files, state->arena,
                                 &data, err);
    if (!st)
        st = pf_graph_add_constant(scope->graph, name, data.dtype, &data.shape, data.data, data.bytes, out, err);
    if (!st && !pf_map_set(scope->values, name, *out))
        st = PF_FAIL_MEMORY(err, strlen(name));
    return st;
}

static pf_status find_outside(pf_onnx_scope *scope, const char *name, pf_value_id *out, pf_err *err)
{
    pf_value_id outside = PF_NONE;
    pf_status   st = PF_OK;

    if (!scope->outer)
        return PF_FAIL(err, PF_INVALID, "nothing makes the value \"%.200s\"", name);
    st = pf_onnx_scope_find(scope->outer, name, &outside, err);
    if (st || scope->outer->graph == scope->graph || outside == PF_NONE) {
        *out = outside;
        return st;
    }
    return pf_graph_capture(scope->graph, outside, out, err);
}

pf_status pf_onnx_scope_find(pf_onnx_scope *scope, const char *name, pf_value_id *out, pf_err *err)
{
    uint64_t found = 0;

    *out = PF_NONE;
    if (pf_map_get(scope->values, name, &found)) {
        *out = (pf_value_id)found;
        return PF_OK;
    }
    if (pf_map_get(scope->initializers, name, &found))
        return take_initializer(scope, name, found, out, err);
    return find_outside(scope, name, out, err);
}
