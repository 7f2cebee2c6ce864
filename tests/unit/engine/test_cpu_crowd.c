#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/cpu_crowd.h"
#include "tests/test.h"

enum { SPINNERS = 2, DEADLINE_S = 60, HASTY_ROUNDS = 20 };

static const int64_t run_ns = 100 * PF_NS_PER_MS, long_ns = 1000 * PF_NS_PER_S;

static void a_tenth_of_a_core_begins_a_crowd_and_a_fortieth_keeps_it(void **state)
{
    (void)state;
    assert_false(pf_cpu_crowd_rule(false, run_ns, run_ns / 10));
    assert_true(pf_cpu_crowd_rule(false, run_ns, run_ns / 10 + 1));
    assert_false(pf_cpu_crowd_rule(true, run_ns, run_ns / 40));
    assert_true(pf_cpu_crowd_rule(true, run_ns, run_ns / 40 + 1));
    assert_false(pf_cpu_crowd_rule(false, run_ns, -1));
}

/* On the core that they were born on. */
static void *spin(void *user)
{
    atomic_bool *stop = user;

    while (!atomic_load(stop))
        ;
    return NULL;
}

static void stay_on_one_core(pthread_attr_t *attr)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    assert_int_equal(pthread_attr_init(attr), 0);
    assert_int_equal(pthread_attr_setaffinity_np(attr, sizeof set, &set), 0);
}

static void look_until(bool found, int64_t took_ns)
{
    int64_t end = pf_clock_ns() + DEADLINE_S * PF_NS_PER_S;

    while (pf_cpu_crowd_found() != found && pf_clock_ns() < end) {
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
        pf_cpu_crowd_look(2, took_ns);
    }
    assert_int_equal(pf_cpu_crowd_found(), found);
}

typedef struct spinners { atomic_bool stop; pthread_t threads[SPINNERS]; } spinners;

/* Two threads that want one core wait for it half of the time each. */
static void start(spinners *s)
{
    pthread_attr_t attr;

    unsetenv("GOMP_SPINCOUNT");
    unsetenv("OMP_WAIT_POLICY");
    atomic_store(&s->stop, false);
    stay_on_one_core(&attr);
    for (int i = 0; i < SPINNERS; i++)
        assert_int_equal(pthread_create(&s->threads[i], &attr, spin, &s->stop), 0);
    pthread_attr_destroy(&attr);
}

static void stop(spinners *s)
{
    atomic_store(&s->stop, true);
    for (int i = 0; i < SPINNERS; i++)
        pthread_join(s->threads[i], NULL);
}

static void threads_sleep_while_others_wait_for_cores(void **state)
{
    spinners s;

    (void)state;
    if (pf_cpu_crowd_waited_ns() < 0)
        skip();
    start(&s);
    pf_cpu_crowd_open();
    look_until(true, run_ns);
    stop(&s);
    look_until(false, long_ns);
    pf_cpu_crowd_close();
}

/* The last device may be closed before the threads that are to sleep have begun to. */
static void a_sleep_ends_that_has_not_begun(void **state)
{
    spinners s;

    (void)state;
    if (pf_cpu_crowd_waited_ns() < 0)
        skip();
    start(&s);
    for (int round = 0; round < HASTY_ROUNDS; round++) {
        pf_cpu_crowd_open();
        look_until(true, run_ns);
        pf_cpu_crowd_close();
        assert_false(pf_cpu_crowd_found());
    }
    stop(&s);
}

static atomic_bool has_no_room;

static void note_no_room(void *user, pf_log_level level, const char *line)
{
    (void)user;
    (void)level;
    if (strstr(line, "crowd-has-no-room"))
        atomic_store(&has_no_room, true);
}

/* In a process of its own: room for one thread, but not for those that are to sleep. */
static int look_without_room(void)
{
    int64_t  end = pf_clock_ns() + DEADLINE_S * PF_NS_PER_S;
    spinners s;

    if (!test_limit_threads(2 + SPINNERS))
        return TEST_SKIPPED;
    pf_log_set_filter("debug");
    pf_log_set_sink(note_no_room, NULL);
    start(&s);
    pf_cpu_crowd_open();
    while (!atomic_load(&has_no_room) && !pf_cpu_crowd_found() && pf_clock_ns() < end) {
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
        pf_cpu_crowd_look(2, run_ns);
    }
    stop(&s);
    pf_cpu_crowd_close();
    return atomic_load(&has_no_room) ? 0 : 1;
}

/* GCC's OpenMP library ends the process when it cannot start a thread. */
static void nothing_sleeps_where_there_is_no_room_for_threads(void **state)
{
    pid_t child = 0;
    int   status = 0;

    (void)state;
    if (pf_cpu_crowd_waited_ns() < 0)
        skip();
    child = fork();
    assert_true(child >= 0);
    if (!child)
        _exit(look_without_room());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == TEST_SKIPPED)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void nothing_sleeps_without_a_device_or_a_second_thread(void **state)
{
    (void)state;
    pf_cpu_crowd_look(2, long_ns);
    assert_false(pf_cpu_crowd_found());
    pf_cpu_crowd_open();
    pf_cpu_crowd_look(1, long_ns);
    assert_false(pf_cpu_crowd_found());
    pf_cpu_crowd_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tenth_of_a_core_begins_a_crowd_and_a_fortieth_keeps_it),
        cmocka_unit_test(nothing_sleeps_where_there_is_no_room_for_threads),
        cmocka_unit_test(threads_sleep_while_others_wait_for_cores),
        cmocka_unit_test(a_sleep_ends_that_has_not_begun),
        cmocka_unit_test(nothing_sleeps_without_a_device_or_a_second_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
