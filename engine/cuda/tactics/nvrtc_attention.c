/* Attention by one kernel of our own for any strides, masks and grouped heads.  Tuning "q=<warps of 16 queries>
   k=<warps that share the keys of each> s=<stages> n=<keys of a stage> t=<tiles of queries of a block> g=<1: by warp
   groups> b=<blocks of an SM>". */
#include <stdio.h>

#include "engine/cuda/attention_form.h"
#include "engine/cuda/codegen_attention.h"
#include "engine/cuda/program_tactic.h"
#include "engine/op.h"

#define TUNING_TEXT "q=%d k=%d s=%d n=%d t=%d g=%d b=%d"
enum { TUNINGS_MAX = 16 };

/* Two stages of keys and values of such heads need more shared memory than most cards have. */
static bool has_long_heads(const pf_problem *p)
{
    for (uint32_t n = 0; n < p->graph->node_count; n++)
        if (p->graph->nodes[n].live && p->graph->nodes[n].op == PF_OP_ATTENTION &&
            pf_graph_value(p->graph, p->graph->nodes[n].in[0])->shape.dim[3] > 128)
            return true;
    return false;
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const char *reason = pf_attention_declines(p);

    if (reason) return reason;
    return has_long_heads(p) && !(device->caps & PF_CAP_SM90) ? "a head dim over 128" : NULL;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const int    counts[] = { 1, 4, TUNINGS_MAX, TUNINGS_MAX, TUNINGS_MAX, TUNINGS_MAX };
    pf_attention_tuning list[TUNINGS_MAX];
    bool                hopper = (device->caps & PF_CAP_SM90) != 0;
    int                 count = pf_codegen_attention_tunings(p, device->compute_units, hopper, list,
                                                             pf_program_count_at(counts, effort));
    pf_status           st = PF_OK;

    for (int i = 0; i < count && !st; i++) {
        const pf_attention_tuning *t = &list[i];

        st = pf_tuning_add(out, err, TUNING_TEXT, t->query_warps, t->key_warps, t->stages, t->tile_keys, t->query_tiles,
                           t->warp_groups, t->blocks);
    }
    return st;
}

static pf_status generate(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    pf_attention_tuning t = { 0 };

    if (sscanf(tuning, TUNING_TEXT, &t.query_warps, &t.key_warps, &t.stages, &t.tile_keys, &t.query_tiles,
               &t.warp_groups, &t.blocks) != 7)
        return PF_FAIL(err, PF_INVALID, "nvrtc_attention has no tuning '%s'", tuning);
    return pf_codegen_attention(p, &t, out, err);
}

PF_PROGRAM_TACTIC(nvrtc_attention, generate, .rev = 4, .needs = PF_CAP_CUDA | PF_CAP_NVRTC | PF_CAP_SM80,
                  .declines = declines, .tunings = tunings,
                  .compile_ms = 250);
