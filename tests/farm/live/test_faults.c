/* What happens to builds when something dies, is stopped or is full: nothing is lost, nothing is done twice, nothing is
   left. */
#include <dirent.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "engine/planfarm.h"
#include "tests/client/tiny_model.h"
#include "tests/farm/live/live.h"

enum { LAYERS = 5, SIDE = 96 };     /* of a build that takes some seconds */

static live farm;

static int set_up(void **state)
{
    *state = &farm;
    mkdir(test_path("work"), 0777);
    tiny_model(program_path("tiny.onnx"));
    live_start(&farm);
    return 0;
}

/* Submits a build that takes a while, of a model that no other test builds and none of whose layers was timed before,
   and waits until it is under way. */
static int64_t start_build(int number)
{
    char    name[32];
    json_t *answer = NULL;
    int64_t id = 0, until = pf_clock_ns() + 30 * PF_NS_PER_S;

    snprintf(name, sizeof name, "deep%d.onnx", number);
    tiny_model_deep(program_path(name), LAYERS, SIDE + 1 + number);
    answer = LIVE_JSON(&farm, 0, "submit", name, "--gpu", "cpu");
    id = live_number(live_job(answer), "job_id");
    json_decref(answer);
    answer = live_until(&farm, id, "building");
    while (strcmp(live_text(live_job(answer), "phase"), "tune") != 0) {
        json_decref(answer);
        if (pf_clock_ns() > until)
            fail_msg("job %lld does not begin to tune", (long long)id);
        answer = live_until(&farm, id, "building");
    }
    json_decref(answer);
    return id;
}

static json_t *job_of(int64_t id)
{
    char    text[24];
    json_t *answer = NULL, *job = NULL;

    snprintf(text, sizeof text, "%lld", (long long)id);
    answer = LIVE_JSON(&farm, 0, "status", text);
    job = json_incref(live_job(answer));
    json_decref(answer);
    return job;
}

static pid_t job_process(void)
{
    DIR           *dir = opendir("/proc");
    struct dirent *entry = NULL;
    pid_t          found = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char   path[300], line[256] = "";
        FILE  *file = NULL;
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        file = fopen(path, "r");
        if (!file)
            continue;
        if (fread(line, 1, sizeof line - 1, file) > 20 && strcmp(line, "planfarm-agent") == 0 &&
            strcmp(line + 15, "--job") == 0 && strstr(line + 21, test_folder()))
            found = (pid_t)atol(entry->d_name);
        fclose(file);
    }
    closedir(dir);
    return found;
}

static void no_build_runs(void)
{
    char word[512];

    snprintf(word, sizeof word, "--job %s", test_folder());
    live_nothing_runs(word);
}

static void a_killed_agent_costs_one_attempt(void **state)
{
    int64_t id = start_build(0);
    json_t *answer = NULL, *job = NULL;

    (void)state;
    live_kill(&farm.agent, SIGKILL);
    live_nothing_runs(test_path("farm/agent-a"));          /* the build's process died with it */
    live_start_agent(&farm, "agent-a", 0);
    answer = live_until(&farm, id, "done");
    job = live_job(answer);
    assert_int_equal(live_number(job, "attempt"), 2);
    assert_int_equal(live_number(job, "charged_attempts"), 1);
    /* it is done before the agent has cleaned up */
    for (int i = 0; i < 3000 && test_names_in(test_path("farm/agent-a/work")); i++)
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    assert_int_equal(test_names_in(test_path("farm/agent-a/work")), 0);
    json_decref(answer);
}

/* Changes a byte of the model's blob, where a coordinator or an agent keeps it. */
static void damage(const char *path)
{
    FILE *file = fopen(path, "r+");
    int   byte = 0;

    assert_non_null(file);
    byte = fgetc(file);
    assert_int_equal(fseek(file, 0, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 4, file), byte ^ 4);
    assert_int_equal(fclose(file), 0);
}

