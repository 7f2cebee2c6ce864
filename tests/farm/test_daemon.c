/* The real coordinator, a scripted agent and a client, over real sockets. */
#include "tests/test.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "proto/manifest.h"
#include "tests/farm/scripted_agent.h"

static const Pf__JobState COMMITTED = PF__JOB_STATE__STATE_COMMITTED, LEASED = PF__JOB_STATE__STATE_LEASED,
                          QUEUED = PF__JOB_STATE__STATE_QUEUED;

static const char *const quick[] = { "--lease-ttl-ms", "2000", "--heartbeat-ms", "200", "--backoff-ms", "100", NULL };

/* ---- the whole way */

static void check_events(pf_peer *client, uint64_t job_id)
{
    uint64_t after = 0;
    bool     final = false, saw_log = false, saw_progress = false, saw_commit = false;

    for (int i = 0; i < 200 && !final; i++) {
        Pf__Watch  watch = PF__WATCH__INIT;
        pf_message answer = { 0 };
        pf_err     err = { 0 };
        watch.job_id = &job_id;
        watch.n_job_id = 1;
        watch.after_sequence = after;
        watch.wait_ms = 1000;
        test_ok(pf_peer_call(client, PF_MSG_WATCH, &watch.base, PF_MSG_WATCH_REPLY, 10 * PF_NS_PER_S, &answer, &err),
                &err);
        const Pf__WatchReply *reply = (const Pf__WatchReply *)answer.body;
        for (size_t k = 0; k < reply->n_event; k++) {
            assert_true(reply->event[k]->sequence > after);
            after = reply->event[k]->sequence;
            saw_log |= reply->event[k]->kind == PF__EVENT_KIND__EVENT_LOG;
            saw_progress |= reply->event[k]->kind == PF__EVENT_KIND__EVENT_PROGRESS;
            saw_commit |= reply->event[k]->state == COMMITTED;
        }
        after = reply->next_after_sequence;
        final = reply->final;
        pf_message_clear(&answer);
    }
    assert_true(final && saw_log && saw_progress && saw_commit);
}

static void check_plan(const daemon_process *d, pf_peer *client, uint64_t job_id)
{
    Pf__JobStatus *status = job_status(client, job_id);
    pf_digest      key = { 0 }, found = { 0 };
    pf_public_key  public_key = { 0 };
    pf_manifest    m;
    char           hex[PF_DIGEST_HEX_BYTES] = "", path[128] = "";
    http_answer    answer;
    pf_err         err = { 0 };

    memcpy(key.byte, status->plan_key.data, sizeof key.byte);
    http_request("GET", d->http, "/keys", NULL, NULL, 0, &answer);
    test_ok(pf_public_key_parse((char *)answer.body.data, answer.body.size, &public_key, &err), &err);
    http_answer_clear(&answer);
    pf_digest_to_hex(&key, hex);
    snprintf(path, sizeof path, "/plans/%s", hex);
    http_request("GET", d->http, path, NULL, NULL, 0, &answer);
    assert_int_equal(answer.code, 200);
    test_ok(pf_manifest_verify((char *)answer.body.data, answer.body.size, &public_key, 1, &err), &err);
    test_ok(pf_manifest_parse((char *)answer.body.data, answer.body.size, &m, &err), &err);
    http_answer_clear(&answer);
    assert_string_equal(m.model_name, "model.onnx");
    assert_string_equal(m.summary_json, "{\"problems\": 3}");
    assert_true(pf_digest_equal(&m.plan_key, &key));
    pf_digest_to_hex(&m.plan, hex);
    snprintf(path, sizeof path, "/blobs/sha256/%s", hex);
    http_request("GET", d->http, path, NULL, NULL, 0, &answer);
    assert_int_equal(answer.code, 200);
    pf_digest_of(answer.body.data, answer.body.size, &found);
    assert_true(pf_digest_equal(&found, &m.plan));
    assert_int_equal(answer.body.size, m.plan_bytes);
    http_answer_clear(&answer);
    pf__job_status__free_unpacked(status, NULL);
}

