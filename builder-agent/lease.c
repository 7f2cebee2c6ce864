#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "builder-agent/renewal.h"
#include "builder-agent/state.h"
#include "builder-agent/timing_home.h"

#define TELL_NS (200 * PF_NS_PER_MS)    /* between two PROGRESS or two LOG of a lease */

#define EXIT_NS (10 * PF_NS_PER_S)      /* a process may take to end after it told its result */

enum { CRASHES_UNCHARGED_MOST = 16 };

enum { PHASES = PF__PHASE__PHASE_UPLOAD + 1 };

/* A build that shows no sign of progress for so long is ended.  Long enough for what moves nothing while it works:
   compiling one candidate, and running the reference of one node. */
static const struct { const char *name; int64_t still_ns; } phases[PHASES] = {
    [PF__PHASE__PHASE_NONE] = { "starting", 60 * PF_NS_PER_S },
    [PF__PHASE__PHASE_FETCH] = { "fetching the model", 300 * PF_NS_PER_S },
    [PF__PHASE__PHASE_TUNE] = { "tuning", 900 * PF_NS_PER_S },
    [PF__PHASE__PHASE_BUILD] = { "building", 1800 * PF_NS_PER_S },
    [PF__PHASE__PHASE_UPLOAD] = { "storing the plan", 300 * PF_NS_PER_S },
};

static void set_failure(pf_lease *lease, Pf__FailureKind kind, pf_status status, const char *message)
{
    lease->failure.kind = kind;
    lease->failure.exit_code = (uint32_t)pf_status_exit_code(status);
    snprintf(lease->failure.message, sizeof lease->failure.message, "%s", message);
    pf_log_flatten(lease->failure.message);
}

/* ---- start */

static void write_journal(const pf_agent *agent)
{
    char   line[96];
    pf_buf text = { 0 };

    pf_buf_init(&text, 64 * 1024);
    for (const pf_lease *lease = agent->leases; lease; lease = lease->next) {
        snprintf(line, sizeof line, "job %llu attempt %u fence %llu\n", (unsigned long long)lease->job_id,
                 lease->attempt, (unsigned long long)lease->fence);
        if (lease->state != PF_LEASE_GONE)
            pf_buf_put(&text, line, strlen(line));
    }
    pf_workdir_journal(&agent->dir, text.size ? (const char *)text.data : "");
    pf_buf_clear(&text);
}

static pf_status find_device(pf_agent *agent, const Pf__Offer *offer, pf_agent_device **out, pf_err *err)
{
    pf_digest digest = { 0 };
    bool      known = false;
    pf_status st = pf_wire_digest(&offer->class_digest, "class_digest", &digest, err);

    for (uint32_t i = 0; i < agent->devices_count && !st; i++) {
        pf_agent_device *device = &agent->devices[i];
        if (!pf_digest_equal(&device->device_class->print.class_digest, &digest))
            continue;
        known = true;
        if (pf_device_is_free(device)) {
            *out = device;
            return PF_OK;
        }
    }
    if (st)
        return st;
    return PF_FAIL(err, PF_BUSY,
                   known ? "every device of this class builds" : "this agent has no device of this class");
}

static pf_status write_job(const pf_agent *agent, const pf_lease *lease, const Pf__Offer *offer, pf_err *err)
{
    pf_job_file *job = pf_calloc(1, sizeof *job);
    pf_status    st = PF_OK;

    if (!job)
        return PF_FAIL_MEMORY(err, sizeof *job);
    job->job_id = offer->job_id;
    job->attempt = offer->attempt;
    job->device = lease->device->named;
    job->cache_limit_bytes = agent->options->cache_limit_bytes;
    job->url_limit_bytes = agent->options->url_limit_bytes;
    snprintf(job->builder_abi, sizeof job->builder_abi, "%s", lease->device->device_class->print.builder_abi);
    job->device_class = lease->device->device_class->print.class_digest;
    st = pf_wire_digest(&offer->plan_key, "plan_key", &job->plan_key, err);
    if (!st)
        st = pf_wire_digest(&offer->model_digest, "model_digest", &job->model, err);
    if (!st &&
        (snprintf(job->spec_text, sizeof job->spec_text, "%s", offer->spec_text) >= (int)sizeof job->spec_text ||
         snprintf(job->model_name, sizeof job->model_name, "%s", offer->model_name) >= (int)sizeof job->model_name))
        st = PF_FAIL(err, PF_INVALID, "the spec or the name of the model is too long");
    snprintf(job->http_url, sizeof job->http_url, "%s", agent->http_url);
    snprintf(job->token, sizeof job->token, "%s", agent->token);
    snprintf(job->agent_folder, sizeof job->agent_folder, "%s", agent->dir.folder);
    snprintf(job->coordinator, sizeof job->coordinator, "%s", agent->options->coordinator);
    if (!st)
        st = pf_job_file_write(job, lease->folder, err);
    pf_free(job);
    return st;
}

