#include <limits.h>
#include <math.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/map.h"
#include "client/output.h"
#include "client/ready_plan.h"
#include "client/tensor_file.h"
#include "client/tensor_report.h"
#include "engine/graph.h"
#include "engine/op.h"
#include "engine/runtime.h"

static const pf_option options[] = {
    PF_INPUT_OPTIONS,
    {.name = "output_dir", .letter = 'd', .kind = PF_OPTION_TEXT, .value = "DIR",
     .help = "store what each layer computes there as TENSOR.npy"},
    PF_TOLERANCE_OPTION,
    PF_DEVICE_OPTIONS,
    {.name = NULL},
};

typedef struct layers {
    pf_call    *call;
    pf_ready_plan ready;
    pf_network *network;        /* NULL: nothing to compare with */
    pf_context *context;
    pf_tensor  *outputs;        /* owned, of plan->io_count items */
    pf_map     *wanted;         /* names of tensors that layers write -> index in references */
    pf_tensor  *references;     /* owned, by that index; empty when the network has no such tensor */
    json_t     *list;
    uint32_t    shown, compared, differing;
    bool        out_of_memory;
    pf_status   status;         /* of storing a tensor */
    pf_err     *err;
    char        first[256];     /* the first layer that differs */
} layers;

/* ---- What the network computes under the same names */

static void keep_reference(void *user, pf_value_id value, pf_tensor *tensor)
{
    layers     *l = user;
    const char *name = pf_graph_value(pf_network_graph(l->network), value)->name;
    uint64_t    at = 0;

    if (tensor->rank < 0 || !pf_map_get(l->wanted, name, &at) || l->references[at].data)
        return;
    l->out_of_memory |= pf_tensor_copy(tensor, &l->references[at], NULL) != PF_OK;
}

static pf_status list_names(layers *l, pf_err *err)
{
    bool good = true;

    l->wanted = pf_map_new();
    l->references = pf_calloc(l->ready.plan->value_count + 1, sizeof *l->references);
    good = l->wanted && l->references;
    for (uint32_t v = 0; v < l->ready.plan->value_count && good; v++)
        if (!pf_map_get(l->wanted, l->ready.plan->values[v].name, &(uint64_t){0}))
            good = pf_map_set(l->wanted, l->ready.plan->values[v].name, v);
    return good ? PF_OK : PF_FAIL_MEMORY(err, l->ready.plan->value_count * sizeof *l->references);
}

static pf_status run_network(layers *l, const char *path, pf_err *err)
{
    const pf_graph *graph = NULL;
    pf_tensor      *outputs = NULL;
    pf_status       status = pf_network_import_as(path, l->ready.plan, &l->network, err);

    if (status)
        return status;
    graph = pf_network_graph(l->network);
    status = pf_inputs_fit(&l->ready.inputs, graph, path, err);
    if (status)
        return status;
    outputs = pf_calloc(graph->output_count + 1, sizeof *outputs);
    status = outputs ? pf_interpret(graph, l->ready.inputs.tensors, outputs, keep_reference, l, err)
                     : PF_FAIL_MEMORY(err, sizeof *outputs);
    for (uint32_t i = 0; outputs && i < graph->output_count; i++)
        pf_tensor_clear(&outputs[i]);
    pf_free(outputs);
    if (!status && l->out_of_memory)
        status = PF_FAIL(err, PF_NO_SPACE, "out of memory for the tensors between the layers of %s", path);
    return status;
}

/* ---- What the plan computes */

static const char *verdict(layers *l, const pf_plan_step *step, const pf_tensor *test, const pf_tensor *reference,
                           json_t *one)
{
    pf_difference d = {0};
    bool          passed = false;

    if (!reference->data || !pf_tensor_same_shape(test, reference) || pf_tensor_compare(test, reference, &d, NULL))
        return NULL;
    passed = d.max_rel_range <= pf_args_real(l->call->args, "tolerance") && isfinite(d.max_abs) && !d.nan_count &&
             !d.inf_count;
    l->compared++;
    l->differing += !passed;
    if (!passed && !l->first[0])
        snprintf(l->first, sizeof l->first, "%s", step->name);
    json_object_set_new(one, "max_abs", pf_json_real(d.max_abs));
    json_object_set_new(one, "max_rel_range", pf_json_real(d.max_rel_range));
    json_object_set_new(one, "cosine", pf_json_real(d.cosine));
    json_object_set_new(one, "nan_count", pf_json_count((uint64_t)d.nan_count));
    json_object_set_new(one, "inf_count", pf_json_count((uint64_t)d.inf_count));
    json_object_set_new(one, "passed", json_boolean(passed));
    pf_say(l->call, "%-9s %-10.3g", passed ? "same" : "DIFFERS", d.max_rel_range);
    return passed ? "same" : "DIFFERS";
}

static void store(layers *l, const char *name, const pf_tensor *tensor)
{
    const char *folder = pf_args_text(l->call->args, "output_dir");
    char        path[PATH_MAX];

    if (!folder || l->status)
        return;
    l->status = pf_tensor_file_path(folder, name, path, sizeof path, l->err);
    if (!l->status)
        l->status = pf_tensor_file_write(path, tensor, l->err);
}

