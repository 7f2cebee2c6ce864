/* A farm with keys: who is let in, what he may do, and how that ends (FARM: T22). */
#include "tests/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/file.h"
#include "proto/farm_key.h"
#include "proto/timing_remote.h"
#include "tests/farm/daemon.h"
#include "tests/farm/hello.h"

static pf_farm_key farm_key;
static pf_key_ring ring;
static char        state_folder[4096], ring_path[4200];
static daemon_process d;

/* Those that are in the ring from the start. */
static struct known { const char *name, *grants; pf_farm_key key; } known_keys[] = {
    { "known", "fetch", { { 0 } } },          { "reader", "fetch", { { 0 } } },      { "root", "admin", { { 0 } } },
    { "leaver", "admin", { { 0 } } },         { "agent-1", "agent:cpu-x", { { 0 } } },
    { "agent-2", "agent", { { 0 } } },
    { "no-agent", "submit", { { 0 } } },      { "writer", "submit,fetch", { { 0 } } },
    { "ann", "submit,fetch", { { 0 } } },
    { "bob", "submit,fetch", { { 0 } } },     { "watcher", "fetch,submit", { { 0 } } },
};

enum { KNOWN_KEYS = sizeof known_keys / sizeof known_keys[0] };

static void add_keys(void)
{
    pf_err err = { 0 };

    for (int i = 0; i < KNOWN_KEYS; i++) {
        struct known *k = &known_keys[i];
        test_ok(pf_farm_key_new(k->name, farm_key.public_key, &k->key, &err), &err);
        test_ok(pf_key_ring_grant(&ring, k->name, k->key.public_key, k->grants, &err), &err);
    }
    test_ok(pf_key_ring_write(&ring, ring_path, &err), &err);
}

static pf_farm_key key_of(const char *name)
{
    for (int i = 0; i < KNOWN_KEYS; i++)
        if (strcmp(known_keys[i].name, name) == 0)
            return known_keys[i].key;
    fail_msg("no key %s was made", name);
    return farm_key;
}

