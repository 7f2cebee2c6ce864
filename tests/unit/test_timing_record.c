#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "base/timing_record.h"

static pf_timing_entry entry_of(const char *tactic, const char *tuning, uint32_t samples, int64_t spread_ns)
{
    pf_timing_entry e = {.rev = 1, .status = PF_TIMED, .sample_count = samples, .min_ns = 1000, .median_ns = 1100,
                         .spread_ns = spread_ns, .workspace_bytes = 4096, .max_rel_error = 1e-6, .effort = 2,
                         .clock_mhz = 2600, .wall_ns = 1763710000000000000};

    snprintf(e.tactic, sizeof e.tactic, "%s", tactic);
    snprintf(e.tuning, sizeof e.tuning, "%s", tuning);
    return e;
}

static void put(pf_timing_record *record, pf_timing_entry e)
{
    pf_err err = { 0 };

    test_ok(pf_timing_record_put(record, &e, &err), &err);
}

static void entries_are_sorted_and_found(void **state)
{
    pf_timing_record record = { 0 };

    (void)state;
    put(&record, entry_of("b", "2", 3, 10));
    put(&record, entry_of("a", "9", 3, 10));
    put(&record, entry_of("b", "1", 3, 10));
    assert_int_equal(record.count, 3);
    assert_string_equal(record.entries[0].tactic, "a");
    assert_string_equal(record.entries[1].tuning, "1");
    assert_ptr_equal(pf_timing_record_find(&record, "b", "2"), &record.entries[2]);
    assert_null(pf_timing_record_find(&record, "b", "3"));
    assert_null(pf_timing_record_find(&record, "c", "1"));
    pf_timing_record_clear(&record);
}

static void the_better_measurement_stays(void **state)
{
    pf_timing_record record = { 0 };
    pf_timing_entry  e;

    (void)state;
    put(&record, entry_of("a", "1", 10, 50));
    e = entry_of("a", "1", 5, 1);
    e.effort = 3;
    put(&record, e);                                        /* fewer samples, but of a greater effort */
    assert_int_equal(record.entries[0].spread_ns, 50);
    assert_int_equal(record.entries[0].effort, 3);
    put(&record, entry_of("a", "1", 10, 20));               /* less spread */
    assert_int_equal(record.entries[0].spread_ns, 20);
    e = entry_of("a", "1", 100, 1);
    e.contended = 1;
    put(&record, e);
    assert_int_equal(record.entries[0].sample_count, 10);   /* contended ones do not replace */
    e = entry_of("a", "1", 1, 90);
    e.rev = 2;
    put(&record, e);
    assert_int_equal(record.entries[0].rev, 2);             /* a newer tactic does, however poor its measurement */
    e = entry_of("a", "1", 1, 90);
    e.rev = 2;
    e.wall_ns++;
    e.median_ns = 5;
    put(&record, e);
    assert_int_equal(record.entries[0].median_ns, 5);       /* newer */
    assert_int_equal(record.count, 1);
    pf_timing_record_clear(&record);
}

static void random_record(pf_timing_record *record, uint64_t seed)
{
    pf_random random;

    pf_random_init(&random, seed);
    for (int i = 0; i < 40; i++) {
        char            tuning[16] = "";
        pf_timing_entry e;

        snprintf(tuning, sizeof tuning, "t%u", (unsigned)pf_random_below(&random, 12));
        e = entry_of("x", tuning, (uint32_t)pf_random_below(&random, 4), (int64_t)pf_random_below(&random, 4));
        e.rev = (uint16_t)pf_random_below(&random, 2);
        e.contended = (uint8_t)pf_random_below(&random, 2);
        e.wall_ns += (int64_t)pf_random_below(&random, 3);
        put(record, e);
    }
}

static void merging_in_any_order_gives_the_same(void **state)
{
    pf_timing_record a = { 0 }, b = { 0 }, ab = { 0 }, ba = { 0 };
    pf_buf           x, y;
    pf_err           err = { 0 };

    (void)state;
    random_record(&a, 1);
    random_record(&b, 2);
    a.effort = 3;
    test_ok(pf_timing_record_merge(&ab, &a, &err), &err);
    test_ok(pf_timing_record_merge(&ab, &b, &err), &err);
    test_ok(pf_timing_record_merge(&ba, &b, &err), &err);
    test_ok(pf_timing_record_merge(&ba, &a, &err), &err);
    pf_buf_init(&x, 1 << 20);
    pf_buf_init(&y, 1 << 20);
    assert_true(pf_timing_record_encode(&ab, &x) && pf_timing_record_encode(&ba, &y));
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    assert_int_equal(ab.effort, 3);
    pf_buf_clear(&x), pf_buf_clear(&y);
    pf_timing_record_clear(&a), pf_timing_record_clear(&b), pf_timing_record_clear(&ab), pf_timing_record_clear(&ba);
}

