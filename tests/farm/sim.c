#include "tests/farm/sim.h"

#include "tests/farm/core_rig.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "coordinator/heap.h"

#define S PF_NS_PER_S
#define MS PF_NS_PER_MS

enum {
    AGENTS = 4, CLIENTS = 3, SUBMITS_PER_CLIENT = 8, SLOTS = 2, MODELS = 12, STORE_MAX = 512, JOURNAL_MAX = 64,
    FAULT_SECONDS = 400, QUIET_SECONDS = 40000, CHECK_EVERY = 16,
};

/* ---- things that will happen */

typedef enum happening_kind { TO_COORDINATOR, TO_PEER, COMMIT, VERIFY_DONE, AGENT_TURN, CLIENT_TURN, CORE_TICK, CHAOS,
                              CRASH } happening_kind;

typedef struct happening {
    uint64_t       tie;
    uint32_t  place;
    happening_kind kind;
    uint64_t  peer;                     /* of a message; index of an agent or client */
    uint64_t  life;                     /* of the coordinator or agent that it belongs to: stale ones are ignored */
    uint8_t  *frame;
    size_t    bytes;
    pf_out   *batch;
    pf_verify verify;
    char     *manifest;
} happening;

typedef struct running {
    bool            used, ended, uploaded, completing, killed;
    Pf__FailureKind failure;
    pf_lease_id     lease;
    char            plan[64];
    int64_t         end_ns, next_say_ns;
    uint64_t        progress;
} running;

typedef struct agent {
    uint64_t epoch, life;
    bool     known, draining;           /* the coordinator answered HELLO */
    int64_t  asleep_until_ns, cut_until_ns, next_beat_ns, heard_ns;
    uint64_t beat_id;                   /* msg_id of the last heartbeat, and what it listed */
    pf_lease_id listed[SLOTS];
    uint32_t listed_count;
    running  build[SLOTS];
} agent;

typedef struct journal {
    uint8_t  id[PF_SUBMIT_ID_BYTES];
    bool     used, acked, keyed, cancelled;
    uint64_t job_id;
    uint32_t model, seen_state;
} journal;

typedef struct client {
    journal  entry[SUBMITS_PER_CLIENT];
    uint64_t asked_id;                  /* msg_id of the last request, and which entry it was about */
    uint32_t asked_entry, made;
} client;

typedef struct stored { pf_digest digest; bool good; } stored;

typedef struct sim {
    rig        r;                       /* disk, configuration, clock; its core is the running coordinator */
    pf_random  random;
    pf_heap    future;
    uint64_t   next_tie, next_msg_id, life;     /* life: of the coordinator */
    int        faults;
    bool       quiet;                   /* the faults are over */
    int64_t    start_ns, disk_free_ns;
    agent      agent[AGENTS];
    client     client[CLIENTS];
    stored     store[STORE_MAX];
    uint32_t   stored_count;
    pf_digest  committed_key[STORE_MAX], committed_plan[STORE_MAX];
    uint32_t   committed_count;
    uint64_t   fence_of_job[JOURNAL_MAX * 4];
    sim_counts *counts;
} sim;

static bool chance(sim *s, double p)
{
    return pf_random_unit(&s->random) < p;
}

static int64_t between(sim *s, int64_t low, int64_t high)
{
    return low + (int64_t)pf_random_below(&s->random, (uint64_t)(high - low + 1));
}

static happening *plan(sim *s, happening_kind kind, int64_t after_ns)
{
    happening *h = pf_calloc(1, sizeof *h);

    assert_non_null(h);
    h->kind = kind;
    h->tie = s->next_tie++;
    assert_true(pf_heap_put(&s->future, h, s->r.now.boot_ns + after_ns));
    return h;
}

static void free_happening(happening *h)
{
    if (h->batch)
        pf_out_clear(h->batch);
    pf_free(h->batch);
    pf_free(h->frame);
    pf_free(h->manifest);
    pf_free(h);
}

/* ---- the network: TCP between ends that may break, so in order, but for what chaos does to it */

static int64_t delay(sim *s)
{
    if (s->quiet || s->faults == 0)
        return 1 * MS;
    return chance(s, 0.02 * s->faults) ? between(s, 1 * MS, 20 * S) : between(s, 0, 50 * MS);
}