static void a_model_becomes_a_plan(void **state)
{
    daemon_process d = { 0 };
    scripted_agent agent = { .daemon = &d, .name = "host/cpu", .class_name = "cpu-test", .slots = 1,
                             .build_ns = 300 * PF_NS_PER_MS };
    uint8_t        id[PF_SUBMIT_ID_BYTES] = { 1 };
    pf_digest      model = { { 7 } };
    uint64_t       job_id = 0, again = 0;
    pf_peer       *client = NULL;
    pf_err         err = { 0 };

    (void)state;
    daemon_start(&d, daemon_fresh_state(), quick);
    client = daemon_client(&d);
    test_ok(try_submit(client, id, &model, "model.onnx", "cpu", 10 * PF_NS_PER_S, &job_id, &err), &err);
    assert_int_equal(job_id, 0);        /* its blobs are missing */
    model = http_put_model(&d, "onnx bytes");
    job_id = must_submit(client, 2, &model, "model.onnx");
    await_state(client, job_id, QUEUED, 5);
    scripted_agent_start(&agent);
    check_events(client, job_id);
    await_state(client, job_id, COMMITTED, 5);
    check_plan(&d, client, job_id);
    again = must_submit(client, 3, &model, "model.onnx");
    assert_int_equal(again, job_id);
    assert_int_equal(agent.offers, 1);
    scripted_agent_stop(&agent);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
    assert_false(pf_file_exists(test_path("state0/endpoints")));
}

/* ---- restarts */

static void a_killed_coordinator_finds_its_jobs_and_agents_again(void **state)
{
    daemon_process d = { 0 };
    scripted_agent agent = { .daemon = &d, .name = "host/cpu", .class_name = "cpu-test", .slots = 1,
                             .build_ns = 1500 * PF_NS_PER_MS };
    const char    *folder = daemon_fresh_state();
    char           path[4096] = "";
    pf_digest      model = { 0 };
    uint64_t       running = 0, waiting = 0;
    pf_peer       *client = NULL;

    (void)state;
    snprintf(path, sizeof path, "%s", folder);
    daemon_start(&d, path, quick);
    client = daemon_client(&d);
    model = http_put_model(&d, "onnx bytes");
    scripted_agent_start(&agent);
    running = must_submit(client, 1, &model, "running");
    model = http_put_model(&d, "other bytes");
    waiting = must_submit(client, 2, &model, "waiting");
    await_state(client, running, LEASED, 5);
    pf_peer_close(client);
    daemon_kill(&d);
    pf_clock_sleep_ns(300 * PF_NS_PER_MS);
    daemon_start(&d, path, quick);
    client = daemon_client(&d);
    await_state(client, running, COMMITTED, 10);
    await_state(client, waiting, COMMITTED, 10);
    assert_int_equal(agent.offers, 2);          /* the running build was not begun again */
    scripted_agent_stop(&agent);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
}

static void a_killed_agent_s_job_goes_to_another(void **state)
{
    daemon_process d = { 0 };
    scripted_agent first = { .daemon = &d, .name = "first", .class_name = "cpu-test", .slots = 1, .hold = true };
    scripted_agent second = { .daemon = &d, .name = "second", .class_name = "cpu-test", .slots = 1 };
    pf_digest      model = { 0 };
    uint64_t       job_id = 0;
    pf_peer       *client = NULL;

    (void)state;
    daemon_start(&d, daemon_fresh_state(), quick);
    client = daemon_client(&d);
    model = http_put_model(&d, "onnx bytes");
    scripted_agent_start(&first);
    job_id = must_submit(client, 1, &model, "model");
    await_state(client, job_id, LEASED, 5);
    first.no_goodbye = true;
    scripted_agent_stop(&first);
    scripted_agent_start(&second);
    await_state(client, job_id, COMMITTED, 10);
    scripted_agent_stop(&second);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
}

static void cancelling_reaches_the_agent(void **state)
{
    daemon_process d = { 0 };
    scripted_agent agent = { .daemon = &d, .name = "a", .class_name = "cpu-test", .slots = 1, .hold = true };
    pf_digest      model = { 0 };
    uint64_t       job_id = 0;
    Pf__Cancel     cancel = PF__CANCEL__INIT;
    pf_message     answer = { 0 };
    pf_peer       *client = NULL;
    pf_err         err = { 0 };

    (void)state;
    daemon_start(&d, daemon_fresh_state(), quick);
    client = daemon_client(&d);
    model = http_put_model(&d, "onnx bytes");
    scripted_agent_start(&agent);
    job_id = must_submit(client, 1, &model, "model");
    await_state(client, job_id, LEASED, 5);
    cancel.job_id = &job_id;
    cancel.n_job_id = 1;
    test_ok(pf_peer_call(client, PF_MSG_CANCEL, &cancel.base, PF_MSG_CANCEL_REPLY, 30 * PF_NS_PER_S, &answer, &err),
            &err);
    pf_message_clear(&answer);
    await_state(client, job_id, PF__JOB_STATE__STATE_CANCELLED, 5);
    assert_int_equal(agent.kills, 1);
    scripted_agent_stop(&agent);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
}

