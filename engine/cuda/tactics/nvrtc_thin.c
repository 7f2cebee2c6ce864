/* Matrix products and convolutions of one pixel with many rows and few weights, with everything behind them: their time
   is that of memory.  Tunings are PF_THIN_TUNING. */
#include "engine/cuda/codegen_thin.h"
#include "engine/cuda/program_tactic.h"

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const char *reason = pf_codegen_thin_declines(p);

    return reason ? reason : pf_matmul_region_declines(device, p);
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    return pf_tactic_nvrtc_matmul.prefers(device, p, index, in, out);
}

/* Of 109 problems in builds of some fifty networks on H200s the best of the first four was the best of six. */
static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int counts[] = { 1, 2, 4, PF_THIN_TUNINGS, PF_THIN_TUNINGS, PF_THIN_TUNINGS };
    pf_thin_tuning   list[PF_THIN_TUNINGS];
    int              count = pf_codegen_thin_tunings(p, list, pf_program_count_at(counts, effort));
    pf_status        st = PF_OK;

    (void)device;
    for (int i = 0; i < count && !st; i++)
        st = pf_tuning_add(out, err, PF_THIN_TUNING, PF_THIN_TUNING_ARGUMENTS(list[i]));
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    pf_thin_tuning t = { 0 };

    return pf_thin_tuning_read(tuning, &t) ? pf_codegen_thin(p, &t, out, err)
                                           : PF_FAIL(err, PF_INVALID, "nvrtc_thin has no tuning '%s'", tuning);
}

PF_PROGRAM_TACTIC(nvrtc_thin, generate, .rev = 1, .needs = PF_CAP_CUDA | PF_CAP_NVRTC | PF_CAP_SM90,
                  .flags = PF_TACTIC_PITCHED, .declines = declines, .prefers = prefers, .tunings = tunings,
                  .compile_ms = 150);
