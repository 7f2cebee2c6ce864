#include <string.h>

#include "base/alloc.h"
#include "tests/test.h"

static void the_nth_allocation_fails(void **state)
{
    void *kept[3] = {NULL};

    (void)state;
    pf_alloc_fail_after(3);
    for (int i = 0; i < 3; i++) {
        kept[i] = pf_alloc(10);
        assert_non_null(kept[i]);
    }
    assert_null(pf_alloc(1));
    assert_null(pf_calloc(1, 1));
    assert_null(pf_alloc_aligned(64, 1));
    assert_null(pf_strdup("a"));
    assert_null(pf_realloc(NULL, 1));
    pf_alloc_fail_after(UINT64_MAX);
    for (int i = 0; i < 3; i++)
        pf_free(kept[i]);
}

static void a_failed_realloc_keeps_the_old(void **state)
{
    char *text = pf_strdup("still here");

    (void)state;
    assert_non_null(text);
    pf_alloc_fail_after(0);
    assert_null(pf_realloc(text, 1000));
    pf_alloc_fail_after(UINT64_MAX);
    assert_string_equal(text, "still here");
    pf_free(text);
}

static void allocations_are_counted(void **state)
{
    uint64_t before = pf_alloc_count();
    void    *a = pf_alloc(1);
    void    *b = pf_calloc(1, 1);
    void    *c = pf_alloc_aligned(16, 1);

    (void)state;
    a = pf_realloc(a, 100);
    assert_true(a && b && c);
    assert_int_equal(pf_alloc_count() - before, 4);
    pf_free(a);
    pf_free(b);
    pf_free(c);
    pf_free(NULL);
    assert_int_equal(pf_alloc_count() - before, 4);
}

static void products_that_overflow_are_refused(void **state)
{
    (void)state;
    assert_null(pf_calloc(SIZE_MAX / 2, 3));
    assert_null(pf_calloc(3, SIZE_MAX / 2));
}

static void nothing_is_a_pointer_too(void **state)
{
    void *a = pf_alloc(0);
    void *b = pf_calloc(0, 8);

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    a = pf_realloc(a, 0);
    assert_non_null(a);
    pf_free(a);
    pf_free(b);
}

static void alignment_is_kept(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        void *p = pf_alloc_aligned(alignment, 100);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % alignment, 0);
        pf_free(p);
    }
}

static void strings_are_cut_at_the_count_or_the_end(void **state)
{
    char *cut = pf_strndup("abcdef", 3);
    char *whole = pf_strndup("abc", 100);

    (void)state;
    assert_string_equal(cut, "abc");
    assert_string_equal(whole, "abc");
    pf_free(cut);
    pf_free(whole);
}

static void an_array_grows_and_keeps_its_items(void **state)
{
    int     *items = NULL;
    uint32_t capacity = 0, grown_count = 0;

    (void)state;
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t before = capacity;

        assert_int_equal(pf_grow((void **)&items, &capacity, i + 1, sizeof *items), 0);
        grown_count += capacity != before;
        items[i] = (int)i;
    }
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(items[i], i);
    assert_in_range(grown_count, 1, 15);
    pf_free(items);
}

static void a_failed_growth_changes_nothing(void **state)
{
    int     *items = NULL, *before = NULL;
    uint32_t capacity = 0, capacity_before = 0;

    (void)state;
    assert_int_equal(pf_grow((void **)&items, &capacity, 4, sizeof *items), 0);
    before = items;
    capacity_before = capacity;
    pf_alloc_fail_after(0);
    assert_int_equal(pf_grow((void **)&items, &capacity, capacity + 1, sizeof *items), -1);
    pf_alloc_fail_after(UINT64_MAX);
    assert_int_equal(pf_grow((void **)&items, &capacity, UINT32_MAX, SIZE_MAX / 1000), -1);
    assert_ptr_equal(items, before);
    assert_int_equal(capacity, capacity_before);
    pf_free(items);
}

/* Whatever pages it lies in. */
static void what_is_filled_whole_keeps_its_bytes(void **state)
{
    enum { BYTES = (33 << 20) + 5 };
    uint8_t *bytes = pf_calloc(1, BYTES);

    (void)state;
    assert_non_null(bytes);
    bytes[0] = 1, bytes[BYTES / 2] = 2, bytes[BYTES - 1] = 3;
    pf_alloc_expect_filling(bytes, BYTES);
    pf_alloc_expect_filling(NULL, BYTES);
    pf_alloc_expect_filling(bytes, 1);
    assert_true(bytes[0] == 1 && bytes[BYTES / 2] == 2 && bytes[BYTES - 1] == 3);
    for (size_t i = 1; i < BYTES / 2; i += 4093)
        assert_int_equal(bytes[i], 0);
    pf_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nth_allocation_fails),
        cmocka_unit_test(a_failed_realloc_keeps_the_old),
        cmocka_unit_test(allocations_are_counted),
        cmocka_unit_test(products_that_overflow_are_refused),
        cmocka_unit_test(nothing_is_a_pointer_too),
        cmocka_unit_test(alignment_is_kept),
        cmocka_unit_test(strings_are_cut_at_the_count_or_the_end),
        cmocka_unit_test(an_array_grows_and_keeps_its_items),
        cmocka_unit_test(a_failed_growth_changes_nothing),
        cmocka_unit_test(what_is_filled_whole_keeps_its_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
