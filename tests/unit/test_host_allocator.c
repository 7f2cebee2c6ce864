/* The allocator is given once in a process, before anything else, so its tests have a program of their own. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/memory.h"
#include "tests/test.h"

typedef struct ledger { size_t live, calls; bool is_empty; } ledger;

static ledger book;

static void *ledger_alloc(void *user, size_t bytes, size_t alignment)
{
    ledger *b = user;
    void   *out = NULL;

    if (b->is_empty || posix_memalign(&out, alignment, bytes))
        return NULL;
    memset(out, 0xa5, bytes);
    b->live++;
    b->calls++;
    return out;
}

static void ledger_free(void *user, void *pointer)
{
    assert_non_null(pointer);
    ((ledger *)user)->live--;
    free(pointer);
}

static const pf_host_allocator allocator = { ledger_alloc, ledger_free, &book };

static int use_it(void **state)
{
    (void)state;
    return pf_host_allocator_use(&allocator, NULL);
}

static void all_memory_comes_from_it(void **state)
{
    uint8_t *zeroed = pf_calloc(4, 8), *aligned = pf_alloc_aligned(256, 10), *nothing = pf_alloc(0);
    char    *text = pf_strdup("a text that is kept");

    (void)state;
    assert_int_equal(book.live, 4);
    for (int i = 0; i < 32; i++)
        assert_int_equal(zeroed[i], 0);
    assert_int_equal((uintptr_t)aligned % 256, 0);
    assert_int_equal((uintptr_t)text % 16, 0);
    text = pf_realloc(text, 4000);
    assert_string_equal(text, "a text that is kept");
    text[3999] = 1;
    text = pf_realloc(text, 7);
    assert_memory_equal(text, "a text ", 7);
    assert_int_equal(book.live, 4);
    pf_free(zeroed);
    pf_free(aligned);
    pf_free(nothing);
    pf_free(text);
    pf_free(NULL);
    assert_int_equal(book.live, 0);
}

static void what_it_has_not_is_out_of_memory(void **state)
{
    void *kept = pf_alloc(10);

    (void)state;
    book.is_empty = true;
    assert_null(pf_alloc(10));
    assert_null(pf_realloc(kept, 100));
    book.is_empty = false;
    assert_null(pf_alloc_aligned(256, SIZE_MAX - 100));
    pf_free(kept);
    assert_int_equal(book.live, 0);
}

static void its_blocks_are_watched_byte_by_byte(void **state)
{
    pf_memory_log   *log = NULL;
    pf_memory_totals totals = { 0 };
    pf_err           err = { 0 };
    void            *block = NULL;

    (void)state;
    test_ok(pf_memory_log_start(4, &log, &err), &err);
    block = pf_alloc(1001);
    pf_memory_log_totals(log, &totals);
    assert_int_equal(totals.host_bytes, 1001);
    pf_free(block);
    pf_memory_log_free(log);
}

static void it_comes_too_late_after_the_first_call(void **state)
{
    pf_err err = { 0 };

    (void)state;
    test_fails(pf_host_allocator_use(&allocator, &err), PF_INVALID, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_memory_comes_from_it),
        cmocka_unit_test(what_it_has_not_is_out_of_memory),
        cmocka_unit_test(its_blocks_are_watched_byte_by_byte),
        cmocka_unit_test(it_comes_too_late_after_the_first_call),
    };

    return cmocka_run_group_tests(tests, use_it, NULL);
}
