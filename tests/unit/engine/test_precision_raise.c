/* Networks in FP16 and BF16 computed in FP32. */
#include <stdio.h>

#include "engine/plan.h"
#include "engine/precision_raise.h"
#include "tests/unit/engine/graphs.h"
#include "tests/unit/engine/networks.h"

static const char body[] =
    "graph\n"
    "%0 = input f16 [n,2,4,4]\n"
    "%1 = constant f16 [3,2,1,1] {1,-0.5,0.25,2,-1,0.125}\n"
    "%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
    "%3 = relu(%2)\n"
    "%4 = cast(%3) dtype=f32\n"
    "%5 = constant f32 [] {3}\n"
    "%6 = mul(%4, %5)\n"
    "%7 = cast(%6) dtype=f16\n"
    "%8 = add(%7, %3)\n"
    "%9 = constant i8 [3,1,1] {1,-2,3}\n"
    "%10 = constant f16 [] {0.5}\n"
    "%11 = dequantize_linear(%9, %10) dtype=f16\n"
    "%12 = mul(%8, %11)\n"
    "output %12\noutput %4\noutput %3\n";

static void run(const pf_graph *graph, pf_tensor *outputs)
{
    pf_tensor input = { .dtype = PF_F16, .rank = 4, .dim = { 2, 2, 4, 4 } };
    pf_random random;
    pf_err    err = { 0 };

    test_ok(pf_tensor_alloc(&input, &err), &err);
    pf_random_init(&random, 3);
    for (uint64_t i = 0; i < (uint64_t)pf_tensor_elems(&input); i++)
        pf_dtype_set(PF_F16, input.data, i, pf_random_normal(&random));
    test_ok(pf_interpret(graph, &input, outputs, NULL, NULL, &err), &err);
    pf_tensor_clear(&input);
}

/* Only inputs, outputs and the casts beside them stay narrow. */
static void nothing_narrow_is_left_inside(void **state)
{
    pf_graph *graph = graph_of(body), *wide = graph_of(body);
    pf_tensor before[3] = { { 0 } }, after[3] = { { 0 } };
    pf_err    err = { 0 };

    (void)state;
    test_ok(pf_precision_raise(wide, &err), &err);
    test_ok(pf_graph_verify(wide, &err), &err);
    for (uint32_t i = 0; i < wide->node_count; i++)
        if (wide->nodes[i].live && wide->values[wide->nodes[i].out[0]].dtype == PF_F16)
            assert_true(pf_graph_is_output(wide, wide->nodes[i].out[0]) && wide->nodes[i].op == PF_OP_CAST);
    run(graph, before);
    run(wide, after);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(before[i].dtype, after[i].dtype);
        expect_close(&after[i], &before[i], 4e-3);          /* a few roundings to 11 bits */
        pf_tensor_clear(&before[i]);
        pf_tensor_clear(&after[i]);
    }
    test_ok(pf_precision_raise(graph, &err), &err);
    pf_graph_free(graph);
    pf_graph_free(wide);
}

static void what_is_wide_stays(void **state)
{
    pf_graph *graph = graph_of("graph\n" "%0 = input f32 [n]\n%1 = relu(%0)\noutput %1\n");
    pf_err    err = { 0 };

    (void)state;
    test_ok(pf_precision_raise(graph, &err), &err);
    assert_int_equal(graph->node_count, 1);
    pf_graph_free(graph);
}

/* A network with one input [4,8] of the type, and a matrix. */
static pf_tensor_id network_of(const char *type, pf_network **net, pf_tensor_id *x)
{
    pf_tensor    tensor = { .dtype = pf_dtype_from_name(type), .rank = 2, .dim = { 8, 6 } };
    pf_tensor_id w = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("narrow", net, &err), &err);
    test_ok(pf_network_input(*net, "x", tensor.dtype, "[4,8]", x, &err), &err);
    test_ok(pf_tensor_alloc(&tensor, &err), &err);
    for (uint64_t i = 0; i < 48; i++)
        pf_dtype_set(tensor.dtype, tensor.data, i, (double)(i % 7) / 4 - 0.75);
    test_ok(pf_network_constant(*net, "w", &tensor, &w, &err), &err);
    pf_tensor_clear(&tensor);
    return w;
}

/* On a CPU no layer of such a network is left to the reference. */
static void a_cpu_has_kernels_for_it(void **state)
{
    static const char *const types[] = { "f16", "bf16" };
    pf_device               *device = cpu();

    (void)state;
    for (int t = 0; t < 2; t++) {
        pf_network  *net = NULL;
        pf_plan     *plan = NULL;
        pf_tensor_id x = PF_NONE, w = network_of(types[t], &net, &x);
        pf_err       err = { 0 };

        x = layer(net, "gelu", "act", "", 1,
                  (pf_tensor_id[]){ layer(net, "matmul", "product", "", 2, (pf_tensor_id[]){ x, w }) });
        test_ok(pf_network_output(net, x, "y", &err), &err);
        plan = plan_of(net, "effort=0\n", device);
        for (uint32_t s = 0; s < plan->step_count; s++)
            assert_string_not_equal(plan->steps[s].ranked[0].tactic, "reference");
        assert_int_equal(plan->io[1].dtype, plan->io[0].dtype);
        pf_plan_free(plan);
        pf_network_free(net);
    }
    pf_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_narrow_is_left_inside),
        cmocka_unit_test(what_is_wide_stays),
        cmocka_unit_test(a_cpu_has_kernels_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
