#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "client/cancel.h"
#include "client/device_choice.h"
#include "client/inputs.h"
#include "client/output.h"
#include "client/path_kind.h"
#include "client/tensor_file.h"
#include "client/tensor_report.h"
#include "engine/graph.h"
#include "engine/op.h"

static const pf_option options[] = {
    PF_INPUT_OPTIONS,
    PF_FREEZE_OPTION,
    {.name = "output_dir", .letter = 'd', .kind = PF_OPTION_TEXT, .value = "DIR",
     .help = "store each output there as NAME.npy"},
    {.name = "save_inputs", .kind = PF_OPTION_TEXT, .value = "DIR",
     .help = "store the inputs that were used, generated ones too, there as NAME.npy"},
    {.name = "reference", .kind = PF_OPTION_FLAG, .help = "run the plain C reference of every op instead of a plan"},
    {.name = "compare", .kind = PF_OPTION_TEXT, .value = "DIR",
     .help = "compare the outputs with NAME.npy of a folder"},
    {.name = "compare_reference", .kind = PF_OPTION_FLAG,
     .help = "compare the outputs with those of the plain C reference"},
    {.name = "model", .kind = PF_OPTION_TEXT, .value = "MODEL.onnx",
     .help = "the network of a plan, for --compare-reference"},
    PF_TOLERANCE_OPTION,
    {.name = "effort", .kind = PF_OPTION_INT, .value = "0..5", .fallback = "0", .least = 0, .greatest = 5,
     .help = "of the build in memory, when a network is given"},
    PF_DEVICE_OPTIONS,
    {.name = NULL},
};

typedef struct run_state {
    pf_call    *call;
    const char *path;
    pf_network *network;        /* of a model */
    pf_config  *fixed;          /* the same: by what it was read */
    pf_plan    *plan;
    pf_device  *device;
    pf_inputs   inputs;
    pf_tensor  *outputs;        /* owned, each to be cleared */
    const char **names;         /* owned array of borrowed names */
    uint32_t    output_count;
    double      seconds;        /* of the run alone */
} run_state;

static pf_status alloc_outputs(run_state *r, uint32_t count, pf_err *err)
{
    r->outputs = pf_calloc(count ? count : 1, sizeof *r->outputs);
    r->names = pf_calloc(count ? count : 1, sizeof *r->names);
    r->output_count = count;
    return r->outputs && r->names ? PF_OK : PF_FAIL_MEMORY(err, count * sizeof *r->outputs);
}

static const char *graph_output_name(const pf_graph *graph, uint32_t i)
{
    return graph->output_names[i] && graph->output_names[i][0] ? graph->output_names[i]
                                                               : pf_graph_value(graph, graph->outputs[i])->name;
}

static pf_status run_reference(run_state *r, pf_err *err)
{
    const pf_graph *graph = pf_network_graph(r->network);
    int64_t         start = 0;
    pf_status       status = alloc_outputs(r, graph->output_count, err);

    if (status)
        return status;
    for (uint32_t i = 0; i < graph->output_count; i++)
        r->names[i] = graph_output_name(graph, i);
    start = pf_clock_ns();
    status = pf_interpret(graph, r->inputs.tensors, r->outputs, NULL, NULL, err);
    r->seconds = (double)(pf_clock_ns() - start) / (double)PF_NS_PER_S;
    return status;
}

static pf_status name_plan_outputs(run_state *r, pf_err *err)
{
    uint32_t  count = pf_plan_io_count(r->plan), at = 0;
    pf_status status = alloc_outputs(r, count - r->inputs.count, err);

    for (uint32_t i = 0; i < count && !status; i++)
        if (!pf_plan_io(r->plan, i)->is_input)
            r->names[at++] = pf_plan_io(r->plan, i)->name;
    return status;
}

