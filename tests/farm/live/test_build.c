/* The way of a model through a farm: submit, wait, fetch, run; asking twice builds once; what must not be taken is
   refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/client/tiny_model.h"
#include "tests/farm/live/live.h"

static live farm;

static int set_up(void **state)
{
    *state = &farm;
    mkdir(test_path("work"), 0777);
    tiny_model(program_path("tiny.onnx"));
    tiny_model_add(program_path("add.onnx"));
    tiny_model_deep(program_path("deep.onnx"), 6, 96);
    tiny_model_unknown(program_path("unknown.onnx"));
    tiny_model_misfit(program_path("misfit.onnx"));
    tiny_model_placed_rows(program_path("placed.onnx"));
    live_start(&farm);
    return 0;
}

static void a_model_becomes_a_plan_that_runs(void **state)
{
    json_t *answer = LIVE_JSON(&farm, 0, "submit", "tiny.onnx", "--gpu", "cpu", "--shapes", "x:1x3x16x16", "--wait");
    json_t *job = live_job(answer), *fetched = NULL;
    char    number[24];
    run     result = {0};

    (void)state;
    assert_string_equal(live_text(job, "state"), "done");
    assert_int_equal(live_number(job, "attempt"), 1);
    assert_int_equal(strlen(live_text(job, "plan_key")), 64);
    assert_int_equal(strlen(live_text(job, "log_sha256")), 64);
    /* seconds with what is behind the point, not rounded */
    assert_true(fmod(json_number_value(json_object_get(job, "created")), 10) != 0);
    fetched = LIVE_JSON(&farm, 0, "fetch", live_text(job, "plan_key"), "-o", "tiny.plan");
    assert_string_equal(live_text(fetched, "plan_sha256"), live_text(job, "plan_sha256"));
    assert_true(live_number(fetched, "candidates_timed") > 0);
    assert_true(json_number_value(json_object_get(fetched, "max_rel_error")) < 1e-4);
    json_decref(fetched);
    snprintf(number, sizeof number, "%d", (int)live_number(job, "job_id"));
    fetched = LIVE_JSON(&farm, 0, "fetch", number, "-o", "of-job.plan");
    assert_string_equal(live_text(fetched, "plan_sha256"), live_text(job, "plan_sha256"));
    json_decref(fetched);
    json_decref(LIVE_JSON(&farm, 66, "fetch", "4711"));
    json_decref(LIVE_JSON(&farm, 64, "fetch", "07da2f78"));
    json_decref(answer);
    result = RUN("run", "tiny.plan", "--output-dir", "from-plan");
    ended_with(&result, 0);
    program_clear(&result);
    result = RUN("run", "tiny.onnx", "--reference", "--shapes", "x:1x3x16x16", "--output-dir", "from-reference");
    ended_with(&result, 0);
    program_clear(&result);
    result = RUN("compare", "from-plan", "from-reference");
    ended_with(&result, 0);
    program_clear(&result);
}

/* The log of a job that ended is the stored one, byte for byte; a job without one says why. */
static void a_log_is_printed_whole(void **state)
{
    json_t *answer = LIVE_JSON(&farm, 0, "submit", "tiny.onnx", "--gpu", "cpu", "--shapes", "x:3x3x16x16", "--wait"),
           *logs = NULL;
    run     result = {0};
    pf_buf  stored = {0};
    char    number[24];

    (void)state;
    snprintf(number, sizeof number, "%d", (int)live_number(live_job(answer), "job_id"));
    test_ok(pf_file_read(live_blob_path(live_text(live_job(answer), "log_sha256")), 1 << 24, &stored, NULL), NULL);
    assert_true(stored.size > 0);
    for (int follow = 0; follow < 2; follow++) {
        result = RUN("logs", number, "--farm", farm.url, follow ? "-f" : "--verbose");
        ended_with(&result, 0);
        assert_string_equal(result.out, (const char *)stored.data);
        program_clear(&result);
    }
    logs = LIVE_JSON(&farm, 0, "logs", number);
    assert_string_equal(live_text(logs, "log"), (const char *)stored.data);
    json_decref(logs);
    json_decref(LIVE_JSON(&farm, 66, "logs", "4711"));
    pf_buf_clear(&stored);
    json_decref(answer);
}

