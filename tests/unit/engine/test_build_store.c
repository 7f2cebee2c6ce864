/* What builds take from a timing store, and leave there. */
#include "tests/unit/engine/built.h"

#include <stdio.h>

#include "base/clock.h"

static void a_full_store_gives_the_same_bytes_and_times_nothing(void **state)
{
    pf_timing_store *store = new_store();
    built            first = build(residual_network("[2,3,32,32]"), "effort=1\n", store);
    built            second = build(residual_network("[2,3,32,32]"), "effort=1\n", store);
    built            replayed = build(residual_network("[2,3,32,32]"), "effort=1\nreplay=1\n", store);

    (void)state;
    assert_true(first.report.candidates_timed > 0);
    assert_int_equal(first.report.cache_hits, 0);
    assert_int_equal(second.report.candidates_timed, 0);
    assert_int_equal(second.report.cache_misses, 0);
    assert_int_equal(second.report.cache_hits, second.report.problems);
    assert_true(same_bytes(first.plan, second.plan));
    assert_int_equal(replayed.report.candidates_timed, 0);
    assert_true(same_bytes(first.plan, replayed.plan));
    drop(&first);
    drop(&second);
    drop(&replayed);
    store->close(store);
}

/* Tells so slowly that the reference of the check asks at every node, and says no the second time. */
static bool stop_within_the_check(void *user, const pf_progress *progress)
{
    uint32_t *told = user;

    if (progress->phase != PF_PHASE_VERIFY)
        return true;
    pf_clock_sleep_ns(60 * PF_NS_PER_MS);
    return (*told)++ == 0;
}

/* A reference that was stopped is not one that cannot be computed: the plan would pass for one that nothing shows. */
static void a_check_that_is_cancelled_is_not_one(void **state)
{
    pf_timing_store *store = new_store();
    uint32_t         told = 0;
    pf_build_options options = { .store = store, .progress = stop_within_the_check, .user = &told };
    built            b = { 0 };
    pf_err           err = { 0 };

    (void)state;
    test_fails(try_build(&b, residual_network("[2,3,32,32]"), "effort=1\n", &options, &err), PF_CANCELLED, &err);
    assert_null(b.plan);
    assert_int_equal(told, 2);
    drop(&b);
    b = build(residual_network("[2,3,32,32]"), "effort=1\n", store);
    assert_int_equal(b.report.candidates_timed, 0);
    assert_true(b.report.max_rel_error >= 0);
    drop(&b);
    store->close(store);
}

/* A store that hands everything on to another one, entry by entry, the last first and each twice, through the form in
   which timings travel. */
typedef struct forking_store { wrapping_store of; pf_timing_store *other; } forking_store;

static pf_status hand_on(pf_timing_store *to, const char *class_text, const char *problem_text,
                         const pf_timing_record *one, pf_err *err)
{
    pf_timing_record arrived = { 0 };
    pf_buf           bytes;
    pf_status        st = PF_OK;

    pf_buf_init(&bytes, 1 << 20);
    assert_true(pf_timing_record_encode(one, &bytes));
    st = pf_timing_record_decode(bytes.data, bytes.size, &arrived, err);
    if (!st)
        st = to->merge(to, class_text, problem_text, &arrived, err);
    pf_buf_clear(&bytes);
    pf_timing_record_clear(&arrived);
    return st;
}

static pf_status forking_merge(pf_timing_store *base, const char *class_text, const char *problem_text,
                               const pf_timing_record *entries, pf_err *err)
{
    forking_store   *f = (forking_store *)base;
    pf_timing_store *inner = f->of.inner;
    pf_status        st = inner->merge(inner, class_text, problem_text, entries, err);

    for (uint32_t i = 0; i < 2 * entries->count && !st; i++) {
        pf_timing_record one = { &entries->entries[(2 * entries->count - 1 - i) / 2], 1, 1, entries->effort };

        st = hand_on(f->other, class_text, problem_text, &one, err);
    }
    return st;
}

static void merged_timings_give_the_same_bytes(void **state)
{
    forking_store store = { .of = wrap_store(forking_merge), .other = new_store() };
    built         first = build(residual_network("[2,3,32,32]"), "effort=2\n", &store.of.base);
    built         merged = build(residual_network("[2,3,32,32]"), "effort=2\n", store.other);

    (void)state;
    assert_int_equal(merged.report.candidates_timed, 0);
    assert_true(same_bytes(first.plan, merged.plan));
    drop(&first);
    drop(&merged);
    store.of.inner->close(store.of.inner);
    store.other->close(store.other);
}

/* A store that counts the checks of plans which are asked for and stored. */
typedef struct watched_store { wrapping_store of; uint32_t found, kept; } watched_store;

