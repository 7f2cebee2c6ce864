/* Answers made ahead are those that are made in turn, whoever asks first. */
#include "base/buf.h"
#include "base/clock.h"
#include "engine/go_on.h"
#include "engine/oracle_ahead.h"
#include "tests/test.h"

enum { COUNT = 6 };

static const char *const texts[COUNT] = {
    "graph \"\"\n%x = input f32 [64,33]\n%1 = relu(%x)\noutput %1\n",
    "graph \"\"\n%x = input f32 [7]\n%1 = relu(%x)\noutput %1\n",
    "graph \"\"\n%x = input f32 [300,40]\n%1 = neg(%x)\noutput %1\n",
    "graph \"\"\n%x = input f32 [5,5]\n%1 = neg(%x)\noutput %1\n",
    "graph \"\"\n%x = input f32 [2,3,4]\n%1 = abs(%x)\noutput %1\n",
    "graph \"\"\n%x = input f32 [128]\n%1 = abs(%x)\noutput %1\n",
};

typedef struct graphs { pf_graph *graph[COUNT]; pf_oracle_wanted wanted[COUNT]; } graphs;

static void open_graphs(graphs *g)
{
    pf_err err = { 0 };

    for (int i = 0; i < COUNT; i++) {
        test_ok(pf_graph_parse(texts[i], &g->graph[i], &err), &err);
        g->wanted[i] = (pf_oracle_wanted){ g->graph[i], NULL };
    }
}

static void close_graphs(graphs *g)
{
    for (int i = 0; i < COUNT; i++)
        pf_graph_free(g->graph[i]);
}

static void assert_answers(const pf_graph *graph, const pf_oracle *made)
{
    pf_oracle wanted = { 0 };
    pf_err    err = { 0 };

    test_ok(pf_oracle_of_graph(graph, NULL, &wanted, &err), &err);
    assert_int_equal(made->out_count, wanted.out_count);
    assert_int_equal(made->out[0].bytes, wanted.out[0].bytes);
    assert_memory_equal(made->in[0].data, wanted.in[0].data, wanted.in[0].bytes);
    assert_memory_equal(made->out[0].data, wanted.out[0].data, wanted.out[0].bytes);
    pf_oracle_clear(&wanted);
}

/* Of those that were begun the answer is right; the others are left to who asks. How many were made. */
static int take_all(uint64_t most_bytes)
{
    graphs           g = { 0 };
    pf_oracle_ahead *ahead = NULL;
    pf_err           err = { 0 };
    int              made = 0;

    open_graphs(&g);
    test_ok(pf_oracle_ahead_start(g.wanted, COUNT, most_bytes, &ahead, &err), &err);
    for (uint32_t i = 0; i < COUNT; i++) {
        pf_oracle oracle = { 0 };

        if (pf_oracle_ahead_take(ahead, i, &oracle)) {
            assert_answers(g.graph[i], &oracle);
            made++;
        }
        assert_false(pf_oracle_ahead_take(ahead, i, &(pf_oracle){ 0 }));
        pf_oracle_clear(&oracle);
    }
    pf_oracle_ahead_end(ahead);
    close_graphs(&g);
    return made;
}

static void answers_are_those_made_in_turn(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_in_range(take_all(UINT64_MAX), 0, COUNT);
        assert_in_range(take_all(1), 0, COUNT);
    }
}

static void nothing_is_made_without_room(void **state)
{
    (void)state;
    assert_int_equal(take_all(0), 0);
}

/* In the reverse order the last one is waited for, or made by who asks; no answer is lost where nobody takes it. */
static void ends_with_answers_left(void **state)
{
    graphs           g = { 0 };
    pf_oracle_ahead *ahead = NULL;
    pf_oracle        oracle = { 0 };
    pf_err           err = { 0 };

    (void)state;
    open_graphs(&g);
    test_ok(pf_oracle_ahead_start(g.wanted, COUNT, UINT64_MAX, &ahead, &err), &err);
    if (pf_oracle_ahead_take(ahead, COUNT - 1, &oracle))
        assert_answers(g.graph[COUNT - 1], &oracle);
    pf_oracle_clear(&oracle);
    pf_oracle_ahead_end(ahead);
    close_graphs(&g);
    assert_false(pf_oracle_ahead_take(NULL, 0, &oracle));
    pf_oracle_ahead_end(NULL);
}

enum { LONG_NODES = 100000 };

/* A chain that takes minutes. */
static pf_graph *long_graph(void)
{
    pf_graph *graph = NULL;
    pf_buf    text = { 0 };
    pf_err    err = { 0 };

    pf_buf_init(&text, 1 << 24);
    pf_buf_printf(&text, "graph \"\"\n%%x = input f32 [64,1000]\n%%1 = sin(%%x)\n");
    for (int i = 1; i < LONG_NODES; i++)
        pf_buf_printf(&text, "%%%d = sin(%%%d)\n", i + 1, i);
    pf_buf_printf(&text, "output %%%d\n", LONG_NODES);
    assert_false(text.failed);
    test_ok(pf_graph_parse((const char *)text.data, &graph, &err), &err);
    pf_buf_clear(&text);
    return graph;
}

static bool say(void *user)
{
    return *(bool *)user;
}

/* Neither who waits for an answer nor who ends it all waits for the answer: a test that fails here does not end. */
static void what_nobody_wants_is_stopped(void **state)
{
    pf_graph        *graph = long_graph();
    pf_oracle_wanted wanted = { graph, NULL };
    pf_oracle_ahead *ahead = NULL;
    pf_oracle        oracle = { 0 };
    pf_go_on         before = { 0 };
    bool             goes_on = false;
    pf_err           err = { 0 };

    (void)state;
    test_ok(pf_oracle_ahead_start(&wanted, 1, UINT64_MAX, &ahead, &err), &err);
    pf_clock_sleep_ns(20 * PF_NS_PER_MS);               /* it has begun, most likely; else it is left to this thread */
    before = pf_go_on_set((pf_go_on){ say, &goes_on });
    assert_false(pf_oracle_ahead_take(ahead, 0, &oracle));
    test_fails(pf_oracle_of_graph(graph, NULL, &oracle, &err), PF_CANCELLED, &err);
    pf_oracle_ahead_end(ahead);
    (void)pf_go_on_set(before);
    pf_graph_free(graph);
}

static void pays_beside_a_device_alone(void **state)
{
    pf_device processor = { .kind = PF_DEVICE_CPU };

    (void)state;
    assert_false(pf_oracle_ahead_pays(&processor));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_made_in_turn), cmocka_unit_test(nothing_is_made_without_room),
        cmocka_unit_test(ends_with_answers_left), cmocka_unit_test(what_nobody_wants_is_stopped),
        cmocka_unit_test(pays_beside_a_device_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
