/* What a verb needs to run a plan: the plan, a device like the one that it was made for, and its inputs.
   Thread   one. */
#ifndef PF_CLIENT_READY_PLAN_H
#define PF_CLIENT_READY_PLAN_H

#include "client/device_choice.h"
#include "client/inputs.h"

typedef struct pf_ready_plan {          /* open */
    pf_plan   *plan;                    /* owned, as are the others */
    pf_device *device;
    pf_inputs  inputs;
    int64_t    load_ns;                 /* what loading the plan took */
} pf_ready_plan;

/* Of the file path, by the options of PF_INPUT_OPTIONS and PF_DEVICE_OPTIONS.  Errors  those of its parts; STALE is
   said when a context is made. */
pf_status pf_ready_plan_open(pf_call *call, const char *path, pf_ready_plan *out, pf_err *err);
void      pf_ready_plan_close(pf_ready_plan *ready);

typedef pf_status pf_ready_plan_work(pf_call *call, const pf_ready_plan *ready, pf_err *err);
/* All of a verb whose one operand is a plan. */
pf_status pf_ready_plan_run(pf_call *call, pf_ready_plan_work *work, pf_err *err);

#endif
