/* The plans of finished jobs, all into one folder.
   Thread   one. */
#ifndef PF_CLIENT_FARM_FETCH_JOBS_H
#define PF_CLIENT_FARM_FETCH_JOBS_H

#include "client/farm.h"
#include "proto/farm.pb-c.h"

/* Fetches the plan of each job that has one into FOLDER/MODEL-CLASS.plan (pf_farm_job_class), which is made, and adds
   the file's name as the member "plan" to the object of the same place in list.  model: what was asked for; a job that
   was there already may have another name for it.  Errors   those of pf_farm_find_plan and pf_farm_fetch_plan. */
pf_status pf_farm_fetch_jobs(pf_farm *farm, pf_call *call, const char *model, Pf__JobStatus *const *jobs, size_t count,
                             const char *folder, json_t *list, pf_err *err);

#endif
