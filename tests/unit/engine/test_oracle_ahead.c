/* Answers made ahead are those that are made in turn, whoever asks first. */
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
        cmocka_unit_test(ends_with_answers_left), cmocka_unit_test(pays_beside_a_device_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
