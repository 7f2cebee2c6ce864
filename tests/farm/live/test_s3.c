/* Models by s3:// URLs through a whole farm: a server that checks every signature, an agent with credentials in its
   environment, and what a user is told when they are wrong. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/client/tiny_model.h"
#include "tests/farm/live/live.h"

static live  farm;
static pid_t server;
static FILE *said;

/* The server is another implementation of the signature, in Python; its standard output comes here. */
static int start_server(const char *folder)
{
    int  ends[2] = {-1, -1};
    char line[64] = "";

    assert_int_equal(pipe(ends), 0);
    server = fork();
    if (server == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        execlp("python3", "python3", SOURCE "/tests/farm/live/s3_server.py", folder, "models", "eu-test-1", "the id",
               "the/secret+", NULL);
        _exit(127);
    }
    close(ends[1]);
    said = fdopen(ends[0], "r");
    assert_non_null(said);
    assert_non_null(fgets(line, sizeof line, said));
    return atoi(line);
}

static void expect_request(const char *expected)
{
    char line[256] = "";

    assert_non_null(fgets(line, sizeof line, said));
    line[strcspn(line, "\n")] = 0;
    assert_string_equal(line, expected);
}

static void restart_agent(const char *key_id, const char *secret, const char *region)
{
    live_kill(&farm.agent, SIGINT);
    setenv("AWS_ACCESS_KEY_ID", key_id, 1);
    setenv("AWS_SECRET_ACCESS_KEY", secret, 1);
    setenv("AWS_REGION", region, 1);
    live_start_agent(&farm, "agent-a", 0);
}

static int set_up(void **state)
{
    char endpoint[64] = "";

    (void)state;
    mkdir(test_path("work"), 0777);
    mkdir(program_path("nets"), 0777);
    mkdir(program_path("nets/a b"), 0777);
    tiny_model_external(program_path("nets/a b/tiny+1=x.onnx"), "tiny.data");
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d/", start_server(test_path("work")));
    setenv("AWS_ENDPOINT_URL_S3", endpoint, 1);
    setenv("no_proxy", "127.0.0.1", 1);
    unsetenv("AWS_SESSION_TOKEN");
    setenv("XDG_CONFIG_HOME", test_path("config"), 1);
    live_start_coordinator(&farm);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    live_stop(&farm);
    kill(server, SIGTERM);
    while (waitpid(server, NULL, 0) < 0 && errno == EINTR)
        continue;
    fclose(said);
    return 0;
}

#define URL "s3://models/nets/a b/tiny+1=x.onnx"
#define SUBMIT(code, url, ...) \
    LIVE_JSON(&farm, code, "submit", url, "--gpu", "cpu", "--shapes", "x:1x3x16x16", "--effort", "0", "--wait", \
              __VA_ARGS__)

static void expect_failure(json_t *answer, const char *message)
{
    assert_string_equal(live_text(live_job(answer), "message"), message);
    assert_int_equal(live_number(live_job(answer), "attempt"), 1);
    json_decref(answer);
}

static void a_model_and_its_weights_come_from_a_bucket(void **state)
{
    json_t *answer = NULL;

    (void)state;
    restart_agent("the id", "the/secret+", "eu-test-1");
    answer = SUBMIT(0, URL, "--name", "bucket");
    assert_string_equal(live_text(live_job(answer), "state"), "done");
    json_decref(answer);
    expect_request("200 /models/nets/a%20b/tiny%2B1%3Dx.onnx");
    expect_request("200 /models/nets/a%20b/tiny.data");
    expect_failure(SUBMIT(66, "s3://models/nets/none.onnx", "--name", "none"),
                   "the model cannot be fetched: s3://models/nets/none.onnx answered 404");
    expect_request("404 /models/nets/none.onnx");
}

static void wrong_credentials_are_said(void **state)
{
    (void)state;
    restart_agent("the id", "another", "eu-test-1");
    expect_failure(SUBMIT(77, URL, "--name", "denied"),
                   "the model cannot be fetched: " URL " answered 403; AWS_ACCESS_KEY_ID and "
                   "AWS_SECRET_ACCESS_KEY of the agent's environment are not let in");
    expect_request("403 /models/nets/a%20b/tiny%2B1%3Dx.onnx");
    restart_agent("", "", "eu-test-1");
    expect_failure(SUBMIT(77, URL, "--name", "unsigned"),
                   "the model cannot be fetched: " URL " answered 403; the agent's environment "
                   "has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    expect_request("403 /models/nets/a%20b/tiny%2B1%3Dx.onnx");
    restart_agent("the id", "the/secret+", "elsewhere");
    expect_failure(SUBMIT(65, URL, "--name", "region"),
                   "the model cannot be fetched: " URL " answered 400; is AWS_REGION of the "
                   "agent's environment that of the bucket?");
    expect_request("400 /models/nets/a%20b/tiny%2B1%3Dx.onnx");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_and_its_weights_come_from_a_bucket),
        cmocka_unit_test(wrong_credentials_are_said),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
