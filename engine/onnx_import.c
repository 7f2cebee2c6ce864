#include "engine/onnx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/onnx_parse.h"
#include "engine/onnx_scope.h"

/* The whole import: parse, check that every operator is known, then inputs, nodes and outputs of the model's graph. */

enum { ROUNDS = 4 };

static void release_model(void *model)
{
    pf_onnx_model_free(model);
}

static void release_files(void *files)
{
    pf_onnx_files_free(files);
}

static const pf_onnx_input_shape *find_override(const pf_onnx_options *options, const char *input)
{
    for (uint32_t i = 0; i < options->shape_count; i++)
        if (!strcmp(options->shapes[i].input, input))
            return &options->shapes[i];
    return NULL;
}

static pf_status override_shape(const pf_onnx_input_shape *wanted, pf_shape *shape, pf_err *err)
{
    if (shape->rank >= 0 && shape->rank != wanted->rank)
        return PF_FAIL(err, PF_INVALID, "input \"%.200s\" has %d dimensions and the shape given for it %d",
                       wanted->input, shape->rank, wanted->rank);
    if (wanted->rank < 0 || wanted->rank > PF_MAX_RANK)
        return PF_FAIL(err, PF_INVALID, "the shape given for input \"%.200s\" has %d dimensions", wanted->input,
                       wanted->rank);
    for (int32_t i = 0; i < wanted->rank; i++) {
        if (wanted->dim[i] > INT32_MAX || (wanted->dim[i] < 0 && shape->rank < 0))
            return PF_FAIL(err, PF_INVALID, "the shape given for input \"%.200s\" has %lld as dimension %d",
                           wanted->input, (long long)wanted->dim[i], i);
        if (wanted->dim[i] >= 0)
            shape->dim[i] = wanted->dim[i];
    }
    shape->rank = wanted->rank;
    return PF_OK;
}

static const pf_onnx_input_value *find_value(const pf_onnx_options *options, const char *input)
{
    for (uint32_t i = 0; i < options->value_count; i++)
        if (!strcmp(options->values[i].input, input))
            return &options->values[i];
    return NULL;
}

/* Where there are few elements, as of what shapes and branches hang on. */
static pf_status set_content(pf_graph *graph, pf_value_id id, int64_t number, pf_err *err)
{
    enum { ELEMS_MOST = 64 };
    pf_value *value = pf_graph_value(graph, id);
    int64_t   elems = pf_shape_is_static(&value->shape) && value->shape.rank <= 1 ? pf_value_elems(value) : 0;
    pf_dim   *content = NULL;

    if (elems < 1 || elems > ELEMS_MOST || !pf_dtype_is_whole(value->dtype) || number < PF_DIM_SYMBOLIC_LIMIT)
        return PF_OK;
    content = pf_arena_alloc(graph->arena, (size_t)elems * sizeof *content);
    if (!content)
        return PF_FAIL_MEMORY(err, (size_t)elems * sizeof *content);
    for (int64_t i = 0; i < elems; i++)
        content[i] = number;
    value->content = content;
    value->content_count = (uint32_t)elems;
    return PF_OK;
}

static pf_status add_input(pf_onnx_scope *scope, const Onnx__ValueInfoProto *info, pf_err *err)
{
    const char                *name = info->name ? info->name : "";
    const pf_onnx_input_shape *wanted = find_override(scope->state->options, name);
    const pf_onnx_input_value *frozen = find_value(scope->state->options, name);
    pf_onnx_type               type;
    pf_value_id                id = PF_NONE;
    pf_status                  st = pf_onnx_type_read(scope->state, scope->graph->dims, info->type, name, &type, err);

    if (!st && wanted)
        st = override_shape(wanted, &type.shape, err);
    if (!st && type.kind == PF_VALUE_TENSOR && type.shape.rank < 0)
        st = PF_FAIL(err, PF_UNSUPPORTED, "input \"%.200s\" has no shape in the model; give it one (shapes)", name);
    if (!st)
        st = pf_graph_add_input(scope->graph, name, type.dtype, &type.shape, &id, err);
    if (!st)
        pf_graph_value(scope->graph, id)->kind = type.kind;
    if (!st && frozen && type.kind == PF_VALUE_TENSOR)
        st = set_content(scope->graph, id, frozen->value, err);
    return st ? st : pf_onnx_scope_set(scope, name, id, err);
}

static pf_status check_overrides(const pf_onnx_options *options, const Onnx__GraphProto *proto, pf_err *err)
{
    for (uint32_t i = 0; i < options->shape_count; i++) {
        bool found = false;

        for (size_t k = 0; k < proto->n_input; k++)
            found = found || !strcmp(proto->input[k]->name ? proto->input[k]->name : "", options->shapes[i].input);
        if (!found)
            return PF_FAIL(err, PF_INVALID, "the model has no input \"%.200s\"; its first is \"%.200s\"",
                           options->shapes[i].input,
                           proto->n_input && proto->input[0]->name ? proto->input[0]->name : "");
    }
    return PF_OK;
}