static void a_second_submit_is_answered_at_once(void **state)
{
    json_t *answer = LIVE_JSON(&farm, 0, "submit", "tiny.onnx", "--gpu", "cpu", "--shapes", "x:1x3x16x16");

    (void)state;
    assert_true(json_is_true(json_object_get(live_job(answer), "hit")));
    assert_string_equal(live_text(live_job(answer), "state"), "done");
    assert_int_equal(live_number(answer, "uploaded_bytes"), 0);
    json_decref(answer);
}

/* As steps of a pipeline that share a folder do. */
static void one_file_may_be_fetched_by_several_at_once(void **state)
{
    enum { FETCHES = 8 };
    json_t *answer = LIVE_JSON(&farm, 0, "submit", "tiny.onnx", "--gpu", "cpu", "--shapes", "x:1x3x16x16", "--wait");
    char    number[24];
    pid_t   pid[FETCHES] = {0};

    (void)state;
    snprintf(number, sizeof number, "%d", (int)live_number(live_job(answer), "job_id"));
    for (int i = 0; i < FETCHES; i++)
        pid[i] = program_start((const char *const[]){"fetch", number, "-o", "shared.plan", NULL});
    for (int i = 0; i < FETCHES; i++)
        assert_int_equal(program_end(pid[i]), 0);
    json_decref(answer);
}

/* What a pipeline calls the model names its files; by what the farm calls it the plan is fetched. */
static void another_name_of_a_known_model_is_told(void **state)
{
    json_t     *answer = LIVE_JSON(&farm, 0, "submit", "tiny.onnx", "--gpu", "cpu", "--shapes", "x:1x3x16x16", "--name",
                                   "renamed", "--wait", "--fetch", "renamed");
    json_t     *job = json_array_get(json_object_get(answer, "jobs"), 0);
    const char *said = json_string_value(json_array_get(json_object_get(answer, "warnings"), 0));

    (void)state;
    assert_true(json_is_true(json_object_get(job, "hit")));
    assert_non_null(said);
    assert_non_null(strstr(said, "\"tiny\""));
    assert_memory_equal(json_string_value(json_object_get(job, "plan")), "renamed/renamed-cpu", 19);
    json_decref(answer);
}

static void two_submits_of_one_build_are_one_job(void **state)
{
    json_t *first = LIVE_JSON(&farm, 0, "submit", "deep.onnx", "--gpu", "cpu");
    json_t *second = LIVE_JSON(&farm, 0, "submit", "deep.onnx", "--gpu", "cpu", "--wait");

    (void)state;
    assert_int_equal(live_number(live_job(first), "job_id"), live_number(live_job(second), "job_id"));
    assert_string_not_equal(live_text(first, "submit_id"), live_text(second, "submit_id"));
    assert_string_equal(live_text(live_job(second), "state"), "done");
    assert_int_equal(live_number(live_job(second), "attempt"), 1);
    json_decref(first);
    json_decref(second);
}

static void build_with_farm_writes_the_plan_and_reports_as_a_local_build(void **state)
{
    static const char *const members[] = {"plan_key", "plan_sha256", "plan_bytes", "device_class", "problems",
                                          "candidates_timed", "products_on_host", "cache_hits", "cache_misses",
                                          "build_seconds", "timing_seconds", "max_rel_error"};
    json_t *answer = LIVE_JSON(&farm, 0, "build", "add.onnx", "-o", "add.plan", "--farm", farm.url, "--gpu", "cpu");

    (void)state;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!json_object_get(answer, members[i]))
            fail_msg("%s is missing", members[i]);
    assert_true(pf_file_exists(program_path("add.plan")));
    json_decref(answer);
}

