#include "tests/unit/engine/onnx_models.h"

/* Bodies: what they capture, states that change their size, branches of unknown conditions. x is 1, 2, 3 ... */

/* A loop of so many rounds, n, that are known when it is imported, and that data says. */
static void loop_gives(const char *shape, int rounds, const char *rest, const char *dims, const char *values)
{
    char text[MODEL_LINE];

    snprintf(text, sizeof text, "opset 13\ninput x f32 %s\nconst n i64 . %d\n%s", shape, rounds, rest);
    model_gives(text, dims, values);
    snprintf(text, sizeof text,
             "opset 13\ninput x f32 %s\nconst times f32 . %d\nnode ReduceMin x -> one keepdims=i:0\n"
             "node Mul one times -> number\nnode Cast number -> n to=i:7\n%s", shape, rounds, rest);
    model_gives(text, dims, values);
}

static void test_loop_with_scan(void **state)
{
    (void)state;
    /* v doubles three times; every v before that is kept. */
    loop_gives("2", 3,
               "const t bool . 1\nnode Loop n t x -> y s\ngraph body\ninput i i64 .\ninput c bool .\n"
               "input v f32 2\nnode Add v v -> w\nnode Identity c -> d\noutput d\noutput w\noutput v\nend\noutput s\n",
               "2", "1 2 2 4 4 8");
}

/* How many loops and scans are left of a model; the model's import succeeds. */
static uint32_t bodies_left(const char *text)
{
    pf_graph *graph = NULL;
    pf_err    err = { 0 };
    uint32_t  left = 0;

    test_ok(model_import(model_of(text), NULL, NULL, &graph, &err), &err);
    pf_graph_remove_dead(graph);
    for (uint32_t i = 0; i < graph->node_count; i++)
        left += graph->nodes[i].live && (graph->nodes[i].op == PF_OP_LOOP || graph->nodes[i].op == PF_OP_SCAN);
    pf_graph_free(graph);
    return left;
}

/* Known rounds are written out, unless there are very many; so are those that end early. */
static void test_known_rounds(void **state)
{
    static const char body[] = "node Loop n _ x -> y\ngraph body\ninput i i64 .\ninput c bool .\ninput v f32 2\n"
                               "node Add v v -> w\nnode Identity c -> d\noutput d\noutput w\nend\noutput y\n";
    static const char ends[] = "opset 13\ninput x f32 2\nconst n i64 . 9\nconst last i64 . 1\nnode Loop n _ x -> y s\n"
                               "graph body\ninput i i64 .\ninput c bool .\ninput v f32 2\nnode Add v v -> w\n"
                               "node Less i last -> d\noutput d\noutput w\noutput i\nend\n";
    char              text[MODEL_LINE];

    (void)state;
    snprintf(text, sizeof text, "opset 13\ninput x f32 2\nconst n i64 . 5\n%s", body);
    assert_int_equal(bodies_left(text), 0);
    snprintf(text, sizeof text, "opset 13\ninput x f32 2\nconst n i64 . 100000\n%s", body);
    assert_int_equal(bodies_left(text), 1);
    assert_int_equal(bodies_left("opset 13\ninput x f32 3,1\nconst z f32 1 0\n"
                                 "node Scan z x -> e y num_scan_inputs=i:1\n"
                                 "graph body\ninput a f32 1\ninput b f32 1\nnode Add a b -> c\nnode Identity c -> d\n"
                                 "output c\noutput d\nend\noutput y\n"), 0);
    snprintf(text, sizeof text, "%soutput y\n", ends);
    assert_int_equal(bodies_left(text), 0);
    model_gives(text, "2", "4 8");
    snprintf(text, sizeof text, "%soutput s\n", ends);
    model_gives(text, "2", "0 1");
}

