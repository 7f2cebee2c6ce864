/* A wall clock that is a day wrong, ahead or behind, changes no lease: only what people read (FARM: T14). */
#include "tests/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/farm/scripted_agent.h"

enum { TTL_MS = 3000, AWAIT_S = 60, DAY_S = 86400 };
static const char *const   quick[] = { "--lease-ttl-ms", "3000", "--heartbeat-ms", "200", NULL };
static const Pf__JobState COMMITTED = PF__JOB_STATE__STATE_COMMITTED, LEASED = PF__JOB_STATE__STATE_LEASED;

/* Seconds that break_calls adds to the coordinator's wall clock. */
static volatile int64_t *make_wrong(const char *path)
{
    int      fd = open(path, O_RDWR | O_CREAT, 0600);
    int64_t *wrong = NULL;

    assert_int_equal(ftruncate(fd, sizeof *wrong), 0);
    wrong = mmap(NULL, sizeof *wrong, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(wrong, MAP_FAILED);
    close(fd);
    return wrong;
}

static void a_wrong_wall_clock_takes_no_lease(void **state)
{
    static const int64_t days[] = { 1, -1 };
    daemon_process    d = { .preload = BREAK_CALLS, .variable = "BREAK_WALL" };
    scripted_agent    agent = { .daemon = &d, .name = "a", .class_name = "cpu-test", .slots = 2, .hold = true };
    volatile int64_t *wrong = NULL;
    pf_digest         model = { 0 };
    uint64_t          job[2] = { 0 };
    Pf__JobStatus    *status = NULL;
    pf_peer          *client = NULL;

    (void)state;
    snprintf(d.value, sizeof d.value, "%s", test_path("wrong"));
    wrong = make_wrong(d.value);
    daemon_start(&d, test_path("state"), quick);
    client = daemon_client(&d);
    scripted_agent_start(&agent);
    scripted_agent_await(&agent);
    for (int i = 0; i < 2; i++) {
        model = http_put_model(&d, i ? "one" : "two");
        job[i] = must_submit(client, (uint8_t)(i + 1), &model, i ? "one" : "two");
        await_state(client, job[i], LEASED, AWAIT_S);
    }
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
        *wrong = days[i] * DAY_S;
        pf_clock_sleep_ns((TTL_MS + 200) * PF_NS_PER_MS);
        await_state(client, job[0], LEASED, AWAIT_S);
        await_state(client, job[1], LEASED, AWAIT_S);
    }
    *wrong = DAY_S;
    agent.hold = false;
    for (int i = 0; i < 2; i++)
        await_state(client, job[i], COMMITTED, AWAIT_S);
    assert_int_equal(agent.offers, 2);
    status = job_status(client, job[0]);
    assert_true(status->changed_ns > pf_clock_wall_ns() + DAY_S / 2 * PF_NS_PER_S);  /* it did read the wrong clock */
    pf__job_status__free_unpacked(status, NULL);
    scripted_agent_stop(&agent);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_wrong_wall_clock_takes_no_lease) };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