/* ---- HTTP */

static void what_is_known_is_not_sent_again(const daemon_process *d, const char *path)
{
    char              upper[128] = "", known[128] = "";
    const char *const unchanged[] = { known, NULL }, *const any[] = { "If-None-Match: *", NULL };
    http_answer       answer;

    snprintf(upper, sizeof upper, "%s", path);
    for (char *at = upper + strlen("/blobs/sha256/"); *at; at++)
        *at = (char)toupper((unsigned char)*at);        /* is the same blob, and has the same tag */
    http_request("HEAD", d->http, path, NULL, NULL, 0, &answer);
    assert_int_equal(answer.code, 200);
    assert_int_equal(answer.body.size, 0);
    snprintf(known, sizeof known, "If-None-Match: %.100s", answer.etag);
    http_answer_clear(&answer);
    http_request("GET", d->http, path, unchanged, NULL, 0, &answer);
    assert_int_equal(answer.code, 304);
    http_answer_clear(&answer);
    http_request("GET", d->http, upper, unchanged, NULL, 0, &answer);
    assert_int_equal(answer.code, 304);
    http_answer_clear(&answer);
    http_request("GET", d->http, path, any, NULL, 0, &answer);
    assert_int_equal(answer.code, 304);
    http_answer_clear(&answer);
}

static void blobs_over_http(void **state)
{
    const char *const small[] = { "--blob-bytes", "1000000", NULL };
    const char *const range[] = { "Range: bytes=2-4", NULL }, *const tail[] = { "Range: bytes=-3", NULL };
    const char *const behind[] = { "Range: bytes=100-", NULL };
    const char *const other[] = { "Range: bytes=2-4", "If-Range: \"of another blob\"", NULL };
    daemon_process    d = { 0 };
    pf_digest         digest = { 0 };
    char              hex[PF_DIGEST_HEX_BYTES] = "", path[128] = "", known[128] = "";
    char             *large = pf_calloc(1, 1000001);
    http_answer       answer;

    (void)state;
    daemon_start(&d, daemon_fresh_state(), small);
    assert_int_equal(http_put_blob(&d, "0123456789", 10, &digest), 201);
    assert_int_equal(http_put_blob(&d, "0123456789", 10, &digest), 200);
    pf_digest_to_hex(&digest, hex);
    snprintf(path, sizeof path, "/blobs/sha256/%s", hex);
    http_request("GET", d.http, path, range, NULL, 0, &answer);
    assert_int_equal(answer.code, 206);
    assert_string_equal((char *)answer.body.data, "234");
    assert_string_equal(answer.range, "bytes 2-4/10");
    http_answer_clear(&answer);
    http_request("GET", d.http, path, tail, NULL, 0, &answer);
    assert_string_equal((char *)answer.body.data, "789");
    http_answer_clear(&answer);
    http_request("GET", d.http, path, other, NULL, 0, &answer);
    assert_int_equal(answer.code, 200);
    assert_int_equal(answer.body.size, 10);
    http_answer_clear(&answer);
    snprintf(known, sizeof known, "If-Range: \"%s\"", hex);
    http_request("GET", d.http, path, (const char *const[]){ range[0], known, NULL }, NULL, 0, &answer);
    assert_int_equal(answer.code, 206);
    http_answer_clear(&answer);
    http_request("GET", d.http, path, behind, NULL, 0, &answer);
    assert_int_equal(answer.code, 416);
    assert_string_equal(answer.range, "bytes */10");
    http_answer_clear(&answer);
    what_is_known_is_not_sent_again(&d, path);
    http_request("PUT", d.http, path, NULL, "other", 5, &answer);
    assert_int_equal(answer.code, 422);
    http_answer_clear(&answer);
    assert_int_equal(http_put_blob(&d, large, 1000001, &digest), 413);
    assert_int_equal(http_put_blob(&d, large, 1000000, &digest), 201);
    assert_int_equal(http_put_blob(&d, "", 0, &digest), 201);
    pf_free(large);
    assert_int_equal(daemon_stop(&d), 0);
}

