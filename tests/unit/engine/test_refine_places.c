/* Candidates tried inside a network on a device that captures: no graph is launched that reads what was put over or
   given back meanwhile, also where one of the captures fails. */
#include <stdio.h>
#include <string.h>

#include "engine/device_module.h"
#include "engine/plan.h"
#include "tests/unit/engine/capturing.h"
#include "tests/unit/engine/networks.h"

enum { LAYERS = 6, CAPTURES = 20 };

static const pf_device_module *module;

/* One layer in so many makes its rows longer.  Layers of different sizes: each is compared in a window of its own. */
static pf_network *network(int64_t period)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("places", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[2,8]", &x, &err), &err);
    for (int64_t i = 0; i < LAYERS; i++) {
        char         name[8] = "";
        pf_tensor_id w = PF_NONE;

        snprintf(name, sizeof name, "w%d", (int)i);
        w = random_constant(net, name, 2, (int64_t[]){ 8 + i / period, 8 + (i + 1) / period }, 0.3, (uint64_t)i + 1);
        snprintf(name, sizeof name, "y%d", (int)i);
        x = layer(net, "matmul", name, "", 2, (pf_tensor_id[]){ x, w });
    }
    test_ok(pf_network_output(net, x, "y", &err), &err);
    return net;
}

/* Layers with the second candidate, which only the network shows to be faster. */
static int exchanged(const pf_plan *plan)
{
    int count = 0;

    assert_int_equal(plan->step_count, LAYERS);
    for (uint32_t s = 0; s < plan->step_count; s++) {
        assert_string_equal(plan->steps[s].ranked[0].tactic, "packs_much");
        count += !strcmp(plan->steps[s].ranked[0].tuning, "2");
    }
    return count;
}

/* ordinal: of the device.  Answers how many layers have the other candidate; networks: how many were captured. */
static int build(int64_t period, int ordinal, int *networks)
{
    pf_network     *net = network(period);
    pf_config      *config = config_of("effort=2\ntactics=packs_much\n");
    pf_device      *device = NULL;
    pf_plan        *plan = NULL;
    capturing      *state = NULL;
    pf_build_report report = { 0 };
    pf_err          err = { 0 };
    int             count = 0;

    test_ok(module->open(ordinal, &(pf_device_options){ .threads = 1 }, &device, &err), &err);
    state = (capturing *)device->ops;
    test_ok(pf_build(net, config, device, NULL, &plan, &report, &err), &err);
    assert_true(report.max_rel_error >= 0 && report.max_rel_error < 1e-5);
    assert_int_equal(state->spoiled, 0);
    assert_true(state->in_block > 0);
    count = exchanged(plan);
    *networks = state->networks;
    pf_plan_free(plan);
    assert_int_equal(state->taken, 0);
    pf_device_close(device);
    pf_config_free(config);
    pf_network_free(net);
    return count;
}

static void what_is_faster_in_the_network_is_taken(void **state)
{
    int networks = 0;

    (void)state;
    assert_int_equal(build(1, 0, &networks), LAYERS);
    assert_true(networks > 4 * LAYERS);
}

/* Of square products the first candidate puts what comes out where its input was; the other one cannot. */
static void what_cannot_work_in_place_is_taken_too(void **state)
{
    int networks = 0;

    (void)state;
    assert_int_equal(build(2, 0, &networks), LAYERS);
}

/* Some of them stand in a place, others are tried there: those of one layer, and of the next. */
static void no_graph_reads_what_is_gone(void **state)
{
    int networks = 0;

    (void)state;
    for (int n = 1; n <= CAPTURES; n++) {
        (void)build(1, n, &networks);
        assert_true(networks >= n);
    }
}

/* Who finds no memory when it is to take over does not; the others do. */
static void who_finds_no_memory_is_left_out(void **state)
{
    int networks = 0;

    (void)state;
    for (int n = 1; n <= LAYERS; n++)
        assert_int_equal(build(1, CAPTURING_BLOCKS + n, &networks), LAYERS - 1);
}

static int load_module(void **state)
{
    pf_err err = { 0 };

    (void)state;
    test_ok(pf_device_module_load(CAPTURING_MODULE, &module, &err), &err);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_faster_in_the_network_is_taken),
        cmocka_unit_test(what_cannot_work_in_place_is_taken_too),
        cmocka_unit_test(no_graph_reads_what_is_gone),
        cmocka_unit_test(who_finds_no_memory_is_left_out),
    };

    return cmocka_run_group_tests(tests, load_module, NULL);
}
