/* What the coordinator says. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "builder-agent/renewal.h"
#include "builder-agent/state.h"

#define REFUSED_NS (2 * PF_NS_PER_S)    /* after the first refusal; twice as long after each further one */

enum { REFUSALS_COUNTED = 5 };          /* so at most every 64 s */

/* ---- the set of leases that hold */

static bool holds(const pf_lease *lease, Pf__Lease *const *set, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (set[i]->job_id == lease->job_id && set[i]->attempt == lease->attempt && set[i]->fence == lease->fence)
            return true;
    }
    return false;
}

/* A finished plan is offered all the same: the job may still have none. */
static void settle(pf_agent *agent, Pf__Lease *const *set, size_t count)
{
    for (pf_lease *lease = agent->leases; lease; lease = lease->next) {
        if (lease->lost || lease->state == PF_LEASE_GONE)
            continue;
        if (holds(lease, set, count)) {
            pf_renewal_note(lease->folder, agent->contact_ns + agent->ttl_ns);
            continue;
        }
        lease->lost = true;
        if (lease->state == PF_LEASE_RUNNING || lease->failure.kind != PF__FAILURE_KIND__FAILURE_NONE)
            pf_lease_kill(agent, lease, PF_LEASE_DROP, "the coordinator does not list this lease");
    }
}

/* ---- membership */

static void answered(pf_agent *agent, uint32_t next_ms, uint32_t ttl_ms, bool drain)
{
    agent->contact_ns = agent->asked_ns;
    agent->waiting = false;
    agent->refusals = 0;
    agent->asked_id = 0;
    agent->next_ask_ns = pf_clock_boot_ns() + (int64_t)next_ms * PF_NS_PER_MS;
    agent->ttl_ns = (int64_t)ttl_ms * PF_NS_PER_MS;
    if (drain && !agent->draining) {
        pf_log(PF_LOG_WARN, "agent", "draining reason=\"an operator asked for it\"");
        agent->draining = true;
        pf_session_beat_now(agent);
    }
}

/* Where blobs are: as told on the command line, else as the coordinator says, else on the coordinator's host. */
static void take_http(pf_agent *agent, const Pf__HelloReply *reply)
{
    const char *endpoint = pf_peer_endpoint(agent->peer);
    const char *host = strstr(endpoint, "://");
    const char *colon = strrchr(endpoint, ':');

    if (agent->options->http_url)
        snprintf(agent->http_url, sizeof agent->http_url, "%s", agent->options->http_url);
    else if (reply->http_url[0])
        snprintf(agent->http_url, sizeof agent->http_url, "%s", reply->http_url);
    else if (host && colon > host)
        snprintf(agent->http_url, sizeof agent->http_url, "http://%.*s:%u", (int)(colon - host - 3), host + 3,
                 (unsigned)reply->http_port);
}

static void on_hello_reply(pf_agent *agent, const pf_message *message)
{
    const Pf__HelloReply *reply = (const Pf__HelloReply *)message->body;

    if (agent->member || message->header.correlation_id != agent->asked_id)
        return;
    agent->member = true;
    agent->coordinator_epoch = reply->coordinator_epoch;
    agent->orphan_budget_ns = (int64_t)reply->orphan_budget_ms * PF_NS_PER_MS;
    take_http(agent, reply);
    answered(agent, reply->heartbeat_ms, reply->ttl_ms, reply->drain);
    settle(agent, reply->lease, reply->n_lease);
    pf_log(PF_LOG_INFO, "agent", "member coordinator_epoch=%llu leases=%zu http=%s",
           (unsigned long long)reply->coordinator_epoch, reply->n_lease, agent->http_url);
    pf_session_beat_now(agent);         /* the first heartbeat brings the credit */
}

static void say_hello_again(pf_agent *agent, const char *why)
{
    pf_log(PF_LOG_INFO, "agent", "hello_again reason=\"%s\"", why);
    agent->member = false;
    agent->asked_id = 0;
    agent->next_ask_ns = 0;
}

static void on_heartbeat_reply(pf_agent *agent, const pf_message *message)
{
    const Pf__HeartbeatReply *reply = (const Pf__HeartbeatReply *)message->body;

    if (!agent->member || message->header.correlation_id != agent->asked_id)
        return;
    if (reply->coordinator_epoch != agent->coordinator_epoch) {
        say_hello_again(agent, "the coordinator was restarted");
        return;
    }
    answered(agent, reply->next_ms, reply->ttl_ms, reply->drain);
    settle(agent, reply->lease, reply->n_lease);
}

/* Who is refused asks again, as a key may get its grant, but more and more rarely. */
static void ask_later(pf_agent *agent)
{
    int64_t wait_ns = REFUSED_NS << (agent->refusals < REFUSALS_COUNTED ? agent->refusals : REFUSALS_COUNTED);

    agent->refusals += agent->refusals < REFUSALS_COUNTED;
    agent->asked_id = 0;
    agent->next_ask_ns = pf_clock_boot_ns() + wait_ns;
}