static int set_up(void **state)
{
    const char *const everywhere[] = { "--listen", "0.0.0.0", NULL };
    char              folder[4200] = "", path[4300] = "";
    pf_err            err = { 0 };

    (void)state;
    snprintf(state_folder, sizeof state_folder, "%s", test_path("state"));
    snprintf(folder, sizeof folder, "%s/keys", state_folder);
    snprintf(ring_path, sizeof ring_path, "%s/ring", folder);
    snprintf(path, sizeof path, "%s/farm.key", folder);
    test_ok(pf_dir_make(folder, &err), &err);
    test_ok(pf_farm_key_new("farm", "", &farm_key, &err), &err);
    test_ok(pf_farm_key_write(&farm_key, path, &err), &err);
    add_keys();
    daemon_start(&d, state_folder, everywhere);         /* with keys it may listen anywhere */
    snprintf(path, sizeof path, "http://127.0.0.1%s", strrchr(d.http, ':'));
    snprintf(d.http, sizeof d.http, "%s", path);
    snprintf(path, sizeof path, "tcp://127.0.0.1%s", strrchr(d.client, ':'));
    snprintf(d.client, sizeof d.client, "%s", path);
    snprintf(path, sizeof path, "tcp://127.0.0.1%s", strrchr(d.agent, ':'));
    snprintf(d.agent, sizeof d.agent, "%s", path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pf_key_ring_clear(&ring);
    assert_int_equal(daemon_stop(&d), 0);
    return 0;
}

static pf_peer *connect_with(const pf_farm_key *key, bool as_agent)
{
    pf_peer_options options = { .endpoint = as_agent ? d.agent : d.client,
                                .role = as_agent ? PF_ROLE_AGENT : PF_ROLE_CLIENT };
    pf_peer        *peer = NULL;
    pf_err          err = { 0 };

    if (key) {
        options.server_public_key = key->server_key;
        options.public_key = key->public_key;
        options.secret_key = key->secret_key;
    }
    test_ok(pf_peer_open(&options, &peer, &err), &err);
    return peer;
}

static pf_status ask_info(pf_peer *peer, int64_t timeout_ns)
{
    Pf__Info   info = PF__INFO__INIT;
    pf_message answer = { 0 };
    pf_status  st = pf_peer_call(peer, PF_MSG_INFO, &info.base, PF_MSG_INFO_REPLY, timeout_ns, &answer, NULL);

    pf_message_clear(&answer);
    return st;
}

static pf_status ask_drain(pf_peer *peer)
{
    Pf__Drain  drain = PF__DRAIN__INIT;
    pf_message answer = { 0 };
    pf_status  st = PF_OK;

    drain.agent = "nobody";
    st = pf_peer_call(peer, PF_MSG_DRAIN, &drain.base, PF_MSG_DRAIN_REPLY, 30 * PF_NS_PER_S, &answer, NULL);
    pf_message_clear(&answer);
    return st;
}

static void strangers_stay_outside(void **state)
{
    pf_farm_key unknown = { 0 }, known = key_of("known"), wrong_server = known;
    pf_peer    *peer = NULL;
    pf_err      err = { 0 };

    (void)state;
    peer = connect_with(&known, false);
    assert_int_equal(ask_info(peer, 30 * PF_NS_PER_S), PF_OK);
    pf_peer_close(peer);
    test_ok(pf_farm_key_new("unknown", farm_key.public_key, &unknown, &err), &err);
    peer = connect_with(&unknown, false);
    assert_int_equal(ask_info(peer, 800 * PF_NS_PER_MS), PF_UNREACHABLE);
    pf_peer_close(peer);
    peer = connect_with(NULL, false);           /* no CURVE at all */
    assert_int_equal(ask_info(peer, 800 * PF_NS_PER_MS), PF_UNREACHABLE);
    pf_peer_close(peer);
    memcpy(wrong_server.server_key, unknown.public_key, sizeof wrong_server.server_key);
    peer = connect_with(&wrong_server, false);  /* somebody who plays the farm is noticed */
    assert_int_equal(ask_info(peer, 800 * PF_NS_PER_MS), PF_UNREACHABLE);
    pf_peer_close(peer);
}

static void each_verb_needs_its_grant(void **state)
{
    pf_farm_key reader = key_of("reader"), admin = key_of("root");
    pf_peer    *peer = NULL;
    pf_digest   model = { { 1 } };
    uint8_t     id[PF_SUBMIT_ID_BYTES] = { 1 };
    uint64_t    job_id = 0;
    pf_err      err = { 0 };

    (void)state;
    peer = connect_with(&reader, false);
    assert_int_equal(ask_drain(peer), PF_DENIED);
    test_fails(try_submit(peer, id, &model, "m", "cpu", 30 * PF_NS_PER_S, &job_id, &err), PF_DENIED, &err);
    pf_peer_close(peer);
    peer = connect_with(&admin, false);
    assert_int_equal(ask_drain(peer), PF_NOT_FOUND);    /* allowed; there is no such agent */
    test_ok(try_submit(peer, id, &model, "m", "cpu", 30 * PF_NS_PER_S, &job_id, &err), &err);
    pf_peer_close(peer);
}

static void a_revoked_key_is_out_at_once(void **state)
{
    pf_farm_key key = key_of("leaver");
    pf_peer    *peer = NULL;
    pf_err      err = { 0 };

    (void)state;
    peer = connect_with(&key, false);
    assert_int_equal(ask_drain(peer), PF_NOT_FOUND);
    test_ok(pf_key_ring_revoke(&ring, "leaver", &err), &err);
    test_ok(pf_key_ring_write(&ring, ring_path, &err), &err);
    for (int i = 0; i < 600 && ask_drain(peer) != PF_DENIED; i++)       /* until the coordinator has read the ring */
        pf_clock_sleep_ns(100 * PF_NS_PER_MS);
    assert_int_equal(ask_drain(peer), PF_DENIED);       /* on the connection that was open */
    pf_peer_close(peer);
    peer = connect_with(&key, false);
    assert_int_equal(ask_info(peer, 800 * PF_NS_PER_MS), PF_UNREACHABLE);
    pf_peer_close(peer);
}

static pf_status hello(pf_peer *peer, const char *name, const char *class_name)
{
    class_hello h;
    pf_message  answer = { 0 };
    pf_status   st = PF_OK;

    class_hello_begin(&h, name, 7, "abi", class_name, class_name);
    st = pf_peer_call(peer, PF_MSG_HELLO, &h.hello.base, PF_MSG_HELLO_REPLY, 30 * PF_NS_PER_S, &answer, NULL);
    pf_message_clear(&answer);
    return st;
}

static pf_status store_timing(pf_peer *peer, const char *class_text)
{
    pf_timing_record record = { 0 };
    pf_timing_entry  entry = { .tactic = "t", .status = PF_TIMED, .sample_count = 1 };
    pf_status        st = PF_OK;

    assert_int_equal(pf_timing_record_put(&record, &entry, NULL), PF_OK);
    st = pf_timing_remote_store(peer, class_text, "problem", &record, 30 * PF_NS_PER_S, NULL);
    pf_timing_record_clear(&record);
    return st;
}

static void agents_keep_to_their_classes_and_names(void **state)
{
    pf_farm_key one = key_of("agent-1"), two = key_of("agent-2"), none = key_of("no-agent");
    pf_peer    *first = NULL, *second = NULL, *third = NULL;

    (void)state;
    first = connect_with(&one, true);
    second = connect_with(&two, true);
    third = connect_with(&none, true);
    assert_int_equal(hello(first, "host-1", "gpu-y"), PF_DENIED);
    assert_int_equal(hello(first, "host-1", "cpu-x"), PF_OK);
    assert_int_equal(hello(second, "host-1", "cpu-x"), PF_DENIED);     /* the name is taken */
    assert_int_equal(hello(second, "host-2", "gpu-y"), PF_OK);
    assert_int_equal(hello(third, "host-3", "cpu-x"), PF_DENIED);
    assert_int_equal(store_timing(first, "cpu-x"), PF_OK);
    assert_int_equal(store_timing(first, "gpu-y"), PF_DENIED);
    assert_int_equal(store_timing(second, "gpu-y"), PF_OK);
    assert_int_equal(store_timing(third, "cpu-x"), PF_DENIED);
    pf_peer_close(first);
    pf_peer_close(second);
    pf_peer_close(third);
}

/* ---- HTTP */

static long http_with(const char *method, const char *path, const char *token, const void *data, size_t bytes)
{
    char        line[400] = "";
    const char *headers[] = { line, NULL };
    http_answer answer;

    snprintf(line, sizeof line, "Authorization: Bearer %s", token ? token : "");
    http_request(method, d.http, path, token ? headers : NULL, data, bytes, &answer);
    http_answer_clear(&answer);
    return answer.code;
}

static void http_wants_a_token(void **state)
{
    static const char blob[] = "/blobs/sha256/ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
    pf_farm_key       writer = key_of("writer"), reader = key_of("reader"), other = { 0 };
    int64_t           now_s = pf_clock_wall_ns() / PF_NS_PER_S;
    char              token[PF_FARM_TOKEN_BYTES] = "";
    pf_err            err = { 0 };

    (void)state;
    assert_int_equal(http_with("GET", "/healthz", NULL, NULL, 0), 200);
    assert_int_equal(http_with("GET", "/keys", NULL, NULL, 0), 200);
    assert_int_equal(http_with("GET", "/metrics", NULL, NULL, 0), 401);
    assert_int_equal(http_with("PUT", blob, NULL, "a", 1), 401);
    assert_int_equal(http_with("GET", blob, NULL, NULL, 0), 401);
    test_ok(pf_farm_token_make(&reader, now_s, 60, token, &err), &err);
    assert_int_equal(http_with("PUT", blob, token, "a", 1), 403);
    assert_int_equal(http_with("GET", "/metrics", token, NULL, 0), 200);
    test_ok(pf_farm_token_make(&writer, now_s, 60, token, &err), &err);
    assert_int_equal(http_with("PUT", blob, token, "a", 1), 201);
    assert_int_equal(http_with("GET", blob, token, NULL, 0), 200);
    token[5] ^= 1;                      /* another name */
    assert_int_equal(http_with("GET", blob, token, NULL, 0), 401);
    test_ok(pf_farm_token_make(&writer, now_s - 120, 60, token, &err), &err);
    assert_int_equal(http_with("GET", blob, token, NULL, 0), 401);
    test_ok(pf_farm_key_new("writer", farm_key.public_key, &other, &err), &err);        /* the name, but not the key */
    test_ok(pf_farm_token_make(&other, now_s, 60, token, &err), &err);
    assert_int_equal(http_with("GET", blob, token, NULL, 0), 401);
    assert_int_equal(http_with("GET", blob, "nonsense", NULL, 0), 401);
}

/* The code of an API request with the token of that key. */
static long api_as(const char *name, const char *method, const char *path, const char *body)
{
    pf_farm_key key = key_of(name);
    char        token[PF_FARM_TOKEN_BYTES] = "", line[400] = "";
    const char *headers[] = { line, "Content-Type: application/json", NULL };
    http_answer answer;
    pf_err      err = { 0 };

    test_ok(pf_farm_token_make(&key, pf_clock_wall_ns() / PF_NS_PER_S, 60, token, &err), &err);
    snprintf(line, sizeof line, "Authorization: Bearer %s", token);
    http_request(method, d.http, path, headers, body, body ? strlen(body) : 0, &answer);
    http_answer_clear(&answer);
    return answer.code;
}

/* Every path of the API wants a token, and the grant that its message wants. */
static void the_api_wants_the_grants_of_its_messages(void **state)
{
    static const char body[] =
        "{\"submit_id\": \"000000000000000000000000000000c1\", \"classes\": [\"cpu-api\"], \"wait_for_class\": true, "
        "\"user\": \"root\", \"source\": {\"url\": \"https://host/m\"}}";
    static const struct { const char *method, *path; } all[] = {
        { "POST", "/jobs" }, { "GET", "/jobs" }, { "GET", "/jobs/1" }, { "DELETE", "/jobs/1" },
        { "POST", "/jobs/1/kick" },
        { "GET", "/jobs/1/events" }, { "GET", "/submits/000000000000000000000000000000c1" }, { "GET", "/agents" },
        { "GET", "/plans?model=m" }, { "DELETE", "/submits/000000000000000000000000000000c1" },
        { "GET", "/submits/000000000000000000000000000000c1/events" },
    };
    pf_peer       *peer = NULL;
    Pf__JobStatus *status = NULL;
    char           path[64] = "";
    uint64_t       job = 1;

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        assert_int_equal(http_with(all[i].method, all[i].path, NULL, NULL, 0), 401);
    assert_int_equal(api_as("reader", "POST", "/jobs", body), 403);
    assert_int_equal(api_as("reader", "GET", "/jobs", NULL), 200);
    assert_int_equal(api_as("no-agent", "GET", "/jobs", NULL), 403);    /* it may only submit */
    assert_int_equal(api_as("ann", "POST", "/jobs", body), 200);
    assert_int_equal(api_as("bob", "POST", "/jobs", body), 400);        /* another user: not the same submit */
    peer = connect_with(&known_keys[1].key, false);
    for (status = job_status(peer, job); status && strcmp(status->selector, "cpu-api") != 0;
         status = job_status(peer, ++job))
        pf__job_status__free_unpacked(status, NULL);
    assert_non_null(status);
    assert_string_equal(status->user, "ann");           /* whatever the body says */
    pf__job_status__free_unpacked(status, NULL);
    pf_peer_close(peer);
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)job);
    assert_int_equal(api_as("bob", "DELETE", path, NULL), 403);
    assert_int_equal(api_as("ann", "DELETE", path, NULL), 200);
    snprintf(path, sizeof path, "/jobs/%llu/kick", (unsigned long long)job);
    assert_int_equal(api_as("ann", "POST", path, ""), 403);
}

