#include "base/error_list.h"
#include "tests/unit/engine/onnx_models.h"

#include "base/alloc.h"
#include "engine/ops/attrs.h"

/* How graphs are read: order, names, functions, bodies, shapes of inputs. */

#define HEAD "ir 8\nopset 13\ninput x f32 2,3\n"

static uint32_t count_ops(const pf_graph *graph, pf_op_kind op)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < graph->node_count; i++)
        count += graph->nodes[i].live && graph->nodes[i].op == op;
    return count;
}

static void test_plain(void **state)
{
    pf_graph *graph = model_good(HEAD "const w f32 3 10,20,30\nnode Add x w -> y\nnode Relu y -> z\noutput z\n");

    (void)state;
    assert_int_equal(graph->input_count, 1);
    assert_int_equal(graph->output_count, 1);
    assert_string_equal(graph->output_names[0], "z");
    assert_string_equal(pf_graph_value(graph, graph->inputs[0])->name, "x");
    pf_graph_free(graph);
    model_gives(HEAD "const w f32 3 10,20,-30\nnode Add x w -> y\nnode Relu y -> z\noutput z\n", "2,3",
                "11 22 0 14 25 0");
}

static void test_any_order(void **state)
{
    (void)state;
    model_gives(HEAD "node Neg b -> c\nnode Relu a -> b\nnode Abs x -> a\noutput c\n", "2,3", "-1 -2 -3 -4 -5 -6");
}

static void test_cycle(void **state)
{
    (void)state;
    model_bad(HEAD "node Add x c -> a\nnode Relu a -> b\nnode Neg b -> c\noutput c\n", PF_INVALID, "cycle");
    model_bad(HEAD "node Add x a -> a\noutput a\n", PF_INVALID, "cycle");
    /* Through a body: the branch reads what the If makes. */
    model_bad(HEAD
              "input t bool .\nnode Neg y -> n\nnode If t -> y\ngraph then_branch\nnode Relu n -> r\noutput r\nend\n"
              "graph else_branch\nnode Abs x -> s\noutput s\nend\noutput y\n",
              PF_INVALID, "cycle");
}

static void test_names(void **state)
{
    (void)state;
    model_bad(HEAD "node Relu x -> y\nnode Neg x -> y\noutput y\n", PF_INVALID, "two nodes make the value \"y\"");
    model_bad(HEAD "node Relu x -> x\noutput x\n", PF_INVALID, "cycle");
    model_bad(HEAD "input x f32 2\nnode Relu x -> y\noutput y\n", PF_INVALID, "two values");
    model_bad(HEAD "const w f32 1 1\nconst w f32 1 2\nnode Add x w -> y\noutput y\n", PF_INVALID, "two initializers");
    model_bad(HEAD "const w f32 1 1\nnode Relu x -> w\noutput w\n", PF_INVALID, "two values have the name \"w\"");
    model_bad(HEAD "node Relu nowhere -> y\noutput y\n", PF_INVALID, "\"nowhere\"");
    model_bad(HEAD "node Relu x -> y\noutput z\n", PF_INVALID, "output \"z\"");
    model_bad(HEAD "node Relu x -> y\n", PF_INVALID, "no outputs");
}

static void test_arity(void **state)
{
    (void)state;
    model_bad(HEAD "node Relu x x -> y\noutput y\n", PF_INVALID, "at most 1");
    model_bad(HEAD "node Relu _ -> y\noutput y\n", PF_INVALID, "input 0 is missing");
    model_bad(HEAD "node Add x -> y\noutput y\n", PF_INVALID, "input 1 is missing");
    model_bad(HEAD "node Relu x -> y z\noutput y\n", PF_INVALID, "outputs");
    model_bad(HEAD "node Transpose x -> y perm=i:1\noutput y\n", PF_INVALID, "\"perm\" has the wrong type");
    model_bad(HEAD "node Transpose x -> y perm=is:0,0\noutput y\n", PF_INVALID, "Transpose");
    model_bad(HEAD "node Concat x x -> y axis=i:2\noutput y\n", PF_INVALID, "axis 2");
}

