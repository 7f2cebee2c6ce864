/* kill -9 of the coordinator, again and again, while clients submit and an agent builds (FARM: T1).
   PF_KILLS=N: how often (12).  Oracle: a journal of what was acknowledged. */
#include "tests/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "proto/manifest.h"
#include "tests/farm/scripted_agent.h"

enum { SUBMITTERS = 3, JOURNAL_MAX = 20000, MODELS = 24, KILLS_DEFAULT = 12 };

typedef struct entry { uint8_t id[PF_SUBMIT_ID_BYTES]; uint32_t model; uint64_t job_id; bool acked; } entry;

typedef struct submitter {
    daemon_process *daemon;
    pthread_t       thread;
    uint32_t        number;
    entry           journal[JOURNAL_MAX];
    uint32_t        count;
    _Atomic bool    stop;
    uint32_t        retries;            /* sendings beyond the first: the ack was lost or the coordinator was away */
} submitter;

static pf_digest model_digest[MODELS];
static char      model_name[MODELS][32];

/* Repeats one submit with its id until it is acknowledged, over as many coordinators as that takes. */
static void submit_until_acked(submitter *s, pf_peer **client, char endpoint[128], entry *e)
{
    for (int tries = 0; !e->acked && !s->stop; tries++) {
        s->retries += tries > 0;
        if (strcmp(endpoint, s->daemon->client) != 0) {
            pf_peer_close(*client);
            snprintf(endpoint, 128, "%s", s->daemon->client);
            *client = daemon_client(s->daemon);
        }
        e->acked = try_submit(*client, e->id, &model_digest[e->model], model_name[e->model], "cpu", 300 * PF_NS_PER_MS,
                              &e->job_id, NULL) == PF_OK && e->job_id;
    }
}

static void *submit_all(void *user)
{
    submitter *s = user;
    pf_peer   *client = NULL;
    char       endpoint[128] = "";
    pf_random  random = { 0 };

    pf_random_init(&random, s->number);
    while (!s->stop && s->count < JOURNAL_MAX) {
        entry *e = &s->journal[s->count];
        memset(e, 0, sizeof *e);
        for (size_t i = 0; i < sizeof e->id; i++)
            e->id[i] = (uint8_t)pf_random_below(&random, 256);
        e->model = (uint32_t)pf_random_below(&random, MODELS);
        s->count++;
        submit_until_acked(s, &client, endpoint, e);
    }
    pf_peer_close(client);
    return NULL;
}

/* Every acknowledged submit is known and has the job that was said; jobs of one model are one. */
static void check_journal(pf_peer *client, const submitter *s, uint64_t *job_of_model)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const entry *e = &s->journal[i];
        uint64_t     job_id = 0;
        pf_err       err = { 0 };
        if (!e->acked)
            continue;
        test_ok(try_submit(client, e->id, &model_digest[e->model], model_name[e->model], "cpu", 10 * PF_NS_PER_S, &job_id, &err),
                &err);
        assert_int_equal(job_id, e->job_id);
        if (job_of_model[e->model] == 0)
            job_of_model[e->model] = job_id;
        assert_int_equal(job_of_model[e->model], job_id);
    }
}

/* Each plan's manifest verifies, and so do its bytes. */
static void check_plans(const daemon_process *d, pf_peer *client, const uint64_t *job_of_model)
{
    for (int i = 0; i < MODELS; i++) {
        Pf__JobStatus *status = NULL;
        char           hex[PF_DIGEST_HEX_BYTES] = "", path[128] = "";
        pf_digest      digest = { 0 }, found = { 0 };
        http_answer    answer;
        if (job_of_model[i] == 0)
            continue;
        await_state(client, job_of_model[i], PF__JOB_STATE__STATE_COMMITTED, 30);
        status = job_status(client, job_of_model[i]);
        memcpy(digest.byte, status->plan_digest.data, sizeof digest.byte);
        pf_digest_to_hex(&digest, hex);
        snprintf(path, sizeof path, "/blobs/sha256/%s", hex);
        http_request("GET", d->http, path, NULL, NULL, 0, &answer);
        assert_int_equal(answer.code, 200);
        pf_digest_of(answer.body.data, answer.body.size, &found);
        assert_true(pf_digest_equal(&digest, &found));
        http_answer_clear(&answer);
        pf__job_status__free_unpacked(status, NULL);
    }
}

static const char *const quick[] = { "--lease-ttl-ms", "3000", "--heartbeat-ms", "200", "--backoff-ms", "50", NULL };

static void nothing_acknowledged_is_lost(void **state)
{
    static submitter submitters[SUBMITTERS];
    daemon_process   d = { 0 };
    scripted_agent   agent = { .daemon = &d, .name = "a", .class_name = "cpu-test", .slots = 2, .build_ns = 20 * PF_NS_PER_MS };
    const char      *text = getenv("PF_KILLS");
    long             kills = text && text[0] ? strtol(text, NULL, 10) : KILLS_DEFAULT;
    char             folder[4096] = "";
    uint64_t         job_of_model[MODELS] = { 0 };
    uint32_t         acked = 0, retries = 0;
    pf_random        random = { 0 };
    pf_peer         *client = NULL;

    (void)state;
    pf_random_init(&random, (uint64_t)pf_clock_wall_ns());
    snprintf(folder, sizeof folder, "%s", test_path("state"));
    daemon_start(&d, folder, quick);
    for (int i = 0; i < MODELS; i++) {
        snprintf(model_name[i], sizeof model_name[i], "model %d", i);
        model_digest[i] = http_put_model(&d, model_name[i]);
    }
    scripted_agent_start(&agent);
    for (int i = 0; i < 500 && agent.welcomes == 0; i++)        /* its class is known before the first submit */
        pf_clock_sleep_ns(20 * PF_NS_PER_MS);
    for (uint32_t i = 0; i < SUBMITTERS; i++) {
        submitters[i].daemon = &d;
        submitters[i].number = i + 1;
        assert_int_equal(pthread_create(&submitters[i].thread, NULL, submit_all, &submitters[i]), 0);
    }
    for (long k = 0; k < kills; k++) {
        pf_clock_sleep_ns((int64_t)pf_random_below(&random, 250) * PF_NS_PER_MS);
        daemon_kill(&d);
        daemon_start(&d, folder, quick);
    }
    pf_clock_sleep_ns(300 * PF_NS_PER_MS);
    client = daemon_client(&d);
    for (int i = 0; i < SUBMITTERS; i++) {
        submitters[i].stop = true;
        pthread_join(submitters[i].thread, NULL);
        check_journal(client, &submitters[i], job_of_model);
        retries += submitters[i].retries;
        for (uint32_t k = 0; k < submitters[i].count; k++)
            acked += submitters[i].journal[k].acked;
    }
    check_plans(&d, client, job_of_model);
    print_message("%ld kills, %u submits acknowledged, %u sent again, %u offers, %u commits\n", kills, acked, retries,
                  (unsigned)agent.offers, (unsigned)agent.commits);
    assert_true(acked > 0);
    scripted_agent_stop(&agent);
    pf_peer_close(client);
    assert_int_equal(daemon_stop(&d), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_acknowledged_is_lost) };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
