#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/random.h"
#include "tests/test.h"

enum { PIECES = 2000 };

/* Every piece is zeroed, aligned, and overlaps no other: each is filled with its number and looked at again at the
   end. */
static void pieces_do_not_overlap(void **state)
{
    static struct { uint8_t *data; size_t bytes; } pieces[PIECES];
    pf_arena *arena = pf_arena_new();
    pf_random random;

    (void)state;
    assert_non_null(arena);
    pf_random_init(&random, 1);
    for (int i = 0; i < PIECES; i++) {
        pieces[i].bytes = pf_random_below(&random, i % 100 == 0 ? 200000 : 300);
        pieces[i].data = pf_arena_alloc(arena, pieces[i].bytes);
        assert_non_null(pieces[i].data);
        assert_int_equal((uintptr_t)pieces[i].data % 16, 0);
        for (size_t k = 0; k < pieces[i].bytes; k++)
            assert_int_equal(pieces[i].data[k], 0);
        memset(pieces[i].data, i & 255, pieces[i].bytes);
    }
    for (int i = 0; i < PIECES; i++)
        for (size_t k = 0; k < pieces[i].bytes; k++)
            assert_int_equal(pieces[i].data[k], i & 255);
    pf_arena_free(arena);
}

static void copies(void **state)
{
    pf_arena  *arena = pf_arena_new();
    const int  numbers[] = {1, 2, 3};
    const int *copy = pf_arena_copy(arena, numbers, sizeof numbers);

    (void)state;
    assert_memory_equal(copy, numbers, sizeof numbers);
    assert_string_equal(pf_arena_strdup(arena, "relu"), "relu");
    assert_string_equal(pf_arena_strdup(arena, ""), "");
    assert_string_equal(pf_arena_strndup(arena, "relu_1", 4), "relu");
    assert_string_equal(pf_arena_strndup(arena, "relu", 99), "relu");
    assert_non_null(pf_arena_copy(arena, NULL, 0));
    assert_ptr_not_equal(pf_arena_alloc(arena, 0), pf_arena_alloc(arena, 0));
    pf_arena_free(arena);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    pf_arena *arena = pf_arena_new();

    (void)state;
    assert_null(pf_arena_alloc(arena, SIZE_MAX));
    assert_null(pf_arena_alloc(arena, SIZE_MAX - 8));
    assert_non_null(pf_arena_alloc(arena, 8));
    pf_arena_free(arena);
    pf_arena_free(NULL);
}

static void out_of_memory_leaves_the_rest_usable(void **state)
{
    pf_arena *arena = NULL;
    char     *first = NULL;

    (void)state;
    pf_alloc_fail_after(0);
    assert_null(pf_arena_new());
    pf_alloc_fail_after(UINT64_MAX);
    arena = pf_arena_new();
    first = pf_arena_strdup(arena, "first");
    pf_alloc_fail_after(0);
    assert_null(pf_arena_alloc(arena, 1 << 20));
    assert_null(pf_arena_copy(arena, first, 1 << 20));
    pf_alloc_fail_after(UINT64_MAX);
    assert_non_null(pf_arena_alloc(arena, 1 << 20));
    assert_string_equal(first, "first");
    pf_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(copies),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(out_of_memory_leaves_the_rest_usable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