static long get_blob(const daemon_process *d, const pf_digest *digest)
{
    char        hex[PF_DIGEST_HEX_BYTES] = "", path[128] = "";
    http_answer answer;

    pf_digest_to_hex(digest, hex);
    snprintf(path, sizeof path, "/blobs/sha256/%s", hex);
    http_request("GET", d->http, path, NULL, NULL, 0, &answer);
    http_answer_clear(&answer);
    return answer.code;
}

/* Looked for on the disk: asking for it over HTTP would be a use, which a sweep under way respects. */
static bool blob_is_kept(const char *folder, const pf_digest *digest)
{
    char hex[PF_DIGEST_HEX_BYTES] = "", path[4200] = "";

    pf_digest_to_hex(digest, hex);
    snprintf(path, sizeof path, "%s/blobs/sha256/%.2s/%s", folder, hex, hex);
    return pf_file_exists(path);
}

/* With no patience at all the collector takes what nothing names, and leaves plans and the models of live jobs. */
static void only_what_nothing_names_is_collected(void **state)
{
    const char *const greedy[] = { "--blob-days", "0", "--blob-spare-ms", "0", NULL };
    daemon_process    d = { 0 };
    scripted_agent    agent = { .daemon = &d, .name = "a", .class_name = "cpu-test", .slots = 1 };
    pf_digest         built = { 0 }, waiting = { 0 }, waiting_file = { 0 }, stray = { 0 }, plan = { 0 };
    uint64_t          done = 0, live = 0;
    char              folder[4096] = "";
    Pf__JobStatus    *status = NULL;
    pf_peer          *client = NULL;

    (void)state;
    snprintf(folder, sizeof folder, "%s", daemon_fresh_state());
    daemon_start(&d, folder, quick);
    client = daemon_client(&d);
    built = http_put_model(&d, "built");
    waiting = http_put_model(&d, "waiting");
    pf_digest_of("waiting", 7, &waiting_file);
    assert_int_equal(http_put_blob(&d, "stray", 5, &stray), 201);
    scripted_agent_start(&agent);
    done = must_submit(client, 1, &built, "built");
    await_state(client, done, COMMITTED, 10);
    scripted_agent_stop(&agent);
    live = must_submit(client, 2, &waiting, "waiting");
    status = job_status(client, done);
    memcpy(plan.byte, status->plan_digest.data, sizeof plan.byte);
    pf__job_status__free_unpacked(status, NULL);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
    assert_true(blob_is_kept(folder, &built) && blob_is_kept(folder, &stray));
    daemon_start(&d, folder, greedy);
    /* a sweep goes blob by blob */
    for (int i = 0; i < 500 && (blob_is_kept(folder, &built) || blob_is_kept(folder, &stray)); i++)
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    assert_int_equal(get_blob(&d, &built), 404);
    assert_int_equal(get_blob(&d, &stray), 404);
    assert_int_equal(get_blob(&d, &plan), 200);
    assert_int_equal(get_blob(&d, &waiting), 200);
    assert_int_equal(get_blob(&d, &waiting_file), 200);
    client = daemon_client(&d);
    await_state(client, live, QUEUED, 5);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
}

/* Until they were gathered for the first time. */
static void await_metrics(const daemon_process *d)
{
    http_answer answer = { 0 };
    bool        there = false;

    for (int i = 0; i < 3000 && !there; i++) {
        http_request("GET", d->http, "/metrics", NULL, NULL, 0, &answer);
        there = answer.body.data && strstr((char *)answer.body.data, "planfarm_commit_seconds_count");
        http_answer_clear(&answer);
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    }
}

