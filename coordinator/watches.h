/* Clients that wait for events: long polls.  Internal to the core. */
#ifndef PF_COORDINATOR_WATCHES_H
#define PF_COORDINATOR_WATCHES_H

#include "coordinator/state.h"

/* Answers now when there is something, else when there is or when the wait is over. jobs may hold NULL: forgotten. */
void pf_watches_add(pf_core *core, const pf_event *event, const Pf__Watch *watch, pf_job **jobs, uint32_t jobs_count);
void pf_watches_wake(pf_core *core, pf_job *job);       /* something happened to the job */
void pf_watches_leave(pf_core *core, pf_job *job);      /* the job goes away */
void pf_watches_answer_ready(pf_core *core);            /* at the end of a step */
void pf_watches_expire(pf_core *core);
void pf_watches_free_all(pf_core *core);

#endif
