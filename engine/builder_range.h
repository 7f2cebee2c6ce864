/* Plans for a range of sizes.  Candidates are prepared for the usual sizes: does one do for the least and the most of
   them, too? */
#ifndef PF_ENGINE_BUILDER_RANGE_H
#define PF_ENGINE_BUILDER_RANGE_H

#include "engine/builder_draft.h"

/* Can what is prepared of a step's choice for the usual sizes also be prepared there, with its constants packed as they
   are?  Its kernels are compiled for that.  step: with its symbols, and with what the choice saves. */
bool pf_builder_range_serves(const pf_draft *draft, pf_device *device, const pf_plan_step *step,
                             const pf_step *prepared);
/* Compiles, on all cores, what that will ask for of all steps whose constants are packed.  How many kernels. */
uint32_t pf_builder_range_compile(const pf_draft *draft, pf_device *device);

#endif
