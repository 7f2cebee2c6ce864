#include "builder-agent/job.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/planfarm.h"

#define TELL_NS (200 * PF_NS_PER_MS)

/* Statuses that mean the model or the spec, when the engine answers them; everything else says something of this
   agent and may go better elsewhere. */
static const struct { pf_status status; Pf__FailureKind kind; } kinds[] = {
    { PF_USAGE, PF__FAILURE_KIND__FAILURE_BUILD_ERROR },
    { PF_INVALID, PF__FAILURE_KIND__FAILURE_BUILD_ERROR },
    { PF_NOT_FOUND, PF__FAILURE_KIND__FAILURE_BUILD_ERROR },
    { PF_UNSUPPORTED, PF__FAILURE_KIND__FAILURE_BUILD_ERROR },
    { PF_BUILD_FAILED, PF__FAILURE_KIND__FAILURE_BUILD_ERROR },
    { PF_MISMATCH, PF__FAILURE_KIND__FAILURE_BUILD_ERROR },
    { PF_CACHE_MISS, PF__FAILURE_KIND__FAILURE_BUILD_ERROR },
    { PF_NO_SPACE, PF__FAILURE_KIND__FAILURE_RESOURCE },
    { PF_DEVICE, PF__FAILURE_KIND__FAILURE_DEVICE_FAULT },
    { PF_TIMEOUT, PF__FAILURE_KIND__FAILURE_TIMEOUT },
    { PF_CANCELLED, PF__FAILURE_KIND__FAILURE_CANCELLED },
};

Pf__FailureKind pf_job_failure(Pf__Phase phase, pf_status status)
{
    bool engine = phase == PF__PHASE__PHASE_TUNE || phase == PF__PHASE__PHASE_BUILD;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].status == status && (engine || kinds[i].kind != PF__FAILURE_KIND__FAILURE_BUILD_ERROR))
            return kinds[i].kind;
    }
    return PF__FAILURE_KIND__FAILURE_INFRA;
}

bool pf_job_tell(pf_job_run *run, Pf__Phase phase, uint32_t permille, const char *text, const char *json)
{
    int64_t now_ns = pf_clock_ns();

    if (phase == run->progress.phase && now_ns - run->told_ns < TELL_NS)
        return true;
    run->told_ns = now_ns;
    run->progress.kind = PF_RECORD_PROGRESS;
    run->progress.phase = phase;
    run->progress.permille = permille > 1000 ? 1000 : permille;
    snprintf(run->progress.text, sizeof run->progress.text, "%s", text);
    snprintf(run->progress.json, sizeof run->progress.json, "%s", json);
    return pf_record_write(PF_RECORD_FD, &run->progress, NULL) == PF_OK;
}

static bool on_transfer(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    pf_job_run *run = user;
    uint64_t    permille = total_bytes ? done_bytes * 1000 / total_bytes : 0;
    char        json[96];

    snprintf(json, sizeof json, "{\"done_bytes\":%llu,\"total_bytes\":%llu}", (unsigned long long)done_bytes,
             (unsigned long long)total_bytes);
    return pf_job_tell(run, run->progress.phase, (uint32_t)permille, run->progress.text, json);
}

static pf_status open_transfer(pf_job_run *run, pf_err *err)
{
    pf_transfer_options options = {
        .url = run->job->http_url, .token = run->job->token[0] ? run->job->token : NULL, .keep_partial = true,
        .watch = on_transfer, .user = run,
    };

    return pf_transfer_new(&options, &run->transfer, err);
}

pf_status pf_job_upload(pf_job_run *run, pf_err *err)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/plan", run->folder) >= (int)sizeof path)
        return PF_FAIL(err, PF_INVALID, "the path of the lease's folder is too long");
    return pf_transfer_put_blob(run->transfer, &run->plan_digest, path, err);
}

static const struct phase {
    Pf__Phase   phase;
    const char *text;
    pf_status (*run)(pf_job_run *run, pf_err *err);
} phases[] = {
    { PF__PHASE__PHASE_FETCH, "fetching the model", pf_job_fetch },
    { PF__PHASE__PHASE_TUNE, "reading the model", pf_job_build },
    { PF__PHASE__PHASE_UPLOAD, "storing the plan", pf_job_upload },
};