static pf_status start_process(pf_agent *agent, pf_lease *lease, const Pf__Offer *offer, pf_err *err)
{
    const char *argv[] = { "--job", lease->folder, NULL };
    char        log_path[PATH_MAX];
    pf_status   st = pf_workdir_begin(&agent->dir, offer->job_id, offer->attempt, offer->fence, lease->folder,
                                      sizeof lease->folder, err);

    if (!st)
        st = write_job(agent, lease, offer, err);
    if (!st)
        pf_renewal_note(lease->folder, pf_clock_boot_ns() + (int64_t)offer->ttl_ms * PF_NS_PER_MS);
    if (!st)
        st = pf_path_join(lease->folder, "log", log_path, sizeof log_path, err);
    if (!st)
        st = pf_line_log_open(&lease->log, log_path, err);
    if (!st)
        st = pf_child_start(argv, lease->folder, &lease->child, err);
    lease->process = lease->child.pid;
    return st;
}

static pf_lease *new_lease(const Pf__Offer *offer, const uint8_t *trace_id, pf_agent_device *device)
{
    pf_lease *lease = pf_calloc(1, sizeof *lease);

    if (!lease)
        return NULL;
    PF_WIRE_SAME_RUN(lease, offer);
    memcpy(lease->trace_id, trace_id, sizeof lease->trace_id);
    lease->device = device;
    lease->log.fd = -1;
    lease->child = lease->log_child = (pf_child){ .output_fd = -1, .record_fd = -1 };
    lease->moved_ns = pf_clock_boot_ns();
    lease->build_until_ns = offer->build_timeout_s ? lease->moved_ns + (int64_t)offer->build_timeout_s * PF_NS_PER_S
                                                   : INT64_MAX;
    pf_record_reader_init(&lease->records);
    return lease;
}

pf_status pf_lease_start(pf_agent *agent, const Pf__Offer *offer, const uint8_t *trace_id, pf_err *err)
{
    pf_agent_device *device = NULL;
    pf_lease        *lease = NULL;
    pf_status        st = agent->draining ? PF_FAIL(err, PF_BUSY, "the agent is draining") : PF_OK;

    if (!st)
        st = find_device(agent, offer, &device, err);
    if (st)
        return st;
    lease = new_lease(offer, trace_id, device);
    if (!lease)
        return PF_FAIL_MEMORY(err, sizeof *lease);
    st = start_process(agent, lease, offer, err);
    if (st) {
        pf_lease_free(lease);
        return st;
    }
    device->lease = lease;
    lease->next = agent->leases;
    agent->leases = lease;
    agent->leases_count++;
    write_journal(agent);
    pf_log(PF_LOG_INFO, "agent", "started job=%llu attempt=%u fence=%llu device=%s pid=%ld model=\"%s\"",
           (unsigned long long)lease->job_id, lease->attempt, (unsigned long long)lease->fence, device->named.name,
           (long)lease->child.pid, offer->model_name);
    return PF_OK;
}

pf_lease *pf_lease_find(const pf_agent *agent, uint64_t job_id, uint32_t attempt, uint64_t fence)
{
    for (pf_lease *lease = agent->leases; lease; lease = lease->next) {
        if (lease->job_id == job_id && lease->attempt == attempt && lease->fence == fence &&
            lease->state != PF_LEASE_GONE)
            return lease;
    }
    return NULL;
}

bool pf_lease_is_listed(const pf_lease *lease)
{
    return lease->state != PF_LEASE_GONE && !lease->lost;
}

/* ---- what the process says */

