/* A candidate that turns out wrong, or fails, only when the whole plan is run: the next one is taken, at every effort,
   and the next build knows it from the start.  One that crashes ends the build, and the next one leaves it out. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error_list.h"
#include "base/memory.h"
#include "engine/device_module.h"
#include "engine/plan.h"
#include "tests/unit/engine/networks.h"

enum { WAYS = 6, CRASHES = 6, LENGTH_LEAST = 4, MOST_BYTES = 1 << 30 };

static const pf_device_module *module;

/* Rows of each length through hardmax; softmax before it makes them positive. */
static pf_network *network(void)
{
    pf_network *net = NULL;
    pf_err      err = { 0 };

    test_ok(pf_network_new("failing", &net, &err), &err);
    for (int i = 0; i < WAYS; i++) {
        pf_tensor_id x = PF_NONE, y = PF_NONE;
        char         in[8] = "", out[8] = "", shape[16] = "";

        snprintf(in, sizeof in, "x%d", i);
        snprintf(out, sizeof out, "y%d", i);
        snprintf(shape, sizeof shape, "[3,%d]", LENGTH_LEAST + i);
        test_ok(pf_network_input(net, in, PF_F32, shape, &x, &err), &err);
        y = layer(net, "softmax", "positive", "axis=1", 1, (pf_tensor_id[]){ x });
        y = layer(net, "hardmax", "hard", "axis=1", 1, (pf_tensor_id[]){ y });
        test_ok(pf_network_output(net, y, out, &err), &err);
    }
    return net;
}

static bool is_named(const pf_error_list *list, const char *tactic)
{
    for (uint32_t i = 0; i < pf_error_list_count(list); i++) {
        pf_error one = { 0 };

        pf_error_list_at(list, i, &one);
        if (strstr(one.message, tactic))
            return true;
    }
    return false;
}

/* notes: of what the build survived. */
static pf_plan *build(const char *spec, pf_timing_store *store, pf_error_list *notes, uint32_t *banned)
{
    pf_network      *net = network();
    pf_config       *config = config_of(spec);
    pf_device       *device = cpu();
    pf_build_options options = { .store = store };
    pf_plan         *plan = NULL;
    pf_build_report  report = { 0 };
    pf_err           err = { .list = notes };

    pf_error_list_clear(notes);
    test_ok(pf_build(net, config, device, &options, &plan, &report, &err), &err);
    assert_true(report.max_rel_error >= 0 && report.max_rel_error < 1e-5);
    *banned = report.candidates_banned;
    for (uint32_t s = 0; s < plan->step_count; s++)
        assert_int_not_equal(strncmp(plan->steps[s].ranked[0].tactic, "fails", 5), 0);
    pf_device_close(device);
    pf_config_free(config);
    pf_network_free(net);
    return plan;
}

static void assert_same_bytes(const pf_plan *a, const pf_plan *b)
{
    size_t      one = 0, two = 0;
    const void *bytes = pf_plan_bytes(a, &one), *others = pf_plan_bytes(b, &two);

    assert_int_equal(one, two);
    assert_memory_equal(bytes, others, one);
}

/* What is short of memory now may have it next time, and is tried again. */
static void build_twice(const char *spec)
{
    static const char *const lasting[] = { "fails_wrong", "fails_nan", "fails_to_run", "fails_to_load",
                                           "fails_if_positive" };
    pf_timing_store *store = NULL;
    pf_error_list   *notes = NULL;
    pf_plan         *first = NULL, *second = NULL;
    uint32_t         banned = 0;
    pf_err           err = { 0 };

    test_ok(pf_timing_store_memory(&store, &err), &err);
    test_ok(pf_error_list_new(&notes, &err), &err);
    first = build(spec, store, notes, &banned);
    assert_true(banned >= 2);
    for (size_t i = 0; i < sizeof lasting / sizeof lasting[0]; i++)
        assert_true(is_named(notes, lasting[i]));
    assert_true(is_named(notes, "fails_greedy"));
    second = build(spec, store, notes, &banned);
    assert_true(banned <= 1);
    for (size_t i = 0; i < sizeof lasting / sizeof lasting[0]; i++)
        assert_false(is_named(notes, lasting[i]));
    assert_same_bytes(first, second);
    pf_plan_free(first);
    pf_plan_free(second);
    pf_error_list_free(notes);
    store->close(store);
}

