/* Depthwise convolution and pooling, channels-last, and stems, as one generated kernel each.  Tuning "v=<channels>
   s=<output columns> r=<output rows> b=<1: blocks are tiles, 2: in shared memory> t=<threads> c=<channels there>". */
#include <stdio.h>

#include "engine/cuda/codegen_window.h"
#include "engine/cuda/program_tactic.h"

enum { TUNINGS_MAX = 64 };

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return pf_codegen_window_declines(p);
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    if (index > 0 || !pf_program_prefers_channels_last(device, p, index, in, out)) return false;
    pf_codegen_window_prefers(p, in);
    return true;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int counts[] = { 1, 4, 8, 12, TUNINGS_MAX, TUNINGS_MAX };
    pf_window_tuning list[TUNINGS_MAX];
    int              count = pf_codegen_window_tunings(p, list, pf_program_count_at(counts, effort));
    pf_status        st = PF_OK;

    (void)device;
    for (int i = 0; i < count && !st; i++)
        st = pf_tuning_add(out, err, "v=%d s=%d r=%d b=%d t=%d c=%d", list[i].vector, list[i].strip, list[i].rows,
                           list[i].tiled, list[i].threads, list[i].channels);
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    pf_window_tuning t = {0};

    if (sscanf(tuning, "v=%d s=%d r=%d b=%d t=%d c=%d", &t.vector, &t.strip, &t.rows, &t.tiled, &t.threads,
               &t.channels) != 6 ||
        t.vector < 1 || t.vector > 16 || t.strip < 1 || t.strip > 32 || t.rows < 1 || t.rows > 8 || t.tiled < 0 ||
        t.tiled > 2 || t.threads < 32 || t.threads > 1024 || t.channels < 0 || t.channels > 1024 ||
        (t.tiled == 2) != (t.channels > 0))
        return PF_FAIL(err, PF_INVALID, "nvrtc_window has no tuning '%s'", tuning);
    return pf_codegen_window(p, &t, out, err);
}

static pf_status pack(const pf_step *step, const pf_problem *p, const pf_tensor *constants, void *packed, pf_err *err)
{
    const pf_tensor *weights = NULL;
    void            *to = pf_program_pack(step, constants, packed, &weights);

    (void)p;
    (void)err;
    pf_codegen_window_pack(weights, to);
    return PF_OK;
}

PF_PROGRAM_TACTIC(nvrtc_window, generate, .rev = 5, .needs = PF_CAP_CUDA | PF_CAP_NVRTC, .flags = PF_TACTIC_PITCHED,
                  .declines = declines, .prefers = prefers, .tunings = tunings,
                  .pack = pack, .compile_ms = 200);
