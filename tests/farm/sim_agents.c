#include "tests/farm/sim_world.h"

#include <stdio.h>
#include <string.h>

bool sim_agent_is_away(const sim *s, const agent *a)
{
    return s->r.now.boot_ns < a->asleep_until_ns || s->r.now.boot_ns < a->cut_until_ns;
}

static void agent_say(sim *s, uint64_t index, pf_msg_type type, uint64_t msg_id, const ProtobufCMessage *body)
{
    if (s->r.now.boot_ns >= s->agent[index].cut_until_ns)
        sim_say(s, 101 + index, type, msg_id, body);
}

static uint32_t fill_leases(agent *a, Pf__Lease *lease, Pf__Lease **list)
{
    uint32_t count = 0;

    for (int i = 0; i < SLOTS; i++) {
        const running *b = &a->build[i];
        if (!b->used)
            continue;
        pf__lease__init(&lease[count]);
        PF_WIRE_SAME_RUN(&lease[count], &b->lease);
        lease[count].phase = PF__PHASE__PHASE_TUNE;
        lease[count].progress_count = b->progress;
        list[count] = &lease[count];
        a->listed[count] = b->lease;
        count++;
    }
    return count;
}

static const char *class_text_of(uint64_t index) { return index % 2 ? "class odd" : "class even"; }

static void agent_hello(sim *s, uint64_t index)
{
    agent      *a = &s->agent[index];
    class_hello h;
    Pf__Lease   lease[SLOTS], *list[SLOTS];
    char        name[16] = "";

    snprintf(name, sizeof name, "agent%d", (int)index);
    class_hello_begin(&h, name, a->epoch, "abi 1", index % 2 ? "odd" : "even", class_text_of(index));
    h.device_class.slots = SLOTS;
    h.hello.n_lease = fill_leases(a, lease, list);
    h.hello.lease = list;
    a->listed_count = (uint32_t)h.hello.n_lease;
    a->beat_id = s->next_msg_id++;
    agent_say(s, index, PF_MSG_HELLO, a->beat_id, &h.hello.base);
}

static void agent_beat(sim *s, uint64_t index)
{
    agent     *a = &s->agent[index];
    class_beat beat;
    Pf__Lease  lease[SLOTS], *list[SLOTS];

    a->listed_count = fill_leases(a, lease, list);
    class_beat_begin(&beat, a->epoch, class_text_of(index), list, a->listed_count, SLOTS - a->listed_count);
    a->beat_id = s->next_msg_id++;
    agent_say(s, index, PF_MSG_HEARTBEAT, a->beat_id, &beat.beat.base);
}

static void store_plan(sim *s, const char *plan, bool good)
{
    pf_digest digest = { 0 };

    pf_digest_of(plan, strlen(plan), &digest);
    if (sim_find_stored(s, &digest))
        return;
    assert_true(s->stored_count < STORE_MAX);
    s->store[s->stored_count++] = (stored){ digest, good };
}

static void say_complete(sim *s, uint64_t index, const running *b)
{
    Pf__Complete complete = PF__COMPLETE__INIT;
    pf_digest    digest = { 0 };

    pf_digest_of(b->plan, strlen(b->plan), &digest);
    PF_WIRE_SAME_RUN(&complete, &b->lease);
    complete.plan_digest = pf_wire_bytes(&digest);
    complete.plan_bytes = strlen(b->plan);
    complete.summary_json = "{}";
    agent_say(s, index, PF_MSG_COMPLETE, 0, &complete.base);
}

static void say_failed(sim *s, uint64_t index, const running *b)
{
    Pf__Failed failed = PF__FAILED__INIT;

    PF_WIRE_SAME_RUN(&failed, &b->lease);
    failed.kind = b->failure;
    failed.message = "it went wrong";
    failed.crashed = b->failure == PF__FAILURE_KIND__FAILURE_DEVICE_FAULT;
    agent_say(s, index, PF_MSG_FAILED, 0, &failed.base);
}

