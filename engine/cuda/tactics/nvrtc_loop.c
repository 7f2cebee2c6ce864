/* Pointwise ops and moves as one generated kernel.  Tuning "v=<elements per thread> t=<threads per block>". */
#include <stdio.h>

#include "engine/cuda/codegen_loop.h"
#include "engine/cuda/tactics.h"

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return pf_codegen_loop_declines(p);
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int threads[] = { 256, 128, 512 };
    int              widest = pf_codegen_loop_widest(p);
    size_t           thread_choices = effort < 1 ? 1 : effort < 4 ? 2 : 3;
    pf_status        st = PF_OK;

    (void)device;
    for (size_t t = 0; t < thread_choices && !st; t++)
        for (int v = widest; v >= 1 && !st; v /= 2) {
            st = pf_tuning_add(out, err, "v=%d t=%d", v, threads[t]);
            if (effort < 1 || (effort < 4 && v * 4 <= widest)) break;
        }
    return st;
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved, size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_program program = {0};
    int        vector = 0, threads = 0;
    pf_status  st = PF_OK;

    *out = NULL;
    if (sscanf(tuning, "v=%d t=%d", &vector, &threads) != 2 || vector < 1 || vector > 16 || threads < 32 || threads > 1024)
        return PF_FAIL(err, PF_INVALID, "nvrtc_loop has no tuning '%s'", tuning);
    while (vector > pf_codegen_loop_widest(p)) vector /= 2;     /* at another shape the innermost extent may divide less */
    st = pf_codegen_loop(p, vector, threads, &program, err);
    if (!st) st = pf_program_prepare(device, &pf_tactic_nvrtc_loop, p, &program, saved, saved_bytes, out, err);
    pf_program_clear(&program);
    return st;
}

const pf_tactic pf_tactic_nvrtc_loop = {
    .name = "nvrtc_loop", .rev = 1, .flags = PF_TACTIC_COMPILES, .needs = PF_CAP_CUDA | PF_CAP_NVRTC,
    .declines = declines, .tunings = tunings, .prepare = prepare,
    .enqueue = pf_program_enqueue, .save = pf_program_save, .release = pf_program_release,
};
