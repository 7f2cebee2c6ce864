/* Candidates are measured on a device with a clock of its own, which captures or not: how often they run, in which
   places of memory, and what becomes of races that something disturbs. */
#include <limits.h>

#include "engine/timing_contest.h"
#include "tests/unit/engine/timed.h"

/* ---- A device with a clock of its own, which captures or not */

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

static bool    wavers;                          /* launches take up to a tenth longer */
static int64_t launches;

static pf_status graph_launch(pf_device *d, pf_device_graph *graph, pf_stream *stream, pf_err *err)
{
    int64_t ns = ((captured *)graph)->ns;

    (void)d, (void)stream, (void)err;
    device_ns += ns + (wavers ? launches++ % 5 * ns / 40 : 0);
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
static int      samples_left = INT_MAX;         /* of those bits, which are none after them */

static void sample_throttling(pf_device *d, pf_device_sample *out)
{
    (void)d;
    *out = (pf_device_sample){ .throttle_bits = samples_left-- > 0 ? throttle_bits : 0 };
}

static int allocations_left = INT_MAX;          /* before there is no memory */

static pf_status allocate(pf_device *d, size_t bytes, void **out, pf_err *err)
{
    (void)d;
    *out = allocations_left-- > 0 ? pf_alloc_aligned(PF_DEVICE_ALIGNMENT, bytes) : NULL;
    return *out ? PF_OK : PF_FAIL_MEMORY(err, bytes);
}

static void note_input(void *at)
{
    int i = 0;

    moved += at != input;
    input = at;
    if (!capturing)                             /* where candidates are checked counts for nothing */
        return;
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

/* Longer by some nanoseconds, with one of its tunings. */
static int64_t     later_ns;
static const char *later_tuning = "t2";

static pf_status run_longer(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    int64_t ns = run_ns + (*(const bool *)step->impl ? later_ns : 0);

    device_ns += ns;
    note_input(b->in[0]);
    note_captured(ns);
    return copy(step, b, stream, err);
}

static const pf_tactic takes_longer;

static pf_status prepare_longer(pf_device *d, const pf_problem *p, const char *tuning, const void *saved, size_t bytes,
                                pf_step **out, pf_err *err)
{
    pf_status st = make_step(&takes_longer, sizeof(bool), out, err);

    (void)d, (void)p, (void)saved, (void)bytes;
    if (!st)
        *(bool *)(*out)->impl = !strcmp(tuning, later_tuning);
    return st;
}

static const pf_tactic takes_longer = { .name = "takes_longer", .rev = 1, .prepare = prepare_longer,
                                        .enqueue = run_longer };

/* The first three runs take three times as long: one to check it, and two that a glance takes. */
static pf_status run_late(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    int    *late = step->impl;
    int64_t ns = (*late)-- > 0 ? 3 * run_ns : run_ns;

    device_ns += ns;
    note_captured(ns);
    return copy(step, b, stream, err);
}

static const pf_tactic comes_late;

static pf_status prepare_late(pf_device *d, const pf_problem *p, const char *tuning, const void *saved, size_t bytes,
                              pf_step **out, pf_err *err)
{
    pf_status st = make_step(&comes_late, sizeof(int), out, err);

    (void)d, (void)p, (void)tuning, (void)saved, (void)bytes;
    if (!st)
        *(int *)(*out)->impl = 3;
    return st;
}

static const pf_tactic comes_late = { .name = "comes_late", .rev = 1, .prepare = prepare_late, .enqueue = run_late };

/* In every other place of memory all three run longer: each of them is captured once in a place. */
static pf_status run_unsteadily(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    int64_t ns = run_ns + (captures / 3 % 2 ? run_ns / 10 : 0);

    device_ns += ns;
    note_captured(ns);
    note_input(b->in[0]);
    return copy(step, b, stream, err);
}

static const pf_tactic unsteady;

static pf_status prepare_unsteady(pf_device *d, const pf_problem *p, const char *tuning, const void *saved,
                                  size_t bytes, pf_step **out, pf_err *err)
{
    (void)d, (void)p, (void)tuning, (void)saved, (void)bytes;
    return make_step(&unsteady, 1, out, err);
}

static const pf_tactic unsteady = { .name = "unsteady", .rev = 1, .prepare = prepare_unsteady,
                                    .enqueue = run_unsteadily };

/* Constants are packed as a step says. */
enum { PACKED_BYTES = 64, PACKED_WITH = 0x5a };

static int packs, unpacked;     /* how often, and runs that found them otherwise */

static pf_status pack_bytes(const pf_step *step, const pf_problem *p, const pf_tensor *constants, void *packed,
                            pf_err *err)
{
    (void)p, (void)constants, (void)err;
    packs++;
    memset(packed, PACKED_WITH, step->packed_bytes);
    return PF_OK;
}

/* Right only if all of them are there. */
static pf_status run_packed(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const uint8_t *packed = b->packed;
    bool           all = true;

    for (size_t i = 0; i < step->packed_bytes; i++)
        all &= packed[i] == PACKED_WITH;
    unpacked += !all;
    device_ns += run_ns;
    note_captured(run_ns);
    return all ? copy(step, b, stream, err) : PF_OK;
}

static const pf_tactic packs_alike, packs_apart;

static pf_status prepare_packed(const pf_tactic *tactic, uint32_t packed_as, pf_step **out, pf_err *err)
{
    pf_status st = make_step(tactic, 1, out, err);

    if (!st) {
        (*out)->packed_bytes = PACKED_BYTES;
        (*out)->packed_as = packed_as;
    }
    return st;
}

static pf_status prepare_alike(pf_device *d, const pf_problem *p, const char *tuning, const void *saved, size_t bytes,
                               pf_step **out, pf_err *err)
{
    (void)d, (void)p, (void)saved, (void)bytes;
    return prepare_packed(&packs_alike, 1 + !strcmp(tuning, "t2"), out, err);
}

static pf_status prepare_apart(pf_device *d, const pf_problem *p, const char *tuning, const void *saved, size_t bytes,
                               pf_step **out, pf_err *err)
{
    (void)d, (void)p, (void)tuning, (void)saved, (void)bytes;
    return prepare_packed(&packs_apart, 0, out, err);
}

static const pf_tactic packs_alike = { .name = "packs_alike", .rev = 1, .prepare = prepare_alike, .pack = pack_bytes,
                                       .enqueue = run_packed };
static const pf_tactic packs_apart = { .name = "packs_apart", .rev = 1, .prepare = prepare_apart, .pack = pack_bytes,
                                       .enqueue = run_packed };

static const pf_tactic *const all_alike[] = { &packs_alike, &packs_alike, &packs_alike };
static const pf_tactic *const all_apart[] = { &packs_apart, &packs_apart, &packs_apart };
static const pf_tactic *const all_load[] = { &loads, &loads, &loads };
static const pf_tactic *const all_unsteady[] = { &unsteady, &unsteady, &unsteady };
static const pf_tactic *const one_far[] = { &loads, &loads, &far };
static const pf_tactic *const one_near[] = { &loads, &far, &far };
static const pf_tactic *const one_longer[] = { &takes_longer, &far, &takes_longer };
static const pf_tactic *const one_late[] = { &loads, &loads, &comes_late };

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
    ops.alloc = allocate;
    captures = least_runs = most_runs = moved = input_count = 0;
    launches = 0;
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

/* Where there is no memory for all of them fewer do; candidates are checked in two tensors more. */
static void places_are_as_many_as_there_is_memory_for(void **state)
{
    static const struct { int allocations, places; } cases[] = { { 2, 1 }, { 5, 1 }, { 6, 2 }, { 11, 2 }, { 12, 5 },
                                                                { 21, 5 }, { 22, 10 } };

    (void)state;
    cache_bytes = (size_t)1 << 40;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_timing_record record = { 0 };

        allocations_left = cases[i].allocations;
        measure_by_device(all_load, true, 1, PF_NS_PER_US, &record);
        assert_int_equal(input_count, cases[i].places);
        for (uint32_t k = 0; k < record.count; k++)
            assert_int_equal(record.entries[k].status, PF_TIMED);
        pf_timing_record_clear(&record);
    }
    allocations_left = INT_MAX;
    cache_bytes = 0;
}

/* Who is alone is told from other layouts of the same layer: that takes a time that is known. */
static void who_wavers_is_timed_in_more_places_though_alone(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        pf_timing_record record = { 0 };

        wavers = i;
        measure_by_device(one_near, true, 2, 2 * PF_NS_PER_US, &record);
        assert_true(wavers ? moved >= 2 && moved <= PF_CONTEST_PLACES_MAX : moved == 1);
        pf_timing_record_clear(&record);
    }
    wavers = false;
}

