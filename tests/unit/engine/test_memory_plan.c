#include "base/random.h"
#include "engine/memory_plan.h"
#include "tests/test.h"

enum { ITEMS = 60, STEPS = 40, ROUNDS = 200 };

static pf_memory_item item(size_t bytes, uint32_t first, uint32_t last)
{
    return (pf_memory_item){ bytes, first, last, PF_NONE, PF_NONE, 0 };
}

static pf_memory_plan plan_of(pf_memory_item *items, uint32_t count)
{
    pf_memory_plan plan = { 0 };
    pf_err         err = { 0 };

    test_ok(pf_memory_plan_make(items, count, &plan, &err), &err);
    return plan;
}

static void dead_values_make_room(void **state)
{
    pf_memory_item items[] = { item(1000, 0, 1), item(1000, 1, 2), item(1000, 2, 3), item(1000, 3, 4) };
    pf_memory_plan plan = plan_of(items, 4);

    (void)state;
    assert_int_equal(plan.bytes, 2048);
    assert_int_equal(plan.lower_bound_bytes, 2048);
    assert_int_equal(items[0].offset, items[2].offset);
    assert_int_equal(items[1].offset, items[3].offset);
}

static void views_keep_what_they_show(void **state)
{
    pf_memory_item items[] = { item(512, 0, 0), item(512, 0, 5), item(512, 3, 3) };
    pf_memory_plan plan = { 0 };

    (void)state;
    items[1].alias_of = 0;
    plan = plan_of(items, 3);
    assert_int_equal(items[0].offset, items[1].offset);
    assert_int_not_equal(items[2].offset, items[0].offset);
    assert_int_equal(plan.bytes, 1024);
}

static void in_place_takes_only_the_dying(void **state)
{
    pf_memory_item dying[] = { item(512, 0, 1), item(512, 1, 2) }, needed[] = { item(512, 0, 2), item(512, 1, 2) };
    pf_memory_item smaller[] = { item(256, 0, 1), item(512, 1, 2) };
    pf_memory_plan plan = { 0 };

    (void)state;
    dying[1].may_take = needed[1].may_take = smaller[1].may_take = 0;
    plan = plan_of(dying, 2);
    assert_int_equal(plan.taken_in_place, 1);
    assert_int_equal(plan.bytes, 512);
    assert_int_equal(dying[0].offset, dying[1].offset);
    plan = plan_of(needed, 2);
    assert_int_equal(plan.taken_in_place, 0);
    assert_int_equal(plan.bytes, 1024);
    assert_int_equal(plan_of(smaller, 2).taken_in_place, 0);
}

static void nothing_takes_nothing(void **state)
{
    pf_memory_item items[] = { item(0, 0, 3), item(10, 1, 1) };

    (void)state;
    assert_int_equal(plan_of(items, 0).bytes, 0);
    assert_int_equal(plan_of(items, 2).bytes, 256);
    assert_int_equal(items[0].offset, 0);
}

static void refuses_nonsense(void **state)
{
    pf_memory_item backwards[] = { item(1, 2, 1) }, later[] = { item(1, 0, 0), item(1, 0, 0) },
                   huge[] = { item(SIZE_MAX, 0, 0) };
    pf_memory_plan plan = { 0 };
    pf_err         err = { 0 };

    (void)state;
    later[0].alias_of = 1;
    test_fails(pf_memory_plan_make(backwards, 1, &plan, &err), PF_INVALID, &err);
    test_fails(pf_memory_plan_make(later, 2, &plan, &err), PF_INVALID, &err);
    test_fails(pf_memory_plan_make(huge, 1, &plan, &err), PF_NO_SPACE, &err);
}

/* Whether a and b may lie in the same bytes: one is a view of the other's root, or took its place in time. */
static bool overlap(const pf_memory_item *a, const pf_memory_item *b)
{
    return a->bytes && b->bytes && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static bool alive_together(const pf_memory_item *a, const pf_memory_item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static void random_plans_never_overlap(void **state)
{
    pf_random random;

    (void)state;
    pf_random_init(&random, 3);
    for (int round = 0; round < ROUNDS; round++) {
        pf_memory_item items[ITEMS];
        pf_memory_plan plan = { 0 };

        for (uint32_t i = 0; i < ITEMS; i++) {
            uint32_t first = (uint32_t)pf_random_below(&random, STEPS);

            items[i] = item(pf_random_below(&random, 5000), first, first + (uint32_t)pf_random_below(&random, 6));
        }
        plan = plan_of(items, ITEMS);
        assert_true(plan.bytes >= plan.lower_bound_bytes);
        assert_true(plan.bytes <= 2 * plan.lower_bound_bytes);
        for (uint32_t i = 0; i < ITEMS; i++) {
            assert_int_equal(items[i].offset % PF_MEMORY_ALIGNMENT, 0);
            assert_true(items[i].offset + items[i].bytes <= plan.bytes || !items[i].bytes);
            for (uint32_t k = 0; k < i; k++)
                assert_false(alive_together(&items[i], &items[k]) && overlap(&items[i], &items[k]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dead_values_make_room),
        cmocka_unit_test(views_keep_what_they_show),
        cmocka_unit_test(in_place_takes_only_the_dying),
        cmocka_unit_test(nothing_takes_nothing),
        cmocka_unit_test(refuses_nonsense),
        cmocka_unit_test(random_plans_never_overlap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