static pf_status run_plan(run_state *r, pf_err *err)
{
    pf_context *context = NULL;
    int64_t     start = 0;
    pf_status   status = name_plan_outputs(r, err);

    if (!status)
        status = pf_context_new(r->plan, r->device, NULL, &context, err);
    start = pf_clock_ns();
    if (!status)
        status = pf_context_run_host(context, r->inputs.tensors, r->outputs, err);
    r->seconds = (double)(pf_clock_ns() - start) / (double)PF_NS_PER_S;
    pf_context_free(context);
    return status;
}

/* A plan for the very shapes of the inputs. */
static pf_status build_in_memory(run_state *r, pf_err *err)
{
    pf_config *config = NULL;
    pf_buf     shapes;
    pf_status  status = pf_config_new(&config, err);

    pf_buf_init(&shapes, 1 << 20);
    pf_inputs_shapes(&r->inputs, &shapes);
    if (!status)
        status = pf_config_set(config, "effort", pf_args_text(r->call->args, "effort"), err);
    if (!status && shapes.size)
        status = pf_config_set(config, "shapes", (const char *)shapes.data, err);
    if (!status)
        status = pf_device_choose(r->call, 0, &r->device, err);
    if (!status)
        status = pf_build(r->network, config, r->device, NULL, &r->plan, NULL, err);
    pf_buf_clear(&shapes);
    pf_config_free(config);
    return status;
}

static pf_status open_plan(run_state *r, pf_err *err)
{
    pf_status status = pf_plan_load(r->path, &r->plan, err);

    if (!status)
        status = pf_device_choose_for_plan(r->call, r->plan, &r->device, err);
    if (!status)
        status = pf_inputs_of_plan(r->plan, &r->inputs, err);
    return status ? status : pf_inputs_fill(&r->inputs, r->call, err);
}

static pf_status open_model(run_state *r, pf_err *err)
{
    pf_status status = pf_inputs_fixed(r->call, &r->fixed, err);

    if (!status)
        status = pf_network_import_frozen(r->path, r->fixed, &r->network, err);
    if (!status)
        status = pf_inputs_of_graph(pf_network_graph(r->network), &r->inputs, err);
    return status ? status : pf_inputs_fill(&r->inputs, r->call, err);
}

/* Asked before a run, which may take minutes, not after it. */
static pf_status check_folders(const run_state *r, pf_err *err)
{
    static const char *const made[] = {"output_dir", "save_inputs"};
    const char              *compared = pf_args_text(r->call->args, "compare");
    pf_status                status = PF_OK;

    for (size_t i = 0; i < sizeof made / sizeof *made && !status; i++)
        if (pf_args_text(r->call->args, made[i]))
            status = pf_dir_make(pf_args_text(r->call->args, made[i]), err);
    if (!status && compared && !pf_file_exists(compared))
        status = PF_FAIL(err, PF_NOT_FOUND, "there is no folder %s to compare with", compared);
    return status;
}

static pf_status run_any(run_state *r, pf_err *err)
{
    bool         reference = pf_args_flag(r->call->args, "reference");
    pf_path_kind kind = PF_PATH_OTHER;
    pf_status    status = pf_path_kind_of(r->path, &kind, err);

    if (!status && kind != PF_PATH_PLAN && kind != PF_PATH_OTHER)
        return PF_FAIL(err, PF_INVALID, "%s is neither a plan nor an ONNX model", r->path);
    if (!status && kind == PF_PATH_PLAN && pf_args_flag(r->call->args, "compare_reference") &&
        !pf_args_text(r->call->args, "model"))
        return PF_FAIL(err, PF_USAGE, "--compare-reference of a plan needs its network; give --model MODEL.onnx");
    if (!status && kind == PF_PATH_PLAN && reference)
        return PF_FAIL(err, PF_USAGE, "--reference runs a network, and %s is a plan; give the model", r->path);
    if (!status && kind == PF_PATH_PLAN && pf_args_given(r->call->args, "freeze_inputs"))
        return PF_FAIL(err, PF_USAGE, "%s is a plan, which was built with or without its inputs; build it with "
                       "--freeze-inputs", r->path);
    if (!status)
        status = kind == PF_PATH_PLAN ? open_plan(r, err) : open_model(r, err);
    if (!status)
        status = check_folders(r, err);
    if (!status && kind == PF_PATH_OTHER && !reference)
        status = build_in_memory(r, err);
    if (status)
        return status;
    return r->plan ? run_plan(r, err) : run_reference(r, err);
}

