/* What agents say, but for how builds ended (on_result.c). */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "coordinator/agents.h"
#include "coordinator/classes.h"
#include "coordinator/events.h"
#include "coordinator/handlers.h"
#include "coordinator/job.h"

pf_agent *pf_handlers_agent(pf_core *core, const pf_event *event)
{
    pf_agent *agent = pf_agents_of_peer(core, event->peer);

    if (!agent)
        pf_core_refuse_reason(core, event, PF__ERROR_REASON__REASON_HELLO_FIRST,
                              "the coordinator does not know this agent yet");
    else
        pf_agents_seen(core, agent);
    return agent;
}

/* ---- the set of leases that hold, for HELLO_REPLY and HEARTBEAT_REPLY */

typedef struct lease_set {
    Pf__Lease  *lease;          /* owned */
    Pf__Lease **list;           /* owned */
    size_t      count;
} lease_set;

static void lease_set_fill(pf_core *core, const pf_agent *agent, lease_set *set)
{
    memset(set, 0, sizeof *set);
    set->lease = pf_core_alloc(core, (agent->leases_count + 1) * sizeof *set->lease);
    set->list = pf_core_alloc(core, (agent->leases_count + 1) * sizeof *set->list);
    for (const pf_job *job = agent->leases; job && !core->failed; job = job->run->agent_next) {
        Pf__Lease *lease = &set->lease[set->count];
        if (job->state == PF__JOB_STATE__STATE_CANCELLING)
            continue;
        pf__lease__init(lease);
        lease->job_id = job->id;
        lease->attempt = job->attempt;
        lease->fence = job->run->fence;
        set->list[set->count++] = lease;
    }
}

static void lease_set_clear(lease_set *set)
{
    pf_free(set->lease);
    pf_free(set->list);
}

/* ---- what the agent says it runs */

/* A job that the agent's list names and that is its own; renewed. */
static void take_listed(pf_core *core, pf_job *job, const Pf__Lease *lease)
{
    pf_run_of(core, job)->beat = core->next_beat;
    if (job->state == PF__JOB_STATE__STATE_OFFERED)
        pf_job_accept(core, job);       /* the answer to the offer was lost, the list is as good */
    pf_job_renew(core, job, lease->phase, lease->permille, lease->progress_count);
    if (job->state == PF__JOB_STATE__STATE_CANCELLING)
        pf_job_send_kill(core, job, pf_text_of(job->run->message));
}

/* Marks the listed jobs; returns how many listed leases do not hold. */
static uint32_t take_list(pf_core *core, const pf_agent *agent, Pf__Lease *const *leases, size_t count)
{
    uint32_t foreign = 0;

    core->next_beat++;
    for (size_t i = 0; i < count && !core->failed; i++) {
        pf_job *job = pf_job_find(core, leases[i]->job_id);
        if (job && pf_job_lease_is(job, agent, leases[i]->attempt, leases[i]->fence))
            take_listed(core, job, leases[i]);
        else
            foreign++;
    }
    return foreign;
}

/* A lease that the agent holds by our books and does not list.  crashed: its process is another one than before. */
static void take_unlisted(pf_core *core, pf_job *job, bool hello, bool crashed)
{
    pf_setback gone = {PF__FAILURE_KIND__FAILURE_INFRA, PF_UNREACHABLE, true, crashed,
                       crashed ? "the agent was started anew and no longer runs the build"
                               : "the agent no longer runs the build"};

    if (job->state == PF__JOB_STATE__STATE_CANCELLING) {
        pf_job_cancelled(core, job);
    } else if (job->state == PF__JOB_STATE__STATE_LEASED) {
        core->stats.leases_lost_total++;
        pf_job_back_off(core, job, &gone);
    } else if (job->state == PF__JOB_STATE__STATE_OFFERED && hello) {
        pf_job_give_back(core, job, "the offer was lost with the agent's connection");
    }
}

static void settle_unlisted(pf_core *core, pf_agent *agent, bool hello, bool crashed)
{
    pf_job *next = NULL;

    for (pf_job *job = agent->leases; job && !core->failed; job = next) {
        next = job->run->agent_next;
        if (job->run->beat != core->next_beat)
            take_unlisted(core, job, hello, crashed);
    }
}

/* ---- HELLO */

