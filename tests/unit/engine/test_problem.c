#include "tests/unit/engine/graphs.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/problem.h"

/* All live nodes of a graph as one problem; freed by the caller. */
static pf_problem *problem_of(const pf_graph *graph)
{
    pf_problem  *problem = NULL;
    pf_node_id  *order = NULL;
    pf_value_id *in = NULL, *out = NULL;
    uint32_t     count = 0;
    pf_err       err = { 0 };

    test_ok(pf_graph_order(graph, &order, &count, &err), &err);
    test_ok(pf_problem_extract(graph, order, count, 0, &problem, &in, &out, &err), &err);
    pf_free(order), pf_free(in), pf_free(out);
    return problem;
}

static void same_hash(const char *a, const char *b, bool same)
{
    pf_graph   *ga = graph_of(a), *gb = graph_of(b);
    pf_problem *pa = problem_of(ga), *pb = problem_of(gb);

    if (same)
        assert_string_equal(pa->text, pb->text);
    assert_int_equal(pf_digest_equal(&pa->hash, &pb->hash), same);
    pf_problem_free(pa), pf_problem_free(pb);
    pf_graph_free(ga), pf_graph_free(gb);
}

static void names_and_numbers_do_not_matter(void **state)
{
    (void)state;
    same_hash("graph \"a\"\n%x = input f32 [2,3]\n%y = input f32 [2,3]\n%a = exp(%x) \"one\"\n%b = mul(%a, %y)\n"
              "output %b \"z\"\n",
              "graph \"b\"\n%q = input f32 [2,3]\n%unused = input f32 [7]\n%p = input f32 [2,3]\n%e = exp(%q)\n"
              "%m = mul(%p, %e) \"m\"\noutput %m\n",
              true);
    same_hash("graph \"a\"\n%x = input f32 [2,3]\n%a = exp(%x)\noutput %a\n", "graph \"a\"\n%x = input f32 [3,2]\n"
                                                                              "%a = exp(%x)\noutput %a\n", false);
    same_hash("graph \"a\"\n%x = input f32 [2]\n%a = elu(%x) p=1\noutput %a\n", "graph \"a\"\n%x = input f32 [2]\n"
                                                                                "%a = elu(%x) p=2\noutput %a\n",
              false);
}

static void order_of_commutative_operands_does_not_matter(void **state)
{
    static const char a[] = "graph \"\"\n%x = input f32 [4,5]\n%y = input f32 [5]\n%s = sigmoid(%x)\n%m = mul(%x, %s)\n"
                            "%r = add(%y, %m)\noutput %r\n";
    static const char b[] = "graph \"\"\n%y = input f32 [5]\n%x = input f32 [4,5]\n%s = sigmoid(%x)\n%m = mul(%s, %x)\n"
                            "%r = add(%m, %y)\noutput %r\n";
    static const char c[] = "graph \"\"\n%y = input f32 [5]\n%x = input f32 [4,5]\n%s = sigmoid(%x)\n%m = mul(%s, %x)\n"
                            "%r = sub(%m, %y)\noutput %r\n";
    static const char d[] = "graph \"\"\n%y = input f32 [5]\n%x = input f32 [4,5]\n%s = sigmoid(%x)\n%m = mul(%s, %x)\n"
                            "%r = sub(%y, %m)\noutput %r\n";

    (void)state;
    same_hash(a, b, true);
    same_hash(c, d, false);     /* a difference is not commutative */
}

static void small_constants_are_text_and_weights_are_not(void **state)
{
    static const char a[] = "graph \"\"\n%x = input f32 [4]\n%c = constant f32 [] {0.5}\n%r = mul(%x, %c)\noutput %r\n";
    static const char b[] = "graph \"\"\n%x = input f32 [4]\n%c = constant f32 [] {0.25}\n%r = mul(%x, %c)\n"
                            "output %r\n";
    static const char w[] = "graph \"\"\n%x = input f32 [3,1]\n%w = constant f32 [1,2] {1,2}\n%r = matmul(%x, %w)\n"
                            "output %r\n";
    static const char v[] = "graph \"\"\n%x = input f32 [3,1]\n%w = constant f32 [1,2] {3,4}\n%r = matmul(%x, %w)\n"
                            "output %r\n";
    pf_graph         *graph = graph_of(w);
    pf_problem       *problem = problem_of(graph);

    (void)state;
    same_hash(a, b, false);
    same_hash(w, v, true);      /* what an anchor reads is a weight, however small */
    assert_int_equal(problem->graph->input_count, 2);
    assert_false(problem->in_constant[0]);
    assert_true(problem->in_constant[1]);
    assert_non_null(strstr(problem->text, "in=linear,linear*"));
    pf_problem_free(problem);
    pf_graph_free(graph);
}