static void test_opsets(void **state)
{
    (void)state;
    model_bad("opset 999\ninput x f32 2\nnode Relu x -> y\noutput y\n", PF_UNSUPPORTED, "opset 999");
    model_bad("opset 0\ninput x f32 2\nnode Relu x -> y\noutput y\n", PF_UNSUPPORTED, "opset 0");
    model_bad("input x f32 2\nnode Relu x -> y\noutput y\n", PF_UNSUPPORTED, "Relu");       /* no opset at all */
    model_bad("opset 12\ninput x f32 2\nnode HardSwish x -> y\noutput y\n", PF_UNSUPPORTED,
              "HardSwish (ai.onnx opset 12");
    model_gives("ir 1\ninput x f32 2\nnode Relu x -> y\noutput y\n", "2", "1 2"); /* files of then need none */
}

/* Each node by itself, with its name, for those who give a list. */
static void unsupported_nodes_are_listed(const char *text)
{
    static const char *const wanted[][2] = { { "a", "Foo" }, { "b", "Bar" }, { "c", "Foo" }, { "e", "Baz" },
                                             { "f", "Qux" } };
    pf_err    err = { 0 };
    pf_graph *graph = NULL;

    test_ok(pf_error_list_new(&err.list, &err), &err);
    assert_int_equal(model_import(model_of(text), NULL, NULL, &graph, &err), PF_UNSUPPORTED);
    assert_int_equal(pf_error_list_count(err.list), 5);
    for (uint32_t i = 0; i < 5; i++) {
        pf_error one = { 0 };

        pf_error_list_at(err.list, i, &one);
        assert_int_equal(one.status, PF_UNSUPPORTED);
        assert_string_equal(one.node, wanted[i][0]);
        assert_int_equal(strncmp(one.message, wanted[i][1], 3), 0);
    }
    pf_error_list_free(err.list);
}

/* One message names them all. */
static void test_unsupported(void **state)
{
    static const char text[] =
        "opset 13\nopset com.example 3\ninput x f32 2\nnode Foo x -> a\nnode com.example:Bar a -> b\n"
        "node Foo b -> c\nnode If c -> d\ngraph then_branch\nnode Baz a -> e\noutput e\nend\n"
        "graph else_branch\nnode com.other:Qux a -> f\noutput f\nend\noutput d\n";

    (void)state;
    model_bad(text, PF_UNSUPPORTED, "4 operators");
    model_bad(text, PF_UNSUPPORTED, "Foo (ai.onnx opset 13, 2 nodes, first \"a\")");
    model_bad(text, PF_UNSUPPORTED, "Bar (com.example opset 3, 1 node");
    model_bad(text, PF_UNSUPPORTED, "Baz (ai.onnx opset 13, 1 node");
    model_bad(text, PF_UNSUPPORTED, "Qux (com.other, of which no opset is imported");
    unsupported_nodes_are_listed(text);
}

static void test_old_initializers(void **state)
{
    (void)state;
    /* IR 3: weights are listed among the inputs as well. */
    pf_graph *graph =
        model_good("ir 3\nopset 9\ninput w f32 2\ninput x f32 2\nconst w f32 2 5,6\nnode Add x w -> y\noutput y\n");

    assert_int_equal(graph->input_count, 1);
    pf_graph_free(graph);
}

static void check_shape(const pf_graph *graph, uint32_t input, const char *want)
{
    const pf_value *value = pf_graph_value(graph, graph->inputs[input]);
    pf_buf          text;

    pf_buf_init(&text, 4096);
    pf_shape_print(graph->dims, &value->shape, &text);
    assert_string_equal((const char *)text.data, want);
    pf_buf_clear(&text);
}