static void build_turn(sim *s, uint64_t index, running *b)
{
    int64_t now_ns = s->r.now.boot_ns;

    if (!b->used || now_ns < b->next_say_ns)
        return;
    b->next_say_ns = now_ns + 2 * S;
    b->progress++;
    if (now_ns < b->end_ns)
        return;
    if (!b->ended && b->failure == PF__FAILURE_KIND__FAILURE_NONE && !sim_chance(s, s->quiet ? 0 : 0.03 * s->faults))
        store_plan(s, b->plan, s->quiet || !sim_chance(s, 0.02 * s->faults));  /* else the upload was lost, or is bad */
    b->ended = true;
    if (b->failure == PF__FAILURE_KIND__FAILURE_NONE)
        say_complete(s, index, b);
    else
        say_failed(s, index, b);
}

void sim_on_agent_turn(sim *s, const happening *h)
{
    agent *a = &s->agent[h->peer];

    sim_plan(s, AGENT_TURN, 500 * MS)->peer = h->peer;
    if (s->r.now.boot_ns < a->asleep_until_ns)
        return;
    for (int i = 0; i < SLOTS; i++)
        build_turn(s, h->peer, &a->build[i]);
    if (s->r.now.boot_ns < a->next_beat_ns)
        return;
    a->next_beat_ns = s->r.now.boot_ns + 10 * S;
    if (a->known)
        agent_beat(s, h->peer);
    else
        agent_hello(s, h->peer);
}

static running *find_build(agent *a, uint64_t job_id, uint64_t fence)
{
    for (int i = 0; i < SLOTS; i++)
        if (a->build[i].used && a->build[i].lease.job_id == job_id && a->build[i].lease.fence == fence)
            return &a->build[i];
    return NULL;
}

static Pf__FailureKind draw_failure(sim *s)
{
    static const Pf__FailureKind kinds[] = {
        PF__FAILURE_KIND__FAILURE_BUILD_ERROR, PF__FAILURE_KIND__FAILURE_RESOURCE,
        PF__FAILURE_KIND__FAILURE_DEVICE_FAULT,
        PF__FAILURE_KIND__FAILURE_INFRA, PF__FAILURE_KIND__FAILURE_TIMEOUT, PF__FAILURE_KIND__FAILURE_COLLATERAL,
    };

    if (s->quiet || s->faults == 0 || sim_chance(s, 0.8))
        return PF__FAILURE_KIND__FAILURE_NONE;
    return kinds[pf_random_below(&s->random, sizeof kinds / sizeof kinds[0])];
}

static void agent_offer(sim *s, uint64_t index, const Pf__Offer *offer)
{
    agent          *a = &s->agent[index];
    running        *b = find_build(a, offer->job_id, offer->fence);
    Pf__OfferReply  reply = PF__OFFER_REPLY__INIT;
    static uint64_t serial;

    PF_WIRE_SAME_RUN(&reply, offer);
    for (int i = 0; i < SLOTS && !b; i++)
        if (!a->build[i].used) {
            b = &a->build[i];
            *b = (running){ .used = true, .lease = { offer->job_id, offer->fence, offer->attempt },
                            .failure = draw_failure(s),
                            .end_ns = s->r.now.boot_ns + sim_between(s, 1 * S, s->faults > 1 ? 90 * S : 30 * S) };
            snprintf(b->plan, sizeof b->plan, "plan of job %d attempt %d %d", (int)offer->job_id, (int)offer->attempt,
                     (int)(serial++ % 1000000));
        }
    reply.accepted = b != NULL;
    reply.reason = b ? "" : "busy";
    agent_say(s, index, PF_MSG_OFFER_REPLY, 0, &reply.base);
}