static void on_error(pf_agent *agent, const pf_message *message)
{
    const Pf__Error *error = (const Pf__Error *)message->body;

    if (error->reason == PF__ERROR_REASON__REASON_HELLO_FIRST) {
        if (agent->member)
            say_hello_again(agent, error->message);
    } else if (error->reason == PF__ERROR_REASON__REASON_REPLACED) {
        pf_log(PF_LOG_ERROR, "agent", "replaced reason=\"%s\"", error->message);
        agent->replaced = true;
    } else {
        pf_log(PF_LOG_ERROR, "agent", "refused reason=\"%s\"", error->message);
        if (agent->asked_id && message->header.correlation_id == agent->asked_id)
            ask_later(agent);
    }
}

/* ---- leases */

static void on_offer(pf_agent *agent, const pf_message *message)
{
    const Pf__Offer *offer = (const Pf__Offer *)message->body;
    Pf__OfferReply   reply = PF__OFFER_REPLY__INIT;
    pf_err           err = { 0 };
    pf_status        st = PF_OK;

    if (!pf_lease_find(agent, offer->job_id, offer->attempt, offer->fence))
        st = pf_lease_start(agent, offer, message->header.trace_id, &err);
    PF_WIRE_SAME_RUN(&reply, offer);
    reply.accepted = st == PF_OK;
    err.msg[PF_REASON_BYTES - 1] = 0;
    reply.reason = err.msg;
    if (st)
        pf_log(PF_LOG_WARN, "agent", "declined job=%llu reason=\"%s\"", (unsigned long long)offer->job_id, err.msg);
    pf_session_send(agent, PF_MSG_OFFER_REPLY, NULL, message->header.trace_id, &reply.base);
}

static void acknowledge(pf_agent *agent, const Pf__Kill *kill)
{
    Pf__CancelAck ack = PF__CANCEL_ACK__INIT;

    PF_WIRE_SAME_RUN(&ack, kill);
    pf_session_send(agent, PF_MSG_CANCEL_ACK, NULL, NULL, &ack.base);
}

static void on_kill(pf_agent *agent, const pf_message *message)
{
    const Pf__Kill *kill = (const Pf__Kill *)message->body;
    pf_lease       *lease = pf_lease_find(agent, kill->job_id, kill->attempt, kill->fence);

    if (lease)
        pf_lease_kill(agent, lease, PF_LEASE_ACKNOWLEDGE, kill->reason);
    else
        acknowledge(agent, kill);
}

static const char *const outcomes[] = {
    [PF__OUTCOME__OUTCOME_NONE] = "nothing", [PF__OUTCOME__OUTCOME_COMMITTED] = "committed",
    [PF__OUTCOME__OUTCOME_ALREADY] = "another_attempt_won", [PF__OUTCOME__OUTCOME_REFUSED] = "refused",
};

static void on_complete_reply(pf_agent *agent, const pf_message *message)
{
    const Pf__CompleteReply *reply = (const Pf__CompleteReply *)message->body;
    pf_lease *lease = pf_lease_find(agent, reply->job_id, reply->attempt, reply->fence);
    bool      known = reply->outcome > PF__OUTCOME__OUTCOME_NONE && reply->outcome <= PF__OUTCOME__OUTCOME_REFUSED;

    if (!lease || !known)
        return;
    if (reply->message[0])
        pf_log(PF_LOG_WARN, "agent", "completed job=%llu message=\"%s\"", (unsigned long long)reply->job_id,
               reply->message);
    pf_report_answered(agent, lease, outcomes[reply->outcome]);
}

static void on_failed_reply(pf_agent *agent, const pf_message *message)
{
    const Pf__FailedReply *reply = (const Pf__FailedReply *)message->body;
    pf_lease *lease = pf_lease_find(agent, reply->job_id, reply->attempt, reply->fence);

    if (lease)
        pf_report_answered(agent, lease, "failed");
}

/* A message without a row is nothing that a coordinator says to an agent. */
static const struct handler {
    pf_msg_type type;
    void      (*run)(pf_agent *agent, const pf_message *message);
} handlers[] = {
    { PF_MSG_HELLO_REPLY, on_hello_reply }, { PF_MSG_HEARTBEAT_REPLY, on_heartbeat_reply },
    { PF_MSG_ERROR, on_error },             { PF_MSG_OFFER, on_offer },
    { PF_MSG_KILL, on_kill },               { PF_MSG_COMPLETE_REPLY, on_complete_reply },
    { PF_MSG_FAILED_REPLY, on_failed_reply },
};

void pf_dispatch(pf_agent *agent, const pf_message *message)
{
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        if (handlers[i].type == message->info->type) {
            handlers[i].run(agent, message);
            return;
        }
    }
    pf_log(PF_LOG_WARN, "agent", "not_understood message=%s", message->info->name);
}
