/* Pointwise ops and moves as one generated kernel.  Tuning "v=<elements per thread> t=<threads per block>", and
   " a=<threads along what is read>" of tiles. */
#include <stdio.h>

#include "engine/cuda/codegen_loop.h"
#include "engine/cuda/program_tactic.h"

enum { BLOCKS_EACH = 4 };       /* for each multiprocessor: enough that none waits for another */

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return pf_codegen_loop_declines(p);
}

/* Images may change layout on the way through: in linear out channels-last, and so on. */
static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    static const struct { pf_layout in, out; } pairs[] = {
        { PF_LAYOUT_LINEAR,        PF_LAYOUT_LINEAR },
        { PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_CHANNELS_LAST },
        { PF_LAYOUT_LINEAR,        PF_LAYOUT_CHANNELS_LAST },
        { PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_LINEAR },
        { PF_LAYOUT_LINEAR,        PF_LAYOUT_C8 },
    };

    (void)device;
    if (index >= sizeof pairs / sizeof *pairs) return false;
    pf_program_prefer_images(p, pairs[index].in, pairs[index].out, in, out);
    return true;
}

/* Small tensors are done by small blocks, so that all multiprocessors get some. */
static bool fills_device(const pf_device *device, const pf_problem *p, int vector)
{
    const pf_shape *shape = &pf_graph_value(p->graph, p->graph->outputs[0])->shape;

    return pf_shape_elems(p->graph->dims, shape) >= (pf_dim)vector * 256 * BLOCKS_EACH * (pf_dim)device->compute_units;
}

/* Tiles whose rows in memory are whole sectors on both sides. */
static pf_status tiles(int widest, pf_tuning_list *out, pf_err *err)
{
    pf_status st = pf_tuning_add(out, err, "v=%d t=256 a=%d", widest, widest < 4 ? 16 : 32);

    return st || widest == 1 ? st : pf_tuning_add(out, err, "v=%d t=256 a=16", widest / 2);
}

/* How many threads hardly matters beside how wide they load, and where there are tiles, other widths do not: of 800
   such problems of two dozen networks on H200s both tiles and the widest loads together are slower than the best of all
   by 0.1 %, the tiles alone by 2 %. Networks of many concats have hundreds of these problems. */
static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int orders[][3] = { { 128, 256, 512 }, { 256, 128, 512 } };
    int              widest = pf_codegen_loop_widest(p);
    const int       *threads = orders[fills_device(device, p, widest)];
    size_t           thread_choices = effort < 3 ? 1 : effort < 4 ? 2 : 3;
    bool             turns = pf_codegen_loop_turns(p);
    int              narrowest = effort < 1 || (turns && effort < 3) ? widest : effort < 4 ? (widest + 3) / 4 : 1;
    pf_status        st = PF_OK;

    for (size_t t = 0; t < thread_choices && !st; t++)
        for (int v = widest; v >= narrowest && !st; v /= 2) st = pf_tuning_add(out, err, "v=%d t=%d", v, threads[t]);
    if (!st && effort > 0 && turns) st = tiles(widest, out, err);
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    int        vector = 0, threads = 0, along = 0;

    if (sscanf(tuning, "v=%d t=%d a=%d", &vector, &threads, &along) < 2 || vector < 1 || vector > 16 || threads < 32 ||
        threads > 1024 || along < 0 || (along && threads % along))
        return PF_FAIL(err, PF_INVALID, "nvrtc_loop has no tuning '%s'", tuning);
    /* at another shape the innermost extent may divide less */
    while (vector > pf_codegen_loop_widest(p)) vector /= 2;
    return pf_codegen_loop(p, vector, threads, along, out, err);
}

PF_PROGRAM_TACTIC(nvrtc_loop, generate, .rev = 4, .needs = PF_CAP_CUDA | PF_CAP_NVRTC, .flags = PF_TACTIC_PITCHED,
                  .declines = declines, .prefers = prefers, .tunings = tunings,
                  .compile_ms = 40);
