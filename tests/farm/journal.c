#include "tests/farm/journal.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "proto/manifest.h"

enum { ASK_MS = 300, AWAIT_S = 100 };

void journal_open(journal *j, const daemon_process *d, uint64_t seed)
{
    memset(j, 0, sizeof *j);
    j->daemon = d;
    j->seed = seed;
    for (int i = 0; i < JOURNAL_MODELS; i++) {
        snprintf(j->model_name[i], sizeof j->model_name[i], "model %d", i);
        j->model_digest[i] = http_put_model(d, j->model_name[i]);
    }
}

static void submit_until_acked(submitter *s, pf_peer **client, char endpoint[128], journal_entry *e)
{
    journal *j = s->journal;

    for (int tries = 0; !e->acked && !j->stop; tries++) {
        s->retries += tries > 0;
        if (strcmp(endpoint, j->daemon->client) != 0) {
            pf_peer_close(*client);
            snprintf(endpoint, 128, "%s", j->daemon->client);
            *client = daemon_client(j->daemon);
        }
        e->acked = try_submit(*client, e->id, &j->model_digest[e->model], j->model_name[e->model], "cpu",
                              ASK_MS * PF_NS_PER_MS, &e->job_id, NULL) == PF_OK &&
                   e->job_id;
    }
}

static void *submit_all(void *user)
{
    submitter *s = user;
    pf_peer   *client = NULL;
    char       endpoint[128] = "";
    pf_random  random = { 0 };

    pf_random_init(&random, s->journal->seed + s->number);
    while (!s->journal->stop && s->count < s->limit) {
        journal_entry *e = &s->entry[s->count];
        memset(e, 0, sizeof *e);
        for (size_t i = 0; i < sizeof e->id; i++)
            e->id[i] = (uint8_t)pf_random_below(&random, 256);
        e->model = (uint32_t)pf_random_below(&random, JOURNAL_MODELS);
        s->count++;
        submit_until_acked(s, &client, endpoint, e);
    }
    pf_peer_close(client);
    s->journal->ended++;
    return NULL;
}

bool journal_is_done(const journal *j)
{
    return j->ended == j->submitters_count;
}

uint32_t journal_models_asked(const journal *j)
{
    bool     asked[JOURNAL_MODELS] = { false };
    uint32_t count = 0;

    for (uint32_t i = 0; i < j->submitters_count; i++)
        for (uint32_t k = 0; k < j->submitter[i].count; k++)
            asked[j->submitter[i].entry[k].model] = true;
    for (int i = 0; i < JOURNAL_MODELS; i++)
        count += asked[i];
    return count;
}

void journal_start(journal *j, uint32_t submitters, uint32_t limit)
{
    j->submitters_count = submitters;
    for (uint32_t i = 0; i < submitters; i++) {
        submitter *s = &j->submitter[i];
        s->journal = j;
        s->number = i + 1;
        s->limit = limit < JOURNAL_MAX ? limit : JOURNAL_MAX;
        assert_int_equal(pthread_create(&s->thread, NULL, submit_all, s), 0);
    }
}

void journal_end(journal *j, bool at_once)
{
    j->stop = at_once;
    for (uint32_t i = 0; i < j->submitters_count; i++)
        pthread_join(j->submitter[i].thread, NULL);
}

static void check_entry(journal *j, pf_peer *client, const journal_entry *e)
{
    uint64_t job_id = 0;
    pf_err   err = { 0 };

    if (!e->acked)
        return;
    test_ok(try_submit(client, e->id, &j->model_digest[e->model], j->model_name[e->model], "cpu", 30 * PF_NS_PER_S,
                       &job_id, &err),
            &err);
    assert_int_equal(job_id, e->job_id);
    if (j->job_of_model[e->model] == 0)
        j->job_of_model[e->model] = job_id;
    assert_int_equal(j->job_of_model[e->model], job_id);
    j->acked++;
}

void journal_check(journal *j, const daemon_process *d)
{
    pf_peer *client = daemon_client(d);

    for (uint32_t i = 0; i < j->submitters_count; i++) {
        const submitter *s = &j->submitter[i];
        for (uint32_t k = 0; k < s->count; k++)
            check_entry(j, client, &s->entry[k]);
        j->retries += s->retries;
    }
    pf_peer_close(client);
}

static void check_plan(const daemon_process *d, pf_peer *client, uint64_t job_id)
{
    Pf__JobStatus *status = NULL;
    char           hex[PF_DIGEST_HEX_BYTES] = "", path[128] = "";
    pf_digest      digest = { 0 }, found = { 0 };
    http_answer    answer;

    await_state(client, job_id, PF__JOB_STATE__STATE_COMMITTED, AWAIT_S);
    status = job_status(client, job_id);
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

void journal_check_plans(const journal *j, const daemon_process *d)
{
    pf_peer *client = daemon_client(d);

    for (int i = 0; i < JOURNAL_MODELS; i++)
        if (j->job_of_model[i])
            check_plan(d, client, j->job_of_model[i]);
    pf_peer_close(client);
}