static void post(sim *s, happening_kind kind, uint64_t peer, const uint8_t *frame, size_t bytes)
{
    double loss = s->quiet ? 0 : 0.01 * s->faults;

    for (int copies = chance(s, loss) ? 2 : 1; copies > 0; copies--) {
        happening *h = NULL;
        if (chance(s, loss))
            continue;
        h = plan(s, kind, delay(s));
        h->peer = peer;
        h->life = s->life;
        h->frame = pf_alloc(bytes);
        h->bytes = bytes;
        memcpy(h->frame, frame, bytes);
    }
}

static void say(sim *s, uint64_t peer, pf_msg_type type, uint64_t msg_id, const ProtobufCMessage *body)
{
    pf_wire_header header = { .msg_id = msg_id ? msg_id : s->next_msg_id++ };
    pf_buf         frame = { 0 };

    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    assert_int_equal(pf_wire_pack(type, &header, body, &frame, NULL), PF_OK);
    post(s, TO_COORDINATOR, peer, frame.data, frame.size);
    pf_buf_clear(&frame);
}

/* ---- the coordinator */

static void check_core(sim *s)
{
    pf_err err = { 0 };

    if (s->counts->steps++ % CHECK_EVERY == 0)
        test_ok(pf_core_check(s->r.core, &err), &err);
}

/* Every step's writes are a batch that is committed a little later, in order; its sends follow the commit. */
static void step(sim *s, const pf_event *event)
{
    pf_out    *out = pf_calloc(1, sizeof *out);
    happening *h = NULL;
    pf_err     err = { 0 };
    int64_t    done_ns = s->r.now.boot_ns + between(s, 0, chance(s, 0.02 * s->faults) ? 400 * MS : 5 * MS);

    pf_out_init(out);
    test_ok(pf_step(s->r.core, event, s->r.now, out, &err), &err);
    check_core(s);
    if (out->writes_count + out->sends_count + out->verifies_count == 0) {
        pf_out_clear(out);
        pf_free(out);
        return;
    }
    if (done_ns <= s->disk_free_ns)
        done_ns = s->disk_free_ns + 1;
    s->disk_free_ns = done_ns;
    h = plan(s, COMMIT, done_ns - s->r.now.boot_ns);
    h->life = s->life;
    h->batch = out;
    if (!s->quiet && chance(s, 0.002 * s->faults))
        plan(s, CRASH, between(s, 0, done_ns - s->r.now.boot_ns));      /* in the middle of it */
}

static const stored *find_stored(const sim *s, const pf_digest *digest)
{
    for (uint32_t i = 0; i < s->stored_count; i++)
        if (pf_digest_equal(&s->store[i].digest, digest))
            return &s->store[i];
    return NULL;
}

/* Invariant 2, for each manifest that is written. */
static void check_plan_write(sim *s, const pf_out *out, const pf_write *w)
{
    pf_manifest m;
    pf_reader   in = { 0 };
    size_t      bytes = 0;
    const char *text = NULL;
    pf_err      err = { 0 };

    assert_false(w->remove);
    pf_reader_init(&in, out->bytes.data + w->value_at, w->value_bytes);
    pf_read_bytes(&in, 2 + 8);          /* version, job id */
    text = (const char *)pf_read_blob(&in, &bytes);
    assert_non_null(text);
    test_ok(pf_manifest_parse(text, bytes, &m, &err), &err);
    assert_true(find_stored(s, &m.plan) && find_stored(s, &m.plan)->good);
    for (uint32_t i = 0; i < s->committed_count; i++)
        if (pf_digest_equal(&s->committed_key[i], &m.plan_key)) {
            assert_true(pf_digest_equal(&s->committed_plan[i], &m.plan));
            return;
        }
    assert_true(s->committed_count < STORE_MAX);
    s->committed_key[s->committed_count] = m.plan_key;
    s->committed_plan[s->committed_count++] = m.plan;
    s->counts->commits++;
}

static void apply(sim *s, const pf_out *out)
{
    for (uint32_t i = 0; i < out->writes_count; i++)
        if (out->write[i].table == PF_ROWS_PLANS)
            check_plan_write(s, out, &out->write[i]);
    rig_apply(&s->r, out);
}

