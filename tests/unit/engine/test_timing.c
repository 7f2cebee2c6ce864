/* Candidates of every kind are measured on the CPU: right, wrong in several ways, slow, refusing, greedy. */
#include <math.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/timing.h"
#include "engine/timing_lock.h"
#include "tests/unit/engine/networks.h"

enum { ELEMS = 4096 };

static pf_device  *device;
static pf_problem *problem;     /* y = x, ELEMS floats */
static pf_oracle   oracle;
static pf_timing  *timing;

static int open_all(void **state)
{
    pf_shape shape = { .rank = 1, .dim = { ELEMS } };
    pf_err   err = { 0 };

    (void)state;
    device = cpu();
    test_ok(pf_problem_reformat(NULL, PF_F32, &shape, PF_LAYOUT_LINEAR, PF_LAYOUT_LINEAR, &problem, &err), &err);
    test_ok(pf_oracle_make(problem, &oracle, &err), &err);
    test_ok(pf_timing_new(device, &timing, &err), &err);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    pf_timing_free(timing);
    pf_oracle_clear(&oracle);
    pf_problem_free(problem);
    pf_device_close(device);
    return 0;
}

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

static pf_status copy(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    (void)step, (void)stream, (void)err;
    memmove(b->out[0], b->in[0], ELEMS * sizeof(float));
    return PF_OK;
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

static void measure_at(int effort, const pf_tactic *const *tactics, uint32_t count, uint64_t workspace_limit,
                       pf_timing_record *out)
{
    pf_timing_candidate candidates[64] = { { 0 } };
    pf_timing_options   options = { .effort = effort, .workspace_limit_bytes = workspace_limit };
    pf_err              err = { 0 };

    for (uint32_t i = 0; i < count; i++) {
        candidates[i].tactic = tactics[i];
        snprintf(candidates[i].tuning.text, sizeof candidates[i].tuning.text, "t%u", i);
    }
    test_ok(pf_timing_measure(timing, problem, &oracle, candidates, count, &options, out, &err), &err);
    assert_int_equal(out->count, count);
}

static void measure(const pf_tactic *const *tactics, uint32_t count, uint64_t workspace_limit, pf_timing_record *out)
{
    measure_at(1, tactics, count, workspace_limit, out);
}

static const pf_timing_entry *entry_of(const pf_timing_record *record, const char *tactic, const char *tuning)
{
    const pf_timing_entry *entry = pf_timing_record_find(record, tactic, tuning);

    assert_non_null(entry);
    return entry;
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

/* ---- On a device with a clock of its own, which captures or not */

typedef struct captured { int64_t runs, ns; } captured;

static captured *capturing;
static int64_t   device_ns, marked_ns[2];       /* what its runs took so far, and at the last two events */
static int64_t   captures, least_runs, most_runs;
static int64_t   run_ns;                        /* of one run */
static void     *input;                         /* where it lay last, */
static int       moved;                         /* and how often elsewhere than before */
static void     *inputs[16];                    /* where it lay at all */
static int       input_count;

static pf_status capture_begin(pf_device *d, pf_stream *stream, pf_err *err)
{
    (void)d, (void)stream;
    capturing = pf_calloc(1, sizeof *capturing);
    return capturing ? PF_OK : PF_FAIL_MEMORY(err, sizeof *capturing);
}

static pf_status capture_end(pf_device *d, pf_stream *stream, pf_device_graph **out, pf_err *err)
{
    (void)d, (void)stream, (void)err;
    captures++;
    least_runs = captures == 1 || capturing->runs < least_runs ? capturing->runs : least_runs;
    most_runs = capturing->runs > most_runs ? capturing->runs : most_runs;
    *out = (pf_device_graph *)capturing;
    capturing = NULL;
    return PF_OK;
}

static pf_status graph_launch(pf_device *d, pf_device_graph *graph, pf_stream *stream, pf_err *err)
{
    (void)d, (void)stream, (void)err;
    device_ns += ((captured *)graph)->ns;
    return PF_OK;
}

static void graph_free(pf_device *d, pf_device_graph *graph)
{
    (void)d;
    pf_free(graph);
}

static pf_status event_record(pf_device *d, pf_event *event, pf_stream *stream, pf_err *err)
{
    (void)d, (void)event, (void)stream, (void)err;
    marked_ns[0] = marked_ns[1];
    marked_ns[1] = device_ns;
    return PF_OK;
}

static pf_status event_elapsed(pf_device *d, pf_event *start, pf_event *end, int64_t *ns, pf_err *err)
{
    (void)d, (void)start, (void)end, (void)err;
    *ns = marked_ns[1] - marked_ns[0];
    return PF_OK;
}

static uint32_t throttle_bits;

static void sample_throttling(pf_device *d, pf_device_sample *out)
{
    (void)d;
    *out = (pf_device_sample){ .throttle_bits = throttle_bits };
}

static void note_input(void *at)
{
    int i = 0;

    moved += at != input;
    input = at;
    while (i < input_count && inputs[i] != at)
        i++;
    if (i == input_count && input_count < 16)
        inputs[input_count++] = at;
}

static void note_captured(int64_t ns)
{
    if (!capturing)
        return;
    capturing->runs++;
    capturing->ns += ns;
}

/* The first run of what was made ready loads its code. */
static pf_status load_and_copy(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    bool *loaded = step->impl;

    device_ns += *loaded ? run_ns : 100 * PF_NS_PER_US;
    *loaded = true;
    note_input(b->in[0]);
    note_captured(run_ns);
    return copy(step, b, stream, err);
}

static pf_status make_step(const pf_tactic *tactic, size_t bytes, pf_step **out, pf_err *err)
{
    *out = pf_step_new(tactic, bytes);
    if (!*out)
        return PF_FAIL_MEMORY(err, bytes);
    (*out)->in_place = -1;
    (*out)->capturable = true;
    return PF_OK;
}

static const pf_tactic loads;

static pf_status prepare_loads(pf_device *d, const pf_problem *p, const char *tuning, const void *saved, size_t bytes,
                               pf_step **out, pf_err *err)
{
    (void)d, (void)p, (void)tuning, (void)saved, (void)bytes;
    return make_step(&loads, sizeof(bool), out, err);
}

static const pf_tactic loads = { .name = "loads", .rev = 1, .prepare = prepare_loads, .enqueue = load_and_copy };

/* Three times as long. */
static pf_status run_far(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    device_ns += 3 * run_ns;
    note_captured(3 * run_ns);
    return copy(step, b, stream, err);
}

static const pf_tactic far;

static pf_status prepare_far(pf_device *d, const pf_problem *p, const char *tuning, const void *saved, size_t bytes,
                             pf_step **out, pf_err *err)
{
    (void)d, (void)p, (void)tuning, (void)saved, (void)bytes;
    return make_step(&far, 1, out, err);
}

static const pf_tactic far = { .name = "far", .rev = 1, .prepare = prepare_far, .enqueue = run_far };

/* Where its code lies it runs longer every other time. */
static pf_status run_unsteadily(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const int64_t *longer_ns = step->impl;

    device_ns += run_ns + *longer_ns;
    note_captured(run_ns + *longer_ns);
    note_input(b->in[0]);
    return copy(step, b, stream, err);
}

static const pf_tactic unsteady;

static pf_status prepare_unsteady(pf_device *d, const pf_problem *p, const char *tuning, const void *saved,
                                  size_t bytes, pf_step **out, pf_err *err)
{
    static uint32_t prepared;
    pf_status       st = make_step(&unsteady, sizeof(int64_t), out, err);

    (void)d, (void)p, (void)tuning, (void)saved, (void)bytes;
    if (!st)
        *(int64_t *)(*out)->impl = ++prepared % 2 ? run_ns / 10 : 0;
    return st;
}

static const pf_tactic unsteady = { .name = "unsteady", .rev = 1, .prepare = prepare_unsteady,
                                    .enqueue = run_unsteadily };

static const pf_tactic *const all_load[] = { &loads, &loads, &loads };
static const pf_tactic *const all_unsteady[] = { &unsteady, &unsteady, &unsteady };
static const pf_tactic *const one_far[] = { &loads, &loads, &far };

static size_t cache_bytes;                      /* for data in several places of memory */

/* Three candidates of so long a run. */
static void measure_by_device(const pf_tactic *const tactics[3], bool captures_runs, int effort, int64_t each_ns,
                              pf_timing_record *out)
{
    const pf_device_ops *whole = device->ops;
    const size_t         whole_bytes = device->cache_bytes;
    pf_device_ops        ops = *whole;

    ops.capture_begin = captures_runs ? capture_begin : NULL;
    ops.capture_end = capture_end;
    ops.graph_launch = graph_launch;
    ops.graph_free = graph_free;
    ops.event_record = event_record;
    ops.event_elapsed = event_elapsed;
    ops.sample = sample_throttling;
    captures = least_runs = most_runs = moved = input_count = 0;
    run_ns = each_ns;
    input = NULL;
    device->ops = &ops;
    device->cache_bytes = cache_bytes;
    measure_at(effort, tactics, 3, 0, out);
    device->ops = whole;
    device->cache_bytes = whole_bytes;
}

/* A launch costs the same whatever it launches, so rivals are only alike when all of theirs hold equally many runs, in
   every place of memory. */
static void captures_of_rivals_hold_equally_many_runs(void **state)
{
    pf_timing_record record = { 0 };

    (void)state;
    measure_by_device(all_load, true, 4, PF_NS_PER_US, &record);
    assert_int_equal(captures, 3 * 5);
    assert_int_equal(least_runs, most_runs);
    pf_timing_record_clear(&record);
}

static void what_is_short_is_timed_in_several_places(void **state)
{
    static const struct { bool captures; int64_t run_ns; int effort, places; } cases[] = {
        { true, PF_NS_PER_US, 1, 1 },  { true, PF_NS_PER_US, 2, 3 },       { true, 12 * PF_NS_PER_US, 2, 1 },
        { true, PF_NS_PER_US, 3, 3 },  { true, 12 * PF_NS_PER_US, 4, 5 },
        { false, PF_NS_PER_US, 2, 1 }, { false, 12 * PF_NS_PER_US, 4, 3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_timing_record record = { 0 };

        measure_by_device(all_load, cases[i].captures, cases[i].effort, cases[i].run_ns, &record);
        assert_int_equal(captures, cases[i].captures ? 3 * cases[i].places : 0);
        assert_int_equal(moved, cases[i].places);
        for (uint32_t k = 0; k < record.count; k++) {
            assert_int_equal(record.entries[k].median_ns, cases[i].run_ns);
            assert_int_equal(record.entries[k].sample_count,
                             cases[i].places * (int)pf_race_samples(cases[i].effort));
        }
        pf_timing_record_clear(&record);
    }
}

/* Of long runs fewer are a sample, and who is far behind is not captured. */
static void long_runs_are_few(void **state)
{
    static const struct { int64_t run_us, runs; bool captures_far; } cases[] = {
        { 2, 40, true }, { 10, 20, true }, { 60, 10, true }, { 150, 5, false }, { 300, 3, false }, { 9000, 3, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_timing_record       record = { 0 };
        const pf_timing_entry *entry = NULL;

        measure_by_device(one_far, true, 1, cases[i].run_us * PF_NS_PER_US, &record);
        entry = entry_of(&record, "far", "t2");
        assert_int_equal(least_runs, cases[i].runs);
        assert_int_equal(most_runs, cases[i].runs);
        assert_int_equal(captures, cases[i].captures_far ? 3 : 2);
        assert_int_equal(entry->status, PF_TIMING_DROPPED);
        assert_int_equal(entry->sample_count, cases[i].captures_far ? 3 : 1);
        assert_int_equal(entry->median_ns, 3 * cases[i].run_us * PF_NS_PER_US);
        pf_timing_record_clear(&record);
    }
}

/* Where data lie changes the time of short runs: those of one sample lie in several places, as far as these fit into a
   third of the cache. */
static void runs_of_a_sample_take_turns_on_places(void **state)
{
    static const struct { int fits, places; } cases[] = { { 0, 1 }, { 2, 2 }, { 4, 2 }, { 5, 5 }, { 9, 5 },
                                                         { 100, 10 } };
    size_t bytes = 0;

    (void)state;
    for (uint32_t i = 0; i < oracle.in_count; i++)
        bytes += oracle.in[i].bytes;
    for (uint32_t i = 0; i < oracle.out_count; i++)
        bytes += oracle.out[i].bytes;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_timing_record record = { 0 };

        cache_bytes = 3 * bytes * (size_t)cases[i].fits;
        measure_by_device(all_load, true, 1, PF_NS_PER_US, &record);
        assert_int_equal(input_count, cases[i].places);
        for (uint32_t k = 0; k < record.count; k++)
            assert_int_equal(record.entries[k].status, PF_TIMED);
        pf_timing_record_clear(&record);
    }
    cache_bytes = 0;
}

/* What its places leave open is timed in more of them. */
static void what_is_unsteady_is_timed_in_more_places(void **state)
{
    static const struct { int64_t run_ns; int effort, places; } cases[] = {
        { 2 * PF_NS_PER_US, 1, 1 },  { 2 * PF_NS_PER_US, 2, 7 }, { 12 * PF_NS_PER_US, 2, 1 },
        { 2 * PF_NS_PER_US, 3, 9 },  { 12 * PF_NS_PER_US, 4, 20 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_timing_record record = { 0 };

        measure_by_device(all_unsteady, true, cases[i].effort, cases[i].run_ns, &record);
        assert_int_equal(moved, cases[i].places);
        pf_timing_record_clear(&record);
    }
}

/* A card at its power limit is as it always is; one that is too hot is not. */
static void who_is_slowed_down_by_a_fault_is_contended(void **state)
{
    static const struct { uint32_t bits; bool contended; } cases[] = {
        { 0, false }, { 0x1, false }, { 0x4, false }, { 0x20, true }, { 0x44, true }, { 0x8, true }, { 0x80, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_timing_record record = { 0 };

        throttle_bits = cases[i].bits;
        measure_by_device(all_load, true, 1, PF_NS_PER_US, &record);
        for (uint32_t k = 0; k < record.count; k++)
            assert_int_equal(record.entries[k].contended != 0, cases[i].contended);
        pf_timing_record_clear(&record);
    }
    throttle_bits = 0;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_gets_its_status), cmocka_unit_test(each_kind_gets_its_status_by_a_device),
        cmocka_unit_test(the_slow_are_dropped),
        cmocka_unit_test(many_candidates_run_in_waves),
        cmocka_unit_test(captures_of_rivals_hold_equally_many_runs),
        cmocka_unit_test(what_is_short_is_timed_in_several_places),
        cmocka_unit_test(runs_of_a_sample_take_turns_on_places), cmocka_unit_test(long_runs_are_few),
        cmocka_unit_test(what_is_unsteady_is_timed_in_more_places),
        cmocka_unit_test(who_is_slowed_down_by_a_fault_is_contended),
        cmocka_unit_test(can_be_cancelled),
        cmocka_unit_test(only_who_broke_the_device_is_noted),
        cmocka_unit_test(semantics_know_no_layouts),
        cmocka_unit_test(a_card_is_locked_by_its_place),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
