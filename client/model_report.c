#include "client/model_report.h"

#include <string.h>

#include "base/alloc.h"
#include "client/inputs.h"
#include "client/output.h"
#include "engine/graph.h"
#include "engine/op.h"
#include "engine/planfarm.h"
#include "engine/rewrite.h"

enum { TEXT_LIMIT = 256 << 20, REWRITES_LIMIT = 256 << 20 };

/* "f32 [batch,3,224,224]" as a member of to, and said. */
static pf_status report_value(pf_call *call, const pf_graph *graph, const char *what, const char *name, pf_value_id id,
                              json_t *list, pf_err *err)
{
    const pf_value *value = pf_graph_value(graph, id);
    json_t         *to = json_object();
    char            type[PF_TEXT_BYTES];
    pf_buf          shape;

    pf_buf_init(&shape, 4096);
    pf_shape_print(graph->dims, &value->shape, &shape);
    json_array_append_new(list, to);
    if (shape.failed) {
        pf_buf_clear(&shape);
        return PF_FAIL_MEMORY(err, 4096);
    }
    json_object_set_new(to, "name", pf_json_text(name));
    json_object_set_new(to, "dtype", json_string(pf_dtype_name(value->dtype)));
    json_object_set_new(to, "shape", pf_json_text((const char *)shape.data));
    pf_say(call, "  %-7s %-28s %s %s\n", what, name, pf_text_type(value->kind, value->dtype, type),
           (const char *)shape.data);
    pf_buf_clear(&shape);
    return PF_OK;
}

static pf_status report_io(pf_call *call, const pf_graph *graph, pf_err *err)
{
    json_t   *inputs = json_array(), *outputs = json_array();
    pf_status status = PF_OK;

    json_object_set_new(call->result, "inputs", inputs);
    json_object_set_new(call->result, "outputs", outputs);
    for (uint32_t i = 0; i < graph->input_count && !status; i++)
        status = report_value(call, graph, "input", pf_graph_value(graph, graph->inputs[i])->name, graph->inputs[i],
                              inputs, err);
    for (uint32_t i = 0; i < graph->output_count && !status; i++)
        status = report_value(call, graph, "output", graph->output_names[i], graph->outputs[i], outputs, err);
    return status;
}

static void report_ops(pf_call *call, const pf_graph *graph)
{
    uint32_t counts[PF_OP_COUNT] = {0}, nodes = 0;
    json_t  *ops = json_object();

    for (uint32_t i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].live) {
            counts[graph->nodes[i].op]++;
            nodes++;
        }
    json_object_set_new(call->result, "nodes", pf_json_count(nodes));
    json_object_set_new(call->result, "ops", ops);
    pf_say(call, "  %u nodes:", nodes);
    for (int op = PF_OP_NONE + 1; op < PF_OP_COUNT; op++)
        if (counts[op]) {
            json_object_set_new(ops, pf_op_def_of((pf_op_kind)op)->name, pf_json_count(counts[op]));
            pf_say(call, " %u %s", counts[op], pf_op_def_of((pf_op_kind)op)->name);
        }
    pf_say(call, "\n");
}

static void report_constants(pf_call *call, const pf_graph *graph)
{
    uint64_t bytes = 0;
    uint32_t count = 0;
    char     text[PF_TEXT_BYTES];

    for (uint32_t i = 0; i < graph->value_count; i++)
        if (graph->values[i].is_constant) {
            bytes += graph->values[i].constant.bytes;
            count++;
        }
    json_object_set_new(call->result, "constants", pf_json_count(count));
    json_object_set_new(call->result, "constant_bytes", pf_json_count(bytes));
    pf_say(call, "  %u constants of %s\n", count, pf_text_bytes(bytes, text));
}

static bool is_in_input(const pf_graph *graph, uint32_t symbol)
{
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const pf_shape *shape = &pf_graph_value(graph, graph->inputs[i])->shape;

        for (int32_t d = 0; d < shape->rank; d++)
            if (pf_dim_uses(graph->dims, shape->dim[d], symbol))
                return true;
    }
    return false;
}

