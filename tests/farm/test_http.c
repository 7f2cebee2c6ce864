/* The HTTP API of a real coordinator: jobs from their submit to their plan, streams of events, refusals, crashes. */
#include "tests/test.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "tests/farm/scripted_agent.h"

enum { WAIT_S = 60 };

static daemon_process d;
static const char *const quick[] = { "--lease-ttl-ms", "2000", "--heartbeat-ms", "200", "--backoff-ms", "100", NULL };

static const char *fresh_state(void)
{
    static int count;
    char       name[32] = "";

    snprintf(name, sizeof name, "state%d", count++);
    return test_path(name);
}

static int set_up(void **state)
{
    (void)state;
    memset(&d, 0, sizeof d);
    daemon_start(&d, fresh_state(), quick);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(daemon_stop(&d), 0);
    return 0;
}

/* ---- asking */

/* One request and its JSON answer, which must come with this code; json_decref. */
static json_t *ask(const char *method, const char *path, const char *body, long code)
{
    static const char *const json_body[] = { "Content-Type: application/json", NULL };
    http_answer              answer;
    json_t                  *object = NULL;

    http_request(method, d.http, path, json_body, body, body ? strlen(body) : 0, &answer);
    if (answer.code != code)
        fail_msg("%s %s: %ld, not %ld: %s", method, path, answer.code, code,
                 answer.body.data ? (char *)answer.body.data : "");
    object = json_loadb((const char *)answer.body.data, answer.body.size, 0, NULL);
    if (!json_is_object(object))
        fail_msg("%s %s answers no JSON object: %s", method, path, answer.body.data ? (char *)answer.body.data : "");
    http_answer_clear(&answer);
    return object;
}

static void refused(const char *method, const char *path, const char *body, long code, const char *error)
{
    json_t *object = ask(method, path, body, code);

    assert_string_equal(json_string_value(json_object_get(object, "error")), error);
    assert_true(strlen(json_string_value(json_object_get(object, "message"))) > 10);
    json_decref(object);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static json_t *first_job(const json_t *answer)
{
    json_t *job = json_array_get(json_object_get(answer, "jobs"), 0);

    assert_non_null(job);
    return job;
}

/* The body of a submit of a model of one file; borrowed until the next call. */
static const char *submit_body(int id, const char *onnx, const char *classes, const char *more)
{
    static char text[1024];
    pf_digest   digest = { 0 };
    char        hex[PF_DIGEST_HEX_BYTES] = "";

    pf_digest_of(onnx, strlen(onnx), &digest);
    pf_digest_to_hex(&digest, hex);
    snprintf(text, sizeof text,
             "{\"submit_id\": \"%032x\", \"model\": \"net\", \"files\": [{\"name\": \"model.onnx\", \"sha256\": "
             "\"%s\", \"bytes\": %zu}], \"classes\": [%s]%s}",
             (unsigned)id, hex, strlen(onnx), classes, more);
    return text;
}

/* Puts the file and submits it; the number of the first job. */
static long long submitted(int id, const char *onnx)
{
    pf_digest digest = { 0 };
    json_t   *answer = NULL;
    long long job = 0;

    http_put_blob(&d, onnx, strlen(onnx), &digest);
    answer = ask("POST", "/jobs", submit_body(id, onnx, "\"cpu\"", ", \"wait_for_class\": true"), 200);
    job = json_integer_value(json_object_get(first_job(answer), "job_id"));
    assert_true(job > 0);
    json_decref(answer);
    return job;
}

static const char *job_path(long long job, const char *rest)
{
    static char path[4][96];
    static int  at;

    at = (at + 1) % 4;
    snprintf(path[at], sizeof path[at], "/jobs/%lld%s", job, rest);
    return path[at];
}

static void await(long long job, const char *state)
{
    int64_t until = pf_clock_ns() + WAIT_S * PF_NS_PER_S;

    for (;;) {
        json_t *object = ask("GET", job_path(job, ""), NULL, 200);
        bool    there = strcmp(text_of(object, "state"), state) == 0;
        json_decref(object);
        if (there)
            return;
        if (pf_clock_ns() > until)
            fail_msg("job %lld does not become %s", job, state);
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    }
}

/* ---- streams */

typedef struct event_stream {           /* what came, and what stood in it */
    pf_buf   text;
    long     code;
    uint64_t last_id, first_id;
    int      states, logs, gaps, ends;
} event_stream;

static size_t take_text(char *data, size_t size, size_t count, void *user)
{
    return pf_buf_put(user, data, size * count) ? size * count : 0;
}

static void read_events(event_stream *s)
{
    char *rest = NULL;
    char *copy = pf_strndup(s->text.data ? (char *)s->text.data : "", s->text.size);

    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "id: ", 4) == 0) {
            s->last_id = strtoull(line + 4, NULL, 10);
            s->first_id = s->first_id ? s->first_id : s->last_id;
        }
        s->states += strcmp(line, "event: state") == 0;
        s->logs += strcmp(line, "event: log") == 0;
        s->gaps += strcmp(line, "event: gap") == 0;
        s->ends += strcmp(line, "event: end") == 0;
        if (strncmp(line, "data: ", 6) == 0) {
            json_t *data = json_loads(line + 6, 0, NULL);
            assert_non_null(data);
            json_decref(data);
        }
    }
    pf_free(copy);
}

