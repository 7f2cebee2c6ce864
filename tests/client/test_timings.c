/* What the program does with timings: carry, explain, verify and measure them again. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tests/client/program.h"

static int set_up(void **state)
{
    (void)state;
    program_build_tiny();
    return 0;
}

static void replay_of_an_empty_cache_is_a_miss(void **state)
{
    run result = RUN("build", "tiny.onnx", "--cache", "empty", "--replay", "-o", "never.plan");

    (void)state;
    ended_with(&result, 80);
    assert_false(pf_file_exists(program_path("never.plan")));
    program_clear(&result);
}

static void assert_same_files(const char *one, const char *two)
{
    pf_mapping a = {0}, b = {0};
    pf_err     err = {0};

    test_ok(pf_file_map(program_path(one), &a, &err), &err);
    test_ok(pf_file_map(program_path(two), &b, &err), &err);
    assert_int_equal(a.bytes, b.bytes);
    assert_memory_equal(a.data, b.data, a.bytes);
    pf_file_unmap(&a);
    pf_file_unmap(&b);
}

static void timings_move_between_caches(void **state)
{
    json_t *built = JSON("build", "tiny.onnx", "--shapes", "x:2x3x16x16", "--cache", "first", "-o", "first.plan");
    json_t *stats = JSON("cache", "stats", "--cache", "first");
    json_t *exported = JSON("cache", "export", "all.timing", "--cache", "first");
    json_t *value = JSON("inspect", "all.timing");
    bool    quiet = !json_integer_value(json_object_get(stats, "contended"));
    int64_t records = json_integer_value(
        json_object_get(json_array_get(json_object_get(exported, "files"), 0), "records"));

    (void)state;
    assert_true(json_integer_value(json_object_get(stats, "records")) > 0);
    assert_true(records == json_integer_value(json_object_get(stats, "records")) || !quiet);
    assert_string_equal(json_string_value(json_object_get(value, "kind")), "exported timings");
    json_decref(built);
    json_decref(stats);
    json_decref(exported);
    json_decref(value);
    json_decref(JSON("cache", "verify", "all.timing"));
    value = JSON("cache", "stats", "all.timing");
    assert_int_equal(json_integer_value(json_object_get(value, "records")), records);
    assert_true(json_integer_value(json_object_get(json_object_get(value, "entries"), "timed")) > 0 || !quiet);
    assert_string_equal(json_string_value(json_object_get(value, "folder")), "all.timing");
    json_decref(value);
    json_decref(JSON("cache", "import", "all.timing", "--cache", "other"));
    json_decref(JSON("cache", "merge", "all.timing", "other", "--cache", "third"));
    value = JSON("inspect", "third");
    assert_int_equal(json_integer_value(json_object_get(value, "records")), records);
    json_decref(value);
    json_decref(JSON("cache", "verify", "--cache", "third"));
    built = JSON("build", "tiny.onnx", "--shapes", "x:2x3x16x16", "--cache", "third", "-o", "again.plan");
    if (quiet) {    /* disturbed measurements do not travel, so they are made again */
        assert_int_equal(json_integer_value(json_object_get(built, "candidates_timed")), 0);
        assert_same_files("first.plan", "again.plan");
    }
    json_decref(built);
}

