/* Which candidate of a plan is being made ready or run, noted for the case that it ends the process (cache/trial.h):
   then the next build of the same finds it banned (engine/ban.h).  Most have run alone before and were noted there; but
   with effort 0 none has, and the timings of others may be of another driver. */
#ifndef PF_ENGINE_BUILDER_TRIAL_H
#define PF_ENGINE_BUILDER_TRIAL_H

#include "engine/builder_draft.h"

typedef struct pf_builder_trial {
    pf_timing_store  *store;
    const pf_device  *device;
    const pf_digest  *key;              /* of the plan */
    const pf_draft   *draft;
} pf_builder_trial;

/* trial is borrowed. */
pf_step_tries pf_builder_trial_tries(pf_builder_trial *trial);

#endif
