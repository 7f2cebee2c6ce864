#include "engine/graph.h"
#include "engine/op.h"
#include "engine/plan.h"
#include "tests/unit/engine/built.h"

static void builds_and_agrees(void **state)
{
    built b = build(residual_network("[2,3,32,32]"), "effort=1\n", NULL);

    (void)state;
    assert_true(b.report.problems > 3);
    assert_true(b.report.candidates_timed > 0);
    assert_true(b.report.max_rel_error >= 0 && b.report.max_rel_error < 1e-4);
    assert_true(b.report.memory_bytes >= b.report.memory_lower_bound_bytes);
    assert_true(b.report.least_cosine > 0.999999 && b.report.least_cosine < 1.000001);
    assert_int_equal(b.report.device_bytes, b.report.memory_bytes);     /* a CPU's weights stay in the plan */
    assert_int_equal(b.report.device_bound_bytes, b.report.memory_lower_bound_bytes);
    drop(&b);
}

/* Attention scores with a soft cap: two inputs multiplied, and two functions of one kind behind, whose numbers are
   operands. */
static pf_network *capped_product(const char *a_shape, const char *b_shape)
{
    pf_network  *net = NULL;
    pf_tensor_id a = PF_NONE, b = PF_NONE, y = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("capped", &net, &err), &err);
    test_ok(pf_network_input(net, "a", PF_F32, a_shape, &a, &err), &err);
    test_ok(pf_network_input(net, "b", PF_F32, b_shape, &b, &err), &err);
    y = layer(net, "matmul", "scores", "", 2, (pf_tensor_id[]){ a, b });
    y = layer(net, "mul", "down", "", 2, (pf_tensor_id[]){ y, random_constant(net, "1/cap", 0, NULL, 0.5, 1) });
    y = layer(net, "tanh", "tanh", "", 1, &y);
    y = layer(net, "mul", "up", "", 2, (pf_tensor_id[]){ y, random_constant(net, "cap", 0, NULL, 2, 2) });
    test_ok(pf_network_output(net, y, "y", &err), &err);
    return net;
}

static void numbers_are_packed_where_there_are_no_weights(void **state)
{
    static const char *specs[] = { "effort=0\n", "effort=1\n" };

    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        built fixed = build(capped_product("[2,4,8]", "[2,8,6]"), specs[i], NULL), free_dims = { 0 };

        assert_true(fixed.report.max_rel_error >= 0 && fixed.report.max_rel_error < 1e-4);
        free_dims = build(capped_product("[batch,4,8]", "[batch,8,6]"), specs[i], NULL);
        assert_true(free_dims.report.max_rel_error >= 0 && free_dims.report.max_rel_error < 1e-4);
        drop(&fixed);
        drop(&free_dims);
    }
}

/* FP32 is the most there is. */
static void an_error_that_nothing_meets_is_said(void **state)
{
    built  b = { 0 };
    pf_err err = { 0 };

    (void)state;
    assert_int_equal(try_build(&b, residual_network("[2,3,32,32]"), "effort=0\nmax_error=1e-12\n", NULL, &err),
                     PF_MISMATCH);
    assert_null(b.plan);
    assert_non_null(strstr(err.msg, "everything computed in FP32"));
    assert_non_null(strstr(err.msg, "max_error is 1e-12"));
    drop(&b);
}

static void effort_0_times_nothing(void **state)
{
    built b = build(residual_network("[2,3,32,32]"), "effort=0\n", NULL);

    (void)state;
    assert_int_equal(b.report.candidates_timed, 0);
    assert_true(b.report.max_rel_error >= 0 && b.report.max_rel_error < 1e-4);
    drop(&b);
}

/* With as many layers as before, and other shapes in between. */
static void a_network_is_built_as_often_as_one_likes(void **state)
{
    built      b = build(residual_network("[batch,3,32,32]"), "effort=0\nshapes=input:2x3x32x32\n", NULL);
    uint32_t   layers = pf_network_layer_count(b.net);
    pf_config *other = config_of("effort=0\nshapes=input:4x3x32x32\n");
    pf_plan   *of_other = NULL, *again = NULL;
    size_t     bytes = 0, bytes_again = 0;
    pf_err     err = { 0 };

    (void)state;
    test_ok(pf_build(b.net, other, b.device, NULL, &of_other, NULL, &err), &err);
    test_ok(pf_build(b.net, b.config, b.device, NULL, &again, NULL, &err), &err);
    assert_int_equal(pf_network_layer_count(b.net), layers);
    assert_int_equal(pf_plan_io(of_other, 0)->opt[0], 4);
    assert_non_null(pf_plan_bytes(b.plan, &bytes));
    assert_memory_equal(pf_plan_bytes(again, &bytes_again), pf_plan_bytes(b.plan, &bytes), bytes);
    assert_int_equal(bytes_again, bytes);
    pf_plan_free(of_other);
    pf_plan_free(again);
    pf_config_free(other);
    drop(&b);
}