/* Reads the stream to its end; after: the event seen last, 0 from the start.  Answers what libcurl said. */
static CURLcode try_stream(const char *path, uint64_t after, event_stream *out)
{
    CURLcode           code = CURLE_OK;
    CURL              *curl = curl_easy_init();
    struct curl_slist *headers = NULL;
    char               url[256] = "", line[64] = "";

    memset(out, 0, sizeof *out);
    pf_buf_init(&out->text, 1 << 24);
    snprintf(url, sizeof url, "%s%s", d.http, path);
    snprintf(line, sizeof line, "Last-Event-ID: %llu", (unsigned long long)after);
    if (after)
        headers = curl_slist_append(NULL, line);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)WAIT_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_text);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &out->text);
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->code);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return code;
}

static void stream(const char *path, uint64_t after, event_stream *out)
{
    assert_int_equal(try_stream(path, after, out), CURLE_OK);
    read_events(out);
    pf_buf_clear(&out->text);
}

/* A connection that asks for a stream and never reads it. */
static int deaf_reader(const char *path)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char               text[256] = "";
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 2048;

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    address.sin_port = htons((uint16_t)atoi(strrchr(d.http, ':') + 1));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    assert_int_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
    return fd;
}

/* ---- tests */

static void a_job_goes_from_submit_to_plan(void **state)
{
    scripted_agent agent = { .daemon = &d, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 50 * PF_NS_PER_MS };
    const char    *body = NULL, *key = NULL;
    json_t        *answer = NULL, *again = NULL, *plan = NULL;
    pf_digest      digest = { 0 };
    long long      job = 0;
    http_answer    manifest;
    char           path[160] = "";

    (void)state;
    body = submit_body(1, "onnx-1", "\"cpu\"", ", \"wait_for_class\": true, \"user\": \"ann\"");
    answer = ask("POST", "/jobs", body, 409);
    assert_int_equal(json_array_size(json_object_get(answer, "missing")), 1);
    json_decref(answer);
    assert_int_equal(http_put_blob(&d, "onnx-1", 6, &digest), 201);
    answer = ask("POST", "/jobs", body, 200);
    again = ask("POST", "/jobs", body, 200);
    assert_true(json_equal(json_object_get(answer, "submit_id"), json_object_get(again, "submit_id")));
    job = json_integer_value(json_object_get(first_job(answer), "job_id"));
    assert_int_equal(job, json_integer_value(json_object_get(first_job(again), "job_id")));
    json_decref(answer);
    json_decref(again);
    scripted_agent_start(&agent);
    await(job, "done");
    answer = ask("GET", "/plans?model=net&class=cpu", NULL, 200);
    plan = json_array_get(json_object_get(answer, "plans"), 0);
    assert_non_null(plan);
    key = text_of(plan, "plan_key");
    snprintf(path, sizeof path, "/plans/%s", key);
    http_request("GET", d.http, path, NULL, NULL, 0, &manifest);
    assert_int_equal(manifest.code, 200);
    assert_string_equal((char *)manifest.body.data, text_of(plan, "manifest"));
    http_answer_clear(&manifest);
    json_decref(answer);
    answer = ask("GET", "/agents", NULL, 200);
    assert_string_equal(text_of(json_array_get(json_object_get(answer, "agents"), 0), "name"), "a");
    assert_true(json_is_integer(json_object_get(answer, "more_agents")));
    assert_int_equal(json_integer_value(json_object_get(answer, "more_agents")), 0);
    assert_int_equal(json_integer_value(json_object_get(answer, "more_classes")), 0);
    assert_null(json_object_get(answer, "next_after"));
    json_decref(answer);
    answer = ask("GET", "/agents?limit=1&after=a", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(answer, "agents")), 0);
    assert_int_equal(json_array_size(json_object_get(answer, "classes")), 1);
    json_decref(answer);
    answer = ask("POST", "/jobs", submit_body(2, "onnx-1", "\"cpu\"", ""), 200);
    assert_true(json_is_true(json_object_get(first_job(answer), "hit")));
    json_decref(answer);
    scripted_agent_stop(&agent);
}

