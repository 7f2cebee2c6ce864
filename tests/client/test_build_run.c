/* The way of a model through the program: build, inspect, run, compare. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/client/program.h"
#include "tests/client/tiny_model.h"

static int set_up(void **state)
{
    (void)state;
    program_build_tiny();
    tiny_model_add(program_path("add.onnx"));
    return 0;
}

static void build_reports_what_the_contract_names(void **state)
{
    static const char *const members[] = {"plan_key", "plan_sha256", "plan_bytes", "device_class", "problems",
                                          "candidates_timed", "candidates_banned", "products_on_host",
                                          "cache_hits", "cache_misses", "build_seconds", "timing_seconds", "phases",
                                          "max_rel_error", "least_cosine", "fp32", "lowered_error",
                                          "device_bytes", "device_bound_bytes", "device_ratio"};
    json_t *value = JSON("build", "tiny.onnx", "--shapes", "x:2x3x16x16", "--cache", "fresh", "-o", "fresh.plan");

    (void)state;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!json_object_get(value, members[i]) || json_is_null(json_object_get(value, members[i])))
            fail_msg("%s is missing", members[i]);
    assert_true(json_integer_value(json_object_get(value, "candidates_timed")) > 0);
    assert_true(json_integer_value(json_object_get(value, "cache_misses")) > 0);
    assert_true(json_number_value(json_object_get(value, "max_rel_error")) < 1e-4);
    json_decref(value);
}

static void a_second_build_times_nothing_and_gives_the_same_plan(void **state)
{
    json_t *first = JSON("build", "tiny.onnx", "--shapes", "x:2x3x16x16", "--cache", "twice", "-o", "one.plan");
    json_t *second = JSON("build", "tiny.onnx", "--shapes", "x:2x3x16x16", "--cache", "twice", "-o", "two.plan",
                          "--replay");

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(second, "candidates_timed")), 0);
    assert_int_equal(json_integer_value(json_object_get(second, "cache_misses")), 0);
    assert_int_equal(json_integer_value(json_object_get(second, "cache_hits")),
                     json_integer_value(json_object_get(second, "problems")));
    assert_string_equal(json_string_value(json_object_get(first, "plan_sha256")),
                        json_string_value(json_object_get(second, "plan_sha256")));
    json_decref(first);
    json_decref(second);
}

static void a_plan_agrees_with_the_reference(void **state)
{
    run     result = RUN("run", "tiny.plan", "--output-dir", "out", "--save-inputs", "in", "--compare-reference",
                         "--model", "tiny.onnx");
    json_t *value = NULL;

    (void)state;
    ended_with(&result, 0);
    program_clear(&result);
    assert_true(pf_file_exists(program_path("out/scores.npy")));
    assert_true(pf_file_exists(program_path("out/conv.npy")));
    value = JSON("run", "tiny.onnx", "--reference", "--input", "x=in/x.npy", "--output-dir", "expected");
    assert_int_equal(json_array_size(json_object_get(value, "outputs")), 2);
    json_decref(value);
    value = JSON("compare", "out", "expected");
    assert_int_equal(json_array_size(json_object_get(value, "differences")), 2);
    json_decref(value);
    value = JSON("run", "tiny.plan", "--input", "in/x.npy", "--compare", "expected");
    json_decref(value);
}

static void a_network_runs_without_a_plan(void **state)
{
    json_t *value = JSON("run", "tiny.onnx", "--shapes", "x:3x3x16x16", "--compare-reference", "--effort", "0");
    json_t *output = json_array_get(json_object_get(value, "outputs"), 0);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(output, "name")), "scores");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(output, "shape"), 0)), 3);
    assert_int_equal(json_array_size(json_object_get(value, "differences")), 2);
    json_decref(value);
}

static void layers_agree_with_the_reference_one_by_one(void **state)
{
    json_t *value = JSON("layers", "tiny.plan", "tiny.onnx", "--seed", "9", "--output-dir", "golden");
    json_t *list = json_object_get(value, "layers");
    run     result = {0};

    (void)state;
    assert_true(json_array_size(list) >= 3);
    assert_int_equal(json_integer_value(json_object_get(value, "tensors")), json_array_size(list));
    assert_true(json_integer_value(json_object_get(value, "compared")) >= 3);
    assert_int_equal(json_integer_value(json_object_get(value, "differing")), 0);
    for (size_t i = 0; i < json_array_size(list); i++)
        assert_true(json_is_string(json_object_get(json_array_get(list, i), "tactic")));
    assert_true(pf_file_exists(program_path("golden/conv.npy")));
    json_decref(value);
    result = RUN("layers", "tiny.plan", "--output-dir", "tiny.plan");
    ended_with(&result, 65);
    assert_string_equal(result.out, "");
    program_clear(&result);
    value = JSON("layers", "tiny.plan");                    /* nothing to compare with */
    assert_int_equal(json_integer_value(json_object_get(value, "compared")), 0);
    json_decref(value);
}

