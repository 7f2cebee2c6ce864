/* Disks that are full, that fail, or that are no disks (FARM: T3, T4). */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/farm/scripted_agent.h"

static const Pf__JobState COMMITTED = PF__JOB_STATE__STATE_COMMITTED;

/* ---- a full disk, on a tmpfs of our own */

static bool mount_small_disk(const char *path)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    char  map[64] = "";
    int   fd = -1;

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    snprintf(map, sizeof map, "0 %d 1", (int)uid);
    fd = open("/proc/self/setgroups", O_WRONLY);
    if (fd >= 0) {
        ssize_t wrote = write(fd, "deny", 4);
        (void)wrote;
        close(fd);
    }
    fd = open("/proc/self/uid_map", O_WRONLY);
    if (fd < 0 || write(fd, map, strlen(map)) < 0)
        return false;
    close(fd);
    snprintf(map, sizeof map, "0 %d 1", (int)gid);
    fd = open("/proc/self/gid_map", O_WRONLY);
    if (fd < 0 || write(fd, map, strlen(map)) < 0)
        return false;
    close(fd);
    return mount("none", path, "tmpfs", 0, "size=24m") == 0;
}

/* Writes until nothing more goes in. */
static void fill(const char *path)
{
    static char block[4096];
    int         fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    memset(block, 'x', sizeof block);
    while (write(fd, block, sizeof block) > 0)
        ;
    close(fd);
}

static pf_status submit_once(pf_peer *client, uint8_t id, const pf_digest *model, uint64_t *job_id)
{
    uint8_t submit_id[PF_SUBMIT_ID_BYTES] = { id };

    return try_submit(client, submit_id, model, "model", "cpu", 30 * PF_NS_PER_S, job_id, NULL);
}

static void await_ready(const daemon_process *d, bool ready)
{
    http_answer answer = { 0 };

    for (int i = 0; i < 1200; i++) {
        http_request("GET", d->http, "/readyz", NULL, NULL, 0, &answer);
        http_answer_clear(&answer);
        if ((answer.code == 200) == ready)
            return;
        pf_clock_sleep_ns(50 * PF_NS_PER_MS);
    }
    fail_msg("readyz stays at %ld", answer.code);
}

static void run_on_small_disk(const char *disk)
{
    const char *const options[] = { "--reserve-bytes", "3000000", "--lease-ttl-ms", "60000", "--heartbeat-ms", "200",
                                    NULL };
    daemon_process    d = { 0 };
    scripted_agent    agent = { .daemon = &d, .name = "a", .class_name = "cpu-test", .slots = 1, .hold = true };
    pf_digest         one = { 0 }, two = { 0 };
    uint64_t          running = 0, other = 0;
    char              state[4200] = "", filler[4200] = "";
    pf_peer          *client = NULL;

    snprintf(state, sizeof state, "%s/state", disk);
    snprintf(filler, sizeof filler, "%s/filler", disk);
    daemon_start(&d, state, options);
    client = daemon_client(&d);
    one = http_put_model(&d, "one");
    two = http_put_model(&d, "two");
    scripted_agent_start(&agent);
    running = must_submit(client, 1, &one, "one");
    await_state(client, running, PF__JOB_STATE__STATE_LEASED, 5);
    pf_digest plan = { 0 };
    char      text[64] = "";
    snprintf(text, sizeof text, "plan of one for job %llu", (unsigned long long)running);
    assert_int_equal(http_put_blob(&d, text, strlen(text), &plan), 201);   /* uploaded before the disk fills up */
    fill(filler);
    await_ready(&d, false);
    assert_int_equal(submit_once(client, 2, &two, &other), PF_BUSY);
    assert_int_equal(http_put_blob(&d, filler, strlen(filler), &plan), 507);
    agent.hold = false;                 /* the running build ends, and that is committed */
    await_state(client, running, COMMITTED, 10);
    assert_int_equal(unlink(filler), 0);
    await_ready(&d, true);
    assert_int_equal(submit_once(client, 2, &two, &other), PF_OK);
    await_state(client, other, COMMITTED, 10);
    scripted_agent_stop(&agent);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
}

