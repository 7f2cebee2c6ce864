/* Jobs and events as programs read them: the words for their states, and JSON.  The client's --json and the
   coordinator's HTTP API speak the same.
   Thread   any. */
#ifndef PF_PROTO_JOB_VIEW_H
#define PF_PROTO_JOB_VIEW_H

#include <jansson.h>
#include <stdbool.h>

#include "proto/farm.pb-c.h"

const char *pf_job_view_state(Pf__JobState state);         /* "queued"; "?" for one that is not known here */
bool        pf_job_view_find_state(const char *name, Pf__JobState *state);
const char *pf_job_view_phase(Pf__Phase phase);            /* "tune"; "" for none */
const char *pf_job_view_failure(Pf__FailureKind kind);     /* "build_error"; "" for none */
const char *pf_job_view_event(Pf__EventKind kind);         /* "progress" */

/* An object with every field that says something; NULL when out of memory. */
json_t     *pf_job_view_json(const Pf__JobStatus *job);
json_t     *pf_job_view_event_json(const Pf__Event *event);
/* A list of job objects. */
json_t     *pf_job_view_list(Pf__JobStatus *const *jobs, size_t count);

#endif