static void *watch_events(void *user)
{
    http_answer *answer = user;
    pf_farm_key  key = key_of("watcher");
    char         token[PF_FARM_TOKEN_BYTES] = "", line[400] = "";
    const char  *headers[] = { line, NULL };

    if (pf_farm_token_make(&key, pf_clock_wall_ns() / PF_NS_PER_S, 600, token, NULL) == PF_OK)
        snprintf(line, sizeof line, "Authorization: Bearer %s", token);
    http_request("GET", d.http, "/submits/000000000000000000000000000000d1/events", headers, NULL, 0, answer);
    return NULL;
}

/* Whether a client waits for events now. */
static bool somebody_watches(void)
{
    pf_farm_key key = key_of("reader");
    char        token[PF_FARM_TOKEN_BYTES] = "", line[400] = "";
    const char *headers[] = { line, NULL };
    http_answer answer;
    bool        watched = false;

    assert_int_equal(pf_farm_token_make(&key, pf_clock_wall_ns() / PF_NS_PER_S, 60, token, NULL), PF_OK);
    snprintf(line, sizeof line, "Authorization: Bearer %s", token);
    http_request("GET", d.http, "/metrics", headers, NULL, 0, &answer);
    watched = answer.body.data && strstr((char *)answer.body.data, "planfarm_watches 1");
    http_answer_clear(&answer);
    return watched;
}

