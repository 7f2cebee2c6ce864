#include "tests/farm/http_rig.h"

#include "tests/test.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

daemon_process api_daemon;
const char *const api_arguments[] = { "--lease-ttl-ms", "2000", "--heartbeat-ms", "200", "--backoff-ms", "100", NULL };

int api_begin(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    return curl_global_init(CURL_GLOBAL_DEFAULT);
}

int api_set_up(void **state)
{
    (void)state;
    memset(&api_daemon, 0, sizeof api_daemon);
    daemon_start(&api_daemon, daemon_fresh_state(), api_arguments);
    return 0;
}

int api_tear_down(void **state)
{
    (void)state;
    assert_int_equal(daemon_stop(&api_daemon), 0);
    return 0;
}

json_t *api_ask(const char *method, const char *path, const char *body, long code)
{
    static const char *const json_body[] = { "Content-Type: application/json", NULL };
    http_answer              answer;
    json_t                  *object = NULL;

    http_request(method, api_daemon.http, path, json_body, body, body ? strlen(body) : 0, &answer);
    if (answer.code != code)
        fail_msg("%s %s: %ld, not %ld: %s", method, path, answer.code, code,
                 answer.body.data ? (char *)answer.body.data : "");
    object = json_loadb((const char *)answer.body.data, answer.body.size, 0, NULL);
    if (!json_is_object(object))
        fail_msg("%s %s answers no JSON object: %s", method, path, answer.body.data ? (char *)answer.body.data : "");
    http_answer_clear(&answer);
    return object;
}

void api_refused(const char *method, const char *path, const char *body, long code, const char *error)
{
    json_t *object = api_ask(method, path, body, code);

    assert_string_equal(json_string_value(json_object_get(object, "error")), error);
    assert_true(strlen(json_string_value(json_object_get(object, "message"))) > 10);
    json_decref(object);
}

const char *api_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

json_t *api_first_job(const json_t *answer)
{
    json_t *job = json_array_get(json_object_get(answer, "jobs"), 0);

    assert_non_null(job);
    return job;
}

const char *api_submit_body(int id, const char *onnx, const char *classes, const char *more)
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

long long api_submit(int id, const char *onnx)
{
    pf_digest digest = { 0 };
    json_t   *answer = NULL;
    long long job = 0;

    http_put_blob(&api_daemon, onnx, strlen(onnx), &digest);
    answer = api_ask("POST", "/jobs", api_submit_body(id, onnx, "\"cpu\"", ", \"wait_for_class\": true"), 200);
    job = json_integer_value(json_object_get(api_first_job(answer), "job_id"));
    assert_true(job > 0);
    json_decref(answer);
    return job;
}

const char *api_job_path(long long job, const char *rest)
{
    static char path[4][96];
    static int  at;

    at = (at + 1) % 4;
    snprintf(path[at], sizeof path[at], "/jobs/%lld%s", job, rest);
    return path[at];
}

void api_await(long long job, const char *state)
{
    int64_t until = pf_clock_ns() + API_WAIT_S * PF_NS_PER_S;

    for (;;) {
        json_t *object = api_ask("GET", api_job_path(job, ""), NULL, 200);
        bool    there = strcmp(api_text(object, "state"), state) == 0;
        json_decref(object);
        if (there)
            return;
        if (pf_clock_ns() > until)
            fail_msg("job %lld does not become %s", job, state);
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    }
}
