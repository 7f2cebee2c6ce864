/* The HTTP API of a real coordinator: jobs from submit to plan, refusals, crashes, and that all of it is described. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "tests/farm/http_rig.h"

static void a_job_goes_from_submit_to_plan(void **state)
{
    scripted_agent agent = { .daemon = &api_daemon, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 50 * PF_NS_PER_MS };
    const char    *body = NULL, *key = NULL;
    json_t        *answer = NULL, *again = NULL, *plan = NULL;
    pf_digest      digest = { 0 };
    long long      job = 0;
    http_answer    manifest;
    char           path[160] = "";

    (void)state;
    body = api_submit_body(1, "onnx-1", "\"cpu\"", ", \"wait_for_class\": true, \"user\": \"ann\"");
    answer = api_ask("POST", "/jobs", body, 409);
    assert_int_equal(json_array_size(json_object_get(answer, "missing")), 1);
    json_decref(answer);
    assert_int_equal(http_put_blob(&api_daemon, "onnx-1", 6, &digest), 201);
    answer = api_ask("POST", "/jobs", body, 200);
    again = api_ask("POST", "/jobs", body, 200);
    assert_true(json_equal(json_object_get(answer, "submit_id"), json_object_get(again, "submit_id")));
    job = json_integer_value(json_object_get(api_first_job(answer), "job_id"));
    assert_int_equal(job, json_integer_value(json_object_get(api_first_job(again), "job_id")));
    json_decref(answer);
    json_decref(again);
    scripted_agent_start(&agent);
    api_await(job, "done");
    answer = api_ask("GET", "/plans?model=net&class=cpu", NULL, 200);
    plan = json_array_get(json_object_get(answer, "plans"), 0);
    assert_non_null(plan);
    key = api_text(plan, "plan_key");
    snprintf(path, sizeof path, "/plans/%s", key);
    http_request("GET", api_daemon.http, path, NULL, NULL, 0, &manifest);
    assert_int_equal(manifest.code, 200);
    assert_string_equal((char *)manifest.body.data, api_text(plan, "manifest"));
    http_answer_clear(&manifest);
    json_decref(answer);
    answer = api_ask("GET", "/agents", NULL, 200);
    assert_string_equal(api_text(json_array_get(json_object_get(answer, "agents"), 0), "name"), "a");
    assert_true(json_is_integer(json_object_get(answer, "more_agents")));
    assert_int_equal(json_integer_value(json_object_get(answer, "more_agents")), 0);
    assert_int_equal(json_integer_value(json_object_get(answer, "more_classes")), 0);
    assert_null(json_object_get(answer, "next_after"));
    json_decref(answer);
    answer = api_ask("GET", "/agents?limit=1&after=a", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(answer, "agents")), 0);
    assert_int_equal(json_array_size(json_object_get(answer, "classes")), 1);
    json_decref(answer);
    answer = api_ask("POST", "/jobs", api_submit_body(2, "onnx-1", "\"cpu\"", ""), 200);
    assert_true(json_is_true(json_object_get(api_first_job(answer), "hit")));
    json_decref(answer);
    scripted_agent_stop(&agent);
}

static void one_submit_may_name_several_classes(void **state)
{
    scripted_agent agent = { .daemon = &api_daemon, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 10 * PF_NS_PER_MS };
    json_t        *answer = NULL, *job = NULL;
    pf_digest      digest = { 0 };
    const char    *path = "/submits/00000000000000000000000000000005";

    (void)state;
    http_put_blob(&api_daemon, "onnx-2", 6, &digest);
    answer = api_ask("POST", "/jobs",
                     api_submit_body(5, "onnx-2", "\"cpu\", \"gpu-to-come\"", ", \"wait_for_class\": true"), 200);
    assert_int_equal(json_array_size(json_object_get(answer, "jobs")), 2);
    job = api_first_job(answer);
    scripted_agent_start(&agent);
    api_await(json_integer_value(json_object_get(job, "job_id")), "done");
    json_decref(answer);
    answer = api_ask("GET", path, NULL, 200);       /* one manifest for all */
    assert_int_equal(json_array_size(json_object_get(answer, "jobs")), 2);
    assert_int_equal(strlen(api_text(api_first_job(answer), "plan_sha256")), 64);
    assert_string_equal(api_text(json_array_get(json_object_get(answer, "jobs"), 1), "state"), "queued");
    assert_string_equal(api_text(json_array_get(json_object_get(answer, "jobs"), 1), "selector"), "gpu-to-come");
    assert_string_equal(api_text(json_array_get(json_object_get(answer, "jobs"), 1), "message"),
                        "waits for an agent: none ever declared such a class");
    json_decref(answer);
    answer = api_ask("POST", "/jobs", api_submit_body(6, "onnx-2", "\"cpi\"", ""), 404);
    assert_non_null(strstr(api_text(answer, "message"), "did you mean cpu?"));
    json_decref(answer);
    answer = api_ask("POST", "/jobs", api_submit_body(6, "onnx-2", "\"h100-sxm\"", ""), 404);
    assert_non_null(strstr(api_text(answer, "message"), "known are: cpu; --wait-for-class takes jobs"));
    json_decref(answer);
    answer = api_ask("DELETE", path, NULL, 200);
    assert_string_equal(api_text(json_array_get(json_object_get(answer, "jobs"), 1), "state"), "cancelled");
    json_decref(answer);
    scripted_agent_stop(&agent);
}

