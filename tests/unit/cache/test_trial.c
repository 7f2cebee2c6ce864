/* What a process that is gone tried last: blamed when it crashed, and only then. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cache/timing_db.h"
#include "cache/trial.h"
#include "tests/unit/cache/timing_samples.h"

static const char class_text[] = "class a", problem_text[] = "problem a";

static pf_timing_db *open_db(void)
{
    pf_timing_db *db = NULL;
    pf_err        err = {0};

    test_ok(pf_timing_db_open(test_path("cache"), NULL, &db, &err), &err);
    return db;
}

/* How the process of a trial ends. */
typedef void ending(void);
static void segfault(void) { raise(SIGSEGV); }
static void abortion(void) { abort(); }
static void division(void) { raise(SIGFPE); }
static void killing(void)  { raise(SIGKILL); }
static void stopping(void) { pause(); }
static void crash_aside(void)
{
    pf_trial_stand_aside();
    raise(SIGSEGV);
}

/* A process that tries something and ends so; its number.  over: only when the trial is over. */
static pid_t try(ending *end, bool over)
{
    pf_timing_entry candidate = {.tactic = "vendor", .tuning = "a=1", .rev = 3, .effort = 2};
    int             ready[2] = {-1, -1};
    char            byte = 0;
    pid_t           pid = 0;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        pf_timing_db    *db = NULL;
        pf_timing_store *store = NULL;

        signal(SIGSEGV, SIG_DFL);       /* a sanitizer, and cmocka, would answer them otherwise */
        signal(SIGABRT, SIG_DFL);
        signal(SIGFPE, SIG_DFL);
        pf_trial_watch(NULL);
        if (pf_timing_db_open(test_path("cache"), NULL, &db, NULL) || pf_timing_db_store(db, &store, NULL))
            _exit(1);
        store->note_trial(store, class_text, problem_text, &candidate);
        if (over)
            store->note_trial(store, class_text, problem_text, NULL);
        if (write(ready[1], "1", 1) == 1)
            end();
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void died_of(pid_t pid, int signal_number)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), signal_number);
}

/* Settles, and answers how many candidates the cache knows now. */
static uint32_t settle(pf_timing_record *out)
{
    pf_timing_db    *db = open_db();
    pf_timing_store *store = NULL;
    pf_digest        of_class = {0}, of_problem = {0};
    pf_err           err = {0};

    pf_digest_of(class_text, strlen(class_text), &of_class);
    pf_digest_of(problem_text, strlen(problem_text), &of_problem);
    test_ok(pf_timing_db_store(db, &store, &err), &err);
    test_ok(pf_trial_settle(test_path("cache"), store, &err), &err);
    test_ok(store->lookup(store, &of_class, &of_problem, 1, out, &err), &err);
    store->close(store);
    pf_timing_db_close(db);
    return out->count;
}

static int start_empty(void **state)
{
    pf_err err = {0};

    (void)state;
    test_ok(pf_dir_remove(test_path("cache"), &err), &err);
    pf_timing_db_close(open_db());
    return 0;
}

static void is_blamed(ending *end, int signal_number, const char *name)
{
    pf_timing_record record = {0};
    pid_t            pid = try(end, false);

    died_of(pid, signal_number);
    assert_true(pf_trial_crashed(test_path("cache"), pid));
    assert_true(pf_trial_crashed(test_path("cache"), 0));
    assert_false(pf_trial_crashed(test_path("cache"), getpid()));
    assert_int_equal(settle(&record), 1);
    assert_string_equal(record.entries[0].tactic, "vendor");
    assert_string_equal(record.entries[0].tuning, "a=1");
    assert_int_equal(record.entries[0].rev, 3);
    assert_int_equal(record.entries[0].status, PF_TIMING_FAILED);
    assert_non_null(strstr(record.entries[0].reason, name));
    pf_timing_record_clear(&record);
    assert_false(pf_trial_crashed(test_path("cache"), 0));
}

static void who_crashes_is_blamed(void **state)
{
    is_blamed(segfault, SIGSEGV, "SIGSEGV");
    start_empty(state);
    is_blamed(abortion, SIGABRT, "SIGABRT");
    start_empty(state);
    is_blamed(division, SIGFPE, "SIGFPE");
}

static void is_not_blamed(pid_t pid, int signal_number)
{
    pf_timing_record record = {0};

    died_of(pid, signal_number);
    assert_false(pf_trial_crashed(test_path("cache"), 0));
    assert_int_equal(settle(&record), 0);
    assert_int_equal(rmdir(test_path("cache/trials")), 0);      /* its file is gone */
}

static void who_is_killed_is_not(void **state)
{
    (void)state;
    is_not_blamed(try(killing, false), SIGKILL);
}

static void nor_for_what_another_process_sends(void **state)
{
    pid_t pid = try(stopping, false);

    (void)state;
    kill(pid, SIGSEGV);
    is_not_blamed(pid, SIGSEGV);
}

/* By who ended it: for that alone which it had been trying for long. */
static void nor_for_what_crashes_beside_it(void **state)
{
    (void)state;
    is_not_blamed(try(crash_aside, false), SIGSEGV);
}