/* As a local build warns of it, and a fetch by somebody who did not see the build. */
static void what_the_agent_left_to_the_host_is_warned_of(void **state)
{
    json_t *built = LIVE_JSON(&farm, 0, "build", "placed.onnx", "-o", "placed.plan", "--farm", farm.url, "--gpu",
                              "cpu");
    json_t *fetched = LIVE_JSON(&farm, 0, "fetch", live_text(built, "plan_key"), "-o", "placed-again.plan");

    (void)state;
    for (int i = 0; i < 2; i++) {
        const json_t *warnings = json_object_get(i ? fetched : built, "warnings");

        assert_int_equal(json_array_size(warnings), 1);
        assert_memory_equal(json_string_value(json_array_get(warnings, 0)), "1 product is left to", 20);
    }
    json_decref(built);
    json_decref(fetched);
}

/* ---- what goes wrong says so */

static void error_says(const json_t *answer, const char *word)
{
    const char *message = live_text(json_object_get(answer, "error"), "message");

    if (!strstr(message, word))
        fail_msg("\"%s\" does not speak of %s", message, word);
}

static void a_model_that_cannot_be_built_fails_with_its_reason(void **state)
{
    json_t *answer = LIVE_JSON(&farm, 71, "submit", "unknown.onnx", "--gpu", "cpu", "--wait");

    (void)state;
    assert_string_equal(live_text(live_job(answer), "state"), "failed");
    assert_string_equal(live_text(live_job(answer), "failure"), "build_error");
    assert_memory_equal(live_text(live_job(answer), "message"), "model.onnx: ", 12);    /* no folder of the agent's */
    assert_int_equal(live_number(live_job(answer), "attempt"), 1);
    error_says(answer, "Frobnicate");
    json_decref(answer);
    answer = LIVE_JSON(&farm, 65, "submit", "misfit.onnx", "--gpu", "cpu", "--wait");
    error_says(answer, "MatMul");
    json_decref(answer);
}

static void an_unknown_class_is_refused_with_those_there_are(void **state)
{
    json_t *answer = LIVE_JSON(&farm, 66, "submit", "tiny.onnx", "--gpu", "h9000", "--wait");

    (void)state;
    error_says(answer, "cpu");
    json_decref(answer);
}

static void a_farm_that_is_not_there_is_told_in_time(void **state)
{
    int64_t began = pf_clock_ns();
    json_t *answer = LIVE_JSON(&farm, 69, "submit", "tiny.onnx", "--gpu", "cpu", "--farm", "http://127.0.0.1:1");

    (void)state;
    json_decref(answer);
    answer = LIVE_JSON(&farm, 69, "status", "1", "--farm", "tcp://127.0.0.1:1");
    json_decref(answer);
    assert_true(pf_clock_ns() - began < 20 * PF_NS_PER_S);
}

static void damage_blob(const char *sha256)
{
    const char *path = live_blob_path(sha256);
    FILE       *file = NULL;
    int         c = 0;

    chmod(path, 0600);
    file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, 1000, SEEK_SET);
    c = fgetc(file);
    fseek(file, 1000, SEEK_SET);
    fputc(c ^ 1, file);
    fclose(file);
}

static void a_damaged_plan_is_not_taken(void **state)
{
    json_t  *built = LIVE_JSON(&farm, 0, "build", "tiny.onnx", "-o", "good.plan", "--farm", farm.url, "--gpu", "cpu",
                               "--shapes", "x:2x3x16x16");
    json_t  *answer = NULL;
    unsigned before = 0;

    (void)state;
    damage_blob(live_text(built, "plan_sha256"));
    before = program_files();
    answer = LIVE_JSON(&farm, 67, "fetch", live_text(built, "plan_key"), "-o", "bad.plan");
    error_says(answer, "damaged");
    assert_false(pf_file_exists(program_path("bad.plan")));
    assert_int_equal(program_files(), before);
    json_decref(answer);
    json_decref(built);
}