static const char conv[] =
    "graph \"\"\n%x = input f32 [batch,3,8,8]\n%w = constant f32 [2,3,1,1] {1,2,3,4,5,6}\n"
    "%y = conv(%x, %w) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%z = relu(%y)\noutput %z\n";

static void text_is_read_back(void **state)
{
    pf_graph   *graph = graph_of(conv);
    pf_problem *problem = problem_of(graph), *laid = NULL, *again = NULL;
    pf_layout   in[] = { PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_LINEAR }, out[] = { PF_LAYOUT_C16 };
    pf_err      err = { 0 };

    (void)state;
    test_ok(pf_problem_with_layouts(problem, in, out, &laid, &err), &err);
    assert_false(pf_digest_equal(&problem->hash, &laid->hash));
    test_ok(pf_problem_parse(laid->text, &again, &err), &err);
    assert_true(pf_digest_equal(&again->hash, &laid->hash));
    assert_int_equal(again->out_layout[0], PF_LAYOUT_C16);
    assert_true(again->in_constant[1]);
    assert_int_equal(again->anchor, laid->anchor);
    out[0] = PF_LAYOUT_COUNT;
    pf_problem_free(again), pf_problem_free(laid), pf_problem_free(problem);
    pf_graph_free(graph);
}

static void pitches_are_part_of_the_text(void **state)
{
    pf_graph   *graph = graph_of(conv);
    pf_problem *problem = problem_of(graph), *laid = NULL, *again = NULL;
    pf_layout   in[] = { PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_LINEAR },
                out[] = { pf_layout_pitched(PF_LAYOUT_CHANNELS_LAST, 5) };
    pf_err      err = { 0 };

    (void)state;
    test_ok(pf_problem_with_layouts(problem, in, out, &laid, &err), &err);
    assert_non_null(strstr(laid->text, " out=nhwc:5 "));
    assert_true(pf_problem_has_pitch(laid));
    assert_false(pf_problem_has_pitch(problem));
    test_ok(pf_problem_parse(laid->text, &again, &err), &err);
    assert_int_equal(again->out_layout[0], out[0]);
    pf_problem_free(again), pf_problem_free(laid);
    out[0] = pf_layout_pitched(PF_LAYOUT_CHANNELS_LAST, 1);             /* of two channels */
    test_fails(pf_problem_with_layouts(problem, in, out, &laid, &err), PF_INVALID, &err);
    out[0] = pf_layout_pitched(PF_LAYOUT_C16, 32);                      /* two channels are no block */
    test_fails(pf_problem_with_layouts(problem, in, out, &laid, &err), PF_INVALID, &err);
    out[0] = PF_LAYOUT_LINEAR;
    in[1] = pf_layout_pitched(PF_LAYOUT_LINEAR, 8);                     /* a constant */
    test_fails(pf_problem_with_layouts(problem, in, out, &laid, &err), PF_INVALID, &err);
    pf_problem_free(problem);
    pf_graph_free(graph);
}

static void binding_gives_numbers(void **state)
{
    pf_graph   *graph = graph_of(conv), *direct = NULL;
    pf_problem *family = problem_of(graph), *bound = NULL, *other = NULL;
    int64_t     five = 5;
    pf_err      err = { 0 };

    (void)state;
    assert_false(pf_problem_is_bound(family));
    test_ok(pf_problem_bind(family, graph->dims, &five, &bound, &err), &err);
    assert_true(pf_problem_is_bound(bound));
    assert_int_equal(pf_graph_value(bound->graph, bound->graph->outputs[0])->shape.dim[0], 5);
    direct = graph_of("graph \"\"\n%x = input f32 [5,3,8,8]\n%w = constant f32 [2,3,1,1] {1,2,3,4,5,6}\n"
                      "%y = conv(%x, %w) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%z = relu(%y)\n"
                      "output %z\n");
    other = problem_of(direct);
    assert_string_equal(bound->text, other->text);          /* a family bound is the problem of the bound graph */
    pf_problem_free(other), pf_problem_free(bound);
    bound = NULL;
    assert_int_not_equal(pf_problem_bind(family, NULL, NULL, &bound, &err), PF_OK);     /* nobody knows what batch is */
    assert_null(bound);
    pf_problem_free(family);
    pf_graph_free(graph), pf_graph_free(direct);
}

