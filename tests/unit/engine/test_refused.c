/* A candidate that is refused after all costs a build nothing but that candidate: the next one is taken, at every
   effort. */
#include <dlfcn.h>

#include "engine/device_module.h"
#include "engine/plan.h"
#include "tests/unit/engine/networks.h"

static pf_network *network(void)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("refused", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[2,3,3]", &x, &err), &err);
    test_ok(pf_network_output(net, layer(net, "det", "det", "", 1, (pf_tensor_id[]){ x }), "y", &err), &err);
    test_ok(pf_network_output(net, layer(net, "cumulate", "sums", "mode=sum axis=1", 1, (pf_tensor_id[]){ x }), "z",
                              &err),
            &err);
    return net;
}

/* Steps whose problem holds that op. */
static uint32_t steps_of(const pf_plan *plan, const char *op)
{
    uint32_t count = 0;

    for (uint32_t s = 0; s < plan->step_count; s++)
        count += strstr(plan->steps[s].problem_text, op) != NULL;
    return count;
}

static pf_plan *plan_at(const char *spec)
{
    pf_network *net = network();
    pf_device  *device = cpu();
    pf_plan    *plan = plan_of(net, spec, device);

    pf_device_close(device);
    pf_network_free(net);
    return plan;
}

/* How often it tries what the tactic leaves to others. */
static int tried_by(const char *spec)
{
    void *module = dlopen(REFUSING_MODULE, RTLD_NOW | RTLD_NOLOAD);
    int  *prepared = module ? dlsym(module, "refusing_left_prepared") : NULL, tried = 0;

    assert_non_null(prepared);
    *prepared = 0;
    pf_plan_free(plan_at(spec));
    tried = *prepared;
    dlclose(module);
    return tried;
}

/* Times may put a copy to another layout between input and layer; without them there is none. */
static void build_at(const char *spec, bool is_timed)
{
    pf_plan *plan = plan_at(spec);

    for (uint32_t s = 0; s < plan->step_count; s++)
        assert_int_not_equal(strncmp(plan->steps[s].ranked[0].tactic, "refuses", 7), 0);
    assert_int_equal(steps_of(plan, "det("), 1);
    assert_int_equal(steps_of(plan, "cumulate("), 1);
    assert_int_equal(plan->step_count, 2 + (is_timed ? steps_of(plan, "identity(") : 0));
    pf_plan_free(plan);
}

static int load_module(void **state)
{
    const pf_device_module *module = NULL;
    pf_err                  err = { 0 };

    (void)state;
    test_ok(pf_device_module_load(REFUSING_MODULE, &module, &err), &err);
    assert_non_null(pf_tactic_find("refuses_to_prepare"));
    return 0;
}

static void the_next_candidate_is_taken(void **state)
{
    (void)state;
    build_at("effort=0\n", false);
    build_at("effort=1\n", true);
}

/* It comes before the references, though it is refused then. */
static void who_leaves_a_problem_to_others_is_asked_where_they_are_not_allowed(void **state)
{
    (void)state;
    assert_int_equal(tried_by("effort=1\n"), 0);
    assert_int_equal(tried_by("effort=1\ntactics=reference\n"), 0);
    assert_true(tried_by("effort=1\ntactics=leaves_to_others,reference\n") > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_candidate_is_taken),
        cmocka_unit_test(who_leaves_a_problem_to_others_is_asked_where_they_are_not_allowed),
    };

    return cmocka_run_group_tests(tests, load_module, NULL);
}
