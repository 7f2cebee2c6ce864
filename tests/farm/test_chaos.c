/* Networks that stall, cut and come back, and a coordinator that is stopped (FARM: T9, T10, T11).
   PF_CHAOS_SECONDS=N: of a bad network (6; 600 with PF_LONG).  PF_SEED=N (today's), printed. */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/farm/journal.h"
#include "tests/farm/proxy.h"
#include "tests/farm/scripted_agent.h"

static const Pf__JobState COMMITTED = PF__JOB_STATE__STATE_COMMITTED, LEASED = PF__JOB_STATE__STATE_LEASED;

enum { TTL_MS = 2000, AWAIT_S = 100 };
static const char *const quick[] = { "--lease-ttl-ms", "2000", "--heartbeat-ms", "200", "--backoff-ms", "50", NULL };

static const char *const patient[] = { "--lease-ttl-ms", "5000", "--heartbeat-ms", "200", NULL };

/* ---- a network that does all it can */

typedef struct bad_network { daemon_process via; proxy *client, *agent, *http; } bad_network;

/* via is the coordinator as it is seen through the proxies. */
static void network_open(bad_network *n, const daemon_process *d, uint64_t seed)
{
    n->via = *d;
    n->client = proxy_open(d->client, seed, n->via.client);
    n->agent = proxy_open(d->agent, seed + 1, n->via.agent);
    n->http = proxy_open(d->http, seed + 2, n->via.http);
}

static void network_set(bad_network *n, proxy_mode mode)
{
    proxy_set(n->client, mode);
    proxy_set(n->agent, mode);
    proxy_set(n->http, mode);
}

static void network_close(bad_network *n)
{
    proxy_close(n->client);
    proxy_close(n->agent);
    proxy_close(n->http);
}

static void a_bad_network_loses_nothing(void **state)
{
    static journal j;
    uint64_t       seed = test_seed_of_now();
    daemon_process d = { 0 };
    bad_network    n = { 0 };
    scripted_agent one = { .daemon = &n.via, .name = "one", .class_name = "cpu-test", .slots = 2,
                           .build_ns = 50 * PF_NS_PER_MS };
    scripted_agent two = { .daemon = &n.via, .name = "two", .class_name = "cpu-test", .slots = 2,
                           .build_ns = 50 * PF_NS_PER_MS };
    pf_peer       *client = NULL;

    (void)state;
    daemon_start(&d, test_path("network"), quick);
    network_open(&n, &d, seed);
    journal_open(&j, &n.via, seed);
    scripted_agent_start(&one);
    scripted_agent_start(&two);
    scripted_agent_await(&one);
    network_set(&n, PROXY_CHAOS);
    journal_start(&j, 3, JOURNAL_MAX);
    pf_clock_sleep_ns((int64_t)test_count("PF_CHAOS_SECONDS", 6, 600) * PF_NS_PER_S);
    network_set(&n, PROXY_OPEN);
    journal_end(&j, true);
    journal_check(&j, &d);
    client = daemon_client(&d);
    for (int i = 0; i < JOURNAL_MODELS; i++)    /* who was cut off three times may have got a job quarantined */
        if (j.job_of_model[i])
            kick_quarantined(client, j.job_of_model[i]);
    journal_check_plans(&j, &d);
    print_message("%u submits acknowledged, %u sent again, %u offers, %u of %u connections broken off, %ld KiB "
                  "resident\n",
                  j.acked, j.retries, (unsigned)(one.offers + two.offers),
                  proxy_breaks(n.client) + proxy_breaks(n.agent) + proxy_breaks(n.http),
                  proxy_connections(n.client) + proxy_connections(n.agent) + proxy_connections(n.http),
                  daemon_resident_kib(&d));
    assert_true(j.acked > 0 && proxy_breaks(n.client) + proxy_breaks(n.agent) + proxy_breaks(n.http) > 0);
#ifndef __SANITIZE_ADDRESS__
    assert_true(daemon_resident_kib(&d) < 200 << 10);
#endif
    pf_peer_close(client);
    scripted_agent_stop(&one);
    scripted_agent_stop(&two);
    network_close(&n);
    assert_int_equal(daemon_stop(&d), 0);
}

