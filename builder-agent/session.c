/* The agent's side of membership: HELLO until it is answered, then HEARTBEATs at the times that the coordinator names.
   Nothing heard for PF_PEER_SILENT_NS: a new connection, and HELLO again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "builder-agent/state.h"
#include "proto/farm_key.h"

#define SOFTWARE "planfarm-agent " PF_VERSION
#define ANSWER_NS    (2 * PF_NS_PER_S)      /* an unanswered HELLO or HEARTBEAT is followed by another after this */
#define UNSENT_NS    (250 * PF_NS_PER_MS)   /* there was no connection to send it on */
#define JUMP_NS      (3 * PF_NS_PER_S)      /* between two turns of the loop: this process was stopped or slept */

bool pf_session_send(pf_agent *agent, pf_msg_type type, uint64_t *msg_id, const uint8_t *trace_id,
                     const ProtobufCMessage *body)
{
    pf_wire_header header = { .msg_id = msg_id ? *msg_id : 0 };
    pf_err         err = { 0 };
    uint64_t       sent = 0;
    pf_status      st = PF_OK;

    if (trace_id)
        memcpy(header.trace_id, trace_id, sizeof header.trace_id);
    st = pf_peer_send(agent->peer, type, &header, body, &sent, &err);
    if (msg_id)
        *msg_id = sent;
    if (st && st != PF_UNREACHABLE)
        pf_log(PF_LOG_ERROR, "agent", "not_sent type=%d reason=\"%s\"", (int)type, err.msg);
    return st == PF_OK;
}

/* ---- what runs, as HELLO and HEARTBEAT list it */

typedef struct lease_list { Pf__Lease *item; Pf__Lease **list; size_t count; } lease_list;

static bool list_leases(const pf_agent *agent, lease_list *out)
{
    *out = (lease_list){ .item = pf_calloc(agent->leases_count + 1, sizeof *out->item),
                         .list = pf_calloc(agent->leases_count + 1, sizeof *out->list) };
    if (!out->item || !out->list)
        return false;
    for (const pf_lease *lease = agent->leases; lease; lease = lease->next) {
        Pf__Lease *item = &out->item[out->count];
        if (!pf_lease_is_listed(lease))
            continue;
        pf__lease__init(item);
        PF_WIRE_SAME_RUN(item, lease);
        item->phase = lease->progress.phase;
        item->permille = lease->progress.permille;
        item->progress_count = lease->progress_count;
        out->list[out->count++] = item;
    }
    return true;
}

static void clear_leases(lease_list *list)
{
    pf_free(list->item);
    pf_free(list->list);
}

/* ---- HELLO */

static void fill_class(const pf_agent_class *from, Pf__DeviceClass *to, char **aliases)
{
    pf__device_class__init(to);
    to->class_text = (char *)from->print.class_text;
    to->class_name = (char *)from->print.class_name;
    to->device = (char *)from->devices;
    to->slots = from->slots;
    for (uint32_t i = 0; i < from->print.aliases_count; i++)
        aliases[i] = (char *)from->print.alias[i];
    to->alias = aliases;
    to->n_alias = from->print.aliases_count;
}

static bool send_hello(pf_agent *agent)
{
    Pf__Hello        hello = PF__HELLO__INIT;
    Pf__DeviceClass  item[PF_AGENT_DEVICES_MAX], *list[PF_AGENT_DEVICES_MAX];
    char            *aliases[PF_AGENT_DEVICES_MAX][PF_CLASS_ALIASES_MAX];
    lease_list       leases = { 0 };
    bool             sent = false;

    for (uint32_t i = 0; i < agent->classes_count; i++) {
        fill_class(&agent->classes[i], &item[i], aliases[i]);
        list[i] = &item[i];
    }
    hello.agent_epoch = agent->epoch;
    hello.name = agent->dir.name;
    hello.host = agent->host;
    hello.software = (char *)SOFTWARE;
    hello.builder_abi = agent->classes[0].print.builder_abi;
    hello.device_class = list;
    hello.n_device_class = agent->classes_count;
    hello.draining = agent->draining;
    if (list_leases(agent, &leases)) {
        hello.lease = leases.list;
        hello.n_lease = leases.count;
        sent = pf_session_send(agent, PF_MSG_HELLO, &agent->asked_id, NULL, &hello.base);
    }
    clear_leases(&leases);
    return sent;
}

/* ---- HEARTBEAT */