static const char *hello_fault(const Pf__Hello *hello)
{
    if (!pf_text_is_name(hello->name, PF_AGENT_NAME_BYTES))
        return "the agent's name is empty, too long, or holds other than letters, digits and ._-:/@+";
    if (hello->agent_epoch == 0)
        return "agent_epoch is 0";
    if (!pf_text_is_line(hello->builder_abi, 1, PF_BUILDER_ABI_BYTES))
        return "builder_abi is empty, too long or no line of text";
    if (!pf_text_is_line(hello->host, 0, PF_AGENT_NAME_BYTES) ||
        !pf_text_is_line(hello->software, 0, PF_AGENT_NAME_BYTES))
        return "host or software is too long or no line of text";
    if (hello->n_device_class == 0 || hello->n_device_class > PF_AGENT_CLASSES_MAX)
        return "there are no device classes, or more than 64";
    if (hello->n_lease > PF_AGENT_LEASES_MAX)
        return "there are more than 256 leases";
    for (size_t i = 0; i < hello->n_device_class; i++) {
        const Pf__DeviceClass *c = hello->device_class[i];
        if (!pf_text_is_name(c->class_name, PF_CLASS_NAME_BYTES))
            return "a class_name is empty, too long, or holds other than letters, digits and ._-:/@+";
        if (!c->class_text[0] || strlen(c->class_text) >= PF_CLASS_TEXT_BYTES)
            return "a class_text is empty or longer than 4 KiB";
        if (c->n_alias > PF_CLASS_ALIASES_MAX)
            return "a class has more than 8 aliases";
        for (size_t k = 0; k < c->n_alias; k++)
            if (!pf_text_is_name(c->alias[k], PF_CLASS_NAME_BYTES))
                return "an alias is empty, too long, or holds other than letters, digits and ._-:/@+";
    }
    return NULL;
}

static void reply_hello(pf_core *core, const pf_event *event, const pf_agent *agent)
{
    Pf__HelloReply reply = PF__HELLO_REPLY__INIT;
    lease_set      set;

    lease_set_fill(core, agent, &set);
    reply.coordinator_epoch = core->epoch;
    reply.heartbeat_ms = (uint32_t)(core->config.heartbeat_ns / PF_NS_PER_MS);
    reply.ttl_ms = (uint32_t)(core->config.ttl_ns / PF_NS_PER_MS);
    reply.orphan_budget_ms = (uint32_t)(core->config.orphan_budget_ns / PF_NS_PER_MS);
    reply.http_port = core->config.http_port;
    reply.http_url = (char *)core->config.http_url;
    reply.lease = set.list;
    reply.n_lease = set.count;
    reply.drain = agent->drain_asked;
    reply.key = pf_handlers_keys(core);
    reply.n_key = core->config.keys_count;
    pf_core_reply(core, event, PF_MSG_HELLO_REPLY, &reply.base);
    lease_set_clear(&set);
}

static bool class_is_allowed(const pf_event *event, const Pf__DeviceClass *declared)
{
    bool allowed = event->classes_count == 0;

    for (uint32_t i = 0; i < event->classes_count && !allowed; i++) {
        allowed = strcmp(event->classes[i], declared->class_name) == 0;
        for (size_t k = 0; k < declared->n_alias && !allowed; k++)
            allowed = strcmp(event->classes[i], declared->alias[k]) == 0;
    }
    return allowed;
}

/* With keys, a name belongs to the key that said it first, and a key may be limited to some classes.  Answers and
   returns true when the agent is refused. */
static bool refuse_key(pf_core *core, const pf_event *event, const Pf__Hello *hello)
{
    const pf_agent *agent = pf_agents_find(core, hello->name);

    if (!event->key_name)
        return false;
    if (agent && agent->key_name[0] && strcmp(agent->key_name, event->key_name) != 0) {
        pf_core_refuse(core, event, PF_DENIED, "the agent name \"%s\" belongs to another key", hello->name);
        return true;
    }
    for (size_t i = 0; i < hello->n_device_class; i++)
        if (!class_is_allowed(event, hello->device_class[i])) {
            pf_core_refuse(core, event, PF_DENIED, "the key \"%s\" may not build for %s", event->key_name,
                           hello->device_class[i]->class_name);
            return true;
        }
    return false;
}

static void on_hello(pf_core *core, const pf_event *event)
{
    const Pf__Hello *hello = (const Pf__Hello *)event->message->body;
    const char      *fault = hello_fault(hello);
    pf_agent        *agent = NULL;
    bool             crashed = false;

    if (fault) {
        pf_core_refuse(core, event, PF_INVALID, "%s", fault);
        return;
    }
    if (refuse_key(core, event, hello))
        return;
    agent = pf_agents_take(core, hello->name);
    if (!agent)
        return;
    if (event->key_name)
        snprintf(agent->key_name, sizeof agent->key_name, "%s", event->key_name);
    crashed = agent->epoch != 0 && agent->epoch != hello->agent_epoch;
    if (!pf_agents_connect(core, agent, event->peer, hello->agent_epoch)) {
        pf_core_refuse_reason(core, event, PF__ERROR_REASON__REASON_REPLACED, "another process took this agent's name");
        return;
    }
    take_list(core, agent, hello->lease, hello->n_lease);
    settle_unlisted(core, agent, true, crashed);
    pf_agents_declare(core, agent, hello);
    if (!core->failed)
        reply_hello(core, event, agent);
}

