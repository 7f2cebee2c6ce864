/* Rows put, or added, where indices say.  Tuning "r=<rows of a block>". */
#include <stdio.h>

#include "engine/cuda/codegen_scatter_rows.h"
#include "engine/cuda/program_tactic.h"

enum { TUNINGS_MAX = 4 };

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return pf_codegen_scatter_rows_declines(p);
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    int       rows[TUNINGS_MAX] = {0}, max = effort < 1 ? 1 : TUNINGS_MAX;
    int       count = pf_codegen_scatter_rows_tunings(p, (int)device->compute_units, rows, max);
    pf_status st = PF_OK;

    for (int i = 0; i < count && !st; i++) st = pf_tuning_add(out, err, "r=%d", rows[i]);
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    int rows = 0;

    if (sscanf(tuning, "r=%d", &rows) != 1) return PF_FAIL(err, PF_INVALID, "nvrtc_scatter has no tuning '%s'", tuning);
    return pf_codegen_scatter_rows(p, rows, out, err);
}

PF_PROGRAM_TACTIC(nvrtc_scatter, generate, .rev = 2, .needs = PF_CAP_CUDA | PF_CAP_NVRTC, .declines = declines,
                  .tunings = tunings, .compile_ms = 50);
