/* The hash index and the table of jobs against arrays that are searched from end to end. */
#include "tests/test.h"

#include <string.h>

#include "base/random.h"
#include "coordinator/job_table.h"

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
        cmocka_unit_test(jobs_are_found_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