/* What is in a body counts, however deep, and for the whole model; what is left as a loop does not. */
static void test_many_rounds(void **state)
{
    static const char in[] = "graph body\ninput i i64 .\ninput c bool .\n", out[] = "output d\noutput w\nend\n";
    char              nested[MODEL_LINE / 2], text[MODEL_LINE];

    (void)state;
    snprintf(nested, sizeof nested,
             "opset 13\nopset com.example 1\ninput x f32 2\nconst n i64 . 1000\nnode Loop n _ x -> y\n%sinput v f32 2\n"
             "node Loop n _ v -> w\ngraph body\ninput j i64 .\ninput e bool .\ninput u f32 2\nnode Add u u -> q\n"
             "node Identity e -> f\noutput f\noutput q\nend\nnode Identity c -> d\n%s", in, out);
    snprintf(text, sizeof text, "%soutput y\n", nested);
    assert_int_equal(bodies_left(text), 1);
    snprintf(text, sizeof text, "%sconst m i64 . 1500\nnode Loop m _ y -> z\n%sinput v f32 2\nnode Add v v -> w\n"
             "node Identity c -> d\n%soutput z\n", nested, in, out);
    assert_int_equal(bodies_left(text), 1);
    snprintf(text, sizeof text, "opset 13\nopset com.example 1\nfunction com.example:Many a -> h\nnode Neg a -> b\n"
             "node Neg b -> c\nnode Neg c -> d\nnode Neg d -> e\nnode Neg e -> f\nnode Neg f -> g\nnode Neg g -> h\n"
             "end\ninput x f32 2\nconst n i64 . 1000\nnode Loop n _ x -> y\n%sinput v f32 2\n"
             "node com.example:Many v -> w\nnode Identity c -> d\n%soutput y\n", in, out);
    assert_int_equal(bodies_left(text), 1);
    snprintf(text, sizeof text, "opset 13\ninput x f32 16384\nconst n i64 . 600\nnode Loop n _ x -> y\n%s"
             "input v f32 16384\nconst k f32 16384 1\nnode Add v k -> w\nnode Identity c -> d\n%s"
             "node Loop n _ y -> z\n%sinput v f32 16384\nconst k f32 16384 1\nnode Add v k -> w\n"
             "node Identity c -> d\n%soutput z\n", in, out, in, out);
    assert_int_equal(bodies_left(text), 1);
}

static void test_loop_captures(void **state)
{
    (void)state;
    loop_gives("2", 2,
               "const k f32 . 10\nnode Neg x -> m\nnode Loop n _ x -> y\ngraph body\ninput i i64 .\n"
               "input c bool .\ninput v f32 2\nnode Mul v k -> a\nnode Add a m -> w\nnode Identity c -> d\noutput "
               "d\noutput w\nend\noutput y\n",
               "2", "89 178");
}

static void test_loop_until(void **state)
{
    (void)state;
    model_gives("opset 13\ninput x f32 1\nconst t bool . 1\nconst limit f32 1 20\nnode Loop _ t x -> y\ngraph "
                "body\ninput i i64 .\ninput c bool .\n"
                "input v f32 1\nnode Add v v -> w\nnode Less w limit -> l\nconst shape i64 0\nnode Reshape l shape -> "
                "d\noutput d\noutput w\nend\n"
                "output y\n",
                "1", "32");
}

/* What is first written in a loop is a number before it, as Paddle is exported: its rank is the last round's. */
static void test_state_that_no_round_reads(void **state)
{
    static const char text[] =
        "opset 13\ninput x f32 1,2\nconst t bool . 1\nconst none f32 . 7\nconst limit f32 . 20\n"
        "node Loop _ t x none -> y last\ngraph body\ninput i i64 .\ninput c bool .\ninput v f32 1,2\n"
        "input u f32 .\nnode Add v v -> w\nnode ReduceMax w -> g keepdims=i:0\nnode Less g limit -> d\n"
        "node Concat w v -> p axis=i:0\noutput d\noutput w\noutput p\nend\nconst k f32 2,1 1,1\n"
        "node MatMul last k -> z\noutput z\n";

    (void)state;
    model_gives(text, "1,2", "48 24");
}