/* The same nodes and names with other weights. */
static void a_layer_of_another_network_is_where_it_begins(void **state)
{
    run     result = {0};
    json_t *value = NULL;

    (void)state;
    tiny_model_again(program_path("other.onnx"));
    result = RUN("layers", "tiny.plan", "other.onnx", "--json");
    ended_with(&result, 79);
    value = program_json(&result);
    assert_true(json_integer_value(json_object_get(value, "differing")) > 0);
    assert_non_null(json_string_value(json_object_get(value, "first_differing")));
    json_decref(value);
    program_clear(&result);
    result = RUN("layers", "tiny.plan", "add.onnx");
    ended_with(&result, 65);
    program_clear(&result);
}

static void other_outputs_are_a_mismatch(void **state)
{
    json_t *first = JSON("run", "tiny.plan", "--seed", "1", "--output-dir", "seed1");
    json_t *second = JSON("run", "tiny.plan", "--seed", "2", "--output-dir", "seed2");
    run     result = RUN("compare", "seed1", "seed2", "--json");
    json_t *value = program_json(&result);

    (void)state;
    ended_with(&result, 79);
    assert_int_equal(json_array_size(json_object_get(value, "differences")), 2);
    assert_non_null(json_object_get(value, "error"));
    json_decref(value);
    program_clear(&result);
    result = RUN("run", "tiny.plan", "--seed", "1", "--compare", "seed2");
    ended_with(&result, 79);
    program_clear(&result);
    json_decref(first);
    json_decref(second);
}

static void a_shape_outside_the_plan_is_refused(void **state)
{
    run result = RUN("run", "tiny.plan", "--shapes", "x:5x3x16x16");

    (void)state;
    ended_with(&result, 65);
    assert_non_null(strstr(result.err, "\"x\""));
    program_clear(&result);
}

/* Inputs of such a size would fill the memory before anybody said so. */
static void it_is_refused_before_inputs_are_made(void **state)
{
    json_t *built = JSON("build", "tiny.onnx", "--effort", "0", "-o", "any.plan");
    run     result = RUN("bench", "any.plan", "--shapes", "x:1000000000000x3x16x16");

    (void)state;
    json_decref(built);
    ended_with(&result, 65);
    assert_non_null(strstr(result.err, "the plan serves 1 to"));
    program_clear(&result);
}

/* A folder for the cache that cannot be made ends no build, and a limit of file sizes is said as a full disk is. */
static void a_build_says_what_it_cannot_write(void **state)
{
    struct rlimit whole = {0}, small = {0};
    run           result = {0};

    (void)state;
    program_use_cache("/proc/nowhere");
    result = RUN("build", "tiny.onnx", "--effort", "0", "-o", "homeless.plan");
    program_use_cache(NULL);
    ended_with(&result, 0);
    assert_non_null(strstr(result.err, "timings of this build are not stored"));
    program_clear(&result);
    result = RUN("build", "tiny.onnx", "-o", "./tiny.onnx");
    ended_with(&result, 64);
    program_clear(&result);
    result = RUN("cache", "export", "tiny.onnx");
    ended_with(&result, 64);
    program_clear(&result);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
    small = (struct rlimit){4096, whole.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    result = RUN("run", "tiny.onnx", "--shapes", "x:16x3x16x16", "--save-inputs", "limited", "--reference");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &whole), 0);
    ended_with(&result, 72);
    program_clear(&result);
}

static void an_odd_name_is_one_line_and_one_file(void **state)
{
    run result = {0};

    (void)state;
    tiny_model_odd_name(program_path("odd.onnx"));
    result = RUN("run", "odd.onnx", "--output-dir", "odd");
    ended_with(&result, 0);
    assert_memory_equal(result.out, "../two?lines ", 13);
    program_clear(&result);
    result = RUN("run", "odd.onnx", "--compare", "odd");
    ended_with(&result, 0);
    program_clear(&result);
    result = RUN("inspect", "odd.onnx");
    assert_null(strstr(result.out, "\nlines"));
    program_clear(&result);
}

