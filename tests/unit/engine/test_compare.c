#include <math.h>

#include "base/random.h"
#include "tests/unit/engine/tensors.h"

enum { LARGE = (1 << 19) + 77 };

static pf_tensor random_row(int64_t elems, uint64_t seed)
{
    return random_tensor(PF_F32, 1, &elems, seed);
}

static pf_difference difference_of(const pf_tensor *test, const pf_tensor *reference)
{
    pf_difference difference = { 0 };
    pf_err        err = { 0 };

    test_ok(pf_tensor_compare(test, reference, &difference, &err), &err);
    return difference;
}

static void near(double a, double b)
{
    assert_true(fabs(a - b) <= 1e-9 * fabs(b));
}

/* By the definitions, element by element. */
static void a_large_tensor_is_compared_whole(void **state)
{
    pf_tensor     test = random_row(LARGE, 1), reference = random_row(LARGE, 2);
    const float  *x = test.data, *y = reference.data;
    double        worst = 0, least = y[0], greatest = y[0], dot = 0, xx = 0, yy = 0;
    int64_t       at = 0;
    pf_difference found = { 0 };

    (void)state;
    for (int64_t i = 0; i < LARGE; i++) {
        double off = fabs((double)x[i] - (double)y[i]);

        if (off > worst)
            worst = off, at = i;
        least = fmin(least, y[i]);
        greatest = fmax(greatest, y[i]);
        dot += (double)x[i] * y[i];
        xx += (double)x[i] * x[i];
        yy += (double)y[i] * y[i];
    }
    found = difference_of(&test, &reference);
    assert_true(found.max_abs == worst);
    assert_int_equal(found.worst_index, at);
    near(found.max_rel_range, worst / (greatest - least));
    near(found.cosine, dot / sqrt(xx * yy));
    assert_int_equal(found.nan_count + found.inf_count, 0);
    pf_tensor_clear(&test);
    pf_tensor_clear(&reference);
}

static void a_single_bad_element_is_found_anywhere(void **state)
{
    static const int64_t places[] = { 0, 511, 512, LARGE / 64, LARGE / 2, LARGE - 1 };
    pf_tensor            test = random_row(LARGE, 3), reference = random_row(LARGE, 3);

    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        float        *at = (float *)test.data + places[i], kept = *at;
        pf_difference found = { 0 };

        assert_true(difference_of(&test, &reference).max_abs == 0);
        *at = kept + 100;
        found = difference_of(&test, &reference);
        assert_int_equal(found.worst_index, places[i]);
        assert_true(found.max_abs > 99 && found.cosine < 1);
        *at = NAN;
        found = difference_of(&test, &reference);
        assert_int_equal(found.nan_count, 1);
        assert_true(isinf(found.max_abs) && found.worst_index == places[i]);
        *at = -INFINITY;
        assert_int_equal(difference_of(&test, &reference).inf_count, 1);
        *at = kept;
    }
    pf_tensor_clear(&test);
    pf_tensor_clear(&reference);
}

static void what_is_infinite_in_both_agrees(void **state)
{
    pf_tensor     test = random_row(LARGE, 4), reference = random_row(LARGE, 4);
    pf_difference found = { 0 };

    (void)state;
    ((float *)test.data)[LARGE - 3] = ((float *)reference.data)[LARGE - 3] = INFINITY;
    ((float *)test.data)[5] = ((float *)reference.data)[5] = NAN;
    found = difference_of(&test, &reference);
    assert_true(found.max_abs == 0 && isfinite(found.max_rel_range));
    assert_int_equal(found.nan_count + found.inf_count, 0);
    ((float *)test.data)[LARGE - 3] = -INFINITY;
    assert_true(isinf(difference_of(&test, &reference).max_abs));
    pf_tensor_clear(&test);
    pf_tensor_clear(&reference);
}

