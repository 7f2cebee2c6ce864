#include <math.h>
#include <string.h>

#include "base/random.h"
#include "engine/pbqp.h"
#include "tests/test.h"

enum { NODES = 7, STATES = 3, ROUNDS = 300 };

typedef struct model { pf_pbqp *problem; double edge[NODES][NODES]; } model;

static pf_pbqp *new_problem(void)
{
    pf_pbqp *problem = pf_pbqp_new();

    assert_non_null(problem);
    return problem;
}

static void add_nodes(pf_pbqp *problem, pf_random *random)
{
    pf_err err = { 0 };

    for (uint32_t n = 0; n < NODES; n++) {
        double   costs[STATES];
        uint32_t index = 0;

        for (int s = 0; s < STATES; s++)
            costs[s] = (double)pf_random_below(random, 20);
        test_ok(pf_pbqp_add_node(problem, costs, STATES, &index, &err), &err);
        assert_int_equal(index, n);
    }
}

static void add_edge(pf_pbqp *problem, pf_random *random, uint32_t a, uint32_t b)
{
    double costs[STATES * STATES];
    pf_err err = { 0 };

    for (int i = 0; i < STATES * STATES; i++)
        costs[i] = pf_random_below(random, 6) ? (double)pf_random_below(random, 20) : INFINITY;
    costs[0] = 30;      /* one pair is always allowed */
    test_ok(pf_pbqp_add_edge(problem, a, b, costs, &err), &err);
}

static double best_by_trying_all(const pf_pbqp *problem)
{
    double best = INFINITY;

    for (uint32_t code = 0; code < 2187; code++) {          /* STATES to the power of NODES */
        uint32_t states[NODES], rest = code;

        for (int n = 0; n < NODES; n++, rest /= STATES)
            states[n] = rest % STATES;
        best = fmin(best, pf_pbqp_cost(problem, states));
    }
    return best;
}

/* Trees and ladders of degree 2: what residual blocks and chains are made of. */
static void series_parallel_is_exact(void **state)
{
    pf_random random;

    (void)state;
    pf_random_init(&random, 5);
    for (int round = 0; round < ROUNDS; round++) {
        pf_pbqp *problem = new_problem();
        uint32_t states[NODES];
        bool     exact = false;
        pf_err   err = { 0 };

        add_nodes(problem, &random);
        for (uint32_t n = 1; n < NODES; n++)
            add_edge(problem, &random, n - 1, n);
        add_edge(problem, &random, 1, 3);       /* two blocks with a way past them */
        add_edge(problem, &random, 6, 4);
        test_ok(pf_pbqp_solve(problem, states, &exact, &err), &err);
        assert_true(exact);
        assert_true(pf_pbqp_cost(problem, states) == best_by_trying_all(problem));
        pf_pbqp_free(problem);
    }
}

static void dense_graphs_get_an_allowed_answer(void **state)
{
    pf_random random;
    double    chosen = 0, best = 0;

    (void)state;
    pf_random_init(&random, 6);
    for (int round = 0; round < ROUNDS; round++) {
        pf_pbqp *problem = new_problem();
        uint32_t states[NODES];
        bool     exact = true;
        double   costs[STATES * STATES] = { 0 };
        pf_err   err = { 0 };

        add_nodes(problem, &random);
        for (uint32_t a = 0; a < NODES; a++)
            for (uint32_t b = a + 1; b < NODES; b++) {
                for (int i = 0; i < STATES * STATES; i++)
                    costs[i] = (double)pf_random_below(&random, 20);
                test_ok(pf_pbqp_add_edge(problem, a, b, costs, &err), &err);
            }
        test_ok(pf_pbqp_solve(problem, states, &exact, &err), &err);
        assert_false(exact);
        chosen += pf_pbqp_cost(problem, states);
        best += best_by_trying_all(problem);
        pf_pbqp_free(problem);
    }
    assert_true(chosen >= best && chosen < best * 1.2);
}

static void one_state_is_no_choice(void **state)
{
    pf_pbqp *problem = new_problem();
    uint32_t nodes[5] = { 0 }, states[5] = { 0 };
    double   nothing[2] = { 0, 0 }, edge[2] = { 4, 3 };
    bool     exact = false;
    pf_err   err = { 0 };

    (void)state;
    test_ok(pf_pbqp_add_node(problem, nothing, 1, &nodes[0], &err), &err);
    for (int i = 1; i < 5; i++) {
        test_ok(pf_pbqp_add_node(problem, nothing, 2, &nodes[i], &err), &err);
        test_ok(pf_pbqp_add_edge(problem, nodes[0], nodes[i], edge, &err), &err);
    }
    test_ok(pf_pbqp_solve(problem, states, &exact, &err), &err);
    assert_true(exact);
    for (int i = 1; i < 5; i++)
        assert_int_equal(states[i], 1);
    pf_pbqp_free(problem);
}

static void says_when_nothing_is_allowed(void **state)
{
    pf_pbqp *problem = new_problem();
    uint32_t a = 0, b = 0, states[2] = { 0 };
    double   costs[4] = { INFINITY, INFINITY, INFINITY, INFINITY }, nothing[2] = { 0, 0 };
    pf_err   err = { 0 };

    (void)state;
    test_ok(pf_pbqp_add_node(problem, nothing, 2, &a, &err), &err);
    test_ok(pf_pbqp_add_node(problem, nothing, 2, &b, &err), &err);
    test_ok(pf_pbqp_add_edge(problem, a, b, costs, &err), &err);
    test_fails(pf_pbqp_solve(problem, states, NULL, &err), PF_INVALID, &err);
    pf_pbqp_free(problem);
}

static void edges_add_up(void **state)
{
    pf_pbqp *problem = new_problem();
    uint32_t a = 0, b = 0, states[2] = { 0, 1 };
    double   nothing[3] = { 0 }, first[6] = { 0, 1, 2, 3, 4, 5 }, turned[6] = { 10, 20, 30, 40, 50, 60 };
    pf_err   err = { 0 };

    (void)state;
    test_ok(pf_pbqp_add_node(problem, nothing, 2, &a, &err), &err);
    test_ok(pf_pbqp_add_node(problem, nothing, 3, &b, &err), &err);
    test_ok(pf_pbqp_add_edge(problem, a, b, first, &err), &err);
    test_ok(pf_pbqp_add_edge(problem, b, a, turned, &err), &err);
    assert_true(pf_pbqp_cost(problem, states) == 1 + 30);
    pf_pbqp_free(problem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_parallel_is_exact),
        cmocka_unit_test(dense_graphs_get_an_allowed_answer),
        cmocka_unit_test(one_state_is_no_choice),
        cmocka_unit_test(says_when_nothing_is_allowed),
        cmocka_unit_test(edges_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