static void one_submit_may_name_several_classes(void **state)
{
    scripted_agent agent = { .daemon = &d, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 10 * PF_NS_PER_MS };
    json_t        *answer = NULL, *job = NULL;
    pf_digest      digest = { 0 };
    const char    *path = "/submits/00000000000000000000000000000005";

    (void)state;
    http_put_blob(&d, "onnx-2", 6, &digest);
    answer = ask("POST", "/jobs", submit_body(5, "onnx-2", "\"cpu\", \"gpu-to-come\"", ", \"wait_for_class\": true"),
                 200);
    assert_int_equal(json_array_size(json_object_get(answer, "jobs")), 2);
    job = first_job(answer);
    scripted_agent_start(&agent);
    await(json_integer_value(json_object_get(job, "job_id")), "done");
    json_decref(answer);
    answer = ask("GET", path, NULL, 200);       /* one manifest for all */
    assert_int_equal(json_array_size(json_object_get(answer, "jobs")), 2);
    assert_int_equal(strlen(text_of(first_job(answer), "plan_sha256")), 64);
    assert_string_equal(text_of(json_array_get(json_object_get(answer, "jobs"), 1), "state"), "queued");
    assert_string_equal(text_of(json_array_get(json_object_get(answer, "jobs"), 1), "selector"), "gpu-to-come");
    assert_string_equal(text_of(json_array_get(json_object_get(answer, "jobs"), 1), "message"),
                        "waits for an agent: none ever declared such a class");
    json_decref(answer);
    answer = ask("POST", "/jobs", submit_body(6, "onnx-2", "\"cpi\"", ""), 404);
    assert_non_null(strstr(text_of(answer, "message"), "did you mean cpu?"));
    json_decref(answer);
    answer = ask("POST", "/jobs", submit_body(6, "onnx-2", "\"h100-sxm\"", ""), 404);
    assert_non_null(strstr(text_of(answer, "message"), "known are: cpu; --wait-for-class takes jobs"));
    json_decref(answer);
    answer = ask("DELETE", path, NULL, 200);
    assert_string_equal(text_of(json_array_get(json_object_get(answer, "jobs"), 1), "state"), "cancelled");
    json_decref(answer);
    scripted_agent_stop(&agent);
}

/* A class that was declared takes jobs while none of its agents is there; what nobody can build ends, and says why. */
static void jobs_wait_for_agents_and_say_so_when_none_comes(void **state)
{
    scripted_agent agent = { .daemon = &d, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 10 * PF_NS_PER_MS };
    long long      first = submitted(80, "first"), waiting = 0, never = 0;
    json_t        *answer = NULL;
    pf_digest      digest = { 0 };

    (void)state;
    scripted_agent_start(&agent);
    await(first, "done");
    scripted_agent_stop(&agent);
    http_put_blob(&d, "second", 6, &digest);
    answer = ask("POST", "/jobs", submit_body(81, "second", "\"cpu\"", ""), 200);
    waiting = json_integer_value(json_object_get(first_job(answer), "job_id"));
    assert_string_equal(text_of(first_job(answer), "state"), "queued");
    json_decref(answer);
    answer = ask("POST", "/jobs",
                 submit_body(82, "second", "\"cpx\"", ", \"wait_for_class\": true, \"queue_timeout_s\": 1"), 200);
    never = json_integer_value(json_object_get(first_job(answer), "job_id"));
    json_decref(answer);
    await(never, "unsatisfiable");
    answer = ask("GET", job_path(never, ""), NULL, 200);
    assert_non_null(strstr(text_of(answer, "message"), "did you mean cpu?"));
    json_decref(answer);
    agent.stop = false;
    scripted_agent_start(&agent);
    await(waiting, "done");
    scripted_agent_stop(&agent);
}