/* In a child, because the mount's namespace is for a whole process. */
static void a_full_disk_refuses_submits_and_commits_completions(void **state)
{
    const char *disk = test_path("disk");
    int         status = 0;
    pid_t       child = -1;

    (void)state;
    assert_int_equal(pf_dir_make(disk, NULL), PF_OK);
    child = fork();
    if (child == 0) {
        if (!mount_small_disk(disk))
            _exit(TEST_SKIPPED);
        run_on_small_disk(disk);
        _exit(0);
    }
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_SKIPPED)
        skip();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- a disk that fails */

/* However many syncs went well before: the process ends without acknowledging, and what it had acknowledged is
   there. */
static void a_failing_disk_ends_the_process_before_it_acks(void **state)
{
    int died = 0;

    (void)state;
    for (int from = 1; from <= 20; from += 3) {
        daemon_process d = { .preload = BREAK_CALLS };
        char           folder[4096] = "", number[16] = "", name[32] = "";
        pf_digest      model = { { 1 } };
        uint64_t       acked[32] = { 0 };
        pf_peer       *client = NULL;
        int            submits = 0, code = -1;
        snprintf(name, sizeof name, "failing%d", from);
        snprintf(folder, sizeof folder, "%s", test_path(name));
        daemon_process first = { 0 };
        daemon_start(&first, folder, NULL);
        model = http_put_model(&first, "model");
        assert_int_equal(daemon_stop(&first), 0);
        snprintf(number, sizeof number, "%d", from);
        setenv("BREAK_FDATASYNC_FROM", number, 1);
        if (from < 3) {                 /* the start itself commits */
            code = daemon_start_fails(&d, folder, NULL);
        } else {
            daemon_start(&d, folder, NULL);
            client = daemon_client(&d);
            while (submits < 32 && code == -1) {
                uint8_t  id[PF_SUBMIT_ID_BYTES] = { (uint8_t)(submits + 1) };
                char     spec_name[16] = "";
                snprintf(spec_name, sizeof spec_name, "m%d", submits);
                if (try_submit(client, id, &model, spec_name, "cpu", 500 * PF_NS_PER_MS, &acked[submits], NULL) ==
                    PF_OK)
                    submits++;
                else
                    code = daemon_wait(&d, 1);          /* one that only answers slowly is asked again */
            }
            pf_peer_close(client);
        }
        unsetenv("BREAK_FDATASYNC_FROM");
        assert_true(submits < 32);
        assert_int_equal(code, pf_status_exit_code(PF_IO));
        died++;
        daemon_start(&first, folder, NULL);
        client = daemon_client(&first);
        for (int i = 0; i < submits; i++) {
            Pf__JobStatus *status = job_status(client, acked[i]);
            assert_non_null(status);
            pf__job_status__free_unpacked(status, NULL);
        }
        pf_peer_close(client);
        assert_int_equal(daemon_stop(&first), 0);
    }
    assert_int_equal(died, 7);
}

static void network_file_systems_are_refused(void **state)
{
    static const char *const magic[] = { "6969", "ff534d42", "65735546", "1021997" };
    const char *const        any[] = { "--any-file-system", NULL };
    daemon_process           d = { .preload = BREAK_CALLS };

    (void)state;
    for (size_t i = 0; i < sizeof magic / sizeof magic[0]; i++) {
        setenv("BREAK_STATFS", magic[i], 1);
        assert_int_equal(daemon_start_fails(&d, test_path("network"), NULL), pf_status_exit_code(PF_UNSUPPORTED));
    }
    daemon_start(&d, test_path("network"), any);
    unsetenv("BREAK_STATFS");
    assert_int_equal(daemon_stop(&d), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_refuses_submits_and_commits_completions),
        cmocka_unit_test(a_failing_disk_ends_the_process_before_it_acks),
        cmocka_unit_test(network_file_systems_are_refused),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
