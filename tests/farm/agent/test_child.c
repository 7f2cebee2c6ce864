/* Processes of the agent: this program starts itself, as the agent does. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "builder-agent/child.h"
#include "builder-agent/record.h"
#include "tests/test.h"

/* ---- what the child does */

static int act(int argc, char **argv)
{
    const char *mode = argv[1];

    if (!pf_child_enter())
        return 99;
    if (strcmp(mode, "--say") == 0) {
        dprintf(PF_RECORD_FD, "record");
        dprintf(STDERR_FILENO, "%soutput\n", argc > 2 ? "planfarm-agent: " : "");
        return argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
    }
    if (strcmp(mode, "--sleep") == 0)
        for (;;)
            pause();
    if (strcmp(mode, "--crash") == 0) {
        dprintf(STDERR_FILENO, "about to fall\n");
        signal(SIGSEGV, SIG_DFL);       /* a sanitizer would answer it otherwise */
        raise(SIGSEGV);
    }
    if (strcmp(mode, "--family") == 0) {        /* a grandchild that outlives the child */
        if (fork() == 0)
            for (;;)
                pause();
        return 0;
    }
    if (strcmp(mode, "--parent") == 0) {        /* starts a child, tells its pid, and waits to be killed */
        const char *sleep[] = {"--sleep", NULL};
        pf_child    child = {.output_fd = -1, .record_fd = -1};
        pf_child_start(sleep, "/", &child, NULL);
        dprintf(PF_RECORD_FD, "%d", (int)child.pid);
        for (;;)
            pause();
    }
    return 98;
}

/* ---- tests */

static void a_child_is_heard(void **state)
{
    const char *say[] = {"--say", NULL}, *fail[] = {"--say", "65", NULL};
    pf_buf      records = {0};
    pf_err      err = {0};

    (void)state;
    test_ok(pf_child_run(say, "/", 10 * PF_NS_PER_S, 100, &records, &err), &err);
    assert_string_equal((const char *)records.data, "record");
    pf_buf_clear(&records);
    assert_int_equal(pf_child_run(fail, "/", 10 * PF_NS_PER_S, 100, &records, &err), PF_INVALID);
    assert_string_equal(err.msg, "output");
    pf_buf_clear(&records);
}

static void a_crash_is_named(void **state)
{
    const char *crash[] = {"--crash", NULL};
    pf_buf      records = {0};
    pf_err      err = {0};

    (void)state;
    assert_int_equal(pf_child_run(crash, "/", 10 * PF_NS_PER_S, 100, &records, &err), PF_DEVICE);
    assert_non_null(strstr(err.msg, "SEGV"));
    assert_non_null(strstr(err.msg, "about to fall"));
    pf_buf_clear(&records);
}

static void one_that_takes_too_long_is_ended(void **state)
{
    const char *sleep[] = {"--sleep", NULL};
    int64_t     began = pf_clock_ns();
    pf_buf      records = {0};
    pf_err      err = {0};

    (void)state;
    test_fails(pf_child_run(sleep, "/", PF_NS_PER_S / 2, 100, &records, &err), PF_TIMEOUT, &err);
    assert_true(pf_clock_ns() - began < 5 * PF_NS_PER_S);
    pf_buf_clear(&records);
}

static bool group_is_gone(pid_t group)
{
    int64_t until = pf_clock_ns() + 5 * PF_NS_PER_S;

    while (kill(-group, 0) == 0 && pf_clock_ns() < until)
        pf_clock_sleep_ns(10 * PF_NS_PER_MS);
    return kill(-group, 0) != 0 && errno == ESRCH;
}

static void what_a_child_started_ends_with_it(void **state)
{
    const char *family[] = {"--family", NULL};
    pf_child    child = {.output_fd = -1, .record_fd = -1};
    int64_t     until = pf_clock_ns() + 10 * PF_NS_PER_S;
    int         wait_status = 0;
    pid_t       group = 0;
    pf_err      err = {0};

    (void)state;
    test_ok(pf_child_start(family, "/", &child, &err), &err);
    group = child.pid;
    while (!pf_child_reap(&child, &wait_status) && pf_clock_ns() < until)
        pf_clock_sleep_ns(10 * PF_NS_PER_MS);
    assert_true(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0);
    assert_true(group_is_gone(group));
    pf_child_close(&child);
}

static void a_killed_parent_takes_its_children_along(void **state)
{
    const char *parent[] = {"--parent", NULL};
    pf_child    child = {.output_fd = -1, .record_fd = -1};
    char        text[32] = "";
    int64_t     until = pf_clock_ns() + 10 * PF_NS_PER_S;
    int         wait_status = 0;
    pid_t       grandchild = 0;
    pf_err      err = {0};

    (void)state;
    test_ok(pf_child_start(parent, "/", &child, &err), &err);
    while (read(child.record_fd, text, sizeof text - 1) <= 0 && pf_clock_ns() < until)
        pf_clock_sleep_ns(10 * PF_NS_PER_MS);
    grandchild = (pid_t)strtol(text, NULL, 10);
    assert_true(grandchild > 0 && kill(grandchild, 0) == 0);
    kill(child.pid, SIGKILL);           /* it alone: the grandchild has a group of its own */
    while (!pf_child_reap(&child, &wait_status) && pf_clock_ns() < until)
        pf_clock_sleep_ns(10 * PF_NS_PER_MS);
    assert_true(group_is_gone(grandchild));
    pf_child_close(&child);
}

static void a_mode_is_not_for_people(void **state)
{
    int status = 0;

    (void)state;
    status = system("exec \"$SELF\" --say > /dev/null 2>&1");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 99);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_is_heard),
        cmocka_unit_test(a_crash_is_named),
        cmocka_unit_test(one_that_takes_too_long_is_ended),
        cmocka_unit_test(what_a_child_started_ends_with_it),
        cmocka_unit_test(a_killed_parent_takes_its_children_along),
        cmocka_unit_test(a_mode_is_not_for_people),
    };

    if (argc > 1)
        return act(argc, argv);
    setenv("SELF", argv[0], 1);
    return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
