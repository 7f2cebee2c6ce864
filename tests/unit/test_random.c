#include "base/random.h"
#include "tests/test.h"

/* The first outputs for the state 1, 2, 3, 4, worked out by hand from the published recurrence. */
static void known_answers(void **state)
{
    static const uint64_t wanted[] = {11520, 0, 1509978240, UINT64_C(1215971899390074240)};
    pf_random             random = {.state = {1, 2, 3, 4}};

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_true(pf_random_u64(&random) == wanted[i]);
}

/* splitmix64's published test values for the seed 1234567. */
static void known_seeding(void **state)
{
    static const uint64_t wanted[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                      UINT64_C(9817491932198370423), UINT64_C(4593380528125082431)};
    pf_random             random;

    (void)state;
    pf_random_init(&random, 1234567);
    for (int i = 0; i < 4; i++)
        assert_true(random.state[i] == wanted[i]);
}

static void below_is_even(void **state)
{
    enum { LIMIT = 7, DRAWS = 70000 };
    unsigned  count[LIMIT] = {0};
    pf_random random;

    (void)state;
    pf_random_init(&random, 4);
    for (int i = 0; i < DRAWS; i++)
        count[pf_random_below(&random, LIMIT)]++;
    for (int i = 0; i < LIMIT; i++)
        assert_in_range(count[i], DRAWS / LIMIT - 500, DRAWS / LIMIT + 500);    /* 5 deviations */
    for (int i = 0; i < 100; i++)
        assert_int_equal(pf_random_below(&random, 1), 0);
    for (int i = 0; i < 100; i++)
        assert_true(pf_random_below(&random, UINT64_C(1) << 63) < UINT64_C(1) << 63);
}

static void moments(void **state)
{
    enum { DRAWS = 200000 };
    double    unit_sum = 0, sum = 0, squares = 0;
    pf_random random;

    (void)state;
    pf_random_init(&random, 5);
    for (int i = 0; i < DRAWS; i++) {
        double unit = pf_random_unit(&random), normal = pf_random_normal(&random);

        assert_true(unit >= 0 && unit < 1);
        assert_true(normal >= -6 && normal <= 6);
        unit_sum += unit;
        sum += normal;
        squares += normal * normal;
    }
    assert_true(unit_sum / DRAWS > 0.497 && unit_sum / DRAWS < 0.503);
    assert_true(sum / DRAWS > -0.012 && sum / DRAWS < 0.012);
    assert_true(squares / DRAWS > 0.98 && squares / DRAWS < 1.02);
}

static void many_normals_are_those_drawn_one_by_one(void **state)
{
    enum { DRAWS = 100 };
    double    many[DRAWS];
    pf_random one, other;

    (void)state;
    pf_random_init(&one, 9);
    pf_random_init(&other, 9);
    pf_random_normals(&one, 0, many);
    pf_random_normals(&one, DRAWS, many);
    for (int i = 0; i < DRAWS; i++)
        assert_true(many[i] == pf_random_normal(&other));
    assert_memory_equal(&one, &other, sizeof one);
}

static void a_leap_is_as_many_draws(void **state)
{
    static const uint64_t draws[] = { 0, 1, 2, 63, 1000, 12345 };

    (void)state;
    for (size_t i = 0; i < sizeof draws / sizeof *draws; i++) {
        pf_random      slow = { 0 }, fast = { 0 };
        pf_random_leap leap = { 0 };

        pf_random_init(&slow, i);
        fast = slow;
        for (uint64_t k = 0; k < draws[i]; k++)
            pf_random_u64(&slow);
        pf_random_leap_init(&leap, draws[i]);
        pf_random_leap_over(&leap, &fast);
        assert_memory_equal(&fast, &slow, sizeof fast);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(known_seeding),
        cmocka_unit_test(below_is_even),
        cmocka_unit_test(moments),
        cmocka_unit_test(many_normals_are_those_drawn_one_by_one),
        cmocka_unit_test(a_leap_is_as_many_draws),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
