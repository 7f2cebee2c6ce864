/* Builds a plan of an ONNX network for this machine's CPU, saves it, loads it again and runs it on generated inputs.
     cc -o build_and_run build_and_run.c $(pkg-config --cflags --libs planfarm)
     ./build_and_run model.onnx model.plan input:1x3x224x224 */
#include <planfarm.h>
#include <stdio.h>

enum { TENSORS_MAX = 32 };

static bool show_progress(void *user, const pf_progress *progress)
{
    (void)user;
    fprintf(stderr, "\r%-8s %u/%u problems", pf_phase_name(progress->phase), progress->problems_done,
            progress->problems_total);
    return true;                        /* false would cancel the build */
}

static pf_status build(const char *model, const char *shapes, pf_device *device, const char *plan_path, pf_err *err)
{
    pf_build_options options = { .progress = show_progress };
    pf_network      *network = NULL;
    pf_config       *config = NULL;
    pf_plan         *plan = NULL;
    pf_build_report  report;
    pf_status        status = pf_network_import(model, &network, err);

    if (!status)
        status = pf_config_new(&config, err);
    if (!status && shapes)
        status = pf_config_set(config, "shapes", shapes, err);
    if (!status)
        status = pf_build(network, config, device, &options, &plan, &report, err);
    if (!status)
        status = pf_plan_save(plan, plan_path, err);
    if (!status)
        printf("\nbuilt in %.1f s: %u candidates timed, error %.1e of the outputs' range\n", report.build_seconds,
               report.candidates_timed, report.max_rel_error);
    pf_plan_free(plan);
    pf_config_free(config);
    pf_network_free(network);
    return status;
}

/* Inputs and outputs of a plan are listed together; pf_context_run_host takes the inputs in that order and gives the
   outputs in that order. */
static pf_status run(pf_plan *plan, pf_device *device, pf_err *err)
{
    pf_tensor   inputs[TENSORS_MAX] = { 0 }, outputs[TENSORS_MAX] = { 0 };
    uint32_t    input_count = 0, output_count = 0;
    pf_context *context = NULL;
    pf_status   status = pf_context_new(plan, device, NULL, &context, err);

    for (uint32_t i = 0; i < pf_plan_io_count(plan) && i < TENSORS_MAX && !status; i++) {
        const pf_io *io = pf_plan_io(plan, i);
        pf_tensor   *tensor = &inputs[input_count];

        if (!io->is_input)
            continue;
        *tensor = (pf_tensor){ .dtype = io->dtype, .rank = io->rank };
        for (int32_t d = 0; d < io->rank; d++)
            tensor->dim[d] = io->opt[d];
        status = pf_tensor_alloc(tensor, err);
        if (!status)
            pf_tensor_fill_random(tensor, i);
        input_count++;
    }
    if (!status)
        status = pf_context_run_host(context, inputs, outputs, err);
    for (uint32_t i = 0; i < pf_plan_io_count(plan) && i < TENSORS_MAX && !status; i++)
        if (!pf_plan_io(plan, i)->is_input) {
            const pf_tensor *tensor = &outputs[output_count++];

            printf("output %s: %lld elements, the first is %g\n", pf_plan_io(plan, i)->name,
                   (long long)pf_tensor_elems(tensor), pf_dtype_get(tensor->dtype, tensor->data, 0));
        }
    for (uint32_t i = 0; i < TENSORS_MAX; i++) {
        pf_tensor_clear(&inputs[i]);
        pf_tensor_clear(&outputs[i]);
    }
    pf_context_free(context);
    return status;
}

int main(int argc, char **argv)
{
    pf_device *device = NULL;
    pf_plan   *plan = NULL;
    pf_err     err = { 0 };
    pf_status  status = PF_USAGE;

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "build_and_run MODEL.onnx PLAN [INPUT:1x3x224x224,...]\n");
        return pf_status_exit_code(PF_USAGE);
    }
    status = pf_device_open("cpu", NULL, &device, &err);
    if (!status)
        status = build(argv[1], argv[3], device, argv[2], &err);
    if (!status)
        status = pf_plan_load(argv[2], &plan, &err);
    if (!status)
        status = run(plan, device, &err);
    if (status)
        fprintf(stderr, "build_and_run: %s\n", err.msg);
    pf_plan_free(plan);
    pf_device_close(device);
    return pf_status_exit_code(status);
}
