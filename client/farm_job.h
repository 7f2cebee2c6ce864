/* Jobs, as the farm tells of them: for people and as an exit code; for programs: proto/job_view.h.
   Thread   any. */
#ifndef PF_CLIENT_FARM_JOB_H
#define PF_CLIENT_FARM_JOB_H

#include "client/verb.h"
#include "proto/job_view.h"
#include "proto/limits.h"

enum { PF_CLASS_LABEL_BYTES = PF_CLASS_NAME_BYTES + 16 };

bool        pf_farm_state_is_final(Pf__JobState state);
bool        pf_farm_jobs_are_final(Pf__JobStatus *const *jobs, size_t count);

/* As the member "jobs" of the result. */
void        pf_farm_jobs_put(pf_call *call, Pf__JobStatus *const *jobs, size_t count);
/* The heading of the table of jobs, and one row of it. */
void        pf_farm_jobs_say(pf_call *call, Pf__JobStatus *const *jobs, size_t count);
/* Several lines with all that is known of one. */
void        pf_farm_job_say(pf_call *call, const Pf__JobStatus *job);
/* OK when all of them have their plan or may still get it; else what the first without one failed of, with its
   sentence. */
pf_status   pf_farm_jobs_status(Pf__JobStatus *const *jobs, size_t count, pf_err *err);

/* What tells the class of jobs[at] from those of the others: its name, and where another class has that too, the
   beginning of its digest behind it, which selects it. */
void        pf_farm_job_class(Pf__JobStatus *const *jobs, size_t count, size_t at, char out[PF_CLASS_LABEL_BYTES]);

#endif
