/* Softmax, norms and reductions along rows with what surrounds them, as one generated kernel.  Tuning "v=<vector>
   t=<threads per row>", and " k=<blocks>" where the blocks of a cluster share a row. */
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
    int           count = pf_codegen_row_tunings(p, device->caps & PF_CAP_SM90 ? (int)device->compute_units : 0, list,
                                                 effort < 1 ? 1 : effort < 4 ? 6 : TUNINGS_MAX);
    pf_status     st = PF_OK;

    for (int i = 0; i < count && !st; i++)
        st = list[i].split > 1 ? pf_tuning_add(out, err, "v=%d t=%d k=%d", list[i].vector, list[i].threads,
                                               list[i].split)
                               : pf_tuning_add(out, err, "v=%d t=%d", list[i].vector, list[i].threads);
    return st;
}

static bool is_tuning(const pf_row_tuning *t)
{
    return t->vector >= 1 && t->vector <= 16 && t->threads >= 1 && t->threads <= 1024 &&
           !(t->threads & (t->threads - 1)) && t->split >= 1 && t->split <= 8 && (t->split == 1 || t->threads > 32);
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    pf_row_tuning chosen = { .split = 1 };
    pf_row_tuning fits[1];

    if (sscanf(tuning, "v=%d t=%d k=%d", &chosen.vector, &chosen.threads, &chosen.split) < 2 || !is_tuning(&chosen))
        return PF_FAIL(err, PF_INVALID, "nvrtc_row has no tuning '%s'", tuning);
    pf_codegen_row_tunings(p, 0, fits, 1);                  /* its first is the widest vector that this shape allows */
    if (chosen.vector > fits[0].vector) chosen.vector = fits[0].vector;
    return pf_codegen_row(p, &chosen, out, err);
}

PF_PROGRAM_TACTIC(nvrtc_row, generate, .rev = 5, .needs = PF_CAP_CUDA | PF_CAP_NVRTC, .declines = declines,
                  .tunings = tunings,
                  .compile_ms = 45);