static void test_dims(void **state)
{
    pf_graph *graph = model_good("opset 13\ninput x f32 batch,3,?,?\ninput z f32 batch,-1\ninput m i64 "
                                 "past+seq,d/2\nnode Relu x -> y\noutput y\n");

    (void)state;
    check_shape(graph, 0, "[batch,3,x_dim2,x_dim3]");
    check_shape(graph, 1, "[batch,z_dim1]");
    pf_graph_free(graph);
}

static void test_given_shapes(void **state)
{
    static const char text[] = "opset 13\ninput x f32 batch,3,h,w\ninput z f32 batch,h\nnode Relu x -> y\noutput y\n";
    const pf_onnx_input_shape shape = { "x", 4, { 2, -1, 8, -1 } }, wrong_rank = { "x", 3, { 1, 1, 1 } },
                              unknown = { "q", 1, { 1 } };
    const pf_onnx_dim_value   dim = { "w", 7 }, zero = { "w", -4 };
    pf_onnx_options           options = { &shape, 1, &dim, 1 };
    pf_graph                 *graph = NULL;
    pf_err                    err = { 0 };

    (void)state;
    test_ok(model_import(model_of(text), NULL, &options, &graph, &err), &err);
    check_shape(graph, 0, "[2,3,8,7]");
    check_shape(graph, 1, "[2,8]");             /* the same names, so the same numbers */
    pf_graph_free(graph);
    options.shapes = &wrong_rank;
    test_fails(model_import(model_of(text), NULL, &options, &graph, &err), PF_INVALID, &err);
    options.shapes = &unknown;
    test_fails(model_import(model_of(text), NULL, &options, &graph, &err), PF_INVALID, &err);
    options = (pf_onnx_options){ NULL, 0, &zero, 1 };
    test_fails(model_import(model_of(text), NULL, &options, &graph, &err), PF_INVALID, &err);
}

/* A table of 8 rows that is cut to n rows and used for all n bounds n. */
static void test_bound_from_use(void **state)
{
    pf_graph *graph =
        model_good("opset 13\ninput x f32 n,3\nconst t f32 8,1 1,2,3,4,5,6,7,8\nconst zero i64 1 0\nconst one i64 1 1\n"
                   "node Shape x -> s\nnode Slice s zero one zero -> n\nnode Slice t zero n zero -> rows\n"
                   "node Add x rows -> y\noutput y\n");
    int64_t   least = 0, most = 0;

    (void)state;
    test_ok(pf_dim_range(graph->dims, pf_graph_value(graph, graph->inputs[0])->shape.dim[0], NULL, NULL, &least, &most,
                         NULL),
            NULL);
    assert_int_equal(most, 8);
    pf_graph_free(graph);
}

/* A model says that any number of channels will do, and its weights are for three. */
static void test_settled_by_weights(void **state)
{
    pf_graph *graph = model_good("opset 13\ninput x f32 n,channels,h,w\ninput z f32 n,?,?\n"
                                 "const k f32 2,3,1,1 1,2,3,4,5,6\nconst m f32 4,1 1,2,3,4\n"
                                 "node Conv x k -> y\nnode MatMul z m -> v\noutput y\noutput v\n");

    (void)state;
    check_shape(graph, 0, "[n,3,h,w]");
    check_shape(graph, 1, "[n,z_dim1,4]");
    pf_graph_free(graph);
}

/* What is taken for pictures of one channel need not be all that there is. */
static void test_not_settled_by_a_branch(void **state)
{
    pf_graph *graph = model_good("opset 13\ninput c bool .\ninput x f32 n,channels,h,w\n"
                                 "const k f32 1,1,1,1 2\nnode If c -> y\ngraph then_branch\nnode Conv x k -> a\n"
                                 "output a\nend\ngraph else_branch\nnode Relu x -> b\noutput b\nend\noutput y\n");

    (void)state;
    check_shape(graph, 1, "[n,channels,h,w]");
    pf_graph_free(graph);
}

