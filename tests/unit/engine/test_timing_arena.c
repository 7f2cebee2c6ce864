/* The block of device memory in which what is timed lies at the same addresses in every build. */
#include "base/alloc.h"
#include "engine/timing_arena.h"
#include "tests/test.h"

enum { MEMORY_BYTES = 1 << 30, ARENA_BYTES = MEMORY_BYTES / 64 };

static int taken, given_back;   /* of the device's memory */

static pf_status allocate(pf_device *device, size_t bytes, void **out, pf_err *err)
{
    (void)device;
    taken++;
    *out = bytes <= MEMORY_BYTES ? pf_alloc_aligned(PF_DEVICE_ALIGNMENT, bytes) : NULL;
    return *out ? PF_OK : PF_FAIL_MEMORY(err, bytes);
}

static void release(pf_device *device, void *memory)
{
    (void)device;
    given_back++;
    pf_free(memory);
}

static pf_status capture(pf_device *device, pf_stream *stream, pf_err *err)
{
    (void)device, (void)stream, (void)err;
    return PF_OK;
}

static const pf_device_ops captures = { .alloc = allocate, .free = release, .capture_begin = capture };
static const pf_device_ops runs_at_once = { .alloc = allocate, .free = release };

static void only_devices_that_capture_have_one(void **state)
{
    pf_device       one = { .ops = &captures, .memory_bytes = MEMORY_BYTES };
    pf_device       other = { .ops = &runs_at_once, .memory_bytes = MEMORY_BYTES };
    pf_timing_arena arena = { 0 };

    (void)state;
    taken = given_back = 0;
    pf_timing_arena_open(&other, &arena);
    assert_null(arena.memory);
    assert_null(pf_timing_arena_reserve(&arena, 1));
    assert_null(pf_timing_arena_reserve(NULL, 1));
    pf_timing_arena_close(&arena);
    assert_int_equal(taken, 0);
    pf_timing_arena_open(&one, &arena);
    assert_int_equal(pf_timing_arena_room(&arena), ARENA_BYTES);
    pf_timing_arena_close(&arena);
    assert_int_equal(taken, 1);
    assert_int_equal(given_back, 1);
}

/* However much was reserved in the place before. */
static void a_place_is_the_same_each_time(void **state)
{
    pf_device       device = { .ops = &captures, .memory_bytes = MEMORY_BYTES };
    pf_timing_arena arena = { 0 };
    char           *fixed = NULL, *first[3] = { NULL }, *second[3] = { NULL };

    (void)state;
    pf_timing_arena_open(&device, &arena);
    fixed = pf_timing_arena_reserve(&arena, 1000);
    pf_timing_arena_fix(&arena);
    for (uint32_t place = 0; place < 3; place++) {
        pf_timing_arena_begin(&arena, place);
        first[place] = pf_timing_arena_reserve(&arena, 300);
        second[place] = pf_timing_arena_reserve(&arena, 300);
        assert_int_equal((uintptr_t)first[place] % PF_DEVICE_ALIGNMENT, 0);
        assert_true(second[place] >= first[place] + 300);
        assert_true(first[place] >= fixed + 1000 && first[place] != first[(place + 2) % 3]);
    }
    for (uint32_t place = 3; place-- > 0;) {
        size_t mark = 0;

        pf_timing_arena_begin(&arena, place);
        assert_ptr_equal(pf_timing_arena_reserve(&arena, 290), first[place]);
        mark = pf_timing_arena_mark(&arena);
        for (int i = 0; i < 3; i++) {
            pf_timing_arena_rewind(&arena, mark);
            assert_ptr_equal(pf_timing_arena_reserve(&arena, 1 << (4 * i)), second[place]);
        }
    }
    pf_timing_arena_clear(&arena);
    assert_ptr_equal(pf_timing_arena_reserve(&arena, 1), fixed);
    pf_timing_arena_close(&arena);
}

static void what_does_not_fit_is_refused(void **state)
{
    pf_device       device = { .ops = &captures, .memory_bytes = MEMORY_BYTES };
    pf_timing_arena arena = { 0 };
    char           *all = NULL;

    (void)state;
    pf_timing_arena_open(&device, &arena);
    assert_null(pf_timing_arena_reserve(&arena, ARENA_BYTES + 1));
    all = pf_timing_arena_reserve(&arena, ARENA_BYTES);
    assert_non_null(all);
    assert_int_equal(pf_timing_arena_room(&arena), 0);
    assert_null(pf_timing_arena_reserve(&arena, 1));
    assert_true(pf_timing_arena_holds(&arena, all) && pf_timing_arena_holds(&arena, all + ARENA_BYTES - 1));
    assert_false(pf_timing_arena_holds(&arena, all + ARENA_BYTES) || pf_timing_arena_holds(NULL, all));
    pf_timing_arena_begin(&arena, 1 << 20);     /* far behind its end */
    assert_null(pf_timing_arena_reserve(&arena, 1));
    pf_timing_arena_close(&arena);
}

/* The other half is left for what is tried. */
static void half_of_it_is_lent(void **state)
{
    pf_device       device = { .ops = &captures, .memory_bytes = MEMORY_BYTES };
    pf_timing_arena arena = { 0 };
    pf_allocator    allocator = { 0 };
    void           *inside = NULL, *outside = NULL;

    (void)state;
    pf_timing_arena_open(&device, &arena);
    pf_timing_arena_lend(&arena, &allocator);
    taken = given_back = 0;
    test_ok(pf_device_take(&device, &allocator, ARENA_BYTES / 2, &inside, NULL), NULL);
    test_ok(pf_device_take(&device, &allocator, 1, &outside, NULL), NULL);
    assert_true(pf_timing_arena_holds(&arena, inside) && !pf_timing_arena_holds(&arena, outside));
    pf_device_give_back(&device, &allocator, inside);
    pf_device_give_back(&device, &allocator, outside);
    assert_int_equal(taken, 1);
    assert_int_equal(given_back, 1);
    pf_timing_arena_close(&arena);
    pf_timing_arena_lend(NULL, &allocator);
    assert_null(allocator.alloc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_devices_that_capture_have_one),
        cmocka_unit_test(a_place_is_the_same_each_time),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(half_of_it_is_lent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
