/* Matrix products and convolutions of one pixel that are too small for the libraries to fill the card, with everything
   behind them. Tunings are PF_MATMUL_TUNING. */
#include "engine/cuda/codegen.h"
#include "engine/cuda/codegen_matmul.h"
#include "engine/cuda/program_tactic.h"
#include "engine/op.h"

enum { USUAL_EFFORT = 2, OUTDONE_TUNINGS = 2 };

static bool is_conv(const pf_problem *p) { return cg_has_node(p->graph, PF_OP_CONV); }

/* A region that no library takes would have no choice: the product alone may be better with the rest as a kernel of its
   own. */
static bool library_takes(const pf_device *device, const pf_problem *p)
{
    return is_conv(p) ? !pf_tactic_cudnn_conv.declines(device, p) : !pf_tactic_cublaslt_matmul.declines(device, p);
}

/* A gate's region has the product alone, with the gate as a kernel of its own, as its other form; so has that of a
   product of what is multiplied with factors in front. */
static bool is_gated(const pf_problem *p) { return !is_conv(p) && pf_codegen_matmul_is_gated(p); }

/* Likewise that of a product from which an image is made. */
static bool is_turned(const pf_problem *p) { return !is_conv(p) && pf_codegen_matmul_is_turned(p); }

/* No library is fast there. */
static bool is_odd(const pf_problem *p) { return !is_conv(p) && pf_codegen_matmul_is_odd(p); }

static bool is_slow_in_libraries(const pf_problem *p) { return is_odd(p) || pf_codegen_matmul_is_batch(p); }

const char *pf_matmul_region_declines(const pf_device *device, const pf_problem *p)
{
    return is_gated(p) || is_turned(p) || pf_codegen_matmul_is_scaled(p) || is_slow_in_libraries(p) ||
                   library_takes(device, p)
               ? NULL
               : "an epilogue that the libraries lack";
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const char *reason = pf_codegen_matmul_declines(p);

    if (!reason) reason = pf_matmul_region_declines(device, p);
    return reason ? reason
           : !is_odd(p) && !is_gated(p) && !pf_codegen_matmul_is_wide(p) &&
                     pf_codegen_matmul_work(p) > PF_MATMUL_LARGE_WORK
               ? "a product that fills the card"
               : NULL;
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    pf_layout layout = is_conv(p) || is_turned(p) ? PF_LAYOUT_CHANNELS_LAST : PF_LAYOUT_LINEAR;

    (void)device;
    if (index > 0) return false;
    pf_program_prefer_images(p, layout, layout, in, out);
    if (is_turned(p)) pf_codegen_matmul_prefers(p, in);
    return true;
}

/* Tiles of many rows beside those of warp groups: of 58 products that both take, in twelve networks on an H200, none of
   these kernels came within a twentieth of the best, and of FP32 in three parts within half of it. */
static bool is_outdone(const pf_device *device, const pf_problem *p, const pf_matmul_tuning *list, int count)
{
    enum { ROWS = 112 };
    bool large = false;

    for (int i = 0; i < count; i++) large |= list[i].rows >= ROWS;
    return large && (!pf_tactic_declines(&pf_tactic_nvrtc_wgmma, device, p) ||
                     !pf_tactic_declines(&pf_tactic_nvrtc_parts, device, p));
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int counts[] = { 1, 4, 8, 20, PF_MATMUL_TUNINGS, PF_MATMUL_TUNINGS };
    pf_matmul_tuning list[PF_MATMUL_TUNINGS];
    int              count = pf_codegen_matmul_tunings(p, device->compute_units, list,
                                                       pf_program_count_at(counts, effort));
    pf_status        st = PF_OK;

    if (effort <= USUAL_EFFORT && count > OUTDONE_TUNINGS && is_outdone(device, p, list, count))
        count = OUTDONE_TUNINGS;
    for (int i = 0; i < count && !st; i++)
        st = pf_tuning_add(out, err, PF_MATMUL_TUNING, PF_MATMUL_TUNING_ARGUMENTS(list[i]));
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    pf_matmul_tuning t = { 0 };

    return pf_matmul_tuning_read(tuning, &t) ? pf_codegen_matmul(p, &t, out, err)
                                             : PF_FAIL(err, PF_INVALID, "nvrtc_matmul has no tuning '%s'", tuning);
}

static pf_status pack(const pf_step *step, const pf_problem *p, const pf_tensor *constants, void *packed, pf_err *err)
{
    const pf_tensor *weights = NULL;
    void            *to = pf_program_pack(step, constants, packed, &weights);

    (void)err;
    pf_codegen_matmul_pack(p, weights, to);
    return PF_OK;
}

PF_PROGRAM_TACTIC(nvrtc_matmul, generate, .rev = 4, .needs = PF_CAP_CUDA | PF_CAP_NVRTC | PF_CAP_SM90,
                  .flags = PF_TACTIC_PITCHED, .declines = declines, .prefers = prefers, .tunings = tunings,
                  .pack = pack, .compile_ms = 130);
