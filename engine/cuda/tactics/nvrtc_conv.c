/* Convolutions with a window as one product of our own, with everything behind them, where they are too small for
   cuDNN's kernels to fill the card, or have too few channels for its fast ones: pictures are not unfolded, the kernel
   finds each tap's pixels itself.  Tunings and packing as of nvrtc_matmul. */
#include "engine/cuda/codegen_matmul.h"
#include "engine/cuda/program_tactic.h"

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const char *reason = pf_codegen_conv_declines(p);

    if (reason) return reason;
    if (pf_tactic_cudnn_conv.declines(device, p)) return "an epilogue that cuDNN lacks";
    return pf_codegen_matmul_work(p) > PF_MATMUL_LARGE_WORK && !pf_codegen_conv_is_stem(p) &&
                   !pf_codegen_matmul_is_wide(p) && !pf_codegen_conv_is_grouped(p)
               ? "a convolution that fills the card"
               : NULL;
}

/* x channels-last, or few channels padded to eight; all else channels-last too. */
static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    return pf_tactic_cudnn_conv.prefers(device, p, index, in, out);
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    return pf_tactic_nvrtc_matmul.tunings(device, p, effort, out, err);
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    pf_matmul_tuning t = { 0 };

    return pf_matmul_tuning_read(tuning, &t) ? pf_codegen_matmul(p, &t, out, err)
                                             : PF_FAIL(err, PF_INVALID, "nvrtc_conv has no tuning '%s'", tuning);
}

static pf_status pack(const pf_step *step, const pf_problem *p, const pf_tensor *constants, void *packed, pf_err *err)
{
    return pf_tactic_nvrtc_matmul.pack(step, p, constants, packed, err);
}

PF_PROGRAM_TACTIC(nvrtc_conv, generate, .rev = 3, .needs = PF_CAP_CUDA | PF_CAP_NVRTC | PF_CAP_SM90,
                  .flags = PF_TACTIC_PITCHED, .declines = declines, .prefers = prefers, .tunings = tunings,
                  .pack = pack, .compile_ms = 160);
