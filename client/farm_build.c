#include "client/farm_build.h"

#include <string.h>

#include "client/farm_fetch.h"
#include "client/farm_follow.h"
#include "client/farm_job.h"
#include "client/farm_submit.h"
#include "client/output.h"
#include "client/plan_name.h"

/* PLAN for one class; for several PLAN becomes NAME.CLASS.plan. */
static pf_status plan_path(const char *model_path, const char *given, const char *class_name, bool several,
                           char out[PATH_MAX], pf_err *err)
{
    char      plain[PATH_MAX];
    size_t    bytes = 0;
    pf_status status = pf_plan_name(model_path, given, plain, err);

    bytes = status ? 0 : strlen(plain);
    if (bytes > 5 && strcmp(plain + bytes - 5, ".plan") == 0)
        bytes -= 5;
    if (!status && !several)
        memcpy(out, plain, strlen(plain) + 1);
    else if (!status && snprintf(out, PATH_MAX, "%.*s.%s.plan", (int)bytes, plain, class_name) >= PATH_MAX)
        status = PF_FAIL(err, PF_INVALID, "the name of the plan is too long");
    return status;
}

static pf_status fetch_job(pf_farm *farm, pf_call *call, const pf_farm_trust *trust, const Pf__JobStatus *job,
                           const char *path, json_t *to, pf_err *err)
{
    static pf_manifest manifest;        /* large */
    pf_farm_wanted     wanted = {0};
    pf_status          status = pf_wire_digest(&job->plan_key, "plan_key", &wanted.plan_key, err);

    if (!status)
        status = pf_farm_find_plan(farm, trust, &wanted, &manifest, err);
    if (!status)
        status = pf_farm_fetch_plan(farm, call, &manifest, path, err);
    if (status)
        return status;
    json_object_set_new(to, "plan", pf_json_text(path));
    json_object_set_new(to, "hit", json_boolean(job->hit));
    pf_farm_put_manifest(to, &manifest);
    pf_farm_say_manifest(call, &manifest, path);
    return PF_OK;
}

/* One plan: its members stand in the result itself, as those of a build on this machine; several: in "plans". */
static pf_status fetch_all(pf_farm *farm, pf_call *call, Pf__JobStatus *const *jobs, size_t count,
                           const char *model_path, const char *given, pf_err *err)
{
    pf_farm_trust trust;
    char          path[PATH_MAX], class_label[PF_CLASS_LABEL_BYTES];
    json_t       *list = json_array();
    pf_status     status = pf_farm_jobs_status(jobs, count, err);

    if (!status)
        status = pf_farm_trust_load(call, farm, &trust, err);
    for (size_t i = 0; i < count && !status; i++) {
        json_t *to = count == 1 ? json_incref(call->result) : json_object();

        pf_farm_job_class(jobs, count, i, class_label);
        status = plan_path(model_path, given, class_label, count > 1, path, err);
        if (!status)
            status = fetch_job(farm, call, &trust, jobs[i], path, to, err);
        if (!status && count > 1)
            json_array_append(list, to);
        json_decref(to);
    }
    if (count > 1)
        json_object_set(call->result, "plans", list);
    json_decref(list);
    return status;
}

static pf_status wait_and_fetch(pf_farm *farm, pf_call *call, const pf_farm_submission *submission,
                                const char *model_path, const char *given, pf_err *err)
{
    const Pf__SubmitReply *submitted = (const Pf__SubmitReply *)submission->answer.body;
    const Pf__StatusReply *reply = NULL;
    pf_farm_names          names = {0};
    pf_farm_follow         how = {0};
    pf_message             jobs = {0};
    pf_status              status = PF_OK;

    if (pf_farm_jobs_are_final(submitted->job, submitted->n_job))
        return fetch_all(farm, call, submitted->job, submitted->n_job, model_path, given, err);
    pf_farm_names_of_submit(submission->submit_id, &names);
    status = pf_farm_follow_jobs(farm, call, &names, &how, &jobs, err);
    if (!status) {
        reply = (const Pf__StatusReply *)jobs.body;
        status = fetch_all(farm, call, reply->job, reply->n_job, model_path, given, err);
    }
    pf_message_clear(&jobs);
    pf_farm_names_clear(&names);
    return status;
}

pf_status pf_farm_build(pf_call *call, const char *url, const char *gpu, const char *model_path, const char *given,
                        const pf_config *config, pf_err *err)
{
    pf_farm            farm = {0};
    pf_farm_submission submission = {0};
    char               hex[PF_SUBMIT_HEX_BYTES];
    pf_status          status = pf_farm_open(call, url, &farm, err);

    if (!status)
        status = pf_farm_submit(&farm, call, model_path, gpu, config, &submission, err);
    if (!status) {
        pf_farm_submit_hex(submission.submit_id, hex);
        json_object_set_new(call->result, "submit_id", json_string(hex));
        status = wait_and_fetch(&farm, call, &submission, model_path, given, err);
    }
    pf_farm_submission_clear(&submission);
    pf_farm_close(&farm);
    return status;
}
