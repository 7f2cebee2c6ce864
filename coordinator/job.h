/* The life of a job: each function is one transition of the table in PROTOCOL.md, "States of a job". Internal to the
   core.

     any live     --pf_job_enqueue-->       QUEUED         new, kicked, after BACKOFF
     QUEUED       --pf_job_offer-->         OFFERED
     held         --pf_job_give_back-->     QUEUED         declined, not sendable, unanswered, goodbye: not charged
     OFFERED      --pf_job_accept-->        LEASED
     OFFERED, LEASED --pf_job_verify-->     VERIFYING
     any live, QUARANTINED --pf_job_commit--> COMMITTED
     held         --pf_job_back_off-->      BACKOFF or QUARANTINED
     any live     --pf_job_fail-->          FAILED
     any live     --pf_job_cancel-->        CANCELLED, or CANCELLING while an agent holds it
     CANCELLING   --pf_job_cancelled-->     CANCELLED
     QUEUED       --pf_job_expire-->        UNSATISFIABLE
     final        --pf_job_forget-->        gone */
#ifndef PF_COORDINATOR_JOB_H
#define PF_COORDINATOR_JOB_H

#include "coordinator/state.h"

/* How an attempt ended, for pf_job_back_off. */
typedef struct pf_setback {
    Pf__FailureKind kind;
    pf_status       status;             /* for the exit code */
    bool            charged, crashed;
    const char     *message;
} pf_setback;

/* A job in no state yet, with its id, in the lists; NULL after pf_core_fail. */
pf_job *pf_job_new(pf_core *core, uint64_t id);
void    pf_job_free(pf_core *core, pf_job *job);        /* memory only; NULL is fine */
pf_job *pf_job_find(const pf_core *core, uint64_t id);  /* NULL when unknown */
/* For a walk over all jobs: one that comes some steps later, and its place among the plan keys. */
void    pf_job_prefetch(const pf_core *core, uint64_t id);

void pf_job_enqueue(pf_core *core, pf_job *job);
void pf_job_offer(pf_core *core, pf_job *job, pf_slot *slot);
void pf_job_give_back(pf_core *core, pf_job *job, const char *reason);
void pf_job_accept(pf_core *core, pf_job *job);
void pf_job_verify(pf_core *core, pf_job *job);
void pf_job_commit(pf_core *core, pf_job *job, const pf_plan *plan);
void pf_job_back_off(pf_core *core, pf_job *job, const pf_setback *why);
void pf_job_fail(pf_core *core, pf_job *job, Pf__FailureKind kind, uint32_t exit_code, const char *message);
void pf_job_cancel(pf_core *core, pf_job *job, const char *reason);
void pf_job_cancelled(pf_core *core, pf_job *job);
/* False when the job is in no state to be kicked. */
bool pf_job_kick(pf_core *core, pf_job *job);
/* Why not. */
void pf_job_explain_kick(const pf_core *core, const pf_job *job, char *out, size_t capacity);
void pf_job_forget(pf_core *core, pf_job *job);
/* Its deadline has passed. */
void pf_job_expire(pf_core *core, pf_job *job);

/* A heartbeat or progress of the lease. */
void pf_job_renew(pf_core *core, pf_job *job, Pf__Phase phase, uint32_t permille, uint64_t progress_count);
/* Sets the deadline of a job that was loaded, at the start of an epoch. */
void pf_job_resume(pf_core *core, pf_job *job);
/* Puts a loaded job, whose state is set, among those that it belongs to. */
void pf_job_place(pf_core *core, pf_job *job);
/* Tells the agent that holds it to stop. */
void pf_job_send_kill(pf_core *core, const pf_job *job, const char *reason);

bool pf_job_is_held(const pf_job *job);
bool pf_job_lease_is(const pf_job *job, const pf_agent *agent, uint32_t attempt, uint64_t fence);
void pf_job_touch(pf_core *core, pf_job *job);          /* its row is written at the end of the step */

#endif
