/* What agents say of how a build ended: with a plan, which is verified before it counts, or without. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "coordinator/agents.h"
#include "coordinator/handlers.h"
#include "coordinator/job.h"
#include "coordinator/plans.h"
#include "coordinator/rows.h"
#include "proto/manifest.h"

/* ---- COMPLETE */

static void send_complete_reply(pf_core *core, uint64_t peer, uint64_t correlation_id, const pf_lease_id *lease,
                                Pf__Outcome outcome, const pf_digest *digest, const char *message)
{
    Pf__CompleteReply reply = PF__COMPLETE_REPLY__INIT;

    PF_WIRE_SAME_RUN(&reply, lease);
    reply.outcome = outcome;
    if (digest)
        reply.plan_digest = pf_wire_bytes(digest);
    reply.message = (char *)message;
    pf_core_send(core, peer, PF_MSG_COMPLETE_REPLY, correlation_id, &reply.base);
}

/* The answer when nothing is to be done: why, or NULL when the artifact is to be verified. */
static const char *complete_fault(const pf_job *job, const pf_agent *agent, const Pf__Complete *c)
{
    if (!job)
        return "no such job is known";
    if (!job->device_class || !pf_agents_slot(agent, job->device_class))
        return "this agent does not build for the job's class";
    if (c->fence == 0 || c->fence > job->run->fence || c->attempt > job->attempt)
        return "no such lease was given";
    if (job->state == PF__JOB_STATE__STATE_CANCELLING ||
        (pf_state_is_final(job->state) && job->state != PF__JOB_STATE__STATE_QUARANTINED &&
         job->state != PF__JOB_STATE__STATE_COMMITTED))
        return "the job has ended without this plan";
    return NULL;
}

static bool complete_is_sound(const Pf__Complete *c)
{
    return c->plan_digest.len == PF_DIGEST_BYTES && (c->log_digest.len == 0 || c->log_digest.len == PF_DIGEST_BYTES) &&
           pf_text_is_line(c->summary_json, 0, PF_SUMMARY_BYTES);
}

static void fill_manifest(const pf_core *core, const pf_job *job, const Pf__Complete *c, pf_manifest *m)
{
    memset(m, 0, sizeof *m);
    m->plan_key = job->plan_key;
    memcpy(m->plan.byte, c->plan_digest.data, sizeof m->plan.byte);
    m->plan_bytes = c->plan_bytes;
    m->model = job->order->of.model_digest;
    pf_text_digest(job->spec, &m->spec);
    m->device_class = job->device_class->digest;
    m->created_s = core->now.wall_ns / PF_NS_PER_S;
    snprintf(m->model_name, sizeof m->model_name, "%s", pf_text_of(job->order->of.model_name));
    snprintf(m->class_name, sizeof m->class_name, "%s", job->device_class->name);
    snprintf(m->builder_abi, sizeof m->builder_abi, "%s", pf_text_of(job->order->of.builder_abi));
    snprintf(m->summary_json, sizeof m->summary_json, "%s", c->summary_json);
}

static void ask_to_verify(pf_core *core, const pf_event *event, const pf_job *job, const Pf__Complete *c)
{
    pf_verify   verify = { .lease = { c->job_id, c->fence, c->attempt }, .peer = event->peer,
                           .plan_bytes = c->plan_bytes, .correlation_id = event->message->header.msg_id };
    pf_manifest m;
    pf_buf      text = { 0 };
    void       *items = core->out->verify;

    fill_manifest(core, job, c, &m);
    pf_buf_init(&text, PF_MANIFEST_BYTES);
    if (pf_manifest_write(&m, &text, NULL) ||
        pf_grow(&items, &core->out->verifies_capacity, core->out->verifies_count + 1, sizeof verify)) {
        pf_core_fail(core);
    } else {
        core->out->verify = items;
        verify.plan_digest = m.plan;
        if (c->log_digest.len)
            memcpy(verify.log_digest.byte, c->log_digest.data, sizeof verify.log_digest.byte);
        verify.manifest_at = pf_core_bytes(core, text.data, text.size + 1);
        verify.manifest_bytes = text.size;
        core->out->verify[core->out->verifies_count++] = verify;
    }
    pf_buf_clear(&text);
}

