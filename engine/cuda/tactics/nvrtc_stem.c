/* Convolutions of few channels in pictures as they come, two pixels apart or four, with everything behind them: of
   other kernels those by taps read every pixel for each window it is in, and others want images turned first.  Tunings
   are PF_STEM_TUNING. */
#include "engine/cuda/codegen_stem.h"
#include "engine/cuda/program_tactic.h"

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return pf_codegen_stem_declines(p);
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    (void)device;
    if (index > 0) return false;
    pf_codegen_stem_prefers(p, in, out);
    return true;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int counts[] = { 1, 4, 8, 12, PF_STEM_TUNINGS, PF_STEM_TUNINGS };
    pf_stem_tuning   list[PF_STEM_TUNINGS];
    int              count = pf_codegen_stem_tunings(p, device->compute_units, list,
                                                     pf_program_count_at(counts, effort));
    pf_status        st = PF_OK;

    for (int i = 0; i < count && !st; i++)
        st = pf_tuning_add(out, err, PF_STEM_TUNING, PF_STEM_TUNING_ARGUMENTS(list[i]));
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    pf_stem_tuning t = { 0 };

    return pf_stem_tuning_read(tuning, &t) ? pf_codegen_stem(p, &t, out, err)
                                           : PF_FAIL(err, PF_INVALID, "nvrtc_stem has no tuning '%s'", tuning);
}

static pf_status pack(const pf_step *step, const pf_problem *p, const pf_tensor *constants, void *packed, pf_err *err)
{
    const pf_tensor *weights = NULL;
    void            *to = pf_program_pack(step, constants, packed, &weights);

    (void)err;
    pf_codegen_stem_pack(p, weights, to);
    return PF_OK;
}

PF_PROGRAM_TACTIC(nvrtc_stem, generate, .rev = 3, .needs = PF_CAP_CUDA | PF_CAP_NVRTC | PF_CAP_SM90,
                  .flags = PF_TACTIC_PITCHED, .declines = declines, .prefers = prefers, .tunings = tunings,
                  .pack = pack, .compile_ms = 150);