/* Another plan for each size. */
static json_t *submit_deep(int code, const char *workspace)
{
    return LIVE_JSON(&farm, code, "submit", "damaged.onnx", "--gpu", "cpu", "--wait", "--effort", "0", "--workspace",
                     workspace);
}

/* An agent that finds its copy damaged fetches it again; a coordinator that does misses it, and has it from the next
   submit. */
static void damaged_models_are_mended(void **state)
{
    char      hex[PF_DIGEST_HEX_BYTES], cached[4200], name[128];
    pf_digest digest = {0};
    uint64_t  bytes = 0;
    json_t   *answer = NULL;
    pf_err    err = {0};

    (void)state;
    tiny_model_deep(program_path("damaged.onnx"), 1, 96);
    test_ok(pf_file_digest(program_path("damaged.onnx"), &digest, &bytes, &err), &err);
    pf_digest_to_hex(&digest, hex);
    snprintf(name, sizeof name, "farm/agent-a/blobs/%s", hex);
    snprintf(cached, sizeof cached, "%s", test_path(name));
    json_decref(submit_deep(0, "1M"));
    damage(cached);
    answer = submit_deep(0, "2M");
    assert_int_equal(live_number(live_job(answer), "attempt"), 2);
    json_decref(answer);
    unlink(cached);
    damage(live_blob_path(hex));
    answer = submit_deep(66, "3M");
    assert_string_equal(live_text(live_job(answer), "state"), "failed");
    assert_non_null(strstr(live_text(live_job(answer), "message"), "submit the model again"));
    json_decref(answer);
    assert_false(pf_file_exists(live_blob_path(hex)));
    json_decref(submit_deep(0, "3M"));
    unlink(cached);
    assert_int_equal(truncate(live_blob_path(hex), 10), 0);
    pf_clock_sleep_ns(1500 * PF_NS_PER_MS);         /* for a second the coordinator believes what it saw */
    json_decref(submit_deep(0, "4M"));
}

static void a_killed_coordinator_loses_nothing(void **state)
{
    int64_t id = start_build(1);
    json_t *answer = NULL, *list = NULL;

    (void)state;
    live_kill(&farm.coordinator, SIGKILL);
    pf_clock_sleep_ns(200 * PF_NS_PER_MS);
    assert_true(job_process() > 0);             /* the build goes on without it */
    live_start_coordinator(&farm);
    answer = live_until(&farm, id, "done");
    assert_int_equal(live_number(live_job(answer), "attempt"), 1);
    list = LIVE_JSON(&farm, 0, "list", "--model", "deep1");
    assert_int_equal(json_array_size(json_object_get(list, "jobs")), 1);
    json_decref(list);
    json_decref(answer);
}

static void a_cancelled_build_ends_at_once(void **state)
{
    int64_t id = start_build(2), began = pf_clock_ns();
    char    text[24];
    json_t *answer = NULL;

    (void)state;
    snprintf(text, sizeof text, "%lld", (long long)id);
    answer = LIVE_JSON(&farm, 0, "cancel", text, "--reason", "no longer needed");
    json_decref(answer);
    answer = live_until(&farm, id, "cancelled");
    json_decref(answer);
    assert_true(pf_clock_ns() - began < 10 * PF_NS_PER_S);
    no_build_runs();
    answer = LIVE_JSON(&farm, 78, "watch", text);
    json_decref(answer);
}

static void wait_for_waiters(int64_t id, int64_t wanted)
{
    int64_t until = pf_clock_ns() + 60 * PF_NS_PER_S, seen = 0;

    while (seen < wanted && pf_clock_ns() < until) {
        json_t *job = job_of(id);
        seen = live_number(job, "waiters");
        json_decref(job);
    }
    assert_int_equal(seen, wanted);
}

