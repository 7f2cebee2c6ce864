#include <string.h>

#include "base/alloc.h"
#include "engine/ops/attrs.h"
#include "tests/unit/engine/graphs.h"

static const char residual[] =
    "graph \"residual\"\n"
    "%x = input f32 [batch,4]\n"
    "%w = constant f32 [4,4] {1,0,0,0, 0,1,0,0, 0,0,1,0, 0,0,0,1}\n"
    "%a = matmul(%x, %w) \"first\"\n"
    "%b = relu(%a)\n"
    "%c = add(%x, %b)\n"
    "%d = neg(%b)\n"
    "output %c \"sum\"\n"
    "output %c \"again\"\n";

static pf_value_id value_named(const pf_graph *graph, const char *name)
{
    for (pf_value_id id = 0; id < graph->value_count; id++)
        if (!strcmp(graph->values[id].name, name))
            return id;
    fail_msg("there is no value %s", name);
    return PF_NONE;
}

static void test_uses(void **state)
{
    pf_graph   *graph = graph_of(residual);
    pf_value_id x = value_named(graph, "x"), b = value_named(graph, "b"), c = value_named(graph, "c"),
                d = value_named(graph, "d");
    pf_err      err = { 0 };

    (void)state;
    assert_int_equal(pf_graph_use_count(graph, x), 2);
    assert_int_equal(pf_graph_use_count(graph, b), 2);
    assert_int_equal(pf_graph_use_count(graph, c), 2);
    assert_true(pf_graph_is_output(graph, c) && !pf_graph_is_output(graph, b));
    assert_int_equal(pf_graph_use(graph, c, 1).node, PF_NONE);
    assert_int_equal(pf_graph_use(graph, c, 1).slot, 1);
    assert_int_equal(pf_graph_remove_dead(graph), 1);
    assert_false(graph->nodes[graph->values[d].producer].live);
    assert_int_equal(pf_graph_use_count(graph, b), 1);
    test_ok(pf_graph_replace(graph, c, b, &err), &err);
    assert_int_equal(pf_graph_use_count(graph, c), 0);
    assert_int_equal(pf_graph_use_count(graph, b), 3);
    assert_int_equal(graph->outputs[1], b);
    assert_string_equal(graph->output_names[1], "again");
    assert_int_equal(pf_graph_remove_dead(graph), 1);
    test_ok(pf_graph_verify(graph, &err), &err);
    pf_graph_remove_node(graph, graph->values[b].producer);      /* used: stays */
    assert_true(graph->nodes[graph->values[b].producer].live);
    pf_graph_free(graph);
}

/* Random edits leave a whole graph: new nodes, inputs moved to older values, values replaced by older ones, dead ones
   removed. */
static void test_random_edits(void **state)
{
    static const pf_op_kind binary[] = { PF_OP_ADD, PF_OP_MUL, PF_OP_MAX };
    pf_random random;

    (void)state;
    pf_random_init(&random, 7);
    for (int round = 0; round < 30; round++) {
        pf_graph *graph = graph_of("graph\n%x = input f32 [n,3]\n%y = input f32 [3]\noutput %x\n");
        pf_err    err = { 0 };

        for (int step = 0; step < 120; step++) {
            uint64_t    what = pf_random_below(&random, 10);
            pf_value_id a = (pf_value_id)pf_random_below(&random, graph->value_count);
            pf_value_id b = (pf_value_id)pf_random_below(&random, graph->value_count), out = 0;
            bool        same = pf_shape_equal(&graph->values[a].shape, &graph->values[b].shape);
            bool        gone = graph->values[a].producer != PF_NONE && !graph->nodes[graph->values[a].producer].live;

            if ((graph->values[b].producer != PF_NONE && !graph->nodes[graph->values[b].producer].live) || gone)
                continue;
            if (what < 6) {
                pf_value_id in[2] = { a, b };

                test_ok(pf_graph_add_node(graph, binary[pf_random_below(&random, 3)], "", in, 2, NULL, 1, &out, &err),
                        &err);
                if (what == 0)
                    test_ok(pf_graph_add_output(graph, out, NULL, &err), &err);
            } else if (what < 8 && same && b < a)
                test_ok(pf_graph_replace(graph, a, b, &err), &err);
            else if (what == 8 && same && b < a && pf_graph_use_count(graph, a)) {
                pf_use use = pf_graph_use(graph, a, 0);

                if (use.node != PF_NONE)
                    test_ok(pf_graph_set_input(graph, use.node, use.slot, b, &err), &err);
            } else if (what == 9 && step % 3 == 0)
                (void)pf_graph_remove_dead(graph);
            test_ok(pf_graph_verify(graph, &err), &err);
        }
        pf_graph_free(graph);
    }
}