/* The state has one row more in each round, and the body reshapes it. */
static void test_growing_state(void **state)
{
    (void)state;
    loop_gives("1,2", 2,
               "const flat i64 1 -1\nconst two i64 2 -1,2\nnode Loop n _ x -> y\ngraph body\n"
               "input i i64 .\ninput c bool .\ninput v f32 1,2\nnode Concat v x -> w axis=i:0\nnode Reshape w flat -> "
               "f\nnode Neg f -> g\n"
               "node Reshape g two -> h\nnode Identity c -> d\noutput d\noutput h\nend\noutput y\n",
               "1,2", "1 2 1 2 -1 -2");
    /* Two sizes in one Reshape, one of which is the state's. */
    loop_gives("1,2", 1,
               "node Loop n _ x -> y\ngraph body\ninput i i64 .\ninput c bool .\ninput v f32 1,2\n"
               "const s i64 2 0,-1\nnode Concat v x -> w axis=i:0\nnode Shape w -> q\nnode Reshape w s -> r\nnode "
               "Reshape r q -> h\n"
               "node Identity c -> d\noutput d\noutput h\nend\noutput y\n",
               "1,2", "1 2 1 2");
}

/* A list that starts empty and gets a row in each round, as exporters write a list that a program appends to: its rows
   have as many dims as what is put in, so that a product may follow. */
static void test_list_of_rows(void **state)
{
    (void)state;
    loop_gives("1,2", 3,
               "node SequenceEmpty -> s\nnode Loop n _ x s -> y rows\ngraph "
               "body\ninput i i64 .\ninput c bool .\ninput v f32 1,2\ninput l f32 1\nnode Add v v -> w\nnode "
               "SequenceInsert l w -> m\nnode Identity c -> d\noutput d\noutput w\noutput m\nend\nnode "
               "ConcatFromSequence rows -> joined axis=i:0\nconst k f32 2,1 1,1\nnode MatMul joined k -> z\n"
               "output z\n",
               "1,2", "6 12 24");
}

/* How many bounds there are depends on data; a slice of one index gives one. */
static void test_bound_from_a_slice(void **state)
{
    (void)state;
    model_gives("opset 13\ninput x f32 3\nconst at i64 3 0,1,3\nconst zero i64 1 0\nconst one i64 1 1\n"
                "node Cast x -> j "
                "to=i:7\nnode Slice j zero one -> i\nnode Add i one -> k\nnode Slice at i k -> from\nconst far i64 1 "
                "9\nnode Slice x from far -> y\noutput y\n",
                "3", "2 3");
}

static void test_unknown_branch(void **state)
{
    static const char text[] = "opset 13\ninput x f32 3\nconst zero f32 . 2\nnode ReduceMax x -> m keepdims=i:0\nnode "
                               "Less m zero -> c\nnode If c -> y\n"
                               "graph then_branch\nnode Neg x -> a\noutput a\nend\ngraph else_branch\nnode Concat x x "
                               "-> b axis=i:0\noutput b\nend\n"
                               "output y\n";

    (void)state;
    model_gives(text, "3", "1 2 3 1 2 3");
}

/* Squeeze of a size that is open: it is not 1, and 1 is refused. */
static void test_open_squeeze(void **state)
{
    static const char text[] =
        "opset 13\ninput x f32 n,2\nnode Shape x -> s\nconst i i64 . 0\nnode Gather s i -> n\nconst one i64 . 1\n"
        "node Equal n one -> c\nnode If c -> y\ngraph then_branch\nconst a i64 1 0\nnode Squeeze x a -> q\noutput "
        "q\nend\n"
        "graph else_branch\nnode Identity x -> r\noutput r\nend\noutput y\n";
    const pf_onnx_input_shape row = { "x", 2, { 1, 2 } };
    const pf_onnx_options     options = { &row, 1, NULL, 0 };
    pf_graph                 *graph = NULL;
    pf_tensor                 in = { .dtype = PF_F32, .rank = 2, .dim = { 1, 2 } }, out = { 0 };
    pf_err                    err = { 0 };

    (void)state;
    model_gives(text, "2,2", "1 2 3 4");
    graph = model_good(text);
    test_ok(pf_tensor_alloc(&in, &err), &err);
    test_fails(pf_interpret(graph, &in, &out, NULL, NULL, &err), PF_INVALID, &err);
    pf_graph_free(graph);
    test_ok(model_import(model_of(text), NULL, &options, &graph, &err), &err);
    test_ok(pf_interpret(graph, &in, &out, NULL, NULL, &err), &err);
    assert_int_equal(out.rank, 1);
    pf_tensor_clear(&in);
    pf_tensor_clear(&out);
    pf_graph_free(graph);
}