/* A stream that a key opened ends when the key is revoked. */
static void a_revoked_key_hears_no_more(void **state)
{
    static const char body[] =
        "{\"submit_id\": \"000000000000000000000000000000d1\", \"classes\": [\"cpu-api\"], \"wait_for_class\": true, "
        "\"source\": {\"url\": \"https://host/watched\"}}";
    http_answer answer;
    pthread_t   thread;
    int64_t     until_ns = pf_clock_ns() + 20 * PF_NS_PER_S;
    pf_err      err = { 0 };

    (void)state;
    assert_int_equal(api_as("watcher", "POST", "/jobs", body), 200);
    assert_int_equal(pthread_create(&thread, NULL, watch_events, &answer), 0);
    while (!somebody_watches()) {
        assert_true(pf_clock_ns() < until_ns);
        pf_clock_sleep_ns(50 * PF_NS_PER_MS);
    }
    test_ok(pf_key_ring_revoke(&ring, "watcher", &err), &err);
    test_ok(pf_key_ring_write(&ring, ring_path, &err), &err);
    pthread_join(thread, NULL);         /* it is a stream of a job that waits for ever */
    assert_int_equal(answer.code, 200);
    assert_non_null(strstr((char *)answer.body.data, "event: error"));
    assert_non_null(strstr((char *)answer.body.data, "DENIED"));
    http_answer_clear(&answer);
}