/* Whether who is preferred, the last one, is as good as the best decides who is chosen; by how much another one is
   slower does not. */
static void who_may_be_equal_is_timed_in_more_places(void **state)
{
    static const struct { const char *later; int64_t ns; int places; } cases[] = {
        { "t2", 0, 3 }, { "t2", 10, 3 }, { "t2", 20, PF_CONTEST_PLACES_MAX }, { "t2", 30, 3 }, { "t0", 20, 3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_timing_record record = { 0 };

        later_tuning = cases[i].later;
        later_ns = cases[i].ns;     /* 2 us have 20 ns of noise */
        measure_by_device(one_longer, true, 2, 2 * PF_NS_PER_US, &record);
        assert_int_equal(moved, cases[i].places);
        pf_timing_record_clear(&record);
    }
}

/* What disturbed the race may have disturbed the glance before it. */
static void who_was_dropped_at_a_glance_is_back_in_the_next_race(void **state)
{
    static const struct { int disturbed; pf_timing_status status; } cases[] = {
        { 0, PF_TIMING_DROPPED }, { 1, PF_TIMED },
    };

    (void)state;
    throttle_bits = 0x20;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_timing_record       record = { 0 };
        const pf_timing_entry *entry = NULL;

        samples_left = cases[i].disturbed;
        measure_by_device(one_late, true, 1, 150 * PF_NS_PER_US, &record);
        entry = entry_of(&record, "comes_late", "t2");
        assert_int_equal(entry->status, cases[i].status);
        assert_int_equal(entry->median_ns, (entry->status == PF_TIMED ? 150 : 450) * PF_NS_PER_US);
        assert_false(entry->contended);
        pf_timing_record_clear(&record);
    }
    throttle_bits = 0;
    samples_left = INT_MAX;
}

