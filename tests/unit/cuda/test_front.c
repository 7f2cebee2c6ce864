/* What networks are made of finds kernels for the card, and these compile.
   With arguments: the same of models, a line each.
   test_front [--bf16|--fp32] [--tunings N] [--all] [--problems] [--steps] [--choose] [--compare] [--layers] [--moves]
              [--effort N] [--shapes L U M] MODEL
   --layers: the layers that a build without timings chooses, in their layouts; --moves: how many of them move alone;
   --effort N: the same where everything takes as long, so that fewer layers are better
   --choose: the precision too, as builds choose it; --compare: what is built with what was given, by the references;
   --shapes LEAST USUAL MOST: as build's options for them, of models that follow */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/planfarm.h"
#include "engine/region.h"
#include "engine/tactic.h"
#include "tests/ops/samples.h"
#include "tests/unit/cuda/front.h"
#include "tests/unit/cuda/front_layers.h"
#include "tests/unit/engine/networks.h"

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

static void list_layers(pf_device *device, const char *path, const char *precision, const char *effort, bool prints)
{
    char         spec[128] = "";
    const char  *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    pf_network  *network = NULL;
    front_layers layers = {0};
    pf_err       err = {0};
    pf_status    st = pf_network_import(path, &network, &err);

    snprintf(spec, sizeof spec, "effort=%s\n%s%s", effort, precision ? precision : "", precision ? "=1\n" : "");
    if (!st) st = front_layers_of(device, pf_network_graph(network), spec, prints, &layers, &err);
    if (st) printf("%s: ERROR %s\n", name, err.msg);
    else printf("%s: layers %u, of these moves %u, MB moved %.2f, joined in place %u, problems %u\n", name,
                layers.count, layers.moves, layers.moved_bytes / (1 << 20), layers.joined, layers.problems);
    pf_err_clear(&err);
    pf_network_free(network);
    fflush(stdout);
}

