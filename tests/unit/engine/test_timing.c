/* Candidates of every kind are measured on the CPU: right, wrong in several ways, slow, refusing, greedy. */
#include <math.h>

#include <unistd.h>

#include "engine/timing_canary.h"
#include "engine/timing_lock.h"
#include "tests/unit/engine/timed.h"

/* ---- Tactics that copy, and some that only say so */

static const pf_tactic copies, copies_slowly, is_wrong, overruns, spoils_in_place, refuses, is_greedy, takes_ages;

static pf_status prepare_as(const pf_tactic *tactic, size_t workspace_bytes, int32_t in_place, pf_step **out,
                            pf_err *err)
{
    *out = pf_step_new(tactic, 1);
    if (!*out)
        return PF_FAIL_MEMORY(err, 1);
    (*out)->workspace_bytes = workspace_bytes;
    (*out)->in_place = in_place;
    return PF_OK;
}

#define PREPARE(name, tactic, workspace, in_place) \
    static pf_status name(pf_device *d, const pf_problem *p, const char *tuning, const void *saved, size_t bytes, \
                          pf_step **out, pf_err *err) \
    { \
        (void)d, (void)p, (void)tuning, (void)saved, (void)bytes; \
        return prepare_as(&tactic, workspace, in_place, out, err); \
    }
PREPARE(prepare_copies, copies, 0, 0)
PREPARE(prepare_slow, copies_slowly, 0, -1)
PREPARE(prepare_wrong, is_wrong, 0, -1)
PREPARE(prepare_overruns, overruns, 0, -1)
PREPARE(prepare_spoils, spoils_in_place, 0, 0)
PREPARE(prepare_greedy, is_greedy, 1 << 20, -1)
PREPARE(prepare_ages, takes_ages, 0, -1)

static pf_status prepare_refuses(pf_device *d, const pf_problem *p, const char *tuning, const void *saved, size_t bytes,
                                 pf_step **out, pf_err *err)
{
    (void)d, (void)p, (void)tuning, (void)saved, (void)bytes;
    *out = NULL;
    return PF_FAIL(err, PF_UNSUPPORTED, "it does not like the shape");
}

static pf_status copy_slowly(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    int64_t until = pf_clock_ns() + 100 * PF_NS_PER_US;

    while (pf_clock_ns() < until)
        ;
    return copy(step, b, stream, err);
}

static pf_status copy_wrongly(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    pf_status st = copy(step, b, stream, err);

    ((float *)b->out[0])[ELEMS / 2] += 1;
    return st;
}

static pf_status copy_too_much(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    pf_status st = copy(step, b, stream, err);

    ((uint8_t *)b->out[0])[ELEMS * sizeof(float)] = 0;
    return st;
}

static pf_status spoil(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    if (b->out[0] == b->in[0])
        ((float *)b->out[0])[1] = 7;
    return copy(step, b, stream, err);
}

static pf_status copy_for_ages(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    pf_clock_sleep_ns(40 * PF_NS_PER_MS);
    return copy(step, b, stream, err);
}

static const pf_tactic copies = { .name = "copies", .rev = 3, .prepare = prepare_copies, .enqueue = copy };
static const pf_tactic copies_slowly = { .name = "copies_slowly", .rev = 1, .prepare = prepare_slow,
                                         .enqueue = copy_slowly };
static const pf_tactic is_wrong = { .name = "is_wrong", .rev = 1, .prepare = prepare_wrong, .enqueue = copy_wrongly };
static const pf_tactic overruns = { .name = "overruns", .rev = 1, .prepare = prepare_overruns,
                                    .enqueue = copy_too_much };
static const pf_tactic spoils_in_place = { .name = "spoils_in_place", .rev = 1, .prepare = prepare_spoils,
                                           .enqueue = spoil };