static void a_part_has_its_own_ends(void **state)
{
    pf_graph    *graph = graph_of("graph \"\"\n%x = input f32 [6]\n%a = exp(%x)\n%b = neg(%a)\n%c = abs(%b)\n"
                                  "%d = add(%a, %c)\noutput %d\noutput %b\n");
    pf_node_id   nodes[] = { 1, 2 };
    pf_problem  *problem = NULL;
    pf_value_id *in = NULL, *out = NULL;
    pf_err       err = { 0 };

    (void)state;
    test_ok(pf_problem_extract(graph, nodes, 2, PF_NUMERICS_TF32, &problem, &in, &out, &err), &err);
    assert_int_equal(problem->graph->input_count, 1);
    assert_int_equal(in[0], graph->nodes[0].out[0]);
    assert_int_equal(problem->graph->output_count, 2);      /* b is an output of the graph, c is read by d */
    assert_true(out[0] == graph->nodes[1].out[0] || out[1] == graph->nodes[1].out[0]);
    assert_non_null(strstr(problem->text, "numerics=1"));
    pf_free(in), pf_free(out);
    pf_problem_free(problem);
    pf_graph_free(graph);
}

static void a_change_of_layout_is_an_identity(void **state)
{
    pf_shape    shape = { .rank = 4, .dim = { 1, 3, 5, 5 } };
    pf_problem *problem = NULL;
    pf_err      err = { 0 };

    (void)state;
    test_ok(pf_problem_reformat(NULL, PF_F32, &shape, PF_LAYOUT_LINEAR, PF_LAYOUT_CHANNELS_LAST, &problem, &err), &err);
    assert_non_null(strstr(problem->text, "problem in=linear out=nhwc numerics=0\n"));
    assert_non_null(strstr(problem->text, "identity"));
    pf_problem_free(problem);
}

static void malformed_texts_are_refused(void **state)
{
    static const char *const texts[] = {
        "", "graph\n", "problem in=linear out=linear\n", "problem in=nowhere out=linear numerics=0\ngraph\n"
                                                         "%0 = input f32 [1]\noutput %0\n",
        "problem in=linear,linear out=linear numerics=0\ngraph\n%0 = input f32 [1]\noutput %0\n",
        "problem in=nhwc out=linear numerics=0\ngraph\n%0 = input f32 [1]\n%1 = exp(%0)\noutput %1\n",
        "problem in=linear out=linear numerics=x\ngraph\n%0 = input f32 [1]\n%1 = exp(%0)\noutput %1\n",
        "problem in=linear* out=linear numerics=0\ngraph\n%0 = input f32 [1]\n%1 = expo(%0)\noutput %1\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        pf_problem *problem = NULL;
        pf_err      err = { 0 };

        assert_int_not_equal(pf_problem_parse(texts[i], &problem, &err), PF_OK);
        assert_null(problem);
        assert_true(err.msg[0]);
    }
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    pf_graph *graph = graph_of(conv);

    (void)state;
    for (uint64_t successes = 0; successes < 200; successes++) {
        pf_node_id   nodes[] = { 0, 1 };
        pf_problem  *problem = NULL;
        pf_value_id *in = NULL, *out = NULL;
        pf_err       err = { 0 };
        pf_status    st = PF_OK;

        pf_alloc_fail_after(successes);
        st = pf_problem_extract(graph, nodes, 2, 0, &problem, &in, &out, &err);
        pf_alloc_fail_after(UINT64_MAX);
        pf_problem_free(problem);
        pf_free(in), pf_free(out);
        if (st == PF_OK)
            break;
        assert_int_equal(st, PF_NO_SPACE);
    }
    pf_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pitches_are_part_of_the_text),
        cmocka_unit_test(names_and_numbers_do_not_matter),
        cmocka_unit_test(order_of_commutative_operands_does_not_matter),
        cmocka_unit_test(small_constants_are_text_and_weights_are_not), cmocka_unit_test(text_is_read_back),
        cmocka_unit_test(binding_gives_numbers), cmocka_unit_test(a_part_has_its_own_ends),
        cmocka_unit_test(a_change_of_layout_is_an_identity),
        cmocka_unit_test(malformed_texts_are_refused), cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
