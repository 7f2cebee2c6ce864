/* Builds that look at their choices again: inside the network, before products are merged, and where layouts meet. */
#include "base/clock.h"
#include "engine/plan.h"
#include "tests/unit/engine/swapping_store.h"

#define RANGE(image) "min_shapes=input:1x3x" image "\nopt_shapes=input:2x3x" image "\nmax_shapes=input:4x3x" image "\n"

static uint32_t differing_choices(const pf_plan *a, const pf_plan *b)
{
    uint32_t count = 0;

    assert_int_equal(a->step_count, b->step_count);
    for (uint32_t s = 0; s < a->step_count; s++)
        count += strcmp(a->steps[s].ranked[0].tactic, b->steps[s].ranked[0].tactic) ||
                 strcmp(a->steps[s].ranked[0].tuning, b->steps[s].ranked[0].tuning);
    return count;
}

static void expect_measured_once(const char *image, const char *config)
{
    swapping_store store = { .of = wrap_store(swapping_merge) };
    built          first = build(residual_network(image), config, &store.of.base);
    built          second = build(residual_network(image), config, &store.of.base);

    assert_int_equal(store.kept, 1);
    assert_int_equal(second.report.candidates_timed, 0);
    assert_true(same_bytes(first.plan, second.plan));
    drop(&first);
    drop(&second);
    store.of.inner->close(store.of.inner);
}

/* Step by step with the one behind it, and from effort 4 on in whole runs, which cards always take. */
static void choices_are_measured_again_inside_the_network_once(void **state)
{
    (void)state;
    expect_measured_once("[1,3,32,32]", "effort=2\n");
    expect_measured_once("[batch,3,32,32]", "effort=2\n" RANGE("32x32"));
    expect_measured_once("[batch,3,8,8]", "effort=4\n" RANGE("8x8"));
}

static void expect_decisive(const char *image, const char *config, const char *replay)
{
    swapping_store store = { .of = wrap_store(swapping_merge), .swaps = true };
    built          first = build(residual_network(image), config, &store.of.base);
    built          second = build(residual_network(image), config, &store.of.base);
    built          third = build(residual_network(image), replay, &store.of.base);

    assert_true(differing_choices(first.plan, second.plan) > 0);
    assert_true(second.report.max_rel_error >= 0 && second.report.max_rel_error < 1e-4);
    assert_int_equal(second.report.candidates_timed, 0);
    assert_true(same_bytes(second.plan, third.plan));
    drop(&first);
    drop(&second);
    drop(&third);
    store.of.inner->close(store.of.inner);
}

static void what_was_measured_inside_the_network_decides(void **state)
{
    (void)state;
    expect_decisive("[1,3,32,32]", "effort=2\n", "effort=2\nreplay=1\n");
    expect_decisive("[batch,3,32,32]", "effort=2\n" RANGE("32x32"), "effort=2\nreplay=1\n" RANGE("32x32"));
}

/* A store in which problems of such an op, with this in their text, take so long; op NULL: none. */
typedef struct slow_problems { const char *op, *with; int64_t ns; } slow_problems;
typedef struct slow_store { wrapping_store of; slow_problems slow[2]; } slow_store;

static pf_status slow_merge(pf_timing_store *base, const char *class_text, const char *problem_text,
                            const pf_timing_record *entries, pf_err *err)
{
    slow_store      *w = (slow_store *)base;
    pf_timing_store *inner = w->of.inner;
    pf_timing_record record = { 0 };
    pf_status        st = pf_timing_record_merge(&record, entries, err);

    for (int rule = 0; rule < 2; rule++)
        for (uint32_t i = 0; i < record.count && w->slow[rule].op; i++)
            if (strstr(problem_text, w->slow[rule].op) && strstr(problem_text, w->slow[rule].with))
                record.entries[i].min_ns = record.entries[i].median_ns = w->slow[rule].ns;
    if (!st)
        st = inner->merge(inner, class_text, problem_text, &record, err);
    pf_timing_record_clear(&record);
    return st;
}

static pf_network *three_products(void)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, y = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("three", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[8,32]", &x, &err), &err);
    for (uint64_t i = 0; i < 3; i++) {
        pf_tensor_id w = random_constant(net, "w", 2, (int64_t[]){ 32, 40 }, 0.3, i + 1);

        y = layer(net, "matmul", (const char *[]){ "query", "key", "value" }[i], "", 2, (pf_tensor_id[]){ x, w });
        test_ok(pf_network_output(net, layer(net, "relu", "relu", "", 1, &y), (const char *[]){ "q", "k", "v" }[i],
                                  &err),
                &err);
    }
    return net;
}

static uint32_t steps_with(const pf_plan *plan, const char *text)
{
    uint32_t count = 0;

    for (uint32_t s = 0; s < plan->step_count; s++) count += strstr(plan->steps[s].problem_text, text) != NULL;
    return count;
}

static uint32_t products_of(const char *slow_columns, uint32_t *again)
{
    slow_store store = { .of = wrap_store(slow_merge), .slow = { { "matmul", slow_columns, PF_NS_PER_S } } };
    built      measured = build(three_products(), "effort=1\n", &store.of.base);     /* by its own times, as they are */
    built      first = build(three_products(), "effort=1\n", &store.of.base),
               second = build(three_products(), "effort=1\nreplay=1\n", &store.of.base);
    uint32_t   count = steps_with(first.plan, "matmul");

    *again = first.report.candidates_timed;
    assert_true(same_bytes(first.plan, second.plan));
    drop(&measured);
    drop(&first);
    drop(&second);
    store.of.inner->close(store.of.inner);
    return count;
}

/* Three products of one value are one only where that is faster. */
static void merges_are_measured(void **state)
{
    uint32_t again = 0;

    (void)state;
    assert_int_equal(products_of("[32,40]", &again), 1);
    assert_int_equal(again, 0);
    assert_int_equal(products_of("[32,120]", &again), 3);
    assert_int_equal(again, 0);
}

/* Of the plan of a store's times alone, once it knows all that such a plan asks for. */
static uint32_t copies_of(int64_t copy_ns)
{
    slow_store store = { .of = wrap_store(slow_merge),
                         .slow = { { "conv(", "in=linear,", PF_NS_PER_S }, { "identity(", "", copy_ns } } };
    uint32_t   timed = 1, copies = 0;

    for (int round = 0; round < 20 && timed; round++) {
        built b = build(residual_network("[1,3,32,32]"), "effort=1\n", &store.of.base);

        timed = b.report.candidates_timed;
        copies = steps_with(b.plan, "identity(");
        drop(&b);
    }
    assert_int_equal(timed, 0);
    store.of.inner->close(store.of.inner);
    return copies;
}

/* An assignment of layouts that wants a copy has it timed, and then may want it no more. */
static void copies_are_measured_where_they_are_wanted(void **state)
{
    (void)state;
    assert_true(copies_of(1000) > 0);
    assert_int_equal(copies_of(10 * PF_NS_PER_S), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices_are_measured_again_inside_the_network_once),
        cmocka_unit_test(what_was_measured_inside_the_network_decides),
        cmocka_unit_test(merges_are_measured),
        cmocka_unit_test(copies_are_measured_where_they_are_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
