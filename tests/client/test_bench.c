/* What bench and profile measure, and how they say it. */
#include <string.h>

#include "tests/client/program.h"
#include "tests/client/tiny_model.h"

static int set_up(void **state)
{
    (void)state;
    program_build_tiny();
    return 0;
}

static void bench_reports_what_the_contract_names(void **state)
{
    static const char *const members[] = {"latency_ms", "compute_ms", "h2d_ms", "d2h_ms", "enqueue_ms"};
    static const char *const figures[] = {"min", "mean", "median", "p90", "p95", "p99"};
    json_t *value = JSON("bench", "tiny.plan", "--iterations", "20", "--warmup", "5", "--duration", "0.05", "--layers");

    (void)state;
    assert_true(json_real_value(json_object_get(value, "throughput_qps")) > 0);
    assert_true(json_integer_value(json_object_get(value, "queries")) >= 20);
    assert_true(json_is_integer(json_object_get(json_object_get(value, "device"), "clock_mhz")));
    assert_int_equal(json_array_size(json_object_get(json_object_get(value, "device"), "held_down_by")), 0);
    for (size_t m = 0; m < sizeof members / sizeof *members; m++)
        for (size_t f = 0; f < sizeof figures / sizeof *figures; f++)
            if (!json_is_real(json_object_get(json_object_get(value, members[m]), figures[f])))
                fail_msg("%s.%s is missing", members[m], figures[f]);
    assert_true(json_array_size(json_object_get(value, "layers")) > 0);
    json_decref(value);
}

/* With an odd and an even number of queries: two are in flight when the last one is started. */
static void the_queries_of_a_bench_fit_into_its_time(void **state)
{
    static const char *const iterations[] = {"1", "2"};

    (void)state;
    for (size_t i = 0; i < sizeof iterations / sizeof *iterations; i++) {
        json_t *value = JSON("bench", "tiny.plan", "--iterations", iterations[i], "--warmup", "0", "--duration", "0");
        double  mean_ms = json_number_value(json_object_get(json_object_get(value, "compute_ms"), "mean"));
        double  queries = json_number_value(json_object_get(value, "queries"));

        assert_true(mean_ms > 0);
        assert_true(mean_ms * queries <= 1e3 * json_number_value(json_object_get(value, "walltime_seconds")) + 1e-5);
        json_decref(value);
    }
}

/* Every layer stands under its tactic, and all together are the whole; --top keeps the costliest. */
static void a_profile_adds_up(void **state)
{
    json_t *value = JSON("profile", "tiny.plan", "--runs", "3"), *one = NULL, *top = NULL;
    double  layers = 0, total = 0, last = 1e30;
    size_t  i = 0;

    (void)state;
    json_array_foreach(json_object_get(value, "tactics"), i, one)
    {
        layers += json_number_value(json_object_get(one, "layers"));
        total += json_number_value(json_object_get(one, "total_ms"));
        assert_true(json_number_value(json_object_get(one, "total_ms")) <= last);
        last = json_number_value(json_object_get(one, "total_ms"));
    }
    assert_true(total > 0);
    assert_float_equal(total / json_number_value(json_object_get(value, "total_ms")), 1, 1e-3);
    assert_int_equal(layers, json_array_size(json_object_get(value, "layers")));
    top = JSON("profile", "tiny.plan", "--runs", "1", "--top", "1");
    assert_int_equal(json_array_size(json_object_get(top, "layers")), 1);
    json_decref(top);
    json_decref(value);
}

/* Each stream runs the least number of queries, and all of them lie in one time. */
static void bench_measures_several_streams(void **state)
{
    json_t *value = JSON("bench", "tiny.plan", "--infStreams=3", "--iterations", "20", "--warmup", "0", "--duration",
                         "0", "--transfers");
    double  queries = json_number_value(json_object_get(value, "queries"));
    double  seconds = json_number_value(json_object_get(value, "walltime_seconds"));

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(value, "streams")), 3);
    assert_true(queries >= 60);
    assert_true(seconds > 0);
    assert_float_equal(json_number_value(json_object_get(value, "throughput_qps")) * seconds / queries, 1, 1e-3);
    assert_non_null(strstr(json_string_value(json_array_get(json_object_get(value, "warnings"), 0)), "3 streams"));
    json_decref(value);
}

static void bench_prints_what_parsers_of_trtexec_look_for(void **state)
{
    static const char *const lines[] = {"=== Performance summary ===",
                                        "\nThroughput: ",
                                        "\nLatency: min = ",
                                        "\nEnqueue Time: min = ",
                                        "\nH2D Latency: min = ",
                                        "\nGPU Compute Time: min = ",
                                        "\nD2H Latency: min = ",
                                        "percentile(99%) = ",
                                        "\nTotal Host Walltime: ",
                                        "Warmup completed 0 queries over 0 ms\nTiming trace has ",
                                        "=== Trace details ===\nTrace averages of 5 runs:\nAverage on 5 runs - ",
                                        " - GPU latency: ",
                                        " - Host latency: ",
                                        " ms (enqueue ",
                                        "\nTotal GPU Compute Time: "};
    run result = RUN("bench", "tiny.plan", "--warmup", "0", "--duration", "0", "--transfers", "--avg-runs", "5");

    (void)state;
    ended_with(&result, 0);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(result.out, lines[i]))
            fail_msg("%s is missing in\n%s", lines[i], result.out);
    program_clear(&result);
}

/* How many boxes a detector finds is known when it has run: such plans take and give the host's tensors. */
static void bench_measures_outputs_whose_size_comes_out_of_the_run(void **state)
{
    json_t *value = NULL;
    run     result = {0};

    (void)state;
    tiny_model_places(program_path("places.onnx"));
    result = RUN("build", "places.onnx", "-o", "places.plan");
    ended_with(&result, 0);
    program_clear(&result);
    value = JSON("bench", "places.plan", "--iterations", "7", "--warmup", "0", "--duration", "0", "--layers");
    assert_int_equal(json_integer_value(json_object_get(value, "queries")), 7);
    assert_true(json_real_value(json_object_get(json_object_get(value, "latency_ms"), "median")) > 0);
    assert_true(json_real_value(json_object_get(value, "throughput_qps")) > 0);
    assert_non_null(strstr(json_string_value(json_array_get(json_object_get(value, "warnings"), 0)), "copies"));
    json_decref(value);
    result = RUN("bench", "places.plan", "--warmup", "0", "--duration", "0", "--profiler");
    ended_with(&result, 71);
    program_clear(&result);
}

static void a_cpu_has_no_profiler(void **state)
{
    run result = RUN("bench", "tiny.plan", "--warmup", "0", "--duration", "0", "--profiler");

    (void)state;
    ended_with(&result, 71);
    program_clear(&result);
    result = RUN("bench", "tiny.plan", "--ranges", "all");
    ended_with(&result, 64);
    program_clear(&result);
    result = RUN("bench", "tiny.plan", "--warmup", "0", "--duration", "0", "--ranges", "layers");
    ended_with(&result, 0);
    program_clear(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bench_reports_what_the_contract_names),
        cmocka_unit_test(the_queries_of_a_bench_fit_into_its_time),
        cmocka_unit_test(a_profile_adds_up),
        cmocka_unit_test(bench_measures_several_streams),
        cmocka_unit_test(bench_prints_what_parsers_of_trtexec_look_for),
        cmocka_unit_test(bench_measures_outputs_whose_size_comes_out_of_the_run),
        cmocka_unit_test(a_cpu_has_no_profiler),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
