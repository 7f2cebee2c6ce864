/* Networks of the public API: a graph, with the digest of where it came from. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/freeze.h"
#include "engine/graph.h"
#include "engine/model_bundle.h"
#include "engine/onnx_fixed.h"
#include "engine/op.h"
#include "engine/plan.h"
#include "engine/planfarm.h"

enum { ATTRS_BYTES = 4096, TEXT_LIMIT = 256 * 1024 * 1024 };

struct pf_network {
    pf_graph *graph;            /* owned */
    char     *path;             /* owned; of the file it was imported from, or NULL */
    pf_digest digest;           /* that was set; zero: none */
};

pf_status pf_network_new(const char *name, pf_network **out, pf_err *err)
{
    pf_network *network = pf_calloc(1, sizeof *network);

    *out = NULL;
    if (network)
        network->graph = pf_graph_new(name, NULL);
    if (!network || !network->graph) {
        pf_network_free(network);
        return PF_FAIL_MEMORY(err, sizeof *network);
    }
    *out = network;
    return PF_OK;
}

pf_status pf_network_import(const char *path, pf_network **out, pf_err *err)
{
    return pf_network_import_for(path, NULL, out, err);
}

pf_status pf_network_import_for(const char *path, const pf_config *config, pf_network **out, pf_err *err)
{
    pf_network *network = pf_calloc(1, sizeof *network);
    pf_status   st = PF_OK;

    *out = NULL;
    if (network)
        network->path = pf_strdup(path);
    if (!network || !network->path)
        st = PF_FAIL_MEMORY(err, sizeof *network);
    if (!st)
        st = pf_onnx_import_fixed(path, config, &network->graph, err);
    if (st) {
        pf_network_free(network);
        return st;
    }
    *out = network;
    return PF_OK;
}

void pf_network_free(pf_network *network)
{
    if (!network)
        return;
    pf_graph_free(network->graph);
    pf_free(network->path);
    pf_free(network);
}

pf_status pf_network_input(pf_network *network, const char *name, pf_dtype dtype, const char *shape, pf_tensor_id *out,
                           pf_err *err)
{
    pf_shape  parsed = { 0 };
    pf_status st = pf_shape_parse(network->graph->dims, shape, &parsed, err);

    *out = PF_NONE;
    if (st)
        return pf_err_add(err, st, "input \"%s\"", name);
    return pf_graph_add_input(network->graph, name, dtype, &parsed, out, err);
}

/* Strings are arrays of pointers: the array and what it points to. */
static void *copy_strings(pf_arena *arena, const pf_tensor *tensor)
{
    char *const *from = tensor->data;
    int64_t      count = pf_tensor_elems(tensor);
    char       **copy = pf_arena_alloc(arena, (size_t)count * sizeof *copy);

    for (int64_t i = 0; copy && i < count; i++) {
        copy[i] = pf_arena_strdup(arena, from[i] ? from[i] : "");
        if (!copy[i])
            return NULL;
    }
    return copy;
}

pf_status pf_network_constant(pf_network *network, const char *name, const pf_tensor *tensor, pf_tensor_id *out,
                              pf_err *err)
{
    pf_arena *arena = network->graph->arena;
    pf_shape  shape = { .rank = tensor->rank };
    pf_tensor measured = *tensor;
    void     *copy = NULL;
    pf_status st = PF_OK;

    *out = PF_NONE;
    if (tensor->rank < 0 || tensor->rank > PF_MAX_RANK)
        return PF_FAIL(err, PF_INVALID, "constant \"%s\" has rank %d: a constant is a tensor of rank 0 to %d", name,
                       tensor->rank, PF_MAX_RANK);
    st = pf_tensor_measure(&measured, err);
    if (st)
        return pf_err_add(err, st, "constant \"%s\"", name);
    memcpy(shape.dim, tensor->dim, (size_t)tensor->rank * sizeof *shape.dim);
    copy = tensor->dtype == PF_STRING ? copy_strings(arena, tensor)
                                      : pf_arena_copy(arena, tensor->data, measured.bytes);
    if (!copy)
        return PF_FAIL_MEMORY(err, measured.bytes);
    return pf_graph_add_constant(network->graph, name, tensor->dtype, &shape, copy, measured.bytes, out, err);
}