/* Ctrl-C while waiting gives up the waiting, not the build. */
static void leaving_a_wait_leaves_the_build(void **state)
{
    json_t *answer = NULL;
    int64_t id = start_build(7);
    pid_t   waiting = program_start((const char *const[]){"submit", "deep7.onnx", "--gpu", "cpu", "--wait", NULL});
    pf_buf  said = {0};

    (void)state;
    wait_for_waiters(id, 2);
    kill(waiting, SIGINT);
    assert_int_equal(program_end(waiting), 130);
    test_ok(pf_file_read(test_path("started.txt"), 1 << 20, &said, NULL), NULL);
    assert_non_null(strstr((const char *)said.data, "planfarm: interrupted; the build goes on: planfarm watch "));
    assert_null(strstr((const char *)said.data, "cancelled"));
    pf_buf_clear(&said);
    answer = live_until(&farm, id, "done");
    assert_int_equal(live_number(live_job(answer), "attempt"), 1);
    json_decref(answer);
}

/* What comes while the build runs is what is stored when it has ended. */
static void a_log_is_followed_to_its_end(void **state)
{
    int64_t id = start_build(8);
    char    text[24];
    run     followed = {0}, whole = {0};

    (void)state;
    snprintf(text, sizeof text, "%lld", (long long)id);
    followed = RUN("logs", text, "-f");
    ended_with(&followed, 0);
    whole = RUN("logs", text);
    ended_with(&whole, 0);
    assert_true(whole.out_bytes > 0);
    assert_string_equal(followed.out, whole.out);
    program_clear(&followed);
    program_clear(&whole);
}

static void giving_up_one_submit_leaves_the_build_to_the_other(void **state)
{
    int64_t id = start_build(3);
    json_t *second = LIVE_JSON(&farm, 0, "submit", "deep3.onnx", "--gpu", "cpu"), *answer = NULL;

    (void)state;
    assert_int_equal(live_number(live_job(second), "job_id"), id);
    answer = LIVE_JSON(&farm, 0, "cancel", live_text(second, "submit_id"));
    json_decref(answer);
    answer = live_until(&farm, id, "done");
    json_decref(answer);
    json_decref(second);
}

static void a_crashed_build_is_told_and_tried_again(void **state)
{
    int64_t id = start_build(4);
    pid_t   process = job_process();
    json_t *answer = NULL;
    run     watched = {0};
    char    text[24];

    (void)state;
    assert_true(process > 0);
    kill(process, SIGABRT);
    answer = live_until(&farm, id, "done");
    assert_int_equal(live_number(live_job(answer), "attempt"), 2);
    json_decref(answer);
    snprintf(text, sizeof text, "%lld", (long long)id);
    watched = RUN("watch", text);
    ended_with(&watched, 0);
    if (!strstr(watched.err, "SIGABRT"))
        fail_msg("nobody says SIGABRT in\n%s", watched.err);
    program_clear(&watched);
}

static void a_stopped_agent_is_fenced(void **state)
{
    int64_t id = start_build(5);
    json_t *answer = NULL, *job = NULL;

    (void)state;
    kill(farm.agent, SIGSTOP);
    pf_clock_sleep_ns(2 * LIVE_TTL_MS * PF_NS_PER_MS);
    kill(farm.agent, SIGCONT);
    answer = live_until(&farm, id, "done");
    json_decref(answer);
    job = job_of(id);
    assert_int_equal(strlen(live_text(job, "plan_sha256")), 64);
    json_decref(job);
    no_build_runs();
}

static void an_agent_that_is_stopped_gives_its_builds_back(void **state)
{
    int64_t id = start_build(6);
    json_t *answer = NULL;

    (void)state;
    kill(farm.agent, SIGINT);
    assert_int_equal(live_wait(&farm.agent), 0);
    live_nothing_runs(test_path("farm/agent-a"));
    live_start_agent(&farm, "agent-a", 0);
    answer = live_until(&farm, id, "done");
    assert_int_equal(live_number(live_job(answer), "charged_attempts"), 0);
    json_decref(answer);
}

