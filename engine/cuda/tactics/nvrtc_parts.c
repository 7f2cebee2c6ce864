/* Matrix products and convolutions of one pixel of FP32 in parts of BF16 by warp groups, with everything behind them.
   Tunings are PF_PARTS_TUNING. */
#include "engine/cuda/codegen_parts.h"
#include "engine/cuda/program_tactic.h"

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const char *reason = pf_codegen_parts_declines(p);

    return reason ? reason : pf_matmul_region_declines(device, p);
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    return pf_tactic_nvrtc_matmul.prefers(device, p, index, in, out);
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int counts[] = { 1, 2, 4, 8, PF_PARTS_TUNINGS, PF_PARTS_TUNINGS };
    pf_parts_tuning  list[PF_PARTS_TUNINGS];
    int              count = pf_codegen_parts_tunings(p, device->compute_units, list,
                                                      pf_program_count_at(counts, effort));
    pf_status        st = PF_OK;

    for (int i = 0; i < count && !st; i++)
        st = pf_tuning_add(out, err, PF_PARTS_TUNING, PF_PARTS_TUNING_ARGUMENTS(list[i]));
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    pf_parts_tuning t = { 0 };

    return pf_parts_tuning_read(tuning, &t) ? pf_codegen_parts(p, &t, out, err)
                                            : PF_FAIL(err, PF_INVALID, "nvrtc_parts has no tuning '%s'", tuning);
}

static pf_status pack(const pf_step *step, const pf_problem *p, const pf_tensor *constants, void *packed, pf_err *err)
{
    const pf_tensor *weights = NULL;
    void            *to = pf_program_pack(step, constants, packed, &weights);

    (void)err;
    pf_codegen_parts_pack(p, pf_program_packed_form(step), weights, to);
    return PF_OK;
}

PF_PROGRAM_TACTIC(nvrtc_parts, generate, .rev = 1, .needs = PF_CAP_CUDA | PF_CAP_NVRTC | PF_CAP_SM90,
                  .flags = PF_TACTIC_PITCHED, .declines = declines, .prefers = prefers, .tunings = tunings,
                  .pack = pack, .compile_ms = 300);