/* By the name that submit gave it, also as the file was called; what is missing is named. */
static void a_plan_is_found_by_its_models_name(void **state)
{
    json_t *built = LIVE_JSON(&farm, 0, "build", "add.onnx", "-o", "made.plan", "--farm", farm.url, "--gpu", "cpu");
    json_t *fetched = NULL, *answer = LIVE_JSON(&farm, 66, "fetch", "--model", "nobody", "--gpu", "cpu");

    (void)state;
    error_says(answer, "no plan of \"nobody\" for cpu");
    json_decref(answer);
    answer = LIVE_JSON(&farm, 66, "fetch", "--model", "ad", "--gpu", "cpu");
    error_says(answer, "did you mean add?");
    json_decref(answer);
    answer = LIVE_JSON(&farm, 66, "fetch", "--model", "add", "--gpu", "cqu");
    error_says(answer, "no plan of \"add\" for cqu: no agent ever declared a device class \"cqu\"; did you mean cpu");
    assert_int_equal(rename(program_path("add.onnx"), program_path("elsewhere.onnx")), 0);
    fetched = LIVE_JSON(&farm, 0, "fetch", "--model", "add.onnx", "--gpu", "cpu", "-o", "named.plan");
    assert_string_equal(live_text(fetched, "plan_key"), live_text(built, "plan_key"));
    assert_int_equal(rename(program_path("elsewhere.onnx"), program_path("add.onnx")), 0);
    json_decref(fetched);
    json_decref(answer);
    json_decref(built);
}

/* Root may put a file in the place of a device: -o /dev/null. */
static void a_plan_takes_no_place_but_a_files(void **state)
{
    json_t     *built = LIVE_JSON(&farm, 0, "build", "add.onnx", "-o", "made.plan", "--farm", farm.url, "--gpu", "cpu");
    json_t     *answer = NULL;
    struct stat info = {0};

    (void)state;
    assert_int_equal(mkfifo(program_path("pipe"), 0600), 0);
    answer = LIVE_JSON(&farm, 65, "fetch", live_text(built, "plan_key"), "-o", "pipe");
    error_says(answer, "pipe: it is there and is no file");
    assert_int_equal(stat(program_path("pipe"), &info), 0);
    assert_true(S_ISFIFO(info.st_mode));
    json_decref(answer);
    answer = LIVE_JSON(&farm, 66, "fetch", live_text(built, "plan_key"), "-o", "absent/x.plan");
    error_says(answer, "cannot write absent/x.plan: No such file");
    json_decref(answer);
    json_decref(built);
}

/* A device that no agent is like is named, with the classes that there are and what is another there. */
static void a_device_without_an_agent_is_named(void **state)
{
    const char *threads = sysconf(_SC_NPROCESSORS_ONLN) == 1 ? "2" : "1";
    json_t     *built = LIVE_JSON(&farm, 0, "build", "add.onnx", "-o", "here.plan", "--farm", farm.url, "--gpu", "cpu");
    json_t     *answer = LIVE_JSON(&farm, 66, "fetch", "--model", "add", "--gpu", "auto", "--device", "cpu",
                                   "--threads", threads);

    (void)state;
    error_says(answer, "no plan of \"add\": this machine's device is cpu-");
    error_says(answer, "and no agent ever declared such a one; known are: cpu-");
    error_says(answer, " (threads is ");
    json_decref(answer);
    answer = LIVE_JSON(&farm, 0, "fetch", "--model", "add", "--gpu", "auto", "--device", "cpu", "-o", "own.plan");
    assert_string_equal(live_text(answer, "plan_key"), live_text(built, "plan_key"));
    json_decref(answer);
    answer = LIVE_JSON(&farm, 66, "fetch", "--model", "ad", "--gpu", "auto", "--device", "cpu");
    error_says(answer, "no plan of \"ad\" for the class of this machine's device: ");
    error_says(answer, "did you mean add?");
    json_decref(answer);
    answer = LIVE_JSON(&farm, 66, "build", "add.onnx", "-o", "x.plan", "--farm", farm.url, "--gpu", "auto", "--device",
                       "cpu", "--threads", threads);
    error_says(answer, "this machine's device is cpu-");
    json_decref(answer);
    answer = LIVE_JSON(&farm, 0, "build", "add.onnx", "-o", "x.plan", "--farm", farm.url, "--gpu", "auto", "--device",
                       "cpu");
    assert_string_equal(live_text(answer, "plan_key"), live_text(built, "plan_key"));
    json_decref(answer);
    json_decref(built);
}