/* Sizes with two names that have to be equal: that is checked when the network runs. */
static void test_two_names(void **state)
{
    pf_graph *graph = model_good("opset 13\ninput x f32 a,3\ninput z f32 b,3\nnode Add x z -> y\noutput y\n");
    pf_tensor in[2] = { { .dtype = PF_F32, .rank = 2, .dim = { 2, 3 } },
                        { .dtype = PF_F32, .rank = 2, .dim = { 2, 3 } } },
              out = { 0 };
    pf_err    err = { 0 };

    (void)state;
    test_ok(pf_tensor_alloc(&in[0], &err), &err);
    test_ok(pf_tensor_alloc(&in[1], &err), &err);
    test_ok(pf_interpret(graph, in, &out, NULL, NULL, &err), &err);
    assert_int_equal(out.dim[0], 2);
    pf_tensor_clear(&out);
    pf_tensor_clear(&in[1]);
    in[1] = (pf_tensor){ .dtype = PF_F32, .rank = 2, .dim = { 4, 3 } };
    test_ok(pf_tensor_alloc(&in[1], &err), &err);
    test_fails(pf_interpret(graph, in, &out, NULL, NULL, &err), PF_INVALID, &err);
    pf_tensor_clear(&in[0]);
    pf_tensor_clear(&in[1]);
    pf_graph_free(graph);
}

static void test_function(void **state)
{
    static const char twice[] =
        "function com.example:Twice a -> c alpha=f:2\nnode Constant -> k value_float=r:alpha\nnode Mul a k -> c\nend\n";
    char              text[4096];

    (void)state;
    snprintf(text, sizeof text, "opset 13\nopset com.example 1\n%sinput x f32 2\nnode com.example:Twice x -> m\n"
                                "node com.example:Twice m -> y alpha=f:10\noutput y\n", twice);
    model_gives(text, "2", "20 40");
    snprintf(text, sizeof text,
             "opset 13\nopset com.example 1\n%sfunction com.example:Four p -> q\nnode com.example:Twice p -> i\n"
             "node com.example:Twice i -> q\nend\ninput x f32 2\nnode com.example:Four x -> y\noutput y\n",
             twice);
    model_gives(text, "2", "4 8");
    model_bad("opset 13\nopset e 1\nfunction e:Loop a -> b\nnode e:Loop a -> b\nend\ninput x f32 2\nnode e:Loop x -> "
              "y\noutput y\n",
              PF_INVALID, "nested");
    model_bad("opset 13\nopset e 1\nfunction e:F a -> b\nnode Nothing a -> b\nend\ninput x f32 2\nnode e:F x -> "
              "y\noutput y\n",
              PF_UNSUPPORTED, "Nothing");
    model_bad(
        "opset 13\nopset e 1\nfunction e:F a -> b\nnode Relu a -> b\nend\ninput x f32 2\nnode e:F x x -> y\noutput y\n",
        PF_INVALID, "the function has");
}

/* Forty functions that call the one before twice would be a tera of nodes. */
static void test_function_bomb(void **state)
{
    char   text[16384] = "opset 13\nopset e 1\ninput x f32 2\n";
    size_t used = strlen(text);

    (void)state;
    used += (size_t)snprintf(text + used, sizeof text - used, "function e:F0 a -> b\nnode Relu a -> b\nend\n");
    for (int i = 1; i <= 40; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "function e:F%d a -> c\nnode e:F%d a -> b\nnode e:F%d b -> c\nend\n", i, i - 1, i - 1);
    snprintf(text + used, sizeof text - used, "node e:F40 x -> y\noutput y\n");
    model_bad(text, PF_INVALID, "nodes once its functions are expanded");
}