/* Ends what the heartbeat listed and its answer does not. */
static void agent_keep(sim *s, agent *a, const pf_message *message, Pf__Lease *const *leases, size_t count)
{
    (void)s;
    if (message->header.correlation_id != a->beat_id)
        return;
    for (uint32_t i = 0; i < a->listed_count; i++) {
        running *b = find_build(a, a->listed[i].job_id, a->listed[i].fence);
        bool     held = false;
        for (size_t k = 0; k < count; k++)
            held |= leases[k]->job_id == a->listed[i].job_id && leases[k]->fence == a->listed[i].fence;
        if (b && !held)
            b->used = false;
    }
}

static void agent_kill(sim *s, uint64_t index, const Pf__Kill *kill)
{
    running       *b = find_build(&s->agent[index], kill->job_id, kill->fence);
    Pf__CancelAck  ack = PF__CANCEL_ACK__INIT;

    if (b)
        b->used = false;
    PF_WIRE_SAME_RUN(&ack, kill);
    agent_say(s, index, PF_MSG_CANCEL_ACK, 0, &ack.base);
}

static void agent_complete_reply(sim *s, uint64_t index, const Pf__CompleteReply *reply)
{
    running       *b = find_build(&s->agent[index], reply->job_id, reply->fence);
    pf_digest      digest = { 0 };

    if (reply->outcome == PF__OUTCOME__OUTCOME_COMMITTED) {     /* invariant 4 */
        bool there = false;
        memcpy(digest.byte, reply->plan_digest.data, sizeof digest.byte);
        for (uint32_t i = 0; i < s->committed_count; i++)
            there |= pf_digest_equal(&s->committed_plan[i], &digest);
        assert_true(there);
    }
    if (b)
        b->used = false;
}

void sim_agent_reset(sim *s, uint64_t index, bool new_process)
{
    agent *a = &s->agent[index];

    a->known = false;
    a->next_beat_ns = s->r.now.boot_ns;
    if (!new_process)
        return;
    a->epoch = 1 + pf_random_below(&s->random, UINT64_C(1) << 60);
    memset(a->build, 0, sizeof a->build);
    s->counts->agent_crashes++;
}

static void agent_error(sim *s, uint64_t index, const Pf__Error *error)
{
    if (error->reason == PF__ERROR_REASON__REASON_HELLO_FIRST)
        sim_agent_reset(s, index, false);
    if (error->reason == PF__ERROR_REASON__REASON_REPLACED)  /* a late HELLO of an earlier life made us the older one */
        sim_agent_reset(s, index, true);
}

void sim_agent_receive(sim *s, uint64_t index, const pf_message *message)
{
    agent *a = &s->agent[index];
    const ProtobufCMessage *body = message->body;

    switch (message->info->type) {
    case PF_MSG_HELLO_REPLY:
        a->known |= message->header.correlation_id == a->beat_id;
        agent_keep(s, a, message, ((const Pf__HelloReply *)body)->lease, ((const Pf__HelloReply *)body)->n_lease);
        break;
    case PF_MSG_HEARTBEAT_REPLY:
        agent_keep(s, a, message, ((const Pf__HeartbeatReply *)body)->lease,
                   ((const Pf__HeartbeatReply *)body)->n_lease);
        break;
    case PF_MSG_OFFER:          agent_offer(s, index, (const Pf__Offer *)body);                   break;
    case PF_MSG_KILL:           agent_kill(s, index, (const Pf__Kill *)body);                     break;
    case PF_MSG_COMPLETE_REPLY: agent_complete_reply(s, index, (const Pf__CompleteReply *)body);  break;
    case PF_MSG_ERROR:          agent_error(s, index, (const Pf__Error *)body);                   break;
    case PF_MSG_FAILED_REPLY: {
        const Pf__FailedReply *reply = (const Pf__FailedReply *)body;
        running *b = find_build(a, reply->job_id, reply->fence);
        if (b)
            b->used = false;
        break;
    }
    default:
        break;
    }
}
