/* Candidates are compiled ahead once each, whatever they need for it; tactics without a compiler are passed over. */
#include "tests/test.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_candidate_is_compiled_once),
                                        cmocka_unit_test(nothing_to_compile_is_no_failure),
                                        cmocka_unit_test(who_stops_it_gets_no_failure) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