static int examine_models(char **argument)
{
    front_options options = { .precision = "fp16", .tunings = 1 };
    int           lists = 0;
    const char   *effort = "0";
    pf_device    *device = NULL;
    pf_err        err = {0};

    pf_log_set_filter(NULL);
    pf_log_to_stderr();
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
        else if (!strcmp(*argument, "--moves")) lists = 1;
        else if (!strcmp(*argument, "--layers")) lists = 2;
        else if (!strcmp(*argument, "--effort") && argument[1]) effort = *++argument;
        else if (lists) list_layers(device, *argument, options.precision, effort, lists == 2);
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
        "power of integers",
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

/* ---- Layers */

#define TOKENS(text) "graph \"\"\n%x = input f16 [1,192,32]\n%w = input f16 [32,64]\n%1 = matmul(%x, %w)\n" text
#define CONV "strides=[1,1] dilations=[1,1] pads=[1,1,1,1]"

/* A token's numbers lie side by side, and so do an image's channels where they are last in memory: what turns one into
   the other is not a layer. */
static const struct { op_sample network; uint32_t layers; } still[] = {
    { { "a depthwise convolution of tokens",
      TOKENS("%2 = reshape(%1) shape=[1,16,12,64]\n%3 = transpose(%2) perm=[0,3,1,2]\n%wc = input f16 [64,1,3,3]\n"
             "%4 = conv(%3, %wc, _) " CONV " groups=64\n%5 = reshape(%4) shape=[1,64,192]\n"
             "%6 = transpose(%5) perm=[0,2,1]\n%7 = gelu(%6)\n%wo = input f16 [64,32]\n%8 = matmul(%7, %wo)\n"
             "output %8\n") }, 3 },
    { { "a convolution of tokens as it is",
      TOKENS("%2 = reshape(%1) shape=[1,16,12,64]\n%3 = transpose(%2) perm=[0,3,1,2]\n%wc = input f16 [64,1,3,3]\n"
             "%4 = conv(%3, %wc, _) " CONV " groups=64\n%5 = reshape(%4) shape=[1,64,192]\n"
             "%6 = transpose(%5) perm=[0,2,1]\n%wo = input f16 [64,32]\n%7 = matmul(%6, %wo)\noutput %7\n") }, 3 },
    { { "a norm of an image's channels",
      "graph \"\"\n%x = input f16 [1,12,14,24]\n%w = input f16 [24,1,3,3]\n%s = input f16 [24]\n"
      "%m = input f16 [24,96]\n"
      "%1 = transpose(%x) perm=[0,3,1,2]\n%2 = conv(%1, %w, _) " CONV " groups=24\n"
      "%3 = transpose(%2) perm=[0,2,3,1]\n"
      "%4 = layer_norm(%3, %s, _) axis=3\n%5 = matmul(%4, %m)\noutput %5\n" }, 3 },
    { { "a residual of an image round tokens",
      "graph \"\"\n%x = input f16 [1,12,14,24]\n%w = input f16 [24,1,3,3]\n%m = input f16 [24,24]\n"
      "%1 = transpose(%x) perm=[0,3,1,2]\n%2 = conv(%1, %w, _) " CONV " groups=24\n"
      "%3 = transpose(%2) perm=[0,2,3,1]\n"
      "%4 = matmul(%3, %m)\n%5 = transpose(%4) perm=[0,3,1,2]\n%6 = add(%5, %1)\n%wl = input f16 [24,1,3,3]\n"
      "%7 = conv(%6, %wl, _) " CONV " groups=24\n%8 = transpose(%7) perm=[0,2,3,1]\n"
      "%9 = softmax(%8) axis=3\noutput %9\n" }, 4 },
};

static void tokens_are_images(void **state)
{
    pf_device *device = NULL;
    pf_err     err = { 0 };

    (void)state;
    test_ok(front_open(&device, &err), &err);
    for (size_t i = 0; i < sizeof still / sizeof still[0]; i++) {
        front_layers layers = { 0 };
        pf_network  *net = NULL;

        test_ok(op_sample_network(&still[i].network, &net, &err), &err);
        test_ok(front_layers_of(device, pf_network_graph(net), "effort=0\n", false, &layers, &err), &err);
        if (layers.moves) print_message("%s: %u layers move\n", still[i].network.name, layers.moves);
        assert_int_equal(layers.moves, 0);
        assert_int_equal(layers.count, still[i].layers);
        pf_network_free(net);
    }
}

/* Patches of an image as rows, and back: a step each way, whatever is a view or a change of layout beside it. */
static void patches_take_one_step(void **state)
{
    static const op_sample sample = { "patches of an image",
        "graph \"\"\n%x = input f16 [1,8,12,24]\n%w = input f16 [24,1,3,3]\n%wl = input f16 [24,1,3,3]\n"
        "%0 = transpose(%x) perm=[0,3,1,2]\n%1 = conv(%0, %w, _) " CONV " groups=24\n"
        "%2 = reshape(%1) shape=[96,2,6,2]\n%3 = transpose(%2) perm=[0,2,1,3]\n%4 = reshape(%3) shape=[24,24,4]\n"
        "%5 = transpose(%4) perm=[2,1,0]\n%6 = softmax(%5) axis=2\n%7 = add(%6, %5)\n"
        "%8 = transpose(%7) perm=[2,1,0]\n%9 = reshape(%8) shape=[96,6,2,2]\n%10 = transpose(%9) perm=[0,2,1,3]\n"
        "%11 = reshape(%10) shape=[1,24,8,12]\n%12 = conv(%11, %wl, _) " CONV " groups=24\n"
        "%13 = relu(%12)\n%14 = transpose(%13) perm=[0,2,3,1]\n%15 = softmax(%14) axis=3\noutput %15\n" };
    pf_device   *device = NULL;
    front_layers layers = { 0 };
    pf_network  *net = NULL;
    pf_err       err = { 0 };

    (void)state;
    test_ok(front_open(&device, &err), &err);
    test_ok(op_sample_network(&sample, &net, &err), &err);
    test_ok(front_layers_of(device, pf_network_graph(net), "effort=0\n", false, &layers, &err), &err);
    assert_true(layers.moves <= 2);
    pf_network_free(net);
}

/* ---- Gates */

#define ROWS(text) "graph \"\"\n%x = input f16 [70,64]\n%w = input f16 [64,96]\n%wb = input f16 [96]\n" text
#define LOW(of) "slice(" of ") axes=[1] starts=[0] ends=[48] steps=[1]\n"
#define HIGH(of) "slice(" of ") axes=[1] starts=[48] ends=[96] steps=[1]\n"

/* Two halves of a product's rows that meet again are computed where the product is, unless others read one of them. */
static const struct { op_sample network; uint32_t layers; } gates[] = {
    { { "a swish of one half", ROWS("%1 = matmul(%x, %w)\n%2 = " LOW("%1") "%3 = swish(%2) p=1\n%4 = " HIGH("%1")
                                    "%5 = mul(%3, %4)\noutput %5\n") }, 1 },
    { { "a bias, both halves changed, something behind",
        ROWS("%1 = matmul(%x, %w)\n%2 = add(%1, %wb)\n%3 = " HIGH("%2") "%4 = gelu(%3)\n%5 = " LOW("%2")
             "%6 = tanh(%5)\n%7 = mul(%6, %4)\n%8 = relu(%7)\noutput %8\n") }, 1 },
    { { "a half that leaves", ROWS("%1 = matmul(%x, %w)\n%2 = " LOW("%1") "%3 = swish(%2) p=1\n%4 = " HIGH("%1")
                                   "%5 = mul(%3, %4)\noutput %5\noutput %4\n") }, 3 },
    { { "a quarter and a half", ROWS("%1 = matmul(%x, %w)\n%2 = " LOW("%1") "%3 = swish(%2) p=1\n"
                                     "%4 = slice(%1) axes=[1] starts=[24] ends=[72] steps=[1]\n%5 = mul(%3, %4)\n"
                                     "output %5\n") }, 2 },
};

static void gates_join_their_product(void **state)
{
    pf_device *device = NULL;
    pf_err     err = { 0 };

    (void)state;
    test_ok(front_open(&device, &err), &err);
    for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++) {
        front_layers layers = { 0 };
        pf_network  *net = NULL;

        test_ok(op_sample_network(&gates[i].network, &net, &err), &err);
        test_ok(front_layers_of(device, pf_network_graph(net), "effort=2\n", false, &layers, &err), &err);
        print_message("%s: %u layers\n", gates[i].network.name, layers.count);
        assert_int_equal(layers.count, gates[i].layers);
        pf_network_free(net);
    }
}

