/* The agent's folder on disk.
     lock            held while an agent runs: one agent per folder
     name            of the agent, made once, so that it is the same after a restart
     journal         the leases that run now; one that is there at the start tells of a run that was killed
     work/<job>.<attempt>.<fence>/   of one lease: model/, plan, log, job
     blobs/ locks/   models that were fetched (blob_cache.h)
     timing/         the timing db
   Thread   the agent's. */
#ifndef PF_BUILDER_AGENT_WORKDIR_H
#define PF_BUILDER_AGENT_WORKDIR_H

#include <limits.h>
#include <stdint.h>

#include "base/status.h"
#include "proto/limits.h"

typedef struct pf_workdir {             /* open to readers */
    char folder[PATH_MAX];              /* absolute */
    char name[PF_AGENT_NAME_BYTES];
    char last_run[PF_REASON_BYTES];     /* what the journal of a killed run says; "" after a clean end */
    int  lock_fd;                       /* owned */
} pf_workdir;

/* Makes the folder when absent, takes its lock, removes what a killed run left in work/.  name: NULL takes the stored
   one, or makes "<host>-<8 hex digits>".
   Errors   BUSY: another agent uses the folder; NO_SPACE, DENIED, IO. */
pf_status pf_workdir_open(pf_workdir *dir, const char *folder, const char *name, pf_err *err);
/* A clean end: the journal goes. */
void      pf_workdir_close(pf_workdir *dir);
/* Makes the folder of a lease and answers its path. */
pf_status pf_workdir_begin(const pf_workdir *dir, uint64_t job_id, uint32_t attempt, uint64_t fence, char *out,
                           size_t capacity, pf_err *err);
/* Removes it; a failure is logged, and the next start removes it again. */
void      pf_workdir_end(const char *folder);
/* Replaces the journal.  text: one line for each lease that runs. */
void      pf_workdir_journal(const pf_workdir *dir, const char *text);

#endif