/* Two classes may share a name, but Prometheus takes no page on which a series comes twice. */
static void only_once(const char *text, const char *words)
{
    const char *at = strstr(text, words);

    assert_true(!at || !strstr(at + 1, words));
}

/* What an autoscaler and an alert look at, with what happened before in it. */
static void metrics_tell_of_queues_commits_and_hits(void **state)
{
    static const char *const lines[] = {
        "planfarm_queue_depth{class=\"cpu\"} 1\n", "planfarm_oldest_wait_seconds{class=\"cpu\"} ",
        "planfarm_estimated_device_seconds{class=\"cpu\"} ",
        "planfarm_commit_seconds_bucket{le=\"+Inf\"} ", "planfarm_ack_seconds_bucket{le=\"+Inf\"} ",
        "planfarm_plan_hits_total 1\n", "planfarm_submits_total 3\n", "planfarm_timing_hits_total 0\n",
    };
    scripted_agent agent = { .daemon = &d, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 10 * PF_NS_PER_MS };
    scripted_agent other = { .daemon = &d, .name = "b", .class_name = "cpu", .hardware = " of another make",
                             .slots = 1 };
    int64_t        until = pf_clock_ns() + WAIT_S * PF_NS_PER_S;
    size_t         found = 0;
    pf_digest      digest = { 0 };

    (void)state;
    scripted_agent_start(&agent);
    await(submitted(90, "metric"), "done");
    scripted_agent_stop(&agent);
    json_decref(ask("POST", "/jobs", submit_body(91, "metric", "\"cpu\"", ""), 200));
    http_put_blob(&d, "other", 5, &digest);
    json_decref(ask("POST", "/jobs", submit_body(92, "other", "\"cpu\"", ""), 200));
    scripted_agent_start(&other);
    scripted_agent_await(&other);
    scripted_agent_stop(&other);
    while (found < sizeof lines / sizeof lines[0]) {            /* the numbers are gathered once a second */
        http_answer answer;
        http_request("GET", d.http, "/metrics", NULL, NULL, 0, &answer);
        while (found < sizeof lines / sizeof lines[0] && strstr((char *)answer.body.data, lines[found]))
            found++;
        only_once((char *)answer.body.data, "\nplanfarm_queue_depth{class=\"cpu\"} ");
        http_answer_clear(&answer);
        if (pf_clock_ns() > until)
            fail_msg("/metrics has no line %s", lines[found]);
        pf_clock_sleep_ns(100 * PF_NS_PER_MS);
    }
}

static void jobs_are_listed_in_pages(void **state)
{
    json_t   *page = NULL;
    long long job[5] = { 0 }, before = 0;
    char      path[64] = "";
    int       seen = 0;

    (void)state;
    for (int i = 0; i < 5; i++) {
        char onnx[16] = "";
        snprintf(onnx, sizeof onnx, "page-%d", i);
        job[i] = submitted(10 + i, onnx);
    }
    do {
        snprintf(path, sizeof path, "/jobs?limit=2&state=queued&before=%lld", before);
        page = ask("GET", path, NULL, 200);
        for (size_t i = 0; i < json_array_size(json_object_get(page, "jobs")); i++, seen++)
            assert_int_equal(json_integer_value(
                                 json_object_get(json_array_get(json_object_get(page, "jobs"), i), "job_id")),
                             job[4 - seen]);
        before = json_integer_value(json_object_get(page, "next_before"));
        assert_int_equal(before != 0, json_is_true(json_object_get(page, "more")));
        json_decref(page);
    } while (before);
    assert_int_equal(seen, 5);
    page = ask("DELETE", job_path(job[0], "?reason=not%20wanted"), NULL, 200);
    assert_string_equal(text_of(first_job(page), "state"), "cancelled");
    json_decref(page);
    page = ask("GET", "/jobs?state=cancelled,failed", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(page, "jobs")), 1);
    assert_string_equal(text_of(first_job(page), "message"), "not wanted");
    json_decref(page);
    refused("POST", job_path(job[1], "/kick"), "", 400, "INVALID");
}