static void nothing_that_is_finite_is_not_alike(void **state)
{
    float         numbers[] = { 1, 2, 3 }, odd[] = { NAN, INFINITY, NAN };
    pf_tensor     test = { .dtype = PF_F32, .rank = 1, .dim = { 3 }, .data = numbers }, reference = test;
    pf_difference found = { 0 };

    (void)state;
    reference.data = odd;
    found = difference_of(&test, &reference);
    assert_true(isinf(found.max_abs) && found.cosine == 0);
    assert_int_equal(found.nan_count + found.inf_count, 0);
    assert_true(difference_of(&reference, &reference).cosine == 1);
}

/* Lengths that are no whole number of vectors, and each place of them. */
static void each_place_counts(void **state)
{
    enum { ELEMS = 21 };

    (void)state;
    for (int64_t at = 0; at < ELEMS; at++) {
        uint16_t      a[ELEMS] = { 0 }, b[ELEMS] = { 0 };
        pf_tensor     test = { .dtype = PF_F16, .rank = 1, .dim = { ELEMS }, .data = a }, reference = test;
        pf_difference found = { 0 };

        reference.data = b;
        a[at] = 0x4400, b[at] = 0x4000;                 /* 4 and 2: the one difference and an end of the range */
        b[(at + 1) % ELEMS] = a[(at + 1) % ELEMS] = 0xc800;     /* -8, its other end */
        found = difference_of(&test, &reference);
        assert_true(found.max_abs == 2 && found.worst_index == at);
        assert_true(found.max_rel_range == 2.0 / 10);
        near(found.cosine, (4 * 2 + 64) / sqrt((16 + 64) * (4 + 64)));
        a[at] = 0x7e00;
        found = difference_of(&test, &reference);
        assert_true(found.nan_count == 1 && isinf(found.max_abs) && found.worst_index == at);
        a[at] = 0xfc00;
        found = difference_of(&test, &reference);
        assert_true(found.inf_count == 1 && found.nan_count == 0 && isinf(found.max_abs) && found.worst_index == at);
        b[at] = 0xfc00;
        assert_true(difference_of(&test, &reference).max_abs == 0);
    }
}

/* Two numbers whose difference is none. */
static void a_difference_that_overflows_is_infinite(void **state)
{
    enum { ELEMS = 16 };
    double        a[ELEMS] = { 0 }, b[ELEMS] = { 0 };
    pf_tensor     test = { .dtype = PF_F64, .rank = 1, .dim = { ELEMS }, .data = a }, reference = test;
    pf_difference found = { 0 };

    (void)state;
    reference.data = b;
    a[9] = 1e308, b[9] = -1e308;
    found = difference_of(&test, &reference);
    assert_true(isinf(found.max_abs) && found.worst_index == 9);
}

static pf_tensor image(int64_t n, int64_t channels, int64_t height, int64_t width)
{
    return random_tensor(PF_F64, 4, (int64_t[]){ n, channels, height, width }, 7);
}

/* The first pixel of a plane is the first point of its grid and its noise, whichever thread filled it. */
static void planes_of_images_follow_one_sequence(void **state)
{
    enum { PLANES = 37, SIDE = 129, POINTS = 64 };
    pf_tensor     images = image(1, PLANES, SIDE, SIDE), few = image(1, 2, SIDE, SIDE);
    const double *pixel = images.data;
    pf_random     random = { 0 };

    (void)state;
    pf_random_init(&random, 7);
    for (int64_t plane = 0; plane < PLANES; plane++) {
        double first = pf_random_normal(&random);

        for (int i = 1; i < POINTS; i++)
            pf_random_normal(&random);
        near(pixel[plane * SIDE * SIDE], first + 0.1 * pf_random_normal(&random));
        for (int i = 1; i < SIDE * SIDE; i++)
            pf_random_normal(&random);
    }
    assert_memory_equal(few.data, images.data, few.bytes);
    pf_tensor_clear(&images);
    pf_tensor_clear(&few);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_tensor_is_compared_whole),
        cmocka_unit_test(a_single_bad_element_is_found_anywhere),
        cmocka_unit_test(what_is_infinite_in_both_agrees),
        cmocka_unit_test(nothing_that_is_finite_is_not_alike),
        cmocka_unit_test(each_place_counts),
        cmocka_unit_test(a_difference_that_overflows_is_infinite),
        cmocka_unit_test(planes_of_images_follow_one_sequence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
