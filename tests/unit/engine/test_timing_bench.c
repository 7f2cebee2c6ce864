/* Candidates made ready and bound in one place of memory after the other: what each of them reads is there, nobody's
   memory is another one's, and all of it is given back, whatever fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/timing_bench_private.h"
#include "tests/unit/engine/networks.h"

/* 600 bytes, and constants of 200 and 600: no multiples of what memory is aligned to. */
#define TEXT "problem in=linear,linear*,linear* out=linear numerics=0\ngraph\n%0 = input f32 [3,50]\n" \
             "%1 = input f32 [50]\n%2 = input f32 [3,50]\n%3 = add(%0, %1)\n%4 = mul(%3, %2)\noutput %4\n"

enum { CANDIDATES = 5, RANGES_MAX = 1000, PLENTY = 1 << 30 };

typedef struct fixture {
    pf_device       *device;
    pf_device_ops    ops;
    pf_stream       *stream;
    pf_problem      *problem;
    pf_oracle        oracle;
    pf_timing_arena  arena;
    pf_bench_room    room;
    pf_bench         bench;
    pf_bench_runner  runners[CANDIDATES];
} fixture;

static int taken;                       /* of the device's memory, and not given back yet */

static pf_status allocate(pf_device *device, size_t bytes, void **out, pf_err *err)
{
    (void)device;
    *out = pf_alloc_aligned(PF_DEVICE_ALIGNMENT, bytes);
    taken += *out != NULL;
    return *out ? PF_OK : PF_FAIL_MEMORY(err, bytes);
}

static void release(pf_device *device, void *memory)
{
    (void)device;
    taken--;
    pf_free(memory);
}

static pf_status capture_begin(pf_device *device, pf_stream *stream, pf_err *err)
{
    (void)device, (void)stream, (void)err;
    return PF_OK;
}

/* ---- Candidates that differ in what they pack and in their workspace */

/* As 0: nobody else packs so; no bytes: constants are read as they are. */
static const struct { size_t packed_bytes, workspace_bytes; uint32_t as; } kinds[CANDIDATES] = {
    { 0, 0, 0 }, { 300, 1000, 1 }, { 513, 0, 2 }, { 300, 100, 0 }, { 300, 0, 1 },
};

static int packed_with(const pf_step *step)
{
    return 0x40 + (int)step->packed_as;
}

static pf_status pack(const pf_step *step, const pf_problem *p, const pf_tensor *constants, void *packed, pf_err *err)
{
    (void)p, (void)constants, (void)err;
    memset(packed, packed_with(step), step->packed_bytes);
    return PF_OK;
}

static const pf_tactic packs;

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved, size_t bytes,
                         pf_step **out, pf_err *err)
{
    int kind = atoi(tuning);

    (void)device, (void)p, (void)saved, (void)bytes;
    *out = pf_step_new(&packs, 1);
    if (!*out)
        return PF_FAIL_MEMORY(err, 1);
    (*out)->capturable = true;
    (*out)->packed_bytes = kinds[kind].packed_bytes;
    (*out)->packed_as = kinds[kind].as;
    (*out)->workspace_bytes = kinds[kind].workspace_bytes;
    return PF_OK;
}

static const pf_tactic packs = { .name = "packs", .rev = 1, .prepare = prepare, .pack = pack };

/* ---- Benches */

static void open_fixture(fixture *f, bool captures, bool has_arena)
{
    pf_err err = { 0 };

    *f = (fixture){ .device = cpu() };
    f->ops = *f->device->ops;
    f->ops.alloc = allocate;
    f->ops.free = release;
    f->ops.capture_begin = captures ? capture_begin : NULL;
    f->device->ops = &f->ops;
    f->device->cache_bytes = PLENTY;
    f->device->memory_bytes = has_arena ? PLENTY : 0;
    taken = 0;
    test_ok(pf_problem_parse(TEXT, &f->problem, &err), &err);
    test_ok(pf_oracle_make(f->problem, &f->oracle, &err), &err);
    test_ok(f->ops.stream_new(f->device, &f->stream, &err), &err);
    pf_timing_arena_open(f->device, &f->arena);
    assert_int_equal(f->arena.memory != NULL, captures && has_arena);
    f->room.device = f->device;
}

