/* What is written out computes the same: every sample is written out for a device that takes nothing whole, and run by
   the references. */
#include <math.h>
#include <stdio.h>

#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/oracle.h"
#include "engine/spell.h"
#include "tests/ops/samples.h"
#include "tests/unit/engine/tensors.h"

enum { VALUES_MAX = 8 };

static pf_node_id find_op(const pf_graph *graph, pf_op_kind op)
{
    for (uint32_t n = 0; n < graph->node_count; n++)
        if (graph->nodes[n].live && graph->nodes[n].op == op) return n;
    return PF_NONE;
}

static void fill(const pf_graph *graph, pf_tensor *in)
{
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const pf_value *value = &graph->values[graph->inputs[i]];

        in[i] = random_tensor(value->dtype, value->shape.rank, value->shape.dim, i + 1);
    }
}

static void compare(const char *name, const pf_tensor *a, const pf_tensor *b)
{
    double tolerance = a->dtype == PF_F32 ? 1e-5 : a->dtype == PF_F16 ? 4e-3 : a->dtype == PF_BF16 ? 3e-2 : 0;

    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(pf_tensor_elems(a), pf_tensor_elems(b));
    for (int64_t i = 0; i < pf_tensor_elems(a); i++) {
        double x = pf_dtype_get(a->dtype, a->data, (uint64_t)i), y = pf_dtype_get(b->dtype, b->data, (uint64_t)i);

        if (!(fabs(x - y) <= tolerance * (1 + fabs(x))))
            fail_msg("%s: element %lld is %.9g, written out %.9g", name, (long long)i, x, y);
    }
}

static void agrees(const op_sample *sample, uint32_t *written_out)
{
    pf_device   nothing = { .kind = PF_DEVICE_CUDA, .name = "nothing" };
    pf_network *net = NULL;
    pf_graph   *graph = NULL;
    pf_profile  profile = { 0 };
    pf_tensor   in[VALUES_MAX] = { 0 }, expected[VALUES_MAX] = { 0 }, found[VALUES_MAX] = { 0 };
    pf_err      err = { 0 };

    test_ok(op_sample_network(sample, &net, &err), &err);
    graph = pf_graph_copy(pf_network_graph(net), &err);
    assert_non_null(graph);
    fill(graph, in);
    if (pf_interpret(graph, in, expected, NULL, NULL, NULL) == PF_OK) {     /* random indices may be out of range */
        test_ok(pf_spell_out(graph, &nothing, &profile, &(pf_region_rules){ 0 }, &err), &err);
        test_ok(pf_graph_verify(graph, &err), &err);
        *written_out += find_op(graph, pf_network_graph(net)->nodes[0].op) == PF_NONE;
        test_ok(pf_interpret(graph, in, found, NULL, NULL, &err), &err);
        for (uint32_t o = 0; o < graph->output_count; o++) compare(sample->name, &expected[o], &found[o]);
    }
    for (int i = 0; i < VALUES_MAX; i++) {
        pf_tensor_clear(&in[i]);
        pf_tensor_clear(&expected[i]);
        pf_tensor_clear(&found[i]);
    }
    pf_graph_free(graph);
    pf_network_free(net);
}

static void what_is_written_out_computes_the_same(void **state)
{
    uint32_t written_out = 0;

    (void)state;
    for (uint32_t i = 0; i < op_sample_count; i++) agrees(&op_samples[i], &written_out);
    assert_true(written_out >= 46);
}

/* Places that are turned round lie in other windows than their values: nothing but the op itself puts them there. */
static void places_in_other_windows_are_left_to_the_op(void **state)
{
    static const op_sample turned = { "max_unpool of places turned round",
        "graph \"\"\n%x = input f32 [2,4,8,6]\n"
        "%1:2 = max_pool(%x) kernel=[2,2] strides=[2,2] dilations=[1,1] pads=[0,0,0,0]\n"
        "%3 = slice(%2) axes=[2] starts=[3] ends=[-5] steps=[-1]\n"
        "%4 = max_unpool(%1, %3) kernel=[2,2] strides=[2,2] pads=[0,0,0,0] output_shape=[]\noutput %4\n" };
    uint32_t written_out = 0;

    (void)state;
    agrees(&turned, &written_out);
}

