/* The hash index, the pool and the table of jobs against arrays that are searched from end to end. */
#include "tests/test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "coordinator/job_table.h"
#include "coordinator/pool.h"

enum { ITEMS = 3000, ROUNDS = 20000, LOOKED_AT = 500 };

typedef struct item { uint64_t key; bool in; } item;

static const uint8_t seed[PF_INDEX_SEED_BYTES] = { 7 };

static void check_index(const pf_index *index, const item *items)
{
    uint32_t in = 0;

    for (int i = 0; i < ITEMS; i++) {
        in += items[i].in;
        assert_ptr_equal(pf_index_find(index, &items[i].key), items[i].in ? (const void *)&items[i] : NULL);
    }
    assert_int_equal(index->count, in);
    assert_true(index->capacity == 0 || index->count < index->capacity);
}

/* Grows, shrinks and grows again, so that gaps close over the end of the array as well. */
static void an_index_holds_what_was_added(void **state)
{
    static item items[ITEMS];
    pf_index    index;
    pf_random   random;

    (void)state;
    pf_random_init(&random, 1);
    pf_index_init(&index, offsetof(item, key), sizeof(uint64_t), seed);
    for (int i = 0; i < ITEMS; i++)
        items[i] = (item){ .key = pf_random_u64(&random) };
    for (int round = 0; round < ROUNDS; round++) {
        item *one = &items[pf_random_below(&random, round % 8000 < 4000 ? ITEMS : ITEMS / 20)];
        if (one->in)
            pf_index_remove(&index, &one->key);
        else
            assert_true(pf_index_add(&index, one));
        one->in = !one->in;
        if (round % (ROUNDS / 40) == 0)
            check_index(&index, items);
    }
    check_index(&index, items);
    pf_index_clear(&index);
}

static void room_that_was_reserved_is_enough(void **state)
{
    static item items[ITEMS];
    pf_index    index;
    uint32_t    capacity = 0;

    (void)state;
    pf_index_init(&index, offsetof(item, key), sizeof(uint64_t), seed);
    assert_true(pf_index_reserve(&index, ITEMS));
    capacity = index.capacity;
    assert_in_range(capacity, ITEMS, ITEMS * 3 / 2);
    for (int i = 0; i < ITEMS; i++) {
        items[i] = (item){ .key = (uint64_t)i, .in = true };
        assert_true(pf_index_add(&index, &items[i]));
    }
    assert_int_equal(index.capacity, capacity);
    assert_true(pf_index_reserve(&index, 1));
    check_index(&index, items);
    pf_index_clear(&index);
}

/* ---- the pool: what was taken stays apart from all else, and comes zeroed */

static void fill_item(uint8_t *at, size_t bytes, int mark)
{
    for (size_t i = 0; i < bytes; i++) {
        assert_int_equal(at[i], 0);
        at[i] = (uint8_t)mark;
    }
}

static void expect_item(const uint8_t *at, size_t bytes, int mark)
{
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(at[i], mark);
}

static void a_pool_gives_memory_of_all_sizes(void **state)
{
    static uint8_t *at[ITEMS];
    pf_pool         pool = { 0 };
    pf_random       random;

    (void)state;
    pf_random_init(&random, 3);
    for (int round = 0; round < 4 * ITEMS; round++) {
        int    i = (int)pf_random_below(&random, ITEMS), mark = 1 + i % 255;
        size_t bytes = 1 + (size_t)i % (PF_POOL_ITEM_MAX + 40);
        if (at[i]) {
            expect_item(at[i], bytes, mark);
            pf_pool_give(&pool, at[i], bytes);
            at[i] = NULL;
            continue;
        }
        at[i] = pf_pool_take(&pool, bytes);
        assert_non_null(at[i]);
        assert_int_equal((uintptr_t)at[i] % 8, 0);
        fill_item(at[i], bytes, mark);
    }
    for (int i = 0; i < ITEMS; i++) {
        size_t bytes = 1 + (size_t)i % (PF_POOL_ITEM_MAX + 40);
        if (at[i])
            expect_item(at[i], bytes, 1 + i % 255);
        pf_pool_give(&pool, at[i], bytes);
        at[i] = NULL;
    }
    pf_pool_give(&pool, NULL, 8);
    pf_pool_clear(&pool);
}

