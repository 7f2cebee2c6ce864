#include <stdio.h>

#include "base/alloc.h"
#include "engine/op.h"
#include "engine/precision.h"
#include "engine/problem.h"
#include "tests/unit/engine/graphs.h"
#include "tests/unit/engine/tensors.h"

/* A convolution, a norm by hand as exporters write it (pow, mean, an epsilon that FP16 cannot hold, sqrt, div), a mask
   that FP16 cannot hold, softmax, and another product with something behind it. */
static const char network[] =
    "graph \"\"\n"
    "%x = input f32 [2,4,6,8] \"x\"\n%w = input f32 [4,4,3,3] \"w\"\n%m = input i64 [8] \"mask\"\n"
    "%one = constant f32 [] {1}\n%two = constant f32 [] {2}\n%eps = constant f32 [] {1e-12}\n"
    "%big = constant f32 [] {-3.4e38}\n"
    "%c = conv(%x, %w, _) strides=[1,1] dilations=[1,1] pads=[1,1,1,1] groups=1\n"
    "%p = pow(%c, %two)\n%v = reduce(%p) mode=mean axes=[3] keepdims=1\n%e = add(%v, %eps)\n%s = sqrt(%e)\n"
    "%n = div(%c, %s)\n"
    "%f = cast(%m) dtype=f32\n%i = sub(%one, %f)\n%b = mul(%i, %big)\n%z = add(%n, %b)\n%q = softmax(%z) axis=3\n"
    "%h = conv(%q, %w, _) strides=[1,1] dilations=[1,1] pads=[1,1,1,1] groups=1\n%y = sigmoid(%h)\n"
    "output %y \"y\"\n";

static pf_graph *lowered(const char *text, pf_precision_care care)
{
    pf_graph *low = graph_of(text);
    pf_err    err = { 0 };

    test_ok(pf_precision_lower(low, PF_F16, care, &err), &err);
    test_ok(pf_graph_verify(low, &err), &err);
    return low;
}

static uint32_t count_nodes(const pf_graph *graph, pf_op_kind op, pf_dtype dtype)
{
    uint32_t count = 0;

    for (uint32_t n = 0; n < graph->node_count; n++)
        count += graph->nodes[n].live && graph->nodes[n].op == op &&
                 graph->values[graph->nodes[n].out[0]].dtype == dtype;
    return count;
}

static void lowered_network_computes_the_same(void **state)
{
    pf_graph *wide = graph_of(network), *low = lowered(network, PF_CARE_USUAL);
    pf_tensor in[3] = { 0 }, expected = { 0 }, got = { 0 };
    pf_err    err = { 0 };

    (void)state;
    for (uint32_t i = 0; i < wide->input_count; i++) {
        const pf_value *value = pf_graph_value(wide, wide->inputs[i]);

        in[i] = random_tensor(value->dtype, value->shape.rank, value->shape.dim, i + 1);
    }
    /* the last two are masked */
    for (int64_t i = 0; i < 8; i++) pf_dtype_set_i64(PF_I64, in[2].data, (uint64_t)i, i < 6);
    test_ok(pf_interpret(wide, in, &expected, NULL, NULL, &err), &err);
    test_ok(pf_interpret(low, in, &got, NULL, NULL, &err), &err);
    assert_int_equal(got.dtype, PF_F32);
    expect_close(&got, &expected, 1e-2);
    for (uint32_t i = 0; i < 3; i++) pf_tensor_clear(&in[i]);
    pf_tensor_clear(&expected);
    pf_tensor_clear(&got);
    pf_graph_free(wide);
    pf_graph_free(low);
}

static void each_op_gets_its_type(void **state)
{
    pf_graph *low = lowered(network, PF_CARE_USUAL);

    (void)state;
    assert_int_equal(count_nodes(low, PF_OP_CONV, PF_F16), 2);
    assert_int_equal(count_nodes(low, PF_OP_SOFTMAX, PF_F16), 1);
    assert_int_equal(count_nodes(low, PF_OP_SQRT, PF_F32), 1);      /* with the epsilon in front of it */
    assert_int_equal(count_nodes(low, PF_OP_REDUCE, PF_F32), 1);
    assert_int_equal(count_nodes(low, PF_OP_MUL, PF_F32), 1);       /* the mask */
    assert_int_equal(count_nodes(low, PF_OP_SIGMOID, PF_F32), 1);   /* behind the last product */
    pf_graph_free(low);
}

