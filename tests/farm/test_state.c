/* The state folder: copies, looking it over, damage, going back (FARM: T6). */
#include "tests/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/farm/scripted_agent.h"

static const Pf__JobState COMMITTED = PF__JOB_STATE__STATE_COMMITTED;
static char               state_folder[4096];

static void in_state(const char *name, char out[4200])
{
    snprintf(out, 4200, "%s/%s", state_folder, name);
}

/* Runs a chore on the folder, and answers its exit code. */
static int chore(const char *flag)
{
    const char *const arguments[] = { flag, NULL };
    daemon_process    d = { 0 };

    return daemon_start_fails(&d, state_folder, arguments);
}

/* A farm with one plan and one job that waits; the copy is made at the start of the second run. */
static uint64_t make_state(pf_digest *plan, uint64_t *waiting)
{
    daemon_process d = { 0 };
    uint64_t       done = 0;
    char           copy[4200] = "";
    Pf__JobStatus *status = NULL;
    pf_peer       *client = NULL;

    daemon_start(&d, state_folder, NULL);
    done = scripted_build_of_two(&d, waiting);
    client = daemon_client(&d);
    status = job_status(client, done);
    memcpy(plan->byte, status->plan_digest.data, sizeof plan->byte);
    pf__job_status__free_unpacked(status, NULL);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
    daemon_start(&d, state_folder, NULL);
    in_state("backup/jobs-2.mdb", copy);
    for (int i = 0; i < 1500 && !pf_file_exists(copy); i++)
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    assert_true(pf_file_exists(copy));
    assert_int_equal(daemon_stop(&d), 0);
    return done;
}

static void check_jobs(uint64_t done, uint64_t waiting)
{
    daemon_process d = { 0 };
    pf_peer       *client = NULL;

    daemon_start(&d, state_folder, NULL);
    client = daemon_client(&d);
    await_state(client, done, COMMITTED, 5);
    await_state(client, waiting, PF__JOB_STATE__STATE_QUEUED, 5);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
}

/* Ids of jobs that were made after the copy do not come again. */
static void check_new_job(uint64_t before)
{
    daemon_process d = { 0 };
    pf_peer       *client = NULL;
    pf_digest      model = { 0 };

    daemon_start(&d, state_folder, NULL);
    client = daemon_client(&d);
    model = http_put_model(&d, "three");
    assert_true(must_submit(client, 77, &model, "three") > before + 1000000);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
}

/* Overwrites some bytes of every place where the job's user stands in the database. */
static void damage_database(const char *name)
{
    char   path[4200] = "";
    pf_buf data = { 0 };
    int    fd = -1, hits = 0;
    pf_err err = { 0 };

    in_state(name, path);
    pf_buf_init(&data, 64 << 20);
    test_ok(pf_file_read(path, 64 << 20, &data, &err), &err);
    fd = open(path, O_WRONLY);
    for (size_t at = 0; at + 8 < data.size; at++)
        if (memcmp(data.data + at, "\x06\x00\x00\x00tester", 10) == 0) {
            assert_int_equal(pwrite(fd, "TESTER", 6, (off_t)at + 4), 6);
            hits++;
        }
    assert_true(hits > 0);
    close(fd);
    pf_buf_clear(&data);
}

static void a_damaged_database_is_refused_and_a_copy_taken_back(void **state)
{
    daemon_process d = { 0 };
    pf_digest      plan = { 0 };
    uint64_t       waiting = 0, done = 0;

    (void)state;
    snprintf(state_folder, sizeof state_folder, "%s", test_path("damaged"));
    done = make_state(&plan, &waiting);
    assert_int_equal(chore("--check"), 0);
    damage_database("db/data.mdb");
    assert_int_equal(daemon_start_fails(&d, state_folder, NULL), pf_status_exit_code(PF_CORRUPT));
    assert_int_equal(chore("--check"), pf_status_exit_code(PF_CORRUPT));
    assert_int_equal(chore("--restore"), 0);
    assert_int_equal(chore("--check"), 0);
    check_jobs(done, waiting);
    check_new_job(waiting);
}