/* As large as chunks and arrays on large pages are. */
static void large_arrays_come_zeroed(void **state)
{
    enum { COUNT = 5 << 20 };
    uint8_t *array = pf_pool_array(COUNT, 1), sum = 0;
    pf_pool  pool = { 0 };

    (void)state;
    assert_non_null(array);
    for (int i = 0; i < COUNT; i++)
        sum |= array[i];
    assert_int_equal(sum, 0);
    memset(array, 1, COUNT);
    pf_free(array);
    assert_null(pf_pool_array(SIZE_MAX, 2));
    for (int i = 0; i < COUNT / 100; i++) {
        uint64_t *word = pf_pool_take(&pool, 152);
        assert_non_null(word);
        assert_true(word[0] == 0 && word[18] == 0);
        word[0] = word[18] = 1;
#ifdef __SANITIZE_ADDRESS__
        pf_pool_give(&pool, word, 152);
#endif
    }
    pf_pool_clear(&pool);
}

/* ---- jobs: the table only keeps their addresses */

static struct pf_job *job_of(item *one)
{
    return (struct pf_job *)one;
}

static void check_table(const pf_job_table *table, item *items, pf_random *random)
{
    for (int n = 0; n < LOOKED_AT; n++) {
        int i = (int)pf_random_below(random, ITEMS), above = i + 1, below = i - 1;
        while (above < ITEMS && !items[above].in)
            above++;
        while (below >= 0 && !items[below].in)
            below--;
        assert_ptr_equal(pf_job_table_find(table, items[i].key), items[i].in ? job_of(&items[i]) : NULL);
        assert_ptr_equal(pf_job_table_above(table, items[i].key), above < ITEMS ? job_of(&items[above]) : NULL);
        assert_ptr_equal(pf_job_table_below(table, items[i].key), below >= 0 ? job_of(&items[below]) : NULL);
    }
}

/* Ids with gaps of all sizes, added in order and out of it, taken away until none is left. */
static void jobs_are_found_in_order(void **state)
{
    static item  items[ITEMS];
    pf_job_table table;
    pf_random    random;
    uint64_t     id = 0;

    (void)state;
    pf_random_init(&random, 2);
    pf_job_table_init(&table, seed);
    for (int i = 0; i < ITEMS; i++) {
        id += 1 + pf_random_below(&random, i % 10 == 0 ? 1000 : 3);
        items[i] = (item){ .key = id, .in = i % 3 != 0 };
        if (items[i].in)
            assert_true(pf_job_table_add(&table, id, job_of(&items[i])));
    }
    check_table(&table, items, &random);
    for (int i = 0; i < ITEMS; i += 3) {
        assert_true(pf_job_table_add(&table, items[i].key, job_of(&items[i])));
        items[i].in = true;
    }
    check_table(&table, items, &random);
    assert_int_equal(table.count, ITEMS);
    for (int i = 0; i < ITEMS; i++)
        if (i % 50 != 0) {
            pf_job_table_remove(&table, items[i].key);
            items[i].in = false;
        }
    check_table(&table, items, &random);
    for (int i = 0; i < ITEMS; i += 50)
        pf_job_table_remove(&table, items[i].key);
    assert_int_equal(table.count, 0);
    assert_null(table.newest);
    assert_null(pf_job_table_above(&table, 0));
    pf_job_table_clear(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_index_holds_what_was_added),
        cmocka_unit_test(room_that_was_reserved_is_enough),
        cmocka_unit_test(a_pool_gives_memory_of_all_sizes),
        cmocka_unit_test(large_arrays_come_zeroed),
        cmocka_unit_test(jobs_are_found_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
