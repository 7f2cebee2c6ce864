/* What needs whole lines of elements: places of extremes, the k best, running sums, reductions of integers.  Tuning
   "t=<threads per line>". */
#include <stdio.h>

#include "engine/cuda/codegen_line.h"
#include "engine/cuda/program_tactic.h"

enum { TUNINGS_MAX = 4 };

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return pf_codegen_line_declines(p);
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    int       threads[TUNINGS_MAX] = {0}, count = pf_codegen_line_tunings(p, threads, effort < 1 ? 1 : TUNINGS_MAX);
    pf_status st = PF_OK;

    (void)device;
    for (int i = 0; i < count && !st; i++) st = pf_tuning_add(out, err, "t=%d", threads[i]);
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    int threads = 0;

    if (sscanf(tuning, "t=%d", &threads) != 1 || threads < 32 || threads > 1024 || (threads & (threads - 1)))
        return PF_FAIL(err, PF_INVALID, "nvrtc_line has no tuning '%s'", tuning);
    return pf_codegen_line(p, threads, out, err);
}

PF_PROGRAM_TACTIC(nvrtc_line, generate, .rev = 3, .needs = PF_CAP_CUDA | PF_CAP_NVRTC, .declines = declines,
                  .tunings = tunings,
                  .compile_ms = 50);
