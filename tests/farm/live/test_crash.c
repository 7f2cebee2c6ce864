/* A vendor's library that crashes or hangs: the build dies of it, and the next attempt does without that candidate. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "builder-agent/timing_home.h"
#include "tests/client/tiny_model.h"
#include "tests/farm/live/live.h"

/* As many as make a job poison when it is charged for each, and two more. */
static const char crashes[] = "12345";

static live farm;

static int set_up(void **state)
{
    *state = &farm;
    mkdir(test_path("work"), 0777);
    tiny_model_deep(program_path("deep.onnx"), 3, 24);
    test_ok(pf_file_write(test_path("budget"), crashes, strlen(crashes), NULL), NULL);
    setenv("CRASH_BUDGET", test_path("budget"), 1);
    setenv("XDG_CONFIG_HOME", test_path("config"), 1);
    live_start_coordinator(&farm);
    setenv("LD_PRELOAD", CRASH_CALLS, 1);
    live_start_agent(&farm, "agent-a", 0);
    unsetenv("LD_PRELOAD");
    return 0;
}

static uint32_t count_of(const char *needle, const pf_buf *in)
{
    uint32_t count = 0;

    for (const uint8_t *at = in->data; (at = memmem(at, in->size - (size_t)(at - in->data), needle, strlen(needle)));
         at++)
        count++;
    return count;
}

static void what_crashes_is_left_out_and_charged_to_nobody(void **state)
{
    json_t *answer = LIVE_JSON(&farm, 0, "submit", "deep.onnx", "--gpu", "cpu");
    int64_t id = live_number(live_job(answer), "job_id");
    char    text[24];
    run     watched = {0};

    (void)state;
    json_decref(answer);
    answer = live_until(&farm, id, "done");
    assert_int_equal(live_number(live_job(answer), "attempt"), strlen(crashes) + 1);
    assert_int_equal(live_number(live_job(answer), "charged_attempts"), 0);
    json_decref(answer);
    snprintf(text, sizeof text, "%lld", (long long)id);
    watched = RUN("watch", text);
    ended_with(&watched, 0);
    if (!strstr(watched.err, "SIGSEGV") || !strstr(watched.err, "the next build leaves it out"))
        fail_msg("nobody says which candidate crashed in\n%s", watched.err);
    program_clear(&watched);
}

static void the_farm_knows_what_crashed(void **state)
{
    run    exported = RUN("cache", "export", "timings.pft", "--farm", farm.url);
    pf_buf file = {0};
    pf_err err = {0};

    (void)state;
    ended_with(&exported, 0);
    program_clear(&exported);
    test_ok(pf_file_read(program_path("timings.pft"), 1 << 24, &file, &err), &err);
    assert_int_equal(count_of("a build that tried it died of SIGSEGV", &file), strlen(crashes));
    pf_buf_clear(&file);
}

/* The build is ended by who waits for it, be it the agent after a quarter of an hour. */
static void what_hangs_is_left_out(void **state)
{
    json_t *answer = NULL;
    char    text[24];
    pf_buf  file = {0};

    (void)state;
    tiny_model_deep(program_path("other.onnx"), 3, 26);
    test_ok(pf_file_write(test_path("budget"), "h", 1, NULL), NULL);
    answer = LIVE_JSON(&farm, 0, "submit", "other.onnx", "--gpu", "cpu");
    snprintf(text, sizeof text, "%lld", (long long)live_number(live_job(answer), "job_id"));
    json_decref(answer);
    pf_clock_sleep_ns(PF_TIMING_STOOD_STILL_NS + 10 * PF_NS_PER_S);
    json_decref(LIVE_JSON(&farm, 0, "cancel", text));
    json_decref(LIVE_JSON(&farm, 0, "submit", "other.onnx", "--gpu", "cpu", "--wait"));
    json_decref(LIVE_JSON(&farm, 0, "cache", "export", "hung.pft", "--farm", farm.url));
    test_ok(pf_file_read(program_path("hung.pft"), 1 << 24, &file, NULL), NULL);
    assert_int_equal(count_of("a build that tried it stood still and was ended", &file), 1);
    pf_buf_clear(&file);
}

/* The same without a farm: the user builds again. */
static void a_build_says_what_crashed_it(void **state)
{
    run first = {0}, second = {0};

    (void)state;
    test_ok(pf_file_write(test_path("budget"), "1", 1, NULL), NULL);
    setenv("LD_PRELOAD", CRASH_CALLS, 1);
    first = RUN("build", "deep.onnx", "--cache", test_path("own"));
    second = RUN("build", "deep.onnx", "--cache", test_path("own"));
    unsetenv("LD_PRELOAD");
    ended_with(&first, -SIGSEGV);
    if (!strstr(first.err, "planfarm: the candidate onednn_conv") ||
        !strstr(first.err, "the next build leaves it out"))
        fail_msg("nobody says which candidate crashed in\n%s", first.err);
    ended_with(&second, 0);
    program_clear(&first);
    program_clear(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_crashes_is_left_out_and_charged_to_nobody),
        cmocka_unit_test(the_farm_knows_what_crashed),
        cmocka_unit_test(a_build_says_what_crashed_it),
        cmocka_unit_test(what_hangs_is_left_out),
    };

    return cmocka_run_group_tests(tests, set_up, live_end);
}