static void on_complete(pf_core *core, const pf_event *event)
{
    const Pf__Complete *c = (const Pf__Complete *)event->message->body;
    pf_agent           *agent = pf_handlers_agent(core, event);
    pf_job             *job = agent ? pf_job_find(core, c->job_id) : NULL;
    pf_lease_id         lease = { c->job_id, c->fence, c->attempt };
    const char         *fault = agent ? complete_fault(job, agent, c) : NULL;

    if (!agent)
        return;
    if (!complete_is_sound(c)) {
        pf_core_refuse(core, event, PF_INVALID,
                       "a digest has not 32 bytes, or summary_json is too long or no line of text");
        return;
    }
    if (fault) {
        send_complete_reply(core, event->peer, event->message->header.msg_id, &lease, PF__OUTCOME__OUTCOME_REFUSED,
                            NULL, fault);
    } else if (job->state == PF__JOB_STATE__STATE_COMMITTED) {
        bool same = memcmp(c->plan_digest.data, job->run->plan_digest.byte, sizeof job->run->plan_digest.byte) == 0;
        send_complete_reply(core, event->peer, event->message->header.msg_id, &lease,
                            same ? PF__OUTCOME__OUTCOME_COMMITTED : PF__OUTCOME__OUTCOME_ALREADY,
                            &job->run->plan_digest, "");
    } else if (!pf_job_lease_is(job, agent, c->attempt, c->fence)) {
        if (!job->verifying_late)
            ask_to_verify(core, event, job, c);
        job->verifying_late = true;
    } else if (job->state != PF__JOB_STATE__STATE_VERIFYING) {
        pf_job_verify(core, job);
        ask_to_verify(core, event, job, c);
    }
}

/* ---- VERIFIED: the artifact was hashed, the manifest signed */

static void commit(pf_core *core, pf_job *job, const pf_event *event)
{
    bool      late = job->run->fence != event->lease.fence;
    pf_agent *agent = pf_agents_of_peer(core, event->peer);
    pf_plan  *plan = pf_plans_find(core, &job->plan_key);

    if (!plan)
        plan = pf_plans_add(core, event->text, job->id);
    if (!plan)
        return;
    pf_rows_put_plan(core, plan);
    if (late) {
        core->stats.late_wins_total++;
        if (job->held)
            pf_job_send_kill(core, job, "an earlier attempt has completed");
    }
    pf_run_of(core, job)->log_digest = event->log_digest;
    pf_agents_note_success(core, agent);
    pf_job_commit(core, job, plan);
}

static void verified_bad(pf_core *core, pf_job *job, const pf_event *event)
{
    pf_setback why = { PF__FAILURE_KIND__FAILURE_INFRA, event->status, true, false, event->text };

    if (job->state == PF__JOB_STATE__STATE_VERIFYING && job->run->fence == event->lease.fence)
        pf_job_back_off(core, job, &why);
}