static void a_damaged_copy_changes_nothing(void **state)
{
    char      copy[4200] = "", flag[4300] = "";
    pf_digest plan = { 0 };
    uint64_t  waiting = 0, done = 0;
    pf_err    err = { 0 };

    (void)state;
    snprintf(state_folder, sizeof state_folder, "%s", test_path("copy"));
    done = make_state(&plan, &waiting);
    damage_database("backup/jobs-2.mdb");
    assert_int_equal(chore("--restore"), pf_status_exit_code(PF_CORRUPT));
    in_state("copy", copy);
    test_ok(pf_file_write(copy, "no database", 11, &err), &err);
    snprintf(flag, sizeof flag, "--restore=%s", copy);
    assert_int_equal(chore(flag), pf_status_exit_code(PF_CORRUPT));
    check_jobs(done, waiting);
}

static void a_damaged_plan_is_found_and_built_again(void **state)
{
    daemon_process d = { 0 };
    scripted_agent agent = { .daemon = &d, .name = "a", .class_name = "cpu-test", .slots = 1 };
    pf_digest      plan = { 0 }, one = { 0 };
    uint64_t       waiting = 0, done = 0, again = 0;
    char           hex[PF_DIGEST_HEX_BYTES] = "", name[200] = "", path[4200] = "";
    pf_peer       *client = NULL;
    int            fd = -1;

    (void)state;
    snprintf(state_folder, sizeof state_folder, "%s", test_path("plan"));
    done = make_state(&plan, &waiting);
    pf_digest_to_hex(&plan, hex);
    snprintf(name, sizeof name, "blobs/sha256/%.2s/%s", hex, hex);
    in_state(name, path);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "?", 1, 0), 1);
    close(fd);
    assert_int_equal(chore("--check"), pf_status_exit_code(PF_CORRUPT));
    assert_int_equal(chore("--repair"), 0);
    assert_false(pf_file_exists(path));
    daemon_start(&d, state_folder, NULL);
    client = daemon_client(&d);
    one = http_put_model(&d, "one");
    scripted_agent_start(&agent);
    again = must_submit(client, 9, &one, "one");
    assert_int_not_equal(again, done);
    await_state(client, again, COMMITTED, 10);
    scripted_agent_stop(&agent);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
}

static void a_mistyped_folder_is_said(void **state)
{
    (void)state;
    snprintf(state_folder, sizeof state_folder, "%s", test_path("mistyped"));
    assert_int_equal(chore("--check"), pf_status_exit_code(PF_NOT_FOUND));
    assert_int_equal(chore("--restore"), pf_status_exit_code(PF_NOT_FOUND));
    assert_false(pf_file_exists(state_folder));
}

static void copies_are_kept_few(void **state)
{
    char path[4200] = "";

    (void)state;
    snprintf(state_folder, sizeof state_folder, "%s", test_path("copies"));
    for (int run = 1; run <= 5; run++) {
        daemon_process d = { 0 };
        char           name[64] = "";
        daemon_start(&d, state_folder, NULL);
        snprintf(name, sizeof name, "backup/jobs-%d.mdb", run);
        in_state(name, path);
        for (int i = 0; i < 1500 && !pf_file_exists(path); i++)
            pf_clock_sleep_ns(20 * PF_NS_PER_MS);
        assert_true(pf_file_exists(path));
        assert_int_equal(daemon_stop(&d), 0);
    }
    in_state("backup/jobs-2.mdb", path);
    assert_false(pf_file_exists(path));
    in_state("backup/jobs-3.mdb", path);
    assert_true(pf_file_exists(path));
    assert_int_equal(chore("--restore=/nowhere"), pf_status_exit_code(PF_NOT_FOUND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_database_is_refused_and_a_copy_taken_back),
        cmocka_unit_test(a_mistyped_folder_is_said),
        cmocka_unit_test(a_damaged_copy_changes_nothing),
        cmocka_unit_test(a_damaged_plan_is_found_and_built_again),
        cmocka_unit_test(copies_are_kept_few),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
