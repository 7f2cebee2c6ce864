#include "client/farm_job.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "client/output.h"

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

enum {
    STATES_COUNT = sizeof states / sizeof *states,
    PHASES_COUNT = sizeof phases / sizeof *phases,
    FAILURES_COUNT = sizeof failures / sizeof *failures,
};

bool pf_farm_state_is_final(Pf__JobState state)
{
    return state >= PF__JOB_STATE__STATE_COMMITTED;
}

bool pf_farm_jobs_are_final(Pf__JobStatus *const *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!pf_farm_state_is_final(jobs[i]->state))
            return false;
    return true;
}

const char *pf_farm_state_name(Pf__JobState state)
{
    return (unsigned)state < STATES_COUNT ? states[state] : "?";
}

bool pf_farm_state_find(const char *name, Pf__JobState *state)
{
    for (int i = 1; i < STATES_COUNT; i++)
        if (strcmp(states[i], name) == 0) {
            *state = (Pf__JobState)i;
            return true;
        }
    return false;
}

const char *pf_farm_phase_name(Pf__Phase phase)
{
    return (unsigned)phase < PHASES_COUNT ? phases[phase] : "?";
}

const char *pf_farm_failure_name(Pf__FailureKind kind)
{
    return (unsigned)kind < FAILURES_COUNT ? failures[kind] : "?";
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

json_t *pf_farm_job_json(const Pf__JobStatus *job)
{
    json_t *to = json_object();

    put_count(to, "job_id", job->job_id);
    put_text(to, "state", pf_farm_state_name(job->state));
    put_text(to, "selector", job->selector);
    put_text(to, "device_class", job->class_name);
    put_bytes(to, "device_class_sha256", &job->class_digest);
    put_bytes(to, "plan_key", &job->plan_key);
    put_text(to, "phase", pf_farm_phase_name(job->phase));
    if (job->phase)
        json_object_set_new(to, "percent", pf_json_real(job->permille / 10.0));
    put_text(to, "progress", job->progress_text);
    json_object_set_new(to, "attempt", pf_json_count(job->attempt));
    put_count(to, "charged_attempts", job->charged);
    put_text(to, "agent", job->agent);
    put_text(to, "failure", pf_farm_failure_name(job->failure));
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

/* How far, or why not. */
static void describe(const Pf__JobStatus *job, char *out, size_t capacity)
{
    if (job->state == PF__JOB_STATE__STATE_LEASED)
        snprintf(out, capacity, "%s %u %%  %s", pf_farm_phase_name(job->phase), job->permille / 10, job->progress_text);
    else if (job->state == PF__JOB_STATE__STATE_QUEUED && job->ahead)
        snprintf(out, capacity, "%u ahead  %s", job->ahead, job->message);
    else if (job->state == PF__JOB_STATE__STATE_BACKOFF)
        snprintf(out, capacity, "again in %u s: %s", (job->wait_ms + 999) / 1000, job->message);
    else if (job->state == PF__JOB_STATE__STATE_COMMITTED && job->hit)
        snprintf(out, capacity, "was there already");
    else
        snprintf(out, capacity, "%s", job->message);
}

void pf_farm_jobs_say(pf_call *call, Pf__JobStatus *const *jobs, size_t count)
{
    pf_buf text = {0};
    char   about[PF_ERR_MSG_BYTES];

    pf_buf_init(&text, 16 << 20);
    pf_buf_printf(&text, "%8s  %-13s  %-16s  %-24s  %s\n", "JOB", "STATE", "CLASS", "MODEL", "ABOUT");
    for (size_t i = 0; i < count; i++) {
        describe(jobs[i], about, sizeof about);
        pf_buf_printf(&text, "%8llu  %-13s  %-16s  %-24s  %s\n", (unsigned long long)jobs[i]->job_id, pf_farm_state_name(jobs[i]->state),
                      jobs[i]->class_name[0] ? jobs[i]->class_name : jobs[i]->selector, jobs[i]->model_name, about);
    }
    pf_say_buf(call, &text);
}

static void say_time(pf_call *call, const char *name, int64_t wall_ns)
{
    time_t    seconds = (time_t)(wall_ns / PF_NS_PER_S);
    struct tm when = {0};
    char      text[32] = "";

    if (wall_ns && localtime_r(&seconds, &when) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &when))
        pf_say(call, "  %-12s %s\n", name, text);
}

static void say_digest(pf_call *call, const char *name, const ProtobufCBinaryData *bytes)
{
    pf_digest digest;
    char      hex[PF_DIGEST_HEX_BYTES];

    if (bytes->len != sizeof digest.byte)
        return;
    memcpy(digest.byte, bytes->data, sizeof digest.byte);
    pf_digest_to_hex(&digest, hex);
    pf_say(call, "  %-12s %s\n", name, hex);
}

void pf_farm_job_say(pf_call *call, const Pf__JobStatus *job)
{
    char about[PF_ERR_MSG_BYTES];

    describe(job, about, sizeof about);
    pf_say(call, "job %llu: %s%s%s\n", (unsigned long long)job->job_id, pf_farm_state_name(job->state), about[0] ? ", " : "", about);
    pf_say(call, "  %-12s %s\n", "model", job->model_name);
    pf_say(call, "  %-12s %s (asked for as %s)\n", "class", job->class_name[0] ? job->class_name : "not known yet", job->selector);
    if (job->failure)
        pf_say(call, "  %-12s %s, exit code %u\n", "failure", pf_farm_failure_name(job->failure), job->exit_code);
    pf_say(call, "  %-12s %u, of which %u count against the limit\n", "attempts", job->attempt, job->charged);
    if (job->agent[0])
        pf_say(call, "  %-12s %s\n", "agent", job->agent);
    if (job->user[0])
        pf_say(call, "  %-12s %s\n", "user", job->user);
    say_digest(call, "plan key", &job->plan_key);
    say_digest(call, "plan", &job->plan_digest);
    say_digest(call, "log", &job->log_digest);
    say_time(call, "submitted", job->created_ns);
    say_time(call, "changed", job->changed_ns);
}

static pf_status job_status(const Pf__JobStatus *job)
{
    pf_status status = job->exit_code ? pf_status_from_exit_code((int)job->exit_code) : PF_BUILD_FAILED;

    switch (job->state) {
    case PF__JOB_STATE__STATE_CANCELLED: return PF_CANCELLED;
    case PF__JOB_STATE__STATE_UNSATISFIABLE: return PF_NOT_FOUND;
    case PF__JOB_STATE__STATE_FAILED:
    case PF__JOB_STATE__STATE_QUARANTINED: return status ? status : PF_BUILD_FAILED;
    default: return PF_OK;
    }
}

pf_status pf_farm_jobs_status(Pf__JobStatus *const *jobs, size_t count, pf_err *err)
{
    for (size_t i = 0; i < count; i++) {
        const char *why = jobs[i]->message[0] ? jobs[i]->message : pf_farm_state_name(jobs[i]->state);
        pf_status   status = job_status(jobs[i]);

        if (status && count == 1)
            return PF_FAIL(err, status, "%s", why);
        if (status)
            return PF_FAIL(err, status, "%s: %s", jobs[i]->class_name[0] ? jobs[i]->class_name : jobs[i]->selector, why);
    }
    return PF_OK;
}
