/* What is told about a job while it goes on: a bounded ring of events per job.  Internal to the core. */
#ifndef PF_COORDINATOR_EVENTS_H
#define PF_COORDINATOR_EVENTS_H

#include "coordinator/state.h"

/* Each wakes those that watch the job. */
void pf_events_state(pf_core *core, pf_job *job, const char *text);
void pf_events_progress(pf_core *core, pf_job *job, const char *text, const char *json);
void pf_events_log(pf_core *core, pf_job *job, const char *text, uint64_t dropped);

void pf_events_drop(pf_ring *ring);                     /* frees all */
void pf_events_drop_all(pf_core *core, pf_job *job);    /* and says so to later readers */

/* The first event after the position: NULL when there is none; *gap: some before it were dropped, or all were. */
const pf_job_event *pf_events_after(const pf_job *job, uint64_t after_sequence, bool *gap);

#endif