/* No reshape is left between a convolution over one dim and what follows it. */
static void what_follows_a_convolution_can_join_it(void **state)
{
    pf_device  nothing = { .kind = PF_DEVICE_CUDA, .name = "nothing" };
    pf_graph  *graph = NULL;
    pf_profile profile = { 0 };
    pf_node_id chain[4] = { PF_NONE, PF_NONE, PF_NONE, PF_NONE };
    pf_err     err = { 0 };

    (void)state;
    test_ok(pf_graph_parse("graph \"\"\n%0 = input f32 [2,16,50]\n%1 = input f32 [16,16,5]\n%2 = input f32 [16,1]\n"
                           "%3 = conv(%0, %1, _) strides=[1] dilations=[1] pads=[2,2] groups=1\n%4 = mul(%3, %2)\n"
                           "%5 = add(%0, %4)\n%6 = input f32 [16]\n%7 = group_norm(%5, %6, %6) groups=4 epsilon=1e-5\n"
                           "output %7\n", &graph, &err), &err);
    test_ok(pf_spell_out(graph, &nothing, &profile, &(pf_region_rules){ 0 }, &err), &err);
    chain[0] = find_op(graph, PF_OP_CONV);
    chain[1] = find_op(graph, PF_OP_MUL);
    chain[2] = find_op(graph, PF_OP_ADD);
    chain[3] = find_op(graph, PF_OP_GROUP_NORM);
    for (int i = 0; i < 4; i++) assert_int_not_equal(chain[i], PF_NONE);
    assert_int_equal(graph->values[graph->nodes[chain[1]].in[0]].producer, chain[0]);
    assert_int_equal(graph->values[graph->nodes[chain[2]].in[1]].producer, chain[1]);
    assert_int_equal(graph->values[graph->nodes[chain[3]].in[0]].producer, chain[2]);
    assert_int_equal(graph->values[graph->nodes[chain[3]].out[0]].shape.rank, 4);
    pf_graph_free(graph);
}

/* Channels are last where a convolution made them, so that its lines are reduced along columns. */
static void lines_are_reduced_behind_channels(void **state)
{
    pf_device              nothing = { .kind = PF_DEVICE_CUDA, .name = "nothing" };
    pf_graph              *graph = NULL;
    pf_profile             profile = { 0 };
    const pf_reduce_attrs *attrs = NULL;
    pf_err                 err = { 0 };

    (void)state;
    test_ok(pf_graph_parse("graph \"\"\n%0 = input f32 [2,16,20,12]\n%1 = input f32 [32,16,1,1]\n"
                           "%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%3 = relu(%2)\n"
                           "%4 = reduce(%3) mode=max axes=[3]\noutput %4\n", &graph, &err), &err);
    test_ok(pf_spell_out(graph, &nothing, &profile, &(pf_region_rules){ 0 }, &err), &err);
    assert_int_not_equal(find_op(graph, PF_OP_REDUCE), PF_NONE);
    attrs = graph->nodes[find_op(graph, PF_OP_REDUCE)].attrs;
    assert_int_equal(attrs->axes.at[0], 2);
    pf_graph_free(graph);
}

/* A gate of one place, itself made by a convolution, in front of or behind what it gates: only what has all places
   says how they are cut. */
static void gates_are_broadcast_still(void **state)
{
    static const char *const orders[] = { "%4, %0", "%0, %4" };
    pf_device                nothing = { .kind = PF_DEVICE_CUDA, .name = "nothing" };
    pf_tensor                in[VALUES_MAX] = { 0 }, expected = { 0 }, found = { 0 };

    (void)state;
    for (int i = 0; i < 2; i++) {
        pf_graph  *graph = NULL;
        pf_profile profile = { 0 };
        char       text[400] = "";
        pf_err     err = { 0 };

        snprintf(text, sizeof text,
                 "graph \"\"\n%%0 = input f32 [1,4,6]\n%%1 = input f32 [4,4,6]\n"
                 "%%2 = conv(%%0, %%1, _) strides=[1] dilations=[1] pads=[0,0] groups=1\n%%4 = sigmoid(%%2)\n"
                 "%%5 = mul(%s)\noutput %%5\n", orders[i]);
        test_ok(pf_graph_parse(text, &graph, &err), &err);
        fill(graph, in);
        test_ok(pf_interpret(graph, in, &expected, NULL, NULL, &err), &err);
        test_ok(pf_spell_out(graph, &nothing, &profile, &(pf_region_rules){ 0 }, &err), &err);
        test_ok(pf_graph_verify(graph, &err), &err);
        test_ok(pf_interpret(graph, in, &found, NULL, NULL, &err), &err);
        compare("gate", &expected, &found);
        pf_tensor_clear(&in[0]);
        pf_tensor_clear(&in[1]);
        pf_tensor_clear(&expected);
        pf_tensor_clear(&found);
        pf_graph_free(graph);
    }
}

