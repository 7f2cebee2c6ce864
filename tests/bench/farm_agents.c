/* Agents that build nothing: the whole cycle of a job, and thousands that only beat. */
#include "tests/test.h"

#include <pthread.h>
#include <stdio.h>
#include <zmq.h>

#include "base/clock.h"
#include "tests/bench/farm_bench.h"
#include "tests/farm/hello.h"

enum { SLOTS = 8, BUILDERS = 32, PLAN_BYTES = 4 };

typedef struct builder {
    void     *socket;
    pf_digest plan;
    uint64_t  next_id, committed, offers;
    uint32_t  leases_count;
    Pf__Lease lease[SLOTS];
} builder;

static void say(builder *b, pf_msg_type type, const ProtobufCMessage *body)
{
    pf_wire_header header = { .msg_id = ++b->next_id };
    pf_buf         frame = { 0 };

    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    if (pf_wire_pack(type, &header, body, &frame, NULL) == PF_OK)
        zmq_send(b->socket, frame.data, frame.size, 0);
    pf_buf_clear(&frame);
}

static void say_hello(builder *b, const char *name, uint32_t slots)
{
    class_hello h;

    class_hello_begin(&h, name, 1, "bench 1", "bench", "class bench");
    h.device_class.slots = slots;
    say(b, PF_MSG_HELLO, &h.hello.base);
}

static void say_goodbye(builder *b)
{
    Pf__Goodbye bye = PF__GOODBYE__INIT;

    bye.agent_epoch = 1;
    say(b, PF_MSG_GOODBYE, &bye.base);
}

/* All leases, as every heartbeat restates them. */
static void say_heartbeat(builder *b)
{
    class_beat beat;
    Pf__Lease *list[SLOTS];

    for (uint32_t i = 0; i < b->leases_count; i++)
        list[i] = &b->lease[i];
    class_beat_begin(&beat, 1, "class bench", list, b->leases_count, SLOTS - b->leases_count);
    say(b, PF_MSG_HEARTBEAT, &beat.beat.base);
}

static void take_offer(builder *b, const Pf__Offer *offer)
{
    Pf__OfferReply reply = PF__OFFER_REPLY__INIT;
    Pf__Complete   complete = PF__COMPLETE__INIT;
    Pf__Lease     *lease = &b->lease[b->leases_count % SLOTS];

    b->offers++;
    b->leases_count += b->leases_count < SLOTS;
    pf__lease__init(lease);
    reply.job_id = complete.job_id = lease->job_id = offer->job_id;
    reply.attempt = complete.attempt = lease->attempt = offer->attempt;
    reply.fence = complete.fence = lease->fence = offer->fence;
    reply.accepted = true;
    say(b, PF_MSG_OFFER_REPLY, &reply.base);
    say_heartbeat(b);
    complete.plan_digest = pf_wire_bytes(&b->plan);
    complete.plan_bytes = PLAN_BYTES;
    complete.summary_json = (char *)"{}";
    say(b, PF_MSG_COMPLETE, &complete.base);
}

static void end_lease(builder *b, const Pf__CompleteReply *reply)
{
    b->committed += reply->outcome == PF__OUTCOME__OUTCOME_COMMITTED;
    for (uint32_t i = 0; i < b->leases_count; i++)
        if (b->lease[i].job_id == reply->job_id)
            b->lease[i--] = b->lease[--b->leases_count];
}

/* False when nothing came (flags ZMQ_DONTWAIT: waits). */
static bool take_message(builder *b, int flags)
{
    pf_message message = { 0 };
    zmq_msg_t  frame;
    bool       got = false;

    zmq_msg_init(&frame);
    got = zmq_msg_recv(&frame, b->socket, flags) >= 0;
    if (got && pf_wire_unpack(zmq_msg_data(&frame), zmq_msg_size(&frame), PF_ROLE_COORD, PF_ROLE_AGENT, &message,
                              NULL) == PF_OK) {
        if (message.info->type == PF_MSG_OFFER)
            take_offer(b, (const Pf__Offer *)message.body);
        if (message.info->type == PF_MSG_COMPLETE_REPLY)
            end_lease(b, (const Pf__CompleteReply *)message.body);
    }
    pf_message_clear(&message);
    zmq_msg_close(&frame);
    return got;
}

static void *connect_dealer(void *context, const char *endpoint)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int   linger = 0, wait_ms = 10000, high = 100000;

    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &high, sizeof high);
    zmq_connect(socket, endpoint);
    return socket;
}

void farm_declare_class(const farm_bench *bench)
{
    void   *context = zmq_ctx_new();
    builder b = { .socket = connect_dealer(context, bench->d.agent) };

    say_hello(&b, "declares", 1);
    assert_true(take_message(&b, 0));
    say_goodbye(&b);
    pf_clock_sleep_ns(100 * PF_NS_PER_MS);
    zmq_close(b.socket);
    zmq_ctx_term(context);
}

void farm_await_offer(const farm_bench *bench)
{
    void   *context = zmq_ctx_new();
    builder b = { .socket = connect_dealer(context, bench->d.agent) };

    say_hello(&b, "first", 1);
    while (b.offers == 0 && take_message(&b, 0))
        ;
    assert_int_equal(b.offers, 1);
    zmq_close(b.socket);
    zmq_ctx_term(context);
}

