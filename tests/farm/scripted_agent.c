#include "tests/farm/scripted_agent.h"

#include "tests/test.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/farm/hello.h"

enum { SLOTS_MAX = 8 };

typedef struct build {
    bool     used, uploaded;
    uint64_t job_id, fence, progress;
    uint32_t attempt;
    int64_t  end_ns, say_ns;
    char     plan[128];
    pf_digest digest;
} build;

typedef struct session {
    scripted_agent *agent;
    pf_peer        *peer;
    uint64_t        epoch;
    bool            known;
    int64_t         beat_ns, heard_ns;
    char            endpoint[128];
    build           build[SLOTS_MAX];
} session;

static void say(session *s, pf_msg_type type, const ProtobufCMessage *body)
{
    pf_peer_send(s->peer, type, NULL, body, NULL, NULL);        /* what is lost is said again */
}

static uint32_t list_leases(session *s, Pf__Lease *lease, Pf__Lease **list)
{
    uint32_t count = 0;

    for (int i = 0; i < SLOTS_MAX; i++) {
        const build *b = &s->build[i];
        if (!b->used)
            continue;
        pf__lease__init(&lease[count]);
        PF_WIRE_SAME_RUN(&lease[count], b);
        lease[count].phase = PF__PHASE__PHASE_TUNE;
        lease[count].progress_count = b->progress;
        list[count] = &lease[count];
        count++;
    }
    return count;
}

static void class_text_of(const scripted_agent *agent, char *out, size_t capacity)
{
    snprintf(out, capacity, "scripted class %s%s", agent->class_name, agent->hardware ? agent->hardware : "");
}

static void say_hello(session *s)
{
    class_hello h;
    Pf__Lease   lease[SLOTS_MAX], *list[SLOTS_MAX];
    char        text[128] = "";

    class_text_of(s->agent, text, sizeof text);
    class_hello_begin(&h, s->agent->name, s->epoch, "scripted 1", s->agent->class_name, text);
    class_hello_alias(&h, "cpu");
    h.device_class.slots = (uint32_t)s->agent->slots;
    h.hello.n_lease = list_leases(s, lease, list);
    h.hello.lease = list;
    say(s, PF_MSG_HELLO, &h.hello.base);
}

static void say_heartbeat(session *s)
{
    class_beat beat;
    Pf__Lease  lease[SLOTS_MAX], *list[SLOTS_MAX];
    uint32_t   count = list_leases(s, lease, list);
    char       text[128] = "";

    class_text_of(s->agent, text, sizeof text);
    class_beat_begin(&beat, s->epoch, text, list, count, (uint32_t)s->agent->slots - count);
    say(s, PF_MSG_HEARTBEAT, &beat.beat.base);
}

static build *find_build(session *s, uint64_t job_id, uint64_t fence)
{
    for (int i = 0; i < SLOTS_MAX; i++)
        if (s->build[i].used && s->build[i].job_id == job_id && s->build[i].fence == fence)
            return &s->build[i];
    return NULL;
}

static void on_offer(session *s, const Pf__Offer *offer)
{
    Pf__OfferReply reply = PF__OFFER_REPLY__INIT;
    build         *b = find_build(s, offer->job_id, offer->fence);

    for (int i = 0; i < s->agent->slots && !b; i++)
        if (!s->build[i].used) {
            b = &s->build[i];
            *b = (build){ .used = true, .job_id = offer->job_id, .fence = offer->fence, .attempt = offer->attempt,
                          .end_ns = pf_clock_ns() + s->agent->build_ns };
            snprintf(b->plan, sizeof b->plan, "plan of %s for job %llu", offer->model_name,
                     (unsigned long long)offer->job_id);
        }
    s->agent->offers++;
    PF_WIRE_SAME_RUN(&reply, offer);
    reply.accepted = b != NULL;
    reply.reason = b ? "" : "busy";
    say(s, PF_MSG_OFFER_REPLY, &reply.base);
}

static void on_kill(session *s, const Pf__Kill *kill)
{
    Pf__CancelAck ack = PF__CANCEL_ACK__INIT;
    build        *b = find_build(s, kill->job_id, kill->fence);

    if (b)
        b->used = false;
    s->agent->kills++;
    PF_WIRE_SAME_RUN(&ack, kill);
    say(s, PF_MSG_CANCEL_ACK, &ack.base);
}

static void on_complete_reply(session *s, const Pf__CompleteReply *reply)
{
    build *b = find_build(s, reply->job_id, reply->fence);

    if (!b)
        return;
    b->used = false;
    if (reply->outcome == PF__OUTCOME__OUTCOME_COMMITTED)
        s->agent->commits++;
}

static void keep_only(session *s, Pf__Lease *const *leases, size_t count)
{
    for (int i = 0; i < SLOTS_MAX; i++) {
        bool held = false;
        for (size_t k = 0; k < count; k++)
            held |= s->build[i].job_id == leases[k]->job_id && s->build[i].fence == leases[k]->fence;
        s->build[i].used &= held;
    }
}

