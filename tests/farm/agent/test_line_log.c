/* The output of a build: lines, their limits, and what of them is kept. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "builder-agent/line_log.h"
#include "tests/test.h"

static void open_log(pf_line_log *log, const char *name)
{
    pf_err err = {0};

    test_ok(pf_line_log_open(log, test_path(name), &err), &err);
}

static void lines_are_kept_and_sent(void **state)
{
    static pf_line_log log;
    pf_digest          digest, found;
    uint64_t           bytes = 0;
    pf_err             err = {0};
    char               last[200];

    (void)state;
    open_log(&log, "log");
    pf_line_log_add(&log, "one\ntw", 6);
    assert_string_equal((const char *)log.pending.data, "one\n");
    pf_line_log_add(&log, "o\nthr\x01" "e\xff", 8);
    pf_line_log_end(&log);
    assert_string_equal((const char *)log.pending.data, "one\ntwo\nthr?e?\n");
    pf_line_log_last(&log, last, sizeof last);
    assert_string_equal(last, "one | two | thr?e?");
    pf_line_log_digest(&log, &digest);
    test_ok(pf_file_digest(test_path("log"), &found, &bytes, &err), &err);
    assert_true(pf_digest_equal(&digest, &found) && bytes == log.bytes);
    pf_line_log_sent(&log);
    assert_int_equal(log.pending.size, 0);
    pf_line_log_close(&log);
}

static void what_is_too_much_is_counted(void **state)
{
    static pf_line_log log;
    char               line[101];

    (void)state;
    memset(line, 'x', 100);
    line[100] = '\n';
    open_log(&log, "much");
    for (int i = 0; i < 1000; i++)
        pf_line_log_add(&log, line, sizeof line);
    assert_int_equal(log.pending.size / 101 + log.dropped_after, 1000);
    assert_int_equal(log.dropped_before, 0);
    assert_int_equal(log.bytes, 101000);
    pf_line_log_sent(&log);
    assert_true(log.dropped_before > 800);
    assert_int_equal(log.dropped_after, 0);
    pf_line_log_close(&log);
}

static void a_long_line_is_cut(void **state)
{
    static pf_line_log log;
    char               last[64];

    (void)state;
    open_log(&log, "long");
    for (int i = 0; i < 100000; i++)
        pf_line_log_add(&log, "y", 1);
    pf_line_log_add(&log, "\nnext\n", 6);
    assert_int_equal(log.bytes, PF_LINE_BYTES - 2 + 1 + 5);
    pf_line_log_last(&log, last, sizeof last);
    assert_int_equal(strlen(last), sizeof last - 1);
    pf_line_log_close(&log);
}

static void only_the_last_lines_are_remembered(void **state)
{
    static pf_line_log log;
    char               line[32], last[400];

    (void)state;
    open_log(&log, "last");
    for (int i = 0; i < 20; i++) {
        snprintf(line, sizeof line, "line %d\n", i);
        pf_line_log_add(&log, line, strlen(line));
    }
    pf_line_log_last(&log, last, sizeof last);
    assert_string_equal(last, "line 14 | line 15 | line 16 | line 17 | line 18 | line 19");
    pf_line_log_close(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_kept_and_sent),
        cmocka_unit_test(what_is_too_much_is_counted),
        cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(only_the_last_lines_are_remembered),
    };

    return cmocka_run_group_tests_name("line log", tests, NULL, NULL);
}
