/* A thread that takes tasks from one queue and puts them into another when they are done.
   Thread   give, take and stop by one thread, the owner. */
#ifndef PF_COORDINATOR_WORKER_H
#define PF_COORDINATOR_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct pf_task { struct pf_task *next; } pf_task;       /* the first member of what is queued */

typedef struct pf_tasks { pf_task *first, *last; uint32_t count; } pf_tasks;

typedef struct pf_worker pf_worker;

typedef struct pf_worker_options {
    const char *name;                   /* in messages: "cannot start the <name>'s thread" */
    uint32_t    at_once;                /* most tasks that work is given together; 0: all that wait */
    bool        finishes;               /* at the end what waits is still done; else it is dropped */
    void      (*work)(void *user, const pf_tasks *tasks);       /* on the worker's thread; the list stays as it is */
    void      (*free)(pf_task *task);   /* of what nobody takes; NULL: nothing is to be freed */
    void       *user;                   /* borrowed until pf_worker_stop */
} pf_worker_options;

pf_status pf_worker_start(const pf_worker_options *options, pf_worker **out, pf_err *err);
void      pf_worker_stop(pf_worker *worker);                    /* NULL is fine */
/* Takes task; false when so many wait or are done, and then it stays the caller's. */
bool      pf_worker_give(pf_worker *worker, pf_task *task, uint32_t limit);
int       pf_worker_fd(const pf_worker *worker);                /* readable when tasks are done */
pf_task  *pf_worker_take(pf_worker *worker);                    /* what is done, the caller's; NULL when nothing is */

#endif