static void pages_over_http(void **state)
{
    static const struct { const char *method, *path; long code; const char *says; } rows[] = {
        { "GET", "/healthz", 200, "ok" },        { "GET", "/readyz", 200, "ok" },
        { "GET", "/keys", 200, "planfarm-key farm-1 " },
        { "GET", "/metrics", 200, "planfarm_jobs{state=\"queued\"} 0" },
        { "GET", "/metrics", 200, "planfarm_jobs{state=\"building\"} 0" },        /* as planfarm list calls it */
        { "GET", "/metrics", 200, "planfarm_commit_seconds_count" },
        { "GET", "/nothing", 404, "nothing" },   { "GET", "/", 404, "" },
        { "GET", "/blobs/sha256/xyz", 400, "" }, { "GET", "/blobs/sha256/../../lock", 400, "" },
        { "GET", "/plans/00", 400, "" },         { "DELETE", "/healthz", 405, "" },
        { "PUT", "/keys", 404, "" },
        { "GET", "/plans/ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", 404, "submit the model" },
    };
    daemon_process d = { 0 };

    (void)state;
    daemon_start(&d, daemon_fresh_state(), NULL);
    await_metrics(&d);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        http_answer answer;
        http_request(rows[i].method, d.http, rows[i].path, NULL, strcmp(rows[i].method, "PUT") == 0 ? "x" : NULL, 1,
                     &answer);
        if (answer.code != rows[i].code || !answer.body.data || !strstr((char *)answer.body.data, rows[i].says))
            fail_msg("%s %s: %ld %s", rows[i].method, rows[i].path, answer.code, (const char *)answer.body.data);
        http_answer_clear(&answer);
    }
    assert_int_equal(daemon_stop(&d), 0);
}

/* ---- strangers */

static int64_t first_error(void *socket)
{
    pf_message message = { 0 };
    zmq_msg_t  frame;
    int64_t    code = -1;

    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, socket, 0) >= 0 &&
        pf_wire_unpack(zmq_msg_data(&frame), zmq_msg_size(&frame), PF_ROLE_COORD, PF_ROLE_CLIENT, &message, NULL) ==
            PF_OK &&
        message.info->type == PF_MSG_ERROR)
        code = ((Pf__Error *)message.body)->exit_code;
    pf_message_clear(&message);
    zmq_msg_close(&frame);
    return code;
}

static void *raw_socket(void *context, const char *endpoint, const char *own_id)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int   wait_ms = 2000, linger = 0;

    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    if (own_id)
        zmq_setsockopt(socket, ZMQ_ROUTING_ID, own_id, strlen(own_id));
    assert_int_equal(zmq_connect(socket, endpoint), 0);
    return socket;
}

static void header_of(pf_buf *frame, pf_msg_type type, size_t body_bytes)
{
    pf_buf_reset(frame);
    pf_buf_put(frame, "PFRM", 4);
    pf_buf_put_u16(frame, PF_WIRE_VERSION);
    pf_buf_put_u16(frame, (uint16_t)type);
    pf_buf_put_u64(frame, 1);
    pf_buf_put_u64(frame, 0);
    for (int i = 0; i < 16; i++)
        pf_buf_put_u8(frame, 0);
    pf_buf_put_u32(frame, (uint32_t)body_bytes);
    pf_buf_put_u32(frame, 0);
    for (size_t i = 0; i < body_bytes; i++)
        pf_buf_put_u8(frame, 0xff);
}

