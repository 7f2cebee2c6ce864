/* Plans for a range of sizes.  Candidates are prepared for the usual sizes: does one do for the least and the most of
   them, too? */
#ifndef PF_ENGINE_BUILDER_RANGE_H
#define PF_ENGINE_BUILDER_RANGE_H

#include "engine/builder_draft.h"

/* Can what is prepared for the usual sizes also be prepared there, with its constants packed as they are?  Its kernels
   are compiled for that.  problem: as the step has it, with its symbols. */
bool pf_builder_range_serves(const pf_draft *draft, pf_device *device, const pf_problem *problem, const char *tuning,
                             const pf_step *prepared);

#endif