#define HEX "00000000000000000000000000000000000000000000000000000000000000ff"
#define BY_URL(url, more) \
    "{\"submit_id\": \"000000000000000000000000000000b0\", \"classes\": [\"cpu\"], \"wait_for_class\": true, " \
    "\"source\": {\"url\": \"" url "\", " more "}}"

static void what_is_wrong_is_said(void **state)
{
    static const struct { const char *method, *path, *body; long code; const char *error; } wrong[] = {
        { "GET", "/jobs/0", NULL, 400, "INVALID" },          { "GET", "/jobs/12x", NULL, 400, "INVALID" },
        { "GET", "/jobs/99999999999999999999", NULL, 400, "INVALID" },
        { "GET", "/jobs/7", NULL, 404, "NOT_FOUND" },        { "GET", "/jobs/7/events", NULL, 404, "NOT_FOUND" },
        { "DELETE", "/jobs/7", NULL, 404, "NOT_FOUND" },     { "GET", "/submits/00", NULL, 400, "INVALID" },
        { "GET", "/submits/000000000000000000000000000000ff", NULL, 404, "NOT_FOUND" },
        { "GET", "/jobs?limit=x", NULL, 400, "INVALID" },    { "GET", "/jobs?state=sleeping", NULL, 400, "INVALID" },
        { "GET", "/jobs?stat=queued", NULL, 400, "INVALID" },
        { "GET", "/plans", NULL, 400, "INVALID" },           { "GET", "/plans?model=none", NULL, 404, "NOT_FOUND" },
        { "GET", "/plans?model_sha256=12", NULL, 400, "INVALID" },
        { "GET", "/plans?model=none&before=12", NULL, 400, "INVALID" },
        { "GET", "/agents?limit=x", NULL, 400, "INVALID" },  { "GET", "/agents?after_class=1", NULL, 400, "INVALID" },
        { "GET", "/agents?after_class=ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", NULL, 404,
          "NOT_FOUND" },
        { "DELETE", "/jobs", NULL, 405, "UNSUPPORTED" },     { "DELETE", "/agents", NULL, 405, "UNSUPPORTED" },
        { "POST", "/jobs", "", 400, "INVALID" },             { "POST", "/jobs", "[]", 400, "INVALID" },
        { "POST", "/jobs", "{\"submit_id\": 1}", 400, "INVALID" },
        { "POST", "/jobs", "{\"submit_id\": \"00000000000000000000000000000001\"}", 400, "INVALID" },
        { "POST", "/jobs", "{\"colour\": \"red\"}", 400, "INVALID" },
        { "POST", "/jobs", "{\"submit_id\": \"a\", \"submit_id\": \"b\"}", 400, "INVALID" },
    };
    static char large[600 << 10];
    pf_digest   digest = { 0 };
    http_answer answer;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refused(wrong[i].method, wrong[i].path, wrong[i].body, wrong[i].code, wrong[i].error);
    http_put_blob(&d, "x", 1, &digest);
    json_decref(ask("POST", "/jobs", submit_body(30, "x", "\"cpu\"", ", \"wait_for_class\": true"), 200));
    /* the id again */
    refused("POST", "/jobs", submit_body(30, "x", "\"gpu\"", ", \"wait_for_class\": true"), 400, "INVALID");
    refused("POST", "/jobs", submit_body(31, "x", "\"cpu\"", ", \"priority\": 101"), 400, "INVALID");
    refused("POST", "/jobs", submit_body(31, "x", "", ""), 400, "INVALID");
    refused("POST", "/jobs", BY_URL("file:///etc/passwd", "\"max_bytes\": 5"), 400, "INVALID");
    refused("POST", "/jobs", BY_URL("https://host/m", "\"sha256\": \"aa\""), 400, "INVALID");
    refused("POST", "/jobs", BY_URL("https://host/m", "\"files\": []"), 400, "INVALID");
    refused("POST", "/jobs",
            BY_URL("https://host/m",
                   "\"sha256\": \"" HEX "\", \"files\": [{\"name\": \"../w\", \"sha256\": \"" HEX "\"}]"),
            400, "INVALID");
    /* nothing is missing: agents fetch it */
    json_decref(ask("POST", "/jobs", BY_URL("https://host/m", "\"max_bytes\": 5"), 200));
    refused("POST", "/jobs", submit_body(31, "x", "\"a b\"", ", \"wait_for_class\": true"), 400, "INVALID");
    memset(large, ' ', sizeof large - 1);
    refused("POST", "/jobs", large, 413, "INVALID");
    http_request("POST", d.http, "/jobs", NULL, "{}", 2, &answer);      /* what a form of another site could send */
    assert_int_equal(answer.code, 415);
    http_answer_clear(&answer);
}

