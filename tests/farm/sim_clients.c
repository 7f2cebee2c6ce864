#include "tests/farm/sim_world.h"

#include <stdio.h>
#include <string.h>

static void client_submit(sim *s, client *c, uint32_t at)
{
    journal    *j = &c->entry[at];
    Pf__Submit  submit = PF__SUBMIT__INIT;
    char        model[16] = "", user[16] = "";
    pf_digest   digest = { 0 };
    char       *selectors[] = { j->model % 2 ? "odd" : "even" };

    snprintf(model, sizeof model, "model%u", j->model);
    snprintf(user, sizeof user, "user%d", (int)(c - s->client));
    pf_digest_of(model, strlen(model), &digest);
    submit.submit_id = (ProtobufCBinaryData){ sizeof j->id, j->id };
    submit.model_digest = pf_wire_bytes(&digest);
    submit.model_name = model;
    submit.user = user;
    submit.spec_text = "spec";
    submit.selector = selectors;
    submit.n_selector = 1;
    submit.wait_for_class = true;
    c->asked_id = s->next_msg_id++;
    c->asked_entry = at;
    sim_say(s, 1 + (uint64_t)(c - s->client), PF_MSG_SUBMIT, c->asked_id, &submit.base);
}

static void client_ask(sim *s, client *c, uint32_t at, bool cancel)
{
    journal   *j = &c->entry[at];
    Pf__Status status = PF__STATUS__INIT;
    Pf__Cancel give_up = PF__CANCEL__INIT;

    c->asked_id = s->next_msg_id++;
    c->asked_entry = at;
    status.submit_id = give_up.submit_id = (ProtobufCBinaryData){ sizeof j->id, j->id };
    j->cancelled |= cancel;
    sim_say(s, 1 + (uint64_t)(c - s->client), cancel ? PF_MSG_CANCEL : PF_MSG_STATUS, c->asked_id,
            cancel ? &give_up.base : &status.base);
}

void sim_on_client_turn(sim *s, const happening *h)
{
    client  *c = &s->client[h->peer];
    uint32_t at = 0;

    sim_plan(s, CLIENT_TURN, sim_between(s, 50 * MS, 1 * S))->peer = h->peer;
    if (c->made < SUBMITS_PER_CLIENT && sim_chance(s, 0.2)) {
        journal *j = &c->entry[c->made++];
        j->used = true;
        j->model = (uint32_t)pf_random_below(&s->random, MODELS);
        for (size_t i = 0; i < sizeof j->id; i++)
            j->id[i] = (uint8_t)pf_random_below(&s->random, 256);
    }
    if (c->made == 0)
        return;
    at = (uint32_t)pf_random_below(&s->random, c->made);
    if (!c->entry[at].acked || sim_chance(s, 0.1))
        client_submit(s, c, at);
    else
        client_ask(s, c, at, !s->quiet && sim_chance(s, 0.03));
}

/* Invariants 5 and 6. */
static void note_status(sim *s, journal *j, const Pf__JobStatus *status)
{
    bool was_final = j->seen_state >= PF__JOB_STATE__STATE_COMMITTED;

    (void)s;
    if (j->keyed)               /* one that waited for its class may join another when that is declared */
        assert_int_equal(j->job_id, status->job_id);
    j->acked = true;
    j->keyed = status->plan_key.len > 0;
    j->job_id = status->job_id;
    if (was_final && j->seen_state != PF__JOB_STATE__STATE_QUARANTINED)
        assert_int_equal(status->state, j->seen_state);
    if (was_final && j->seen_state == PF__JOB_STATE__STATE_QUARANTINED)       /* a late win may still come */
        assert_true(status->state == PF__JOB_STATE__STATE_QUARANTINED ||
                    status->state == PF__JOB_STATE__STATE_COMMITTED);
    j->seen_state = status->state;
}

void sim_client_receive(sim *s, uint64_t index, const pf_message *message)
{
    client  *c = &s->client[index];
    journal *j = &c->entry[c->asked_entry];

    if (message->header.correlation_id != c->asked_id)
        return;  /* of an earlier question, or a second copy: it may be older than what is known by now */
    c->asked_id = 0;
    if (message->info->type == PF_MSG_SUBMIT_REPLY)
        note_status(s, j, ((const Pf__SubmitReply *)message->body)->job[0]);
    else if (message->info->type == PF_MSG_STATUS_REPLY)
        note_status(s, j, ((const Pf__StatusReply *)message->body)->job[0]);
    else if (message->info->type == PF_MSG_ERROR && j->acked)
        fail_msg("an acknowledged submit was answered: %s", ((const Pf__Error *)message->body)->message);
}
