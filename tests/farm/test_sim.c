/* The core under the simulator, over many seeds.
   PF_SIM_SEEDS=N: how many (1000, and 50 under sanitizers).  PF_SIM_FIRST=N: the first one (1), to run a single one
   again with PF_SIM_SEEDS=1. */
#include "tests/farm/sim.h"

#include "tests/test.h"

static uint64_t seed_running;

#ifdef __SANITIZE_ADDRESS__
enum { SEEDS = 50 };
#else
enum { SEEDS = 1000 };
#endif

static void run_seeds(int faults)
{
    uint64_t   first = test_count("PF_SIM_FIRST", 1, 1), count = test_count("PF_SIM_SEEDS", SEEDS, 100000);
    sim_counts c = { 0 };

    for (uint64_t i = 0; i < count; i++) {
        seed_running = first + i;
        sim_run(seed_running, faults, &c);
    }
    seed_running = 0;
    print_message("seeds %llu-%llu: %llu steps, %llu messages, %llu coordinator and %llu agent crashes, %llu batches "
                  "without "
                  "acks, %llu commits, %llu late wins, %llu quarantined, %llu cancelled\n",
                  (unsigned long long)first, (unsigned long long)(first + count - 1), (unsigned long long)c.steps,
                  (unsigned long long)c.messages, (unsigned long long)c.coordinator_crashes,
                  (unsigned long long)c.agent_crashes, (unsigned long long)c.lost_acks, (unsigned long long)c.commits,
                  (unsigned long long)c.late_wins, (unsigned long long)c.quarantined, (unsigned long long)c.cancelled);
    assert_true(c.commits > count);     /* it did something */
    if (faults && count >= 20)
        assert_true(c.coordinator_crashes && c.lost_acks && c.late_wins && c.quarantined && c.cancelled);
}

static void without_faults(void **state)
{
    (void)state;
    run_seeds(0);
}

static void with_faults(void **state)
{
    (void)state;
    run_seeds(1);
}

static void with_many_faults(void **state)
{
    (void)state;
    run_seeds(2);
}

static int tell_seed(void **state)
{
    (void)state;
    if (seed_running)
        print_error("seed %llu: run it alone with PF_SIM_FIRST=%llu PF_SIM_SEEDS=1\n", (unsigned long long)seed_running,
                    (unsigned long long)seed_running);
    seed_running = 0;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(without_faults, tell_seed),
        cmocka_unit_test_teardown(with_faults, tell_seed),
        cmocka_unit_test_teardown(with_many_faults, tell_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