static void the_key_names_what_decides_the_bytes(void **state)
{
    built     one = build(residual_network("[2,3,32,32]"), "effort=0\n", NULL),
              other = build(residual_network("[1,3,32,32]"), "effort=0\n", NULL);
    built     same = build(residual_network("[2,3,32,32]"), "effort=0\n", NULL);
    pf_digest a = { 0 }, b = { 0 }, c = { 0 };

    (void)state;
    pf_plan_key_of(one.plan, &a);
    pf_plan_key_of(other.plan, &b);
    pf_plan_key_of(same.plan, &c);
    assert_false(pf_digest_equal(&a, &b));
    assert_true(pf_digest_equal(&a, &c));
    assert_true(same_bytes(one.plan, same.plan));       /* with nothing timed there is no chance in it */
    drop(&one);
    drop(&other);
    drop(&same);
}

static bool stop(void *user, const pf_progress *progress)
{
    uint32_t *left = user;

    assert_true(progress->phase < PF_PHASE_COUNT);
    assert_true(progress->problems_done <= progress->problems_total);
    return (*left)-- > 0;
}

static void can_be_cancelled(void **state)
{
    (void)state;
    for (uint32_t calls = 0; calls < 3; calls++) {
        uint32_t         left = calls;
        pf_build_options options = { .progress = stop, .user = &left };
        built            b = { 0 };
        pf_err           err = { 0 };

        test_fails(try_build(&b, residual_network("[2,3,32,32]"), "effort=2\n", &options, &err), PF_CANCELLED, &err);
        assert_null(b.plan);
        drop(&b);
    }
}

static void tactics_can_be_left_out(void **state)
{
    built            plain = build(residual_network("[1,3,8,8]"), "tactics=reference\neffort=1\n", NULL), b = { 0 };
    pf_build_options options = { 0 };
    pf_layer         first = { 0 };
    pf_err           err = { 0 };

    (void)state;
    for (uint32_t i = 0; i < pf_plan_layer_count(plain.plan); i++) {
        pf_plan_layer(plain.plan, i, &first);
        assert_string_equal(first.tactic, "reference");
    }
    drop(&plain);
    assert_int_equal(try_build(&b, residual_network("[1,3,8,8]"), "tactics=onednn_pool\neffort=1\n", &options, &err),
                     PF_BUILD_FAILED);
    assert_non_null(strstr(err.msg, "conv1"));
    drop(&b);
}