static void the_user_is_who_the_key_says(void **state)
{
    pf_farm_key    ann = key_of("ann"), bob = key_of("bob");
    pf_peer       *peer = NULL;
    uint8_t        id[PF_SUBMIT_ID_BYTES] = { 42 };
    uint64_t       job_id = 0;
    char           token[PF_FARM_TOKEN_BYTES] = "", path[128] = "", text[160] = "", hex[PF_DIGEST_HEX_BYTES] = "";
    pf_digest      file = { 0 }, model = { 0 };
    Pf__JobStatus *status = NULL;
    Pf__Cancel     cancel = PF__CANCEL__INIT;
    pf_message     answer = { 0 };
    pf_err         err = { 0 };

    (void)state;
    test_ok(pf_farm_token_make(&ann, pf_clock_wall_ns() / PF_NS_PER_S, 60, token, &err), &err);
    pf_digest_of("onnx", 4, &file);
    pf_digest_to_hex(&file, hex);
    snprintf(path, sizeof path, "/blobs/sha256/%s", hex);
    assert_int_equal(http_with("PUT", path, token, "onnx", 4), 201);
    snprintf(text, sizeof text, "planfarm-model 1\n%s 4 model.onnx\n", hex);
    pf_digest_of(text, strlen(text), &model);
    pf_digest_to_hex(&model, hex);
    snprintf(path, sizeof path, "/blobs/sha256/%s", hex);
    assert_int_equal(http_with("PUT", path, token, text, strlen(text)), 201);
    peer = connect_with(&ann, false);
    test_ok(try_submit(peer, id, &model, "m", "cpu", 30 * PF_NS_PER_S, &job_id, &err), &err);
    status = job_status(peer, job_id);
    assert_string_equal(status->user, "ann");           /* the message said "tester" */
    pf__job_status__free_unpacked(status, NULL);
    pf_peer_close(peer);
    peer = connect_with(&bob, false);
    cancel.job_id = &job_id;
    cancel.n_job_id = 1;
    test_fails(pf_peer_call(peer, PF_MSG_CANCEL, &cancel.base, PF_MSG_CANCEL_REPLY, 30 * PF_NS_PER_S, &answer, &err),
               PF_DENIED, &err);
    pf_peer_close(peer);
    peer = connect_with(&ann, false);
    test_ok(pf_peer_call(peer, PF_MSG_CANCEL, &cancel.base, PF_MSG_CANCEL_REPLY, 30 * PF_NS_PER_S, &answer, &err),
            &err);
    pf_message_clear(&answer);
    pf_peer_close(peer);
}

