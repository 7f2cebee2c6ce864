/* Softmax, norms and reductions along rows with what surrounds them, as one generated kernel.  Tuning "v=<vector>
   t=<threads per row>". */
#include <stdio.h>

#include "engine/cuda/codegen_row.h"
#include "engine/cuda/program_tactic.h"

enum { TUNINGS_MAX = 24 };

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return pf_codegen_row_declines(p);
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    pf_row_tuning list[TUNINGS_MAX];
    int           count = pf_codegen_row_tunings(p, list, effort < 1 ? 1 : effort < 4 ? 6 : TUNINGS_MAX);
    pf_status     st = PF_OK;

    (void)device;
    for (int i = 0; i < count && !st; i++) st = pf_tuning_add(out, err, "v=%d t=%d", list[i].vector, list[i].threads);
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    pf_row_tuning chosen = {0};
    pf_row_tuning fits[1];

    if (sscanf(tuning, "v=%d t=%d", &chosen.vector, &chosen.threads) != 2 || chosen.vector < 1 || chosen.vector > 16 ||
        chosen.threads < 32 || chosen.threads > 1024 || (chosen.threads & (chosen.threads - 1)))
        return PF_FAIL(err, PF_INVALID, "nvrtc_row has no tuning '%s'", tuning);
    pf_codegen_row_tunings(p, fits, 1);                     /* its first is the widest vector that this shape allows */
    if (chosen.vector > fits[0].vector) chosen.vector = fits[0].vector;
    return pf_codegen_row(p, &chosen, out, err);
}

PF_PROGRAM_TACTIC(nvrtc_row, generate, .rev = 3, .needs = PF_CAP_CUDA | PF_CAP_NVRTC, .declines = declines,
                  .tunings = tunings,
                  .compile_ms = 45);