/* Invariant 3: the row of the job has the offer's fence, and no fence was seen that is as new. */
static void check_offer(sim *s, const pf_send *sent)
{
    uint8_t        key[8] = { 0 };
    const rig_row *row = NULL;
    pf_reader      in = { 0 };

    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(sent->lease.job_id >> (56 - 8 * i));
    row = rig_find_row(&s->r, PF_ROWS_JOBS, key, sizeof key);
    assert_non_null(row);
    pf_reader_init(&in, row->value, row->value_bytes);
    pf_read_bytes(&in, 2 + 1 + 4 + 4);
    assert_true(pf_read_u64(&in) >= sent->lease.fence);
    assert_true(sent->lease.job_id < JOURNAL_MAX * 4);
    assert_true(sent->lease.fence > s->fence_of_job[sent->lease.job_id]);
    s->fence_of_job[sent->lease.job_id] = sent->lease.fence;
}

static void release(sim *s, const pf_out *out)
{
    for (uint32_t i = 0; i < out->sends_count; i++) {
        const pf_send *sent = &out->send[i];
        if (sent->type == PF_MSG_OFFER)
            check_offer(s, sent);
        if (sent->type == PF_MSG_OFFER && s->faults && !s->quiet && chance(s, 0.02)) {
            pf_event failed = { .kind = PF_EVENT_SEND_FAILED, .peer = sent->peer, .lease = sent->lease };
            step(s, &failed);
            continue;
        }
        post(s, TO_PEER, sent->peer, out->bytes.data + sent->at, sent->bytes);
    }
    for (uint32_t i = 0; i < out->verifies_count; i++) {
        happening *h = plan(s, VERIFY_DONE, between(s, 0, 3 * S));
        h->life = s->life;
        h->verify = out->verify[i];
        h->manifest = pf_strdup((const char *)out->bytes.data + out->verify[i].manifest_at);
    }
}

static void on_commit(sim *s, const happening *h)
{
    if (h->life != s->life)
        return;
    apply(s, h->batch);
    release(s, h->batch);
}

static void on_verify_done(sim *s, const happening *h)
{
    const stored *there = find_stored(s, &h->verify.plan_digest);
    pf_event      event = {.kind = PF_EVENT_VERIFIED, .peer = h->verify.peer,
                           .correlation_id = h->verify.correlation_id, .lease = h->verify.lease,
                           .plan_digest = h->verify.plan_digest, .plan_bytes = h->verify.plan_bytes};

    if (h->life != s->life)
        return;
    event.status = there && there->good ? PF_OK : PF_CORRUPT;
    event.text = event.status ? "the bytes are not good" : h->manifest;
    step(s, &event);
}

/* The process dies: what was not committed is gone; a batch may have been committed whose answers nobody will hear. */
static void add_stats(sim *s)
{
    pf_core_stats stats;

    pf_core_stats_get(s->r.core, s->r.now, &stats);
    s->counts->late_wins += stats.late_wins_total;
}

static void crash_coordinator(sim *s)
{
    bool survives = chance(s, 0.5);

    add_stats(s);
    while (survives) {          /* batches are committed in order, so a first part of them survives */
        happening *next = NULL;
        for (uint32_t i = 1; i <= s->future.count; i++) {
            happening *h = s->future.entry[i].item;
            if (h->kind == COMMIT && h->life == s->life &&
                (!next || s->future.entry[i].key < s->future.entry[next->place].key))
                next = h;
        }
        if (!next)
            break;
        apply(s, next->batch);
        next->life = 0;
        s->counts->lost_acks++;
        survives = chance(s, 0.5);
    }
    s->life++;
    s->counts->coordinator_crashes++;
    rig_restart(&s->r);
    s->disk_free_ns = s->r.now.boot_ns;
}

static void to_coordinator(sim *s, const happening *h)
{
    pf_message message = { 0 };
    pf_event   event = { .kind = PF_EVENT_MESSAGE, .peer = h->peer, .message = &message, .grants = UINT32_MAX };

    if (h->life != s->life && !chance(s, 0.5))
        return;                 /* it was on its way to the process that died */
    assert_int_equal(pf_wire_unpack(h->frame, h->bytes, h->peer < 100 ? PF_ROLE_CLIENT : PF_ROLE_AGENT, PF_ROLE_COORD,
                                    &message, NULL), PF_OK);
    s->counts->messages++;
    step(s, &event);
    pf_message_clear(&message);
}

/* ---- agents */

static bool is_away(const sim *s, const agent *a)
{
    return s->r.now.boot_ns < a->asleep_until_ns || s->r.now.boot_ns < a->cut_until_ns;
}

