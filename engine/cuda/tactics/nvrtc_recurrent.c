/* lstm, gru and rnn, a block of threads for each sequence and direction.  Tuning "t=<threads per block>". */
#include <stdio.h>

#include "engine/cuda/codegen_recurrent.h"
#include "engine/cuda/program_tactic.h"

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return pf_codegen_recurrent_declines(p);
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int threads[] = { 512, 1024, 256 };
    pf_status        st = PF_OK;

    (void)device;
    (void)p;
    for (int i = 0; i < (effort < 1 ? 1 : 3) && !st; i++) st = pf_tuning_add(out, err, "t=%d", threads[i]);
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    int threads = 0;

    if (sscanf(tuning, "t=%d", &threads) != 1 || threads < 32 || threads > 1024 || threads % 32)
        return PF_FAIL(err, PF_INVALID, "nvrtc_recurrent has no tuning '%s'", tuning);
    return pf_codegen_recurrent(p, threads, out, err);
}

PF_PROGRAM_TACTIC(nvrtc_recurrent, generate, .rev = 1, .needs = PF_CAP_CUDA | PF_CAP_NVRTC, .declines = declines,
                  .tunings = tunings,
                  .compile_ms = 150);