static void encoding_is_read_back(void **state)
{
    pf_timing_record record = { .effort = 4 }, again = { 0 };
    pf_timing_entry  e = entry_of("onednn_conv", "impl=brgconv:avx512_core", 30, 7);
    pf_buf           bytes;
    pf_err           err = { 0 };

    (void)state;
    snprintf(e.reason, sizeof e.reason, "differs by 3e-3");
    e.status = PF_TIMING_WRONG;
    put(&record, e);
    put(&record, entry_of("a", "", 1, 1));
    pf_buf_init(&bytes, 1 << 16);
    assert_true(pf_timing_record_encode(&record, &bytes));
    test_ok(pf_timing_record_decode(bytes.data, bytes.size, &again, &err), &err);
    assert_int_equal(again.count, 2);
    assert_int_equal(again.effort, 4);
    assert_memory_equal(&again.entries[1], &e, sizeof e);
    pf_timing_record_clear(&record), pf_timing_record_clear(&again);
    pf_buf_clear(&bytes);
}

static void damaged_bytes_are_refused(void **state)
{
    pf_timing_record record = { 0 }, again = { 0 };
    pf_buf           bytes;
    pf_err           err = { 0 };

    (void)state;
    put(&record, entry_of("a", "b", 1, 1));
    pf_buf_init(&bytes, 1 << 16);
    assert_true(pf_timing_record_encode(&record, &bytes));
    for (size_t i = 0; i < bytes.size; i++) {
        bytes.data[i] ^= 0x40;
        assert_int_not_equal(pf_timing_record_decode(bytes.data, bytes.size, &again, &err), PF_OK);
        assert_null(again.entries);
        pf_err_clear(&err);
        bytes.data[i] ^= 0x40;
    }
    for (size_t size = 0; size < bytes.size; size++)
        test_fails(pf_timing_record_decode(bytes.data, size, &again, &err), PF_CORRUPT, &err);
    bytes.data[4] = 99;         /* the version, which is looked at before the checksum */
    test_fails(pf_timing_record_decode(bytes.data, bytes.size, &again, &err), PF_STALE, &err);
    pf_timing_record_clear(&record);
    pf_buf_clear(&bytes);
}

/* Findings say -1 of what was not compared. */
static void only_sizes_are_errors(void **state)
{
    static const struct { double error; bool plausible; } cases[] = {
        { 0, true }, { 0.5, true }, { INFINITY, true }, { -1, true }, { -0.25, true }, { -1.5, false }, { NAN, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_timing_record record = { 0 }, back = { 0 };
        pf_timing_entry  entry = entry_of("a", "1", 3, 10);
        pf_buf           bytes = { 0 };
        pf_err           err = { 0 };

        entry.max_rel_error = cases[i].error;
        put(&record, entry);
        pf_buf_init(&bytes, 1 << 16);
        assert_true(pf_timing_record_encode(&record, &bytes));
        if (cases[i].plausible) {
            test_ok(pf_timing_record_decode(bytes.data, bytes.size, &back, &err), &err);
            assert_true(back.entries[0].max_rel_error == cases[i].error);
        } else {
            test_fails(pf_timing_record_decode(bytes.data, bytes.size, &back, &err), PF_CORRUPT, &err);
        }
        pf_buf_clear(&bytes);
        pf_timing_record_clear(&record);
        pf_timing_record_clear(&back);
    }
}

static void memory_store_keeps_records(void **state)
{
    pf_timing_store *store = NULL;
    pf_timing_record record = { 0 }, out[2] = { { 0 } };
    pf_digest        class_digest, problems[2];
    pf_err           err = { 0 };

    (void)state;
    put(&record, entry_of("a", "b", 1, 1));
    test_ok(pf_timing_store_memory(&store, &err), &err);
    test_ok(store->merge(store, "class", "problem", &record, &err), &err);
    pf_digest_of("class", 5, &class_digest);
    pf_digest_of("problem", 7, &problems[0]);
    pf_digest_of("another", 7, &problems[1]);
    test_ok(store->lookup(store, &class_digest, problems, 2, out, &err), &err);
    assert_int_equal(out[0].count, 1);
    assert_int_equal(out[1].count, 0);
    pf_timing_record_clear(&out[0]);
    test_ok(store->merge(store, "other class", "another", &record, &err), &err);
    test_ok(store->lookup(store, &class_digest, problems, 2, out, &err), &err);
    assert_int_equal(out[1].count, 0);          /* classes do not mix */
    pf_timing_record_clear(&out[0]), pf_timing_record_clear(&out[1]), pf_timing_record_clear(&record);
    store->close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_sorted_and_found), cmocka_unit_test(the_better_measurement_stays),
        cmocka_unit_test(merging_in_any_order_gives_the_same), cmocka_unit_test(encoding_is_read_back),
        cmocka_unit_test(damaged_bytes_are_refused), cmocka_unit_test(only_sizes_are_errors),
        cmocka_unit_test(memory_store_keeps_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
