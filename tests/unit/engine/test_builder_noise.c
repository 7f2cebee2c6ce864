#include "engine/builder_noise.h"

#include <math.h>

#include "tests/unit/engine/graphs.h"

/* A product, whose steps of an eighth are all that is left of it in the first output. */
static const char network[] =
    "graph\n%x = input f32 [64,32]\n"
    "%w = constant f32 [32,2] {0.11,-0.23,0.31,0.07,-0.17,0.29,0.13,-0.05,0.19,0.41,-0.37,0.03,0.43,-0.47,0.53,0.59,"
    "0.61,-0.67,0.71,0.73,-0.79,0.83,-0.89,0.97,0.01,0.09,-0.33,0.27,0.21,-0.39,0.51,0.57,"
    "0.63,-0.69,0.77,0.81,-0.87,0.93,-0.99,0.91,0.15,0.25,-0.35,0.45,0.55,-0.65,0.75,0.85,"
    "0.95,-0.12,0.14,0.16,-0.18,0.22,-0.24,0.26,0.28,0.32,-0.34,0.36,0.38,-0.42,0.44,0.46}\n"
    "%s = constant f32 [] {0.125}\n%z = constant i8 [] {0}\n%a = matmul(%x, %w)\n"
    "%q = quantize_linear(%a, %s, %z) dtype=i8 axis=0\n%d = dequantize_linear(%q, %s, %z) dtype=f32 axis=0\n"
    "output %d\noutput %a\n";

static const int64_t STEPS = 8;     /* that make one */

static pf_oracle oracle_of(const pf_graph *graph)
{
    pf_oracle oracle = { 0 };
    pf_err    err = { 0 };

    test_ok(pf_oracle_of_graph(graph, NULL, &oracle, &err), &err);
    return oracle;
}

/* Puts one product on the edge between two steps, by its first input. */
static void put_on_edge(const pf_graph *graph, pf_oracle *oracle)
{
    float  *x = oracle->in[0].data;
    float  *y = oracle->out[1].data;
    double  want = floor((double)y[0] * (double)STEPS) / (double)STEPS + 0.5 / (double)STEPS;
    pf_err  err = { 0 };

    x[0] += (float)((want - (double)y[0]) / 0.11);
    pf_tensor_clear(&oracle->out[0]);
    pf_tensor_clear(&oracle->out[1]);
    test_ok(pf_interpret(graph, oracle->in, oracle->out, NULL, NULL, &err), &err);
}

static pf_tensor copy_of(const pf_tensor *tensor)
{
    pf_tensor copy = { 0 };
    pf_err    err = { 0 };

    test_ok(pf_tensor_copy(tensor, &copy, &err), &err);
    return copy;
}

static void rounding_may_take_a_step(void **state)
{
    pf_graph *graph = graph_of(network);
    pf_oracle oracle = oracle_of(graph);
    pf_noise  noise[2] = { { 0, 0 } };
    pf_tensor test = { 0 };
    pf_err    err = { 0 };

    (void)state;
    put_on_edge(graph, &oracle);
    test_ok(pf_builder_noise(graph, graph, 0, &oracle, noise, &err), &err);
    assert_true(noise[0].most > 1e-3 && noise[0].most < 0.1);      /* a step */
    assert_true(noise[1].most > 0 && noise[1].most < 1e-5);        /* the product itself is off by little */
    test = copy_of(&oracle.out[0]);
    assert_true(pf_builder_within_noise(&test, &oracle.out[0], &noise[0]));
    ((float *)test.data)[0] += 1.0f / (float)STEPS;
    assert_true(pf_builder_within_noise(&test, &oracle.out[0], &noise[0]));
    for (int64_t i = 1; i < pf_tensor_elems(&test); i++) ((float *)test.data)[i] += 1.0f / (float)STEPS;
    assert_false(pf_builder_within_noise(&test, &oracle.out[0], &noise[0]));       /* each by a step is no rounding */
    pf_tensor_clear(&test);
    pf_oracle_clear(&oracle);
    pf_graph_free(graph);
}

static void wrong_values_are_not_noise(void **state)
{
    pf_graph *graph = graph_of(network);
    pf_oracle oracle = oracle_of(graph);
    pf_noise  noise[2] = { { 0, 0 } };
    pf_tensor test = { 0 };
    pf_err    err = { 0 };

    (void)state;
    test_ok(pf_builder_noise(graph, graph, 0, &oracle, noise, &err), &err);
    test = copy_of(&oracle.out[1]);
    ((float *)test.data)[7] *= 1.01f;
    assert_false(pf_builder_within_noise(&test, &oracle.out[1], &noise[1]));
    ((float *)test.data)[7] = NAN;
    assert_false(pf_builder_within_noise(&test, &oracle.out[1], &noise[1]));
    pf_tensor_clear(&test);
    pf_oracle_clear(&oracle);
    pf_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rounding_may_take_a_step),
                                        cmocka_unit_test(wrong_values_are_not_noise) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