static pf_status add_inputs(pf_onnx_scope *scope, pf_err *err)
{
    const Onnx__GraphProto *proto = scope->proto;
    pf_status               st = check_overrides(scope->state->options, proto, err);

    for (size_t i = 0; !st && i < proto->n_input; i++) {
        uint64_t initializer = 0;

        /* Before IR version 4 every initializer was listed as an input too. */
        if (!pf_map_get(scope->initializers, proto->input[i]->name ? proto->input[i]->name : "", &initializer))
            st = add_input(scope, proto->input[i], err);
    }
    return st;
}

/* A network's output is made by a node, and by one only: what is an input, a constant or another output is copied. */
static pf_status own_output(pf_graph *graph, const char *name, pf_value_id *id, pf_err *err)
{
    const pf_value *value = pf_graph_value(graph, *id);

    if (value->producer != PF_NONE && !pf_graph_is_output(graph, *id))
        return PF_OK;
    return pf_graph_add_node(graph, PF_OP_IDENTITY, name, &(pf_value_id){ *id }, 1, NULL, 1, id, err);
}

static pf_status add_output(pf_onnx_scope *scope, const char *name, pf_err *err)
{
    pf_value_id id = PF_NONE;
    pf_status   st = pf_onnx_scope_find(scope, name, &id, err);

    if (!st && id == PF_NONE)
        st = PF_FAIL(err, PF_INVALID, "nothing makes it");
    if (!st)
        st = own_output(scope->graph, name, &id, err);
    if (!st)
        st = pf_graph_add_output(scope->graph, id, name, err);
    return st ? pf_err_add(err, st, "output \"%.200s\"", name) : PF_OK;
}

/* Symbols of inputs start with the bounds that an earlier import found out. */
static void start_bounds(pf_onnx_state *state, pf_dims *dims)
{
    state->symbol_count = pf_dims_symbol_count(dims);
    for (uint32_t i = 0; i < state->symbol_count; i++) {
        const char *name = pf_dims_symbol_name(dims, i);
        uint64_t    low = 0, high = 0;

        pf_dims_symbol_range(dims, i, &state->low[i], &state->high[i]);
        if (pf_map_get(state->least, name, &low) && pf_map_get(state->greatest, name, &high)) {
            state->low[i] = (int64_t)low;
            state->high[i] = (int64_t)high;
            pf_dims_bound(dims, i, state->low[i], state->high[i]);
        }
    }
}

/* Whether the nodes say more of the inputs' sizes than was known before; notes it. */
static bool learn_bounds(pf_onnx_state *state, pf_dims *dims)
{
    bool learnt = false;

    for (uint32_t i = 0; i < state->symbol_count; i++) {
        const char *name = pf_dims_symbol_name(dims, i);
        int64_t     low = 0, high = 0;

        pf_dims_symbol_range(dims, i, &low, &high);
        if (low > state->low[i] || high < state->high[i])
            learnt =
                (pf_map_set(state->least, name, (uint64_t)low) && pf_map_set(state->greatest, name, (uint64_t)high)) ||
                learnt;
    }
    return learnt;
}

static pf_status build(pf_onnx_scope *scope, pf_err *err)
{
    const Onnx__GraphProto *proto = scope->proto;
    pf_status               st = add_inputs(scope, err);

    start_bounds(scope->state, scope->graph->dims);
    if (!st)
        st = pf_onnx_scope_nodes(scope, proto->node, proto->n_node, err);
    if (!st && !proto->n_output)
        st = PF_FAIL(err, PF_INVALID, "the graph has no outputs");
    for (size_t i = 0; !st && i < proto->n_output; i++)
        st = add_output(scope, proto->output[i]->name ? proto->output[i]->name : "", err);
    return st;
}

static pf_status check_versions(const Onnx__ModelProto *model, pf_err *err)
{
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *opset = model->opset_import[i];

        if (pf_onnx_domain_is_default(opset->domain) &&
            (!opset->has_version || opset->version < 1 || opset->version > PF_ONNX_NEWEST_OPSET))
            return PF_FAIL(err, PF_UNSUPPORTED, "the model uses opset %lld of ai.onnx; planfarm knows 1 to %d",
                           (long long)opset->version, PF_ONNX_NEWEST_OPSET);
    }
    return PF_OK;
}

/* Models before IR version 3 need not say which opset they use: the first. */
static void set_default_opset(pf_onnx_scope *scope)
{
    pf_onnx_state *state = scope->state;

    if (scope->opset_count || (state->model->has_ir_version && state->model->ir_version >= 3))
        return;
    onnx__operator_set_id_proto__init(&state->first_opset);
    state->first_opset.has_version = 1;
    state->first_opset.version = 1;
    state->default_opsets[0] = &state->first_opset;
    scope->opsets = state->default_opsets;
    scope->opset_count = 1;
}