/* ---- files */

static void key_files_are_private_and_whole(void **state)
{
    pf_farm_key key = { 0 }, again = { 0 };
    pf_key_ring read_back = { 0 };
    const char *path = test_path("some.key");
    char        grants[256] = "";
    pf_err      err = { 0 };

    (void)state;
    test_ok(pf_farm_key_new("some", farm_key.public_key, &key, &err), &err);
    test_ok(pf_farm_key_write(&key, path, &err), &err);
    test_fails(pf_farm_key_write(&key, path, &err), PF_BUSY, &err);
    test_ok(pf_farm_key_read(path, &again, &err), &err);
    assert_memory_equal(&key, &again, sizeof key);
    assert_int_equal(pf_file_write(path, "planfarm-farm-key 1\nname x\n", 27, NULL), PF_OK);
    assert_int_not_equal(pf_farm_key_read(path, &again, NULL), PF_OK);
    test_fails(pf_farm_key_new("a.b", "", &key, &err), PF_INVALID, &err);
    test_fails(pf_key_ring_grant(&ring, "x", "short", "fetch", &err), PF_INVALID, &err);
    test_fails(pf_key_ring_grant(&ring, "x", farm_key.public_key, "everything", &err), PF_INVALID, &err);
    test_ok(pf_key_ring_grant(&ring, "x", farm_key.public_key, "agent:a,agent:b,submit", &err), &err);
    test_ok(pf_key_ring_write(&ring, test_path("ring"), &err), &err);
    test_ok(pf_key_ring_read(test_path("ring"), &read_back, &err), &err);
    pf_ring_entry_grants(pf_key_ring_find(&read_back, "x"), grants, sizeof grants);
    assert_string_equal(grants, "submit,fetch,agent:a,agent:b");
    test_ok(pf_key_ring_revoke(&ring, "x", &err), &err);
    pf_key_ring_clear(&read_back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_stay_outside),
        cmocka_unit_test(each_verb_needs_its_grant),
        cmocka_unit_test(a_revoked_key_is_out_at_once),
        cmocka_unit_test(agents_keep_to_their_classes_and_names),
        cmocka_unit_test(http_wants_a_token),
        cmocka_unit_test(the_api_wants_the_grants_of_its_messages),
        cmocka_unit_test(a_revoked_key_hears_no_more),
        cmocka_unit_test(the_user_is_who_the_key_says),
        cmocka_unit_test(key_files_are_private_and_whole),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