static bool show(void *user, uint32_t s, uint32_t value, const pf_tensor *tensor)
{
    layers             *l = user;
    const pf_plan_step *step = &l->ready.plan->steps[s];
    const char         *name = l->ready.plan->values[value].name;
    json_t             *one = pf_tensor_report(name, tensor);
    uint64_t            at = 0;

    pf_map_get(l->wanted, name, &at);
    json_object_set_new(one, "layer", pf_json_text(step->name));
    json_object_set_new(one, "tactic", pf_json_text(step->ranked[0].tactic));
    if (!verdict(l, step, tensor, &l->references[at], one))
        pf_say(l->call, "%-9s %-10s", "-", "");
    pf_say(l->call, "  %-20s %s -> %s\n", step->ranked[0].tactic, step->name, name);
    json_array_append_new(l->list, one);
    l->shown++;
    store(l, name, tensor);
    return l->status == PF_OK;
}

/* A run as usual takes the inputs to the device; then the same once more, layer by layer. */
static pf_status run_layers(layers *l, pf_err *err)
{
    uint32_t  in = 0, out = 0;
    pf_status status = pf_context_run_host(l->context, l->ready.inputs.tensors, l->outputs, err);

    for (uint32_t i = 0; i < l->ready.plan->io_count && !status; i++) {
        const pf_tensor *tensor = l->ready.plan->io[i].is_input ? &l->ready.inputs.tensors[in++] : &l->outputs[out++];

        if (l->ready.plan->values[l->ready.plan->io_value[i]].home != PF_HOME_TAIL)
            status = pf_context_bind(l->context, i, l->context->staging[i] ? l->context->staging[i] : tensor->data,
                                     err);
    }
    l->err = err;
    if (!status)
        status = pf_context_run_watched(l->context, show, l, err);
    return status ? status : l->status;
}

static pf_status open_all(layers *l, pf_err *err)
{
    pf_status status = pf_ready_plan_open(l->call, pf_args_operand(l->call->args, 0), &l->ready, err);

    if (!status)
        status = list_names(l, err);
    if (!status)
        status = pf_context_new(l->ready.plan, l->ready.device, NULL, &l->context, err);
    if (status)
        return status;
    l->outputs = pf_calloc(l->ready.plan->io_count + 1, sizeof *l->outputs);
    return l->outputs ? PF_OK : PF_FAIL_MEMORY(err, l->ready.plan->io_count * sizeof *l->outputs);
}

static void close_all(layers *l)
{
    pf_context_free(l->context);
    for (uint32_t i = 0; l->outputs && i < l->ready.plan->io_count; i++)
        pf_tensor_clear(&l->outputs[i]);
    for (uint32_t v = 0; l->references && v < l->ready.plan->value_count; v++)
        pf_tensor_clear(&l->references[v]);
    pf_free(l->outputs);
    pf_free(l->references);
    pf_map_free(l->wanted);
    pf_network_free(l->network);
    pf_ready_plan_close(&l->ready);
}

static pf_status conclude(layers *l, const char *model, pf_err *err)
{
    json_object_set_new(l->call->result, "tensors", json_integer(l->shown));
    json_object_set_new(l->call->result, "compared", json_integer(l->compared));
    json_object_set_new(l->call->result, "differing", json_integer(l->differing));
    json_object_set_new(l->call->result, "first_differing", l->first[0] ? pf_json_text(l->first) : json_null());
    pf_say(l->call, "%u tensors, %u compared, %u differ\n", l->shown, l->compared, l->differing);
    if (model && !l->compared)
        return PF_FAIL(err, PF_INVALID, "%s has none of the plan's tensors: is it the network of the plan?", model);
    if (!l->differing)
        return PF_OK;
    return PF_FAIL(err, PF_MISMATCH,
                   "%u tensors differ from the reference, the first one in layer \"%s\"; --tolerance allows %.3g of "
                   "the range",
                   l->differing, l->first, pf_args_real(l->call->args, "tolerance"));
}

static pf_status run(pf_call *call, pf_err *err)
{
    const char *model = pf_args_operand(call->args, 1);
    layers      l = {.call = call, .list = json_array()};
    pf_status   status = pf_args_expect(call->args, 1, 2, "PLAN", err);

    json_object_set_new(call->result, "layers", l.list);
    if (!status)
        status = open_all(&l, err);
    if (!status && pf_args_text(call->args, "output_dir"))      /* asked before the references run for minutes */
        status = pf_dir_make(pf_args_text(call->args, "output_dir"), err);
    if (!status && model)
        status = run_network(&l, model, err);
    if (!status)
        status = run_layers(&l, err);
    if (!status)
        status = conclude(&l, model, err);
    close_all(&l);
    return status;
}

const pf_verb_body pf_verb_layers = {
    .options = options,
    .details = "  With the network, what each layer of the plan computes is compared with what the plain C reference\n"
               "  computes under the same name, on the same inputs; where the errors begin is the layer to look at.\n"
               "  Tensors that fusion made away with or shaped otherwise have nothing to be compared with and are\n"
               "  marked '-'.  The exit code is MISMATCH's when one differs by more than the tolerance.  The files\n"
               "  of --output-dir are golden ones for another plan: planfarm compare DIR OTHER.\n"
               "\n"
               "  planfarm layers resnet50.plan resnet50.onnx --input image.npy\n"
               "\n"
               "  --json: layers, each layer tactic name dtype shape min max mean sha256, and when compared max_abs\n"
               "  max_rel_range cosine nan_count inf_count passed; tensors compared differing first_differing\n",
    .run = run,
};
