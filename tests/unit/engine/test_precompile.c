/* Candidates are compiled ahead once each, whatever they need for it; tactics without a compiler are passed over.  Who
   waits for a group goes on while later ones are compiled. */
#include "tests/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/precompile.h"

enum { EACH = 40 };

static atomic_int compiled[2][EACH];

static void count_in(int kind, const char *tuning)
{
    atomic_fetch_add(&compiled[kind][strtol(tuning, NULL, 10)], 1);
}

static pf_status on_host(pf_device *device, const pf_problem *p, const char *tuning, pf_err *err)
{
    (void)device, (void)p, (void)err;
    count_in(0, tuning);
    return PF_OK;
}

static pf_status on_device(pf_device *device, const pf_problem *p, const char *tuning, pf_err *err)
{
    (void)device, (void)p;
    count_in(1, tuning);
    return PF_FAIL(err, PF_UNSUPPORTED, "what fails here fails again when it is prepared");
}

static const pf_tactic host = { .name = "host", .compile = on_host, .compile_ms = 7 },
                       device = { .name = "device", .flags = PF_TACTIC_COMPILES_WITH_DEVICE, .compile = on_device },
                       none = { .name = "none" };

static char texts[EACH][8];

static uint32_t fill(pf_precompile_item *items)
{
    const pf_tactic *tactics[] = { &host, &none, &device };
    uint32_t         count = 0;

    memset(compiled, 0, sizeof compiled);
    for (int i = 0; i < EACH; i++)
        for (int t = 0; t < 3; t++) {
            snprintf(texts[i], sizeof texts[i], "%d", i);
            items[count++] = (pf_precompile_item){ .tactic = tactics[t], .tuning = texts[i] };
        }
    return count;
}

static void every_candidate_is_compiled_once(void **state)
{
    pf_precompile_item items[3 * EACH];
    uint32_t           count = fill(items);
    pf_err             err = { 0 };

    (void)state;
    test_ok(pf_precompile(NULL, items, count, NULL, NULL, &err), &err);
    for (int i = 0; i < EACH; i++) {
        assert_int_equal(compiled[0][i], 1);
        assert_int_equal(compiled[1][i], 1);
    }
}

static void nothing_to_compile_is_no_failure(void **state)
{
    pf_precompile_item item = { .tactic = &none, .tuning = "0" };
    pf_err             err = { 0 };

    (void)state;
    test_ok(pf_precompile(NULL, &item, 1, NULL, NULL, &err), &err);
    test_ok(pf_precompile(NULL, &item, 0, NULL, NULL, &err), &err);
}

static bool not_once(void *user)
{
    (void)user;
    return false;
}

static void who_stops_it_gets_no_failure(void **state)
{
    pf_precompile_item items[3 * EACH];
    uint32_t           count = fill(items);
    pf_err             err = { 0 };

    (void)state;
    test_ok(pf_precompile(NULL, items, count, not_once, NULL, &err), &err);
    for (int i = 0; i < EACH; i++)
        assert_in_range(compiled[0][i] + compiled[1][i], 0, 2);
}

/* ---- Group by group */

enum { GROUPS = 5, OF_GROUP = 3, BEGUN_MOST = 64 /* at once, on any machine */ };

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  gate_moved = PTHREAD_COND_INITIALIZER;
static int             gate;        /* groups before it may be compiled */

static void open_gate(int groups)
{
    pthread_mutex_lock(&gate_lock);
    gate = groups;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate_lock);
}

static pf_status behind_gate(pf_device *unused, const pf_problem *p, const char *tuning, pf_err *err)
{
    int group = (int)strtol(tuning, NULL, 10);

    (void)unused, (void)p, (void)err;
    pthread_mutex_lock(&gate_lock);
    while (group >= gate)
        pthread_cond_wait(&gate_moved, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
    count_in(0, tuning);
    return PF_OK;
}

static const pf_tactic gated = { .name = "gated", .compile = behind_gate };

/* Each group has three behind the gate and one that needs the device, in the wrong order. */
static uint32_t fill_groups(pf_precompile_item *items, uint32_t groups)
{
    uint32_t count = 0;

    memset(compiled, 0, sizeof compiled);
    for (uint32_t g = groups; g-- > 0;)
        for (int i = 0; i <= OF_GROUP; i++) {
            snprintf(texts[g], sizeof texts[g], "%u", g);
            items[count++] = (pf_precompile_item){ .tactic = i < OF_GROUP ? &gated : &device, .tuning = texts[g],
                                                   .group = g };
        }
    return count;
}

static void a_group_is_there_while_later_ones_are_compiled(void **state)
{
    pf_precompile_item items[GROUPS * (OF_GROUP + 1)];
    uint32_t           count = fill_groups(items, GROUPS);
    pf_precompilation *running = NULL;
    pf_err             err = { 0 };

    (void)state;
    open_gate(0);
    test_ok(pf_precompile_start(NULL, items, count, &running, &err), &err);
    for (int g = 0; g < GROUPS; g++) {
        open_gate(g + 1);
        assert_true(pf_precompile_wait(running, (uint32_t)g, NULL, NULL));
        assert_int_equal(compiled[0][g], OF_GROUP);
        for (int later = g + 1; later < GROUPS; later++)
            assert_int_equal(compiled[0][later], 0);
        for (int i = 0; i < GROUPS; i++)        /* of all groups: nobody works with the device any more */
            assert_int_equal(compiled[1][i], 1);
    }
    assert_true(pf_precompile_wait(running, UINT32_MAX, NULL, NULL));
    pf_precompile_end(running);
}

static void what_has_not_begun_is_left_at_the_end(void **state)
{
    pf_precompile_item items[EACH * (OF_GROUP + 1)];
    uint32_t           count = fill_groups(items, EACH);
    pf_precompilation *running = NULL;
    int                begun = 0;
    pf_err             err = { 0 };

    (void)state;
    open_gate(1);
    test_ok(pf_precompile_start(NULL, items, count, &running, &err), &err);
    assert_true(pf_precompile_wait(running, 0, NULL, NULL));
    assert_false(pf_precompile_wait(running, EACH - 1, not_once, NULL));
    open_gate(EACH);
    pf_precompile_end(running);
    assert_int_equal(compiled[0][0], OF_GROUP);
    for (int g = 0; g < EACH; g++)
        begun += compiled[0][g];
    assert_in_range(begun, OF_GROUP, OF_GROUP + BEGUN_MOST);
    pf_precompile_end(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_candidate_is_compiled_once),
                                        cmocka_unit_test(nothing_to_compile_is_no_failure),
                                        cmocka_unit_test(who_stops_it_gets_no_failure),
                                        cmocka_unit_test(a_group_is_there_while_later_ones_are_compiled),
                                        cmocka_unit_test(what_has_not_begun_is_left_at_the_end) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