static void shapes_that_do_not_fit_are_named(void **state)
{
    static const struct { const char *spec, *word; } wrong[] = {
        { "shapes=input:1x3x32\n", "dims" },          { "shapes=inptu:1x3x32x32\n", "inptu" },
        { "shapes=input:1x4x32x32\n", "dim 1" },
        { "min_shapes=input:4x3x32x32\nmax_shapes=input:2x3x32x32\n", "batch" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        built  b = { 0 };
        pf_err err = { 0 };

        assert_int_equal(try_build(&b, residual_network("[batch,3,32,32]"), wrong[i].spec, NULL, &err), PF_USAGE);
        assert_non_null(strstr(err.msg, wrong[i].word));
        drop(&b);
    }
}

/* Dims that a spec fixes become numbers in attributes too: batch, and what is left of 15 when divided by seq, are the
   same then. */
static void fixed_dims_reach_attributes(void **state)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, flat = PF_NONE, named = PF_NONE, left = PF_NONE, sum = PF_NONE;
    pf_err       err = { 0 };
    built        b = { 0 };

    (void)state;
    test_ok(pf_network_new("fixed", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[batch,seq,6]", &x, &err), &err);
    flat = layer(net, "reshape", "flat", "shape=[-1,6]", 1, (pf_tensor_id[]){ x });
    named = layer(net, "reshape", "named", "shape=[batch,seq,6]", 1, (pf_tensor_id[]){ flat });
    left = layer(net, "reshape", "left", "shape=[-1,seq,6]", 1, (pf_tensor_id[]){ flat });
    sum = layer(net, "add", "sum", "", 2, (pf_tensor_id[]){ named, left });
    test_ok(pf_network_output(net, sum, "y", &err), &err);
    test_ok(try_build(&b, net, "shapes=x:3x5x6\neffort=0\n", NULL, &err), &err);
    assert_int_equal(pf_plan_io(b.plan, pf_plan_find_io(b.plan, "y"))->dim[0], 3);
    assert_int_equal(pf_plan_io(b.plan, pf_plan_find_io(b.plan, "y"))->dim[1], 5);
    drop(&b);
}

/* Outputs that nothing computes: an input, a constant, one value twice, and a view of another output. */
static pf_network *odd_outputs(void)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, c = PF_NONE, y = PF_NONE, v = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("odd", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[2,6]", &x, &err), &err);
    c = random_constant(net, "c", 2, (int64_t[]){ 2, 6 }, 1, 9);
    y = layer(net, "add", "y", "", 2, (pf_tensor_id[]){ x, c });
    v = layer(net, "reshape", "v", "shape=[3,4]", 1, (pf_tensor_id[]){ y });
    test_ok(pf_network_output(net, x, "x_again", &err), &err);
    test_ok(pf_network_output(net, c, "c_out", &err), &err);
    test_ok(pf_network_output(net, y, "y_out", &err), &err);
    test_ok(pf_network_output(net, y, "y_twice", &err), &err);
    test_ok(pf_network_output(net, v, "y_view", &err), &err);
    return net;
}

static void odd_outputs_are_copied(void **state)
{
    built b = build(odd_outputs(), "effort=1\n", NULL);

    (void)state;
    assert_int_equal(pf_plan_io_count(b.plan), 6);
    assert_true(b.report.max_rel_error < 1e-6);
    drop(&b);
}

static void describes_itself(void **state)
{
    built  b = build(residual_network("[2,3,32,32]"), "effort=0\n", NULL);
    pf_buf json = { 0 };
    pf_err err = { 0 };

    (void)state;
    pf_buf_init(&json, 1 << 22);
    test_ok(pf_plan_describe(b.plan, &json, &err), &err);
    assert_non_null(strstr((const char *)json.data, "\"max_rel_error\""));
    assert_non_null(strstr((const char *)json.data, "conv1"));
    assert_non_null(strstr((const char *)json.data, "\"effort\": \"0\""));
    pf_buf_clear(&json);
    drop(&b);
}

/* Sums of the same numbers in two orders, and what hangs on which of them is greater: where they are equal but for the
   last bits, nobody's answer is that of somebody who adds up in another order. */
static pf_network *picking_network(void)
{
    enum { TERMS = 64 };
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, y = PF_NONE, one = PF_NONE, other = PF_NONE, two[2] = { PF_NONE, PF_NONE };
    int64_t      turned[TERMS] = { 0 };
    float        ones[TERMS] = { 0 };
    pf_tensor    order = { .dtype = PF_I64, .rank = 1, .dim = { TERMS }, .data = turned, .bytes = sizeof turned },
                 weights = { .dtype = PF_F32, .rank = 2, .dim = { TERMS, 1 }, .data = ones, .bytes = sizeof ones };
    pf_err       err = { 0 };

    for (int i = 0; i < TERMS; i++) {
        turned[i] = i * 37 % TERMS;
        ones[i] = 1;
    }
    test_ok(pf_network_new("picking", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[256,64]", &x, &err), &err);
    test_ok(pf_network_constant(net, "order", &order, &one, &err), &err);
    y = layer(net, "gather", "turned", "axis=1", 2, (pf_tensor_id[]){ x, one });
    test_ok(pf_network_constant(net, "one", &weights, &one, &err), &err);
    two[0] = layer(net, "matmul", "first", "", 2, (pf_tensor_id[]){ x, one });
    two[1] = layer(net, "matmul", "second", "", 2, (pf_tensor_id[]){ y, one });
    other = layer(net, "arg_reduce", "greater", "axis=1", 1,
                  (pf_tensor_id[]){ layer(net, "concat", "both", "axis=1", 2, two) });
    y = layer(net, "cast", "number", "dtype=f32", 1, &other);
    test_ok(pf_network_output(net, y, "y", &err), &err);
    return net;
}

static void either_of_two_equals_may_be_picked(void **state)
{
    built b = build(picking_network(), "effort=0\n", NULL);

    (void)state;
    assert_true(b.report.max_rel_error >= 0 && b.report.max_rel_error < 1e-4);
    drop(&b);
}

/* A convolution ahead, then what only data decides: which elements are positive, how many, and a product of that. */
static pf_network *finding_network(void)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, y = PF_NONE, where = PF_NONE, count = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("finding", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[n,3,12,12]", &x, &err), &err);
    y = layer(net, "relu", "relu", "", 1, (pf_tensor_id[]){ conv3x3(net, "conv", x, 3, 8, 4) });
    where = layer(net, "non_zero", "where", "", 1, (pf_tensor_id[]){ y });
    test_ok(pf_network_output(net, where, "where", &err), &err);
    test_ok(pf_network_output(net, y, "y", &err), &err);
    count = layer(net, "cast", "count", "dtype=f32", 1, (pf_tensor_id[]){ where });
    test_ok(pf_network_output(net, layer(net, "matmul", "product", "trans_b=1", 2, (pf_tensor_id[]){ count, count }),
                              "product", &err),
            &err);
    return net;
}

static void what_data_decides_runs_on_the_host(void **state)
{
    built       b = build(finding_network(), "effort=1\nmin_shapes=x:1x3x12x12\nopt_shapes=x:2x3x12x12\n"
                                             "max_shapes=x:4x3x12x12\n", NULL);
    pf_context *context = NULL;
    pf_tensor   input = random_tensor(PF_F32, 4, (int64_t[]){ 3, 3, 12, 12 }, 3), outputs[3] = { { 0 } },
                references[3] = { { 0 } };
    pf_err      err = { 0 };

    (void)state;
    assert_true(pf_plan_layer_count(b.plan) > 0);
    assert_int_equal(b.report.products_on_host, 1);
    test_ok(pf_context_new(b.plan, b.device, NULL, &context, &err), &err);
    for (int round = 0; round < 2; round++) {
        test_ok(pf_context_run_host(context, &input, outputs, &err), &err);
        test_ok(pf_interpret(pf_network_graph(b.net), &input, references, NULL, NULL, &err), &err);
        assert_int_equal(outputs[0].rank, 2);
        assert_true(outputs[0].dim[1] > 0);
        for (int i = 0; i < 3; i++) {
            expect_close(&outputs[i], &references[i], 1e-4);
            pf_tensor_clear(&outputs[i]);
            pf_tensor_clear(&references[i]);
        }
    }
    pf_context_free(context);
    pf_tensor_clear(&input);
    drop(&b);
}

/* With effort 0 layers are compared too, and what was bound for that must not be written in the next run. */
static void ranges_of_shapes_and_a_tail_are_checked_at_effort_0(void **state)
{
    built b = build(finding_network(), "effort=0\nmin_shapes=x:1x3x12x12\nopt_shapes=x:2x3x12x12\n"
                                       "max_shapes=x:4x3x12x12\n", NULL);

    (void)state;
    assert_true(pf_plan_layer_count(b.plan) > 0);
    drop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_and_agrees),
        cmocka_unit_test(numbers_are_packed_where_there_are_no_weights),
        cmocka_unit_test(an_error_that_nothing_meets_is_said),
        cmocka_unit_test(effort_0_times_nothing),
        cmocka_unit_test(a_network_is_built_as_often_as_one_likes),
        cmocka_unit_test(the_key_names_what_decides_the_bytes),
        cmocka_unit_test(can_be_cancelled),
        cmocka_unit_test(tactics_can_be_left_out),
        cmocka_unit_test(shapes_that_do_not_fit_are_named),
        cmocka_unit_test(fixed_dims_reach_attributes),
        cmocka_unit_test(odd_outputs_are_copied),
        cmocka_unit_test(describes_itself),
        cmocka_unit_test(what_data_decides_runs_on_the_host),
        cmocka_unit_test(either_of_two_equals_may_be_picked),
        cmocka_unit_test(ranges_of_shapes_and_a_tail_are_checked_at_effort_0),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
