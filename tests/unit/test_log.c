#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/test.h"

static char         last[4096];
static pf_log_level last_level;
static unsigned     line_count;

static void remember(void *user, pf_log_level level, const char *line)
{
    assert_ptr_equal(user, last);
    snprintf(last, sizeof last, "%s", line);
    last_level = level;
    line_count++;
}

static int fresh(void **state)
{
    (void)state;
    pf_log_set_filter("");
    pf_log_set_sink(remember, last);
    last[0] = 0;
    line_count = 0;
    return 0;
}

static void a_line(void **state)
{
    (void)state;
    pf_log(PF_LOG_ERROR, "wire", "refused peer=%d", 7);
    assert_string_equal(last, "wire refused peer=7");
    assert_int_equal(last_level, PF_LOG_ERROR);
}

static void quotes_are_around_values_only(void **state)
{
    char long_text[4096];

    (void)state;
    pf_log(PF_LOG_ERROR, "wire", "refused reason=\"%s\" peer=%s", "the key \"a\" is old\" peer=\"b|", "c\"d");
    assert_string_equal(last, "wire refused reason=\"the key 'a' is old' peer='b|\" peer=c'd");
    memset(long_text, '"', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    pf_log(PF_LOG_ERROR, "wire", "refused reason=\"%s\"", long_text);
    assert_ptr_equal(strchr(last, '"'), strrchr(last, '"'));
}

static void nothing_comes_out_without_a_sink(void **state)
{
    (void)state;
    pf_log_set_sink(NULL, NULL);
    assert_false(pf_log_wanted(PF_LOG_ERROR, "wire"));
    pf_log(PF_LOG_ERROR, "wire", "unheard");
    assert_int_equal(line_count, 0);
}

static void warnings_by_default(void **state)
{
    (void)state;
    assert_true(pf_log_wanted(PF_LOG_WARN, "wire"));
    assert_false(pf_log_wanted(PF_LOG_INFO, "wire"));
    pf_log(PF_LOG_INFO, "wire", "unwanted");
    assert_int_equal(line_count, 0);
}

static void filters_go_by_component(void **state)
{
    (void)state;
    pf_log_set_filter("search:debug,wire:error,info");
    assert_true(pf_log_wanted(PF_LOG_DEBUG, "search"));
    assert_false(pf_log_wanted(PF_LOG_WARN, "wire"));
    assert_true(pf_log_wanted(PF_LOG_INFO, "queue"));
    assert_false(pf_log_wanted(PF_LOG_DEBUG, "queue"));
    assert_false(pf_log_wanted(PF_LOG_DEBUG, "searching"));
}

static void filters_come_from_the_environment(void **state)
{
    (void)state;
    setenv("PF_LOG", "queue:debug", 1);
    pf_log_set_filter(NULL);
    unsetenv("PF_LOG");
    assert_true(pf_log_wanted(PF_LOG_DEBUG, "queue"));
    pf_log_set_filter(NULL);
    assert_false(pf_log_wanted(PF_LOG_DEBUG, "queue"));
}

static void senseless_filters_are_passed_over(void **state)
{
    char longest[5000];

    (void)state;
    memset(longest, 'x', sizeof longest);
    memcpy(longest + sizeof longest - 7, ":debug", 7);
    pf_log_set_filter(",,:,a:,:info,b:loud,noise,");
    assert_true(pf_log_wanted(PF_LOG_WARN, "a"));
    assert_false(pf_log_wanted(PF_LOG_INFO, "b"));
    assert_int_equal(line_count, 1);
    assert_non_null(strstr(last, "filter_passed_over text=\"noise\""));
    pf_log_set_filter(longest);
    assert_false(pf_log_wanted(PF_LOG_DEBUG, "xxx"));
    assert_int_equal(line_count, 2);
}

static void text_from_outside_stays_on_its_line(void **state)
{
    (void)state;
    pf_log(PF_LOG_WARN, "wire", "peer=%s", "a\nwire accepted peer=b\x1b[2J\r");
    assert_string_equal(last, "wire peer=a wire accepted peer=b [2J ");
}

static void long_lines_are_cut_visibly(void **state)
{
    char text[5000];

    (void)state;
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = 0;
    pf_log(PF_LOG_WARN, "wire", "%s", text);
    assert_in_range(strlen(last), 1000, 4000);
    assert_string_equal(last + strlen(last) - 4, "y...");
}

enum { THREADS = 4, LINES_EACH = 100 };

static void *log_many(void *user)
{
    for (int i = 0; i < LINES_EACH; i++)
        pf_log(PF_LOG_WARN, "wire", "thread=%d line=%d", *(int *)user, i);
    return NULL;
}

/* All lines of all threads arrive whole: the pipe holds them all, so nobody reads meanwhile. */
static void lines_of_threads_do_not_mix(void **state)
{
    int       ends[2] = {-1, -1}, numbers[THREADS] = {0}, kept = dup(STDERR_FILENO), seen = 0;
    pthread_t threads[THREADS];
    FILE     *in = NULL;
    char      line[256];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    pf_log_to_stderr();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    dup2(kept, STDERR_FILENO);
    close(kept);
    in = fdopen(ends[0], "r");
    while (fgets(line, sizeof line, in)) {
        int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0, thread = 0, number = 0, end = 0;

        assert_int_equal(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ warn wire thread=%d line=%d\n%n", &year, &month,
                                &day, &hour, &minute, &second, &ms, &thread, &number, &end), 9);
        assert_int_equal(line[end], 0);
        seen++;
    }
    fclose(in);
    assert_int_equal(seen, THREADS * LINES_EACH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line, fresh),
        cmocka_unit_test_setup(quotes_are_around_values_only, fresh),
        cmocka_unit_test_setup(nothing_comes_out_without_a_sink, fresh),
        cmocka_unit_test_setup(warnings_by_default, fresh),
        cmocka_unit_test_setup(filters_go_by_component, fresh),
        cmocka_unit_test_setup(filters_come_from_the_environment, fresh),
        cmocka_unit_test_setup(senseless_filters_are_passed_over, fresh),
        cmocka_unit_test_setup(text_from_outside_stays_on_its_line, fresh),
        cmocka_unit_test_setup(long_lines_are_cut_visibly, fresh),
        cmocka_unit_test_setup(lines_of_threads_do_not_mix, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