/* ---- partitions, one way and both, shorter and longer than a lease lives */

static void heal_and_finish(proxy *p, scripted_agent *agent, pf_peer *client, uint64_t job_id)
{
    int64_t healed_ns = 0;

    agent->hold = false;
    healed_ns = pf_clock_ns();
    proxy_set(p, PROXY_OPEN);
    await_state(client, job_id, COMMITTED, AWAIT_S);
    print_message("committed %lld ms after it was healed\n", (long long)((pf_clock_ns() - healed_ns) / PF_NS_PER_MS));
}

static void an_agent_behind_a_partition_comes_back(void **state)
{
    static const struct { proxy_mode mode; int64_t ttl_halves; } rows[] = {
        { PROXY_NO_UP, 1 }, { PROXY_NO_DOWN, 2 }, { PROXY_CLOSED, 3 }, { PROXY_NO_UP, 6 }, { PROXY_NO_DOWN, 6 },
        { PROXY_CLOSED, 6 },
    };
    uint64_t       some = test_count("PF_PARTITIONS", 3, sizeof rows / sizeof rows[0]);
    daemon_process d = { 0 }, via = { 0 };
    scripted_agent agent = { .daemon = &via, .name = "a", .class_name = "cpu-test", .slots = 1 };
    pf_peer       *client = NULL;
    proxy         *p = NULL;

    (void)state;
    daemon_start(&d, test_path("partition"), quick);
    via = d;
    p = proxy_open(d.agent, 1, via.agent);
    client = daemon_client(&d);
    scripted_agent_start(&agent);
    scripted_agent_await(&agent);
    for (uint64_t i = 0; i < some && i < sizeof rows / sizeof rows[0]; i++) {
        char      name[32] = "";
        pf_digest model = { 0 };
        uint64_t  job_id = 0;
        snprintf(name, sizeof name, "model %d", (int)i);
        model = http_put_model(&d, name);
        agent.hold = true;
        job_id = must_submit(client, (uint8_t)(i + 1), &model, name);
        await_state(client, job_id, LEASED, AWAIT_S);
        proxy_set(p, rows[i].mode);
        pf_clock_sleep_ns(rows[i].ttl_halves * TTL_MS / 2 * PF_NS_PER_MS);
        heal_and_finish(p, &agent, client, job_id);
    }
    scripted_agent_stop(&agent);
    pf_peer_close(client);
    proxy_close(p);
    assert_int_equal(daemon_stop(&d), 0);
}

/* ---- a coordinator that is stopped and goes on: it slept, so nobody was late */

static void a_stopped_coordinator_takes_nothing_away(void **state)
{
    daemon_process d = { 0 };
    scripted_agent agent = { .daemon = &d, .name = "a", .class_name = "cpu-test", .slots = 2, .hold = true };
    pf_digest      model[2] = { 0 };
    uint64_t       job[2] = { 0 };
    pf_peer       *client = NULL;

    (void)state;
    daemon_start(&d, test_path("stopped"), patient);
    client = daemon_client(&d);
    scripted_agent_start(&agent);
    scripted_agent_await(&agent);
    for (int i = 0; i < 2; i++) {
        model[i] = http_put_model(&d, i ? "one" : "two");
        job[i] = must_submit(client, (uint8_t)(i + 1), &model[i], i ? "one" : "two");
        await_state(client, job[i], LEASED, AWAIT_S);
    }
    kill(d.pid, SIGSTOP);
    pf_clock_sleep_ns((int64_t)test_count("PF_STOP_SECONDS", 7, 60) * PF_NS_PER_S);
    kill(d.pid, SIGCONT);
    pf_clock_sleep_ns(PF_NS_PER_S);
    agent.hold = false;
    for (int i = 0; i < 2; i++)
        await_state(client, job[i], COMMITTED, AWAIT_S);
    assert_int_equal(agent.offers, 2);
    scripted_agent_stop(&agent);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_network_loses_nothing),
        cmocka_unit_test(an_agent_behind_a_partition_comes_back),
        cmocka_unit_test(a_stopped_coordinator_takes_nothing_away),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