static void with_nothing_timed(void **state)
{
    (void)state;
    build_twice("effort=0\n");
}

static void with_all_timed_alone(void **state)
{
    (void)state;
    build_twice("effort=1\n");
}

/* ---- What was refined */

static uint32_t refined;
static pf_status (*keep)(pf_timing_store *, const char *, const char *, const pf_timing_record *, pf_err *);

static pf_status count_refined(pf_timing_store *store, const char *class_text, const char *problem_text,
                               const pf_timing_record *entries, pf_err *err)
{
    refined += !strncmp(problem_text, "refined choices", strlen("refined choices"));
    return keep(store, class_text, problem_text, entries, err);
}

/* Five candidates of a layer turn out wrong, one after the other: the network is tried with others after the first
   choices, after those of the first ban, and when all is right. */
static void with_others_tried_in_the_network(void **state)
{
    pf_timing_store *store = NULL;
    pf_error_list   *notes = NULL;
    pf_plan         *first = NULL, *second = NULL;
    uint32_t         banned = 0;
    pf_err           err = { 0 };

    (void)state;
    test_ok(pf_timing_store_memory(&store, &err), &err);
    test_ok(pf_error_list_new(&notes, &err), &err);
    keep = store->merge;
    store->merge = count_refined;
    refined = 0;
    first = build("effort=2\n", store, notes, &banned);
    assert_true(banned > 3);
    assert_in_range(refined, 1, 3);
    refined = 0;
    second = build("effort=2\n", store, notes, &banned);
    assert_int_equal(refined, 0);
    assert_same_bytes(first, second);
    pf_plan_free(first);
    pf_plan_free(second);
    pf_error_list_free(notes);
    store->close(store);
}

/* ---- Sizes far from the usual ones, where a tactic's first guess is run */

static pf_network *rows_network(void)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, y = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("rows", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[rows,11]", &x, &err), &err);
    y = layer(net, "hardmax", "hard", "axis=1", 1, (pf_tensor_id[]){ x });
    test_ok(pf_network_output(net, y, "y", &err), &err);
    return net;
}

/* Any of its twenty tunings would meet the same guess: the tactic goes, not one tuning after the other. */
static void a_wrong_guess_rules_its_tactic_out(void **state)
{
    pf_network     *net = rows_network();
    pf_config      *config = config_of("effort=0\nmin_shapes=x:1x11\nopt_shapes=x:64x11\nmax_shapes=x:64x11\n");
    pf_device      *device = cpu();
    pf_plan        *plan = NULL;
    pf_build_report report = { 0 };
    pf_err          err = { 0 };

    (void)state;
    test_ok(pf_build(net, config, device, NULL, &plan, &report, &err), &err);
    assert_int_equal(report.candidates_banned, 1);
    for (uint32_t i = 0; i < plan->steps[0].ranked_count; i++)
        assert_string_not_equal(plan->steps[0].ranked[i].tactic, "fails_if_guessed");
    pf_plan_free(plan);
    pf_device_close(device);
    pf_config_free(config);
    pf_network_free(net);
}

/* A layer that only a failing tactic may compute: the build ends, and says which. */
static void without_another_the_layer_is_named(void **state)
{
    pf_network *net = network();
    pf_config  *config = config_of("effort=0\ntactics=-reference\n");
    pf_device  *device = cpu();
    pf_plan    *plan = NULL;
    pf_err      err = { 0 };

    (void)state;
    assert_int_not_equal(pf_build(net, config, device, NULL, &plan, NULL, &err), PF_OK);
    assert_null(plan);
    assert_non_null(strstr(err.msg, "hard"));
    pf_device_close(device);
    pf_config_free(config);
    pf_network_free(net);
}

/* ---- Crashes */