/* ---- Places in wider values */

#define ONE_PIXEL "strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1"

typedef struct joined { op_sample network; uint32_t layers, joined; } joined;

/* Convolutions and pools write where a concat has them, a smaller concat is a part of the larger one, and a slice is
   read where it lies.  What no kernel writes there leaves the concat a layer. */
static const joined joins[] = {
    { { "branches", "graph \"\"\n%x = input f16 [2,32,9,9]\n%w = input f16 [64,32,1,1]\n%wm = input f16 [32,32,3,3]\n"
                    "%wl = input f16 [32,128,1,1]\n%0 = conv(%x, %w, _) " ONE_PIXEL "\n%1 = relu(%0)\n"
                    "%2 = conv(%x, %wm, _) " CONV " groups=1\n"
                    "%3 = max_pool(%x) kernel=[3,3] strides=[1,1] dilations=[1,1] pads=[1,1,1,1]\n"
                    "%4 = concat(%1, %2, %3) axis=1\n%5 = conv(%4, %wl, _) " ONE_PIXEL "\noutput %5\n" }, 6, 1 },
    { { "a concat in another", "graph \"\"\n%x = input f16 [2,32,9,9]\n%w = input f16 [32,32,3,3]\n"
                    "%wm = input f16 [32,64,3,3]\n%wl = input f16 [32,96,1,1]\n%0 = conv(%x, %w, _) " CONV " groups=1\n"
                    "%1 = conv(%0, %w, _) " CONV " groups=1\n%2 = concat(%0, %1) axis=1\n"
                    "%3 = conv(%2, %wm, _) " CONV " groups=1\n%4 = concat(%0, %1, %3) axis=1\n"
                    "%5 = conv(%4, %wl, _) " ONE_PIXEL "\noutput %5\n" }, 6, 2 },
    { { "a slice", "graph \"\"\n%x = input f16 [2,32,9,9]\n%w = input f16 [96,32,1,1]\n%wm = input f16 [32,32,3,3]\n"
                   "%wl = input f16 [32,96,1,1]\n%0 = conv(%x, %w, _) " ONE_PIXEL "\n"
                   "%1 = slice(%0) axes=[1] starts=[32] ends=[64] steps=[1]\n"
                   "%2 = conv(%1, %wm, _) " CONV " groups=1\n%3 = conv(%0, %wl, _) " ONE_PIXEL "\n"
                   "output %2\noutput %3\n" }, 6, 1 },
    { { "halves of a part", "graph \"\"\n%x = input f16 [2,32,9,9]\n%w = input f16 [64,32,1,1]\n"
                            "%wm = input f16 [32,32,3,3]\n%wl = input f16 [32,96,1,1]\n"
                            "%0 = conv(%x, %w, _) " ONE_PIXEL "\n%1 = sigmoid(%0)\n%2 = mul(%0, %1)\n"
                            "%3 = slice(%2) axes=[1] starts=[0] ends=[32] steps=[1]\n"
                            "%4 = slice(%2) axes=[1] starts=[32] ends=[64] steps=[1]\n"
                            "%5 = conv(%4, %wm, _) " CONV " groups=1\n%6 = concat(%3, %4, %5) axis=1\n"
                            "%7 = conv(%6, %wl, _) " ONE_PIXEL "\noutput %7\n" }, 5, 2 },
    { { "an upsampled image and another, normed", "graph \"\"\n%x = input f16 [2,32,9,9]\n%y = input f16 [2,16,18,18]\n"
                    "%w = input f16 [32,32,3,3]\n%wm = input f16 [16,16,3,3]\n%ws = input f16 [48]\n"
                    "%wl = input f16 [16,48,3,3]\n%0 = conv(%x, %w, _) " CONV " groups=1\n"
                    "%1 = conv(%y, %wm, _) " CONV " groups=1\n"
                    "%2 = resize(%0) coordinates=asymmetric nearest=floor scales=[1,1,2,2] cubic_a=-0.75\n"
                    "%3 = concat(%2, %1) axis=1\n%4 = group_norm(%3, %ws, %ws) groups=8 epsilon=1e-5\n"
                    "%5 = swish(%4) p=1\n%6 = conv(%5, %wl, _) " CONV " groups=1\noutput %6\n" }, 7, 0 },
    { { "channels of turned tokens", "graph \"\"\n%x = input f16 [1,24,24,64]\n%p = input f16 [64,96]\n"
                    "%w = input f16 [32,1,3,3]\n%wl = input f16 [32,32,1,1]\n%0 = matmul(%x, %p)\n"
                    "%1 = transpose(%0) perm=[0,3,1,2]\n"
                    "%2 = slice(%1) axes=[1] starts=[32] ends=[64] steps=[1]\n%3 = conv(%2, %w, _) " CONV " groups=32\n"
                    "%4 = slice(%1) axes=[1] starts=[64] ends=[96] steps=[1]\n%5 = conv(%4, %w, _) " CONV " groups=32\n"
                    "%6 = add(%3, %5)\n%7 = conv(%6, %wl, _) " ONE_PIXEL "\noutput %7\n" }, 7, 1 },
    { { "a softmax", "graph \"\"\n%x = input f16 [2,32,9,9]\n%w = input f16 [32,32,3,3]\n%wl = input f16 [32,64,1,1]\n"
                     "%0 = conv(%x, %w, _) " CONV " groups=1\n%1 = softmax(%x) axis=3\n%2 = concat(%0, %1) axis=1\n"
                     "%3 = conv(%2, %wl, _) " ONE_PIXEL "\noutput %3\n" }, 7, 0 },
};

