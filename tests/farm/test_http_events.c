/* The HTTP API's streams of events: told once, gone on with, ended with the coordinator; readers that do not read. */
#include "tests/test.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "tests/farm/http_rig.h"

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
    snprintf(url, sizeof url, "%s%s", api_daemon.http, path);
    snprintf(line, sizeof line, "Last-Event-ID: %llu", (unsigned long long)after);
    if (after)
        headers = curl_slist_append(NULL, line);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)API_WAIT_S);
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
    address.sin_port = htons((uint16_t)atoi(strrchr(api_daemon.http, ':') + 1));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    assert_int_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
    return fd;
}

static void events_are_streamed_and_gone_on_with(void **state)
{
    scripted_agent agent = { .daemon = &api_daemon, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 600 * PF_NS_PER_MS };
    event_stream   all, rest, none, after_restart;
    char           copy[4096] = "";
    long long      job = api_submit(40, "events");

    (void)state;
    scripted_agent_start(&agent);
    stream(api_job_path(job, "/events"), 0, &all);          /* begun before the build, ended with it */
    assert_int_equal(all.code, 200);
    assert_true(all.states >= 3 && all.logs >= 1 && all.ends == 1 && all.gaps == 0);
    stream(api_job_path(job, "/events"), all.first_id, &rest);
    assert_true(rest.first_id > all.first_id);
    assert_int_equal(rest.last_id, all.last_id);
    stream("/submits/00000000000000000000000000000028/events", 0, &none);       /* the same by the submit's id */
    assert_int_equal(none.last_id, all.last_id);
    stream(api_job_path(job, "/events"), all.last_id, &none);
    assert_int_equal(none.states + none.logs + none.gaps, 0);
    assert_int_equal(none.ends, 1);
    scripted_agent_stop(&agent);
    snprintf(copy, sizeof copy, "%s", api_daemon.state);
    assert_int_equal(daemon_stop(&api_daemon), 0);
    daemon_start(&api_daemon, copy, api_arguments);
    stream(api_job_path(job, "/events"), 0, &after_restart);        /* they are gone, and that is said */
    assert_int_equal(after_restart.gaps, 1);
    assert_int_equal(after_restart.ends, 1);
}

/* By two names of one class a submit names a job twice; what happens to it is told once. */
static void a_job_that_is_named_twice_is_told_of_once(void **state)
{
    scripted_agent agent = { .daemon = &api_daemon, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 100 * PF_NS_PER_MS };
    event_stream   by_job, by_submit;
    pf_digest      digest = { 0 };
    json_t        *answer = NULL;

    (void)state;
    scripted_agent_start(&agent);
    scripted_agent_await(&agent);
    http_put_blob(&api_daemon, "twice", 5, &digest);
    answer = api_ask("POST", "/jobs", api_submit_body(0x45, "twice", "\"cpu\", \"cpu\"", ""), 200);
    stream(api_job_path(json_integer_value(json_object_get(api_first_job(answer), "job_id")), "/events"), 0, &by_job);
    stream("/submits/00000000000000000000000000000045/events", 0, &by_submit);
    assert_true(by_job.states >= 3 && by_job.ends == 1);
    assert_int_equal(by_submit.states, by_job.states);
    assert_int_equal(by_submit.logs, by_job.logs);
    assert_int_equal(by_submit.ends, 1);
    json_decref(answer);
    scripted_agent_stop(&agent);
}

static void deaf_readers_hold_nobody_up(void **state)
{
    scripted_agent agent = { .daemon = &api_daemon, .name = "a", .class_name = "cpu", .slots = 1,
                             .build_ns = 300 * PF_NS_PER_MS };
    int            fd[64];
    long long      first = api_submit(50, "deaf-0"), last = 0;

    (void)state;
    for (int i = 0; i < 64; i++)
        fd[i] = deaf_reader(api_job_path(first, "/events"));
    scripted_agent_start(&agent);
    last = api_submit(51, "deaf-1");
    api_await(first, "done");
    api_await(last, "done");
    for (int i = 0; i < 64; i++)
        close(fd[i]);
    scripted_agent_stop(&agent);
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
    int64_t   until = pf_clock_ns() + API_WAIT_S * PF_NS_PER_S;
    bool      watched = false;

    (void)state;
    snprintf(path, sizeof path, "%s", api_job_path(api_submit(70, "end"), "/events"));
    snprintf(copy, sizeof copy, "%s", api_daemon.state);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&reader[i], NULL, watch_for_the_end, path), 0);
    while (!watched) {
        http_answer answer;
        http_request("GET", api_daemon.http, "/metrics", NULL, NULL, 0, &answer);
        watched = strstr((char *)answer.body.data, "planfarm_watches 4") != NULL;
        http_answer_clear(&answer);
        assert_true(pf_clock_ns() < until);
        pf_clock_sleep_ns(50 * PF_NS_PER_MS);
    }
    assert_int_equal(daemon_stop(&api_daemon), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(reader[i], NULL);
    daemon_start(&api_daemon, copy, api_arguments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_are_streamed_and_gone_on_with, api_set_up, api_tear_down),
        cmocka_unit_test_setup_teardown(a_job_that_is_named_twice_is_told_of_once, api_set_up, api_tear_down),
        cmocka_unit_test_setup_teardown(deaf_readers_hold_nobody_up, api_set_up, api_tear_down),
        cmocka_unit_test_setup_teardown(streams_end_with_the_coordinator, api_set_up, api_tear_down),
    };
    return cmocka_run_group_tests(tests, api_begin, NULL);
}
