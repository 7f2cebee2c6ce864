/* What may stand in for a step's choice when the device refuses to prepare it. */
#ifndef PF_ENGINE_BUILDER_ALTERNATIVES_H
#define PF_ENGINE_BUILDER_ALTERNATIVES_H

#include "engine/builder_draft.h"

typedef struct pf_alternatives { pf_timing_entry *items; uint32_t count, capacity; } pf_alternatives;   /* owned */

/* In the order in which to try them: what was timed or guessed at, other tunings of the tactics that take the problem,
   the references. */
pf_status pf_builder_alternatives(const pf_draft *draft, uint32_t step, pf_alternatives *out, pf_err *err);
void      pf_builder_alternatives_clear(pf_alternatives *alternatives);

#endif