static void test_known_branch(void **state)
{
    static const char branches[] = "graph then_branch\nnode Neg x -> a\noutput a\nend\ngraph else_branch\nnode Abs x "
                                   "-> b\noutput b\nend\noutput y\n";
    char              text[2048];
    pf_graph         *graph = NULL;

    (void)state;
    snprintf(text, sizeof text, HEAD "const t bool . 1\nnode If t -> y\n%s", branches);
    graph = model_good(text);
    assert_int_equal(count_ops(graph, PF_OP_IF), 0);
    assert_int_equal(count_ops(graph, PF_OP_NEG), 1);
    assert_int_equal(count_ops(graph, PF_OP_ABS), 0);
    pf_graph_free(graph);
    model_gives(text, "2,3", "-1 -2 -3 -4 -5 -6");
}

static void test_missing_body(void **state)
{
    (void)state;
    model_bad(HEAD "input t bool .\nnode If t -> y\noutput y\n", PF_INVALID, "then_branch");
}

/* Axes that exporters compute are found by running the small graph that computes them. */
static void test_computed_constants(void **state)
{
    (void)state;
    model_gives(HEAD "const a i64 1 1\nconst b i64 1 1\nnode Sub a b -> axes\nnode Unsqueeze x axes -> y\nnode Shape y "
                     "-> z\noutput z\n",
                "2,3", "1 2 3");
    model_bad(HEAD "input axes i64 1\nnode Unsqueeze x axes -> y\noutput y\n", PF_UNSUPPORTED, "axes are not known");
}

static void test_outputs_are_own(void **state)
{
    pf_graph *graph = model_good(HEAD "const w f32 1 7\nnode Relu x -> y\noutput x\noutput w\noutput y\noutput y\n");

    (void)state;
    assert_int_equal(graph->output_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_not_equal(pf_graph_value(graph, graph->outputs[i])->producer, PF_NONE);
        for (uint32_t k = 0; k < i; k++)
            assert_int_not_equal(graph->outputs[i], graph->outputs[k]);
    }
    pf_graph_free(graph);
}

/* Whichever allocation fails, the import says so and leaves nothing behind. */
static void test_out_of_memory(void **state)
{
    static const char text[] =
        "opset 13\nopset e 1\nfunction e:F a -> b k=f:2\nnode Constant -> c value_float=r:k\nnode Mul a c -> b\nend\n"
        "input x f32 n,3\ninput t bool .\nconst w f32 3 1,2,3\nconst s i64 2 0,-1\nnode Add x w -> a\nnode e:F a -> b\n"
        "node If t -> i\ngraph then_branch\nnode Neg b -> u\noutput u\nend\ngraph else_branch\nnode Abs a -> v\n"
        "output v\nend\nnode Reshape i s -> y\noutput y\n";
    pf_graph         *graph = NULL;
    pf_buf            bytes;
    uint64_t          n = 0;

    (void)state;
    model_bytes(model_of(text), &bytes);
    for (; !graph && n < 100000; n++) {
        pf_err    err = { 0 };
        pf_status st = PF_OK;

        pf_alloc_fail_after(n);
        st = pf_onnx_import_bytes(bytes.data, bytes.size, NULL, NULL, &graph, &err);
        pf_alloc_fail_after(UINT64_MAX);
        if (st)
            test_fails(st, PF_NO_SPACE, &err);
    }
    assert_non_null(graph);
    assert_true(n > 100);
    pf_graph_free(graph);
    pf_buf_clear(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_cycle),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_arity),
        cmocka_unit_test(test_opsets),
        cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_old_initializers),
        cmocka_unit_test(test_dims),
        cmocka_unit_test(test_given_shapes),
        cmocka_unit_test(test_bound_from_use),
        cmocka_unit_test(test_settled_by_weights),
        cmocka_unit_test(test_not_settled_by_a_branch),
        cmocka_unit_test(test_two_names),
        cmocka_unit_test(test_function),
        cmocka_unit_test(test_function_bomb),
        cmocka_unit_test(test_known_branch),
        cmocka_unit_test(test_missing_body),
        cmocka_unit_test(test_computed_constants),
        cmocka_unit_test(test_outputs_are_own), cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests_name("onnx_graph", tests, NULL, NULL);
}