/* What its places leave open is timed in more of them. */
static void what_is_unsteady_is_timed_in_more_places(void **state)
{
    static const struct { int64_t run_ns; int effort, places; } cases[] = {
        { 2 * PF_NS_PER_US, 1, 1 },
        { 2 * PF_NS_PER_US, 2, PF_CONTEST_PLACES_MAX },
        { 12 * PF_NS_PER_US, 2, 1 },
        { 2 * PF_NS_PER_US, 3, PF_CONTEST_PLACES_MAX },
        { 12 * PF_NS_PER_US, 4, PF_CONTEST_PLACES_MAX },
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

/* Timing with an arena of 128 MB. */
typedef struct with_arena {
    pf_device_ops        ops;
    const pf_device_ops *whole;
    size_t               bytes;
    pf_timing           *before;
} with_arena;

static void open_with_arena(with_arena *w)
{
    *w = (with_arena){ *device->ops, device->ops, device->memory_bytes, timing };
    w->ops.capture_begin = capture_begin;
    device->ops = &w->ops;
    device->memory_bytes = (size_t)8 << 30;
    assert_int_equal(pf_timing_new(device, &timing, NULL), PF_OK);
}

static void close_with_arena(with_arena *w)
{
    pf_timing_free(timing);
    timing = w->before;
    device->ops = w->whole;
    device->memory_bytes = w->bytes;
}

/* Two of three candidates pack alike; each races in three places. */
static void constants_are_packed_once_for_all_who_pack_alike(void **state)
{
    static const struct { const pf_tactic *const *tactics; int packs; bool arena; } cases[] = {
        { all_alike, 2, false }, { all_apart, 3, false }, { all_alike, 2, true }, { all_apart, 3, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_timing_record record = { 0 };
        with_arena       w = { .before = NULL };

        if (cases[i].arena)
            open_with_arena(&w);
        packs = unpacked = 0;
        measure_by_device(cases[i].tactics, true, 2, PF_NS_PER_US, &record);
        assert_int_equal(packs, cases[i].packs);
        assert_int_equal(unpacked, 0);
        for (uint32_t k = 0; k < record.count; k++)
            assert_int_equal(record.entries[k].status, PF_TIMED);
        pf_timing_record_clear(&record);
        if (cases[i].arena)
            close_with_arena(&w);
    }
}

/* One that goes on for longer races where one that ends sooner did. */
static void builds_race_in_the_same_places(void **state)
{
    with_arena w = { .before = NULL };
    void      *seen[3] = { NULL };

    (void)state;
    open_with_arena(&w);
    for (int i = 0; i < 3; i++) {
        pf_timing_record record = { 0 };

        measure_by_device(i == 1 ? all_unsteady : all_load, true, 2, PF_NS_PER_US, &record);
        assert_int_equal(input_count, i == 1 ? 16 : 3);
        for (int k = 0; k < 3; k++) {
            assert_true(pf_timing_arena_holds(pf_timing_arena_of(timing), inputs[k]));
            assert_true(!i || inputs[k] == seen[k]);
            seen[k] = inputs[k];
        }
        pf_timing_record_clear(&record);
    }
    close_with_arena(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures_of_rivals_hold_equally_many_runs),
        cmocka_unit_test(what_is_short_is_timed_in_several_places),
        cmocka_unit_test(runs_of_a_sample_take_turns_on_places),
        cmocka_unit_test(places_are_as_many_as_there_is_memory_for),
        cmocka_unit_test(who_wavers_is_timed_in_more_places_though_alone),
        cmocka_unit_test(who_may_be_equal_is_timed_in_more_places),
        cmocka_unit_test(who_was_dropped_at_a_glance_is_back_in_the_next_race),
        cmocka_unit_test(long_runs_are_few),
        cmocka_unit_test(what_is_unsteady_is_timed_in_more_places),
        cmocka_unit_test(constants_are_packed_once_for_all_who_pack_alike),
        cmocka_unit_test(who_is_slowed_down_by_a_fault_is_contended),
        cmocka_unit_test(builds_race_in_the_same_places),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
