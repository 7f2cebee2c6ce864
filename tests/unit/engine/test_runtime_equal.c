/* Layers that are equal but for their weights share one prepared step, and nothing else. */
#include "engine/runtime.h"
#include "tests/unit/engine/networks.h"

enum { EQUAL = 4 };

static pf_network *net;
static pf_plan    *plan;
static pf_device  *device;
static pf_context *context;

/* A convolution of three channels, four of 16, and another of 16 that strides. */
static pf_network *repeating_network(void)
{
    pf_network  *made = NULL;
    pf_tensor_id x = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("repeating", &made, &err), &err);
    test_ok(pf_network_input(made, "input", PF_F32, "[batch,3,12,12]", &x, &err), &err);
    x = layer(made, "relu", "relu", "", 1, (pf_tensor_id[]){ conv3x3(made, "first", x, 3, 16, 1) });
    for (uint64_t i = 0; i < EQUAL; i++)
        x = layer(made, "relu", "relu", "", 1, (pf_tensor_id[]){ conv3x3(made, "equal", x, 16, 16, 2 + i) });
    x = layer(made, "conv", "last", "strides=[2,2] pads=[1,1,1,1] dilations=[1,1] groups=1", 2,
              (pf_tensor_id[]){ x, random_constant(made, "w", 4, (int64_t[]){ 16, 16, 3, 3 }, 0.1, 9) });
    test_ok(pf_network_output(made, x, "out", &err), &err);
    return made;
}

static int open_all(void **state)
{
    pf_err err = { 0 };

    (void)state;
    device = cpu();
    net = repeating_network();
    plan = plan_of(net, "effort=0\nmin_shapes=input:1x3x12x12\nopt_shapes=input:2x3x12x12\n"
                        "max_shapes=input:4x3x12x12\n", device);
    test_ok(pf_context_new(plan, device, NULL, &context, &err), &err);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    pf_context_free(context);
    pf_plan_free(plan);
    pf_network_free(net);
    pf_device_close(device);
    return 0;
}

static void run_at(int64_t batch)
{
    pf_tensor input = random_tensor(PF_F32, 4, (int64_t[]){ batch, 3, 12, 12 }, (uint64_t)batch);
    pf_tensor output = { 0 };
    pf_err    err = { 0 };

    test_ok(pf_context_set_shape(context, 0, input.dim, 4, &err), &err);
    test_ok(pf_context_run_host(context, &input, &output, &err), &err);
    expect_interpreted(net, &input, &output);
    pf_tensor_clear(&input);
    pf_tensor_clear(&output);
}

static bool share_a_step(uint32_t a, uint32_t b)
{
    const pf_instance *made = context->instance;

    assert_true(!made->packed[a] || made->packed[a] != made->packed[b]);
    if (made->steps[a] != made->steps[b])
        return false;
    assert_true(pf_digest_equal(&plan->steps[a].problem->hash, &plan->steps[b].problem->hash));
    return true;
}

/* What is between the first and the last of them has the same layouts on both sides. */
static void equal_layers_share_a_step(void **state)
{
    uint32_t shared = 0;

    (void)state;
    run_at(2);
    for (uint32_t s = 0; s < plan->step_count; s++) {
        bool found = false;

        for (uint32_t e = 0; e < s; e++)
            found |= share_a_step(e, s);
        assert_int_equal(found, context->instance->is_shared[s]);
        shared += found;
    }
    assert_in_range(shared, EQUAL - 3, EQUAL - 1);
}

/* Instances of other sizes have steps of their own. */
static void sizes_share_nothing(void **state)
{
    const pf_step *before = NULL;

    (void)state;
    run_at(2);
    before = context->instance->steps[0];
    run_at(3);
    assert_ptr_not_equal(before, context->instance->steps[0]);
    run_at(2);
    assert_ptr_equal(before, context->instance->steps[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_layers_share_a_step, open_all, close_all),
        cmocka_unit_test_setup_teardown(sizes_share_nothing, open_all, close_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