static void take_progress(pf_lease *lease, const pf_record *record, int64_t now_ns)
{
    lease->progress_new = true;
    if (lease->progress.phase != record->phase)
        lease->progress_sent_ns = 0;        /* a new phase is told at once */
    lease->progress = *record;
    lease->progress_count++;
    lease->moved_ns = now_ns;
}

static void take_record(pf_agent *agent, pf_lease *lease, const pf_record *record)
{
    if (record->kind == PF_RECORD_PROGRESS) {
        take_progress(lease, record, pf_clock_boot_ns());
        return;
    }
    lease->ended = true;
    lease->moved_ns = pf_clock_boot_ns();
    if (record->kind == PF_RECORD_REPLACED)
        pf_agent_retire(agent, record->text);
    if (record->kind != PF_RECORD_DONE) {
        set_failure(lease, record->failure ? record->failure : PF__FAILURE_KIND__FAILURE_INFRA,
                    pf_status_from_exit_code((int)record->exit_code), record->text);
        return;
    }
    lease->plan_digest = record->plan_digest;
    lease->plan_bytes = record->plan_bytes;
    snprintf(lease->summary, sizeof lease->summary, "%s", record->json);
}

static void read_records(pf_agent *agent, pf_lease *lease)
{
    pf_record *record = pf_calloc(1, sizeof *record);
    pf_err     err = { 0 };
    bool       end = false, found = true;
    pf_status  st = record ? pf_record_reader_fill(&lease->records, lease->child.record_fd, &end, &err)
                           : PF_FAIL_MEMORY(&err, sizeof *record);

    while (!st && found) {
        st = pf_record_reader_next(&lease->records, record, &found, &err);
        if (!st && found)
            take_record(agent, lease, record);
    }
    if (st || end)
        pf_child_close_fd(&lease->child.record_fd);
    if (st && lease->state == PF_LEASE_RUNNING) {
        set_failure(lease, PF__FAILURE_KIND__FAILURE_INFRA, st, err.msg);
        pf_lease_kill(agent, lease, PF_LEASE_FAIL, err.msg);
    }
    pf_free(record);
}

void pf_lease_read(pf_agent *agent, pf_lease *lease, int fd)
{
    if (fd == lease->child.record_fd)
        read_records(agent, lease);
    else if (fd == lease->child.output_fd && !pf_line_log_fill(&lease->log, fd))
        pf_child_close_fd(&lease->child.output_fd);
    if (fd != lease->log_child.output_fd && fd != lease->log_child.record_fd)
        return;
    pf_child_close_fd(&lease->log_child.record_fd);     /* what the log's process says matters to nobody */
    pf_child_close_fd(&lease->log_child.output_fd);
}

/* ---- how the process ends */

/* Signals that say more than that the build crashed. */
static const struct { int signal; Pf__FailureKind kind; pf_status status; const char *why; } deaths[] = {
    { SIGKILL, PF__FAILURE_KIND__FAILURE_RESOURCE, PF_NO_SPACE, ", most likely because the machine ran out of memory" },
    { SIGXFSZ, PF__FAILURE_KIND__FAILURE_RESOURCE, PF_NO_SPACE, " because a file grew too large" },
    { SIGXCPU, PF__FAILURE_KIND__FAILURE_TIMEOUT, PF_TIMEOUT, " because it used too much time" },
};

/* A candidate that crashed is left out from now on, so the job gets further with each attempt, and is not charged for
   it; up to a point, since a machine that is broken crashes at anything. */
static bool is_known_now(const pf_agent *agent, const pf_lease *lease)
{
    return lease->attempt <= CRASHES_UNCHARGED_MOST && pf_timing_home_crashed(agent->dir.folder, lease->process);
}

static void explain_signal(const pf_agent *agent, pf_lease *lease, int number)
{
    Pf__FailureKind kind = PF__FAILURE_KIND__FAILURE_INFRA;
    pf_status       status = PF_INTERNAL;
    const char     *why = "", *name = sigabbrev_np(number);
    char            last[600], message[PF_ERR_MSG_BYTES];

    for (size_t i = 0; i < sizeof deaths / sizeof deaths[0]; i++) {
        if (deaths[i].signal == number) {
            kind = deaths[i].kind;
            status = deaths[i].status;
            why = deaths[i].why;
        }
    }
    if (is_known_now(agent, lease)) {
        kind = PF__FAILURE_KIND__FAILURE_COLLATERAL;
        status = PF_DEVICE;
    }
    pf_line_log_last(&lease->log, last, sizeof last);
    snprintf(message, sizeof message, "the build's process died of SIG%s while %s%s%s%s", name ? name : "?",
             phases[lease->progress.phase].name, why, last[0] ? "; its last lines: " : "", last);
    set_failure(lease, kind, status, message);
    lease->failure.crashed = true;
}