static uint32_t free_slots(const pf_agent *agent, const pf_agent_class *device_class)
{
    uint32_t count = 0;

    if (agent->draining)
        return 0;
    for (uint32_t i = 0; i < agent->devices_count; i++)
        count += agent->devices[i].device_class == device_class && pf_device_is_free(&agent->devices[i]);
    return count;
}

static bool send_heartbeat(pf_agent *agent)
{
    Pf__Heartbeat beat = PF__HEARTBEAT__INIT;
    Pf__Credit    item[PF_AGENT_DEVICES_MAX], *list[PF_AGENT_DEVICES_MAX];
    lease_list    leases = { 0 };
    bool          sent = false;

    for (uint32_t i = 0; i < agent->classes_count; i++) {
        pf__credit__init(&item[i]);
        item[i].class_digest = pf_wire_bytes(&agent->classes[i].print.class_digest);
        item[i].free = free_slots(agent, &agent->classes[i]);
        list[i] = &item[i];
    }
    beat.agent_epoch = agent->epoch;
    beat.credit = list;
    beat.n_credit = agent->classes_count;
    beat.health = agent->health;
    beat.sick = agent->sick;
    beat.draining = agent->draining;
    agent->asked_id = 0;        /* a repeated beat tells what is so now */
    if (list_leases(agent, &leases)) {
        beat.lease = leases.list;
        beat.n_lease = leases.count;
        sent = pf_session_send(agent, PF_MSG_HEARTBEAT, &agent->asked_id, NULL, &beat.base);
    }
    clear_leases(&leases);
    return sent;
}

/* ---- time */

static void new_connection(pf_agent *agent, int64_t now_ns)
{
    const char *key = getenv(PF_FARM_KEY_VARIABLE);
    pf_err      err = { 0 };

    pf_log(PF_LOG_WARN, "agent", "coordinator_silent endpoint=%s%s", pf_peer_endpoint(agent->peer),
           key && key[0] ? "" : " key=none hint=\"a farm with keys answers only to them: " PF_FARM_KEY_VARIABLE "\"");
    if (pf_peer_reconnect(agent->peer, &err))
        pf_log(PF_LOG_ERROR, "agent", "no_connection reason=\"%s\"", err.msg);
    agent->member = false;
    agent->asked_id = 0;
    agent->quiet_since_ns = now_ns;
}

/* After a pause of this process itself the coordinator is asked first: it may have kept the leases. */
static bool is_orphan(pf_agent *agent, int64_t now_ns)
{
    if (now_ns - agent->turn_ns > JUMP_NS)
        agent->woke_ns = now_ns;
    agent->turn_ns = now_ns;
    return agent->contact_ns && now_ns - agent->contact_ns > agent->orphan_budget_ns &&
           now_ns - agent->woke_ns > PF_PEER_SILENT_NS;
}

static void fence_orphans(pf_agent *agent, int64_t now_ns)
{
    bool orphan = is_orphan(agent, now_ns);

    if (orphan && !agent->orphan)
        pf_log(PF_LOG_ERROR, "agent", "orphaned seconds=%lld", (long long)((now_ns - agent->contact_ns) / PF_NS_PER_S));
    agent->orphan = orphan;
    for (pf_lease *lease = agent->leases; orphan && lease; lease = lease->next) {
        if (lease->state == PF_LEASE_RUNNING)
            pf_lease_kill(agent, lease, PF_LEASE_DROP, "the coordinator has been away for longer than it allowed");
    }
}

void pf_session_tick(pf_agent *agent, int64_t now_ns)
{
    bool sent = false;

    fence_orphans(agent, now_ns);
    if (now_ns < agent->next_ask_ns)
        return;
    if (!agent->waiting)
        agent->quiet_since_ns = now_ns;
    if (now_ns - agent->quiet_since_ns > PF_PEER_SILENT_NS)
        new_connection(agent, now_ns);
    sent = agent->member ? send_heartbeat(agent) : send_hello(agent);
    agent->waiting = true;
    agent->asked_ns = now_ns;
    agent->next_ask_ns = now_ns + (sent ? ANSWER_NS : UNSENT_NS);
}

int64_t pf_session_next_ns(const pf_agent *agent)
{
    return agent->next_ask_ns;
}

void pf_session_beat_now(pf_agent *agent)
{
    if (agent->member)
        agent->next_ask_ns = 0;
}

void pf_session_goodbye(pf_agent *agent, const char *reason)
{
    Pf__Goodbye bye = PF__GOODBYE__INIT;

    bye.agent_epoch = agent->epoch;
    bye.reason = (char *)reason;
    pf_session_send(agent, PF_MSG_GOODBYE, NULL, NULL, &bye.base);
}
