#include "client/farm_fetch_jobs.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "client/farm_fetch.h"
#include "client/farm_job.h"
#include "client/output.h"

/* Names may hold what a file's cannot. */
static pf_status name_file(const char *model, const char *class_label, const char *folder, char path[PATH_MAX],
                           pf_err *err)
{
    char name[PF_MODEL_NAME_BYTES + PF_CLASS_LABEL_BYTES + 8];

    snprintf(name, sizeof name, "%s-%s.plan", model[0] ? model : "model", class_label);
    for (char *at = name; *at; at++)
        if (*at == '/' || (unsigned char)*at < ' ' || (at == name && (*at == '.' || *at == '-')))
            *at = '_';
    return pf_path_join(folder, name, path, PATH_MAX, err);
}

static pf_status fetch(pf_farm *farm, pf_call *call, const pf_farm_trust *trust, const Pf__JobStatus *job,
                       const char *path, pf_err *err)
{
    static pf_manifest manifest;        /* large */
    pf_farm_wanted     wanted = {0};
    pf_status          status = PF_OK;

    if (job->plan_key.len != sizeof wanted.plan_key.byte)
        return PF_FAIL(err, PF_CORRUPT, "the farm names no key of the plan of job %llu",
                       (unsigned long long)job->job_id);
    memcpy(wanted.plan_key.byte, job->plan_key.data, sizeof wanted.plan_key.byte);
    status = pf_farm_find_plan(farm, trust, &wanted, &manifest, err);
    if (!status)
        status = pf_farm_fetch_plan(farm, call, &manifest, path, err);
    if (!status)
        pf_farm_say_manifest(call, &manifest, path);
    return status;
}

pf_status pf_farm_fetch_jobs(pf_farm *farm, pf_call *call, const char *model, Pf__JobStatus *const *jobs, size_t count,
                             const char *folder, json_t *list, pf_err *err)
{
    pf_farm_trust trust;
    char          path[PATH_MAX], class_label[PF_CLASS_LABEL_BYTES];
    pf_status     status = pf_farm_trust_load(call, farm, &trust, err);

    if (!status)
        status = pf_dir_make(folder, err);
    for (size_t i = 0; i < count && !status; i++) {
        if (jobs[i]->state != PF__JOB_STATE__STATE_COMMITTED)
            continue;
        pf_farm_job_class(jobs, count, i, class_label);
        status = name_file(model, class_label, folder, path, err);
        if (!status)
            status = fetch(farm, call, &trust, jobs[i], path, err);
        if (!status)
            json_object_set_new(json_array_get(list, i), "plan", pf_json_text(path));
    }
    return status;
}