static void parts_lie_in_their_whole(void **state)
{
    pf_device *device = NULL;
    pf_err     err = { 0 };

    (void)state;
    test_ok(front_open(&device, &err), &err);
    for (size_t i = 0; i < sizeof joins / sizeof joins[0]; i++) {
        front_layers layers = { 0 };
        pf_network  *net = NULL;

        test_ok(op_sample_network(&joins[i].network, &net, &err), &err);
        test_ok(front_layers_of(device, pf_network_graph(net), "effort=1\n", false, &layers, &err), &err);
        print_message("%s: %u layers, %u joined, %u problems\n", joins[i].network.name, layers.count, layers.joined,
                      layers.problems);
        assert_int_equal(layers.joined, joins[i].joined);
        assert_int_equal(layers.count, joins[i].layers);
        pf_network_free(net);
    }
}

static uint32_t count_hosts(pf_device *device, pf_network *net, const char *spec)
{
    front_layers layers = { 0 };
    pf_err       err = { 0 };

    test_ok(front_layers_of(device, pf_network_graph(net), spec, false, &layers, &err), &err);
    assert_true(layers.count > 0);
    pf_network_free(net);
    return layers.hosts;
}

#define NO_LIBRARY "effort=0\ntactics=-cudnn_conv,-cublaslt_matmul\nmin_shapes=input:1x3x24x24\n" \
                   "opt_shapes=input:2x3x24x24\nmax_shapes=input:3x3x24x24\n"