/* The library is loaded anew for each build, so it may be another than the one whose builder the agent offered. */
static pf_status check_builder(pf_job_run *run, pf_err *err)
{
    run->replaced = strcmp(pf_builder_abi(), run->job->builder_abi) != 0;
    if (!run->replaced)
        return PF_OK;
    return PF_FAIL(err, PF_STALE,
                   "planfarm was replaced under this agent by one of builder %s, and it offers %s; it must be started "
                   "anew", pf_builder_abi(), run->job->builder_abi);
}

static pf_status run_phases(pf_job_run *run, pf_err *err)
{
    pf_status st = check_builder(run, err);

    if (!st)
        st = open_transfer(run, err);

    for (size_t i = 0; i < sizeof phases / sizeof phases[0] && !st; i++) {
        pf_log(PF_LOG_INFO, "job", "phase job=%llu text=\"%s\"", (unsigned long long)run->job->job_id, phases[i].text);
        pf_job_tell(run, phases[i].phase, 0, phases[i].text, "");
        st = phases[i].run(run, err);
    }
    return st;
}

/* A job that could not be built here and may well be elsewhere is not charged for it. */
static Pf__FailureKind failure_of(const pf_job_run *run, pf_status st)
{
    if (run->replaced)
        return PF__FAILURE_KIND__FAILURE_COLLATERAL;
    if (run->model_at_fault)
        return PF__FAILURE_KIND__FAILURE_BUILD_ERROR;
    return pf_job_failure(run->progress.phase, st);
}

/* Folders of this agent mean nothing to who submitted the job: files of the model are told by their names. */
static void copy_without_folder(const char *folder, const char *text, char *out, size_t capacity)
{
    static const char *const inner[] = { "/model/", "/" };
    char                     prefix[PATH_MAX];
    const char              *found = NULL;
    size_t                   before = 0;

    for (size_t i = 0; i < sizeof inner / sizeof *inner && !found; i++)
        if (snprintf(prefix, sizeof prefix, "%s%s", folder, inner[i]) < (int)sizeof prefix)
            found = strstr(text, prefix);
    before = found ? (size_t)(found - text) : strlen(text);
    snprintf(out, capacity, "%.*s%s", (int)before, text, found ? found + strlen(prefix) : "");
}

static pf_status tell_end(const pf_job_run *run, pf_status st, const pf_err *why, pf_err *err)
{
    pf_record *end = pf_calloc(1, sizeof *end);
    pf_status  told = PF_OK;

    if (!end)
        return PF_FAIL_MEMORY(err, sizeof *end);
    end->kind = run->replaced ? PF_RECORD_REPLACED : st ? PF_RECORD_FAILED : PF_RECORD_DONE;
    if (st) {
        end->failure = failure_of(run, st);
        end->exit_code = (uint32_t)pf_status_exit_code(st);
        copy_without_folder(run->folder, why->msg[0] ? why->msg : pf_status_text(st), end->text, sizeof end->text);
        pf_log(PF_LOG_ERROR, "job", "failed job=%llu status=%s reason=\"%s\"", (unsigned long long)run->job->job_id,
               pf_status_name(st), end->text);
    } else {
        end->plan_digest = run->plan_digest;
        end->plan_bytes = run->plan_bytes;
        snprintf(end->json, sizeof end->json, "%s", run->summary);
    }
    told = pf_record_write(PF_RECORD_FD, end, err);
    pf_free(end);
    return told;
}

pf_status pf_job_main(const char *folder, pf_err *err)
{
    pf_job_file *job = pf_calloc(1, sizeof *job);
    pf_job_run  *run = pf_calloc(1, sizeof *run);
    pf_err       why = { 0 };
    pf_status    st = PF_OK;

    if (!job || !run) {
        st = PF_FAIL_MEMORY(err, sizeof *job + sizeof *run);
        goto out;
    }
    *run = (pf_job_run){ .job = job, .folder = folder };
    st = pf_job_file_read(folder, job, &why);
    if (!st)
        st = run_phases(run, &why);
    if (tell_end(run, st, &why, err))
        st = PF_IO;
out:
    if (run)
        pf_transfer_free(run->transfer);
    pf_free(run);
    pf_free(job);
    return st;
}