static void another_key_does_not_open_the_farm(void **state)
{
    json_t *built = LIVE_JSON(&farm, 0, "build", "add.onnx", "-o", "add.plan", "--farm", farm.url, "--gpu", "cpu");
    json_t *answer = LIVE_JSON(&farm, 77, "fetch", live_text(built, "plan_key"), "-o", "denied.plan", "--key",
                               "planfarm-key farm-1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");

    (void)state;
    assert_false(pf_file_exists(program_path("denied.plan")));
    json_decref(answer);
    json_decref(built);
}

static void the_list_and_the_agents_show_what_was_done(void **state)
{
    json_t *list = LIVE_JSON(&farm, 0, "list", "--state", "done", "--limit", "2");
    json_t *agents = LIVE_JSON(&farm, 0, "agents");

    (void)state;
    assert_int_equal(json_array_size(json_object_get(list, "jobs")), 2);
    assert_string_equal(live_text(live_job(list), "state"), "done");
    assert_string_equal(live_text(json_array_get(json_object_get(agents, "agents"), 0), "name"), "agent-a");
    assert_string_equal(live_text(json_array_get(json_object_get(agents, "agents"), 0), "state"), "ready");
    assert_int_equal(json_integer_value(json_object_get(agents, "more_agents")), 0);
    assert_true(json_array_size(json_object_get(agents, "classes")) > 0);
    json_decref(list);
    json_decref(agents);
    agents = LIVE_JSON(&farm, 0, "agents", "--limit", "1");
    assert_int_equal(json_array_size(json_object_get(agents, "agents")), 1);
    json_decref(agents);
}

/* A farm's users may be anywhere, and its logs are in UTC. */
static void times_tell_their_zone(void **state)
{
    run status = {0};

    (void)state;
    setenv("TZ", "JST-9", 1);
    status = RUN("status", "1", "--farm", farm.url);
    unsetenv("TZ");
    ended_with(&status, 0);
    assert_non_null(strstr(status.out, " +0900\n"));
    program_clear(&status);
}

/* A finished job and a well agent have nothing in the last column. */
static void tables_have_no_blanks_at_their_lines_ends(void **state)
{
    run tables[] = {RUN("list", "--farm", farm.url), RUN("agents", "--farm", farm.url)};

    (void)state;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        ended_with(&tables[i], 0);
        assert_non_null(strstr(tables[i].out, "cpu-"));
        assert_null(strstr(tables[i].out, " \n"));
        program_clear(&tables[i]);
    }
}

static void a_drained_agent_ends(void **state)
{
    json_t *answer = LIVE_JSON(&farm, 0, "drain", "agent-a");

    (void)state;
    json_decref(answer);
    assert_int_equal(live_wait(&farm.agent), 0);
    live_nothing_runs(test_path("farm/agent-a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_becomes_a_plan_that_runs),
        cmocka_unit_test(one_file_may_be_fetched_by_several_at_once),
        cmocka_unit_test(a_log_is_printed_whole),
        cmocka_unit_test(a_second_submit_is_answered_at_once),
        cmocka_unit_test(another_name_of_a_known_model_is_told),
        cmocka_unit_test(two_submits_of_one_build_are_one_job),
        cmocka_unit_test(build_with_farm_writes_the_plan_and_reports_as_a_local_build),
        cmocka_unit_test(what_the_agent_left_to_the_host_is_warned_of),
        cmocka_unit_test(a_model_that_cannot_be_built_fails_with_its_reason),
        cmocka_unit_test(an_unknown_class_is_refused_with_those_there_are),
        cmocka_unit_test(a_farm_that_is_not_there_is_told_in_time),
        cmocka_unit_test(a_damaged_plan_is_not_taken),
        cmocka_unit_test(a_plan_is_found_by_its_models_name),
        cmocka_unit_test(a_plan_takes_no_place_but_a_files), cmocka_unit_test(a_device_without_an_agent_is_named),
        cmocka_unit_test(another_key_does_not_open_the_farm),
        cmocka_unit_test(the_list_and_the_agents_show_what_was_done),
        cmocka_unit_test(tables_have_no_blanks_at_their_lines_ends),
        cmocka_unit_test(times_tell_their_zone),
        cmocka_unit_test(a_drained_agent_ends),
    };

    return cmocka_run_group_tests_name("farm build", tests, set_up, live_end);
}
