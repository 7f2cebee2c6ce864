/* Keys, places of the greatest and the k best of lines with equal elements, zeros of both signs, infinities and NaN,
   against plain loops. */
#include "kernels/cpu_order.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "engine/device_cpu.h"
#include "tests/test.h"

enum { MOST = 400, ROUNDS = 300 };

static int compare(float a, float b)
{
    if (a != a || b != b)
        return (a != a) - (b != b);
    return (a > b) - (a < b);
}

static void fill(float *x, int64_t count, pf_random *random)
{
    static const float special[] = { 0.0f, -0.0f, 1.0f, -1.0f, INFINITY, -INFINITY, NAN, -NAN, 1e-40f };

    for (int64_t i = 0; i < count; i++)
        x[i] = pf_random_below(random, 2) ? special[pf_random_below(random, 9)] : (float)pf_random_normal(random);
}

/* Places from the best to the worst, the first of equal ones first. */
static void rank_plainly(const float *x, int64_t count, int sign, int64_t *places)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t at = i;

        for (; at > 0 && sign * compare(x[i], x[places[at - 1]]) > 0; at--)
            places[at] = places[at - 1];
        places[at] = i;
    }
}

static void check_line(pf_isa isa, const float *x, int64_t count, bool smallest, int64_t k)
{
    int64_t wanted[MOST], keys[MOST], best[MOST], at[MOST], last = 0;

    rank_plainly(x, count, smallest ? -1 : 1, wanted);
    for (int64_t i = 0; i < count; i++)
        if (compare(x[i], x[wanted[0]]) == 0)
            last = i;
    pf_order_keys(isa, PF_ORDER_F32, x, 1, count, smallest, keys);
    assert_int_equal(pf_order_best(isa, keys, count, false), wanted[0]);
    assert_int_equal(pf_order_best(isa, keys, count, true), last);
    pf_order_top(isa, keys, count, k, best, at);
    assert_memory_equal(at, wanted, (size_t)k * sizeof *at);
    pf_order_best_columns(isa, PF_ORDER_F32, x, count, 1, 1, smallest, false, at);
    assert_int_equal(at[0], wanted[0]);
    pf_order_best_columns(isa, PF_ORDER_F32, x, count, 1, 1, smallest, true, at);
    assert_int_equal(at[0], last);
}

static void agrees_with_plain_loops(void **state)
{
    pf_device *device = NULL;
    pf_random  random;
    pf_err     err = { 0 };

    (void)state;
    test_ok(pf_device_open("cpu", NULL, &device, &err), &err);
    pf_random_init(&random, 11);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t count = 1 + (int64_t)pf_random_below(&random, MOST),
                k = 1 + (int64_t)pf_random_below(&random, (uint64_t)count);
        float   x[MOST];

        fill(x, count, &random);
        for (int isa = 0; isa <= (int)pf_device_cpu_isa(device); isa++)
            check_line((pf_isa)isa, x, count, round % 2, k);
    }
    pf_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(agrees_with_plain_loops) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
