/* lstm, gru and rnn.  Tuning "c=<blocks of a cluster>": clusters that take up to eight sequences of a direction, on
   tensor cores; "t=<threads per block>": a block for each sequence and direction. */
#include <stdio.h>

#include "engine/cuda/codegen_recurrent.h"
#include "engine/cuda/program_tactic.h"

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return pf_codegen_recurrent_declines(p);
}

/* Clusters first, where they apply. The smaller ones read the weights anew in each step once these are too many for
   registers; a block by itself has no other to wait for. */
static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int splits[] = { 16, 8, 4, 2, 1 }, threads[] = { 512, 1024, 256 };
    pf_status        st = PF_OK;

    for (int i = 0; i < 5 && effort > 0 && device->caps & PF_CAP_SM90 && !st; i++)
        if (!pf_codegen_recurrent_cluster_declines(p, splits[i])) st = pf_tuning_add(out, err, "c=%d", splits[i]);
    if (out->count || effort < 1) return st ? st : pf_tuning_add(out, err, "t=%d", threads[0]);
    for (int i = 0; i < 3 && !st; i++) st = pf_tuning_add(out, err, "t=%d", threads[i]);
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    int number = 0;

    if (sscanf(tuning, "c=%d", &number) == 1 && number >= 1 && number <= 16)
        return pf_codegen_recurrent_cluster(p, number, out, err);
    if (sscanf(tuning, "t=%d", &number) != 1 || number < 32 || number > 1024 || number % 32)
        return PF_FAIL(err, PF_INVALID, "nvrtc_recurrent has no tuning '%s'", tuning);
    return pf_codegen_recurrent(p, number, out, err);
}

PF_PROGRAM_TACTIC(nvrtc_recurrent, generate, .rev = 3, .needs = PF_CAP_CUDA | PF_CAP_NVRTC, .declines = declines,
                  .tunings = tunings,
                  .compile_ms = 150);
