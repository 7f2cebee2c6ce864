/* Depthwise convolution and pooling, channels-last, as one generated kernel each.  Tuning "v=<channels> s=<output columns> t=<threads>". */
#include <stdio.h>

#include "engine/cuda/codegen_window.h"
#include "engine/cuda/tactics.h"

enum { TUNINGS_MAX = 48 };

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return pf_codegen_window_declines(p);
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    (void)device;
    if (index > 0) return false;
    for (uint32_t i = 0; i < p->graph->input_count; i++) {
        const pf_shape *shape = &pf_graph_value(p->graph, p->graph->inputs[i])->shape;

        in[i] = shape->rank == 4 && !p->in_constant[i] ? PF_LAYOUT_CHANNELS_LAST : PF_LAYOUT_LINEAR;
    }
    for (uint32_t i = 0; i < p->graph->output_count; i++) out[i] = PF_LAYOUT_CHANNELS_LAST;
    return true;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int counts[] = { 1, 4, 10, 15, TUNINGS_MAX, TUNINGS_MAX };
    pf_window_tuning list[TUNINGS_MAX];
    int              count = pf_codegen_window_tunings(p, list, counts[effort < 0 ? 0 : effort > 5 ? 5 : effort]);
    pf_status        st = PF_OK;

    (void)device;
    for (int i = 0; i < count && !st; i++) st = pf_tuning_add(out, err, "v=%d s=%d t=%d", list[i].vector, list[i].strip, list[i].threads);
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    pf_window_tuning t = {0};

    if (sscanf(tuning, "v=%d s=%d t=%d", &t.vector, &t.strip, &t.threads) != 3 || t.vector < 1 || t.vector > 16 || t.strip < 1 || t.strip > 32 ||
        t.threads < 32 || t.threads > 1024)
        return PF_FAIL(err, PF_INVALID, "nvrtc_window has no tuning '%s'", tuning);
    return pf_codegen_window(p, &t, out, err);
}

static pf_status compile(pf_device *device, const pf_problem *p, const char *tuning, pf_err *err)
{
    return pf_program_precompile(device, p, generate, tuning, err);
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved, size_t saved_bytes, pf_step **out, pf_err *err)
{
    return pf_program_prepare(device, &pf_tactic_nvrtc_window, p, generate, tuning, saved, saved_bytes, out, err);
}

const pf_tactic pf_tactic_nvrtc_window = {
    .name = "nvrtc_window", .rev = 2, .needs = PF_CAP_CUDA | PF_CAP_NVRTC,
    .declines = declines, .prefers = prefers, .tunings = tunings, .compile = compile, .prepare = prepare,
    .enqueue = pf_program_enqueue, .save = pf_program_save, .release = pf_program_release,
};
