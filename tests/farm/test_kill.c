/* kill -9 of the coordinator, again and again, while clients submit and an agent builds (FARM: T1).
   PF_KILLS=N: how often (12; 10000 with PF_LONG).  Oracle: a journal of what was acknowledged. */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/random.h"
#include "tests/farm/journal.h"
#include "tests/farm/scripted_agent.h"

enum { SUBMITTERS = 3, KILLS = 12, KILLS_OF_ONE_FARM = 40 };

static const char *const quick[] = { "--lease-ttl-ms", "3000", "--heartbeat-ms", "200", "--backoff-ms", "50", NULL };

/* One farm from its first submit to its last plan. */
static void kill_often(uint32_t round, uint32_t kills)
{
    static journal j;
    daemon_process d = { 0 };
    scripted_agent agent = { .daemon = &d, .name = "a", .class_name = "cpu-test", .slots = 2,
                             .build_ns = 20 * PF_NS_PER_MS };
    char           name[32] = "", folder[4096] = "";
    pf_random      random = { 0 };

    pf_random_init(&random, test_seed_of_now());
    snprintf(name, sizeof name, "state%u", round);
    snprintf(folder, sizeof folder, "%s", test_path(name));
    daemon_start(&d, folder, quick);
    journal_open(&j, &d, round);
    scripted_agent_start(&agent);
    scripted_agent_await(&agent);       /* its class is known before the first submit */
    journal_start(&j, SUBMITTERS, JOURNAL_MAX);
    for (uint32_t k = 0; k < kills; k++) {
        pf_clock_sleep_ns((int64_t)pf_random_below(&random, 250) * PF_NS_PER_MS);
        daemon_kill(&d);
        daemon_start(&d, folder, quick);
    }
    pf_clock_sleep_ns(300 * PF_NS_PER_MS);
    journal_end(&j, true);
    journal_check(&j, &d);
    journal_check_plans(&j, &d);
    print_message("%u kills, %u submits acknowledged, %u sent again, %u offers, %u commits\n", kills, j.acked,
                  j.retries, (unsigned)agent.offers, (unsigned)agent.commits);
    assert_true(j.acked > 0);
    scripted_agent_stop(&agent);
    assert_int_equal(daemon_stop(&d), 0);
}

static void nothing_acknowledged_is_lost(void **state)
{
    uint32_t left = (uint32_t)test_count("PF_KILLS", KILLS, 10000);

    (void)state;
    for (uint32_t round = 0; left > 0; round++) {
        uint32_t kills = left < KILLS_OF_ONE_FARM ? left : KILLS_OF_ONE_FARM;
        kill_often(round, kills);
        left -= kills;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_acknowledged_is_lost) };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