/* The plans of tests/gpu/test_gpu_threads.c that have no libraries. */
static void separable_images_need_no_library(void **state)
{
    pf_device *device = NULL;
    pf_err     err = { 0 };

    (void)state;
    test_ok(front_open(&device, &err), &err);
    assert_int_equal(count_hosts(device, separable_network("[batch,3,24,24]"), NO_LIBRARY "fp16=1\n"), 0);
    assert_true(count_hosts(device, residual_network("[batch,3,24,24]"), NO_LIBRARY) > 0);
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

static bool cudnn_takes(pf_device *device, const char *type, const char *function, const char *numerics)
{
    char        text[512] = "";
    pf_problem *problem = NULL;
    pf_err      err = { 0 };
    bool        takes = false;

    snprintf(text, sizeof text, "problem in=nhwc,linear* out=nhwc numerics=%s\ngraph\n%%0 = input %s [1,64,20,20]\n"
             "%%1 = input %s [64,64,3,3]\n%%2 = conv(%%0, %%1) " CONV " groups=1\n%%3 = %s(%%2)\noutput %%3\n",
             numerics, type, type, function);
    test_ok(pf_problem_parse(text, &problem, &err), &err);
    takes = !pf_tactic_declines(pf_tactic_find("cudnn_conv"), device, problem);
    pf_problem_free(problem);
    return takes;
}

/* Without tensor cores cuDNN has fast kernels for a rectifier alone. */
static void slow_epilogues_are_kernels_of_their_own(void **state)
{
    pf_device *device = NULL;
    pf_err     err = { 0 };

    (void)state;
    test_ok(front_open(&device, &err), &err);
    assert_true(cudnn_takes(device, "f16", "sigmoid", "0"));
    assert_true(cudnn_takes(device, "f32", "relu", "0"));
    assert_true(cudnn_takes(device, "f32", "sigmoid", "1"));
    assert_false(cudnn_takes(device, "f32", "sigmoid", "0"));
}

static uint32_t count_tunings(const char *name, pf_device *device, const char *layouts, const char *graph, int effort)
{
    const pf_tactic *tactic = pf_tactic_find(name);
    char             text[512] = "";
    pf_problem      *problem = NULL;
    pf_tuning_list   tunings = { 0 };
    uint32_t         count = 0;
    pf_err           err = { 0 };

    assert_non_null(tactic);
    snprintf(text, sizeof text, "problem %s numerics=%d\ngraph\n%s", layouts,
             strstr(graph, "f32") ? PF_NUMERICS_BF16_THREE : 0, graph);
    test_ok(pf_problem_parse(text, &problem, &err), &err);
    assert_null(pf_tactic_declines(tactic, device, problem));
    test_ok(tactic->tunings(device, problem, effort, &tunings, &err), &err);
    count = tunings.count;
    pf_tuning_clear(&tunings);
    pf_problem_free(problem);
    return count;
}

/* One row of a million elements: blocks share it though it does not fit into their registers. */
static void long_rows_are_shared(void **state)
{
    pf_problem    *problem = NULL;
    pf_tuning_list tunings = { 0 };
    pf_device     *device = NULL;
    pf_err         err = { 0 };

    (void)state;
    test_ok(front_open(&device, &err), &err);
    test_ok(pf_problem_parse("problem in=nhwc,linear*,linear* out=nhwc numerics=0\ngraph\n"
                             "%0 = input f16 [1,512,1,1999]\n%1 = input f16 [512]\n%2 = input f16 [512]\n"
                             "%3 = group_norm(%0, %1, %2) groups=1 epsilon=1e-5\noutput %3\n", &problem, &err), &err);
    test_ok(pf_tactic_find("nvrtc_row")->tunings(device, problem, 2, &tunings, &err), &err);
    assert_true(tunings.count >= 2);
    assert_string_equal(tunings.items[0].text, "v=8 t=1024 k=8");
    pf_tuning_clear(&tunings);
    pf_problem_free(problem);
}

#define TURNED_LINES "%0 = input f16 [1,64,1024,16]\n%1 = transpose(%0) perm=[0,2,3,1]\n" \
                     "%2 = reduce(%1) mode=max axes=[2] keepdims=1\noutput %2\n"
#define PRODUCT_OF(type, rows) "%0 = input " type " [" rows ",256]\n%1 = input " type " [256,192]\n" \
                               "%2 = matmul(%0, %1)\noutput %2\n"
#define PRODUCT(rows) PRODUCT_OF("f16", rows)

/* What lies with its channels last is read so, whatever it is turned to. */
static void columns_are_read_where_they_lie(void **state)
{
    pf_device *device = NULL;
    pf_err     err = { 0 };

    (void)state;
    test_ok(front_open(&device, &err), &err);
    assert_true(count_tunings("nvrtc_column", device, "in=nhwc out=linear", TURNED_LINES, 2) > 1);
}

/* Products of many rows are for warp groups; of few rows both kernels are tried, and with more effort all are. */
static void two_tunings_stand_behind_warp_groups(void **state)
{
    static const char layouts[] = "in=linear,linear* out=linear";
    pf_device        *device = NULL;
    pf_err            err = { 0 };

    (void)state;
    test_ok(front_open(&device, &err), &err);
    assert_int_equal(count_tunings("nvrtc_matmul", device, layouts, PRODUCT("25088"), 2), 2);
    assert_true(count_tunings("nvrtc_matmul", device, layouts, PRODUCT("25088"), 3) > 8);
    assert_true(count_tunings("nvrtc_wgmma", device, layouts, PRODUCT("25088"), 2) > 2);
    assert_int_equal(count_tunings("nvrtc_matmul", device, layouts, PRODUCT("64"), 2), 8);
    assert_int_equal(count_tunings("nvrtc_matmul", device, layouts, PRODUCT_OF("f32", "25088"), 2), 2);
    assert_int_equal(count_tunings("nvrtc_parts", device, layouts, PRODUCT_OF("f32", "25088"), 2), 4);
}

/* ---- Factors of channels */

#define SCALED(type, rest) "graph \"\"\n%x = input " type " [2,240,20,20]\n%f = input " type " [2,240,1,1]\n" \
                           "%w = input " type " [80,240,1,1]\n%0 = mul(%x, %f)\n" \
                           "%1 = conv(%0, %w, _) " ONE_PIXEL "\n" rest

/* An image is multiplied with them as its product reads it, or by a kernel of its own: both forms are timed. That
   takes registers through which the image goes, and that nobody else reads what comes of it. */
static const struct { op_sample network; uint32_t regions; } scaled[] = {
    { { "in three parts", SCALED("f32", "output %1\n") }, 1 },
    { { "of 16 bits", SCALED("f16", "output %1\n") }, 2 },
    { { "an image that leaves", SCALED("f32", "output %1\noutput %0\n") }, 2 },
};

static void factors_join_the_product_behind(void **state)
{
    const pf_region_rules rules = { .numerics = PF_NUMERICS_BF16_THREE };
    pf_device            *device = NULL;
    pf_err                err = { 0 };

    (void)state;
    test_ok(front_open(&device, &err), &err);
    for (size_t i = 0; i < sizeof scaled / sizeof scaled[0]; i++) {
        pf_regions  regions = { 0 };
        pf_network *net = NULL;

        print_message("%s\n", scaled[i].network.name);
        test_ok(op_sample_network(&scaled[i].network, &net, &err), &err);
        test_ok(pf_regions_form(pf_network_graph(net), device, &rules, &regions, &err), &err);
        assert_int_equal(regions.count, scaled[i].regions);
        assert_int_equal(regions.items[regions.count - 1].form_count, regions.count == 1 ? 2 : 1);
        assert_int_equal(regions.items[regions.count - 1].contested, regions.count == 1);
        pf_regions_clear(&regions);
        pf_network_free(net);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_join_the_product_behind),
        cmocka_unit_test(every_op_runs_on_the_card), cmocka_unit_test(gates_join_their_product),
        cmocka_unit_test(parts_lie_in_their_whole),
        cmocka_unit_test(tokens_are_images),
        cmocka_unit_test(patches_take_one_step),
        cmocka_unit_test(separable_images_need_no_library),
        cmocka_unit_test(small_loops_have_small_blocks),
        cmocka_unit_test(slow_epilogues_are_kernels_of_their_own),
        cmocka_unit_test(long_rows_are_shared),
        cmocka_unit_test(columns_are_read_where_they_lie),
        cmocka_unit_test(two_tunings_stand_behind_warp_groups),
    };

    return argc > 1 ? examine_models(argv + 1) : cmocka_run_group_tests(tests, NULL, NULL);
}