static uint32_t most_inputs(const pf_graph *graph)
{
    uint32_t most = 0;

    for (uint32_t n = 0; n < graph->node_count; n++)
        if (graph->nodes[n].live && graph->nodes[n].in_count > most) most = graph->nodes[n].in_count;
    return most;
}

/* A network that reads sizes as data, or joins many parts, stays on the device: no op is left that the host alone
   runs. */
static void what_the_host_ran_is_written_out(void **state)
{
    static const char *const texts[] = {
        "graph \"\"\n%0 = input f32 [n,m]\n%1 = dim_values() dtype=i64 rank=1 values=[3*n,m]\n"
        "%2 = cast(%1) dtype=f32\n%3 = mul(%2, %2)\n"
        "output %0\noutput %3\n",
        "graph \"\"\n%0 = input i64 [n,m]\n%1 = dim_values() dtype=i32 rank=0 values=[m]\n"
        "%2 = cast(%0) dtype=i32\n%3 = mul(%2, %1)\noutput %3\n",
        "graph \"\"\n%0 = input f32 [n,m]\n%1 = input f32 [n,1]\n%2 = concat(%1, %0, %0, %0, %0, %0, %0, %1, %0, %0, "
        "%0, %0, %0, %0, %0, %0, %0, %0, %0, %0, %0, %0, %0, %1, %0, %0, %0) axis=1\noutput %2\n",
    };
    int64_t bindings[] = { 2, 5 };

    (void)state;
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        pf_device  nothing = { .kind = PF_DEVICE_CUDA, .name = "nothing" };
        pf_graph  *graph = NULL;
        pf_profile profile = { .count = 2, .least = bindings, .usual = bindings, .most = bindings };
        pf_oracle  oracle = { 0 };
        pf_tensor  found[VALUES_MAX] = { 0 };
        pf_err     err = { 0 };

        test_ok(pf_graph_parse(texts[t], &graph, &err), &err);
        test_ok(pf_oracle_of_graph(graph, bindings, &oracle, &err), &err);
        test_ok(pf_spell_out(graph, &nothing, &profile, &(pf_region_rules){ 0 }, &err), &err);
        test_ok(pf_graph_verify(graph, &err), &err);
        assert_int_equal(find_op(graph, PF_OP_DIM_VALUES), PF_NONE);
        assert_true(most_inputs(graph) <= 24);
        test_ok(pf_interpret(graph, oracle.in, found, NULL, NULL, &err), &err);
        for (uint32_t o = 0; o < graph->output_count; o++) {
            compare(texts[t], &oracle.out[o], &found[o]);
            pf_tensor_clear(&found[o]);
        }
        pf_oracle_clear(&oracle);
        pf_graph_free(graph);
    }
}

/* Sizes as data would leave all behind them to the references; any other op is one step of those. */
static void where_the_host_is_the_device_sizes_are_written_out(void **state)
{
    pf_device  host = { .kind = PF_DEVICE_CPU, .name = "host", .host_is_device = true };
    int64_t    bindings[] = { 2, 5 };
    pf_profile profile = { .count = 2, .least = bindings, .usual = bindings, .most = bindings };
    pf_graph  *graph = NULL;
    pf_err     err = { 0 };

    (void)state;
    test_ok(pf_graph_parse("graph \"\"\n%0 = input f32 [n,m]\n%1 = dim_values() dtype=f32 rank=0 values=[m]\n"
                           "%2 = hardmax(%0) axis=1\n%3 = mul(%2, %1)\noutput %3\n", &graph, &err), &err);
    test_ok(pf_spell_out(graph, &host, &profile, &(pf_region_rules){ 0 }, &err), &err);
    test_ok(pf_graph_verify(graph, &err), &err);
    assert_int_equal(find_op(graph, PF_OP_DIM_VALUES), PF_NONE);
    assert_int_not_equal(find_op(graph, PF_OP_HARDMAX), PF_NONE);
    pf_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_written_out_computes_the_same),
                                        cmocka_unit_test(what_the_host_ran_is_written_out),
                                        cmocka_unit_test(where_the_host_is_the_device_sizes_are_written_out),
                                        cmocka_unit_test(places_in_other_windows_are_left_to_the_op),
        cmocka_unit_test(what_follows_a_convolution_can_join_it),
                                        cmocka_unit_test(gates_are_broadcast_still),
                                        cmocka_unit_test(lines_are_reduced_behind_channels) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