static void close_bench(fixture *f)
{
    for (int i = 0; i < CANDIDATES; i++)
        if (f->runners[i].step)
            pf_bench_release(&f->bench, &f->runners[i]);
    pf_bench_close(&f->bench);
    pf_bench_room_clear(&f->room);
}

static void close_fixture(fixture *f)
{
    close_bench(f);
    pf_timing_arena_close(&f->arena);
    assert_int_equal(taken, 0);
    f->ops.stream_free(f->device, f->stream);
    pf_oracle_clear(&f->oracle);
    pf_problem_free(f->problem);
    pf_device_close(f->device);
}

static pf_status prepare_all(fixture *f, pf_err *err)
{
    pf_status st = PF_OK;

    for (int i = 0; i < CANDIDATES && !st; i++) {
        char tuning[4] = "";

        snprintf(tuning, sizeof tuning, "%d", i);
        st = pf_bench_prepare(&f->bench, &packs, tuning, &f->runners[i], err);
    }
    return st;
}

static pf_status make_ready(fixture *f, pf_err *err)
{
    pf_status st = pf_bench_open(f->device, f->stream, f->problem, &f->oracle, &f->room, &f->arena, &f->bench, err);

    pf_timing_arena_clear(&f->arena);
    return st ? st : prepare_all(f, err);
}

/* All stay unbound until all is moved, as in a race. */
static pf_status move(fixture *f, uint32_t place, size_t cold_bytes, pf_err *err)
{
    pf_status st = PF_OK;

    for (int i = 0; i < CANDIDATES; i++)
        pf_bench_unbind(&f->bench, &f->runners[i]);
    pf_bench_move(&f->bench, place);
    for (int i = 0; i < CANDIDATES && !st; i++)
        st = pf_bench_bind(&f->bench, cold_bytes, &f->runners[i], err);
    return st;
}

/* ---- Whose memory is whose */

typedef struct range { const char *at; size_t bytes; } range;
typedef struct ranges { range items[RANGES_MAX]; int count; } ranges;

/* The same one may be shared. */
static void add_range(ranges *all, const void *at, size_t bytes)
{
    const char *begin = at;

    assert_int_equal((uintptr_t)at % PF_DEVICE_ALIGNMENT, 0);
    for (int i = 0; i < all->count; i++) {
        const range *other = &all->items[i];

        if (other->at == begin && other->bytes == bytes)
            return;
        assert_true(begin + bytes <= other->at || other->at + other->bytes <= begin);
    }
    assert_true(all->count < RANGES_MAX);
    all->items[all->count++] = (range){ begin, bytes };
}

static bool is_filled(const char *at, int with, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (at[i] != with)
            return false;
    return true;
}

static void check_copy(const fixture *f, const pf_bench_runner *r, uint32_t copy, ranges *all)
{
    const pf_bench *b = &f->bench;

    for (uint32_t i = 0; i < b->in_count; i++) {
        const void *in = r->in[copy * b->in_count + i];

        assert_int_equal(in == NULL, f->problem->in_constant[i] && r->step->packed_bytes);
        if (!in)
            continue;
        assert_memory_equal(in, f->oracle.in[i].data, b->in_bytes[i]);
        add_range(all, in, b->in_bytes[i]);
    }
    if (!r->step->packed_bytes)
        return;
    assert_true(is_filled(r->packed[copy], packed_with(r->step), r->step->packed_bytes));
    add_range(all, r->packed[copy], r->step->packed_bytes);
}

static void check_places(const fixture *f, uint32_t places, uint32_t copies_least)
{
    const pf_bench      *b = &f->bench;
    const pf_bench_site *site = pf_bench_site_of(b);
    ranges               all = { .count = 0 };

    assert_int_equal(site->places, places);
    for (uint32_t p = 0; p < places; p++)
        add_range(&all, site->out[p], b->out_bytes[0] + PF_BENCH_GUARD_BYTES);
    assert_int_equal(all.count, places);
    add_range(&all, b->away.workspace ? b->away.workspace : b->workspace, b->workspace_bytes);
    for (int i = 0; i < CANDIDATES; i++) {
        assert_true(f->runners[i].copies >= copies_least);
        for (uint32_t c = 0; c < f->runners[i].copies; c++)
            check_copy(f, &f->runners[i], c, &all);
    }
}