static void on_message(session *s, const pf_message *message)
{
    const ProtobufCMessage *body = message->body;

    s->heard_ns = pf_clock_ns();
    switch (message->info->type) {
    case PF_MSG_HELLO_REPLY:
        s->known = true;
        s->agent->welcomes++;
        keep_only(s, ((const Pf__HelloReply *)body)->lease, ((const Pf__HelloReply *)body)->n_lease);
        break;
    case PF_MSG_HEARTBEAT_REPLY:
        keep_only(s, ((const Pf__HeartbeatReply *)body)->lease, ((const Pf__HeartbeatReply *)body)->n_lease);
        break;
    case PF_MSG_OFFER:          on_offer(s, (const Pf__Offer *)body);                  break;
    case PF_MSG_KILL:           on_kill(s, (const Pf__Kill *)body);                    break;
    case PF_MSG_COMPLETE_REPLY: on_complete_reply(s, (const Pf__CompleteReply *)body); break;
    case PF_MSG_ERROR:          s->known = false;                                      break;
    default:                                                                           break;
    }
}

static void say_progress(session *s, build *b)
{
    Pf__Progress progress = PF__PROGRESS__INIT;
    Pf__Log      log = PF__LOG__INIT;

    progress.job_id = log.job_id = b->job_id;
    progress.attempt = log.attempt = b->attempt;
    progress.fence = log.fence = b->fence;
    progress.phase = PF__PHASE__PHASE_TUNE;
    progress.progress_count = ++b->progress;
    progress.text = "timing";
    progress.json = "{\"problems\": 3}";
    log.text = "one line\n";
    say(s, PF_MSG_PROGRESS, &progress.base);
    say(s, PF_MSG_LOG, &log.base);
}

static void say_complete(session *s, const build *b)
{
    Pf__Complete complete = PF__COMPLETE__INIT;

    PF_WIRE_SAME_RUN(&complete, b);
    complete.plan_digest = pf_wire_bytes(&b->digest);
    complete.plan_bytes = strlen(b->plan);
    complete.summary_json = "{\"problems\": 3}";
    say(s, PF_MSG_COMPLETE, &complete.base);
}

static void work(session *s, build *b)
{
    int64_t now_ns = pf_clock_ns();

    if (!b->used || now_ns < b->say_ns)
        return;
    b->say_ns = now_ns + 100 * PF_NS_PER_MS;
    if (s->agent->hold || now_ns < b->end_ns) {
        say_progress(s, b);
        if (!s->agent->hold && b->end_ns < b->say_ns)
            b->say_ns = b->end_ns;
        return;
    }
    if (!b->uploaded) {
        long code = http_put_blob(s->agent->daemon, b->plan, strlen(b->plan), &b->digest);
        b->uploaded = code == 200 || code == 201;
    }
    if (b->uploaded)
        say_complete(s, b);
}

static uint32_t builds_count(const session *s)
{
    uint32_t count = 0;

    for (int i = 0; i < SLOTS_MAX; i++)
        count += s->build[i].used;
    return count;
}

/* The coordinator may come back on other ports. */
static void follow(session *s)
{
    pf_peer_options options = { .endpoint = s->agent->daemon->agent, .role = PF_ROLE_AGENT };

    if (strcmp(s->endpoint, s->agent->daemon->agent) == 0)
        return;
    pf_peer_close(s->peer);
    s->peer = NULL;
    s->known = false;
    snprintf(s->endpoint, sizeof s->endpoint, "%s", s->agent->daemon->agent);
    pf_peer_open(&options, &s->peer, NULL);
}

static void *run(void *user)
{
    session s = { .agent = user };

    randombytes_buf(&s.epoch, sizeof s.epoch);
    s.epoch |= 1;
    while (!s.agent->stop) {
        pf_message message = { 0 };
        follow(&s);
        if (pf_clock_ns() >= s.beat_ns) {
            s.beat_ns = pf_clock_ns() + 200 * PF_NS_PER_MS;
            if (s.known)
                say_heartbeat(&s);
            else
                say_hello(&s);
        }
        for (int i = 0; i < SLOTS_MAX; i++)
            work(&s, &s.build[i]);
        if (pf_peer_receive(s.peer, 10 * PF_NS_PER_MS, &message, NULL) == PF_OK)
            on_message(&s, &message);
        pf_message_clear(&message);
        s.agent->busy = builds_count(&s);
    }
    if (s.peer && !s.agent->no_goodbye) {      /* stopped before its first turn it has none */
        Pf__Goodbye bye = PF__GOODBYE__INIT;
        bye.agent_epoch = s.epoch;
        say(&s, PF_MSG_GOODBYE, &bye.base);
    }
    pf_peer_close(s.peer);
    return NULL;
}

void scripted_agent_start(scripted_agent *agent)
{
    agent->stop = false;
    assert_int_equal(pthread_create(&agent->thread, NULL, run, agent), 0);
}

void scripted_agent_await(const scripted_agent *agent)
{
    for (int i = 0; i < 5000 && agent->welcomes == 0; i++)
        pf_clock_sleep_ns(10 * PF_NS_PER_MS);
    assert_true(agent->welcomes > 0);
}

void scripted_agent_stop(scripted_agent *agent)
{
    agent->stop = true;
    pthread_join(agent->thread, NULL);
}

uint64_t scripted_build_of_two(daemon_process *d, uint64_t *waiting)
{
    scripted_agent agent = { .daemon = d, .name = "a", .class_name = "cpu-test", .slots = 1 };
    pf_digest      one = http_put_model(d, "one"), two = http_put_model(d, "two");
    pf_peer       *client = daemon_client(d);
    uint64_t       done = 0;

    scripted_agent_start(&agent);
    done = must_submit(client, 1, &one, "one");
    await_state(client, done, PF__JOB_STATE__STATE_COMMITTED, 60);
    scripted_agent_stop(&agent);
    *waiting = must_submit(client, 2, &two, "two");
    pf_peer_close(client);
    return done;
}