/* ---- the cycle */

typedef struct shop { farm_bench *bench; builder builder[BUILDERS]; uint64_t wanted; int64_t end_ns; } shop;

static uint64_t committed(const shop *s)
{
    uint64_t count = 0;

    for (int i = 0; i < BUILDERS; i++)
        count += s->builder[i].committed;
    return count;
}

static void *run_shop(void *user)
{
    shop          *s = user;
    zmq_pollitem_t item[BUILDERS];

    for (int i = 0; i < BUILDERS; i++)
        item[i] = (zmq_pollitem_t){ s->builder[i].socket, 0, ZMQ_POLLIN, 0 };
    while (committed(s) < s->wanted && zmq_poll(item, BUILDERS, 10000) > 0)
        for (int i = 0; i < BUILDERS; i++)
            while ((item[i].revents & ZMQ_POLLIN) && take_message(&s->builder[i], ZMQ_DONTWAIT))
                ;
    s->end_ns = pf_clock_ns();
    return NULL;
}

/* Submits and builds at the same time, every job with a heartbeat; until the last one is committed.  Nothing else is
   queued. */
void farm_measure_cycle(farm_bench *bench)
{
    void     *context = zmq_ctx_new();
    shop      s = { .bench = bench, .wanted = bench->jobs };
    farm_load load = farm_submit_load(bench, 16, 16, bench->jobs - 16);
    pthread_t thread;
    int64_t   start_ns = 0;

    for (int i = 0; i < BUILDERS; i++) {
        char name[32] = "";
        s.builder[i].socket = connect_dealer(context, bench->d.agent);
        assert_true(http_put_blob(&bench->d, "plan", PLAN_BYTES, &s.builder[i].plan) < 300);
        snprintf(name, sizeof name, "builder-%d", i);
        say_hello(&s.builder[i], name, SLOTS);
    }
    start_ns = pf_clock_ns();
    pthread_create(&thread, NULL, run_shop, &s);
    farm_run_submits(bench, &load);
    pthread_join(thread, NULL);
    assert_int_equal(committed(&s), s.wanted);
    farm_note(FARM_CYCLE, (double)s.wanted / ((double)(s.end_ns - start_ns) / 1e9));
    for (int i = 0; i < BUILDERS; i++) {
        say_goodbye(&s.builder[i]);
        zmq_close(s.builder[i].socket);
    }
    zmq_ctx_term(context);
}

/* ---- agents that only beat */

enum { IDLE_AGENTS = 10000, BEAT_SECONDS = 5, MEASURED_SECONDS = 15 };

typedef struct beaters { const farm_bench *bench; double own_mib, cpu_seconds; int64_t start_ns; } beaters;

/* The first message of each is its HELLO. */
static void hello_or_beat(void *user, uint64_t n, pf_buf *frame)
{
    pf_wire_header header = { .msg_id = n + 1 };
    Pf__Heartbeat  beat = PF__HEARTBEAT__INIT;
    class_hello    h;
    char           name[32] = "";

    (void)user;
    beat.agent_epoch = 1;
    if (n >= IDLE_AGENTS) {
        pf_wire_pack(PF_MSG_HEARTBEAT, &header, &beat.base, frame, NULL);
        return;
    }
    snprintf(name, sizeof name, "beater-%llu", (unsigned long long)n);
    class_hello_begin(&h, name, 1, "bench 1", "idle", "class idle");
    h.device_class.slots = 1;
    pf_wire_pack(PF_MSG_HELLO, &header, &h.hello.base, frame, NULL);
}

static bool is_beat_answer(void *user, uint64_t n, const pf_message *answer)
{
    (void)user;
    return answer->info->type == (n < IDLE_AGENTS ? PF_MSG_HELLO_REPLY : PF_MSG_HEARTBEAT_REPLY);
}

static void begin_beats(void *user)
{
    beaters *b = user;
    pid_t    pid = b->bench->d.pid;

    farm_note(FARM_AGENT_KIB, (farm_own_mib(pid) - b->own_mib) * 1024 / IDLE_AGENTS);
    b->cpu_seconds = farm_cpu_seconds(pid);
    b->start_ns = pf_clock_ns();
}

static void end_beats(void *user)
{
    const beaters *b = user;
    double         seconds = (double)(pf_clock_ns() - b->start_ns) / 1e9;

    farm_note(FARM_BEATS_CPU, (farm_cpu_seconds(b->bench->d.pid) - b->cpu_seconds) / seconds * 100);
}

void farm_measure_idle_agents(farm_bench *bench)
{
    beaters   b = { .bench = bench, .own_mib = farm_own_mib(bench->d.pid) };
    double    rate = (double)IDLE_AGENTS / BEAT_SECONDS;
    farm_load load = { .endpoint = bench->d.agent, .role = PF_ROLE_AGENT, .sockets = IDLE_AGENTS, .in_flight = 1,
                       .per_second = rate, .requests = (uint64_t)(rate * MEASURED_SECONDS), .request = hello_or_beat,
                       .is_answer = is_beat_answer, .begin = begin_beats, .end = end_beats, .user = &b };

    farm_load_run(&load);
    assert_int_equal(load.answered, load.requests);
    farm_note(FARM_BEATS_P99, load.p99_ms);
}