static void events_are_streamed_and_gone_on_with(void **state)
{
    scripted_agent agent = { .daemon = &d, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 600 * PF_NS_PER_MS };
    event_stream   all, rest, none, after_restart;
    char           copy[4096] = "";
    long long      job = submitted(40, "events");

    (void)state;
    scripted_agent_start(&agent);
    stream(job_path(job, "/events"), 0, &all);          /* begun before the build, ended with it */
    assert_int_equal(all.code, 200);
    assert_true(all.states >= 3 && all.logs >= 1 && all.ends == 1 && all.gaps == 0);
    stream(job_path(job, "/events"), all.first_id, &rest);
    assert_true(rest.first_id > all.first_id);
    assert_int_equal(rest.last_id, all.last_id);
    stream("/submits/00000000000000000000000000000028/events", 0, &none);       /* the same by the submit's id */
    assert_int_equal(none.last_id, all.last_id);
    stream(job_path(job, "/events"), all.last_id, &none);
    assert_int_equal(none.states + none.logs + none.gaps, 0);
    assert_int_equal(none.ends, 1);
    scripted_agent_stop(&agent);
    snprintf(copy, sizeof copy, "%s", d.state);
    assert_int_equal(daemon_stop(&d), 0);
    daemon_start(&d, copy, quick);
    stream(job_path(job, "/events"), 0, &after_restart);        /* they are gone, and that is said */
    assert_int_equal(after_restart.gaps, 1);
    assert_int_equal(after_restart.ends, 1);
}

/* By two names of one class a submit names a job twice; what happens to it is told once. */
static void a_job_that_is_named_twice_is_told_of_once(void **state)
{
    scripted_agent agent = { .daemon = &d, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 100 * PF_NS_PER_MS };
    event_stream   by_job, by_submit;
    pf_digest      digest = { 0 };
    json_t        *answer = NULL;

    (void)state;
    scripted_agent_start(&agent);
    scripted_agent_await(&agent);
    http_put_blob(&d, "twice", 5, &digest);
    answer = ask("POST", "/jobs", submit_body(0x45, "twice", "\"cpu\", \"cpu\"", ""), 200);
    stream(job_path(json_integer_value(json_object_get(first_job(answer), "job_id")), "/events"), 0, &by_job);
    stream("/submits/00000000000000000000000000000045/events", 0, &by_submit);
    assert_true(by_job.states >= 3 && by_job.ends == 1);
    assert_int_equal(by_submit.states, by_job.states);
    assert_int_equal(by_submit.logs, by_job.logs);
    assert_int_equal(by_submit.ends, 1);
    json_decref(answer);
    scripted_agent_stop(&agent);
}

/* A request from 127.0.0.<host> that is never finished, but for the headers that are given. */
static int begin_request(int host, const char *text, size_t bytes)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000u + (unsigned)host) };
    struct timeval     wait = { .tv_sec = WAIT_S };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)atoi(strrchr(d.http, ':') + 1));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    for (size_t at = 0; at < bytes;) {
        ssize_t sent = send(fd, text + at, bytes - at, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        at += (size_t)sent;
    }
    return fd;
}

/* The code of what comes back; 0: the connection ended. */
static int code_of(int fd)
{
    char    line[64] = "";
    ssize_t bytes = recv(fd, line, sizeof line - 1, 0);

    close(fd);
    return bytes > 12 && strncmp(line, "HTTP/1.1 ", 9) == 0 ? atoi(line + 9) : 0;
}

