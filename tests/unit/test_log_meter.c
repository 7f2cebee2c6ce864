#include "base/clock.h"
#include "base/log_meter.h"
#include "tests/test.h"

static pf_log_meter meter = PF_LOG_METER_INIT;

/* How many of a hundred lines may be logged at that moment; what the last of them was told was left out before. */
static int taken_at(int64_t now_ns, uint64_t *left_out)
{
    int taken = 0;

    for (int i = 0; i < 100; i++) {
        uint64_t before = 0;

        if (!pf_log_meter_take(&meter, now_ns, &before))
            continue;
        taken++;
        *left_out += before;
    }
    return taken;
}

static void a_second_has_few_lines_and_the_next_says_what_was_left_out(void **state)
{
    uint64_t left_out = 0;

    (void)state;
    assert_int_equal(taken_at(5, &left_out), PF_LOG_METER_LINES);
    assert_int_equal(taken_at(PF_NS_PER_S, &left_out), 0);
    assert_int_equal(left_out, 0);
    assert_int_equal(taken_at(PF_NS_PER_S + 5, &left_out), PF_LOG_METER_LINES);
    assert_int_equal(left_out, 200 - PF_LOG_METER_LINES);
    left_out = 0;
    assert_int_equal(taken_at(9 * PF_NS_PER_S, &left_out), PF_LOG_METER_LINES);
    assert_int_equal(left_out, 100 - PF_LOG_METER_LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_has_few_lines_and_the_next_says_what_was_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