static const pf_tactic refuses = { .name = "refuses", .rev = 1, .prepare = prepare_refuses, .enqueue = copy };
static const pf_tactic is_greedy = { .name = "is_greedy", .rev = 1, .prepare = prepare_greedy, .enqueue = copy };
static const pf_tactic takes_ages = { .name = "takes_ages", .rev = 1, .prepare = prepare_ages,
                                      .enqueue = copy_for_ages };

/* ---- Tests */

static void measure(const pf_tactic *const *tactics, uint32_t count, uint64_t workspace_limit, pf_timing_record *out)
{
    measure_at(1, tactics, count, workspace_limit, out);
}

static void assert_each_kind_gets_its_status(void)
{
    const pf_tactic *const tactics[] = { &copies, &is_wrong, &overruns, &spoils_in_place, &refuses, &is_greedy };
    pf_timing_record       record = { 0 };
    const pf_timing_entry *right = NULL;

    measure(tactics, 6, 1 << 10, &record);
    right = entry_of(&record, "copies", "t0");
    assert_int_equal(right->status, PF_TIMED);
    assert_int_equal(right->rev, 3);
    /* three of them, where the machine does not keep it waiting for longer than its time */
    assert_true(right->sample_count >= 1 && right->min_ns > 0 && right->min_ns <= right->median_ns);
    assert_int_equal(entry_of(&record, "is_wrong", "t1")->status, PF_TIMING_WRONG);
    assert_true(entry_of(&record, "is_wrong", "t1")->max_rel_error > 0.01);
    assert_int_equal(entry_of(&record, "overruns", "t2")->status, PF_TIMING_WRONG);
    assert_non_null(strstr(entry_of(&record, "overruns", "t2")->reason, "behind"));
    assert_int_equal(entry_of(&record, "spoils_in_place", "t3")->status, PF_TIMING_WRONG);
    assert_int_equal(entry_of(&record, "refuses", "t4")->status, PF_TIMING_FAILED);
    assert_non_null(strstr(entry_of(&record, "refuses", "t4")->reason, "does not like"));
    assert_int_equal(entry_of(&record, "is_greedy", "t5")->status, PF_TIMING_OVER_LIMIT);
    assert_int_equal(entry_of(&record, "is_greedy", "t5")->workspace_bytes, 1 << 20);
    pf_timing_record_clear(&record);
}

static void each_kind_gets_its_status(void **state)
{
    (void)state;
    assert_each_kind_gets_its_status();
}

static int compared_there;

static pf_status compare_there(pf_device *d, pf_stream *stream, pf_dtype dtype, const void *test, const void *reference,
                               uint64_t count, pf_device_difference *out, pf_err *err)
{
    const float *a = test, *b = reference;

    (void)d, (void)stream;
    compared_there++;
    if (dtype != PF_F32)
        return PF_FAIL(err, PF_UNSUPPORTED, "it compares FP32");
    *out = (pf_device_difference){ .greatest = b[0], .least = b[0] };
    for (uint64_t i = 0; i < count; i++) {
        out->not_finite += !isfinite(a[i]);
        out->max_abs = fmax(out->max_abs, fabs((double)a[i] - (double)b[i]));
        out->greatest = fmax(out->greatest, b[i]);
        out->least = fmin(out->least, b[i]);
    }
    return PF_OK;
}

/* A device that compares by itself says the same. */
static void each_kind_gets_its_status_by_a_device(void **state)
{
    const pf_device_ops *whole = device->ops;
    pf_device_ops        ops = *whole;

    (void)state;
    ops.compare = compare_there;
    compared_there = 0;
    device->ops = &ops;
    assert_each_kind_gets_its_status();
    assert_int_equal(compared_there, 5);    /* copies and spoils_in_place also in place */
    device->ops = whole;
}

