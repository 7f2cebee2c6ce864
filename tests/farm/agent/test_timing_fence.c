/* A build whose lease has run out tells the farm no timings; they are kept, and told when it holds again. */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "builder-agent/renewal.h"
#include "builder-agent/timing_farm.h"
#include "proto/timing_remote.h"
#include "tests/farm/daemon.h"

static const char CLASS_TEXT[] = "device=cpu\nthreads=2\n";

static daemon_process   d;
static pf_timing_db    *db;
static pf_timing_store *local, *farm;
static char             lease_folder[4096];

static int set_up(void **state)
{
    pf_err err = { 0 };

    (void)state;
    daemon_start(&d, test_path("state"), NULL);
    snprintf(lease_folder, sizeof lease_folder, "%s", test_path("lease"));
    test_ok(pf_dir_make(lease_folder, &err), &err);
    test_ok(pf_timing_db_open(test_path("timing"), NULL, &db, &err), &err);
    test_ok(pf_timing_db_store(db, &local, &err), &err);
    test_ok(pf_timing_farm_store(db, local, d.agent, lease_folder, &farm, &err), &err);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    farm->close(farm);
    local->close(local);
    pf_timing_db_close(db);
    assert_int_equal(daemon_stop(&d), 0);
    return 0;
}

static void merge(const char *problem)
{
    pf_timing_record record = { .effort = 2 };
    pf_timing_entry  entry = { .tactic = "tactic", .tuning = "t=1", .rev = 1, .status = PF_TIMED, .sample_count = 5,
                               .min_ns = 90, .median_ns = 100 };
    pf_err           err = { 0 };

    test_ok(pf_timing_record_put(&record, &entry, &err), &err);
    test_ok(farm->merge(farm, CLASS_TEXT, problem, &record, &err), &err);
    pf_timing_record_clear(&record);
}

static pf_status count_one(void *user, const char *class_text, const char *problem_text, const pf_timing_record *record,
                           pf_err *err)
{
    (void)class_text;
    (void)problem_text;
    (void)record;
    (void)err;
    ++*(int *)user;
    return PF_OK;
}

/* Records that the coordinator has. */
static int known_to_the_farm(void)
{
    pf_peer *client = daemon_client(&d);
    uint64_t damaged = 0;
    int      count = 0;
    pf_err   err = { 0 };

    test_ok(pf_timing_remote_export(client, NULL, 10 * PF_NS_PER_S, count_one, &count, &damaged, &err), &err);
    pf_peer_close(client);
    return count;
}

static void look_up(const char *problem)
{
    pf_timing_record found = { 0 };
    pf_digest        device_class = { 0 }, hash = { 0 };
    pf_err           err = { 0 };

    pf_digest_of(CLASS_TEXT, strlen(CLASS_TEXT), &device_class);
    pf_digest_of(problem, strlen(problem), &hash);
    test_ok(farm->lookup(farm, &device_class, &hash, 1, &found, &err), &err);
    assert_int_equal(found.count, 1);
    pf_timing_record_clear(&found);
}

static void timings_are_told_only_while_the_lease_holds(void **state)
{
    (void)state;
    assert_false(pf_renewal_holds(lease_folder));       /* nothing noted yet */
    merge("problem a\n");
    assert_int_equal(known_to_the_farm(), 0);
    pf_renewal_note(lease_folder, pf_clock_boot_ns() + 3600 * PF_NS_PER_S);
    assert_true(pf_renewal_holds(lease_folder));
    merge("problem b\n");
    assert_int_equal(known_to_the_farm(), 1);
    pf_renewal_note(lease_folder, pf_clock_boot_ns() - 1);
    merge("problem c\n");
    look_up("problem c\n");
    assert_int_equal(known_to_the_farm(), 1);
    pf_renewal_note(lease_folder, pf_clock_boot_ns() + 3600 * PF_NS_PER_S);
    look_up("problem a\n");
    look_up("problem c\n");
    assert_int_equal(known_to_the_farm(), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(timings_are_told_only_while_the_lease_holds) };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