static void state_clear(pf_onnx_state *state)
{
    pf_onnx_files_free(state->files);
    pf_map_free(state->greatest);
    pf_map_free(state->least);
    pf_map_free(state->functions);
    pf_map_free(state->known);
    pf_free(state->tensors);
}

static pf_status state_init(pf_onnx_state *state, const char *folder, pf_err *err)
{
    state->files = pf_onnx_files_new(folder);
    state->greatest = pf_map_new();
    state->least = pf_map_new();
    state->functions = pf_map_new();
    state->known = pf_map_new();
    if (!state->files || !state->greatest || !state->least || !state->functions || !state->known)
        return PF_FAIL_MEMORY(err, sizeof *state);
    return pf_onnx_functions_index(state, err);
}

/* The graph owns model and files from here on, also when this fails. */
static pf_status keep_sources(pf_graph *graph, Onnx__ModelProto *model, pf_onnx_files *files, pf_err *err)
{
    pf_status st = pf_graph_keep(graph, model, release_model, err);

    if (st) {
        pf_onnx_model_free(model);
        pf_onnx_files_free(files);
        return st;
    }
    st = pf_graph_keep(graph, files, release_files, err);
    if (st)
        pf_onnx_files_free(files);
    return st;
}

static pf_status import_model(pf_onnx_state *state, pf_graph *graph, pf_err *err)
{
    const Onnx__ModelProto *model = state->model;
    pf_onnx_scope           scope = { 0 };
    pf_status               st = pf_onnx_scope_init(&scope, state, NULL, graph, model->graph, err);

    scope.opsets = model->opset_import;
    scope.opset_count = model->n_opset_import;
    if (!st)
        set_default_opset(&scope);
    if (!st)
        st = pf_onnx_check_supported(state, scope.opsets, scope.opset_count, err);
    if (!st)
        st = build(&scope, err);
    pf_onnx_scope_clear(&scope);
    return st;
}

/* One import, with what the imports before it found out. */
static pf_status import_once(pf_onnx_state *state, pf_graph **out, bool *learnt, pf_err *err)
{
    const char *name = state->model->graph->name;
    pf_graph   *graph = pf_graph_new(name ? name : "", NULL);
    pf_status   st = PF_OK;

    *out = NULL;
    *learnt = false;
    if (!graph)
        return PF_FAIL_MEMORY(err, sizeof *graph);
    state->arena = graph->arena;
    state->node_count = state->depth = state->fluid_count = 0;
    state->written = (pf_onnx_written){ 0 };
    state->nodes_tried = 0;
    state->failed_named = false;
    state->generation++;
    st = import_model(state, graph, err);
    *learnt = learn_bounds(state, graph->dims);
    if (st)
        pf_graph_free(graph);
    else
        *out = graph;
    return st;
}

/* A table that is sliced to seq rows and then used for all of them bounds seq; shapes that were inferred before that
   was known still say min(512, seq).  So the model is imported again with the bound known from the start. */
static pf_status import_settled(pf_onnx_state *state, pf_graph **out, pf_err *err)
{
    bool      learnt = true;
    pf_status st = PF_OK;

    for (int round = 0; learnt && round < ROUNDS; round++) {
        pf_graph_free(*out);
        pf_err_clear(err);
        st = import_once(state, out, &learnt, err);
    }
    return st;
}

/* Takes model. */
static pf_status import_parsed(Onnx__ModelProto *model, const char *folder, const pf_onnx_options *options,
                               pf_graph **out, pf_err *err)
{
    static const pf_onnx_options none;
    pf_onnx_state                state = { .model = model, .options = options ? options : &none };
    pf_graph                    *graph = NULL;
    pf_status                    st = state_init(&state, folder, err);

    if (!st)
        st = check_versions(model, err);
    if (!st)
        st = import_settled(&state, &graph, err);
    if (!st) {
        st = keep_sources(graph, model, state.files, err);
        model = NULL;
        state.files = NULL;
    }
    if (st)
        pf_graph_free(graph);
    else
        *out = graph;
    pf_onnx_model_free(model);
    state_clear(&state);
    return st;
}

pf_status pf_onnx_import_bytes(const void *data, size_t bytes, const char *base_folder, const pf_onnx_options *options,
                               pf_graph **out, pf_err *err)
{
    Onnx__ModelProto *model = NULL;
    pf_status         st = pf_onnx_parse(data, bytes, &model, err);

    *out = NULL;
    return st ? st : import_parsed(model, base_folder, options, out, err);
}

pf_status pf_onnx_import(const char *path, const pf_onnx_options *options, pf_graph **out, pf_err *err)
{
    char              folder[PF_ONNX_PATH_BYTES];
    Onnx__ModelProto *model = NULL;
    pf_status         st = pf_onnx_folder_of(path, folder, sizeof folder, err);

    *out = NULL;
    if (!st)
        st = pf_onnx_parse_file(path, &model, err);
    if (!st)
        st = import_parsed(model, folder, options, out, err);
    return st ? pf_err_add(err, st, "%.300s", path) : PF_OK;
}