/* More than there are connections, all of one address: it is served itself, others are, and memory stays. */
static void requests_that_never_end_take_no_farm_down(void **state)
{
    enum { SLOW = 600 };
    static const char part[] = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-More: ";
    static const char whole[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    int               fd[SLOW];
    long              before_kib = daemon_resident_kib(&d);

    (void)state;
    for (int i = 0; i < SLOW; i++)
        fd[i] = begin_request(1, part, sizeof part - 1);
    assert_int_equal(code_of(begin_request(2, whole, sizeof whole - 1)), 200);
    for (int i = 0; i < 20; i++)
        assert_int_equal(code_of(begin_request(1, whole, sizeof whole - 1)), 200);
    assert_true(daemon_resident_kib(&d) < before_kib + (300 << 10));
    for (int i = 0; i < SLOW; i++)
        close(fd[i]);
}

static void hostile_requests_are_refused(void **state)
{
    static const char *const texts[] = {
        "GET /blobs/sha256/../../keys/farm.key HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /blobs/sha256/%2e%2e%2f%2e%2e%2fkeys%2ffarm.key HTTP/1.1\r\nHost: x\r\n\r\n",
        "PUT /blobs/sha256/../../db/data.mdb HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
        "PUT /blobs/sha256/" HEX " HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "PUT /blobs/sha256/" HEX " HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /plans/\x01\x02 HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x01\r\n\r\n",
        "GET\r\n\r\n",
    };
    size_t bytes = 1 << 20;
    char  *header = test_malloc(bytes);
    int    code = 0;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        code = code_of(begin_request(1, texts[i], strlen(texts[i])));
        if (code && (code < 400 || code >= 500))
            fail_msg("%s: %d", texts[i], code);
    }
    memset(header, 'a', bytes);
    memcpy(header, "GET /healthz HTTP/1.1\r\nX-Large: ", strlen("GET /healthz HTTP/1.1\r\nX-Large: "));
    code = code_of(begin_request(1, header, bytes));
    assert_true(code == 0 || (code >= 400 && code < 500));
    json_decref(ask("GET", "/jobs", NULL, 200));
    test_free(header);
}

static void deaf_readers_hold_nobody_up(void **state)
{
    scripted_agent agent = { .daemon = &d, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 300 * PF_NS_PER_MS };
    int            fd[64];
    long long      first = submitted(50, "deaf-0"), last = 0;

    (void)state;
    for (int i = 0; i < 64; i++)
        fd[i] = deaf_reader(job_path(first, "/events"));
    scripted_agent_start(&agent);
    last = submitted(51, "deaf-1");
    await(first, "done");
    await(last, "done");
    for (int i = 0; i < 64; i++)
        close(fd[i]);
    scripted_agent_stop(&agent);
}

static void what_was_answered_survives_a_kill(void **state)
{
    char      copy[4096] = "";
    long long job[8] = { 0 };

    (void)state;
    snprintf(copy, sizeof copy, "%s", d.state);
    for (int i = 0; i < 8; i++) {
        char onnx[16] = "";
        snprintf(onnx, sizeof onnx, "kill-%d", i);
        job[i] = submitted(60 + i, onnx);
        daemon_kill(&d);
        daemon_start(&d, copy, quick);
        assert_int_equal(submitted(60 + i, onnx), job[i]);
        await(job[i], "queued");
    }
}

/* ---- docs/openapi.yaml */

typedef struct described { char method[8], path[96]; } described;

/* "  /path:" and "    method:" of its paths. */
static int read_description(described *list, int limit)
{
    FILE *file = fopen(OPENAPI, "r");
    char  line[512] = "", path[96] = "", word[96] = "", colon = 0;
    int   count = 0;

    assert_non_null(file);
    while (fgets(line, sizeof line, file) && strncmp(line, "components:", 11) != 0) {
        if (sscanf(line, "  /%94[^:]:", word) == 1 && line[2] == '/')
            snprintf(path, sizeof path, "/%.90s", word);
        if (line[4] == ' ' || sscanf(line, "    %7[a-z]%c", word, &colon) != 2 || colon != ':' || !path[0])
            continue;           /* "parameters" is longer than any method */
        assert_true(count < limit);
        snprintf(list[count].method, sizeof list[count].method, "%.7s", word);
        snprintf(list[count++].path, sizeof list[count].path, "%s", path);
    }
    fclose(file);
    return count;
}

