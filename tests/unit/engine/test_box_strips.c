/* Boxes in strips are found as one after the other would be. */
#include <math.h>

#include "base/random.h"
#include "engine/ops/box_strips.h"
#include "tests/test.h"

enum { BOXES = 600, SETS = 6 };

typedef struct boxes { pf_box of[BOXES]; int64_t index[BOXES]; } boxes;

static pf_box box_at(double y, double x, double height, double width)
{
    return (pf_box){ { y, x }, { y + height, x + width }, height * width };
}

/* Small and large ones, far apart by their class as batched suppression puts them, all at one place, some that cover
   nothing, some without end, and some that are no numbers. */
static pf_box draw(int set, pf_random *random)
{
    double y = pf_random_unit(random), x = pf_random_unit(random), side = 0.01 + 0.2 * pf_random_unit(random);
    double away = 3 * (double)pf_random_below(random, 40);

    switch (set) {
    case 0: return box_at(y, x, side / 4, side / 4);
    case 1: return box_at(y + away, x + away, side, 2 * side);
    case 2: return box_at(0.5, 0.5, side, side);
    case 3: return box_at(y, x, side - 0.1, side - 0.15);
    case 4: return box_at(away > 100 ? -INFINITY : y, x, away < 5 ? INFINITY : side, side);
    default: return box_at(away > 100 ? NAN : y, x, side, away < 5 ? NAN : side);
    }
}

static double shared_of(const pf_box *a, const pf_box *b, int axis)
{
    return (a->high[axis] < b->high[axis] ? a->high[axis] : b->high[axis]) -
           (a->low[axis] > b->low[axis] ? a->low[axis] : b->low[axis]);
}

static bool any_overlaps(const boxes *all, const bool *kept, int count, double part)
{
    for (int i = 0; i < count; i++) {
        const pf_box *a = &all->of[count], *b = &all->of[i];
        double        height = shared_of(a, b, 0), width = shared_of(a, b, 1);

        if (kept[i] && height > 0 && width > 0 && height * width / (a->area + b->area - height * width) > part)
            return true;
    }
    return false;
}

/* Of those that are kept, none overlaps. */
static int expect_alike(const boxes *all, double part)
{
    pf_box_strips strips = { 0 };
    bool          kept[BOXES] = { false };
    int           found = 0;
    pf_err        err = { 0 };

    test_ok(pf_box_strips_open(all->of, all->index, BOXES, &strips, &err), &err);
    for (int i = 0; i < BOXES; i++) {
        bool overlaps = any_overlaps(all, kept, i, part);

        assert_int_equal(pf_box_strips_overlap(&strips, &all->of[i], part), overlaps);
        kept[i] = !overlaps;
        found += overlaps;
        if (kept[i])
            pf_box_strips_put(&strips, &all->of[i]);
    }
    pf_box_strips_close(&strips);
    return found;
}

static void strips_find_what_overlaps(void **state)
{
    pf_random random;

    (void)state;
    pf_random_init(&random, 1);
    for (int set = 0; set < SETS; set++) {
        boxes all;
        int   found = 0;

        for (int i = 0; i < BOXES; i++) {
            all.of[i] = draw(set, &random);
            all.index[i] = i;
        }
        for (int tenth = 0; tenth < 10; tenth += 3)
            found += expect_alike(&all, tenth / 10.0);
        assert_in_range(found, 1, 4 * BOXES);
    }
}

static void nobody_is_in_no_strips(void **state)
{
    pf_box        box = box_at(0, 0, 1, 1);
    pf_box_strips strips = { 0 };
    pf_err        err = { 0 };

    (void)state;
    test_ok(pf_box_strips_open(NULL, NULL, 0, &strips, &err), &err);
    assert_false(pf_box_strips_overlap(&strips, &box, 0));
    pf_box_strips_close(&strips);
}

/* Small boxes make many strips, and each of them lies in few; what covers nothing lies in none. */
static void room_is_bounded(void **state)
{
    pf_random     random;
    boxes         all;
    pf_box_strips strips = { 0 };
    pf_err        err = { 0 };

    (void)state;
    pf_random_init(&random, 2);
    for (int i = 0; i < BOXES; i++) {
        all.of[i] = i % 2 ? box_at(0, pf_random_unit(&random), 1, 0.001) : box_at(0.5, 1, 1, -0.5);
        all.index[i] = i;
    }
    test_ok(pf_box_strips_open(all.of, all.index, BOXES, &strips, &err), &err);
    assert_int_equal(strips.axis, 1);
    assert_in_range(strips.count, 2, BOXES);
    for (int i = 0; i < BOXES; i++)
        pf_box_strips_put(&strips, &all.of[i]);
    assert_in_range(strips.end[strips.count - 1], BOXES / 2, 3 * BOXES);
    pf_box_strips_close(&strips);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strips_find_what_overlaps),
        cmocka_unit_test(nobody_is_in_no_strips),
        cmocka_unit_test(room_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