static void the_slow_are_dropped(void **state)
{
    const pf_tactic *const tactics[] = { &copies, &copies_slowly, &takes_ages };
    pf_timing_record       record = { 0 };

    (void)state;
    measure(tactics, 3, 0, &record);
    assert_int_equal(entry_of(&record, "copies", "t0")->status, PF_TIMED);
    assert_int_equal(entry_of(&record, "copies_slowly", "t1")->status, PF_TIMING_DROPPED);
    assert_true(entry_of(&record, "copies_slowly", "t1")->median_ns >= 100 * PF_NS_PER_US);
    assert_int_equal(entry_of(&record, "takes_ages", "t2")->status, PF_TIMING_DROPPED);
    assert_int_equal(entry_of(&record, "takes_ages", "t2")->sample_count, 1);       /* hopeless after its first run */
    pf_timing_record_clear(&record);
}

static void many_candidates_run_in_waves(void **state)
{
    const pf_tactic *tactics[50];
    pf_timing_record record = { 0 };

    (void)state;
    for (int i = 0; i < 50; i++)
        tactics[i] = &copies;
    measure(tactics, 50, 0, &record);
    for (uint32_t i = 0; i < record.count; i++)
        assert_true(record.entries[i].status == PF_TIMED || record.entries[i].status == PF_TIMING_DROPPED);
    pf_timing_record_clear(&record);
}

static bool stop(void *user)
{
    return (*(int *)user)-- > 0;
}

static void can_be_cancelled(void **state)
{
    pf_timing_candidate candidate = { &copies, { "t" } };
    pf_timing_record    record = { 0 };
    pf_err              err = { 0 };

    (void)state;
    for (int calls = 0; calls < 3; calls++) {
        int               left = calls;
        pf_timing_options options = { .effort = 5, .go_on = stop, .user = &left };

        test_fails(pf_timing_measure(timing, problem, &oracle, &candidate, 1, &options, &record, &err), PF_CANCELLED,
                   &err);
        pf_timing_record_clear(&record);
    }
}

static pf_status answer_nothing(pf_device *d, pf_stream *stream, pf_err *err)
{
    (void)d, (void)stream;
    return PF_FAIL(err, PF_DEVICE, "an illegal address was read");
}

static pf_device_ops broken;

static pf_status break_device(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    (void)step, (void)b, (void)stream;
    broken = *device->ops;
    broken.stream_sync = answer_nothing;
    device->ops = &broken;
    return PF_FAIL(err, PF_DEVICE, "an illegal address was read");
}

static const pf_tactic breaks;
PREPARE(prepare_breaks, breaks, 0, -1)
static const pf_tactic breaks = { .name = "breaks", .rev = 1, .prepare = prepare_breaks, .enqueue = break_device };

/* Those behind it in the line are not to blame. */
static void only_who_broke_the_device_is_noted(void **state)
{
    pf_timing_candidate  candidates[] = { { &copies, { "a" } }, { &breaks, { "b" } }, { &copies_slowly, { "c" } } };
    const pf_device_ops *whole = device->ops;
    pf_timing_options    options = { .effort = 1 };
    pf_timing_record     record = { 0 };
    pf_err               err = { 0 };

    (void)state;
    test_fails(pf_timing_measure(timing, problem, &oracle, candidates, 3, &options, &record, &err), PF_DEVICE, &err);
    device->ops = whole;
    assert_int_equal(record.count, 1);
    assert_int_equal(entry_of(&record, "breaks", "b")->status, PF_TIMING_FAILED);
    pf_timing_record_clear(&record);
}

static void semantics_know_no_layouts(void **state)
{
    pf_shape    shape = { .rank = 4, .dim = { 1, 8, 4, 4 } };
    pf_problem *a = NULL, *b = NULL;
    pf_digest   x = { { 0 } }, y = { { 0 } };
    pf_err      err = { 0 };

    (void)state;
    test_ok(pf_problem_reformat(NULL, PF_F32, &shape, PF_LAYOUT_LINEAR, PF_LAYOUT_CHANNELS_LAST, &a, &err), &err);
    test_ok(pf_problem_reformat(NULL, PF_F32, &shape, PF_LAYOUT_C8, PF_LAYOUT_LINEAR, &b, &err), &err);
    pf_oracle_semantics(a, &x);
    pf_oracle_semantics(b, &y);
    assert_false(pf_digest_equal(&a->hash, &b->hash));
    assert_true(pf_digest_equal(&x, &y));
    pf_problem_free(a);
    pf_problem_free(b);
}