/* The path with something for each {name}. */
static void example_of(const char *path, char out[256])
{
    static const struct { const char *name, *value; } names[] = {
        { "{job}", "1" }, { "{submit}", "00000000000000000000000000000001" },
        { "{key}", "00000000000000000000000000000000000000000000000000000000000000aa" },
        { "{digest}", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" },
    };
    const char *open = strchr(path, '{');

    snprintf(out, 256, "%s", path);
    for (size_t i = 0; open && i < sizeof names / sizeof names[0]; i++)
        if (strncmp(open, names[i].name, strlen(names[i].name)) == 0)
            snprintf(out, 256, "%.*s%s%s", (int)(open - path), path, names[i].value, open + strlen(names[i].name));
    assert_null(strchr(out, '{'));
}

static void what_is_described_is_served(void **state)
{
    static const struct { const char *method, *path; } served[] = {
#define PF_API(method, path, name, type, reply) { #method, path },
#include "coordinator/api.def"
#undef PF_API
    };
    described list[64];
    int       count = read_description(list, 64);

    (void)state;
    assert_true(count > 10);
    for (int i = 0; i < count; i++) {
        char        path[256] = "", method[8] = "";
        http_answer answer;
        for (int k = 0; list[i].method[k]; k++)
            method[k] = (char)(list[i].method[k] - 'a' + 'A');
        example_of(list[i].path, path);
        http_request(method, d.http, path, NULL, strcmp(method, "PUT") == 0 ? "a" : NULL, 1, &answer);
        if (answer.code < 200 || answer.code == 405 || answer.code >= 500 ||
            (answer.code == 404 && strstr((char *)answer.body.data, "nothing at this path")))
            fail_msg("%s %s is described, but answers %ld", method, path, answer.code);
        http_answer_clear(&answer);
    }
    for (size_t s = 0; s < sizeof served / sizeof served[0]; s++) {
        bool there = false;
        for (int i = 0; i < count; i++)
            there |= strcasecmp(list[i].method, served[s].method) == 0 && strcmp(list[i].path, served[s].path) == 0;
        if (!there)
            fail_msg("%s %s is served, but not described in docs/openapi.yaml", served[s].method, served[s].path);
    }
}

static void *watch_for_the_end(void *user)
{
    event_stream s;

    try_stream(user, 0, &s);        /* cut off or ended, but over */
    pf_buf_clear(&s.text);
    return NULL;
}

/* A coordinator that ends while streams are open ends cleanly, and so do they. */
static void streams_end_with_the_coordinator(void **state)
{
    pthread_t reader[4];
    char      path[96] = "", copy[4096] = "";
    int64_t   until = pf_clock_ns() + WAIT_S * PF_NS_PER_S;
    bool      watched = false;

    (void)state;
    snprintf(path, sizeof path, "%s", job_path(submitted(70, "end"), "/events"));
    snprintf(copy, sizeof copy, "%s", d.state);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&reader[i], NULL, watch_for_the_end, path), 0);
    while (!watched) {
        http_answer answer;
        http_request("GET", d.http, "/metrics", NULL, NULL, 0, &answer);
        watched = strstr((char *)answer.body.data, "planfarm_watches 4") != NULL;
        http_answer_clear(&answer);
        assert_true(pf_clock_ns() < until);
        pf_clock_sleep_ns(50 * PF_NS_PER_MS);
    }
    assert_int_equal(daemon_stop(&d), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(reader[i], NULL);
    daemon_start(&d, copy, quick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_job_goes_from_submit_to_plan, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_submit_may_name_several_classes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(jobs_wait_for_agents_and_say_so_when_none_comes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(metrics_tell_of_queues_commits_and_hits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(jobs_are_listed_in_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_are_streamed_and_gone_on_with, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_job_that_is_named_twice_is_told_of_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_that_never_end_take_no_farm_down, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hostile_requests_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deaf_readers_hold_nobody_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_answered_survives_a_kill, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_described_is_served, set_up, tear_down),
        cmocka_unit_test_setup_teardown(streams_end_with_the_coordinator, set_up, tear_down),
    };
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
