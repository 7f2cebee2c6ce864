/* A build, in a process of its own: fetch the model, tune and build, store the plan.  How it goes is told by records
   (record.h); what it prints and logs is captured by the agent.
   Thread   the process's only one, but for what libraries start. */
#ifndef PF_BUILDER_AGENT_JOB_H
#define PF_BUILDER_AGENT_JOB_H

#include "builder-agent/job_file.h"
#include "builder-agent/record.h"
#include "proto/transfer/transfer.h"

typedef struct pf_job_run {         /* open to the files job*.c */
    const pf_job_file *job;
    const char        *folder;      /* of the lease */
    pf_transfer       *transfer;
    pf_record          progress;    /* last told */
    int64_t            told_ns;
    pf_digest          plan_digest;
    uint64_t           plan_bytes;
    char               summary[PF_SUMMARY_BYTES];
    bool               model_by_url;    /* so its files have another digest than the model */
    bool               replaced;        /* the library, or a device's module, is not what the agent started with */
    bool               model_at_fault;  /* the failure is the model's, and another agent would do no better */
} pf_job_run;

/* Runs the job in folder to its end and tells it; the status is the process's exit code. */
pf_status pf_job_main(const char *folder, pf_err *err);

/* The phases. */
pf_status pf_job_fetch(pf_job_run *run, pf_err *err);
/* Removes from the agent's cache what was fetched for this job and has other bytes now.  Whether there was any. */
bool      pf_job_drop_damaged(pf_job_run *run);
pf_status pf_job_build(pf_job_run *run, pf_err *err);
pf_status pf_job_upload(pf_job_run *run, pf_err *err);

/* Tells how far the job is: at once when the phase changes, else a few times a second; it also counts as a sign of
   progress.  json is one object or "".  False when nobody listens any more. */
bool      pf_job_tell(pf_job_run *run, Pf__Phase phase, uint32_t permille, const char *text, const char *json);
/* The kind of failure that a status of this phase is. */
Pf__FailureKind pf_job_failure(Pf__Phase phase, pf_status status);

#endif
