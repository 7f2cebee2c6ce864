#include "engine/builder_check.h"
#include "engine/op.h"
#include "tests/unit/engine/networks.h"

typedef struct built { pf_network *net; pf_config *config; pf_device *device; pf_plan *plan; pf_build_report report; } built;

static built build(pf_network *net, const char *spec, pf_timing_store *store)
{
    built            b = { .net = net, .config = config_of(spec), .device = cpu() };
    pf_build_options options = { .store = store };
    pf_err           err = { 0 };

    test_ok(pf_build(b.net, b.config, b.device, &options, &b.plan, &b.report, &err), &err);
    return b;
}

static void drop(built *b)
{
    pf_plan_free(b->plan);
    pf_device_close(b->device);
    pf_config_free(b->config);
    pf_network_free(b->net);
}

static void builds_and_agrees(void **state)
{
    built b = build(residual_network("[2,3,32,32]"), "effort=1\n", NULL);

    (void)state;
    assert_true(b.report.problems > 3);
    assert_true(b.report.candidates_timed > 0);
    assert_true(b.report.max_rel_error >= 0 && b.report.max_rel_error < 1e-4);
    assert_true(b.report.memory_bytes >= b.report.memory_lower_bound_bytes);
    drop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_and_agrees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
