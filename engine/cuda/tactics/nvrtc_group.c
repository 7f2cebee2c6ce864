/* Norms of groups of channels of channels-last images with what surrounds them.  Tunings are PF_GROUP_TUNING. */
#include "engine/cuda/codegen_group.h"
#include "engine/cuda/program_tactic.h"

enum { TUNINGS_MAX = 24 };

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return pf_codegen_group_declines(p);
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int counts[] = { 1, 4, 8, 12, TUNINGS_MAX, TUNINGS_MAX };
    pf_group_tuning  list[TUNINGS_MAX];
    int              count = pf_codegen_group_tunings(p, device->compute_units, device->caps & PF_CAP_SM90, list,
                                                      pf_program_count_at(counts, effort));
    pf_status        st = PF_OK;

    for (int i = 0; i < count && !st; i++)
        st = pf_tuning_add(out, err, PF_GROUP_TUNING, PF_GROUP_TUNING_ARGUMENTS(list[i]));
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    pf_group_tuning t = { 0 };

    return pf_group_tuning_read(tuning, &t) ? pf_codegen_group(p, &t, out, err)
                                            : PF_FAIL(err, PF_INVALID, "nvrtc_group has no tuning '%s'", tuning);
}

PF_PROGRAM_TACTIC(nvrtc_group, generate, .rev = 1, .needs = PF_CAP_CUDA | PF_CAP_NVRTC, .flags = PF_TACTIC_PITCHED,
                  .declines = declines, .prefers = pf_program_prefers_channels_last, .tunings = tunings,
                  .compile_ms = 150);
