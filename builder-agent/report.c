/* How a lease ends: its log goes to the store by a small process of its own, so that a slow store stops no heartbeat;
   then COMPLETE or FAILED goes out until it is answered. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "builder-agent/state.h"
#include "builder-agent/timing_home.h"
#include "proto/transfer/transfer.h"

#define LOG_NS    (20 * PF_NS_PER_S)        /* a log that takes longer is left out */
#define REPEAT_NS (2 * PF_NS_PER_S)
#define LOST_NS   (30 * PF_NS_PER_S)        /* for so long a plan is offered although its lease is lost */

static void begin_report(pf_lease *lease)
{
    lease->state = PF_LEASE_REPORTING;
    lease->report_sent_ns = 0;
    lease->report_until_ns = lease->lost ? pf_clock_boot_ns() + LOST_NS : INT64_MAX;
}

void pf_report_begin(pf_agent *agent, pf_lease *lease)
{
    const char *argv[] = { "--keep-log", lease->folder, NULL };
    pf_err      err = { 0 };

    lease->device->lease = NULL;
    if (lease->failure.kind == PF__FAILURE_KIND__FAILURE_DEVICE_FAULT)
        pf_device_suspect(agent, lease->device, lease->failure.message);
    pf_session_beat_now(agent);
    pf_line_log_end(&lease->log);
    if (lease->log.bytes == 0) {
        begin_report(lease);
        return;
    }
    lease->state = PF_LEASE_KEEPING_LOG;
    lease->log_until_ns = pf_clock_boot_ns() + LOG_NS;
    if (pf_child_start(argv, "/", &lease->log_child, &err)) {
        pf_log(PF_LOG_WARN, "agent", "log_not_kept job=%llu reason=\"%s\"", (unsigned long long)lease->job_id, err.msg);
        begin_report(lease);
    }
}

void pf_report_reap(pf_agent *agent, pf_lease *lease)
{
    int wait_status = 0;

    (void)agent;
    if (lease->state != PF_LEASE_KEEPING_LOG || !pf_child_reap(&lease->log_child, &wait_status))
        return;
    pf_child_close(&lease->log_child);
    lease->log_stored = wait_status == 0;
    pf_line_log_digest(&lease->log, &lease->log_digest);
    if (!lease->log_stored)
        pf_log(PF_LOG_WARN, "agent", "log_not_kept job=%llu", (unsigned long long)lease->job_id);
    begin_report(lease);
}

static bool send_complete(pf_agent *agent, pf_lease *lease)
{
    Pf__Complete body = PF__COMPLETE__INIT;

    PF_WIRE_SAME_RUN(&body, lease);
    body.plan_digest = pf_wire_bytes(&lease->plan_digest);
    body.plan_bytes = lease->plan_bytes;
    body.summary_json = lease->summary;
    if (lease->log_stored)
        body.log_digest = pf_wire_bytes(&lease->log_digest);
    return pf_session_send(agent, PF_MSG_COMPLETE, &lease->report_id, lease->trace_id, &body.base);
}

static bool send_failed(pf_agent *agent, pf_lease *lease)
{
    Pf__Failed body = PF__FAILED__INIT;

    PF_WIRE_SAME_RUN(&body, lease);
    body.kind = lease->failure.kind;
    body.exit_code = lease->failure.exit_code;
    body.message = lease->failure.message;
    body.crashed = lease->failure.crashed;
    if (lease->log_stored)
        body.log_digest = pf_wire_bytes(&lease->log_digest);
    return pf_session_send(agent, PF_MSG_FAILED, &lease->report_id, lease->trace_id, &body.base);
}

void pf_report_tick(pf_agent *agent, pf_lease *lease, int64_t now_ns)
{
    bool built = lease->failure.kind == PF__FAILURE_KIND__FAILURE_NONE;

    if (lease->state == PF_LEASE_KEEPING_LOG && now_ns > lease->log_until_ns)
        pf_child_kill(&lease->log_child);
    if (lease->state != PF_LEASE_REPORTING || !agent->member)
        return;
    if (now_ns > lease->report_until_ns) {
        lease->state = PF_LEASE_GONE;
        return;
    }
    if (lease->report_sent_ns && now_ns - lease->report_sent_ns < REPEAT_NS)
        return;
    if (built ? send_complete(agent, lease) : send_failed(agent, lease))
        lease->report_sent_ns = now_ns;
}

void pf_report_answered(pf_agent *agent, pf_lease *lease, const char *outcome)
{
    if (lease->state != PF_LEASE_REPORTING)
        return;
    pf_log(PF_LOG_INFO, "agent", "ended job=%llu attempt=%u outcome=%s", (unsigned long long)lease->job_id,
           lease->attempt, outcome);
    lease->state = PF_LEASE_GONE;
    pf_session_beat_now(agent);
}

void pf_report_cancelled(pf_agent *agent, const pf_lease *lease)
{
    Pf__CancelAck ack = PF__CANCEL_ACK__INIT;

    PF_WIRE_SAME_RUN(&ack, lease);
    pf_session_send(agent, PF_MSG_CANCEL_ACK, NULL, lease->trace_id, &ack.base);
}

static pf_status put_log(const char *folder, const pf_job_file *job, pf_err *err)
{
    char                path[PATH_MAX];
    pf_transfer_options options = { .url = job->http_url, .token = job->token[0] ? job->token : NULL, .attempts = 2 };
    pf_transfer        *transfer = NULL;
    pf_digest           digest = { 0 };
    uint64_t            bytes = 0;
    pf_status           st = pf_path_join(folder, "log", path, sizeof path, err);

    if (!st)
        st = pf_file_digest(path, &digest, &bytes, err);
    if (!st)
        st = pf_transfer_new(&options, &transfer, err);
    if (!st)
        st = pf_transfer_put_blob(transfer, &digest, path, err);
    pf_transfer_free(transfer);
    return st;
}

/* The farm learns of the candidate that crashed the build before it gives the job to another agent. */
static void tell_crash(const char *folder, const pf_job_file *job)
{
    pf_timing_home *home = NULL;
    pf_err          why = { 0 };

    if (pf_timing_home_crashed(job->agent_folder, 0) &&
        pf_timing_home_open(job->agent_folder, job->coordinator, folder, &home, &why))
        pf_log(PF_LOG_WARN, "agent", "crash_not_told reason=\"%s\"", why.msg);
    pf_timing_home_close(home);
}

pf_status pf_report_log_main(const char *folder, pf_err *err)
{
    pf_job_file *job = pf_calloc(1, sizeof *job);
    pf_status    st = job ? pf_job_file_read(folder, job, err) : PF_FAIL_MEMORY(err, sizeof *job);

    if (!st)
        tell_crash(folder, job);
    if (!st)
        st = put_log(folder, job, err);
    pf_free(job);
    return st;
}