enum { EXIT_NOT_STARTED = 127 };        /* of a program whose libraries do not fit it */

static void explain_exit(pf_agent *agent, pf_lease *lease, int code)
{
    char last[600], message[PF_ERR_MSG_BYTES];

    pf_line_log_last(&lease->log, last, sizeof last);
    if (code == EXIT_NOT_STARTED && lease->progress_count == 0) {
        snprintf(message, sizeof message, "planfarm was replaced under this agent, which must be started anew: %s",
                 last);
        set_failure(lease, PF__FAILURE_KIND__FAILURE_COLLATERAL, PF_STALE, message);
        pf_agent_retire(agent, lease->failure.message);
        return;
    }
    snprintf(message, sizeof message, "the build's process ended with exit code %d and told no result%s%s", code,
             last[0] ? "; its last lines: " : "", last);
    set_failure(lease, PF__FAILURE_KIND__FAILURE_INFRA, PF_INTERNAL, message);
    lease->failure.crashed = true;
}

/* What the process left in its pipes.  Bounded, because what it started and lost may hold them open. */
static void drain_pipes(pf_agent *agent, pf_lease *lease)
{
    for (int i = 0; i < 64; i++) {
        if (lease->child.record_fd >= 0)
            read_records(agent, lease);
        if (lease->child.output_fd >= 0 && !pf_line_log_fill(&lease->log, lease->child.output_fd))
            pf_child_close_fd(&lease->child.output_fd);
    }
}

static void after_kill(pf_agent *agent, pf_lease *lease)
{
    if (pf_clock_boot_ns() - agent->woke_ns > PF_TIMING_STOOD_STILL_NS)     /* else everything stood still */
        pf_timing_home_blame(agent->dir.folder, lease->process);
    if (lease->after_kill == PF_LEASE_FAIL) {
        pf_report_begin(agent, lease);
        return;
    }
    if (lease->after_kill == PF_LEASE_ACKNOWLEDGE)
        pf_report_cancelled(agent, lease);
    lease->device->lease = NULL;
    lease->state = PF_LEASE_GONE;
    pf_session_beat_now(agent);
}

void pf_lease_reap(pf_agent *agent, pf_lease *lease)
{
    int wait_status = 0;

    pf_report_reap(agent, lease);
    if ((lease->state != PF_LEASE_RUNNING && lease->state != PF_LEASE_KILLING) ||
        !pf_child_reap(&lease->child, &wait_status))
        return;
    drain_pipes(agent, lease);
    pf_child_close(&lease->child);
    if (lease->state == PF_LEASE_KILLING) {
        after_kill(agent, lease);
        return;
    }
    if (WIFSIGNALED(wait_status) && !lease->ended)
        explain_signal(agent, lease, WTERMSIG(wait_status));
    else if (!lease->ended)
        explain_exit(agent, lease, WEXITSTATUS(wait_status));
    pf_log(PF_LOG_INFO, "agent", "process_ended job=%llu failure=%d message=\"%s\"", (unsigned long long)lease->job_id,
           (int)lease->failure.kind, lease->failure.message);
    pf_report_begin(agent, lease);
}

void pf_lease_kill(pf_agent *agent, pf_lease *lease, pf_lease_after_kill after, const char *reason)
{
    bool runs = lease->state == PF_LEASE_RUNNING || lease->state == PF_LEASE_KILLING;

    if (lease->state == PF_LEASE_GONE)
        return;
    pf_log(PF_LOG_WARN, "agent", "killing job=%llu attempt=%u reason=\"%s\"", (unsigned long long)lease->job_id,
           lease->attempt, reason);
    lease->after_kill = after;
    if (runs) {
        lease->state = PF_LEASE_KILLING;
        pf_child_kill(&lease->child);
        return;
    }
    pf_child_close(&lease->log_child);
    if (after == PF_LEASE_ACKNOWLEDGE)
        pf_report_cancelled(agent, lease);
    lease->state = PF_LEASE_GONE;
}