/* A class that was declared takes jobs while none of its agents is there; what nobody can build ends, and says why. */
static void jobs_wait_for_agents_and_say_so_when_none_comes(void **state)
{
    scripted_agent agent = { .daemon = &api_daemon, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 10 * PF_NS_PER_MS };
    long long      first = api_submit(80, "first"), waiting = 0, never = 0;
    json_t        *answer = NULL;
    pf_digest      digest = { 0 };

    (void)state;
    scripted_agent_start(&agent);
    api_await(first, "done");
    scripted_agent_stop(&agent);
    http_put_blob(&api_daemon, "second", 6, &digest);
    answer = api_ask("POST", "/jobs", api_submit_body(81, "second", "\"cpu\"", ""), 200);
    waiting = json_integer_value(json_object_get(api_first_job(answer), "job_id"));
    assert_string_equal(api_text(api_first_job(answer), "state"), "queued");
    json_decref(answer);
    answer = api_ask("POST", "/jobs",
                     api_submit_body(82, "second", "\"cpx\"", ", \"wait_for_class\": true, \"queue_timeout_s\": 1"),
                     200);
    never = json_integer_value(json_object_get(api_first_job(answer), "job_id"));
    json_decref(answer);
    api_await(never, "unsatisfiable");
    answer = api_ask("GET", api_job_path(never, ""), NULL, 200);
    assert_non_null(strstr(api_text(answer, "message"), "did you mean cpu?"));
    json_decref(answer);
    agent.stop = false;
    scripted_agent_start(&agent);
    api_await(waiting, "done");
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
    scripted_agent agent = { .daemon = &api_daemon, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 10 * PF_NS_PER_MS };
    scripted_agent other = { .daemon = &api_daemon, .name = "b", .class_name = "cpu", .hardware = " of another make",
                             .slots = 1 };
    int64_t        until = pf_clock_ns() + API_WAIT_S * PF_NS_PER_S;
    size_t         found = 0;
    pf_digest      digest = { 0 };

    (void)state;
    scripted_agent_start(&agent);
    api_await(api_submit(90, "metric"), "done");
    scripted_agent_stop(&agent);
    json_decref(api_ask("POST", "/jobs", api_submit_body(91, "metric", "\"cpu\"", ""), 200));
    http_put_blob(&api_daemon, "other", 5, &digest);
    json_decref(api_ask("POST", "/jobs", api_submit_body(92, "other", "\"cpu\"", ""), 200));
    scripted_agent_start(&other);
    scripted_agent_await(&other);
    scripted_agent_stop(&other);
    while (found < sizeof lines / sizeof lines[0]) {            /* the numbers are gathered once a second */
        http_answer answer;
        http_request("GET", api_daemon.http, "/metrics", NULL, NULL, 0, &answer);
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
        job[i] = api_submit(10 + i, onnx);
    }
    do {
        snprintf(path, sizeof path, "/jobs?limit=2&state=queued&before=%lld", before);
        page = api_ask("GET", path, NULL, 200);
        for (size_t i = 0; i < json_array_size(json_object_get(page, "jobs")); i++, seen++)
            assert_int_equal(json_integer_value(
                                 json_object_get(json_array_get(json_object_get(page, "jobs"), i), "job_id")),
                             job[4 - seen]);
        before = json_integer_value(json_object_get(page, "next_before"));
        assert_int_equal(before != 0, json_is_true(json_object_get(page, "more")));
        json_decref(page);
    } while (before);
    assert_int_equal(seen, 5);
    page = api_ask("DELETE", api_job_path(job[0], "?reason=not%20wanted"), NULL, 200);
    assert_string_equal(api_text(api_first_job(page), "state"), "cancelled");
    json_decref(page);
    page = api_ask("GET", "/jobs?state=cancelled,failed", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(page, "jobs")), 1);
    assert_string_equal(api_text(api_first_job(page), "message"), "not wanted");
    json_decref(page);
    api_refused("POST", api_job_path(job[1], "/kick"), "", 400, "INVALID");
}

#define BY_URL(url, more) \
    "{\"submit_id\": \"000000000000000000000000000000b0\", \"classes\": [\"cpu\"], \"wait_for_class\": true, " \
    "\"source\": {\"url\": \"" url "\", " more "}}"