static pf_status parse_attrs(pf_graph *graph, const pf_op_def *def, const char *text, void *attrs, pf_err *err)
{
    const char *at = text ? text : "";
    pf_status   st = PF_OK;

    if (def->attr_bytes > ATTRS_BYTES)
        return PF_FAIL(err, PF_INTERNAL, "attributes of %s take %zu bytes, more than %d", def->name, def->attr_bytes,
                       ATTRS_BYTES);
    st = pf_attrs_parse(graph, def, &at, attrs, err);
    if (st)
        return st;
    while (isspace((unsigned char)*at))
        at++;
    if (*at)
        return PF_FAIL(err, PF_INVALID, "%s has no attribute that reads \"%.60s\"", def->name, at);
    return PF_OK;
}

pf_status pf_network_layer(pf_network *network, const char *op, const char *name, const pf_tensor_id *in,
                           uint32_t in_count, const char *attrs, uint32_t out_count, pf_tensor_id *out, pf_err *err)
{
    pf_op_kind kind = pf_op_from_name(op);
    _Alignas(16) unsigned char values[ATTRS_BYTES] = { 0 };
    /* in and out may be the same memory */
    pf_tensor_id *taken = pf_arena_copy(network->graph->arena, in, in_count * sizeof *in);
    pf_status  st = taken ? PF_OK : PF_FAIL_MEMORY(err, in_count * sizeof *in);

    for (uint32_t i = 0; i < out_count; i++)
        out[i] = PF_NONE;
    if (st)
        return st;
    if (kind == PF_OP_NONE)
        return PF_FAIL(err, PF_INVALID, "layer \"%s\" asks for the op \"%s\", and there is no such op", name, op);
    for (uint32_t i = 0; i < in_count; i++)
        if (taken[i] != PF_NONE && taken[i] >= network->graph->value_count)
            return PF_FAIL(err, PF_INVALID, "layer \"%s\" takes tensor %u, and the network has %u", name, taken[i],
                           network->graph->value_count);
    st = parse_attrs(network->graph, pf_op_def_of(kind), attrs, values, err);
    if (st)
        pf_err_at(err, name);
    if (st)
        return pf_err_add(err, st, "layer \"%s\"", name);
    return pf_graph_add_node(network->graph, kind, name, taken, in_count, values, out_count, out, err);
}

pf_status pf_network_output(pf_network *network, pf_tensor_id tensor, const char *name, pf_err *err)
{
    if (tensor >= network->graph->value_count)
        return PF_FAIL(err, PF_INVALID, "output \"%s\" is tensor %u, and the network has %u", name, tensor,
                       network->graph->value_count);
    return pf_graph_add_output(network->graph, tensor, name, err);
}

/* The text holds every small constant and the digest of every large one. */
static pf_status digest_text(const pf_graph *graph, pf_digest *out, pf_err *err)
{
    pf_buf    text = { 0 };
    pf_status st = PF_OK;

    pf_buf_init(&text, TEXT_LIMIT);
    st = pf_graph_print(graph, true, &text, err);
    if (!st && text.failed)
        st = PF_FAIL_MEMORY(err, TEXT_LIMIT);
    if (!st)
        pf_digest_of(text.data, text.size, out);
    pf_buf_clear(&text);
    return st;
}

pf_status pf_network_digest(pf_network *network, pf_digest *out, pf_err *err)
{
    *out = network->digest;
    if (!pf_digest_is_zero(out))
        return PF_OK;
    if (network->path)
        return pf_model_bundle_digest_of(network->path, out, err);
    return digest_text(network->graph, out, err);
}

void pf_network_set_digest(pf_network *network, const pf_digest *digest)
{
    network->digest = *digest;
}

const char *pf_network_name(const pf_network *network)
{
    return network->graph->name;
}

