/* Runs of a network on the device, as it stands and with another candidate for all steps of one problem: one after the
   other, in turns, in windows, and in bursts. */
#ifndef PF_ENGINE_REFINE_RUNS_H
#define PF_ENGINE_REFINE_RUNS_H

#include "engine/refine_compare.h"
#include "engine/refine_load.h"
#include "engine/refine_variant.h"
#include "engine/refine_window.h"

enum { PF_REFINE_MARKS = 2 * PF_REFINE_TURN_PAIRS + 1 };

typedef struct pf_refine_runs {
    pf_refine_net      net;             /* group_of: owned; the caller's to fill */
    pf_refine_variant *kept;            /* owned; by group: what stands */
    pf_device_graph   *base;            /* of what stands; NULL: the device cannot capture */
    pf_refine_windows  windows;         /* of the group that is tried; base has its events, and all others have */
    pf_event          *marks[PF_REFINE_MARKS];  /* owned; between runs */
    int64_t            warm_runs;       /* before runs count, of a device that the network slows */
} pf_refine_runs;

typedef struct pf_refine_other {        /* the network with a variant for the steps of a group */
    uint32_t          group;
    pf_refine_variant variant;
    pf_device_graph  *graph;            /* owned; NULL: the device cannot capture */
} pf_refine_other;

/* What is compared: the network as it stands with another. */
typedef struct pf_refine_duel {
    const pf_refine_runs  *runs;
    const pf_refine_other *other;
    bool                   warm;        /* set by the first runs */
} pf_refine_duel;

/* context: of a network with steps, ready and bound; arena: where variants lie, or NULL.  The caller closes it in any
   case.  Errors   DEVICE, NO_SPACE. */
pf_status pf_refine_runs_open(const pf_draft *draft, pf_context *context, pf_timing_arena *arena, pf_refine_runs *out,
                              pf_err *err);
void      pf_refine_runs_close(pf_refine_runs *runs);

/* variant: of the group; NULL: as it stands.  *out is NULL where the device does not capture: then the network ran. */
pf_status pf_refine_runs_capture(const pf_refine_runs *runs, uint32_t group, const pf_refine_variant *variant,
                                 pf_device_graph **out, pf_err *err);
/* Captures anew what stands, with the windows of that group, and takes the time outside of them. */
pf_status pf_refine_runs_look_at(pf_refine_runs *runs, uint32_t group, pf_err *err);

/* A pf_refine_blocks; user: the runs. */
pf_status pf_refine_runs_blocks(void *user, int64_t count, int blocks, int64_t *block_ns, pf_err *err);
/* Both are pf_refine_turns, and the next a pf_refine_bursts; user: the duel. */
pf_status pf_refine_runs_turns(void *user, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err);
pf_status pf_refine_runs_turns_in_windows(void *user, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err);
pf_status pf_refine_runs_burst(void *user, const pf_refine_burst *burst, int64_t block_ns[PF_REFINE_BURST_BLOCKS],
                               pf_err *err);

#endif