void pf_core_verified(pf_core *core, const pf_event *event)
{
    pf_job     *job = pf_job_find(core, event->lease.job_id);
    Pf__Outcome outcome = PF__OUTCOME__OUTCOME_REFUSED;
    const char *message = "the job has ended without this plan";

    if (job && job->run->fence != event->lease.fence)
        job->verifying_late = false;
    if (job && job->state != PF__JOB_STATE__STATE_COMMITTED && event->status) {
        message = event->text;
        verified_bad(core, job, event);
    } else if (job && job->state != PF__JOB_STATE__STATE_CANCELLING &&
               (!pf_state_is_final(job->state) || job->state == PF__JOB_STATE__STATE_QUARANTINED)) {
        commit(core, job, event);
    }
    if (core->failed)
        return;
    if (job && job->state == PF__JOB_STATE__STATE_COMMITTED) {
        outcome = pf_digest_equal(&job->run->plan_digest, &event->plan_digest) ? PF__OUTCOME__OUTCOME_COMMITTED
                                                                          : PF__OUTCOME__OUTCOME_ALREADY;
        message = "";
    }
    send_complete_reply(core, event->peer, event->correlation_id, &event->lease, outcome,
                        outcome == PF__OUTCOME__OUTCOME_REFUSED ? NULL : &job->run->plan_digest, message);
}

/* ---- FAILED */

static const struct failure { bool final, charged, crashed; pf_status status; } failures[] = {
    [PF__FAILURE_KIND__FAILURE_NONE]         = { false, true, false, PF_INTERNAL },
    [PF__FAILURE_KIND__FAILURE_BUILD_ERROR]  = { true, true, false, PF_BUILD_FAILED },
    [PF__FAILURE_KIND__FAILURE_RESOURCE]     = { false, true, false, PF_NO_SPACE },
    [PF__FAILURE_KIND__FAILURE_DEVICE_FAULT] = { false, true, true, PF_DEVICE },
    [PF__FAILURE_KIND__FAILURE_INFRA]        = { false, true, false, PF_IO },
    [PF__FAILURE_KIND__FAILURE_TIMEOUT]      = { false, true, false, PF_TIMEOUT },
    [PF__FAILURE_KIND__FAILURE_COLLATERAL]   = { false, false, false, PF_DEVICE },
    [PF__FAILURE_KIND__FAILURE_CANCELLED]    = { false, false, false, PF_CANCELLED },
};

enum { FAILURES = sizeof failures / sizeof failures[0] };

static void fail_job(pf_core *core, pf_job *job, const Pf__Failed *f)
{
    uint32_t              kind = (uint32_t)f->kind < FAILURES ? (uint32_t)f->kind : PF__FAILURE_KIND__FAILURE_INFRA;
    const struct failure *row = &failures[kind];
    pf_status             st = f->exit_code ? pf_status_from_exit_code((int)f->exit_code) : row->status;
    const char           *message = pf_text_is_line(f->message, 1, PF_ERR_MSG_BYTES) ? f->message : pf_status_text(st);
    pf_setback            why = { (Pf__FailureKind)kind, st, row->charged, row->crashed || f->crashed, message };

    if (f->log_digest.len == sizeof job->run->log_digest.byte)
        memcpy(pf_run_of(core, job)->log_digest.byte, f->log_digest.data, sizeof job->run->log_digest.byte);
    if (job->state == PF__JOB_STATE__STATE_CANCELLING)
        pf_job_cancelled(core, job);
    else if (row->final)
        pf_job_fail(core, job, (Pf__FailureKind)kind, (uint32_t)pf_status_exit_code(st), message);
    else
        pf_job_back_off(core, job, &why);
}

static void on_failed(pf_core *core, const pf_event *event)
{
    const Pf__Failed *f = (const Pf__Failed *)event->message->body;
    Pf__FailedReply   reply = PF__FAILED_REPLY__INIT;
    pf_agent         *agent = pf_handlers_agent(core, event);
    pf_job           *job = agent ? pf_handlers_leased(core, agent, f->job_id, f->attempt, f->fence) : NULL;

    if (!agent)
        return;
    if (job)
        fail_job(core, job, f);
    PF_WIRE_SAME_RUN(&reply, f);
    pf_core_reply(core, event, PF_MSG_FAILED_REPLY, &reply.base);
}

const pf_handler_row pf_result_handlers[] = {
    { PF_MSG_COMPLETE, on_complete }, { PF_MSG_FAILED, on_failed }, { PF_MSG_NONE, NULL },
};
