#include "base/memory.h"

#include <string.h>

#include "base/alloc.h"
#include "tests/test.h"

static pf_memory_log *start(uint32_t capacity)
{
    pf_memory_log *log = NULL;
    pf_err         err = { 0 };

    test_ok(pf_memory_log_start(capacity, &log, &err), &err);
    return log;
}

static pf_memory_totals totals_of(const pf_memory_log *log)
{
    pf_memory_totals totals = { 0 };

    pf_memory_log_totals(log, &totals);
    return totals;
}

static void every_block_is_told_of_twice(void **state)
{
    pf_memory_log *log = start(8);
    void          *a = pf_alloc(100), *b = pf_calloc(10, 20), *c = pf_alloc_aligned(256, 1000);

    (void)state;
    assert_true(totals_of(log).host_bytes >= 100 + 200 + 1000);
    pf_free(b);
    pf_free(a);
    pf_free(c);
    pf_free(NULL);
    pf_memory_log_stop(log);
    assert_int_equal(pf_memory_log_count(log), 6);
    assert_ptr_equal(pf_memory_log_event(log, 0)->pointer, a);
    assert_false(pf_memory_log_event(log, 2)->is_free);
    assert_true(pf_memory_log_event(log, 3)->is_free);
    assert_ptr_equal(pf_memory_log_event(log, 3)->pointer, b);
    assert_null(pf_memory_log_event(log, 6));
    for (uint32_t i = 1; i < 6; i++)
        assert_true(pf_memory_log_event(log, i)->time_ns >= pf_memory_log_event(log, i - 1)->time_ns);
    assert_int_equal(totals_of(log).host_bytes, 0);
    assert_true(totals_of(log).host_peak_bytes >= 1300);
    assert_int_equal(totals_of(log).device_bytes, 0);
    pf_memory_log_free(log);
}

static void a_grown_block_is_given_back_and_taken(void **state)
{
    pf_memory_log *log = start(8);
    char          *text = pf_strdup("kept");

    (void)state;
    text = pf_realloc(text, 5000);
    assert_string_equal(text, "kept");
    assert_true(totals_of(log).host_bytes >= 5000);
    text = pf_realloc(text, 5);
    assert_string_equal(text, "kept");
    assert_true(totals_of(log).host_bytes < 5000);
    pf_free(text);
    assert_int_equal(totals_of(log).host_bytes, 0);
    assert_int_equal(totals_of(log).event_count, 6);
    pf_memory_log_free(log);
}

static void a_full_list_goes_on_counting(void **state)
{
    pf_memory_log *log = start(1);

    (void)state;
    pf_free(pf_alloc(10));
    pf_free(pf_alloc(10));
    assert_int_equal(pf_memory_log_count(log), 1);
    assert_int_equal(totals_of(log).event_count, 4);
    assert_int_equal(totals_of(log).dropped_count, 3);
    assert_int_equal(totals_of(log).host_bytes, 0);
    pf_memory_log_free(log);
}

static void device_memory_counts_by_itself(void **state)
{
    pf_memory_log *log = start(4);
    int            block = 0;

    (void)state;
    pf_memory_tell(&block, 700, false, true);
    pf_memory_tell(&block, 700, true, true);
    assert_int_equal(totals_of(log).device_bytes, 0);
    assert_int_equal(totals_of(log).device_peak_bytes, 700);
    assert_int_equal(totals_of(log).host_peak_bytes, 0);
    assert_true(pf_memory_log_event(log, 0)->on_device);
    pf_memory_log_free(log);
}

static void one_watches_at_a_time(void **state)
{
    pf_memory_log *log = start(4), *other = NULL;
    pf_err         err = { 0 };

    (void)state;
    test_fails(pf_memory_log_start(4, &other, &err), PF_BUSY, &err);
    assert_null(other);
    pf_memory_log_stop(log);
    pf_free(pf_alloc(1));
    test_ok(pf_memory_log_start(4, &other, &err), &err);
    pf_memory_log_free(log);                            /* which watches no more, and so stops nobody */
    pf_free(pf_alloc(1));
    assert_int_equal(totals_of(other).event_count, 3);  /* the log's own block was given back too */
    pf_memory_log_free(other);
    assert_false(pf_memory_is_watched());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_is_told_of_twice),
        cmocka_unit_test(a_grown_block_is_given_back_and_taken),
        cmocka_unit_test(a_full_list_goes_on_counting),
        cmocka_unit_test(device_memory_counts_by_itself),
        cmocka_unit_test(one_watches_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