/* ---- Questions */

static pf_tensor_id id_at(const pf_value_id *list, uint32_t count, uint32_t index)
{
    return index < count ? list[index] : PF_NONE;
}

uint32_t pf_network_input_count(const pf_network *network)
{
    return network->graph->input_count;
}

uint32_t pf_network_output_count(const pf_network *network)
{
    return network->graph->output_count;
}

pf_tensor_id pf_network_input_at(const pf_network *network, uint32_t index)
{
    return id_at(network->graph->inputs, network->graph->input_count, index);
}

pf_tensor_id pf_network_output_at(const pf_network *network, uint32_t index)
{
    return id_at(network->graph->outputs, network->graph->output_count, index);
}

const char *pf_network_output_name(const pf_network *network, uint32_t index)
{
    const pf_graph *graph = network->graph;

    if (index >= graph->output_count)
        return "";
    return graph->output_names[index][0] ? graph->output_names[index]
                                         : pf_graph_value(graph, graph->outputs[index])->name;
}

uint32_t pf_network_layer_count(const pf_network *network)
{
    uint32_t count = 0;

    for (uint32_t n = 0; n < network->graph->node_count; n++)
        count += network->graph->nodes[n].live;
    return count;
}

pf_status pf_network_layer_at(const pf_network *network, uint32_t index, pf_layer_info *out, pf_err *err)
{
    uint32_t at = 0;

    *out = (pf_layer_info){ 0 };
    for (uint32_t n = 0; n < network->graph->node_count; n++) {
        const pf_node *node = pf_graph_node(network->graph, n);

        if (!node->live || at++ != index)
            continue;
        *out = (pf_layer_info){ node->name, pf_op_def_of(node->op)->name, node->in, node->out, node->in_count,
                                node->out_count };
        return PF_OK;
    }
    return PF_FAIL(err, PF_NOT_FOUND, "there is no layer %u: the network has %u", index, at);
}

pf_status pf_network_tensor(const pf_network *network, pf_tensor_id tensor, pf_tensor_info *out, pf_err *err)
{
    const pf_graph *graph = network->graph;
    const pf_value *value = NULL;
    pf_buf          text = { 0 };

    *out = (pf_tensor_info){ 0 };
    if (tensor >= graph->value_count)
        return PF_FAIL(err, PF_NOT_FOUND, "there is no tensor %u: the network has %u", tensor, graph->value_count);
    value = pf_graph_value(graph, tensor);
    pf_buf_init(&text, TEXT_LIMIT);
    pf_shape_print(graph->dims, &value->shape, &text);
    if (text.failed) {
        pf_buf_clear(&text);
        return PF_FAIL_MEMORY(err, text.size);
    }
    *out = (pf_tensor_info){ .name = value->name, .dtype = value->dtype, .rank = value->shape.rank,
                             .is_input = value->is_input, .is_constant = value->is_constant };
    snprintf(out->shape, sizeof out->shape, "%s", (const char *)text.data);
    for (int32_t d = 0; d < out->rank; d++)
        out->dim[d] = pf_dim_is_number(value->shape.dim[d]) ? value->shape.dim[d] : -1;
    pf_buf_clear(&text);
    return PF_OK;
}

struct pf_graph *pf_network_graph(pf_network *network)
{
    return network->graph;
}

pf_status pf_network_import_frozen(const char *path, const pf_config *config, pf_network **out, pf_err *err)
{
    pf_status st = pf_network_import_for(path, config, out, err);

    if (!st)
        st = pf_freeze_inputs(config, (*out)->graph, err);
    if (!st)
        return PF_OK;
    pf_network_free(*out);
    *out = NULL;
    return st;
}

pf_status pf_network_import_as(const char *path, const pf_plan *plan, pf_network **out, pf_err *err)
{
    pf_config *config = NULL;
    pf_status  st = pf_config_parse(plan->spec_text, &config, err);

    *out = NULL;
    if (!st)
        st = pf_network_import_frozen(path, config, out, err);
    pf_config_free(config);
    return st;
}
