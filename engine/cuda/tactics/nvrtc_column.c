/* Reductions over the pixels of channels-last images, and over dims that are not the innermost.  Tuning "v=<channels>
   x=<threads along channels> y=<along pixels> k=<blocks of a cluster>". */
#include <stdio.h>

#include "engine/cuda/codegen_column.h"
#include "engine/cuda/program_tactic.h"

enum { TUNINGS_MAX = 24 };

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return pf_codegen_column_declines(p);
}

/* Of 428 problems in builds of some fifty networks on H200s the best of the first four was the best of six but for one,
   where that was 8 % faster. */
static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int counts[] = { 1, 4, 4, 6, TUNINGS_MAX, TUNINGS_MAX };
    pf_column_tuning list[TUNINGS_MAX];
    int              count = pf_codegen_column_tunings(p, device->caps & PF_CAP_SM90, list,
                                                      pf_program_count_at(counts, effort));
    pf_status        st = PF_OK;

    for (int i = 0; i < count && !st; i++)
        st = pf_tuning_add(out, err, "v=%d x=%d y=%d k=%d", list[i].vector, list[i].across, list[i].down,
                           list[i].split);
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    pf_column_tuning t = {0};

    if (sscanf(tuning, "v=%d x=%d y=%d k=%d", &t.vector, &t.across, &t.down, &t.split) != 4 || t.vector < 1 ||
        t.vector > 16 || t.split < 1 || t.split > 8 || t.across < 1 || t.down < 1 || t.across > 1024 ||
        t.down > 1024 || t.across * t.down > 1024 ||
        t.vector * t.across * t.down > 12 * 1024)
        return PF_FAIL(err, PF_INVALID, "nvrtc_column has no tuning '%s'", tuning);
    return pf_codegen_column(p, &t, out, err);
}

PF_PROGRAM_TACTIC(nvrtc_column, generate, .rev = 4, .needs = PF_CAP_CUDA | PF_CAP_NVRTC,
                  .declines = declines, .prefers = pf_program_prefers_channels_last, .tunings = tunings,
                  .compile_ms = 70);
