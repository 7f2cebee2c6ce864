/* Kernels for sizes that a plan holds no code for.

   Generated code has the sizes of its problem in it, and a plan for a range keeps what was compiled for its usual ones.
   At others each step compiles its own as it is prepared: one after the other, in this process, and the same for each
   of a network's equal layers.  So before that they are compiled here, each once, on all cores and in processes where
   the device has them; the device keeps what comes, and the steps find it. */
#ifndef PF_ENGINE_RUNTIME_COMPILE_H
#define PF_ENGINE_RUNTIME_COMPILE_H

#include "engine/plan.h"

/* For one value of each of the plan's symbols.  How many were compiled or found; 0 at the usual sizes.  What fails here
   fails again, with its reason, when its step is prepared.
   Thread   one at a time for a device. */
uint32_t pf_runtime_compile(const pf_plan *plan, pf_device *device, const int64_t *bindings);

#endif