/* Two sizes are the same though nobody knows them, so that the branch is known whose result has other dims. */
static void test_known_branch_of_open_sizes(void **state)
{
    (void)state;
    model_gives("opset 13\ninput x f32 n,2\nnode Neg x -> z\nnode Shape x -> s\nnode Shape z -> t\n"
                "const i i64 . 0\nnode Gather s i -> a\nnode Gather t i -> b\nnode Equal a b -> e\n"
                "node Not e -> c\nnode If c -> y\ngraph then_branch\nconst axes i64 1 0\n"
                "node Unsqueeze x axes -> q\noutput q\nend\ngraph else_branch\nnode Identity z -> r\n"
                "output r\nend\nnode Transpose y -> o perm=is:1,0\noutput o\n",
                "2,2", "-1 -3 -2 -4");
}

static void test_scan(void **state)
{
    (void)state;
    /* Running sums, last row first. */
    model_gives(
        "opset 13\ninput x f32 3,1\nconst z f32 1 0\nnode Scan z x -> e y num_scan_inputs=i:1 "
        "scan_input_directions=is:1\ngraph body\n"
        "input a f32 1\ninput b f32 1\nnode Add a b -> c\nnode Identity c -> d\noutput c\noutput d\nend\noutput y\n",
        "3,1", "3 5 6");
}

static void test_map(void **state)
{
    (void)state;
    model_gives("opset 17\ninput x f32 4\nnode SplitToSequence x -> s keepdims=i:1\nnode SequenceMap s x -> r\ngraph "
                "body\ninput a f32 1\n"
                "input b f32 4\nnode ReduceSum b -> t\nnode Mul a t -> u\noutput u\nend\nnode ConcatFromSequence r -> "
                "y axis=i:0\noutput y\n",
                "4", "10 20 30 40");
}

static void test_bad_bodies(void **state)
{
    (void)state;
    model_bad("opset 13\ninput x f32 2\nconst n i64 . 3\nnode Loop n _ x -> y\ngraph body\ninput i i64 .\noutput "
              "i\nend\noutput y\n",
              PF_INVALID, "its body has 1 inputs where 3");
    model_bad("opset 13\ninput x f32 2\nconst n i64 . 3\nnode Loop n _ x -> y z\ngraph body\ninput i i64 .\ninput c "
              "bool .\ninput v f32 2\n"
              "node Identity v -> w\nnode Identity c -> d\noutput d\noutput w\nend\noutput y\n",
              PF_INVALID, "its body gives 2 values");
    model_bad("opset 13\ninput x f32 2\nnode Scan x -> y num_scan_inputs=i:7\ngraph body\ninput a f32 .\noutput "
              "a\nend\noutput y\n",
              PF_INVALID, "num_scan_inputs");
    model_bad("opset 13\ninput x f32 2\nconst n i64 . 3\nnode Loop n _ x -> y\ngraph body\ninput i i64 .\ninput c bool "
              ".\ninput v f32 2\n"
              "node Relu nowhere -> w\nnode Identity c -> d\noutput d\noutput w\nend\noutput y\n",
              PF_INVALID, "nowhere");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop_with_scan), cmocka_unit_test(test_loop_captures),
        cmocka_unit_test(test_known_rounds),  cmocka_unit_test(test_many_rounds),
        cmocka_unit_test(test_loop_until),     cmocka_unit_test(test_state_that_no_round_reads),
        cmocka_unit_test(test_growing_state),
        cmocka_unit_test(test_list_of_rows),
        cmocka_unit_test(test_bound_from_a_slice),
        cmocka_unit_test(test_unknown_branch), cmocka_unit_test(test_open_squeeze),
        cmocka_unit_test(test_known_branch_of_open_sizes),
        cmocka_unit_test(test_scan),           cmocka_unit_test(test_map),
        cmocka_unit_test(test_bad_bodies),
    };

    return cmocka_run_group_tests_name("onnx_control", tests, NULL, NULL);
}