static void break_producer(pf_graph *graph) { graph->values[value_named(graph, "b")].producer = 0; }
static void break_second_producer(pf_graph *graph) { graph->values[value_named(graph, "b")].is_input = true; }
static void break_input_list(pf_graph *graph) { graph->inputs[0] = value_named(graph, "w"); }
static void break_liveness(pf_graph *graph)
{
    graph->nodes[graph->values[value_named(graph, "b")].producer].live = false;
}
static void break_use(pf_graph *graph)
{
    graph->nodes[graph->values[value_named(graph, "c")].producer].in[0] = value_named(graph, "a");
}
static void break_output(pf_graph *graph) { graph->outputs[0] = value_named(graph, "b"); }
static void break_count(pf_graph *graph) { graph->nodes[graph->values[value_named(graph, "c")].producer].in_count = 1; }
static void break_op(pf_graph *graph) { graph->nodes[0].op = PF_OP_COUNT; }
static void break_dtype(pf_graph *graph) { graph->values[value_named(graph, "b")].dtype = PF_F16; }
static void break_shape(pf_graph *graph) { graph->values[value_named(graph, "c")].shape.dim[1] = 5; }
static void break_attrs(pf_graph *graph) { graph->nodes[0].attrs = NULL; }
static void break_content(pf_graph *graph)
{
    static const pf_dim one = 1;

    graph->values[value_named(graph, "b")].content = &one;
    graph->values[value_named(graph, "b")].content_count = 1;
}
static void break_order(pf_graph *graph)
{
    pf_err err = { 0 };

    test_ok(pf_graph_set_input(graph, graph->values[value_named(graph, "a")].producer, 0, value_named(graph, "c"),
                               &err),
            &err);
}