static pf_status save(run_state *r, const char *folder, const char *name, const pf_tensor *tensor, json_t *report,
                      pf_err *err)
{
    char      path[PATH_MAX];
    pf_status status = pf_tensor_file_path(folder, name, path, sizeof path, err);

    if (!status) {
        pf_cancel_hold();       /* no half-written file stays behind */
        status = pf_tensor_file_write(path, tensor, err);
        pf_cancel_release();
    }
    if (!status) {
        json_object_set_new(report, "file", pf_json_text(path));
        pf_tell(r->call, "wrote %s\n", path);
    }
    return status;
}

static pf_status report_inputs(run_state *r, pf_err *err)
{
    const char *folder = pf_args_text(r->call->args, "save_inputs");
    json_t     *list = json_array();
    pf_status   status = PF_OK;

    json_object_set_new(r->call->result, "inputs", list);
    for (uint32_t i = 0; i < r->inputs.count && !status; i++) {
        json_t *one = pf_tensor_report(r->inputs.wants[i].name, &r->inputs.tensors[i]);

        json_object_set_new(one, "source",
                            r->inputs.files[i] ? pf_json_text(r->inputs.files[i]) : json_string("generated"));
        json_array_append_new(list, one);
        if (folder)
            status = save(r, folder, r->inputs.wants[i].name, &r->inputs.tensors[i], one, err);
    }
    return status;
}

static void say_output(run_state *r, uint32_t i, const json_t *report)
{
    const json_t *least = json_object_get(report, "min"), *mean = json_object_get(report, "mean");
    json_int_t    nans = json_integer_value(json_object_get(report, "nan_count"));
    json_int_t    infinities = json_integer_value(json_object_get(report, "inf_count"));
    char          shape[PF_SHAPE_TEXT_BYTES];

    pf_say(r->call, "%-32s %s %s", r->names[i], pf_dtype_name(r->outputs[i].dtype),
           pf_shape_text(r->outputs[i].dim, r->outputs[i].rank, shape));
    if (json_is_real(least))
        pf_say(r->call, "  min %.6g  max %.6g", json_real_value(least),
               json_real_value(json_object_get(report, "max")));
    if (json_is_real(mean))
        pf_say(r->call, "  mean %.6g", json_real_value(mean));
    if (nans)
        pf_say(r->call, "  %lld NaN", (long long)nans);
    if (infinities)
        pf_say(r->call, "  %lld infinite", (long long)infinities);
    pf_say(r->call, "\n");
}

static pf_status report_outputs(run_state *r, pf_err *err)
{
    const char *folder = pf_args_text(r->call->args, "output_dir");
    json_t     *list = json_array();
    pf_status   status = PF_OK;

    json_object_set_new(r->call->result, "outputs", list);
    json_object_set_new(r->call->result, "run_seconds", pf_json_real(r->seconds));
    for (uint32_t i = 0; i < r->output_count && !status; i++) {
        json_t *one = NULL;

        if (r->outputs[i].rank < 0)
            return PF_FAIL(err, PF_UNSUPPORTED, "output \"%s\" is a sequence or an optional; only tensors can be shown",
                           r->names[i]);
        one = pf_tensor_report(r->names[i], &r->outputs[i]);
        json_array_append_new(list, one);
        say_output(r, i, one);
        if (folder)
            status = save(r, folder, r->names[i], &r->outputs[i], one, err);
    }
    return status;
}