/* ---- HEARTBEAT */

/* What the agent says is free, less the offers that it did not know of when it said so. */
static void take_credit(pf_core *core, pf_agent *agent, const Pf__Credit *credit)
{
    pf_digest      digest = { 0 };
    const pf_class *device_class = NULL;
    pf_slot        *slot = NULL;
    uint32_t        unknown_to_agent = 0;

    if (credit->class_digest.len != sizeof digest.byte)
        return;
    memcpy(digest.byte, credit->class_digest.data, sizeof digest.byte);
    device_class = pf_classes_find(core, &digest);
    slot = device_class ? pf_agents_slot(agent, device_class) : NULL;
    if (!slot)
        return;
    for (const pf_job *job = agent->leases; job; job = job->run->agent_next)
        unknown_to_agent += job->device_class == device_class && job->run->beat != core->next_beat &&
                            job->state == PF__JOB_STATE__STATE_OFFERED;
    slot->credit = credit->free > unknown_to_agent ? credit->free - unknown_to_agent : 0;
    if (slot->credit > slot->slots)
        slot->credit = slot->slots;
}

/* A lease that does not hold and is listed for long was not killed when it should have been. */
static void watch_foreign(pf_core *core, pf_agent *agent, uint32_t foreign)
{
    if (foreign == 0)
        agent->foreign_since_ns = 0;
    else if (agent->foreign_since_ns == 0)
        agent->foreign_since_ns = core->now.boot_ns;
    else if (core->now.boot_ns - agent->foreign_since_ns > 3 * core->config.cancel_ns)
        pf_agents_mark_sick(core, agent, "it goes on with builds that it was told to end");
}

static void reply_heartbeat(pf_core *core, const pf_event *event, const pf_agent *agent)
{
    Pf__HeartbeatReply reply = PF__HEARTBEAT_REPLY__INIT;
    lease_set          set;

    lease_set_fill(core, agent, &set);
    reply.coordinator_epoch = core->epoch;
    reply.next_ms = (uint32_t)(core->config.heartbeat_ns / PF_NS_PER_MS);
    reply.ttl_ms = (uint32_t)(core->config.ttl_ns / PF_NS_PER_MS);
    reply.lease = set.list;
    reply.n_lease = set.count;
    reply.drain = agent->drain_asked;
    pf_core_reply(core, event, PF_MSG_HEARTBEAT_REPLY, &reply.base);
    lease_set_clear(&set);
}

static void on_heartbeat(pf_core *core, const pf_event *event)
{
    const Pf__Heartbeat *beat = (const Pf__Heartbeat *)event->message->body;
    pf_agent            *agent = pf_agents_of_peer(core, event->peer);

    if (agent && beat->agent_epoch != agent->epoch)
        pf_agents_disconnect(core, agent);      /* another process on the same connection: it has to introduce itself */
    agent = pf_handlers_agent(core, event);
    if (!agent)
        return;
    if (beat->n_lease > PF_AGENT_LEASES_MAX || !pf_text_is_line(beat->health, 0, PF_REASON_BYTES)) {
        pf_core_refuse(core, event, PF_INVALID,
                       "a heartbeat lists more than 256 leases, or its health is no line of text");
        return;
    }
    agent->draining = beat->draining;
    agent->sick_told = beat->sick;
    if (!agent->sick)
        snprintf(agent->health, sizeof agent->health, "%s", beat->health);
    watch_foreign(core, agent, take_list(core, agent, beat->lease, beat->n_lease));
    settle_unlisted(core, agent, false, false);
    for (size_t i = 0; i < beat->n_credit && i < PF_AGENT_CLASSES_MAX; i++)
        take_credit(core, agent, beat->credit[i]);
    pf_agents_ready(core, agent);
    if (!core->failed)
        reply_heartbeat(core, event, agent);
}

/* ---- one lease */

pf_job *pf_handlers_leased(const pf_core *core, const pf_agent *agent, uint64_t job_id, uint32_t attempt,
                           uint64_t fence)
{
    pf_job *job = pf_job_find(core, job_id);

    return job && pf_job_lease_is(job, agent, attempt, fence) ? job : NULL;
}

