/* Transpositions of all sizes of items, of whole tiles and of what is left beside them, against plain loops; nothing
   beside the result is written. */
#include "kernels/cpu_copy.h"

#include <string.h>

#include "base/alloc.h"
#include "tests/test.h"

enum { MOST = 70, ITEM_MOST = 16, GAP = 3, POISON = 0xa5 };

typedef struct sizes { int64_t rows, columns; size_t item; } sizes;

static size_t bytes_of(sizes s)
{
    return (size_t)(s.rows * (s.columns + GAP)) * s.item;
}

/* in: columns by rows, without gaps; out: rows by columns, with a gap behind each. */
static void check_result(sizes s, const uint8_t *in, const uint8_t *out)
{
    for (int64_t r = 0; r < s.rows; r++) {
        const uint8_t *row = out + (size_t)(r * (s.columns + GAP)) * s.item;

        for (int64_t c = 0; c < s.columns; c++)
            assert_memory_equal(row + (size_t)c * s.item, in + (size_t)(c * s.rows + r) * s.item, s.item);
        for (size_t i = (size_t)s.columns * s.item; i < (size_t)(s.columns + GAP) * s.item; i++)
            assert_int_equal(row[i], POISON);
    }
}

static void check_transposition(sizes s, int32_t threads)
{
    size_t   in_bytes = (size_t)(s.rows * s.columns) * s.item;
    uint8_t *in = pf_alloc(in_bytes), *out = pf_alloc(bytes_of(s));
    pf_copy  copy = { .rank = 2, .dim = { s.rows, s.columns }, .in_stride = { 1, s.rows },
                      .out_stride = { s.columns + GAP, 1 } };

    assert_non_null(in);
    assert_non_null(out);
    for (size_t i = 0; i < in_bytes; i++)
        in[i] = (uint8_t)(i * 2654435761u >> 13);
    memset(out, POISON, bytes_of(s));
    pf_copy_normalize(&copy);
    pf_copy_run(&copy, s.item, in, out, threads);
    check_result(s, in, out);
    pf_free(in);
    pf_free(out);
}

static void test_transpositions(void **state)
{
    static const int64_t lengths[] = { 1, 3, 4, 15, 16, 17, 32, 50, MOST };
    enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

    (void)state;
    for (size_t item = 1; item <= ITEM_MOST; item *= 2)
        for (size_t r = 0; r < LENGTHS; r++)
            for (size_t c = 0; c < LENGTHS; c++)
                check_transposition((sizes){ lengths[r], lengths[c], item }, 1);
}

static void test_transpositions_by_threads(void **state)
{
    (void)state;
    for (size_t item = 1; item <= ITEM_MOST; item *= 2)
        check_transposition((sizes){ 333, 211, item }, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transpositions),
        cmocka_unit_test(test_transpositions_by_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
