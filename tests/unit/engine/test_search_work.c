/* Works are timed reference by reference, and those that take long to compile first. */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "engine/search_work.h"

static pf_status compile(pf_device *device, const pf_problem *p, const char *tuning, pf_err *err)
{
    (void)device, (void)p, (void)tuning, (void)err;
    return PF_OK;
}

static const pf_tactic quick = { .name = "quick", .compile = compile, .compile_ms = 40 },
                       slow = { .name = "slow", .compile = compile, .compile_ms = 300 },
                       library = { .name = "library", .compile = compile, .compile_ms = 500,
                                   .flags = PF_TACTIC_COMPILES_WITH_DEVICE },
                       ready = { .name = "ready", .compile_ms = 900 };

static pf_search_work work_of(uint32_t item, uint8_t semantics, const pf_tactic *tactic, const pf_tactic *second)
{
    pf_search_work w = { .item = item, .semantics = { .byte = { semantics } } };

    w.missing.items = calloc(2, sizeof *w.missing.items);
    assert_non_null(w.missing.items);
    w.missing.items[w.missing.count++].tactic = tactic;
    if (second)
        w.missing.items[w.missing.count++].tactic = second;
    return w;
}

static void long_ones_first_and_equal_ones_together(void **state)
{
    static const uint32_t turns[] = { 1, 4, 0, 6, 3, 5, 2 }, ms[] = { 300, 300, 300, 300, 40, 40, 0 };
    pf_search_work        list[] = {
        work_of(6, 9, &slow, NULL),   work_of(5, 7, &library, NULL), work_of(4, 2, &slow, &quick),
        work_of(3, 7, &quick, NULL),  work_of(2, 1, &library, &ready), work_of(1, 2, &quick, NULL),
        work_of(0, 9, &quick, NULL),
    };

    (void)state;
    pf_search_put_in_turn(list, 7);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(list[i].item, turns[i]);
        assert_int_equal(list[i].compile_ms, ms[i]);
        free(list[i].missing.items);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(long_ones_first_and_equal_ones_together) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