static void agent_say(sim *s, uint64_t index, pf_msg_type type, uint64_t msg_id, const ProtobufCMessage *body)
{
    if (s->r.now.boot_ns >= s->agent[index].cut_until_ns)
        say(s, 101 + index, type, msg_id, body);
}

static uint32_t fill_leases(agent *a, Pf__Lease *lease, Pf__Lease **list)
{
    uint32_t count = 0;

    for (int i = 0; i < SLOTS; i++) {
        const running *b = &a->build[i];
        if (!b->used)
            continue;
        pf__lease__init(&lease[count]);
        lease[count].job_id = b->lease.job_id;
        lease[count].attempt = b->lease.attempt;
        lease[count].fence = b->lease.fence;
        lease[count].phase = PF__PHASE__PHASE_TUNE;
        lease[count].progress_count = b->progress;
        list[count] = &lease[count];
        a->listed[count] = b->lease;
        count++;
    }
    return count;
}

static void agent_hello(sim *s, uint64_t index)
{
    agent      *a = &s->agent[index];
    class_hello h;
    Pf__Lease   lease[SLOTS], *list[SLOTS];
    char        name[16] = "";

    snprintf(name, sizeof name, "agent%d", (int)index);
    class_hello_begin(&h, name, a->epoch, "abi 1", index % 2 ? "odd" : "even", index % 2 ? "class odd" : "class even");
    h.device_class.slots = SLOTS;
    h.hello.n_lease = fill_leases(a, lease, list);
    h.hello.lease = list;
    a->listed_count = (uint32_t)h.hello.n_lease;
    a->beat_id = s->next_msg_id++;
    agent_say(s, index, PF_MSG_HELLO, a->beat_id, &h.hello.base);
}

static void agent_beat(sim *s, uint64_t index)
{
    agent        *a = &s->agent[index];
    Pf__Heartbeat beat = PF__HEARTBEAT__INIT;
    Pf__Lease     lease[SLOTS], *list[SLOTS];
    Pf__Credit    credit = PF__CREDIT__INIT, *credits[] = { &credit };
    pf_digest     digest = { 0 };

    pf_digest_of(index % 2 ? "class odd" : "class even", index % 2 ? 9 : 10, &digest);
    beat.agent_epoch = a->epoch;
    beat.n_lease = fill_leases(a, lease, list);
    beat.lease = list;
    credit.class_digest = pf_wire_bytes(&digest);
    credit.free = SLOTS - (uint32_t)beat.n_lease;
    beat.credit = credits;
    beat.n_credit = 1;
    a->listed_count = (uint32_t)beat.n_lease;
    a->beat_id = s->next_msg_id++;
    agent_say(s, index, PF_MSG_HEARTBEAT, a->beat_id, &beat.base);
}

static void store_plan(sim *s, const char *plan, bool good)
{
    pf_digest digest = { 0 };

    pf_digest_of(plan, strlen(plan), &digest);
    if (find_stored(s, &digest))
        return;
    assert_true(s->stored_count < STORE_MAX);
    s->store[s->stored_count++] = (stored){ digest, good };
}

static void say_complete(sim *s, uint64_t index, const running *b)
{
    Pf__Complete complete = PF__COMPLETE__INIT;
    pf_digest    digest = { 0 };

    pf_digest_of(b->plan, strlen(b->plan), &digest);
    complete.job_id = b->lease.job_id;
    complete.attempt = b->lease.attempt;
    complete.fence = b->lease.fence;
    complete.plan_digest = pf_wire_bytes(&digest);
    complete.plan_bytes = strlen(b->plan);
    complete.summary_json = "{}";
    agent_say(s, index, PF_MSG_COMPLETE, 0, &complete.base);
}

static void say_failed(sim *s, uint64_t index, const running *b)
{
    Pf__Failed failed = PF__FAILED__INIT;

    failed.job_id = b->lease.job_id;
    failed.attempt = b->lease.attempt;
    failed.fence = b->lease.fence;
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
    if (!b->ended && b->failure == PF__FAILURE_KIND__FAILURE_NONE && !chance(s, s->quiet ? 0 : 0.03 * s->faults))
        store_plan(s, b->plan, s->quiet || !chance(s, 0.02 * s->faults));  /* else the upload was lost, or is bad */
    b->ended = true;
    if (b->failure == PF__FAILURE_KIND__FAILURE_NONE)
        say_complete(s, index, b);
    else
        say_failed(s, index, b);
}

