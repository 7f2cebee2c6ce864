#include "base/clock.h"
#include "tests/test.h"

static void time_goes_forward(void **state)
{
    int64_t before = pf_clock_ns(), boot = pf_clock_boot_ns();

    (void)state;
    for (int i = 0; i < 10000; i++) {
        int64_t now = pf_clock_ns();

        assert_true(now >= before);
        before = now;
    }
    assert_true(pf_clock_boot_ns() >= boot);
    assert_true(pf_clock_boot_ns() >= before);      /* sleep of the machine counts here, and only here */
}

static void sleeping_takes_at_least_as_long_as_asked(void **state)
{
    int64_t before = pf_clock_ns();

    (void)state;
    pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    assert_true(pf_clock_ns() - before >= 20 * PF_NS_PER_MS);
    pf_clock_sleep_ns(0);
    pf_clock_sleep_ns(-PF_NS_PER_S);
}

static void wall_time_is_of_this_century(void **state)
{
    (void)state;
    assert_true(pf_clock_wall_ns() > 1600000000 * PF_NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_goes_forward),
        cmocka_unit_test(sleeping_takes_at_least_as_long_as_asked),
        cmocka_unit_test(wall_time_is_of_this_century),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