/* The agent runs, or believes to run, what it no longer holds. */
static void kill_stale(pf_core *core, const pf_agent *agent, uint64_t job_id, uint32_t attempt, uint64_t fence)
{
    Pf__Kill kill = PF__KILL__INIT;

    kill.job_id = job_id;
    kill.attempt = attempt;
    kill.fence = fence;
    kill.reason = (char *)"this lease does not hold any more";
    pf_core_send(core, agent->peer, PF_MSG_KILL, 0, &kill.base);
}

static void decline(pf_core *core, pf_agent *agent, pf_job *job, const char *reason)
{
    pf_slot *slot = pf_agents_slot(agent, job->device_class);

    core->stats.declines_total++;
    pf_job_give_back(core, job, pf_text_is_line(reason, 1, PF_REASON_BYTES) ? reason : "the agent declined");
    if (slot)
        slot->credit = 0;       /* until its next heartbeat */
}

static void on_offer_reply(pf_core *core, const pf_event *event)
{
    const Pf__OfferReply *reply = (const Pf__OfferReply *)event->message->body;
    pf_agent             *agent = pf_handlers_agent(core, event);
    pf_job               *job = NULL;

    if (!agent)
        return;
    job = pf_handlers_leased(core, agent, reply->job_id, reply->attempt, reply->fence);
    if (!job && reply->accepted)
        kill_stale(core, agent, reply->job_id, reply->attempt, reply->fence);
    if (!job || job->state != PF__JOB_STATE__STATE_OFFERED)
        return;
    if (reply->accepted)
        pf_job_accept(core, job);
    else
        decline(core, agent, job, reply->reason);
}

static void on_progress(pf_core *core, const pf_event *event)
{
    const Pf__Progress *progress = (const Pf__Progress *)event->message->body;
    pf_agent           *agent = pf_handlers_agent(core, event);
    pf_job *job = agent ? pf_handlers_leased(core, agent, progress->job_id, progress->attempt, progress->fence) : NULL;

    if (!job || job->state != PF__JOB_STATE__STATE_LEASED || !pf_text_is_line(progress->text, 0, PF_REASON_BYTES) ||
        strlen(progress->json) >= PF_PROGRESS_BYTES)
        return;
    pf_job_renew(core, job, progress->phase, progress->permille, progress->progress_count);
    pf_text_set(core, &pf_run_of(core, job)->progress.text, progress->text);
    pf_text_set(core, &pf_run_of(core, job)->progress.json, progress->json);
    pf_events_progress(core, job, progress->text, progress->json);
}

static void on_log(pf_core *core, const pf_event *event)
{
    const Pf__Log *log = (const Pf__Log *)event->message->body;
    pf_agent      *agent = pf_handlers_agent(core, event);
    pf_job        *job = agent ? pf_handlers_leased(core, agent, log->job_id, log->attempt, log->fence) : NULL;

    if (job && strlen(log->text) < PF_LOG_TEXT_BYTES)
        pf_events_log(core, job, log->text, log->dropped);
}

/* ---- the rest */

static void on_cancel_ack(pf_core *core, const pf_event *event)
{
    const Pf__CancelAck *ack = (const Pf__CancelAck *)event->message->body;
    pf_agent            *agent = pf_handlers_agent(core, event);
    pf_job              *job = agent ? pf_handlers_leased(core, agent, ack->job_id, ack->attempt, ack->fence) : NULL;

    if (job && job->state == PF__JOB_STATE__STATE_CANCELLING)
        pf_job_cancelled(core, job);
}

/* A clean end: what it still held goes back uncharged. */
static void on_goodbye(pf_core *core, const pf_event *event)
{
    const Pf__Goodbye *bye = (const Pf__Goodbye *)event->message->body;
    pf_agent          *agent = pf_agents_of_peer(core, event->peer);
    pf_job            *next = NULL;

    if (!agent || agent->epoch != bye->agent_epoch)
        return;
    for (pf_job *job = agent->leases; job && !core->failed; job = next) {
        next = job->run->agent_next;
        if (job->state == PF__JOB_STATE__STATE_CANCELLING)
            pf_job_cancelled(core, job);
        else if (job->state != PF__JOB_STATE__STATE_VERIFYING)
            pf_job_give_back(core, job, "the agent was stopped");
    }
    pf_agents_disconnect(core, agent);
}

const pf_handler_row pf_agent_handlers[] = {
    { PF_MSG_HELLO, on_hello },       { PF_MSG_HEARTBEAT, on_heartbeat }, { PF_MSG_OFFER_REPLY, on_offer_reply },
    { PF_MSG_PROGRESS, on_progress }, { PF_MSG_LOG, on_log },             { PF_MSG_CANCEL_ACK, on_cancel_ack },
    { PF_MSG_GOODBYE, on_goodbye },   { PF_MSG_NONE, NULL },
};
