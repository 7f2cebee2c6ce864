/* What both ways of looking at choices again share. */
#ifndef PF_ENGINE_REFINE_PRIVATE_H
#define PF_ENGINE_REFINE_PRIVATE_H

#include "engine/refine.h"
#include "engine/runtime.h"
#include "engine/timing_arena.h"

const pf_choice *pf_refine_choice(const pf_draft *draft, uint32_t step);
/* What the step computes at the usual sizes: its candidates were timed for it, and are tried for it. */
const pf_problem *pf_refine_problem(const pf_draft *draft, uint32_t step);
int              pf_refine_effort(const pf_draft *draft);
/* The plan's memory was laid out for its own candidate: where that one's output overwrites an input, does the other do
   so, too?  bindings: the plan's. */
bool             pf_refine_fits_memory(const pf_bindings *bindings, const pf_problem *problem, const pf_step *step);
/* The constants of the draft's step as prepared wants them, in memory that pf_free takes; prepared->packed_bytes is not
   0. */
pf_status        pf_refine_pack(const pf_draft *draft, uint32_t step, const pf_step *prepared, void **out, pf_err *err);

/* refine_whole.c: runs whole networks, captured where the device can, with another candidate for all steps of one
   problem at a time.  context: ready and bound; arena: what is fixed in it is the context's; NULL: none.
   Errors   CANCELLED; DEVICE, NO_SPACE. */
pf_status pf_refine_whole(const pf_draft *draft, pf_context *context, pf_timing_arena *arena,
                          pf_build_progress *progress, pf_refinement *out, pf_err *err);

#endif