static void test_verify_finds(void **state)
{
    static const struct { void (*run)(pf_graph *graph); const char *says; } breaks[] = {
        { break_producer, "not the output that it says" }, { break_second_producer, "2 producers" },
        { break_input_list, "not an input" },
        { break_liveness, "its node was removed" },        { break_use, "not noted as a use" },
        { break_output, "not noted as a use" },
        { break_count, "so many inputs" },                 { break_op, "no such op" },
        { break_dtype, "type" },
        { break_shape, "shape" },                          { break_attrs, "attributes are missing" },
        { break_content, "known elements" }, { break_order, "cycle" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
        pf_graph *graph = graph_of(residual);
        pf_err    err = { 0 };

        breaks[i].run(graph);
        if (!pf_graph_verify(graph, &err))
            fail_msg("break %zu (\"%s\") was not found", i, breaks[i].says);
        if (!strstr(err.msg, breaks[i].says))
            fail_msg("break %zu should say \"%s\", but says: %s", i, breaks[i].says, err.msg);
        pf_graph_free(graph);
    }
}

static void test_order(void **state)
{
    pf_graph   *graph = graph_of(residual);
    pf_node_id *order = NULL;
    uint32_t    count = 0;
    pf_value_id late = 0, x = value_named(graph, "x");
    pf_err      err = { 0 };

    (void)state;
    /* Node 0 is made to wait for the last one. */
    test_ok(pf_graph_add_node(graph, PF_OP_SQRT, "late", &x, 1, NULL, 1, &late, &err), &err);
    test_ok(pf_graph_set_input(graph, 0, 0, late, &err), &err);
    test_ok(pf_graph_order(graph, &order, &count, &err), &err);
    assert_int_equal(count, 5);
    assert_int_equal(order[0], 4);
    assert_int_equal(order[1], 0);
    assert_int_equal(order[4], 3);
    pf_free(order);
    pf_graph_free(graph);
}

/* A node waits for the one that finds out a size in its attributes, whatever their ids. */
static void test_order_by_sizes(void **state)
{
    pf_graph       *graph = graph_of("graph\n%x = input f32 [9]\n%m = input i64 [4]\n"
                                     "%y = slice(%x) axes=[0] starts=[0] ends=[3] steps=[1]\n"
                                     "%z = non_zero(%m)\noutput %y\n");
    pf_slice_attrs *attrs = graph->nodes[0].attrs;
    pf_node_id     *order = NULL;
    uint32_t        count = 0;
    pf_err          err = { 0 };

    (void)state;
    attrs->ends.at[0] = graph->values[value_named(graph, "z")].shape.dim[1];
    test_ok(pf_graph_infer(graph, &err), &err);
    test_ok(pf_graph_order(graph, &order, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_int_equal(order[0], 1);
    pf_free(order);
    assert_int_equal(pf_graph_remove_dead(graph), 0);
    test_ok(pf_graph_substitute(graph, pf_dims_symbol_index(graph->dims, "nonzero"), 2, &err), &err);
    assert_int_equal(attrs->ends.at[0], 2);
    assert_int_equal(pf_graph_remove_dead(graph), 1);
    test_ok(pf_graph_infer(graph, &err), &err);
    test_ok(pf_graph_verify(graph, &err), &err);
    assert_int_equal(graph->values[value_named(graph, "y")].shape.dim[0], 2);
    pf_graph_free(graph);
}

/* |n - 8| is no expression until n is known to be over 8: what read the size that the range made then reads n - 8. */
static void test_sizes_become_known(void **state)
{
    pf_graph       *graph = graph_of("graph\n%x = input f32 [n,4]\n%w = input f32 [24]\n%s = shape(%x) end=1\n"
                                     "%eight = constant i64 [1] {8}\n"
                                     "%d = sub(%s, %eight)\n%l = abs(%d)\n%zero = constant i64 [] {0}\n"
                                     "%one = constant i64 [] {1}\n"
                                     "%r = range(%zero, %l, %one)\n"
                                     "%y = slice(%w) axes=[0] starts=[0] ends=[3] steps=[1]\noutput %y\noutput %r\n");
    pf_slice_attrs *attrs = NULL;
    pf_err          err = { 0 };

    (void)state;
    for (pf_node_id id = 0; id < graph->node_count; id++)
        attrs = graph->nodes[id].op == PF_OP_SLICE ? graph->nodes[id].attrs : attrs;
    assert_non_null(attrs);
    attrs->ends.at[0] = graph->values[value_named(graph, "r")].shape.dim[0];
    test_ok(pf_graph_infer(graph, &err), &err);
    assert_true(pf_dim_uses(graph->dims, attrs->ends.at[0], pf_dims_symbol_index(graph->dims, "range")));
    pf_dims_bound(graph->dims, pf_dims_symbol_index(graph->dims, "n"), 16, 20);
    test_ok(pf_graph_infer(graph, &err), &err);
    assert_int_equal(attrs->ends.at[0], pf_dim_sub(graph->dims, pf_dims_symbol(graph->dims, "n"), 8));
    test_ok(pf_graph_verify(graph, &err), &err);
    pf_graph_free(graph);
}

static void test_add_node_refuses(void **state)
{
    pf_graph   *graph = graph_of(residual);
    pf_value_id x = value_named(graph, "x"), out[2] = { 0 };
    pf_value_id three[3] = { x, x, x }, bad[2] = { x, 1000 };
    uint32_t    values = graph->value_count, nodes = graph->node_count;
    pf_err      err = { 0 };

    (void)state;
    assert_int_equal(pf_graph_add_node(graph, PF_OP_ADD, "much", three, 3, NULL, 1, out, &err), PF_INVALID);
    assert_non_null(strstr(err.msg, "add \"much\": 3 inputs"));
    test_fails(PF_INVALID, PF_INVALID, &err);
    test_fails(pf_graph_add_node(graph, PF_OP_ADD, "", three, 2, NULL, 2, out, &err), PF_INVALID, &err);
    test_fails(pf_graph_add_node(graph, PF_OP_ADD, "", bad, 2, NULL, 1, out, &err), PF_INTERNAL, &err);
    test_fails(pf_graph_add_node(graph, PF_OP_TRANSPOSE, "", three, 1, NULL, 1, out, &err), PF_INVALID, &err);
    test_fails(pf_graph_add_node(graph, PF_OP_NONE, "", three, 0, NULL, 1, out, &err), PF_INVALID, &err);
    assert_int_equal(graph->value_count, values);
    assert_int_equal(graph->node_count, nodes);
    assert_int_equal(pf_graph_use_count(graph, x), 2);
    test_ok(pf_graph_verify(graph, &err), &err);
    pf_graph_free(graph);
}

static void test_constants(void **state)
{
    static const float   two[2] = { 1, 2 };
    static const int64_t far[2] = { INT64_MIN, 7 };
    pf_graph   *graph = graph_of(residual);
    pf_shape    shape = { .rank = 1, .dim = { 2 } };
    pf_value_id id = 0;
    pf_err      err = { 0 };

    (void)state;
    test_ok(pf_graph_add_constant(graph, "two", PF_F32, &shape, two, sizeof two, &id, &err), &err);
    assert_null(graph->values[id].content);
    test_fails(pf_graph_add_constant(graph, "two", PF_F32, &shape, two, 4, &id, &err), PF_INVALID, &err);
    test_ok(pf_graph_add_constant(graph, "far", PF_I64, &shape, far, sizeof far, &id, &err), &err);
    assert_int_equal(graph->values[id].content_count, 2);
    assert_true(pf_dim_is_number(graph->values[id].content[0]) && graph->values[id].content[0] < -(INT64_C(1) << 62));
    assert_int_equal(graph->values[id].content[1], 7);
    test_ok(pf_graph_add_scalar(graph, PF_F16, 0.5, &id, &err), &err);
    assert_true(pf_dtype_get(PF_F16, graph->values[id].constant.data, 0) == 0.5 && graph->values[id].shape.rank == 0);
    shape.dim[0] = pf_dims_symbol(graph->dims, "batch");
    test_fails(pf_graph_add_constant(graph, "open", PF_F32, &shape, two, sizeof two, &id, &err), PF_INVALID, &err);
    pf_graph_free(graph);
}

/* Sizes that data decides keep their symbols however often they are inferred. */
static void test_infer_again(void **state)
{
    pf_graph   *graph = graph_of("graph\n%x = input f32 [n,4]\n%s = input i64 [2]\n%y = reshape_dynamic(%x, %s)\n"
                                 "%z = relu(%y)\noutput %z\n");
    pf_value_id y = value_named(graph, "y"), x = value_named(graph, "x");
    pf_shape    before = graph->values[y].shape, shape = { .rank = 3, .dim = { 2, 3, 4 } };
    uint32_t    symbols = pf_dims_symbol_count(graph->dims);
    pf_err      err = { 0 };

    (void)state;
    assert_int_equal(before.rank, 2);
    assert_true(pf_dim_is_symbolic(before.dim[0]) && before.dim[0] != before.dim[1]);
    for (int i = 0; i < 5; i++) {
        test_ok(pf_graph_infer(graph, &err), &err);
        test_ok(pf_graph_verify(graph, &err), &err);
    }
    test_ok(pf_graph_set_input_shape(graph, x, &shape, &err), &err);
    test_ok(pf_graph_infer(graph, &err), &err);
    assert_true(pf_shape_equal(&before, &graph->values[y].shape));
    assert_int_equal(pf_dims_symbol_count(graph->dims), symbols);
    test_fails(pf_graph_set_input_shape(graph, y, &shape, &err), PF_INTERNAL, &err);
    pf_graph_free(graph);
}

static void test_infer_follows_inputs(void **state)
{
    pf_graph   *graph = graph_of(residual);
    pf_value_id x = value_named(graph, "x"), c = value_named(graph, "c");
    pf_shape    shape = { .rank = 2, .dim = { 7, 4 } };
    pf_err      err = { 0 };

    (void)state;
    assert_true(pf_dim_is_symbolic(graph->values[c].shape.dim[0]));
    test_ok(pf_graph_set_input_shape(graph, x, &shape, &err), &err);
    test_fails(pf_graph_verify(graph, &err), PF_INTERNAL, &err);
    test_ok(pf_graph_infer(graph, &err), &err);
    test_ok(pf_graph_verify(graph, &err), &err);
    assert_int_equal(graph->values[c].shape.dim[0], 7);
    shape.dim[1] = 5;
    test_ok(pf_graph_set_input_shape(graph, x, &shape, &err), &err);
    assert_int_equal(pf_graph_infer(graph, &err), PF_INVALID);
    assert_non_null(strstr(err.msg, "matmul \"first\""));
    pf_graph_free(graph);
}

static void test_copy(void **state)
{
    pf_graph   *graph = graph_of(residual), *copy = NULL;
    pf_value_id c = value_named(graph, "c"), b = value_named(graph, "b");
    pf_buf      text, copy_text;
    pf_err      err = { 0 };

    (void)state;
    copy = pf_graph_copy(graph, &err);
    assert_non_null(copy);
    test_ok(pf_graph_verify(copy, &err), &err);
    assert_string_equal(text_of(graph, true, &text), text_of(copy, true, &copy_text));
    assert_int_equal(copy->values[c].shape.dim[0], graph->values[c].shape.dim[0]);
    test_ok(pf_graph_replace(copy, c, b, &err), &err);       /* the original does not notice */
    assert_int_equal(graph->outputs[0], c);
    test_ok(pf_graph_verify(graph, &err), &err);
    pf_buf_clear(&text);
    pf_buf_clear(&copy_text);
    pf_graph_free(copy);
    pf_graph_free(graph);
}

static void test_captures(void **state)
{
    pf_graph   *graph = graph_of(residual);
    pf_value_id x = value_named(graph, "x"), w = value_named(graph, "w"), in = 0, cx = 0, again = 0, cw = 0;
    pf_shape    scalar = { .rank = 0 };
    pf_graph   *body = pf_graph_new("body", graph);
    pf_err      err = { 0 };

    (void)state;
    assert_non_null(body);
    test_ok(pf_graph_add_input(body, "step", PF_I64, &scalar, &in, &err), &err);
    test_ok(pf_graph_capture(body, x, &cx, &err), &err);
    test_ok(pf_graph_capture(body, x, &again, &err), &err);
    test_ok(pf_graph_capture(body, w, &cw, &err), &err);
    assert_int_equal(cx, again);
    assert_int_equal(body->input_count, 2);
    assert_int_equal(body->capture_count, 1);
    assert_int_equal(body->captured[0], x);
    assert_true(body->values[cw].is_constant && body->values[cw].constant.data == graph->values[w].constant.data);
    assert_true(pf_shape_equal(&body->values[cx].shape, &graph->values[x].shape));
    test_fails(pf_graph_add_input(body, "late", PF_I64, &scalar, &in, &err), PF_INTERNAL, &err);
    test_fails(pf_graph_capture(graph, x, &cx, &err), PF_INTERNAL, &err);
    pf_graph_free(body);                                     /* before its outer graph, which must not free it again */
    body = pf_graph_new("other", graph);
    assert_non_null(body);
    pf_graph_free(graph);                                    /* with the body */
}

static const char branches[] =
    "graph\n%c = input bool []\n%x = input f32 [n]\n%y = if(%c, %x, %x) then_branch={\n  graph\n"
    "  %a = capture f32 [n]\n  %b = relu(%a)\n"
    "  output %b\n} else_branch={\n  graph\n  %a = capture f32 [n]\n  %b = neg(%a)\n  output %b\n}\noutput %y\n";

static void test_bodies(void **state)
{
    pf_graph    *graph = graph_of(branches), *copy = NULL;
    pf_if_attrs *attrs = graph->nodes[0].attrs, *copied = NULL;
    pf_buf       text, copy_text;
    pf_err       err = { 0 };

    (void)state;
    copy = pf_graph_copy(graph, &err);
    assert_non_null(copy);
    copied = copy->nodes[0].attrs;
    assert_ptr_equal(copied->then_branch->outer, copy);
    assert_ptr_equal(copied->then_branch->dims, copy->dims);
    assert_true(pf_attrs_equal(pf_op_def_of(PF_OP_IF), attrs, copied));
    copied->then_branch->nodes[0].op = PF_OP_EXP;
    assert_false(pf_attrs_equal(pf_op_def_of(PF_OP_IF), attrs, copied));
    copied->then_branch->nodes[0].op = PF_OP_RELU;
    test_ok(pf_graph_verify(copy, &err), &err);
    assert_string_equal(text_of(graph, true, &text), text_of(copy, true, &copy_text));
    copied->else_branch->values[1].dtype = PF_F16;           /* a body that is not whole */
    test_fails(pf_graph_verify(copy, &err), PF_INTERNAL, &err);
    copied->then_branch->outer = NULL;
    test_fails(pf_graph_verify(copy, &err), PF_INTERNAL, &err);
    copied->then_branch->outer = copy;
    pf_buf_clear(&text);
    pf_buf_clear(&copy_text);
    pf_graph_free(copy);
    pf_graph_free(graph);
}

static void count_release(void *resource) { (*(int *)resource)++; }

static void test_keep(void **state)
{
    pf_graph *graph = pf_graph_new("g", NULL);
    int       released = 0;
    pf_err    err = { 0 };

    (void)state;
    test_ok(pf_graph_keep(graph, &released, count_release, &err), &err);
    assert_int_equal(released, 0);
    pf_graph_free(graph);
    assert_int_equal(released, 1);
}

/* However early memory runs out, the answer is NO_SPACE and nothing leaks (the sanitized build looks). */
static void test_out_of_memory(void **state)
{
    (void)state;
    for (uint64_t n = 0;; n++) {
        pf_graph *graph = NULL, *copy = NULL;
        pf_err    err = { 0 };
        pf_status st = PF_OK;

        pf_alloc_fail_after(n);
        st = pf_graph_parse(n % 2 ? residual : branches, &graph, &err);
        if (!st)
            copy = pf_graph_copy(graph, &err);
        if (copy)
            st = pf_graph_verify(copy, &err);
        pf_alloc_fail_after(UINT64_MAX);
        pf_graph_free(copy);
        pf_graph_free(graph);
        if (!st && copy)
            break;
        if (err.status != PF_NO_SPACE)
            fail_msg("allocation %u: %s", (unsigned)n, err.msg);
        assert_true(n < 10000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uses),        cmocka_unit_test(test_random_edits),   cmocka_unit_test(test_verify_finds),
        cmocka_unit_test(test_order),       cmocka_unit_test(test_order_by_sizes),
        cmocka_unit_test(test_sizes_become_known),
        cmocka_unit_test(test_add_node_refuses), cmocka_unit_test(test_constants),
        cmocka_unit_test(test_infer_again), cmocka_unit_test(test_infer_follows_inputs), cmocka_unit_test(test_copy),
        cmocka_unit_test(test_captures),    cmocka_unit_test(test_bodies), cmocka_unit_test(test_keep),
        cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