/* ---- time */

static void send_progress(pf_agent *agent, pf_lease *lease, int64_t now_ns)
{
    Pf__Progress body = PF__PROGRESS__INIT;

    if (!lease->progress_new || now_ns - lease->progress_sent_ns < TELL_NS)
        return;
    lease->progress.text[PF_REASON_BYTES - 1] = 0;
    pf_log_flatten(lease->progress.text);
    lease->progress.json[PF_PROGRESS_BYTES - 1] = 0;
    PF_WIRE_SAME_RUN(&body, lease);
    body.phase = lease->progress.phase;
    body.permille = lease->progress.permille;
    body.text = lease->progress.text;
    body.json = lease->progress.json;
    body.progress_count = lease->progress_count;
    if (pf_session_send(agent, PF_MSG_PROGRESS, NULL, lease->trace_id, &body.base))
        lease->progress_new = false;
    lease->progress_sent_ns = now_ns;
}

static void send_log(pf_agent *agent, pf_lease *lease, int64_t now_ns)
{
    Pf__Log body = PF__LOG__INIT;

    if ((!lease->log.pending.size && !lease->log.dropped_after) || now_ns - lease->log_sent_ns < TELL_NS)
        return;
    PF_WIRE_SAME_RUN(&body, lease);
    body.text = lease->log.pending.size ? (char *)lease->log.pending.data : (char *)"";
    body.dropped = lease->log.dropped_before;
    if (pf_session_send(agent, PF_MSG_LOG, NULL, lease->trace_id, &body.base))
        pf_line_log_sent(&lease->log);
    lease->log_sent_ns = now_ns;
}

static void check_deadlines(pf_agent *agent, pf_lease *lease, int64_t now_ns)
{
    char message[PF_ERR_MSG_BYTES];
    int64_t still_ns = phases[lease->progress.phase].still_ns;

    if (lease->ended) {         /* it told its result: only its end is missing */
        if (now_ns - lease->moved_ns > EXIT_NS)
            pf_child_kill(&lease->child);
        return;
    }
    if (now_ns > lease->build_until_ns)
        snprintf(message, sizeof message, "the build took longer than its time limit and was ended while %s",
                 phases[lease->progress.phase].name);
    else if (now_ns - lease->moved_ns > still_ns)
        snprintf(message, sizeof message, "the build showed no progress for %lld s while %s and was ended",
                 (long long)(still_ns / PF_NS_PER_S), phases[lease->progress.phase].name);
    else
        return;
    set_failure(lease, PF__FAILURE_KIND__FAILURE_TIMEOUT, PF_TIMEOUT, message);
    pf_lease_kill(agent, lease, PF_LEASE_FAIL, message);
}

void pf_lease_tick(pf_agent *agent, pf_lease *lease, int64_t now_ns)
{
    if (lease->state == PF_LEASE_RUNNING)
        check_deadlines(agent, lease, now_ns);
    if (agent->member && lease->state != PF_LEASE_GONE && !lease->lost) {
        if (lease->state == PF_LEASE_RUNNING)
            send_progress(agent, lease, now_ns);
        send_log(agent, lease, now_ns);
    }
    pf_report_tick(agent, lease, now_ns);
}

/* ---- end */

void pf_lease_free(pf_lease *lease)
{
    if (!lease)
        return;
    pf_child_close(&lease->child);
    pf_child_close(&lease->log_child);
    pf_line_log_close(&lease->log);
    pf_record_reader_clear(&lease->records);
    if (lease->folder[0])
        pf_workdir_end(lease->folder);
    pf_free(lease);
}

void pf_lease_sweep(pf_agent *agent)
{
    bool changed = false;

    for (pf_lease **at = &agent->leases; *at;) {
        pf_lease *lease = *at;
        if (lease->state != PF_LEASE_GONE) {
            at = &lease->next;
            continue;
        }
        *at = lease->next;
        if (lease->device->lease == lease)
            lease->device->lease = NULL;
        agent->leases_count--;
        pf_lease_free(lease);
        changed = true;
    }
    if (changed)
        write_journal(agent);
}