static void care_leaves_the_first_products_alone(void **state)
{
    const struct { pf_precision_care care; uint32_t narrow; } cases[] = {
        { PF_CARE_USUAL, 2 }, { pf_precision_care_first(1), 1 }, { (pf_precision_care)1 << 1, 1 },
        { pf_precision_care_first(2), 0 }, { PF_CARE_ALL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_graph *low = lowered(network, cases[i].care);

        assert_int_equal(count_nodes(low, PF_OP_CONV, PF_F16), cases[i].narrow);
        pf_graph_free(low);
    }
}

/* A picture, and a gate of its channels: their means, two convolutions of one point, a sigmoid. */
static void gates_stay_wide(void **state)
{
    static const char text[] =
        "graph \"\"\n%x = input f32 [1,4,8,8] \"x\"\n%w = input f32 [4,4,3,3] \"w\"\n%v = input f32 [4,4,1,1] \"v\"\n"
        "%c = conv(%x, %w, _) strides=[1,1] dilations=[1,1] pads=[1,1,1,1] groups=1\n"
        "%m = reduce(%c) mode=mean axes=[2,3] keepdims=1\n"
        "%f = conv(%m, %v, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%r = relu(%f)\n"
        "%g = conv(%r, %v, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%s = sigmoid(%g)\n"
        "%n = mul(%c, %s)\n"
        "%y = conv(%n, %w, _) strides=[1,1] dilations=[1,1] pads=[1,1,1,1] groups=1\noutput %y \"y\"\n";
    const struct { pf_precision_care care; uint32_t convs, means, sigmoids; } cases[] = {
        { PF_CARE_USUAL, 4, 1, 1 }, { PF_CARE_GATES, 2, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_graph *low = lowered(text, cases[i].care);

        assert_int_equal(count_nodes(low, PF_OP_CONV, PF_F16), cases[i].convs);
        assert_int_equal(count_nodes(low, PF_OP_REDUCE, PF_F16), cases[i].means);
        assert_int_equal(count_nodes(low, PF_OP_SIGMOID, PF_F16), cases[i].sigmoids);
        pf_graph_free(low);
    }
}

/* A router behind a product: its scores are ordered; what it was computed from, and what follows, are narrow. */
static void what_decides_stays_wide(void **state)
{
    static const char text[] =
        "graph \"\"\n%x = input f32 [4,8] \"x\"\n%w = input f32 [8,8] \"w\"\n%b = input f32 [8] \"b\"\n"
        "%a = matmul(%x, %w)\n%r = matmul(%a, %w)\n%s = add(%r, %b)\n%p = softmax(%s) axis=1\n"
        "%5:2 = topk(%p) k=[2] axis=1\n%g = gather_elements(%a, %6) axis=1\n%c = mul(%5, %g)\n"
        "%v = input f32 [2,8] \"v\"\n%d = matmul(%c, %v)\noutput %d \"y\"\n";
    pf_precision_size size = { 0 };
    pf_graph         *wide = graph_of(text), *low = lowered(text, PF_CARE_DECISIONS);
    pf_err            err = { 0 };

    (void)state;
    test_ok(pf_precision_measure(wide, &size, &err), &err);
    assert_int_equal(size.slices, 3);
    assert_int_equal(size.decided, 2);
    assert_int_equal(count_nodes(low, PF_OP_MATMUL, PF_F16), 2);
    assert_int_equal(count_nodes(low, PF_OP_MATMUL, PF_F32), 1);
    assert_int_equal(count_nodes(low, PF_OP_SOFTMAX, PF_F32), 1);
    assert_int_equal(count_nodes(low, PF_OP_TOPK, PF_F32), 1);
    pf_graph_free(wide);
    pf_graph_free(low);
}

/* A book of codes: the nearest is picked. An index that is only told decides nothing. */
static void what_picks_stays_wide(void **state)
{
    static const char picks[] =
        "graph \"\"\n%x = input f32 [4,8] \"x\"\n%w = input f32 [8,8] \"w\"\n%b = input f32 [6,8] \"b\"\n"
        "%a = matmul(%x, %w)\n%s = matmul(%a, %b) trans_b=1\n%i = arg_reduce(%s) mode=max axis=1 keepdims=0\n";
    char               text[1024];
    pf_precision_size  size = { 0 };
    pf_graph          *wide = NULL, *low = NULL;
    pf_err             err = { 0 };

    (void)state;
    snprintf(text, sizeof text, "%s%%g = gather(%%b, %%i) axis=0\noutput %%g \"y\"\n", picks);
    wide = graph_of(text);
    low = lowered(text, PF_CARE_DECISIONS);
    test_ok(pf_precision_measure(wide, &size, &err), &err);
    assert_int_equal(size.decided, 2);
    assert_int_equal(count_nodes(low, PF_OP_MATMUL, PF_F16), 1);
    assert_int_equal(count_nodes(low, PF_OP_MATMUL, PF_F32), 1);
    pf_graph_free(wide);
    pf_graph_free(low);
    snprintf(text, sizeof text, "%soutput %%i \"y\"\n", picks);
    wide = graph_of(text);
    test_ok(pf_precision_measure(wide, &size, &err), &err);
    assert_int_equal(size.decided, 0);
    pf_graph_free(wide);
}

/* As products they are narrow even where nothing narrow reaches them. */
static void products_of_inputs_are_narrow(void **state)
{
    const struct { pf_op_kind op; const char *text; } cases[] = {
        { PF_OP_ATTENTION,
          "graph \"\"\n%q = input f32 [1,2,4,8] \"q\"\n%k = input f32 [1,2,6,8] \"k\"\n%v = input f32 [1,2,6,8] \"v\"\n"
          "%y = attention(%q, %k, %v)\noutput %y \"y\"\n" },
        { PF_OP_GRU,
          "graph \"\"\n%x = input f32 [5,2,8] \"x\"\n%w = input f32 [1,12,8] \"w\"\n%r = input f32 [1,12,4] \"r\"\n"
          "%1:2 = gru(%x, %w, %r) hidden=4 activations=[1,0] alphas=[0,0] betas=[0,0]\noutput %1 \"y\"\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_graph *low = lowered(cases[i].text, PF_CARE_USUAL);

        assert_int_equal(count_nodes(low, cases[i].op, PF_F16), 1);
        pf_graph_free(low);
    }
}

/* Those that are spared, and products of one term: angles. */
static void spared_products_refuse_tf32(void **state)
{
    static const char text[] =
        "graph \"\"\n%x = input f32 [4,8] \"x\"\n%w = input f32 [8,8] \"w\"\n"
        "%p = input f32 [4,1] \"p\"\n%f = input f32 [1,8] \"f\"\n"
        "%a = matmul(%x, %w)\n%b = matmul(%a, %w)\n%c = matmul(%p, %f)\n%d = mul(%b, %c)\noutput %d \"y\"\n";
    const bool        refuses[] = { true, false, true };
    const uint32_t    both = PF_NUMERICS_TF32 | PF_NUMERICS_BF16_PARTS;
    uint32_t          seen = 0;
    pf_precision_size size = { 0 };
    pf_problem       *problem = NULL;
    pf_value_id      *in = NULL, *out = NULL;
    pf_graph         *graph = graph_of(text);
    pf_err            err = { 0 };

    (void)state;
    test_ok(pf_precision_measure(graph, &size, &err), &err);
    assert_int_equal(size.slices, 2);
    assert_false(size.has_gates);
    test_ok(pf_precision_refuse_tf32(graph, pf_precision_care_first(1), &err), &err);
    for (pf_node_id n = 0; n < graph->node_count; n++) {
        if (graph->nodes[n].op != PF_OP_MATMUL)
            continue;
        test_ok(pf_problem_extract(graph, &n, 1, both, &problem, &in, &out, &err), &err);
        assert_int_equal(problem->numerics, refuses[seen++] ? PF_NUMERICS_BF16_PARTS : both);
        pf_problem_free(problem);
        pf_free(in);
        pf_free(out);
    }
    assert_int_equal(seen, 3);
    pf_graph_free(graph);
}

static void care_is_told(void **state)
{
    const struct { pf_precision_care care; const char *text; } cases[] = {
        { PF_CARE_DECISIONS, "decisions" },
        { PF_CARE_DECISIONS | PF_CARE_GATES | 3, "decisions and gates and the first 2" },
        { PF_CARE_USUAL, "nothing more" },           { PF_CARE_GATES, "gates" },
        { pf_precision_care_first(3), "the first 3" }, { PF_CARE_GATES | 1, "gates and the first 1" },
        { PF_CARE_ALL, "all" },                      { PF_CARE_ALL | PF_CARE_EXACT, "all, in three parts" },
    };
    char text[PF_CARE_TEXT_BYTES] = "";

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_precision_care_text(cases[i].care, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

/* Nine taps whose single roundings all go one way: 1 + 0.4 of a last place. */
static void kernels_keep_their_sums(void **state)
{
    static const char text[] =
        "graph \"\"\n%x = input f32 [1,1,8,8] \"x\"\n"
        "%w = constant f32 [1,1,3,3] {1.0004,1.0004,1.0004,1.0004,1.0004,1.0004,1.0004,1.0004,0.01}\n"
        "%y = conv(%x, %w, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %y \"y\"\n";
    pf_graph *low = lowered(text, PF_CARE_USUAL);
    double    sum = 0;

    (void)state;
    for (uint32_t v = 0; v < low->value_count; v++)
        for (uint64_t i = 0; i < 9 && low->values[v].is_constant && low->values[v].dtype == PF_F16; i++)
            sum += pf_dtype_get(PF_F16, low->values[v].constant.data, i);
    assert_float_equal(sum, 8 * 1.0004 + 0.01, 1e-5);
    pf_graph_free(low);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_decides_stays_wide), cmocka_unit_test(what_picks_stays_wide),
        cmocka_unit_test(products_of_inputs_are_narrow),
        cmocka_unit_test(lowered_network_computes_the_same), cmocka_unit_test(each_op_gets_its_type),
        cmocka_unit_test(care_leaves_the_first_products_alone), cmocka_unit_test(gates_stay_wide),
        cmocka_unit_test(kernels_keep_their_sums),
        cmocka_unit_test(spared_products_refuse_tf32), cmocka_unit_test(care_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
