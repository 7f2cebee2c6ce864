/* Jobs as messages show them.  Internal to the core. */
#ifndef PF_COORDINATOR_JOB_STATUS_H
#define PF_COORDINATOR_JOB_STATUS_H

#include "coordinator/state.h"

/* A list of statuses that borrows from the core until the end of the step. */
typedef struct pf_status_list {
    Pf__JobStatus  *status;             /* owned */
    Pf__JobStatus **list;               /* owned, filled by pf_status_list_ready */
    uint32_t        count, capacity;
} pf_status_list;

enum { PF_STATUS_LIST_MAX = 128 };      /* so that it fits into any reply */

void pf_status_list_clear(pf_status_list *list);
/* with_json: the agent's progress object as well. */
void pf_status_list_add(pf_core *core, pf_status_list *list, const pf_job *job, bool with_json);
/* What a submit got: a job, or a plan whose job is forgotten. */
void pf_status_list_add_item(pf_core *core, pf_status_list *list, const pf_submit_item *item);
/* The array of pointers that protobuf wants; *count is how many. */
Pf__JobStatus **pf_status_list_ready(pf_core *core, pf_status_list *list, size_t *count);

#endif
