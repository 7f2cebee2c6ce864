/* What networks are made of finds kernels for the card, and these compile.
   With arguments: the same of models, a line each.
   test_front [--bf16|--fp32] [--tunings N] [--all] [--problems] [--steps] [--choose] [--compare] [--shapes L U M] MODEL
   --choose: the precision too, as builds choose it; --compare: what is built with what was given, by the references;
   --shapes LEAST USUAL MOST: as build's options for them, of models that follow */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tactic.h"
#include "tests/ops/samples.h"
#include "tests/unit/cuda/front.h"

/* ---- Models */

static void examine_model(pf_device *device, const char *path, const front_options *options)
{
    const char  *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    front_result r;
    pf_err       err = {0};

    if (front_examine_model(device, path, options, &r, &err)) {
        printf("%s: ERROR %s\n", name, err.msg);
        pf_err_clear(&err);
        return;
    }
    printf("%s: problems %u, host %u (%s), compiled %u, failed %u%s%s\n", name, r.problems, r.on_host, r.hosts,
           r.compiled, r.failed, r.failed ? ": " : "", r.first_failure);
    if (r.late) printf("    %u more are left to the references, since data decides sizes\n", r.late);
    if (r.compiled) printf("    compiling %.1f s, one of them %.1f s: %s\n", r.compile_s, r.slowest_s, r.slowest);
    if (r.care[0]) printf("    precision: fp32 %s, error %.2g, chosen in %.1f s\n", r.care, r.expected_error,
               r.choice_s);
    if (options->compares)
        printf("    apart by %.2g at the usual and %.2g at the least shapes\n", r.apart[0], r.apart[1]);
    fflush(stdout);
}

static int examine_models(char **argument)
{
    front_options options = { .precision = "fp16", .tunings = 1 };
    pf_device    *device = NULL;
    pf_err        err = {0};

    if (front_open(&device, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    for (; *argument; argument++) {
        if (!strcmp(*argument, "--bf16")) options.precision = "bf16";
        else if (!strcmp(*argument, "--fp32")) options.precision = NULL;
        else if (!strcmp(*argument, "--all")) options.all_tactics = true;
        else if (!strcmp(*argument, "--problems")) options.prints_problems = true;
        else if (!strcmp(*argument, "--steps")) options.prints_steps = true;
        else if (!strcmp(*argument, "--compare")) options.compares = true;
        else if (!strcmp(*argument, "--shapes") && argument[1] && argument[2] && argument[3])
            for (int i = 0; i < 3; i++) options.shapes[i] = *++argument;
        else if (!strcmp(*argument, "--choose")) options.chooses_precision = true;
        else if (!strcmp(*argument, "--tunings") && argument[1]) options.tunings = (int)strtol(*++argument, NULL, 10);
        else examine_model(device, *argument, &options);
    }
    return 0;
}

/* ---- Single ops */

/* Known to have no kernel. */
static bool is_left(const char *name)
{
    static const char *const names[] = {
        "conv with computed weights", "grid_sample", "max_pool with places", "reverse_sequence", "tensor_scatter",
        "lp_pool", "power of integers",
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) return true;
    return false;
}

static void every_op_runs_on_the_card(void **state)
{
    const char *precisions[] = { NULL, "fp16", "bf16" };
    pf_device  *device = NULL;
    pf_err      err = {0};
    uint32_t    wrong = 0;

    (void)state;
    test_ok(front_open(&device, &err), &err);
    for (uint32_t i = 0; i < op_sample_count; i++)
        for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
            front_options options = { .precision = precisions[p], .tunings = p == 1, .all_tactics = true };
            front_result  result;
            pf_network   *net = NULL;
            const char   *name = op_samples[i].name, *precision = precisions[p] ? precisions[p] : "fp32";

            test_ok(op_sample_network(&op_samples[i], &net, &err), &err);
            test_ok(front_examine(device, pf_network_graph(net), &options, &result, &err), &err);
            wrong += result.failed || (result.on_host && !is_left(name));
            if (result.on_host) print_message("%s, %s: the host computes %s\n", name, precision, result.hosts);
            if (result.failed) print_message("%s, %s: %s\n", name, precision, result.first_failure);
            pf_network_free(net);
        }
    assert_int_equal(wrong, 0);
}

/* ---- Tunings */

static void check_loop_tunings(pf_device *device, const char *graph, const char *threads)
{
    const pf_tactic *loop = pf_tactic_find("nvrtc_loop");
    char             text[256] = "";
    pf_problem      *problem = NULL;
    pf_tuning_list   tunings = { 0 };
    pf_err           err = { 0 };

    snprintf(text, sizeof text, "problem in=linear out=linear numerics=0\ngraph\n%s", graph);
    test_ok(pf_problem_parse(text, &problem, &err), &err);
    assert_non_null(loop);
    test_ok(loop->tunings(device, problem, 2, &tunings, &err), &err);
    assert_int_equal(tunings.count, 3);     /* as wide as can be, and down to a quarter of that */
    for (uint32_t i = 0; i < tunings.count; i++) assert_non_null(strstr(tunings.items[i].text, threads));
    pf_tuning_clear(&tunings);
    pf_problem_free(problem);
}

/* At the usual effort the size says how many threads a block has. */
static void small_loops_have_small_blocks(void **state)
{
    pf_device *device = NULL;
    pf_err     err = { 0 };

    (void)state;
    test_ok(front_open(&device, &err), &err);
    check_loop_tunings(device, "%0 = input f16 [1,64,28,28]\n%1 = relu(%0)\noutput %1\n", "t=128");
    check_loop_tunings(device, "%0 = input f16 [64,64,56,56]\n%1 = relu(%0)\noutput %1\n", "t=256");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_runs_on_the_card), cmocka_unit_test(small_loops_have_small_blocks),
    };

    return argc > 1 ? examine_models(argv + 1) : cmocka_run_group_tests(tests, NULL, NULL);
}
