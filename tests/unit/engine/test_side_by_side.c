/* Pieces of work side by side are done once each, and who asked for them learns of failures and may stop them. */
#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/processors.h"
#include "engine/go_on.h"
#include "engine/side_by_side.h"
#include "tests/test.h"

enum { PIECES = 40 };

static pf_status count_calls(void *user, uint32_t number, pf_err *err)
{
    atomic_int *calls = user;

    (void)err;
    atomic_fetch_add(&calls[number], 1);
    return PF_OK;
}

static void test_once_each(void **state)
{
    static const uint32_t at_once[] = { 1, 3, PIECES };
    pf_err                err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof at_once / sizeof at_once[0]; i++) {
        atomic_int calls[PIECES] = { 0 };

        test_ok(pf_side_by_side(PIECES, at_once[i], count_calls, calls, &err), &err);
        for (int k = 0; k < PIECES; k++)
            assert_int_equal(atomic_load(&calls[k]), 1);
    }
    test_ok(pf_side_by_side(0, 4, count_calls, NULL, &err), &err);
}

/* Each waits until the other is there. */
static pf_status meet(void *user, uint32_t number, pf_err *err)
{
    atomic_int *there = user;
    int64_t     until = pf_clock_ns() + 60 * PF_NS_PER_S;

    (void)number;
    atomic_fetch_add(there, 1);
    while (atomic_load(there) < 2 && pf_clock_ns() < until)
        pf_clock_sleep_ns(PF_NS_PER_MS);
    return atomic_load(there) < 2 ? PF_FAIL(err, PF_TIMEOUT, "nobody came") : PF_OK;
}

static void test_at_the_same_time(void **state)
{
    atomic_int there = 0;
    pf_err     err = { 0 };

    (void)state;
    if (pf_processors() < 2)
        skip();
    test_ok(pf_side_by_side(2, 2, meet, &there, &err), &err);
}

/* Threads of OpenMP that all pieces together may use. */
static pf_status count_threads(void *user, uint32_t number, pf_err *err)
{
    (void)err;
    ((int *)user)[number] = omp_get_max_threads();
    return PF_OK;
}

static void test_processors_are_shared(void **state)
{
    int    team[2] = { 0 }, mine = omp_get_max_threads();
    pf_err err = { 0 };

    (void)state;
    if (pf_processors() < 2)
        skip();
    test_ok(pf_side_by_side(2, 2, count_threads, team, &err), &err);
    assert_int_equal(team[0], pf_processors() / 2);
    assert_int_equal(team[1], pf_processors() / 2);
    assert_int_equal(omp_get_max_threads(), mine);
}

static pf_status fail_late(void *user, uint32_t number, pf_err *err)
{
    atomic_int *there = user;

    if (number < 2)
        (void)meet(there, number, NULL);
    return number < 2 ? PF_FAIL(err, PF_INVALID, "piece %u", number) : count_calls(there, 1, NULL);
}

static void test_first_failure(void **state)
{
    atomic_int counts[2] = { 0 };       /* who met; calls of others */
    pf_err     err = { 0 };

    (void)state;
    if (pf_processors() < 2)
        skip();
    assert_int_equal(pf_side_by_side(PIECES, 2, fail_late, counts, &err), PF_INVALID);
    assert_string_equal(err.msg, "piece 0");
    assert_true(atomic_load(&counts[1]) < PIECES - 2);
    pf_err_clear(&err);
}

static bool no(void *user)
{
    (void)user;
    return false;
}

static pf_status until_unwanted(void *user, uint32_t number, pf_err *err)
{
    pf_status st = PF_OK;

    (void)user;
    (void)number;
    while (!(st = pf_go_on_check(err)))
        pf_clock_sleep_ns(PF_NS_PER_MS);
    return st;
}

static void test_who_waits_is_asked(void **state)
{
    pf_go_on before = pf_go_on_set((pf_go_on){ no, NULL });
    pf_err   err = { 0 };

    (void)state;
    assert_int_equal(pf_side_by_side(PIECES, 4, until_unwanted, NULL, &err), PF_CANCELLED);
    (void)pf_go_on_set(before);
    pf_err_clear(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once_each),
        cmocka_unit_test(test_at_the_same_time),
        cmocka_unit_test(test_processors_are_shared),
        cmocka_unit_test(test_first_failure),
        cmocka_unit_test(test_who_waits_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