/* A layer that a candidate takes which crashes; a mean behind it, which is timed after it or before. */
static pf_network *crashing_network(void)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, y = PF_NONE;
    char         shape[16] = "";
    pf_err       err = { 0 };

    snprintf(shape, sizeof shape, "[3,%d]", LENGTH_LEAST + CRASHES);
    test_ok(pf_network_new("crashing", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, shape, &x, &err), &err);
    y = layer(net, "hardmax", "hard", "axis=1", 1, (pf_tensor_id[]){ x });
    y = layer(net, "reduce", "mean", "mode=mean axes=[1] keepdims=0", 1, (pf_tensor_id[]){ y });
    test_ok(pf_network_output(net, y, "y", &err), &err);
    return net;
}

static pf_status build_with(const char *folder, const char *spec, pf_build_report *report)
{
    pf_network      *net = crashing_network();
    pf_config       *config = config_of(spec);
    pf_device       *device = cpu();
    pf_build_options options = { 0 };
    pf_plan         *plan = NULL;
    pf_err           err = { 0 };
    pf_status        st = pf_timing_store_open(folder, &options.store, &err);

    if (!st)
        st = pf_build(net, config, device, &options, &plan, report, &err);
    if (options.store)
        options.store->close(options.store);
    pf_plan_free(plan);
    pf_device_close(device);
    pf_config_free(config);
    pf_network_free(net);
    return st;
}

/* In a process of its own, which dies. */
static void crash_a_build(const char *folder, const char *spec)
{
    pid_t pid = fork();
    int   status = 0;

    if (pid == 0) {
        pf_build_report report = { 0 };

        signal(SIGSEGV, SIG_DFL);       /* a sanitizer, and cmocka, would answer it otherwise */
        pf_timing_watch_crashes(NULL);
        _exit(build_with(folder, spec, &report) == PF_OK ? 0 : 1);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static void what_crashed_a_build_is_left_out_of_the_next(void **state)
{
    const char     *folder = test_path("cache");
    pf_build_report report = { 0 };

    (void)state;
    crash_a_build(folder, "effort=1\n");
    assert_int_equal(build_with(folder, "effort=1\n", &report), PF_OK);
    assert_true(report.candidates_timed > 0);
    assert_int_equal(build_with(folder, "effort=1\n", &report), PF_OK);
    assert_int_equal(report.candidates_timed, 0);
}

/* Nothing ran alone: it is the first guess that crashes, in the plan. */
static void so_is_what_crashed_in_the_plan(void **state)
{
    const char     *folder = test_path("cache_of_guesses");
    pf_build_report report = { 0 };

    (void)state;
    crash_a_build(folder, "effort=0\n");
    assert_int_equal(build_with(folder, "effort=0\n", &report), PF_OK);
    assert_int_equal(report.candidates_banned, 0);      /* now: it was known from the start */
    assert_int_equal(build_with(folder, "effort=0\n", &report), PF_OK);
}

/* There is only so much: sanitizers end a program that asks the system for more than they like. */
static void *take(void *user, size_t bytes, size_t alignment)
{
    void *out = NULL;

    (void)user;
    return bytes > MOST_BYTES || posix_memalign(&out, alignment, bytes) ? NULL : out;
}

static void give_back(void *user, void *pointer)
{
    (void)user;
    free(pointer);
}

static int load(void **state)
{
    const pf_host_allocator allocator = { take, give_back, NULL };
    pf_err                  err = { 0 };

    (void)state;
    test_ok(pf_host_allocator_use(&allocator, &err), &err);
    test_ok(pf_device_module_load(FAILING_MODULE, &module, &err), &err);
    assert_non_null(pf_tactic_find("fails_wrong"));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_crashed_a_build_is_left_out_of_the_next),
        cmocka_unit_test(so_is_what_crashed_in_the_plan),
        cmocka_unit_test(with_nothing_timed),
        cmocka_unit_test(with_all_timed_alone),
        cmocka_unit_test(with_others_tried_in_the_network),
        cmocka_unit_test(a_wrong_guess_rules_its_tactic_out),
        cmocka_unit_test(without_another_the_layer_is_named),
    };

    return cmocka_run_group_tests(tests, load, NULL);
}