static bool never(void *user) { return (void)user, false; }

static pf_status take_lock(const char *name, const char *place, pf_timing_lock *lock)
{
    pf_device which = { 0 };
    pf_err    err = { 0 };
    pf_status st = PF_OK;

    snprintf(which.name, sizeof which.name, "%s", name);
    snprintf(which.place, sizeof which.place, "%s", place);
    pf_timing_lock_open(&which, lock);
    st = pf_timing_lock_take(lock, never, NULL, &err);
    pf_err_clear(&err);
    return st;
}

/* Each process counts the cards that it sees from 0. */
static void a_card_is_locked_by_its_place(void **state)
{
    char           place[24] = "", other[24] = "", path[80] = "";
    pf_timing_lock first = { -1 }, second = { -1 }, third = { -1 };

    (void)state;
    snprintf(place, sizeof place, "test-a-%d", (int)getpid());
    snprintf(other, sizeof other, "test-b-%d", (int)getpid());
    assert_int_equal(take_lock("cuda:0", place, &first), PF_OK);
    assert_int_equal(take_lock("cuda:1", place, &second), PF_CANCELLED);
    assert_int_equal(take_lock("cuda:0", other, &third), PF_OK);
    pf_timing_lock_close(&first);
    pf_timing_lock_close(&second);
    pf_timing_lock_close(&third);
    snprintf(path, sizeof path, "/tmp/planfarm-timing-%s.lock", place);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "/tmp/planfarm-timing-%s.lock", other);
    assert_int_equal(unlink(path), 0);
}

/* A race begins with what the canary gave at the end of the last one, unless that is long ago or was disturbed. */
static void one_canary_is_enough_between_two_races(void **state)
{
    static const struct { int64_t older_ns; bool disturbed, runs; } cases[] = {
        { 0, false, false }, { 20 * PF_NS_PER_MS, false, true }, { 0, true, true },
    };
    pf_timing_canary canary = { 0 };
    pf_bench_room    room = { .device = device };
    pf_stream       *stream = NULL;
    pf_err           err = { 0 };

    (void)state;
    test_ok(device->ops->stream_new(device, &stream, &err), &err);
    test_ok(pf_timing_canary_open(device, stream, &room, &canary, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ns = 0, ended_ns = 0, marked_ns = 0;

        test_ok(pf_timing_canary_run(&canary, &ns, &err), &err);
        canary.last_ns = marked_ns = cases[i].disturbed ? 100 * canary.best_ns : canary.best_ns;
        canary.last_end_ns = ended_ns = pf_clock_ns() - cases[i].older_ns;
        test_ok(pf_timing_canary_run_unless_recent(&canary, &ns, &err), &err);
        assert_int_equal(canary.last_end_ns != ended_ns, cases[i].runs);
        assert_true(cases[i].runs || ns == marked_ns);
    }
    pf_timing_canary_close(&canary);
    pf_bench_room_clear(&room);
    device->ops->stream_free(device, stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_gets_its_status), cmocka_unit_test(each_kind_gets_its_status_by_a_device),
        cmocka_unit_test(the_slow_are_dropped),
        cmocka_unit_test(many_candidates_run_in_waves),
        cmocka_unit_test(can_be_cancelled),
        cmocka_unit_test(only_who_broke_the_device_is_noted),
        cmocka_unit_test(semantics_know_no_layouts),
        cmocka_unit_test(one_canary_is_enough_between_two_races),
        cmocka_unit_test(a_card_is_locked_by_its_place),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
