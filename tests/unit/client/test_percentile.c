#include "client/percentile.h"

#include "tests/test.h"

static void percentiles_are_measured_values(void **state)
{
    double values[100];

    (void)state;
    for (int i = 0; i < 100; i++)
        values[i] = i + 1;
    assert_true(pf_percentile(values, 100, 99) == 100);     /* in single precision (1 - 0.99) * 100 is below 1 */
    assert_true(pf_percentile(values, 100, 95) == 95);
    assert_true(pf_percentile(values, 100, 90) == 90);
    assert_true(pf_percentile(values, 10, 99) == 10);       /* (int)(0.1) = 0 */
    assert_true(pf_percentile(values, 1, 50) == 1);
    assert_true(pf_percentile(values, 4, 0) == 1);
}

static void a_summary_sorts_and_averages(void **state)
{
    double     values[] = {4, 1, 3, 2}, odd[] = {9, 1, 5};
    pf_summary s = {0};

    (void)state;
    pf_summarize(values, 4, &s);
    assert_true(s.min == 1 && s.max == 4 && s.mean == 2.5 && s.median == 2.5);
    assert_true(s.variation_percent > 44.72 && s.variation_percent < 44.73);     /* sqrt(1.25) / 2.5 */
    pf_summarize(odd, 3, &s);
    assert_true(s.median == 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_measured_values),
        cmocka_unit_test(a_summary_sorts_and_averages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
