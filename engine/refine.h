/* Choices looked at again inside the network: a candidate that won alone, with its values in the cache, may lose where
   it will run.  On devices whose steps run when they are enqueued (CPUs) the plan of the first choices is run whole,
   with the second and third candidates of every other step in place of the first; a step and the one after it, which
   reads what it left in the caches, are timed together.
   On devices with a queue the network is captured with another candidate for all steps of one problem, and runs of both
   take turns: kernels overlap, so that only inside the whole a choice shows what it is worth (refine_whole.c).  What
   counts there is the time round a few such steps (refine_window.h), or that of the whole; and where the network slows
   its device the best few are run long enough for that to show (refine_load.h).  From effort 4 on, CPUs run whole
   networks, too.  A candidate that is clearly faster takes over.
   What was found is kept among the timings, under a digest of all candidates of all steps and of the revision of these
   rules: so a later build with the same timings measures nothing and comes to the same plan.
   Where sizes vary the network runs at the usual ones, for which candidates were timed; what a swap replaces stays
   behind it in the plan, for sizes that it does not take. */
#ifndef PF_ENGINE_REFINE_H
#define PF_ENGINE_REFINE_H

#include "base/timing_record.h"
#include "engine/builder_draft.h"
#include "engine/progress.h"

typedef struct pf_refine_swap { uint32_t step, rank; } pf_refine_swap;      /* rank: in the choice of the step's item */

typedef struct pf_refinement {
    pf_refine_swap *swaps;              /* owned; by step */
    uint32_t        count, capacity;
    bool            known;              /* from the store, or not worth measuring: nothing is to be measured */
    pf_digest       candidates;         /* of the draft that it is for */
} pf_refinement;

/* What the store knows of this draft's choices.  known is also set where nothing is measured: at little effort. */
pf_status pf_refine_find(pf_timing_store *store, const pf_device *device, const pf_draft *draft, pf_refinement *out,
                         pf_err *err);
/* Measures on plan, which was made of the draft, in memory of the arena (NULL: as it comes), and keeps the result in
   the store.
   Errors   CANCELLED; DEVICE or NO_SPACE when the device itself fails. */
pf_status pf_refine_measure(pf_timing_store *store, pf_device *device, pf_timing_arena *arena, const pf_draft *draft,
                            pf_plan *plan, pf_build_progress *progress, pf_refinement *refinement, pf_err *err);
/* Puts the swaps into a draft with the same candidates that was not packed yet. */
void      pf_refine_apply(const pf_refinement *refinement, pf_draft *draft);
void      pf_refinement_clear(pf_refinement *refinement);

/* refine_record.c: the store's side. A record of the problem "refined choices", with an entry for each swap, and one
   that says it was measured. */
pf_status pf_refine_record_find(pf_timing_store *store, const pf_device *device, pf_refinement *refinement,
                                pf_err *err);
pf_status pf_refine_record_keep(pf_timing_store *store, const pf_device *device, const pf_refinement *refinement,
                                pf_err *err);
pf_status pf_refinement_add(pf_refinement *refinement, uint32_t step, uint32_t rank, pf_err *err);

#endif
