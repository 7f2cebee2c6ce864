#include "proto/job_view.h"

#include <string.h>

#include "proto/json.h"

static const char *const states[] = {
    [PF__JOB_STATE__STATE_NONE] = "none",           [PF__JOB_STATE__STATE_QUEUED] = "queued",
    [PF__JOB_STATE__STATE_OFFERED] = "offered",     [PF__JOB_STATE__STATE_LEASED] = "building",
    [PF__JOB_STATE__STATE_VERIFYING] = "verifying", [PF__JOB_STATE__STATE_BACKOFF] = "backoff",
    [PF__JOB_STATE__STATE_CANCELLING] = "cancelling", [PF__JOB_STATE__STATE_COMMITTED] = "done",
    [PF__JOB_STATE__STATE_FAILED] = "failed",       [PF__JOB_STATE__STATE_CANCELLED] = "cancelled",
    [PF__JOB_STATE__STATE_QUARANTINED] = "quarantined", [PF__JOB_STATE__STATE_UNSATISFIABLE] = "unsatisfiable",
};
static const char *const phases[] = {
    [PF__PHASE__PHASE_NONE] = "", [PF__PHASE__PHASE_FETCH] = "fetch", [PF__PHASE__PHASE_TUNE] = "tune",
    [PF__PHASE__PHASE_BUILD] = "build", [PF__PHASE__PHASE_UPLOAD] = "upload",
};
static const char *const failures[] = {
    [PF__FAILURE_KIND__FAILURE_NONE] = "", [PF__FAILURE_KIND__FAILURE_BUILD_ERROR] = "build_error",
    [PF__FAILURE_KIND__FAILURE_RESOURCE] = "resource", [PF__FAILURE_KIND__FAILURE_DEVICE_FAULT] = "device_fault",
    [PF__FAILURE_KIND__FAILURE_INFRA] = "infra", [PF__FAILURE_KIND__FAILURE_TIMEOUT] = "timeout",
    [PF__FAILURE_KIND__FAILURE_COLLATERAL] = "collateral", [PF__FAILURE_KIND__FAILURE_CANCELLED] = "cancelled",
};

static const char *const kinds[] = {
    [PF__EVENT_KIND__EVENT_NONE] = "none",         [PF__EVENT_KIND__EVENT_STATE] = "state",
    [PF__EVENT_KIND__EVENT_PROGRESS] = "progress", [PF__EVENT_KIND__EVENT_LOG] = "log",
    [PF__EVENT_KIND__EVENT_GAP] = "gap",
};

enum {
    STATES_COUNT = sizeof states / sizeof *states,
    PHASES_COUNT = sizeof phases / sizeof *phases,
    FAILURES_COUNT = sizeof failures / sizeof *failures,
    KINDS_COUNT = sizeof kinds / sizeof *kinds,
};

const char *pf_job_view_state(Pf__JobState state)
{
    return (unsigned)state < STATES_COUNT ? states[state] : "?";
}

bool pf_job_view_find_state(const char *name, Pf__JobState *state)
{
    for (int i = 1; i < STATES_COUNT; i++)
        if (strcmp(states[i], name) == 0) {
            *state = (Pf__JobState)i;
            return true;
        }
    return false;
}

const char *pf_job_view_phase(Pf__Phase phase)
{
    return (unsigned)phase < PHASES_COUNT ? phases[phase] : "?";
}

const char *pf_job_view_failure(Pf__FailureKind kind)
{
    return (unsigned)kind < FAILURES_COUNT ? failures[kind] : "?";
}

const char *pf_job_view_event(Pf__EventKind kind)
{
    return (unsigned)kind < KINDS_COUNT ? kinds[kind] : "?";
}

static json_t *bytes_json(const ProtobufCBinaryData *bytes)
{
    pf_digest digest;

    if (bytes->len != sizeof digest.byte)
        return NULL;
    memcpy(digest.byte, bytes->data, sizeof digest.byte);
    return pf_json_digest(&digest);
}

static void put_text(json_t *to, const char *name, const char *text)
{
    if (text[0])
        json_object_set_new(to, name, pf_json_text(text));
}

static void put_count(json_t *to, const char *name, uint64_t count)
{
    if (count)
        json_object_set_new(to, name, pf_json_count(count));
}

static void put_bytes(json_t *to, const char *name, const ProtobufCBinaryData *bytes)
{
    json_t *value = bytes_json(bytes);

    if (value)
        json_object_set_new(to, name, value);
}

json_t *pf_job_view_json(const Pf__JobStatus *job)
{
    json_t *to = json_object();

    put_count(to, "job_id", job->job_id);
    put_text(to, "state", pf_job_view_state(job->state));
    put_text(to, "selector", job->selector);
    put_text(to, "device_class", job->class_name);
    put_bytes(to, "device_class_sha256", &job->class_digest);
    put_bytes(to, "plan_key", &job->plan_key);
    put_text(to, "phase", pf_job_view_phase(job->phase));
    if (job->phase)
        json_object_set_new(to, "percent", pf_json_real(job->permille / 10.0));
    put_text(to, "progress", job->progress_text);
    json_object_set_new(to, "attempt", pf_json_count(job->attempt));
    put_count(to, "charged_attempts", job->charged);
    put_text(to, "agent", job->agent);
    put_text(to, "failure", pf_job_view_failure(job->failure));
    put_count(to, "exit_code", job->exit_code);
    put_text(to, "message", job->message);
    put_text(to, "model", job->model_name);
    put_bytes(to, "model_sha256", &job->model_digest);
    put_text(to, "user", job->user);
    json_object_set_new(to, "priority", json_integer(job->priority));
    json_object_set_new(to, "created", pf_json_real((double)job->created_ns / 1e9));
    json_object_set_new(to, "changed", pf_json_real((double)job->changed_ns / 1e9));
    put_bytes(to, "plan_sha256", &job->plan_digest);
    put_count(to, "plan_bytes", job->plan_bytes);
    json_object_set_new(to, "hit", json_boolean(job->hit));
    json_object_set_new(to, "joined", json_boolean(job->joined));
    put_bytes(to, "log_sha256", &job->log_digest);
    put_count(to, "ahead", job->ahead);
    put_count(to, "retry_in_ms", job->wait_ms);
    put_count(to, "waiters", job->waiters);
    return to;
}

json_t *pf_job_view_list(Pf__JobStatus *const *jobs, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, pf_job_view_json(jobs[i]));
    return list;
}

json_t *pf_job_view_event_json(const Pf__Event *event)
{
    json_t *to = json_object();

    json_object_set_new(to, "sequence", pf_json_count(event->sequence));
    json_object_set_new(to, "job_id", pf_json_count(event->job_id));
    json_object_set_new(to, "kind", pf_json_text(pf_job_view_event(event->kind)));
    json_object_set_new(to, "time", pf_json_real((double)event->wall_ns / 1e9));
    put_text(to, "state", pf_job_view_state(event->state));
    put_text(to, "phase", pf_job_view_phase(event->phase));
    if (event->phase)
        json_object_set_new(to, "percent", pf_json_real(event->permille / 10.0));
    put_count(to, "attempt", event->attempt);
    put_text(to, "text", event->text);
    if (event->json[0])
        json_object_set_new(to, "details", json_loads(event->json, JSON_REJECT_DUPLICATES, NULL));
    put_count(to, "dropped", event->dropped);
    return to;
}