static void keys_are_explained(void **state)
{
    json_t *value = JSON("cache", "explain", "tiny.plan");
    json_t *problem = json_array_get(json_object_get(value, "problems"), 0);
    json_t *in_class = json_array_get(json_object_get(problem, "classes"), 0);
    char    hash[80];

    (void)state;
    assert_true(json_is_true(json_object_get(in_class, "hit")));
    assert_true(json_array_size(json_object_get(in_class, "candidates")) > 0);
    assert_non_null(json_string_value(json_object_get(in_class, "winner")));
    snprintf(hash, sizeof hash, "%.16s", json_string_value(json_object_get(problem, "problem")));
    json_decref(value);
    value = JSON("cache", "explain", hash);
    assert_int_equal(json_array_size(json_object_get(value, "problems")), 1);
    json_decref(value);
    value = JSON("build", "tiny.onnx", "--shapes", "x:4x3x16x16", "--effort", "0", "-o", "four.plan");
    json_decref(value);
    value = JSON("cache", "explain", "four.plan");
    in_class = json_array_get(json_object_get(json_array_get(json_object_get(value, "problems"), 0), "classes"), 0);
    assert_true(json_is_false(json_object_get(in_class, "hit")));
    assert_string_equal(json_string_value(json_object_get(json_object_get(in_class, "nearest"), "how")),
                        "another problem");
    json_decref(value);
}

/* Of a problem that `cache explain` shows: those that were timed to the end or dropped on the way. */
static uint32_t candidates_of(const json_t *problem)
{
    const json_t *in_class = json_array_get(json_object_get(problem, "classes"), 0), *one = NULL;
    uint32_t      count = 0;
    size_t        i = 0;

    json_array_foreach(json_object_get(in_class, "candidates"), i, one) {
        const char *status = json_string_value(json_object_get(one, "status"));

        count += !strcmp(status, "timed") || !strcmp(status, "dropped");
    }
    return count;
}

/* The problems of a plan by the cache: how many have two candidates at least, and the candidates of all of them.  Which
   problems these are depends on the layouts that won. */
static void count_candidates(const char *plan, uint32_t *contests, uint32_t *candidates)
{
    json_t *value = JSON("cache", "explain", plan), *seen = json_object(), *one = NULL;
    size_t  i = 0;

    *contests = *candidates = 0;
    json_array_foreach(json_object_get(value, "problems"), i, one) {
        const char *problem = json_string_value(json_object_get(one, "problem"));
        bool        is_new = !json_object_get(seen, problem);

        json_object_set_new(seen, problem, json_true());
        *contests += is_new && candidates_of(one) >= 2;
        *candidates += is_new ? candidates_of(one) : 0;
    }
    json_decref(seen);
    json_decref(value);
}

static void choices_are_timed_again(void **state)
{
    json_t  *value = JSON("cache", "retime", "tiny.plan", "--problems", "2", "--effort", "1"),
            *regret = json_object_get(value, "regret");
    uint32_t contests = 0, candidates = 0, timed = 0;

    (void)state;
    count_candidates("tiny.plan", &contests, &candidates);
    timed = contests < 2 ? contests : 2;
    assert_true(timed > 0);
    assert_int_equal(json_integer_value(json_object_get(value, "timed")), timed);
    assert_int_equal(json_integer_value(json_object_get(value, "of")), timed);
    assert_int_equal(json_array_size(json_object_get(value, "problems")), timed);
    assert_int_equal(json_integer_value(json_object_get(value, "failed")), 0);
    assert_true(json_number_value(json_object_get(regret, "median")) >= 1);
    assert_true(json_number_value(json_object_get(regret, "worst")) >=
                json_number_value(json_object_get(regret, "p90")));
    json_decref(value);
    value = JSON("cache", "retime", "tiny.plan", "--check");
    assert_int_equal(json_integer_value(json_object_get(value, "checked")), candidates);
    assert_int_equal(json_array_size(json_object_get(value, "problems")), 0);
    json_decref(value);
}

static void a_plan_without_timings_cannot_be_timed_again(void **state)
{
    run result = RUN("cache", "retime", "tiny.plan", "--cache", "fresh-and-empty");

    (void)state;
    assert_int_not_equal(result.code, 0);
    program_clear(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_of_an_empty_cache_is_a_miss),
        cmocka_unit_test(timings_move_between_caches),
        cmocka_unit_test(keys_are_explained),
        cmocka_unit_test(choices_are_timed_again),
        cmocka_unit_test(a_plan_without_timings_cannot_be_timed_again),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
