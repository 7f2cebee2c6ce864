/* Timings belong to the farm: what one agent measured another of its class does not measure again. */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "cache/timing_export.h"
#include "tests/client/tiny_model.h"
#include "tests/farm/live/live.h"

static live farm;

static int set_up(void **state)
{
    *state = &farm;
    mkdir(test_path("work"), 0777);
    live_start(&farm);
    return 0;
}

/* The same network under another digest: a doc string (field 6 of ModelProto) behind the rest. */
static void add_doc_string(const char *path)
{
    FILE *file = fopen(path, "ab");

    assert_non_null(file);
    assert_int_equal(fwrite("\x32\x05other", 1, 7, file), 7);
    fclose(file);
}

/* Builds it, and answers the summary in the fetched plan. */
static json_t *build(const char *model, const char *plan)
{
    json_t *answer = LIVE_JSON(&farm, 0, "submit", model, "--gpu", "cpu", "--wait");
    json_t *fetched = NULL;

    assert_string_equal(live_text(live_job(answer), "state"), "done");
    fetched = LIVE_JSON(&farm, 0, "fetch", live_text(live_job(answer), "plan_key"), "-o", plan);
    json_decref(answer);
    return fetched;
}

static int64_t records(const char *where, const char *what)
{
    json_t *answer = LIVE_JSON(&farm, 0, "cache", "stats", where, what);
    int64_t count = live_number(answer, "records");

    json_decref(answer);
    return count;
}

/* ---- the first agent's own timings */

typedef struct own_timings {
    pf_timing_db *from, *calm;
    int64_t       shared;               /* records with something that was timed in quiet: the farm must hold these */
} own_timings;

/* Puts the record into calm as it would be had the machine been quiet. */
static pf_status calm_down(void *user, const pf_timing_visit *item, pf_err *err)
{
    own_timings        *own = user;
    const pf_timing_key *key = item->key->mv_data;
    pf_timing_record    record = { 0 };
    char               *class_text = NULL, *problem_text = NULL;
    bool                quiet = false;

    test_ok(item->problem, NULL);
    test_ok(pf_timing_record_decode(item->value->data, item->value->bytes, &record, err), err);
    test_ok(pf_timing_db_text(own->from, PF_TABLE_CLASSES, &key->device_class, &class_text, err), err);
    test_ok(pf_timing_db_text(own->from, PF_TABLE_PROBLEMS, &key->problem, &problem_text, err), err);
    for (uint32_t i = 0; i < record.count; i++) {
        quiet |= !record.entries[i].contended;
        record.entries[i].contended = 0;
    }
    own->shared += quiet;
    test_ok(pf_timing_db_merge(own->calm, class_text, problem_text, &record, err), err);
    pf_free(class_text);
    pf_free(problem_text);
    pf_timing_record_clear(&record);
    return PF_OK;
}

/* Times taken while something else used the machine are not shared, and this machine may be busy all the time.  So what
   the farm holds is counted against what the first agent timed in quiet, and then the farm is given the rest. */
static void share_what_was_disturbed(void)
{
    pf_timing_db_options read_only = { .read_only = true };
    pf_timing_transfer   done = { 0 };
    own_timings          own = { 0 };
    pf_err               err = { 0 };

    test_ok(pf_timing_db_open(test_path("farm/agent-a/timing"), &read_only, &own.from, &err), &err);
    test_ok(pf_timing_db_open(test_path("calm"), NULL, &own.calm, &err), &err);
    test_ok(pf_timing_db_scan(own.from, PF_TABLE_RECORDS, calm_down, &own, &err), &err);
    test_ok(pf_timing_export_file(own.calm, program_path("calm.timings"), &done, &err), &err);
    pf_timing_db_close(own.from);
    pf_timing_db_close(own.calm);
    print_message("%lld records, of %lld the farm was told by the agent\n", (long long)done.records,
                  (long long)own.shared);
    assert_int_equal(records("--farm", farm.url), own.shared);
    json_decref(LIVE_JSON(&farm, 0, "cache", "import", "calm.timings", "--farm", farm.url));
    assert_int_equal(records("--farm", farm.url), (int64_t)done.records);
}

/* ---- the tests */

static void the_second_agent_times_nothing(void **state)
{
    json_t *first = NULL, *second = NULL;

    (void)state;
    tiny_model_deep(program_path("one.onnx"), 2, 96);
    tiny_model_deep(program_path("other.onnx"), 2, 96);
    add_doc_string(program_path("other.onnx"));
    first = build("one.onnx", "one.plan");
    live_kill(&farm.agent, SIGTERM);
    share_what_was_disturbed();
    assert_true(live_start_agent(&farm, "agent-b", 0));
    second = build("other.onnx", "other.plan");
    assert_string_not_equal(live_text(first, "plan_key"), live_text(second, "plan_key"));
    assert_int_equal(live_number(second, "problems"), live_number(first, "problems"));
    assert_true(live_number(first, "candidates_timed") > 0);
    assert_int_equal(live_number(second, "candidates_timed"), 0);
    json_decref(first);
    json_decref(second);
}

/* After the test above the farm holds timings. */
static void the_cache_verbs_work_on_the_farm(void **state)
{
    int64_t there = records("--farm", farm.url);
    char    folder[4096] = "";

    (void)state;
    snprintf(folder, sizeof folder, "%s", program_path("copy"));
    assert_true(there > 0);
    json_decref(LIVE_JSON(&farm, 0, "cache", "export", "farm.timings", "--farm", farm.url));
    json_decref(LIVE_JSON(&farm, 0, "cache", "import", "farm.timings", "--cache", folder));
    assert_int_equal(records("--cache", folder), there);
    json_decref(LIVE_JSON(&farm, 0, "cache", "verify", "--farm", farm.url));
    live_stop(&farm);
    live_start_coordinator(&farm);
    assert_int_equal(records("--farm", farm.url), there);
    json_decref(LIVE_JSON(&farm, 0, "cache", "merge", "farm.timings", folder, "--farm", farm.url));
    assert_int_equal(records("--farm", farm.url), there);
    json_decref(LIVE_JSON(&farm, 64, "cache", "stats", "--farm", farm.url, "--cache", folder));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_second_agent_times_nothing),
                                        cmocka_unit_test(the_cache_verbs_work_on_the_farm) };

    return cmocka_run_group_tests(tests, set_up, live_end);
}