/* Every output is compared, so that all that differ are listed; the first failure is the error. */
static pf_status compare_folder(run_state *r, const char *folder, pf_err *err)
{
    double    tolerance = pf_args_real(r->call->args, "tolerance");
    pf_status status = PF_OK;

    for (uint32_t i = 0; i < r->output_count; i++) {
        pf_tensor reference = {0};
        char      path[PATH_MAX];
        pf_err    why = {0};
        pf_status one = pf_tensor_file_name(folder, r->names[i], path, sizeof path, &why);

        if (!one)
            one = pf_tensor_file_read(path, r->outputs[i].dtype, &reference, &why);
        if (!one)
            one = pf_tensor_difference(r->call, r->names[i], &r->outputs[i], &reference, tolerance, &why);
        if (one && !status)
            status = PF_FAIL(err, one, "%s", why.msg);
        pf_tensor_clear(&reference);
    }
    return status;
}

static pf_status compare_reference(run_state *r, pf_err *err)
{
    const char *model = pf_args_text(r->call->args, "model");
    double      tolerance = pf_args_real(r->call->args, "tolerance");
    run_state   oracle = {.call = r->call, .network = model ? NULL : r->network, .inputs = r->inputs};
    pf_status   status = PF_OK;

    if (model)
        status = r->fixed ? pf_network_import_frozen(model, r->fixed, &oracle.network, err)
                          : pf_network_import_as(model, r->plan, &oracle.network, err);
    if (!status && model)
        status = pf_inputs_fit(&r->inputs, pf_network_graph(oracle.network), model, err);
    if (!status)
        status = run_reference(&oracle, err);
    if (!status && oracle.output_count != r->output_count)
        status = PF_FAIL(err, PF_INVALID, "%s is not the network of %s: it has %u outputs, not %u", model, r->path,
                         oracle.output_count, r->output_count);
    for (uint32_t i = 0; i < r->output_count && (!status || status == PF_MISMATCH); i++) {
        pf_status one = pf_tensor_difference(r->call, r->names[i], &r->outputs[i], &oracle.outputs[i], tolerance, err);

        status = status ? status : one;
    }
    for (uint32_t i = 0; i < oracle.output_count && oracle.outputs; i++)
        pf_tensor_clear(&oracle.outputs[i]);
    pf_free(oracle.outputs);
    pf_free(oracle.names);
    if (model)
        pf_network_free(oracle.network);
    return status;
}

static pf_status report(run_state *r, pf_err *err)
{
    const char *folder = pf_args_text(r->call->args, "compare");
    pf_status   status = report_inputs(r, err);

    if (!status)
        status = report_outputs(r, err);
    if (!status && folder)
        status = compare_folder(r, folder, err);
    if (!status && pf_args_flag(r->call->args, "compare_reference"))
        status = compare_reference(r, err);
    return status;
}

static pf_status run(pf_call *call, pf_err *err)
{
    run_state r = {.call = call, .path = pf_args_operand(call->args, 0)};
    pf_status status = pf_args_expect(call->args, 1, 1, "PLAN or MODEL.onnx", err);

    if (!status)
        status = run_any(&r, err);
    if (!status)
        status = report(&r, err);
    for (uint32_t i = 0; i < r.output_count && r.outputs; i++)
        pf_tensor_clear(&r.outputs[i]);
    pf_free(r.outputs);
    pf_free(r.names);
    pf_inputs_clear(&r.inputs);
    pf_plan_free(r.plan);
    pf_network_free(r.network);
    pf_config_free(r.fixed);
    pf_device_close(r.device);
    return status;
}

const pf_verb_body pf_verb_run = {
    .options = options,
    .details = "  Inputs that no --input names are generated: the same for the same seed.  Dims that are free take\n"
               "  the plan's usual size, or 1.  A network without a plan is built in memory, by first guesses unless\n"
               "  --effort says more.\n"
               "\n"
               "  planfarm run resnet50.plan --input input=image.npy --output-dir out\n"
               "  planfarm run resnet50.onnx --reference --input image.npy --output-dir expected\n"
               "  planfarm run resnet50.plan --compare-reference --model resnet50.onnx\n"
               "\n"
               "  --json: inputs and outputs, each name dtype shape min max mean nan_count inf_count sha256 file;\n"
               "  run_seconds; differences, each name max_abs max_rel_range cosine nan_count inf_count worst_index\n"
               "  passed\n",
    .run = run,
};
