/* What networks are made of finds kernels for the card, and these compile.
   With arguments: the same of models, a line each.  test_front [--bf16|--fp32] [--tunings N] [--all] [--problems] MODEL... */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    printf("%s: problems %u, host %u (%s), compiled %u, failed %u%s%s\n", name, r.problems, r.on_host, r.hosts, r.compiled, r.failed, r.failed ? ": " : "",
           r.first_failure);
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
        else if (!strcmp(*argument, "--tunings") && argument[1]) options.tunings = (int)strtol(*++argument, NULL, 10);
        else examine_model(device, *argument, &options);
    }
    return 0;
}

/* ---- Single ops */

typedef struct sample { const char *name, *text; } sample;

static const sample samples[] = {
    { "softmax", "graph \"\"\n%0 = input f32 [4,40]\n%1 = softmax(%0) axis=1\noutput %1\n" },
};

static void every_op_runs_on_the_card(void **state)
{
    const char *precisions[] = { NULL, "fp16", "bf16" };
    pf_device  *device = NULL;
    pf_err      err = {0};

    (void)state;
    test_ok(front_open(&device, &err), &err);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
            front_options options = { .precision = precisions[p], .tunings = p == 1, .all_tactics = true };
            front_result  result;
            pf_graph     *graph = NULL;

            test_ok(pf_graph_parse(samples[i].text, &graph, &err), &err);
            test_ok(front_examine(device, graph, &options, &result, &err), &err);
            if (result.on_host) fail_msg("%s, %s: the host computes %s", samples[i].name, precisions[p] ? precisions[p] : "fp32", result.hosts);
            if (result.failed) fail_msg("%s, %s: %s", samples[i].name, precisions[p] ? precisions[p] : "fp32", result.first_failure);
            pf_graph_free(graph);
        }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_op_runs_on_the_card) };

    return argc > 1 ? examine_models(argv + 1) : cmocka_run_group_tests(tests, NULL, NULL);
}