static pf_status watched_lookup(pf_timing_store *base, const pf_digest *device_class, const pf_digest *problems,
                                uint32_t count, pf_timing_record *out, pf_err *err)
{
    watched_store *w = (watched_store *)base;
    pf_status      st = wrapping_lookup(base, device_class, problems, count, out, err);

    for (uint32_t i = 0; i < count && !st; i++)
        w->found += pf_timing_record_find(&out[i], "plan", "usual") != NULL;
    return st;
}

static pf_status watched_merge(pf_timing_store *base, const char *class_text, const char *problem_text,
                               const pf_timing_record *entries, pf_err *err)
{
    watched_store   *w = (watched_store *)base;
    pf_timing_store *inner = w->of.inner;

    w->kept += pf_timing_record_find(entries, "plan", "usual") != NULL;
    return inner->merge(inner, class_text, problem_text, entries, err);
}

static void bytes_that_were_checked_are_not_checked_again(void **state)
{
    watched_store watched = { .of = wrap_store(watched_merge) };
    built         first = { 0 }, second = { 0 }, other = { 0 };

    (void)state;
    watched.of.base.lookup = watched_lookup;
    first = build(residual_network("[2,3,32,32]"), "effort=1\n", &watched.of.base);
    assert_int_equal(watched.kept, 1);
    assert_int_equal(watched.found, 0);
    second = build(residual_network("[2,3,32,32]"), "effort=1\n", &watched.of.base);
    assert_int_equal(watched.kept, 1);
    assert_int_equal(watched.found, 1);
    assert_true(second.report.max_rel_error == first.report.max_rel_error);
    assert_true(second.report.least_cosine == first.report.least_cosine);
    assert_int_equal(second.report.device_bytes, first.report.device_bytes);
    assert_int_equal(second.report.memory_bytes, first.report.memory_bytes);
    assert_int_equal(second.report.memory_lower_bound_bytes, first.report.memory_lower_bound_bytes);
    other = build(residual_network("[3,3,32,32]"), "effort=1\n", &watched.of.base);
    assert_int_equal(watched.kept, 2);
    drop(&first);
    drop(&second);
    drop(&other);
    watched.of.inner->close(watched.of.inner);
}

static void more_effort_times_again_and_then_satisfies_less(void **state)
{
    pf_timing_store *store = new_store();
    built            low = build(residual_network("[1,3,16,16]"), "effort=1\n", store);
    built            high = build(residual_network("[1,3,16,16]"), "effort=3\n", store);
    built            again = build(residual_network("[1,3,16,16]"), "effort=1\n", store);

    (void)state;
    assert_true(high.report.candidates_timed > 0);      /* not how many: layouts decide which copies are timed */
    assert_int_equal(again.report.candidates_timed, 0);
    drop(&low);
    drop(&high);
    drop(&again);
    store->close(store);
}

static void replay_with_a_hole_names_the_layer(void **state)
{
    pf_timing_store *store = new_store();
    pf_build_options options = { .store = store };
    built            b = { 0 };
    pf_err           err = { 0 };

    (void)state;
    assert_int_equal(try_build(&b, residual_network("[1,3,16,16]"), "replay=1\n", &options, &err), PF_CACHE_MISS);
    assert_non_null(strstr(err.msg, "conv1"));
    assert_null(b.plan);
    drop(&b);
    store->close(store);
}

/* With another driver the class is another one, whose plans are others, and whose timings are the same. */
static void another_driver_times_nothing(void **state)
{
    pf_timing_store *store = new_store();
    pf_build_options options = { .store = store };
    built            first = build(residual_network("[2,3,32,32]"), "effort=1\n", store), second = { 0 };
    char             text[PF_DEVICE_CLASS_TEXT_BYTES] = "";
    pf_err           err = { 0 };

    (void)state;
    second = (built){ .net = residual_network("[2,3,32,32]"), .config = config_of("effort=1\n"), .device = cpu() };
    snprintf(text, sizeof text, "cuda_driver=13000\n%.1900s", second.device->class_text);
    snprintf(second.device->class_text, sizeof second.device->class_text, "%s", text);
    pf_device_digest_class(second.device);
    test_ok(pf_build(second.net, second.config, second.device, &options, &second.plan, &second.report, &err), &err);
    assert_true(first.report.candidates_timed > 0);
    assert_int_equal(second.report.candidates_timed, 0);
    assert_int_equal(second.report.cache_misses, 0);
    assert_int_equal(pf_plan_fits(first.plan, second.device, &err), PF_STALE);
    drop(&first);
    drop(&second);
    store->close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_store_gives_the_same_bytes_and_times_nothing),
        cmocka_unit_test(another_driver_times_nothing),
        cmocka_unit_test(merged_timings_give_the_same_bytes),
        cmocka_unit_test(bytes_that_were_checked_are_not_checked_again),
        cmocka_unit_test(a_check_that_is_cancelled_is_not_one),
        cmocka_unit_test(more_effort_times_again_and_then_satisfies_less),
        cmocka_unit_test(replay_with_a_hole_names_the_layer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