static void wait_for_agent_state(const char *wanted)
{
    int64_t until = pf_clock_ns() + 60 * PF_NS_PER_S;
    bool    seen = false;

    while (!seen && pf_clock_ns() < until) {
        json_t *answer = LIVE_JSON(&farm, 0, "agents"), *item = NULL;
        size_t  i = 0;

        json_array_foreach(json_object_get(answer, "agents"), i, item)
            seen = seen ||
                   (strcmp(live_text(item, "name"), "agent-a") == 0 && strcmp(live_text(item, "state"), wanted) == 0);
        json_decref(answer);
        pf_clock_sleep_ns(50 * PF_NS_PER_MS);
    }
    if (!seen)
        fail_msg("the agent is never %s", wanted);
}

/* A CPU of which cores were taken away is another device than the one that the agent offered. */
static void a_device_that_is_another_gets_no_builds(void **state)
{
    cpu_set_t before, one;
    json_t   *answer = NULL;
    int64_t   id = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(farm.agent, sizeof before, &before), 0);
    if (CPU_COUNT(&before) < 2)
        skip();
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(farm.agent, sizeof one, &one), 0);
    answer = LIVE_JSON(&farm, 0, "submit", "tiny.onnx", "--gpu", "cpu", "--shapes", "x:3x3x16x16");
    id = live_number(live_job(answer), "job_id");
    json_decref(answer);
    wait_for_agent_state("sick");
    assert_int_equal(sched_setaffinity(farm.agent, sizeof before, &before), 0);
    wait_for_agent_state("ready");
    answer = live_until(&farm, id, "done");
    assert_int_equal(live_number(live_job(answer), "attempt"), 2);
    json_decref(answer);
}

/* ---- planfarm is installed anew under an agent that runs */

/* Puts a library into the agent's folder of libraries, at once, as packages do. */
static void install(const void *data, size_t bytes)
{
    pf_err err = {0};

    test_ok(pf_dir_make(test_path("lib"), &err), &err);
    test_ok(pf_file_write(test_path("lib/libplanfarm.so.0"), data, bytes, &err), &err);
}

static void read_library(pf_buf *out)
{
    char   path[PATH_MAX];
    char  *slash = NULL;
    pf_err err = {0};

    snprintf(path, sizeof path - 40, "%s", getenv("PLANFARM"));
    slash = strrchr(path, '/');
    assert_non_null(slash);
    snprintf(slash, 40, "/engine/libplanfarm.so.0");
    test_ok(pf_file_read(path, SIZE_MAX, out, &err), &err);
}

/* The same library with another builder ABI. */
static void change_abi(pf_buf *library)
{
    static const char abi[] = PF_BUILDER_ABI;
    unsigned          changed = 0;

    for (uint8_t *at = library->data; at && at + sizeof abi <= library->data + library->size; at++) {
        at = memchr(at, abi[0], library->size - (size_t)(at - library->data));
        if (!at || at + sizeof abi > library->data + library->size)
            break;
        if (memcmp(at, abi, sizeof abi) == 0) {
            at[sizeof abi - 2] ^= 1;
            changed++;
        }
    }
    assert_true(changed > 0);
}

static void expect_retirement(int64_t job_id, const char *why)
{
    json_t *job = NULL;

    assert_int_equal(live_wait(&farm.agent), pf_status_exit_code(PF_STALE));
    job = job_of(job_id);
    assert_int_equal(live_number(job, "charged_attempts"), 0);
    json_decref(job);
    wait_for_agent_state("away");
    {
        json_t *answer = LIVE_JSON(&farm, 0, "agents"), *item = NULL;
        size_t  i = 0;
        json_array_foreach(json_object_get(answer, "agents"), i, item)
            if (strcmp(live_text(item, "name"), "agent-a") == 0)
                assert_non_null(strstr(live_text(item, "health"), why));
        json_decref(answer);
    }
}