static void on_agent_turn(sim *s, const happening *h)
{
    agent *a = &s->agent[h->peer];

    plan(s, AGENT_TURN, 500 * MS)->peer = h->peer;
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

    if (s->quiet || s->faults == 0 || chance(s, 0.8))
        return PF__FAILURE_KIND__FAILURE_NONE;
    return kinds[pf_random_below(&s->random, sizeof kinds / sizeof kinds[0])];
}

static void agent_offer(sim *s, uint64_t index, const Pf__Offer *offer)
{
    agent          *a = &s->agent[index];
    running        *b = find_build(a, offer->job_id, offer->fence);
    Pf__OfferReply  reply = PF__OFFER_REPLY__INIT;
    static uint64_t serial;

    reply.job_id = offer->job_id;
    reply.attempt = offer->attempt;
    reply.fence = offer->fence;
    for (int i = 0; i < SLOTS && !b; i++)
        if (!a->build[i].used) {
            b = &a->build[i];
            *b = (running){ .used = true, .lease = { offer->job_id, offer->fence, offer->attempt },
                            .failure = draw_failure(s),
                            .end_ns = s->r.now.boot_ns + between(s, 1 * S, s->faults > 1 ? 90 * S : 30 * S) };
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
    ack.job_id = kill->job_id;
    ack.attempt = kill->attempt;
    ack.fence = kill->fence;
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

static void agent_reset(sim *s, uint64_t index, bool new_process)
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
        agent_reset(s, index, false);
    if (error->reason == PF__ERROR_REASON__REASON_REPLACED)  /* a late HELLO of an earlier life made us the older one */
        agent_reset(s, index, true);
}

static void agent_receive(sim *s, uint64_t index, const pf_message *message)
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

/* ---- clients */

static void client_submit(sim *s, client *c, uint32_t at)
{
    journal    *j = &c->entry[at];
    Pf__Submit  submit = PF__SUBMIT__INIT;
    char        model[16] = "", user[16] = "";
    pf_digest   digest = { 0 };
    char       *selectors[] = { j->model % 2 ? "odd" : "even" };

    snprintf(model, sizeof model, "model%u", j->model);
    snprintf(user, sizeof user, "user%d", (int)(c - s->client));
    pf_digest_of(model, strlen(model), &digest);
    submit.submit_id = (ProtobufCBinaryData){ sizeof j->id, j->id };
    submit.model_digest = pf_wire_bytes(&digest);
    submit.model_name = model;
    submit.user = user;
    submit.spec_text = "spec";
    submit.selector = selectors;
    submit.n_selector = 1;
    submit.wait_for_class = true;
    c->asked_id = s->next_msg_id++;
    c->asked_entry = at;
    say(s, 1 + (uint64_t)(c - s->client), PF_MSG_SUBMIT, c->asked_id, &submit.base);
}

static void client_ask(sim *s, client *c, uint32_t at, bool cancel)
{
    journal   *j = &c->entry[at];
    Pf__Status status = PF__STATUS__INIT;
    Pf__Cancel give_up = PF__CANCEL__INIT;

    c->asked_id = s->next_msg_id++;
    c->asked_entry = at;
    status.submit_id = give_up.submit_id = (ProtobufCBinaryData){ sizeof j->id, j->id };
    j->cancelled |= cancel;
    say(s, 1 + (uint64_t)(c - s->client), cancel ? PF_MSG_CANCEL : PF_MSG_STATUS, c->asked_id,
        cancel ? &give_up.base : &status.base);
}

static void on_client_turn(sim *s, const happening *h)
{
    client  *c = &s->client[h->peer];
    uint32_t at = 0;

    plan(s, CLIENT_TURN, between(s, 50 * MS, 1 * S))->peer = h->peer;
    if (c->made < SUBMITS_PER_CLIENT && chance(s, 0.2)) {
        journal *j = &c->entry[c->made++];
        j->used = true;
        j->model = (uint32_t)pf_random_below(&s->random, MODELS);
        for (size_t i = 0; i < sizeof j->id; i++)
            j->id[i] = (uint8_t)pf_random_below(&s->random, 256);
    }
    if (c->made == 0)
        return;
    at = (uint32_t)pf_random_below(&s->random, c->made);
    if (!c->entry[at].acked || chance(s, 0.1))
        client_submit(s, c, at);
    else
        client_ask(s, c, at, !s->quiet && chance(s, 0.03));
}

/* Invariants 5 and 6. */
static void note_status(sim *s, journal *j, const Pf__JobStatus *status)
{
    bool was_final = j->seen_state >= PF__JOB_STATE__STATE_COMMITTED;

    (void)s;
    if (j->keyed)               /* one that waited for its class may join another when that is declared */
        assert_int_equal(j->job_id, status->job_id);
    j->acked = true;
    j->keyed = status->plan_key.len > 0;
    j->job_id = status->job_id;
    if (was_final && j->seen_state != PF__JOB_STATE__STATE_QUARANTINED)
        assert_int_equal(status->state, j->seen_state);
    if (was_final && j->seen_state == PF__JOB_STATE__STATE_QUARANTINED)       /* a late win may still come */
        assert_true(status->state == PF__JOB_STATE__STATE_QUARANTINED ||
                    status->state == PF__JOB_STATE__STATE_COMMITTED);
    j->seen_state = status->state;
}

static void client_receive(sim *s, uint64_t index, const pf_message *message)
{
    client  *c = &s->client[index];
    journal *j = &c->entry[c->asked_entry];

    if (message->header.correlation_id != c->asked_id)
        return;  /* of an earlier question, or a second copy: it may be older than what is known by now */
    c->asked_id = 0;
    if (message->info->type == PF_MSG_SUBMIT_REPLY)
        note_status(s, j, ((const Pf__SubmitReply *)message->body)->job[0]);
    else if (message->info->type == PF_MSG_STATUS_REPLY)
        note_status(s, j, ((const Pf__StatusReply *)message->body)->job[0]);
    else if (message->info->type == PF_MSG_ERROR && j->acked)
        fail_msg("an acknowledged submit was answered: %s", ((const Pf__Error *)message->body)->message);
}

static void to_peer(sim *s, const happening *h)
{
    bool       is_agent = h->peer > 100;
    pf_message message = { 0 };

    if (is_agent && is_away(s, &s->agent[h->peer - 101])) {
        if (s->r.now.boot_ns < s->agent[h->peer - 101].cut_until_ns)
            return;             /* lost in the partition; a sleeper finds it when it wakes */
        happening *later = plan(s, TO_PEER, s->agent[h->peer - 101].asleep_until_ns - s->r.now.boot_ns);
        later->peer = h->peer;
        later->bytes = h->bytes;
        later->frame = pf_alloc(h->bytes);
        memcpy(later->frame, h->frame, h->bytes);
        return;
    }
    assert_int_equal(pf_wire_unpack(h->frame, h->bytes, PF_ROLE_COORD, is_agent ? PF_ROLE_AGENT : PF_ROLE_CLIENT,
                                    &message, NULL),
                     PF_OK);
    if (is_agent)
        agent_receive(s, h->peer - 101, &message);
    else
        client_receive(s, h->peer - 1, &message);
    pf_message_clear(&message);
}

/* ---- trouble */

static void on_chaos(sim *s, const happening *h)
{
    agent *a = &s->agent[pf_random_below(&s->random, AGENTS)];

    (void)h;
    if (s->quiet)
        return;
    plan(s, CHAOS, between(s, 1 * S, s->faults > 1 ? 10 * S : 30 * S));
    switch (pf_random_below(&s->random, 5)) {
    case 0: crash_coordinator(s);                                                   break;
    case 1: agent_reset(s, (uint64_t)(a - s->agent), true);                         break;
    case 2: a->asleep_until_ns = s->r.now.boot_ns + between(s, 1 * S, 120 * S);     break;
    case 3: a->cut_until_ns = s->r.now.boot_ns + between(s, 1 * S, 120 * S);        break;
    default: break;             /* calm for once */
    }
}

static void on_crash(sim *s, const happening *h)
{
    (void)h;
    if (!s->quiet)
        crash_coordinator(s);
}

static void on_core_tick(sim *s, const happening *h)
{
    pf_event tick = { .kind = PF_EVENT_TICK };

    (void)h;
    plan(s, CORE_TICK, 1 * S);
    step(s, &tick);
}

/* ---- the run */

static void start(sim *s, uint64_t seed)
{
    rig_open(&s->r);
    s->r.check_always = false;
    pf_random_init(&s->random, seed);
    s->r.config.random_seed = seed;
    s->start_ns = s->r.now.boot_ns;
    s->life = 1;
    s->next_msg_id = 1;
    pf_heap_init(&s->future, offsetof(happening, place), offsetof(happening, tie));
    for (uint64_t i = 0; i < AGENTS; i++) {
        s->agent[i].epoch = 1 + pf_random_below(&s->random, UINT64_C(1) << 60);
        plan(s, AGENT_TURN, between(s, 0, 5 * S))->peer = i;
    }
    for (uint64_t i = 0; i < CLIENTS; i++)
        plan(s, CLIENT_TURN, between(s, 0, 5 * S))->peer = i;
    plan(s, CORE_TICK, 1 * S);
    if (s->faults)
        plan(s, CHAOS, 5 * S);
}

/* Operators do this too: an agent that was taken for sick is looked at and taken back. */
static void begin_quiet(sim *s)
{
    s->quiet = true;
    for (uint64_t i = 0; i < AGENTS; i++) {
        Pf__Drain resume = PF__DRAIN__INIT;
        char      name[16] = "";
        snprintf(name, sizeof name, "agent%d", (int)i);
        resume.agent = name;
        resume.resume = true;
        s->agent[i].asleep_until_ns = s->agent[i].cut_until_ns = 0;
        say(s, 50, PF_MSG_DRAIN, 0, &resume.base);
    }
}

static bool all_done(const sim *s)
{
    pf_core_stats stats;
    uint32_t      live = 0;

    for (int i = 0; i < CLIENTS; i++) {
        if (s->client[i].made < SUBMITS_PER_CLIENT)
            return false;
        for (int k = 0; k < SUBMITS_PER_CLIENT; k++)
            if (!s->client[i].entry[k].acked)
                return false;
    }
    pf_core_stats_get(s->r.core, s->r.now, &stats);
    for (int state = 1; state < PF_JOB_STATES; state++)
        live += state < (int)PF__JOB_STATE__STATE_COMMITTED ? stats.jobs_by_state[state] : 0;
    return live == 0;
}

static void turn(sim *s)
{
    static void (*const by_kind[])(sim *, const happening *) = {
        [TO_COORDINATOR] = to_coordinator, [TO_PEER] = to_peer,         [COMMIT] = on_commit,
        [VERIFY_DONE] = on_verify_done,
        [AGENT_TURN] = on_agent_turn,      [CLIENT_TURN] = on_client_turn, [CORE_TICK] = on_core_tick,
        [CHAOS] = on_chaos, [CRASH] = on_crash,
    };
    int64_t    at_ns = 0;
    happening *h = pf_heap_first(&s->future, &at_ns);

    pf_heap_remove(&s->future, h);
    s->r.now.wall_ns += at_ns - s->r.now.boot_ns;
    s->r.now.boot_ns = at_ns;
    if (h->kind == TO_PEER && h->peer == 50)
        (void)h;                /* the operator reads no answers */
    else
        by_kind[h->kind](s, h);
    free_happening(h);
}

void sim_run(uint64_t seed, int faults, sim_counts *counts)
{
    sim          *s = pf_calloc(1, sizeof *s);
    pf_core_stats stats;
    pf_err        err = { 0 };

    assert_non_null(s);
    s->faults = faults;
    s->counts = counts;
    start(s, seed);
    while (s->r.now.boot_ns - s->start_ns < FAULT_SECONDS * S)
        turn(s);
    begin_quiet(s);
    while (!all_done(s) && s->r.now.boot_ns - s->start_ns < (FAULT_SECONDS + QUIET_SECONDS) * S)
        turn(s);
    test_ok(pf_core_check(s->r.core, &err), &err);
    assert_true(all_done(s));
    pf_core_stats_get(s->r.core, s->r.now, &stats);
    add_stats(s);
    counts->quarantined += stats.jobs_by_state[PF__JOB_STATE__STATE_QUARANTINED];
    counts->cancelled += stats.jobs_by_state[PF__JOB_STATE__STATE_CANCELLED];
    rig_restart(&s->r);         /* the disk alone tells the same */
    for (happening *h = pf_heap_first(&s->future, NULL); h; h = pf_heap_first(&s->future, NULL)) {
        pf_heap_remove(&s->future, h);
        free_happening(h);
    }
    pf_heap_clear(&s->future);
    rig_close(&s->r);
    pf_free(s);
}