static void who_stood_still_may_be_blamed(void **state)
{
    pf_timing_record record = {0};
    pid_t            pid = try(stopping, false);

    (void)state;
    assert_false(pf_trial_blame(test_path("cache"), pid, 0));           /* it lives */
    kill(pid, SIGKILL);
    died_of(pid, SIGKILL);
    assert_false(pf_trial_blame(test_path("cache"), pid, INT64_C(3600) * 1000000000));
    assert_false(pf_trial_crashed(test_path("cache"), pid));
    assert_true(pf_trial_blame(test_path("cache"), pid, 0));
    assert_true(pf_trial_crashed(test_path("cache"), pid));
    assert_int_equal(settle(&record), 1);
    assert_int_equal(record.entries[0].status, PF_TIMING_TIMEOUT);
    assert_non_null(strstr(record.entries[0].reason, "stood still"));
    pf_timing_record_clear(&record);
}

static void but_not_for_what_is_over(void **state)
{
    pid_t pid = try(stopping, true);

    (void)state;
    kill(pid, SIGKILL);
    died_of(pid, SIGKILL);
    assert_false(pf_trial_blame(test_path("cache"), pid, 0));
    assert_false(pf_trial_blame(test_path("cache"), getpid(), 0));      /* which tried nothing */
}

static void nor_for_what_came_later(void **state)
{
    (void)state;
    is_not_blamed(try(segfault, true), SIGSEGV);
}

static void what_is_tried_now_is_left_alone(void **state)
{
    pid_t            pid = try(stopping, false);
    char             name[64];
    pf_timing_record record = {0};

    (void)state;
    snprintf(name, sizeof name, "cache/trials/%ld", (long)pid);
    assert_int_equal(settle(&record), 0);
    assert_true(pf_file_exists(test_path(name)));
    kill(pid, SIGKILL);
    died_of(pid, SIGKILL);
}

static void nothing_is_left_when_all_goes_well(void **state)
{
    pf_timing_db    *db = open_db();
    pf_timing_store *store = NULL;
    pf_timing_entry  candidate = {.tactic = "vendor", .tuning = "a=1"};
    pf_err           err = {0};

    (void)state;
    test_ok(pf_timing_db_store(db, &store, &err), &err);
    store->note_trial(store, class_text, problem_text, NULL);
    assert_false(pf_file_exists(test_path("cache/trials")));    /* nothing was tried, nothing is made */
    store->note_trial(store, class_text, problem_text, &candidate);
    store->close(store);
    pf_timing_db_close(db);
    assert_int_equal(rmdir(test_path("cache/trials")), 0);
}

/* A byte of the note's head or of what it says is another one. */
static void a_damaged_note_blames_nobody(void **state)
{
    static const int bytes[] = {0, 4, 24, 25, 28, 31, 32, 39, 40, 41, 48, 53, 68, 98};

    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        pf_timing_record record = {0};
        char             name[64];
        uint8_t          value = 0;
        pid_t            pid = try(segfault, false);
        int              fd = -1;

        died_of(pid, SIGSEGV);
        snprintf(name, sizeof name, "cache/trials/%ld", (long)pid);
        fd = open(test_path(name), O_RDWR);
        assert_true(fd >= 0);
        assert_int_equal(pread(fd, &value, 1, bytes[i]), 1);
        value ^= 0x41;
        assert_int_equal(pwrite(fd, &value, 1, bytes[i]), 1);
        close(fd);
        assert_int_equal(settle(&record), 0);
        start_empty(state);
    }
}

static void texts_that_are_too_long_are_not_noted(void **state)
{
    enum { LONG = 1 << 17 };
    pf_trial       *trial = NULL;
    char           *text = malloc(LONG);
    pf_timing_entry candidate = {.tactic = "vendor", .tuning = "a=1"};
    pf_err          err = {0};

    (void)state;
    assert_non_null(text);
    memset(text, 'x', LONG - 1);
    text[LONG - 1] = 0;
    test_ok(pf_trial_open(test_path("cache"), &trial, &err), &err);
    pf_trial_begin(trial, class_text, text, &candidate);
    pf_trial_begin(trial, class_text, problem_text, &candidate);
    pf_trial_close(trial);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(who_crashes_is_blamed, start_empty),
        cmocka_unit_test_setup(who_is_killed_is_not, start_empty),
        cmocka_unit_test_setup(nor_for_what_another_process_sends, start_empty),
        cmocka_unit_test_setup(nor_for_what_crashes_beside_it, start_empty),
        cmocka_unit_test_setup(nor_for_what_came_later, start_empty),
        cmocka_unit_test_setup(who_stood_still_may_be_blamed, start_empty),
        cmocka_unit_test_setup(but_not_for_what_is_over, start_empty),
        cmocka_unit_test_setup(what_is_tried_now_is_left_alone, start_empty),
        cmocka_unit_test_setup(nothing_is_left_when_all_goes_well, start_empty),
        cmocka_unit_test_setup(a_damaged_note_blames_nobody, start_empty),
        cmocka_unit_test_setup(texts_that_are_too_long_are_not_noted, start_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