static void what_is_not_a_number_is_counted(void **state)
{
    static const char header[] = "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
                                 "                                                          \n";
    const float       values[6] = {NAN, 1, 2, INFINITY, -INFINITY, 0};
    char              file[sizeof header - 1 + sizeof values];
    json_t           *value = NULL, *output = NULL;
    run               result = {0};
    pf_err            err = {0};

    (void)state;
    memcpy(file, header, sizeof header - 1);
    memcpy(file + sizeof header - 1, values, sizeof values);
    test_ok(pf_file_write(program_path("values.npy"), file, sizeof file, &err), &err);
    memcpy(file + sizeof header - 1, (float[6]){0}, sizeof values);
    test_ok(pf_file_write(program_path("finite.npy"), file, sizeof file, &err), &err);
    tiny_model_add(program_path("add.onnx"));
    value = JSON("run", "add.onnx", "--input", "x=values.npy", "--reference");
    output = json_array_get(json_object_get(value, "outputs"), 0);
    assert_int_equal(json_integer_value(json_object_get(output, "nan_count")), 1);
    assert_int_equal(json_integer_value(json_object_get(output, "inf_count")), 2);
    assert_true(json_is_null(json_object_get(output, "mean")));
    json_decref(value);
    result = RUN("run", "add.onnx", "--input", "x=values.npy", "--reference");
    assert_non_null(strstr(result.out, "  1 NaN  2 infinite\n"));
    assert_null(strstr(result.out, "mean"));
    program_clear(&result);
    result = RUN("compare", "values.npy", "finite.npy");
    ended_with(&result, 79);
    assert_non_null(strstr(result.err, "is NaN 1 times and infinite 2 times where the reference is not"));
    program_clear(&result);
    result = RUN("compare", "finite.npy", "values.npy");
    ended_with(&result, 79);
    assert_non_null(strstr(result.err, "is NaN or infinite at element"));
    program_clear(&result);
}

static void another_network_is_named_as_such(void **state)
{
    static const char *const lines[][5] = {{"run", "tiny.plan", "--compare-reference", "--model", "twice.onnx"},
                                           {"layers", "tiny.plan", "twice.onnx"}};

    (void)state;
    tiny_model_twice(program_path("twice.onnx"));
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *words[6] = {NULL};
        run         result = {0};

        memcpy(words, lines[i], sizeof lines[i]);
        result = program_run(words);
        ended_with(&result, 65);
        assert_non_null(strstr(result.err, "twice.onnx is not the network of the plan"));
        program_clear(&result);
    }
}

static void a_plan_and_a_model_are_shown(void **state)
{
    json_t *value = JSON("inspect", "tiny.plan"), *clip = NULL;
    run     result = {0};

    (void)state;
    assert_string_equal(json_string_value(json_object_get(value, "kind")), "plan");
    json_decref(value);
    value = JSON("inspect", "tiny.onnx", "--graph");
    assert_string_equal(json_string_value(json_object_get(value, "kind")), "model");
    assert_non_null(strstr(json_string_value(json_object_get(value, "graph")), "conv("));
    json_decref(value);
    tiny_model_twice(program_path("twice.onnx"));
    value = JSON("inspect", "twice.onnx", "--rules", "--graph");
    clip = json_object_get(json_object_get(value, "rewrites"), "clip");
    assert_int_equal(json_integer_value(json_object_get(clip, "count")), 1);
    assert_string_equal(json_string_value(json_object_get(clip, "nodes")), "twice");
    assert_null(strstr(json_string_value(json_object_get(value, "graph")), "once"));
    json_decref(value);
    result = RUN("inspect", "twice.onnx", "--rules");
    ended_with(&result, 0);
    assert_non_null(strstr(result.out, "clip 1: twice\n"));
    program_clear(&result);
    result = RUN("inspect", "tiny.plan", "--layers", "--rules");
    ended_with(&result, 0);
    assert_non_null(strstr(result.out, "scores"));
    program_clear(&result);
}

static void a_damaged_plan_is_refused(void **state)
{
    pf_buf plan;
    pf_err err = {0};
    run    result = {0};

    (void)state;
    test_ok(pf_file_read(program_path("tiny.plan"), SIZE_MAX, &plan, &err), &err);
    test_ok(pf_file_write(program_path("cut.plan"), plan.data, plan.size - 1, &err), &err);
    plan.data[plan.size / 3] ^= 1;
    test_ok(pf_file_write(program_path("flipped.plan"), plan.data, plan.size, &err), &err);
    pf_buf_clear(&plan);
    result = RUN("run", "cut.plan");
    ended_with(&result, 67);
    program_clear(&result);
    result = RUN("inspect", "flipped.plan");
    ended_with(&result, 67);
    program_clear(&result);
}

static void a_plan_for_another_device_names_the_field(void **state)
{
    run result = {0};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    char threads[32];

    (void)state;
    snprintf(threads, sizeof threads, "%ld", cores + 1);
    result = RUN("run", "tiny.plan", "--threads", threads);
    ended_with(&result, 68);
    assert_non_null(strstr(result.err, "threads"));
    program_clear(&result);
}

