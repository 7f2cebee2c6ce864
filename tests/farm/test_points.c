/* The coordinator dies just before and just after each of its writes, syncs, renames and sends in turn, while clients
   submit and an agent builds: at every point around a commit and its acknowledgement (FARM: T2);
   and each of these calls fails once (T3).
   Each point is tried at the N-th such call, N from 1 until a run ends before the N-th: all of them with PF_LONG, else
   PF_POINTS (5) of them drawn by PF_SEED (today's), which is printed. */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "tests/farm/journal.h"
#include "tests/farm/scripted_agent.h"

enum { SUBMITTERS = 2, SUBMITS = 4 };

static const char *const quick[] = { "--lease-ttl-ms", "3000", "--heartbeat-ms", "200", "--backoff-ms", "50", NULL };

typedef struct point { const char *call, *when; uint32_t often; } point;    /* often: calls of a run, about */

static const point points[] = {
    { "pwrite", "before", 60 },   { "pwrite", "after", 60 },     { "fdatasync", "before", 30 },
    { "fdatasync", "after", 30 },
    { "fsync", "before", 20 },    { "fsync", "after", 20 },      { "rename", "before", 60 },
    { "rename", "after", 60 },
    { "writev", "before", 14 },   { "writev", "after", 14 },     { "send", "before", 80 },     { "send", "after", 80 },
    { "write", "before", 120 },   { "write", "after", 120 },
};

/* The same for calls that fail once: T3.  when: the error. */
static const point failures[] = {
    { "pwrite", "5", 60 },      /* EIO */
    { "pwrite", "28", 60 },     /* ENOSPC */
    { "pwrite", "4", 60 },      /* EINTR */
    { "pwrite", "0", 60 },      /* half of it is written */
    { "fdatasync", "5", 30 },
    { "fsync", "5", 20 },
    { "fsync", "28", 20 },
    { "rename", "5", 60 },
    { "rename", "28", 60 },
    { "send", "104", 80 },      /* ECONNRESET */
};

static const char *variable;            /* "BREAK_KILL" or "BREAK_FAIL" */

/* False when it died at its start already, which is a point as good as others, and another runs. */
static bool start_doomed(daemon_process *d, const char *folder, const point *p, uint32_t number)
{
    snprintf(d->preload, sizeof d->preload, "%s", BREAK_CALLS);
    snprintf(d->variable, sizeof d->variable, "%s", variable);
    snprintf(d->value, sizeof d->value, "%s:%s:%u", p->call, p->when, number);
    if (daemon_try_start(d, folder, quick))
        return true;
    d->preload[0] = d->variable[0] = 0;
    daemon_start(d, folder, quick);
    return false;
}

/* Until all is acknowledged and nothing is built any more, or the process has died: then another takes over. True when
   it died. */
static bool watch(daemon_process *d, const char *folder, const journal *j, const scripted_agent *agent)
{
    int64_t until_ns = pf_clock_ns() + 20 * PF_NS_PER_S;

    while (pf_clock_ns() < until_ns && !daemon_has_ended(d)) {
        if (journal_is_done(j) && agent->offers >= journal_models_asked(j) && agent->busy == 0)
            break;
        pf_clock_sleep_ns(2 * PF_NS_PER_MS);
    }
    d->preload[0] = d->variable[0] = 0;
    if (!daemon_has_ended(d) && daemon_stop(d) == 0)
        return false;
    daemon_start(d, folder, quick);
    return true;
}

/* True when the run reached the point. */
static bool die_at(const point *p, uint32_t number)
{
    static journal  j;
    static uint32_t round;
    daemon_process  d = { 0 };
    scripted_agent  agent = { .daemon = &d, .name = "a", .class_name = "cpu-test", .slots = 2,
                              .build_ns = PF_NS_PER_MS };
    char            name[32] = "", folder[4096] = "";
    bool            died = false;

    snprintf(name, sizeof name, "state%u", round++);
    snprintf(folder, sizeof folder, "%s", test_path(name));
    daemon_start(&d, folder, quick);
    journal_open(&j, &d, number);
    scripted_agent_start(&agent);
    scripted_agent_await(&agent);       /* its class is known before the first submit */
    assert_int_equal(daemon_stop(&d), 0);
    died = !start_doomed(&d, folder, p, number);
    journal_start(&j, SUBMITTERS, SUBMITS);
    if (!died)
        died = watch(&d, folder, &j, &agent);
    if (!died)
        daemon_start(&d, folder, quick);
    journal_end(&j, false);
    journal_check(&j, &d);
    journal_check_plans(&j, &d);
    assert_int_equal(j.acked, SUBMITTERS * SUBMITS);
    scripted_agent_stop(&agent);
    daemon_kill(&d);
    pf_dir_remove(folder, NULL);
    return died;
}

static uint32_t die_everywhere(const point *p)
{
    uint32_t number = 1;

    while (die_at(p, number))
        number++;
    return number - 1;
}

enum { SURE = 3, SURE_FAILURE = 4 };     /* the third call of these is reached by every run, and ends it */

/* Times that the coordinator died. */
static uint32_t die_somewhere(const point *list, size_t count, const point *sure, uint64_t seed, uint64_t tries)
{
    pf_random random = { 0 };
    uint32_t  deaths = die_at(sure, 3);

    pf_random_init(&random, seed);
    for (uint64_t k = 0; k < tries; k++) {
        const point *p = &list[pf_random_below(&random, count)];
        uint32_t     number = 1 + (uint32_t)pf_random_below(&random, p->often);
        bool         died = die_at(p, number);
        deaths += died;
        print_message("%s %s call %u%s\n", p->when, p->call, number, died ? "" : ": not reached");
    }
    return deaths;
}

static void every_point_loses_nothing(void **state)
{
    uint64_t seed = test_seed_of_now(), some = test_count("PF_POINTS", 5, 0), deaths = 0;

    (void)state;
    variable = "BREAK_KILL";
    if (some)
        deaths = die_somewhere(points, sizeof points / sizeof points[0], &points[SURE], seed, some);
    for (size_t i = 0; !some && i < sizeof points / sizeof points[0]; i++)
        deaths += die_everywhere(&points[i]);
    print_message("died %llu times\n", (unsigned long long)deaths);
    assert_true(deaths > 0);
}

/* Half a write, a full disk and an interruption may be survived; an error of the disk ends the process.  Nothing is
   lost either way. */
static void every_failure_loses_nothing(void **state)
{
    uint64_t seed = test_seed_of_now(), some = test_count("PF_FAILURES", 4, 400), deaths = 0;

    (void)state;
    variable = "BREAK_FAIL";
    deaths = die_somewhere(failures, sizeof failures / sizeof failures[0], &failures[SURE_FAILURE], seed, some);
    print_message("ended %llu times\n", (unsigned long long)deaths);
    assert_true(deaths > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_point_loses_nothing),
                                        cmocka_unit_test(every_failure_loses_nothing) };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
