#include "client/farm_job.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "client/output.h"

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

static bool is_other_of_name(const Pf__JobStatus *a, const Pf__JobStatus *b)
{
    return strcmp(a->class_name, b->class_name) == 0 &&
           (a->class_digest.len != b->class_digest.len ||
            (a->class_digest.len && memcmp(a->class_digest.data, b->class_digest.data, a->class_digest.len) != 0));
}

void pf_farm_job_class(Pf__JobStatus *const *jobs, size_t count, size_t at, char out[PF_CLASS_LABEL_BYTES])
{
    const Pf__JobStatus *job = jobs[at];
    const char          *name = job->class_name[0] ? job->class_name : job->selector;
    pf_digest            digest;
    char                 hex[PF_DIGEST_HEX_BYTES] = "";
    bool                 shared = false;

    for (size_t i = 0; i < count; i++)
        shared = shared || is_other_of_name(job, jobs[i]);
    if (shared && job->class_digest.len == sizeof digest.byte) {
        memcpy(digest.byte, job->class_digest.data, sizeof digest.byte);
        pf_digest_to_hex(&digest, hex);
    }
    snprintf(out, PF_CLASS_LABEL_BYTES, "%.*s%s%.8s", PF_CLASS_NAME_BYTES - 1, name, hex[0] ? "-" : "", hex);
}

/* How far, or why not. */
static void describe(const Pf__JobStatus *job, char *out, size_t capacity)
{
    if (job->state == PF__JOB_STATE__STATE_LEASED)
        snprintf(out, capacity, "%s %u %%  %s", pf_job_view_phase(job->phase), job->permille / 10, job->progress_text);
    else if (job->state == PF__JOB_STATE__STATE_QUEUED && job->ahead)
        snprintf(out, capacity, "%u ahead  %s", job->ahead, job->message);
    else if (job->state == PF__JOB_STATE__STATE_BACKOFF)
        snprintf(out, capacity, "again in %u s: %s", (job->wait_ms + 999) / 1000, job->message);
    else if (job->state == PF__JOB_STATE__STATE_COMMITTED && job->hit)
        snprintf(out, capacity, "was there already");
    else
        snprintf(out, capacity, "%s", job->message);
}

void pf_farm_jobs_put(pf_call *call, Pf__JobStatus *const *jobs, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, pf_job_view_json(jobs[i]));
    json_object_set_new(call->result, "jobs", list);
}

void pf_farm_jobs_say(pf_call *call, Pf__JobStatus *const *jobs, size_t count)
{
    pf_buf text = {0};
    char   about[PF_ERR_MSG_BYTES];

    pf_buf_init(&text, 16 << 20);
    pf_buf_printf(&text, "%8s  %-13s  %-16s  %-24s  %s\n", "JOB", "STATE", "CLASS", "MODEL", "ABOUT");
    for (size_t i = 0; i < count; i++) {
        describe(jobs[i], about, sizeof about);
        pf_buf_printf(&text, "%8llu  %-13s  %-16s  %-24s  %s\n", (unsigned long long)jobs[i]->job_id,
                      pf_job_view_state(jobs[i]->state),
                      jobs[i]->class_name[0] ? jobs[i]->class_name : jobs[i]->selector, jobs[i]->model_name, about);
    }
    pf_say_buf(call, &text);
}

static void say_time(pf_call *call, const char *name, int64_t wall_ns)
{
    time_t    seconds = (time_t)(wall_ns / PF_NS_PER_S);
    struct tm when = {0};
    char      text[32] = "";

    if (wall_ns && localtime_r(&seconds, &when) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z", &when))
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
    pf_say(call, "job %llu: %s%s%s\n", (unsigned long long)job->job_id, pf_job_view_state(job->state),
           about[0] ? ", " : "", about);
    pf_say(call, "  %-12s %s\n", "model", job->model_name);
    pf_say(call, "  %-12s %s (asked for as %s)\n", "class", job->class_name[0] ? job->class_name : "not known yet",
           job->selector);
    if (job->failure)
        pf_say(call, "  %-12s %s, exit code %u\n", "failure", pf_job_view_failure(job->failure), job->exit_code);
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
        const char *why = jobs[i]->message[0] ? jobs[i]->message : pf_job_view_state(jobs[i]->state);
        pf_status   status = job_status(jobs[i]);

        if (status && count == 1)
            return PF_FAIL(err, status, "%s", why);
        if (status)
            return PF_FAIL(err, status, "%s: %s", jobs[i]->class_name[0] ? jobs[i]->class_name : jobs[i]->selector,
                           why);
    }
    return PF_OK;
}