static void two_inputs_are_given_by_name(void **state)
{
    json_t *value = JSON("run", "add.onnx", "--reference", "--save-inputs", "two");

    (void)state;
    json_decref(value);
    value = JSON("run", "add.onnx", "--reference", "--input", "y=two/y.npy", "--input", "x=two/x.npy", "--output-dir",
                 "sums");
    assert_true(pf_file_exists(program_path("sums/sum.npy")));
    json_decref(value);
}

/* The network that it is compared with is that of the plan. */
static void a_frozen_input_is_not_asked_for(void **state)
{
    json_t *value = JSON("build", "add.onnx", "--freeze-inputs", "y:-2.5", "--effort", "0", "-o", "frozen.plan");
    run     result = {0};

    (void)state;
    json_decref(value);
    value = JSON("run", "frozen.plan", "--compare-reference", "--model", "add.onnx");
    assert_int_equal(json_array_size(json_object_get(value, "inputs")), 1);
    json_decref(value);
    value = JSON("layers", "frozen.plan", "add.onnx");
    json_decref(value);
    result = RUN("run", "frozen.plan", "--input", "y=two/y.npy");
    ended_with(&result, 64);
    program_clear(&result);
    result = RUN("build", "add.onnx", "--freeze-inputs", "z:1", "-o", "none.plan");
    ended_with(&result, 64);
    assert_non_null(strstr(result.err, "the network has no such input"));
    program_clear(&result);
}

/* Read for it, as a build reads it: the value is part of the network. */
static void a_network_is_read_with_a_frozen_input(void **state)
{
    static const char *const how[] = { "--reference", "--compare-reference" };
    json_t *shown = NULL;
    run     result = {0};

    (void)state;
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        json_t *value = JSON("run", "add.onnx", "--freeze-inputs", "y:-2.5", how[i]);

        assert_int_equal(json_array_size(json_object_get(value, "inputs")), 1);
        json_decref(value);
    }
    result = RUN("run", "add.onnx", "--freeze-inputs", "y:-2.5", "--compare-reference", "--model", "add.onnx");
    ended_with(&result, 0);
    program_clear(&result);
    result = RUN("run", "frozen.plan", "--freeze-inputs", "y:-2.5");
    ended_with(&result, 64);
    assert_non_null(strstr(result.err, "build it with --freeze-inputs"));
    program_clear(&result);
    shown = JSON("inspect", "add.onnx", "--freeze-inputs", "y:-2.5");
    assert_int_equal(json_array_size(json_object_get(shown, "inputs")), 1);
    json_decref(shown);
}

/* The signal comes while it times; what it leaves is a cache, and no plan. */
static void a_build_that_is_interrupted_leaves_nothing(void **state)
{
    unsigned files = 0;
    pid_t    pid = 0;
    int      code = 0;

    (void)state;
    tiny_model_deep(program_path("deep.onnx"), 24, 96);
    files = program_files();
    pid = program_start((const char *const[]){"build", "deep.onnx", "--effort", "5", "--cache", "../deep", NULL});
    usleep(600 * 1000);
    kill(pid, SIGINT);
    code = program_end(pid);
    assert_int_equal(code, 130);
    assert_int_equal(program_files(), files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(build_reports_what_the_contract_names),
        cmocka_unit_test(a_second_build_times_nothing_and_gives_the_same_plan),
        cmocka_unit_test(a_plan_agrees_with_the_reference),
        cmocka_unit_test(a_network_runs_without_a_plan),
        cmocka_unit_test(layers_agree_with_the_reference_one_by_one),
        cmocka_unit_test(a_layer_of_another_network_is_where_it_begins),
        cmocka_unit_test(other_outputs_are_a_mismatch),
        cmocka_unit_test(a_shape_outside_the_plan_is_refused),
        cmocka_unit_test(it_is_refused_before_inputs_are_made),
        cmocka_unit_test(a_build_says_what_it_cannot_write),
        cmocka_unit_test(an_odd_name_is_one_line_and_one_file),
        cmocka_unit_test(what_is_not_a_number_is_counted),
        cmocka_unit_test(another_network_is_named_as_such),
        cmocka_unit_test(a_plan_and_a_model_are_shown),
        cmocka_unit_test(a_damaged_plan_is_refused),
        cmocka_unit_test(a_plan_for_another_device_names_the_field),
        cmocka_unit_test(two_inputs_are_given_by_name),
        cmocka_unit_test(a_frozen_input_is_not_asked_for),
        cmocka_unit_test(a_network_is_read_with_a_frozen_input),
        cmocka_unit_test(a_build_that_is_interrupted_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