/* A TCP connection that says nothing. */
static int connect_and_sit(const daemon_process *d)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)strtol(strrchr(d->client, ':') + 1, NULL, 10)) };
    int                fd = socket(AF_INET, SOCK_STREAM, 0);

    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void strangers_do_no_harm(void **state)
{
    static const struct { int type; size_t body_bytes; pf_status status; } rows[] = {
        { 9999, 0, PF_UNSUPPORTED },            { PF_MSG_HELLO, 0, PF_DENIED }, { PF_MSG_SUBMIT_REPLY, 0, PF_DENIED },
        { PF_MSG_INFO, 5000, PF_NO_SPACE },     { PF_MSG_STATUS, 100, PF_CORRUPT },
    };
    daemon_process     d = { 0 };
    void              *context = zmq_ctx_new(), *raw = NULL, *own = NULL;
    static uint8_t     large[2 << 20];
    pf_buf             frame = { 0 };
    int                tcp = -1;
    pf_peer           *client = NULL;
    pf_message         answer = { 0 };
    Pf__Info           info = PF__INFO__INIT;
    pf_err             err = { 0 };

    (void)state;
    daemon_start(&d, daemon_fresh_state(), NULL);
    pf_buf_init(&frame, 1 << 21);
    raw = raw_socket(context, d.client, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        header_of(&frame, (pf_msg_type)rows[i].type, rows[i].body_bytes);
        zmq_send(raw, frame.data, frame.size, 0);
        assert_int_equal(first_error(raw), pf_status_exit_code(rows[i].status));
    }
    zmq_send(raw, "garbage", 7, 0);
    zmq_send(raw, "", 0, 0);
    zmq_send(raw, "a", 1, ZMQ_SNDMORE);
    zmq_send(raw, "b", 1, 0);
    zmq_send(raw, large, sizeof large, 0);           /* over the limit: the connection is closed */
    own = raw_socket(context, d.client, "my own id");
    header_of(&frame, PF_MSG_INFO, 0);
    zmq_send(own, frame.data, frame.size, 0);
    assert_int_equal(first_error(own), -1);             /* not answered */
    tcp = connect_and_sit(&d);
    client = daemon_client(&d);
    test_ok(pf_peer_call(client, PF_MSG_INFO, &info.base, PF_MSG_INFO_REPLY, 10 * PF_NS_PER_S, &answer, &err), &err);
    assert_int_equal(((Pf__InfoReply *)answer.body)->n_key, 1);
    pf_message_clear(&answer);
    pf_peer_close(client);
    close(tcp);
    zmq_close(raw);
    zmq_close(own);
    zmq_ctx_term(context);
    pf_buf_clear(&frame);
    assert_int_equal(daemon_stop(&d), 0);
}

/* ---- limits */

/* A thousand descriptors are what a service starts with; each agent takes one. */
static void it_takes_all_descriptors_that_it_may_have(void **state)
{
    daemon_process d = { 0 };
    struct rlimit  all = { 0 }, few = { 0 }, seen = { 0 };

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    few = (struct rlimit){ .rlim_cur = 256, .rlim_max = all.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    daemon_start(&d, daemon_fresh_state(), NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    assert_int_equal(prlimit(d.pid, RLIMIT_NOFILE, NULL, &seen), 0);
    assert_int_equal(seen.rlim_cur, all.rlim_max);
    assert_int_equal(daemon_stop(&d), 0);
}

/* ---- starts that must fail */

static void bad_starts_say_why(void **state)
{
    const char *const everywhere[] = { "--listen", "0.0.0.0", NULL };
    const char *const nonsense[] = { "--listen", "nowhere", NULL };
    const char *const unknown[] = { "--colour", NULL }, *const port[] = { "--http-port", "70000", NULL };
    daemon_process    first = { 0 }, d = { 0 };
    char              folder[4096] = "", path[4200] = "";

    (void)state;
    snprintf(folder, sizeof folder, "%s", daemon_fresh_state());
    assert_int_equal(daemon_start_fails(&d, folder, everywhere), pf_status_exit_code(PF_DENIED));
    assert_int_equal(daemon_start_fails(&d, folder, nonsense), pf_status_exit_code(PF_DENIED));
    assert_int_equal(daemon_start_fails(&d, folder, unknown), pf_status_exit_code(PF_USAGE));
    assert_int_equal(daemon_start_fails(&d, folder, port), pf_status_exit_code(PF_USAGE));
    daemon_start(&first, folder, NULL);
    assert_int_equal(daemon_start_fails(&d, folder, NULL), pf_status_exit_code(PF_BUSY));
    assert_int_equal(daemon_stop(&first), 0);
    snprintf(path, sizeof path, "%s/format", folder);
    assert_int_equal(pf_file_write(path, "planfarm-state 99\n", 18, NULL), PF_OK);
    assert_int_equal(daemon_start_fails(&d, folder, NULL), pf_status_exit_code(PF_STALE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_becomes_a_plan),
        cmocka_unit_test(a_killed_coordinator_finds_its_jobs_and_agents_again),
        cmocka_unit_test(a_killed_agent_s_job_goes_to_another),
        cmocka_unit_test(cancelling_reaches_the_agent),
        cmocka_unit_test(blobs_over_http),
        cmocka_unit_test(only_what_nothing_names_is_collected),
        cmocka_unit_test(pages_over_http),
        cmocka_unit_test(strangers_do_no_harm),
        cmocka_unit_test(it_takes_all_descriptors_that_it_may_have),
        cmocka_unit_test(bad_starts_say_why),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