/* Two of the candidates pack alike, one keeps what it packed for itself. */
static void nobody_has_the_memory_of_another_one(void **state)
{
    static const struct { bool captures, has_arena; size_t cold_bytes; uint32_t places, copies; } cases[] = {
        { true, true, 0, 10, 10 },      { true, false, 0, 10, 10 },     { false, false, 0, 1, 1 },
        { true, true, 20000, 10, 20 },  { true, false, 20000, 10, 20 }, { false, false, 20000, 1, 20 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f = { .device = NULL };
        pf_err  err = { 0 };

        open_fixture(&f, cases[i].captures, cases[i].has_arena);
        test_ok(make_ready(&f, &err), &err);
        check_places(&f, 1, 1);
        for (uint32_t place = 0; place < 4; place++) {
            test_ok(move(&f, place, cases[i].cold_bytes, &err), &err);
            check_places(&f, cases[i].places, cases[i].copies);
        }
        close_fixture(&f);
    }
}

/* All but what is to be cold, and what one of them packed for itself. */
static void who_races_lies_in_the_arena(void **state)
{
    fixture f = { .device = NULL };
    void   *first = NULL;
    pf_err  err = { 0 };

    (void)state;
    open_fixture(&f, true, true);
    test_ok(make_ready(&f, &err), &err);
    for (uint32_t place = 0; place < 3; place++) {
        test_ok(move(&f, place, 0, &err), &err);
        for (int i = 0; i < CANDIDATES; i++) {
            const pf_bench_runner *r = &f.runners[i];

            assert_true(pf_timing_arena_holds(&f.arena, r->in[0]));
            if (r->step->packed_bytes)
                assert_int_equal(pf_timing_arena_holds(&f.arena, r->packed[9]), r->step->packed_as != 0);
        }
        assert_ptr_equal(f.runners[1].packed[9], f.runners[4].packed[9]);
        assert_ptr_not_equal(f.runners[0].in[0], first);
        first = f.runners[0].in[0];
    }
    close_fixture(&f);
}

/* Candidates are checked at home again, and those who pack as others did find what these packed. */
static void the_next_wave_races_where_the_first_did(void **state)
{
    fixture f = { .device = NULL };
    void   *in = NULL, *packed = NULL;
    pf_err  err = { 0 };

    (void)state;
    open_fixture(&f, true, true);
    test_ok(make_ready(&f, &err), &err);
    for (int wave = 0; wave < 3; wave++) {
        check_places(&f, 1, 1);
        test_ok(move(&f, 0, 0, &err), &err);
        check_places(&f, 10, 10);
        assert_true(!wave || (f.runners[0].in[0] == in && f.runners[1].packed[0] == packed));
        in = f.runners[0].in[0];
        packed = f.runners[1].packed[0];
        for (int i = 0; i < CANDIDATES; i++)
            pf_bench_release(&f.bench, &f.runners[i]);
        pf_bench_go_home(&f.bench);
        test_ok(prepare_all(&f, &err), &err);
        assert_int_equal(f.bench.packed_count, 3);
    }
    close_fixture(&f);
}

/* The n-th block of memory, of the host's or of the device's, is not to be had. */
static void whatever_fails_leaves_nothing_behind(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        fixture   f = { .device = NULL };
        pf_status st = PF_NO_SPACE;

        open_fixture(&f, kind > 0, kind > 1);
        for (uint64_t n = 0; st; n++) {
            size_t cold_bytes = kind == 3 ? 20000 : 0;
            pf_err err = { 0 };

            pf_alloc_fail_after(n);
            st = make_ready(&f, &err);
            for (uint32_t place = 0; place < 3 && !st; place++)
                st = move(&f, place, cold_bytes, &err);
            pf_alloc_fail_after(UINT64_MAX);
            if (st)
                assert_int_equal(st, PF_NO_SPACE);
            close_bench(&f);
            assert_int_equal(taken, f.arena.memory != NULL);
        }
        close_fixture(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_has_the_memory_of_another_one),
        cmocka_unit_test(who_races_lies_in_the_arena),
        cmocka_unit_test(the_next_wave_races_where_the_first_did),
        cmocka_unit_test(whatever_fails_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