/* Those that a build can be told; others come out of the values. */
static void report_symbols(pf_call *call, const pf_graph *graph)
{
    json_t  *list = json_array();
    uint32_t said = 0;

    json_object_set_new(call->result, "symbols", list);
    for (uint32_t i = 0; i < pf_dims_symbol_count(graph->dims); i++) {
        const char *name = pf_dims_symbol_name(graph->dims, i);

        json_array_append_new(list, pf_json_text(name));
        if (is_in_input(graph, i))
            pf_say(call, "%s %s", said++ ? "" : "  free dims:", name);
    }
    if (said)
        pf_say(call, "\n");
}

static pf_status report_graph(pf_call *call, const pf_graph *graph, pf_err *err)
{
    pf_buf    text;
    pf_status status = PF_OK;

    pf_buf_init(&text, TEXT_LIMIT);
    status = pf_graph_print(graph, true, &text, err);
    if (!status && text.failed)
        status = PF_FAIL_MEMORY(err, TEXT_LIMIT);
    if (!status)
        json_object_set_new(call->result, "graph", pf_json_text((const char *)text.data));
    if (!status)
        pf_say_buf(call, &text);
    pf_buf_clear(&text);
    return status;
}

/* What the rules make of the network, and where: each rule's count, and the names of the nodes at which it fired, as
   one text. */
static pf_status report_rewrites(pf_call *call, pf_graph *graph, pf_err *err)
{
    pf_rewrite_report report = {0};
    json_t           *rules = json_object();
    pf_buf            text;
    pf_status         status = pf_rewrite_run(graph, NULL, &report, err);

    pf_buf_init(&text, REWRITES_LIMIT);
    json_object_set_new(call->result, "rewrites", rules);
    for (uint32_t i = 0; i < report.count && !status; i++) {
        json_t *rule = report.uses[i].count ? json_object() : NULL;

        if (!rule)
            continue;
        json_object_set_new(rule, "count", pf_json_count(report.uses[i].count));
        json_object_set_new(rule, "nodes", pf_json_text(report.uses[i].nodes));
        json_object_set_new(rules, report.uses[i].rule->name, rule);
    }
    if (!status)
        pf_rewrite_report_print(&report, true, &text);
    if (!status && text.failed)
        status = PF_FAIL_MEMORY(err, REWRITES_LIMIT);
    if (!status) {
        pf_say(call, "rewrites\n");
        pf_say_buf(call, &text);
    }
    pf_buf_clear(&text);
    pf_rewrite_report_clear(&report);
    return status;
}

pf_status pf_model_report(pf_call *call, const char *path, pf_err *err)
{
    pf_network     *network = NULL;
    const pf_graph *graph = NULL;
    pf_digest       digest = {0};
    pf_config      *fixed = NULL;
    pf_status       status = pf_inputs_fixed(call, &fixed, err);

    if (!status)
        status = pf_network_import_frozen(path, fixed, &network, err);
    pf_config_free(fixed);
    if (!status)
        status = pf_network_digest(network, &digest, err);
    if (status)
        goto out;
    graph = pf_network_graph(network);
    json_object_set_new(call->result, "kind", json_string("model"));
    json_object_set_new(call->result, "name", pf_json_text(pf_network_name(network)));
    json_object_set_new(call->result, "sha256", pf_json_digest(&digest));
    pf_say(call, "model %s \"%s\"\n", path, pf_network_name(network));
    status = report_io(call, graph, err);
    if (status)
        goto out;
    report_symbols(call, graph);
    report_ops(call, graph);
    report_constants(call, graph);
    if (pf_args_flag(call->args, "rules"))
        status = report_rewrites(call, pf_network_graph(network), err);
    if (!status && pf_args_flag(call->args, "graph"))
        status = report_graph(call, graph, err);
out:
    pf_network_free(network);
    return status;
}