static void what_is_wrong_is_said(void **state)
{
    static const struct { const char *method, *path, *body; long code; const char *error; } wrong[] = {
        { "GET", "/jobs/0", NULL, 400, "INVALID" },          { "GET", "/jobs/12x", NULL, 400, "INVALID" },
        { "GET", "/jobs/99999999999999999999", NULL, 400, "INVALID" },
        { "GET", "/jobs/7%00", NULL, 400, "INVALID" },       { "GET", "/jobs%00", NULL, 404, "NOT_FOUND" },
        { "GET", "/nothing", NULL, 404, "NOT_FOUND" },       { "POST", "/nothing", "{}", 405, "UNSUPPORTED" },
        { "GET", "/jobs/7", NULL, 404, "NOT_FOUND" },        { "GET", "/jobs/7/events", NULL, 404, "NOT_FOUND" },
        { "DELETE", "/jobs/7", NULL, 404, "NOT_FOUND" },     { "GET", "/submits/00", NULL, 400, "INVALID" },
        { "GET", "/submits/000000000000000000000000000000ff", NULL, 404, "NOT_FOUND" },
        { "GET", "/jobs?limit=0", NULL, 400, "INVALID" },    { "GET", "/agents?limit=0", NULL, 400, "INVALID" },
        { "GET", "/plans?model=none&limit=0", NULL, 400, "INVALID" },
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
        api_refused(wrong[i].method, wrong[i].path, wrong[i].body, wrong[i].code, wrong[i].error);
    http_put_blob(&api_daemon, "x", 1, &digest);
    json_decref(api_ask("POST", "/jobs", api_submit_body(30, "x", "\"cpu\"", ", \"wait_for_class\": true"), 200));
    /* the id again */
    api_refused("POST", "/jobs", api_submit_body(30, "x", "\"gpu\"", ", \"wait_for_class\": true"), 400, "INVALID");
    api_refused("POST", "/jobs", api_submit_body(31, "x", "\"cpu\"", ", \"priority\": 101"), 400, "INVALID");
    api_refused("POST", "/jobs", api_submit_body(31, "x", "", ""), 400, "INVALID");
    api_refused("POST", "/jobs", BY_URL("file:///etc/passwd", "\"max_bytes\": 5"), 400, "INVALID");
    api_refused("POST", "/jobs", BY_URL("https://host/m", "\"sha256\": \"aa\""), 400, "INVALID");
    api_refused("POST", "/jobs", BY_URL("https://host/m", "\"files\": []"), 400, "INVALID");
    api_refused("POST", "/jobs",
                BY_URL("https://host/m",
                       "\"sha256\": \"" API_NO_DIGEST "\", "
                       "\"files\": [{\"name\": \"../w\", \"sha256\": \"" API_NO_DIGEST "\"}]"),
                400, "INVALID");
    /* nothing is missing: agents fetch it */
    json_decref(api_ask("POST", "/jobs", BY_URL("https://host/m", "\"max_bytes\": 5"), 200));
    api_refused("POST", "/jobs", api_submit_body(31, "x", "\"a b\"", ", \"wait_for_class\": true"), 400, "INVALID");
    memset(large, ' ', sizeof large - 1);
    api_refused("POST", "/jobs", large, 413, "INVALID");
    http_request("POST", api_daemon.http, "/jobs", NULL, "{}", 2, &answer);  /* what another site's form could send */
    assert_int_equal(answer.code, 415);
    http_answer_clear(&answer);
}

static void what_was_answered_survives_a_kill(void **state)
{
    char      copy[4096] = "";
    long long job[8] = { 0 };

    (void)state;
    snprintf(copy, sizeof copy, "%s", api_daemon.state);
    for (int i = 0; i < 8; i++) {
        char onnx[16] = "";
        snprintf(onnx, sizeof onnx, "kill-%d", i);
        job[i] = api_submit(60 + i, onnx);
        daemon_kill(&api_daemon);
        daemon_start(&api_daemon, copy, api_arguments);
        assert_int_equal(api_submit(60 + i, onnx), job[i]);
        api_await(job[i], "queued");
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
        http_request(method, api_daemon.http, path, NULL, strcmp(method, "PUT") == 0 ? "a" : NULL, 1, &answer);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_job_goes_from_submit_to_plan, api_set_up, api_tear_down),
        cmocka_unit_test_setup_teardown(one_submit_may_name_several_classes, api_set_up, api_tear_down),
        cmocka_unit_test_setup_teardown(jobs_wait_for_agents_and_say_so_when_none_comes, api_set_up, api_tear_down),
        cmocka_unit_test_setup_teardown(metrics_tell_of_queues_commits_and_hits, api_set_up, api_tear_down),
        cmocka_unit_test_setup_teardown(jobs_are_listed_in_pages, api_set_up, api_tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_said, api_set_up, api_tear_down),
        cmocka_unit_test_setup_teardown(what_was_answered_survives_a_kill, api_set_up, api_tear_down),
        cmocka_unit_test_setup_teardown(what_is_described_is_served, api_set_up, api_tear_down),
    };
    return cmocka_run_group_tests(tests, api_begin, NULL);
}