/* Its builds would give other plans than were asked for, or none: it gives the job back, says why, and ends; started
   anew it builds with what is there now. */
static void an_agent_whose_library_was_replaced_gives_its_job_back(void **state)
{
    pf_buf  library = {0};
    json_t *answer = NULL;
    int64_t id = 0;

    (void)state;
    live_kill(&farm.agent, SIGINT);
    read_library(&library);
    install(library.data, library.size);
    setenv("LD_LIBRARY_PATH", test_path("lib"), 1);
    live_start_agent(&farm, "agent-a", 0);
    change_abi(&library);
    install(library.data, library.size);
    answer = LIVE_JSON(&farm, 0, "submit", "tiny.onnx", "--gpu", "cpu", "--shapes", "x:5x3x16x16");
    id = live_number(live_job(answer), "job_id");
    json_decref(answer);
    expect_retirement(id, "replaced under this agent by one of builder");
    live_start_agent(&farm, "agent-a", 0);
    answer = live_until(&farm, id, "done");
    json_decref(answer);
    install("no library", 10);
    unsetenv("LD_LIBRARY_PATH");
    answer = LIVE_JSON(&farm, 0, "submit", "tiny.onnx", "--gpu", "cpu", "--shapes", "x:6x3x16x16");
    id = live_number(live_job(answer), "job_id");
    json_decref(answer);
    expect_retirement(id, "replaced under this agent, which must be started anew");
    live_start_agent(&farm, "agent-a", 0);
    answer = live_until(&farm, id, "done");
    json_decref(answer);
    pf_buf_clear(&library);
}

static void an_agent_with_a_full_disk_says_so(void **state)
{
    json_t *answer = NULL;

    (void)state;
    live_kill(&farm.agent, SIGINT);
    if (!live_start_agent(&farm, "agent-full", 48 << 10)) {
        live_start_agent(&farm, "agent-a", 0);
        skip();
    }
    answer = LIVE_JSON(&farm, 72, "submit", "tiny.onnx", "--gpu", "cpu", "--shapes", "x:1x3x16x16", "--wait");
    assert_string_equal(live_text(live_job(answer), "state"), "quarantined");
    assert_string_equal(live_text(live_job(answer), "failure"), "resource");
    json_decref(answer);
    live_kill(&farm.agent, SIGINT);
    live_start_agent(&farm, "agent-a", 0);
    answer = LIVE_JSON(&farm, 0, "list", "--state", "quarantined");
    {
        char text[24];
        snprintf(text, sizeof text, "%lld", (long long)live_number(live_job(answer), "job_id"));
        json_decref(answer);
        answer = LIVE_JSON(&farm, 0, "kick", text);
        json_decref(answer);
        answer = LIVE_JSON(&farm, 0, "watch", text);
        assert_string_equal(live_text(live_job(answer), "state"), "done");
    }
    json_decref(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_agent_costs_one_attempt),
        cmocka_unit_test(damaged_models_are_mended),
        cmocka_unit_test(a_killed_coordinator_loses_nothing),
        cmocka_unit_test(a_cancelled_build_ends_at_once),
        cmocka_unit_test(leaving_a_wait_leaves_the_build),
        cmocka_unit_test(a_log_is_followed_to_its_end),
        cmocka_unit_test(giving_up_one_submit_leaves_the_build_to_the_other),
        cmocka_unit_test(a_crashed_build_is_told_and_tried_again),
        cmocka_unit_test(a_stopped_agent_is_fenced),
        cmocka_unit_test(an_agent_that_is_stopped_gives_its_builds_back),
        cmocka_unit_test(a_device_that_is_another_gets_no_builds),
        cmocka_unit_test(an_agent_whose_library_was_replaced_gives_its_job_back),
        cmocka_unit_test(an_agent_with_a_full_disk_says_so),
    };

    return cmocka_run_group_tests_name("farm faults", tests, set_up, live_end);
}
