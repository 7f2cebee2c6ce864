/* The core's transitions, one test per arrow of the state machine and per rule of PROTOCOL.md. */
#include "tests/farm/core_rig.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

#define S PF_NS_PER_S

enum {
    QUEUED = PF__JOB_STATE__STATE_QUEUED, OFFERED = PF__JOB_STATE__STATE_OFFERED, LEASED = PF__JOB_STATE__STATE_LEASED,
    VERIFYING = PF__JOB_STATE__STATE_VERIFYING, BACKOFF = PF__JOB_STATE__STATE_BACKOFF,
    CANCELLING = PF__JOB_STATE__STATE_CANCELLING, COMMITTED = PF__JOB_STATE__STATE_COMMITTED,
    FAILED = PF__JOB_STATE__STATE_FAILED, CANCELLED = PF__JOB_STATE__STATE_CANCELLED,
    QUARANTINED = PF__JOB_STATE__STATE_QUARANTINED, UNSATISFIABLE = PF__JOB_STATE__STATE_UNSATISFIABLE,
};

static int open_rig(void **state)
{
    rig *r = pf_calloc(1, sizeof *r);

    rig_open(r);
    *state = r;
    return 0;
}

static int close_rig(void **state)
{
    rig_close(*state);
    pf_free(*state);
    return 0;
}

static uint32_t error_code(rig *r, uint64_t peer)
{
    rig_mail mail = rig_take(r, peer, PF_MSG_ERROR);
    uint32_t code = ((Pf__Error *)mail.message.body)->exit_code;

    assert_true(((Pf__Error *)mail.message.body)->message[0]);
    pf_message_clear(&mail.message);
    return code;
}

static uint32_t code_of(pf_status status)
{
    return (uint32_t)pf_status_exit_code(status);
}

static void stats(rig *r, pf_core_stats *out)
{
    pf_core_stats_get(r->core, r->now, out);
}

static Pf__Outcome outcome(rig *r, uint64_t peer)
{
    rig_mail    mail = rig_take(r, peer, PF_MSG_COMPLETE_REPLY);
    Pf__Outcome o = ((Pf__CompleteReply *)mail.message.body)->outcome;

    pf_message_clear(&mail.message);
    return o;
}

static void cancel_job(rig *r, uint64_t job_id)
{
    Pf__Cancel cancel = PF__CANCEL__INIT;
    uint64_t   ids[] = { job_id };

    cancel.job_id = ids;
    cancel.n_job_id = 1;
    rig_say(r, CLIENT_1, PF_MSG_CANCEL, &cancel.base);
}

static void cancel_submit(rig *r, uint8_t id)
{
    Pf__Cancel cancel = PF__CANCEL__INIT;
    uint8_t    submit_id[PF_SUBMIT_ID_BYTES] = { id };

    cancel.submit_id = (ProtobufCBinaryData){ sizeof submit_id, submit_id };
    rig_say(r, CLIENT_1, PF_MSG_CANCEL, &cancel.base);
}

static void kick(rig *r, uint64_t job_id)
{
    Pf__Kick message = PF__KICK__INIT;
    uint64_t ids[] = { job_id };

    message.job_id = ids;
    message.n_job_id = 1;
    rig_say(r, CLIENT_1, PF_MSG_KICK, &message.base);
}

static void ack_cancel(rig *r, uint64_t peer, const Pf__Offer *offer)
{
    Pf__CancelAck ack = PF__CANCEL_ACK__INIT;

    ack.job_id = offer->job_id;
    ack.attempt = offer->attempt;
    ack.fence = offer->fence;
    rig_say(r, peer, PF_MSG_CANCEL_ACK, &ack.base);
}

/* A job that AGENT_1 holds and runs. */
static uint64_t running_job(rig *r, rig_mail *lease)
{
    uint64_t job = 0;

    rig_hello(r, AGENT_1, 1, 1);
    job = rig_submit(r, CLIENT_1, 1, "model", "cpu");
    *lease = rig_lease(r, AGENT_1);
    assert_int_equal(rig_state(r, job), LEASED);
    return job;
}

/* ---- the good way */

static void a_job_goes_all_the_way(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };
    uint64_t job = running_job(r, &lease);

    assert_int_equal(rig_offer_of(&lease)->job_id, job);
    assert_string_equal(rig_offer_of(&lease)->spec_text, "spec 1");
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    assert_int_equal(rig_state(r, job), VERIFYING);
    assert_int_equal(r->verifies_count, 1);
    assert_false(rig_has(r, AGENT_1, PF_MSG_COMPLETE_REPLY));
    rig_verdict(r, 0, PF_OK);
    assert_int_equal(outcome(r, AGENT_1), PF__OUTCOME__OUTCOME_COMMITTED);
    assert_int_equal(rig_state(r, job), COMMITTED);
    pf_message_clear(&lease.message);
}

static void a_plan_that_is_there_is_a_hit(void **state)
{
    rig          *r = *state;
    rig_mail      lease = { 0 };
    uint64_t      job = running_job(r, &lease);
    pf_core_stats s;

    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    rig_verdict(r, 0, PF_OK);
    assert_int_equal(rig_submit(r, CLIENT_2, 2, "model", "cpu-test"), job);
    stats(r, &s);
    assert_int_equal(s.hits_total, 1);
    assert_int_equal(s.jobs, 1);
    rig_restart(r);
    assert_int_equal(rig_submit(r, CLIENT_2, 3, "model", "cpu-test"), job);
    stats(r, &s);
    assert_int_equal(s.hits_total, 1);
    pf_message_clear(&lease.message);
}

static void a_plan_whose_bytes_are_gone_is_built_again(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };
    uint64_t job = running_job(r, &lease), again = 0;

    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    rig_verdict(r, 0, PF_OK);
    pf_digest_of("plan", 4, &r->absent[0]);
    r->absent_count = 1;
    again = rig_submit(r, CLIENT_2, 2, "model", "cpu");
    r->absent_count = 0;
    assert_int_not_equal(again, job);
    assert_int_equal(rig_state(r, again), OFFERED);
    rig_restart(r);
    assert_int_equal(rig_submit(r, CLIENT_2, 3, "model", "cpu"), again);
    pf_message_clear(&lease.message);
}

static void plans_are_found_by_key_and_by_name(void **state)
{
    rig           *r = *state;
    rig_mail       lease = { 0 }, mail = { 0 };
    Pf__PlanLookup lookup = PF__PLAN_LOOKUP__INIT;
    const Pf__PlanLookupReply *reply = NULL;
    pf_err         err = { 0 };

    running_job(r, &lease);
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    rig_verdict(r, 0, PF_OK);
    lookup.model_name = "model";
    lookup.selector = "cpu";
    rig_say(r, CLIENT_1, PF_MSG_PLAN_LOOKUP, &lookup.base);
    mail = rig_take(r, CLIENT_1, PF_MSG_PLAN_LOOKUP_REPLY);
    reply = (const Pf__PlanLookupReply *)mail.message.body;
    assert_int_equal(reply->n_plan, 1);
    test_ok(pf_manifest_verify(reply->plan[0]->manifest, strlen(reply->plan[0]->manifest), &r->key.public_key, 1, &err), &err);
    lookup = (Pf__PlanLookup)PF__PLAN_LOOKUP__INIT;
    lookup.plan_key = reply->plan[0]->plan_key;
    rig_say(r, CLIENT_2, PF_MSG_PLAN_LOOKUP, &lookup.base);
    pf_message_clear(&mail.message);
    mail = rig_take(r, CLIENT_2, PF_MSG_PLAN_LOOKUP_REPLY);
    pf_message_clear(&mail.message);
    lookup = (Pf__PlanLookup)PF__PLAN_LOOKUP__INIT;
    lookup.model_name = "another";
    rig_say(r, CLIENT_1, PF_MSG_PLAN_LOOKUP, &lookup.base);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_NOT_FOUND));
    pf_message_clear(&lease.message);
}

/* ---- submits */

static void a_submit_sent_again_is_the_same(void **state)
{
    rig          *r = *state;
    uint64_t      job = 0;
    pf_core_stats s;

    rig_hello(r, AGENT_1, 1, 1);
    job = rig_submit(r, CLIENT_1, 1, "model", "cpu");
    assert_int_equal(rig_submit(r, CLIENT_1, 1, "model", "cpu"), job);
    rig_restart(r);
    assert_int_equal(rig_submit(r, CLIENT_1, 1, "model", "cpu"), job);
    stats(r, &s);
    assert_int_equal(s.jobs, 1);
    assert_int_equal(rig_submit(r, CLIENT_1, 1, "other model", "cpu"), 0);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_INVALID));
}

static void missing_blobs_are_told_before_anything_is_kept(void **state)
{
    rig          *r = *state;
    pf_core_stats s;

    rig_hello(r, AGENT_1, 1, 1);
    r->missing_count = 2;
    assert_int_equal(rig_submit(r, CLIENT_1, 1, "model", "cpu"), 0);
    stats(r, &s);
    assert_int_equal(s.jobs + s.submits, 0);
    r->missing_count = 0;
    assert_int_not_equal(rig_submit(r, CLIENT_1, 1, "model", "cpu"), 0);
}

static void two_submits_share_a_job(void **state)
{
    rig     *r = *state;
    uint64_t job = 0;

    rig_hello(r, AGENT_1, 1, 1);
    job = rig_submit(r, CLIENT_1, 1, "model", "cpu");
    assert_int_equal(rig_submit(r, CLIENT_2, 2, "model", "cpu"), job);
    cancel_submit(r, 1);
    assert_int_equal(rig_state(r, job), OFFERED);
    cancel_submit(r, 1);                /* giving up twice gives up once */
    assert_int_equal(rig_state(r, job), OFFERED);
    rig_restart(r);
    cancel_submit(r, 2);
    assert_int_equal(rig_state(r, job), CANCELLING);
}

static void unknown_selectors_are_refused_unless_waited_for(void **state)
{
    rig        *r = *state;
    Pf__Submit  submit = PF__SUBMIT__INIT;
    uint8_t     id[PF_SUBMIT_ID_BYTES] = { 7 };
    pf_digest   digest = { { 1 } };
    char       *selectors[] = { "cpu" };
    rig_mail    mail = { 0 };
    uint64_t    job = 0;

    assert_int_equal(rig_submit(r, CLIENT_1, 1, "model", "cpu"), 0);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_NOT_FOUND));
    submit.submit_id = (ProtobufCBinaryData){ sizeof id, id };
    submit.model_digest = pf_wire_bytes(&digest);
    submit.selector = selectors;
    submit.n_selector = 1;
    submit.wait_for_class = true;
    rig_say(r, CLIENT_1, PF_MSG_SUBMIT, &submit.base);
    mail = rig_take(r, CLIENT_1, PF_MSG_SUBMIT_REPLY);
    job = ((Pf__SubmitReply *)mail.message.body)->job[0]->job_id;
    assert_int_equal(((Pf__SubmitReply *)mail.message.body)->job[0]->plan_key.len, 0);
    pf_message_clear(&mail.message);
    rig_restart(r);
    assert_int_equal(rig_state(r, job), QUEUED);
    rig_hello(r, AGENT_1, 1, 1);
    assert_int_equal(rig_state(r, job), OFFERED);
}

static void a_full_disk_refuses_submits_and_nothing_else(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };
    uint64_t job = running_job(r, &lease);
    pf_event full = { .kind = PF_EVENT_SPACE, .text = "the disk is full" }, room = { .kind = PF_EVENT_SPACE };

    assert_int_equal(rig_step(r, &full), PF_OK);
    assert_int_equal(rig_submit(r, CLIENT_2, 2, "other", "cpu"), 0);
    assert_int_equal(error_code(r, CLIENT_2), code_of(PF_BUSY));
    assert_int_equal(rig_submit(r, CLIENT_1, 1, "model", "cpu"), job);      /* known already */
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    rig_verdict(r, 0, PF_OK);
    assert_int_equal(rig_state(r, job), COMMITTED);
    assert_int_equal(rig_step(r, &room), PF_OK);
    assert_int_not_equal(rig_submit(r, CLIENT_2, 2, "other", "cpu"), 0);
    pf_message_clear(&lease.message);
}

static void no_more_jobs_than_the_limit(void **state)
{
    rig *r = *state;

    r->config.jobs_limit = 2;
    rig_restart(r);
    rig_hello(r, AGENT_1, 1, 1);
    assert_int_not_equal(rig_submit(r, CLIENT_1, 1, "m1", "cpu"), 0);
    assert_int_not_equal(rig_submit(r, CLIENT_1, 2, "m2", "cpu"), 0);
    assert_int_equal(rig_submit(r, CLIENT_1, 3, "m3", "cpu"), 0);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_BUSY));
}

/* ---- offers */

static void an_unanswered_offer_goes_back_uncharged(void **state)
{
    rig     *r = *state;
    rig_mail offer = { 0 };
    uint64_t job = 0;

    rig_hello(r, AGENT_1, 1, 1);
    job = rig_submit(r, CLIENT_1, 1, "model", "cpu");
    offer = rig_take(r, AGENT_1, PF_MSG_OFFER);
    rig_tick(r, 11 * S);
    assert_int_equal(rig_state(r, job), QUEUED);
    rig_answer(r, AGENT_1, rig_offer_of(&offer), true);         /* too late: told to end it */
    assert_true(rig_has(r, AGENT_1, PF_MSG_KILL));
    assert_int_equal(rig_state(r, job), QUEUED);
    pf_message_clear(&offer.message);
    rig_tick(r, 11 * S);                /* it has rested */
    rig_beat(r, AGENT_1, 1, NULL, 0, 1);
    offer = rig_lease(r, AGENT_1);
    assert_int_equal(rig_offer_of(&offer)->attempt, 2);
    assert_false(rig_offer_of(&offer)->last_attempt);
    pf_message_clear(&offer.message);
}

static void a_declined_offer_goes_back_until_the_next_heartbeat(void **state)
{
    rig     *r = *state;
    rig_mail offer = { 0 };
    uint64_t job = 0;

    rig_hello(r, AGENT_1, 1, 1);
    job = rig_submit(r, CLIENT_1, 1, "model", "cpu");
    offer = rig_take(r, AGENT_1, PF_MSG_OFFER);
    rig_answer(r, AGENT_1, rig_offer_of(&offer), false);
    assert_int_equal(rig_state(r, job), QUEUED);
    rig_tick(r, 1 * S);
    assert_int_equal(rig_state(r, job), QUEUED);
    rig_beat(r, AGENT_1, 1, NULL, 0, 1);
    assert_int_equal(rig_state(r, job), OFFERED);
    pf_message_clear(&offer.message);
}

static void an_offer_that_cannot_be_sent_goes_back(void **state)
{
    rig     *r = *state;
    rig_mail offer = { 0 };
    uint64_t job = 0;
    pf_event failed = { .kind = PF_EVENT_SEND_FAILED, .peer = AGENT_1 };

    rig_hello(r, AGENT_1, 1, 1);
    job = rig_submit(r, CLIENT_1, 1, "model", "cpu");
    offer = rig_take(r, AGENT_1, PF_MSG_OFFER);
    failed.lease = offer.lease;
    assert_int_equal(offer.lease.job_id, job);
    assert_int_equal(rig_step(r, &failed), PF_OK);
    assert_int_equal(rig_state(r, job), QUEUED);
    rig_hello(r, AGENT_2, 2, 1);
    assert_true(rig_has(r, AGENT_2, PF_MSG_OFFER));
    pf_message_clear(&offer.message);
}

static void an_agent_gets_no_more_than_its_slots(void **state)
{
    rig *r = *state;

    rig_hello(r, AGENT_1, 1, 2);
    for (uint8_t i = 1; i <= 3; i++)
        rig_submit(r, CLIENT_1, i, i == 1 ? "m1" : i == 2 ? "m2" : "m3", "cpu");
    for (int i = 0; i < 2; i++) {
        rig_mail offer = rig_lease(r, AGENT_1);
        pf_message_clear(&offer.message);
    }
    assert_false(rig_has(r, AGENT_1, PF_MSG_OFFER));
}

static void credit_said_before_an_offer_came_is_not_spent_twice(void **state)
{
    rig     *r = *state;
    rig_mail offer = { 0 };

    rig_hello(r, AGENT_1, 1, 1);
    rig_submit(r, CLIENT_1, 1, "m1", "cpu");
    rig_submit(r, CLIENT_1, 2, "m2", "cpu");
    offer = rig_take(r, AGENT_1, PF_MSG_OFFER);
    rig_beat(r, AGENT_1, 1, NULL, 0, 1);        /* sent before the offer arrived */
    assert_false(rig_has(r, AGENT_1, PF_MSG_OFFER));
    rig_answer(r, AGENT_1, rig_offer_of(&offer), true);
    assert_int_equal(rig_state(r, rig_offer_of(&offer)->job_id), LEASED);
    pf_message_clear(&offer.message);
}

/* ---- leases */

static void heartbeats_keep_a_lease(void **state)
{
    rig             *r = *state;
    rig_mail         lease = { 0 }, reply = { 0 };
    uint64_t         job = running_job(r, &lease);
    const Pf__Offer *held[] = { rig_offer_of(&lease) };

    for (int i = 0; i < 20; i++) {
        rig_tick(r, 10 * S);
        rig_beat(r, AGENT_1, 1, held, 1, 0);
        reply = rig_take(r, AGENT_1, PF_MSG_HEARTBEAT_REPLY);
        assert_int_equal(((Pf__HeartbeatReply *)reply.message.body)->n_lease, 1);
        pf_message_clear(&reply.message);
    }
    assert_int_equal(rig_state(r, job), LEASED);
    pf_message_clear(&lease.message);
}

static void a_silent_agent_loses_its_lease_and_three_times_is_enough(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };
    uint64_t job = running_job(r, &lease);

    r->config.crash_agents_limit = 99;
    for (int i = 0; i < 3; i++) {
        pf_message_clear(&lease.message);
        rig_tick(r, 31 * S);
        if (i == 2)
            break;
        assert_int_equal(rig_state(r, job), BACKOFF);
        rig_tick(r, 10 * S);
        assert_int_equal(rig_state(r, job), QUEUED);
        rig_hello(r, AGENT_1, 1, 1);
        lease = rig_lease(r, AGENT_1);
        assert_int_equal(rig_offer_of(&lease)->last_attempt, i == 1);
    }
    assert_int_equal(rig_state(r, job), QUARANTINED);
    assert_int_equal(rig_submit(r, CLIENT_2, 2, "model", "cpu"), job);      /* no new job for the poison */
    kick(r, job);
    rig_hello(r, AGENT_1, 1, 1);
    assert_int_equal(rig_state(r, job), OFFERED);
}

static void crashes_on_two_agents_are_enough(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };
    uint64_t job = running_job(r, &lease);

    rig_fail(r, AGENT_1, rig_offer_of(&lease), PF__FAILURE_KIND__FAILURE_INFRA, true);
    pf_message_clear(&lease.message);
    assert_int_equal(rig_state(r, job), BACKOFF);
    rig_hello(r, AGENT_2, 2, 1);
    rig_hello(r, AGENT_1, 1, 1);
    rig_tick(r, 3 * S);
    lease = rig_lease(r, AGENT_2);      /* preferred: it did not crash there */
    rig_fail(r, AGENT_2, rig_offer_of(&lease), PF__FAILURE_KIND__FAILURE_DEVICE_FAULT, false);
    assert_int_equal(rig_state(r, job), QUARANTINED);
    pf_message_clear(&lease.message);
}

static void a_lease_that_stands_still_is_taken_away(void **state)
{
    rig             *r = *state;
    rig_mail         lease = { 0 };
    uint64_t         job = running_job(r, &lease);
    Pf__Heartbeat    beat = PF__HEARTBEAT__INIT;
    Pf__Lease        same = PF__LEASE__INIT, *list[] = { &same };

    same.job_id = job;
    same.attempt = rig_offer_of(&lease)->attempt;
    same.fence = rig_offer_of(&lease)->fence;
    same.phase = PF__PHASE__PHASE_FETCH;
    same.progress_count = 5;
    beat.agent_epoch = 1;
    beat.lease = list;
    beat.n_lease = 1;
    for (int i = 0; i < 30; i++) {
        assert_int_equal(rig_state(r, job), LEASED);
        assert_false(rig_has(r, AGENT_1, PF_MSG_KILL));
        rig_say(r, AGENT_1, PF_MSG_HEARTBEAT, &beat.base);
        rig_tick(r, 10 * S);
    }
    assert_int_equal(rig_state(r, job), BACKOFF);
    assert_true(rig_has(r, AGENT_1, PF_MSG_KILL));
    pf_message_clear(&lease.message);
}

static void a_lease_that_the_agent_no_longer_lists_is_lost(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };
    uint64_t job = running_job(r, &lease);

    rig_beat(r, AGENT_1, 1, NULL, 0, 1);
    assert_int_equal(rig_state(r, job), BACKOFF);
    pf_message_clear(&lease.message);
}

static void what_each_failure_does(void **state)
{
    static const struct { Pf__FailureKind kind; int state; uint32_t charged; } rows[] = {
        { PF__FAILURE_KIND__FAILURE_BUILD_ERROR, FAILED, 0 },  { PF__FAILURE_KIND__FAILURE_RESOURCE, BACKOFF, 1 },
        { PF__FAILURE_KIND__FAILURE_DEVICE_FAULT, BACKOFF, 1 }, { PF__FAILURE_KIND__FAILURE_INFRA, BACKOFF, 1 },
        { PF__FAILURE_KIND__FAILURE_TIMEOUT, BACKOFF, 1 },      { PF__FAILURE_KIND__FAILURE_COLLATERAL, BACKOFF, 0 },
        { PF__FAILURE_KIND__FAILURE_CANCELLED, BACKOFF, 0 },    { (Pf__FailureKind)77, BACKOFF, 1 },
    };
    rig *r = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        Pf__Status status = PF__STATUS__INIT;
        char       model[16] = "";
        rig_mail   lease = { 0 }, mail = { 0 };
        uint64_t   job = 0;
        rig_close(r);
        rig_open(r);
        rig_hello(r, AGENT_1, 1, 1);
        snprintf(model, sizeof model, "m%zu", i);
        job = rig_submit(r, CLIENT_1, (uint8_t)(i + 1), model, "cpu");
        lease = rig_lease(r, AGENT_1);
        rig_fail(r, AGENT_1, rig_offer_of(&lease), rows[i].kind, false);
        assert_true(rig_has(r, AGENT_1, PF_MSG_FAILED_REPLY));
        status.job_id = &job;
        status.n_job_id = 1;
        rig_say(r, CLIENT_1, PF_MSG_STATUS, &status.base);
        mail = rig_take(r, CLIENT_1, PF_MSG_STATUS_REPLY);
        assert_int_equal(((Pf__StatusReply *)mail.message.body)->job[0]->state, rows[i].state);
        assert_int_equal(((Pf__StatusReply *)mail.message.body)->job[0]->charged, rows[i].charged);
        assert_string_equal(((Pf__StatusReply *)mail.message.body)->job[0]->message, "it went wrong");
        pf_message_clear(&mail.message);
        pf_message_clear(&lease.message);
    }
}

static void backoff_grows_and_has_a_limit(void **state)
{
    rig     *r = *state;
    int64_t  last_ns = 0;

    r->config.charged_limit = 99;
    rig_restart(r);
    rig_hello(r, AGENT_1, 1, 1);
    rig_submit(r, CLIENT_1, 1, "model", "cpu");
    for (int i = 0; i < 12; i++) {
        rig_mail lease = rig_lease(r, AGENT_1);
        int64_t  wait_ns = 0;
        rig_fail(r, AGENT_1, rig_offer_of(&lease), PF__FAILURE_KIND__FAILURE_INFRA, false);
        wait_ns = pf_core_next_ns(r->core) - r->now.boot_ns;
        assert_true(wait_ns >= S && wait_ns <= 375 * S);
        if (i == 4)
            assert_true(wait_ns > 4 * last_ns);         /* 2 s * 2^4 against 2 s, with jitter of a quarter */
        if (i == 0)
            last_ns = wait_ns;
        pf_message_clear(&lease.message);
        rig_tick(r, wait_ns);
        rig_drop_mail(r);
        rig_hello(r, AGENT_1, 1, 1);    /* the lost offer goes back and comes again */
    }
}

static void a_sick_agent_gets_nothing_until_resumed(void **state)
{
    rig      *r = *state;
    Pf__Drain resume = PF__DRAIN__INIT;

    rig_hello(r, AGENT_1, 1, 1);
    for (uint8_t i = 1; i <= 3; i++) {
        char     model[8] = "";
        rig_mail lease = { 0 };
        snprintf(model, sizeof model, "m%d", i);
        rig_submit(r, CLIENT_1, i, model, "cpu");
        lease = rig_lease(r, AGENT_1);
        rig_fail(r, AGENT_1, rig_offer_of(&lease), PF__FAILURE_KIND__FAILURE_INFRA, true);
        pf_message_clear(&lease.message);
    }
    rig_beat(r, AGENT_1, 1, NULL, 0, 1);
    rig_tick(r, 10 * S);
    assert_false(rig_has(r, AGENT_1, PF_MSG_OFFER));
    rig_restart(r);
    rig_hello(r, AGENT_1, 9, 1);        /* a restart alone does not heal it */
    rig_tick(r, 10 * S);
    assert_false(rig_has(r, AGENT_1, PF_MSG_OFFER));
    resume.agent = "a101";
    resume.resume = true;
    rig_say(r, CLIENT_1, PF_MSG_DRAIN, &resume.base);
    assert_true(rig_has(r, AGENT_1, PF_MSG_OFFER));
}

/* ---- completing */

static void a_bad_object_is_not_committed(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };
    uint64_t job = running_job(r, &lease);

    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    rig_verdict(r, 0, PF_NOT_FOUND);
    assert_int_equal(outcome(r, AGENT_1), PF__OUTCOME__OUTCOME_REFUSED);
    assert_int_equal(rig_state(r, job), BACKOFF);
    pf_message_clear(&lease.message);
}

static void a_complete_sent_twice_is_one(void **state)
{
    rig          *r = *state;
    rig_mail      lease = { 0 };
    pf_core_stats s;

    running_job(r, &lease);
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    assert_int_equal(r->verifies_count, 1);
    rig_verdict(r, 0, PF_OK);
    assert_int_equal(outcome(r, AGENT_1), PF__OUTCOME__OUTCOME_COMMITTED);
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    assert_int_equal(outcome(r, AGENT_1), PF__OUTCOME__OUTCOME_COMMITTED);
    rig_restart(r);
    rig_hello(r, AGENT_1, 1, 1);
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    assert_int_equal(outcome(r, AGENT_1), PF__OUTCOME__OUTCOME_COMMITTED);
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "another plan");
    assert_int_equal(outcome(r, AGENT_1), PF__OUTCOME__OUTCOME_ALREADY);
    stats(r, &s);
    assert_int_equal(s.plans, 1);
    pf_message_clear(&lease.message);
}

static void a_late_complete_wins_when_nobody_has(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 }, second = { 0 };
    uint64_t job = running_job(r, &lease);

    rig_tick(r, 31 * S);
    rig_tick(r, 10 * S);
    rig_hello(r, AGENT_2, 2, 1);
    second = rig_lease(r, AGENT_2);
    assert_true(rig_offer_of(&second)->fence > rig_offer_of(&lease)->fence);
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    assert_int_equal(rig_state(r, job), LEASED);
    rig_verdict(r, 0, PF_OK);
    assert_int_equal(outcome(r, AGENT_1), PF__OUTCOME__OUTCOME_COMMITTED);
    assert_true(rig_has(r, AGENT_2, PF_MSG_KILL));
    rig_complete(r, AGENT_2, rig_offer_of(&second), "plan of the second");
    assert_int_equal(outcome(r, AGENT_2), PF__OUTCOME__OUTCOME_ALREADY);
    pf_message_clear(&lease.message);
    pf_message_clear(&second.message);
}

static void a_fence_that_was_never_given_is_refused(void **state)
{
    rig      *r = *state;
    rig_mail  lease = { 0 };
    uint64_t  job = running_job(r, &lease);
    Pf__Offer forged = *rig_offer_of(&lease);

    forged.fence += 1;
    rig_complete(r, AGENT_1, &forged, "plan");
    assert_int_equal(outcome(r, AGENT_1), PF__OUTCOME__OUTCOME_REFUSED);
    assert_int_equal(r->verifies_count, 0);
    assert_int_equal(rig_state(r, job), LEASED);
    rig_complete(r, AGENT_3, rig_offer_of(&lease), "plan");     /* never said HELLO */
    assert_int_equal(error_code(r, AGENT_3), code_of(PF_DENIED));
    pf_message_clear(&lease.message);
}

/* ---- cancelling */

static void a_queued_job_is_cancelled_at_once(void **state)
{
    rig     *r = *state;
    uint64_t first = 0, second = 0;

    rig_hello(r, AGENT_1, 1, 1);
    first = rig_submit(r, CLIENT_1, 1, "m1", "cpu");
    second = rig_submit(r, CLIENT_1, 2, "m2", "cpu");
    assert_int_equal(rig_state(r, first), OFFERED);
    cancel_job(r, second);
    assert_int_equal(rig_state(r, second), CANCELLED);
}

static void a_running_job_is_cancelled_when_the_agent_says_so(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 }, kill = { 0 };
    uint64_t job = running_job(r, &lease);

    cancel_job(r, job);
    assert_int_equal(rig_state(r, job), CANCELLING);
    kill = rig_take(r, AGENT_1, PF_MSG_KILL);
    assert_int_equal(((Pf__Kill *)kill.message.body)->fence, rig_offer_of(&lease)->fence);
    pf_message_clear(&kill.message);
    ack_cancel(r, AGENT_1, rig_offer_of(&lease));
    assert_int_equal(rig_state(r, job), CANCELLED);
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    assert_int_equal(outcome(r, AGENT_1), PF__OUTCOME__OUTCOME_REFUSED);
    pf_message_clear(&lease.message);
}

static void a_heartbeat_without_the_lease_ends_cancelling_too(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };
    uint64_t job = running_job(r, &lease);

    cancel_job(r, job);
    rig_beat(r, AGENT_1, 1, NULL, 0, 1);
    assert_int_equal(rig_state(r, job), CANCELLED);
    pf_message_clear(&lease.message);
}

static void an_agent_that_does_not_kill_is_sick(void **state)
{
    rig             *r = *state;
    rig_mail         lease = { 0 }, mail = { 0 };
    uint64_t         job = running_job(r, &lease);
    const Pf__Offer *held[] = { rig_offer_of(&lease) };
    Pf__Agents       agents = PF__AGENTS__INIT;

    cancel_job(r, job);
    rig_tick(r, 5 * S);
    rig_beat(r, AGENT_1, 1, held, 1, 0);
    rig_tick(r, 6 * S);
    assert_int_equal(rig_state(r, job), CANCELLED);
    rig_say(r, CLIENT_1, PF_MSG_AGENTS, &agents.base);
    mail = rig_take(r, CLIENT_1, PF_MSG_AGENTS_REPLY);
    assert_int_equal(((Pf__AgentsReply *)mail.message.body)->n_agent, 1);
    assert_true(((Pf__AgentsReply *)mail.message.body)->agent[0]->sick);
    pf_message_clear(&mail.message);
    pf_message_clear(&lease.message);
}

/* ---- coming and going */

static void a_restarted_coordinator_adopts_what_runs(void **state)
{
    rig             *r = *state;
    rig_mail         lease = { 0 }, reply = { 0 };
    uint64_t         job = running_job(r, &lease);
    const Pf__Offer *held[] = { rig_offer_of(&lease) };
    Pf__Hello        hello = PF__HELLO__INIT;
    Pf__Lease        runs = PF__LEASE__INIT, *list[] = { &runs };
    Pf__DeviceClass  device_class = PF__DEVICE_CLASS__INIT, *classes[] = { &device_class };

    rig_restart(r);
    assert_int_equal(rig_state(r, job), LEASED);
    rig_beat(r, AGENT_1, 1, held, 1, 0);
    reply = rig_take(r, AGENT_1, PF_MSG_ERROR);
    assert_int_equal(((Pf__Error *)reply.message.body)->reason, PF__ERROR_REASON__REASON_HELLO_FIRST);
    pf_message_clear(&reply.message);
    runs.job_id = job;
    runs.attempt = held[0]->attempt;
    runs.fence = held[0]->fence;
    hello.agent_epoch = 1;
    hello.name = "a101";
    hello.builder_abi = "abi 1";
    device_class.class_text = "class cpu\nisa test\n";
    device_class.class_name = "cpu-test";
    hello.device_class = classes;
    hello.n_device_class = 1;
    hello.lease = list;
    hello.n_lease = 1;
    rig_tick(r, 20 * S);
    rig_say(r, AGENT_1, PF_MSG_HELLO, &hello.base);
    reply = rig_take(r, AGENT_1, PF_MSG_HELLO_REPLY);
    assert_int_equal(((Pf__HelloReply *)reply.message.body)->n_lease, 1);
    pf_message_clear(&reply.message);
    rig_tick(r, 25 * S);
    assert_int_equal(rig_state(r, job), LEASED);
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    rig_verdict(r, 0, PF_OK);
    assert_int_equal(rig_state(r, job), COMMITTED);
    pf_message_clear(&lease.message);
}

static void an_agent_that_starts_anew_gives_up_what_it_had(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };
    uint64_t job = running_job(r, &lease);

    rig_hello(r, AGENT_2 + 100, 5, 1);          /* somebody else changes nothing */
    assert_int_equal(rig_state(r, job), LEASED);
    rig_hello(r, AGENT_1, 2, 1);
    assert_int_equal(rig_state(r, job), BACKOFF);
    pf_message_clear(&lease.message);
}

static void of_two_processes_with_one_name_the_older_stops(void **state)
{
    rig            *r = *state;
    Pf__Hello       hello = PF__HELLO__INIT;
    Pf__DeviceClass device_class = PF__DEVICE_CLASS__INIT, *classes[] = { &device_class };
    rig_mail        mail = { 0 };

    hello.name = "twin";
    hello.builder_abi = "abi 1";
    device_class.class_text = "text";
    device_class.class_name = "cpu";
    hello.device_class = classes;
    hello.n_device_class = 1;
    for (uint64_t epoch = 1; epoch <= 2; epoch++) {
        hello.agent_epoch = epoch;
        rig_say(r, 200 + epoch, PF_MSG_HELLO, &hello.base);
        mail = rig_take(r, 200 + epoch, PF_MSG_HELLO_REPLY);
        pf_message_clear(&mail.message);
    }
    rig_restart(r);                     /* it is remembered over restarts */
    hello.agent_epoch = 1;
    rig_say(r, 201, PF_MSG_HELLO, &hello.base);
    mail = rig_take(r, 201, PF_MSG_ERROR);
    assert_int_equal(((Pf__Error *)mail.message.body)->reason, PF__ERROR_REASON__REASON_REPLACED);
    pf_message_clear(&mail.message);
}

static void goodbye_gives_back_uncharged(void **state)
{
    rig        *r = *state;
    rig_mail    lease = { 0 };
    uint64_t    job = running_job(r, &lease);
    Pf__Goodbye bye = PF__GOODBYE__INIT;

    bye.agent_epoch = 1;
    rig_say(r, AGENT_1, PF_MSG_GOODBYE, &bye.base);
    assert_int_equal(rig_state(r, job), QUEUED);
    pf_message_clear(&lease.message);
}

static void a_draining_agent_keeps_its_build_and_gets_no_other(void **state)
{
    rig             *r = *state;
    rig_mail         lease = { 0 }, mail = { 0 };
    uint64_t         job = running_job(r, &lease), other = 0;
    const Pf__Offer *held[] = { rig_offer_of(&lease) };
    Pf__Drain        drain = PF__DRAIN__INIT;

    drain.agent = "a101";
    rig_say(r, CLIENT_1, PF_MSG_DRAIN, &drain.base);
    other = rig_submit(r, CLIENT_1, 2, "other", "cpu");
    rig_beat(r, AGENT_1, 1, held, 1, 0);
    mail = rig_take(r, AGENT_1, PF_MSG_HEARTBEAT_REPLY);
    assert_true(((Pf__HeartbeatReply *)mail.message.body)->drain);
    pf_message_clear(&mail.message);
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    rig_verdict(r, 0, PF_OK);
    assert_int_equal(rig_state(r, job), COMMITTED);
    rig_beat(r, AGENT_1, 1, NULL, 0, 1);
    assert_int_equal(rig_state(r, other), QUEUED);
    drain.resume = true;
    rig_say(r, CLIENT_1, PF_MSG_DRAIN, &drain.base);
    assert_int_equal(rig_state(r, other), OFFERED);
    pf_message_clear(&lease.message);
}

static void a_process_that_slept_takes_nothing_away(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };
    uint64_t job = 0;

    r->config.time_jump_ns = 5 * S;
    rig_restart(r);
    job = running_job(r, &lease);
    rig_tick(r, 60 * S);
    assert_int_equal(rig_state(r, job), LEASED);
    for (int i = 0; i < 29; i++)
        rig_tick(r, 1 * S);
    assert_int_equal(rig_state(r, job), LEASED);
    rig_tick(r, 1 * S);
    assert_int_equal(rig_state(r, job), BACKOFF);
    pf_message_clear(&lease.message);
}

static void a_job_nobody_can_build_is_unsatisfiable(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };
    uint64_t job = 0;

    rig_hello(r, AGENT_1, 1, 1);
    rig_tick(r, 60 * S);                /* the agent is gone */
    job = rig_submit(r, CLIENT_1, 1, "model", "cpu");
    rig_tick(r, 25 * 3600 * S);
    assert_int_equal(rig_state(r, job), UNSATISFIABLE);
    kick(r, job);
    rig_hello(r, AGENT_1, 2, 1);
    lease = rig_lease(r, AGENT_1);
    pf_message_clear(&lease.message);
}

static void a_new_builder_gives_waiting_jobs_new_keys(void **state)
{
    rig            *r = *state;
    Pf__Hello       hello = PF__HELLO__INIT;
    Pf__DeviceClass device_class = PF__DEVICE_CLASS__INIT, *classes[] = { &device_class };
    rig_mail        offer = { 0 };
    uint64_t        job = 0, twin = 0;

    rig_hello(r, AGENT_1, 1, 1);
    rig_tick(r, 60 * S);
    job = rig_submit(r, CLIENT_1, 1, "model", "cpu");
    hello.agent_epoch = 2;
    hello.name = "a102";
    hello.builder_abi = "abi 2";
    device_class.class_text = "class cpu\nisa test\n";
    device_class.class_name = "cpu-test";
    hello.device_class = classes;
    hello.n_device_class = 1;
    rig_say(r, AGENT_2, PF_MSG_HELLO, &hello.base);
    offer = rig_lease(r, AGENT_2);
    assert_int_equal(rig_offer_of(&offer)->job_id, job);
    rig_hello(r, AGENT_1, 3, 1);        /* the old builder again: its jobs have other keys */
    twin = rig_submit(r, CLIENT_2, 2, "model", "cpu-test");
    assert_int_not_equal(twin, job);
    assert_true(rig_has(r, AGENT_1, PF_MSG_OFFER));
    pf_message_clear(&offer.message);
}

/* ---- order */

static void one_user_does_not_push_others_aside(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };
    uint64_t anns[20] = { 0 }, bobs = 0;

    rig_hello(r, AGENT_1, 1, 1);
    for (uint8_t i = 0; i < 20; i++) {
        char model[8] = "";
        snprintf(model, sizeof model, "m%d", i);
        anns[i] = rig_submit(r, CLIENT_1, (uint8_t)(i + 1), model, "cpu");
    }
    bobs = rig_submit(r, CLIENT_2, 100, "bobs", "cpu");
    lease = rig_lease(r, AGENT_1);
    assert_int_equal(rig_offer_of(&lease)->job_id, anns[0]);
    rig_fail(r, AGENT_1, rig_offer_of(&lease), PF__FAILURE_KIND__FAILURE_BUILD_ERROR, false);
    pf_message_clear(&lease.message);
    lease = rig_lease(r, AGENT_1);
    assert_int_equal(rig_offer_of(&lease)->job_id, bobs);
    pf_message_clear(&lease.message);
}

static void priority_goes_first_and_age_goes_on(void **state)
{
    rig       *r = *state;
    Pf__Submit submit = PF__SUBMIT__INIT;
    uint8_t    id[PF_SUBMIT_ID_BYTES] = { 9 };
    pf_digest  digest = { { 3 } };
    char      *selectors[] = { "cpu" };
    rig_mail   lease = { 0 }, mail = { 0 };
    uint64_t   low = 0, high = 0;

    rig_hello(r, AGENT_1, 1, 1);
    rig_submit(r, CLIENT_1, 1, "runs", "cpu");
    low = rig_submit(r, CLIENT_1, 2, "low", "cpu");
    submit.submit_id = (ProtobufCBinaryData){ sizeof id, id };
    submit.model_digest = pf_wire_bytes(&digest);
    submit.selector = selectors;
    submit.n_selector = 1;
    submit.priority = 50;
    rig_say(r, CLIENT_2, PF_MSG_SUBMIT, &submit.base);
    mail = rig_take(r, CLIENT_2, PF_MSG_SUBMIT_REPLY);
    high = ((Pf__SubmitReply *)mail.message.body)->job[0]->job_id;
    pf_message_clear(&mail.message);
    lease = rig_lease(r, AGENT_1);
    rig_fail(r, AGENT_1, rig_offer_of(&lease), PF__FAILURE_KIND__FAILURE_BUILD_ERROR, false);
    pf_message_clear(&lease.message);
    lease = rig_lease(r, AGENT_1);
    assert_int_equal(rig_offer_of(&lease)->job_id, high);
    id[0] = 10;                         /* an hour later another one of that priority comes behind the old job */
    digest.byte[0] = 4;
    r->now.boot_ns += 3600 * S;
    r->now.wall_ns += 3600 * S;
    rig_say(r, CLIENT_2, PF_MSG_SUBMIT, &submit.base);
    rig_drop_mail(r);
    pf_message_clear(&lease.message);
    rig_hello(r, AGENT_2, 7, 1);
    lease = rig_lease(r, AGENT_2);
    assert_int_equal(rig_offer_of(&lease)->job_id, low);
    pf_message_clear(&lease.message);
}

/* ---- watching */

static const Pf__WatchReply *watch(rig *r, uint64_t job, uint64_t after, uint32_t wait_ms, rig_mail *mail)
{
    Pf__Watch asked = PF__WATCH__INIT;

    asked.job_id = &job;
    asked.n_job_id = 1;
    asked.after_sequence = after;
    asked.wait_ms = wait_ms;
    rig_say(r, CLIENT_1, PF_MSG_WATCH, &asked.base);
    if (!rig_has(r, CLIENT_1, PF_MSG_WATCH_REPLY))
        return NULL;
    *mail = rig_take(r, CLIENT_1, PF_MSG_WATCH_REPLY);
    return (const Pf__WatchReply *)mail->message.body;
}

static void watching_tells_what_happens(void **state)
{
    rig                  *r = *state;
    rig_mail              lease = { 0 }, mail = { 0 };
    uint64_t              job = running_job(r, &lease), after = 0;
    const Pf__WatchReply *reply = watch(r, job, 0, 1000, &mail);
    Pf__Log               log = PF__LOG__INIT;

    assert_int_equal(reply->n_event, 2);        /* OFFERED, LEASED */
    assert_int_equal(reply->event[1]->state, LEASED);
    after = reply->next_after_sequence;
    pf_message_clear(&mail.message);
    assert_null(watch(r, job, after, 1000, &mail));
    log.job_id = job;
    log.attempt = rig_offer_of(&lease)->attempt;
    log.fence = rig_offer_of(&lease)->fence;
    log.text = "hello\n";
    rig_say(r, AGENT_1, PF_MSG_LOG, &log.base);
    mail = rig_take(r, CLIENT_1, PF_MSG_WATCH_REPLY);
    reply = (const Pf__WatchReply *)mail.message.body;
    assert_int_equal(reply->n_event, 1);
    assert_string_equal(reply->event[0]->text, "hello\n");
    after = reply->next_after_sequence;
    pf_message_clear(&mail.message);
    assert_null(watch(r, job, after, 1000, &mail));
    rig_tick(r, 2 * S);                 /* nothing came: an empty answer */
    mail = rig_take(r, CLIENT_1, PF_MSG_WATCH_REPLY);
    assert_int_equal(((Pf__WatchReply *)mail.message.body)->n_event, 0);
    pf_message_clear(&mail.message);
    rig_fail(r, AGENT_1, rig_offer_of(&lease), PF__FAILURE_KIND__FAILURE_BUILD_ERROR, false);
    reply = watch(r, job, after, 1000, &mail);
    assert_true(reply->final);
    assert_int_equal(reply->event[0]->state, FAILED);
    pf_message_clear(&mail.message);
    pf_message_clear(&lease.message);
}

static void what_was_dropped_is_a_gap(void **state)
{
    rig                  *r = *state;
    rig_mail              lease = { 0 }, mail = { 0 };
    uint64_t              job = running_job(r, &lease), after = 0;
    const Pf__WatchReply *reply = NULL;
    Pf__Log               log = PF__LOG__INIT;
    static char           text[4000];
    uint64_t              seen = 0;

    memset(text, 'x', sizeof text - 1);
    log.job_id = job;
    log.attempt = rig_offer_of(&lease)->attempt;
    log.fence = rig_offer_of(&lease)->fence;
    log.text = text;
    for (int i = 0; i < 100; i++)
        rig_say(r, AGENT_1, PF_MSG_LOG, &log.base);
    reply = watch(r, job, 0, 0, &mail);
    assert_int_equal(reply->event[0]->kind, PF__EVENT_KIND__EVENT_GAP);
    assert_true(reply->event[0]->dropped > 50);
    do {
        for (size_t i = 0; i < reply->n_event; i++)
            seen += reply->event[i]->kind == PF__EVENT_KIND__EVENT_LOG;
        after = reply->next_after_sequence;
        pf_message_clear(&mail.message);
        reply = watch(r, job, after, 0, &mail);
    } while (reply->n_event);
    pf_message_clear(&mail.message);
    assert_true(seen >= 14 && seen <= 16);      /* 64 KiB of 4000-byte texts */
    rig_restart(r);
    reply = watch(r, job, after, 0, &mail);
    assert_int_equal(reply->n_event, 1);
    assert_int_equal(reply->event[0]->kind, PF__EVENT_KIND__EVENT_GAP);
    assert_true(reply->next_after_sequence > after);
    pf_message_clear(&mail.message);
    pf_message_clear(&lease.message);
}

/* ---- forgetting */

static void final_jobs_are_forgotten_with_their_submits(void **state)
{
    rig          *r = *state;
    rig_mail      lease = { 0 };
    uint64_t      job = running_job(r, &lease);
    pf_core_stats s;

    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    rig_verdict(r, 0, PF_OK);
    rig_tick(r, 3700 * S);
    assert_int_equal(rig_state(r, job), COMMITTED);
    rig_tick(r, 8 * 24 * 3600 * S);
    assert_int_equal(rig_state(r, job), PF__JOB_STATE__STATE_NONE);
    rig_drop_mail(r);
    stats(r, &s);
    assert_int_equal(s.jobs + s.submits, 0);
    assert_int_equal(s.plans, 1);
    rig_restart(r);
    stats(r, &s);
    assert_int_equal(s.jobs + s.submits, 0);
    assert_int_equal(rig_submit(r, CLIENT_1, 5, "model", "cpu"), 0);        /* a hit without a job */
    stats(r, &s);
    assert_int_equal(s.hits_total, 1);
    assert_int_equal(s.submits, 0);
    pf_message_clear(&lease.message);
}

static void plans_that_nobody_asks_for_are_forgotten(void **state)
{
    rig          *r = *state;
    rig_mail      lease = { 0 };
    uint64_t      day_s = 24 * 3600;
    pf_core_stats s;

    r->config.plan_retention_ns = 30 * (int64_t)day_s * S;
    rig_restart(r);
    running_job(r, &lease);
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    rig_verdict(r, 0, PF_OK);
    rig_tick(r, 20 * (int64_t)day_s * S);
    rig_drop_mail(r);
    assert_int_equal(rig_submit(r, CLIENT_1, 5, "model", "cpu"), 0);        /* a hit: it is asked for */
    rig_restart(r);                                                         /* the disk knows that */
    rig_tick(r, 20 * (int64_t)day_s * S);
    stats(r, &s);
    assert_int_equal(s.plans, 1);
    rig_tick(r, 11 * (int64_t)day_s * S);
    stats(r, &s);
    assert_int_equal(s.plans, 0);
    rig_restart(r);
    stats(r, &s);
    assert_int_equal(s.plans, 0);
    pf_message_clear(&lease.message);
}

/* However old: a job or a submit that is remembered names it. */
static void plans_that_something_names_are_kept(void **state)
{
    rig          *r = *state;
    rig_mail      lease = { 0 }, mail = { 0 };
    uint64_t      waiting = 0;
    char         *both[] = { "cpu", "never-seen" };
    Pf__Submit    submit = PF__SUBMIT__INIT;
    uint8_t       id[PF_SUBMIT_ID_BYTES] = { 7 };
    pf_digest     model = { 0 };
    pf_core_stats s;

    r->config.plan_retention_ns = 3600 * S;
    r->config.queue_timeout_ns = INT64_C(100) * 24 * 3600 * S;
    rig_restart(r);
    running_job(r, &lease);
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    rig_verdict(r, 0, PF_OK);
    rig_tick(r, 6 * 24 * 3600 * S);
    stats(r, &s);
    assert_int_equal(s.plans, 1);       /* its job is remembered */
    pf_digest_of("model", 5, &model);
    submit.submit_id = (ProtobufCBinaryData){ sizeof id, id };
    submit.model_digest = pf_wire_bytes(&model);
    submit.model_name = "model";
    submit.spec_text = "spec 1";
    submit.user = "ann";
    submit.selector = both;
    submit.n_selector = 2;
    submit.wait_for_class = true;
    rig_say(r, CLIENT_1, PF_MSG_SUBMIT, &submit.base);
    mail = rig_take(r, CLIENT_1, PF_MSG_SUBMIT_REPLY);
    waiting = ((Pf__SubmitReply *)mail.message.body)->job[1]->job_id;
    pf_message_clear(&mail.message);
    rig_tick(r, 4 * 24 * 3600 * S);
    stats(r, &s);
    assert_int_equal(s.jobs, 1);        /* the plan's job is forgotten; the other one waits */
    assert_int_equal(s.plans, 1);
    cancel_job(r, waiting);
    rig_tick(r, 8 * 24 * 3600 * S);
    rig_tick(r, 2 * 3600 * S);
    stats(r, &s);
    assert_int_equal(s.jobs + s.plans, 0);
    rig_drop_mail(r);
    pf_message_clear(&lease.message);
}

static void only_so_many_final_jobs_are_kept(void **state)
{
    rig          *r = *state;
    pf_core_stats s;

    r->config.final_limit = 5;
    rig_restart(r);
    rig_hello(r, AGENT_1, 1, 1);
    for (uint8_t i = 1; i <= 20; i++) {
        char     model[8] = "";
        rig_mail lease = { 0 };
        snprintf(model, sizeof model, "m%d", i);
        rig_submit(r, CLIENT_1, i, model, "cpu");
        lease = rig_lease(r, AGENT_1);
        rig_fail(r, AGENT_1, rig_offer_of(&lease), PF__FAILURE_KIND__FAILURE_BUILD_ERROR, false);
        pf_message_clear(&lease.message);
    }
    stats(r, &s);
    assert_int_equal(s.jobs, 5);
    rig_restart(r);
    stats(r, &s);
    assert_int_equal(s.jobs, 5);
    assert_int_equal(s.submits, 5);
}

/* ---- bad input */

static void unsound_messages_are_refused(void **state)
{
    rig        *r = *state;
    Pf__Submit  submit = PF__SUBMIT__INIT;
    Pf__Hello   hello = PF__HELLO__INIT;
    Pf__Status  status = PF__STATUS__INIT;
    uint8_t     id[PF_SUBMIT_ID_BYTES] = { 0 };
    char       *evil[] = { "a b" };

    rig_say(r, CLIENT_1, PF_MSG_SUBMIT, &submit.base);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_INVALID));
    submit.submit_id = (ProtobufCBinaryData){ sizeof id, id };
    submit.model_digest = (ProtobufCBinaryData){ sizeof id, id };
    rig_say(r, CLIENT_1, PF_MSG_SUBMIT, &submit.base);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_INVALID));
    submit.selector = evil;
    submit.n_selector = 1;
    rig_say(r, CLIENT_1, PF_MSG_SUBMIT, &submit.base);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_INVALID));
    rig_say(r, AGENT_1, PF_MSG_HELLO, &hello.base);
    assert_int_equal(error_code(r, AGENT_1), code_of(PF_INVALID));
    rig_say(r, CLIENT_1, PF_MSG_STATUS, &status.base);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_INVALID));
}

static void a_key_without_the_right_is_denied(void **state)
{
    rig       *r = *state;
    pf_message message = { 0 };
    Pf__Drain  drain = PF__DRAIN__INIT;
    pf_event   event = { .kind = PF_EVENT_MESSAGE, .peer = CLIENT_1, .message = &message, .grants = PF_GRANT_SUBMIT | PF_GRANT_FETCH };

    message.info = pf_msg_find(PF_MSG_DRAIN);
    message.body = &drain.base;
    assert_int_equal(rig_step(r, &event), PF_OK);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_DENIED));
}

/* Out of memory anywhere ends the step with NO_SPACE and nothing worse; the disk is whole. */
static void out_of_memory_is_survived_by_the_disk(void **state)
{
    rig       *r = *state;
    rig_mail   lease = { 0 };
    uint64_t   job = running_job(r, &lease);
    pf_event   tick = { .kind = PF_EVENT_TICK };
    uint64_t   n = 0;
    pf_status  st = PF_NO_SPACE;

    for (; st == PF_NO_SPACE && n < 1000; n++) {
        pf_err err = { 0 };
        rig_restart(r);
        r->now.boot_ns += 31 * S;       /* the lease runs out in this step */
        pf_out_clear(&r->out);
        pf_alloc_fail_after(n);
        st = pf_step(r->core, &tick, r->now, &r->out, &err);
        pf_alloc_fail_after(UINT64_MAX);
    }
    assert_int_equal(st, PF_OK);
    assert_true(n > 3);
    rig_restart(r);
    assert_int_equal(rig_state(r, job), LEASED);
    pf_message_clear(&lease.message);
}

/* One flipped bit in any row is found at loading. */
static void damaged_rows_are_found(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };

    running_job(r, &lease);
    rig_complete(r, AGENT_1, rig_offer_of(&lease), "plan");
    rig_verdict(r, 0, PF_OK);
    for (uint32_t i = 0; i < r->rows_count; i++) {
        rig_row *row = &r->row[i];
        for (size_t at = 0; !row->removed && at < row->value_bytes; at += 7) {
            pf_core *core = NULL;
            pf_err   err = { 0 };
            test_ok(pf_core_new(&r->config, &core, &err), &err);
            row->value[at] ^= 4;
            test_fails(pf_core_load(core, row->table, row->key, row->key_bytes, row->value, row->value_bytes, &err), PF_CORRUPT,
                       &err);
            row->value[at] ^= 4;
            pf_core_free(core);
        }
    }
    pf_message_clear(&lease.message);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_goes_all_the_way), TEST(a_plan_that_is_there_is_a_hit), TEST(a_plan_whose_bytes_are_gone_is_built_again),
        TEST(plans_are_found_by_key_and_by_name), TEST(a_submit_sent_again_is_the_same),
        TEST(missing_blobs_are_told_before_anything_is_kept), TEST(two_submits_share_a_job),
        TEST(unknown_selectors_are_refused_unless_waited_for), TEST(a_full_disk_refuses_submits_and_nothing_else),
        TEST(no_more_jobs_than_the_limit), TEST(an_unanswered_offer_goes_back_uncharged),
        TEST(a_declined_offer_goes_back_until_the_next_heartbeat), TEST(an_offer_that_cannot_be_sent_goes_back),
        TEST(an_agent_gets_no_more_than_its_slots), TEST(credit_said_before_an_offer_came_is_not_spent_twice),
        TEST(heartbeats_keep_a_lease), TEST(a_silent_agent_loses_its_lease_and_three_times_is_enough),
        TEST(crashes_on_two_agents_are_enough), TEST(a_lease_that_stands_still_is_taken_away),
        TEST(a_lease_that_the_agent_no_longer_lists_is_lost), TEST(what_each_failure_does), TEST(backoff_grows_and_has_a_limit),
        TEST(a_sick_agent_gets_nothing_until_resumed), TEST(a_bad_object_is_not_committed), TEST(a_complete_sent_twice_is_one),
        TEST(a_late_complete_wins_when_nobody_has), TEST(a_fence_that_was_never_given_is_refused),
        TEST(a_queued_job_is_cancelled_at_once), TEST(a_running_job_is_cancelled_when_the_agent_says_so),
        TEST(a_heartbeat_without_the_lease_ends_cancelling_too), TEST(an_agent_that_does_not_kill_is_sick),
        TEST(a_restarted_coordinator_adopts_what_runs), TEST(an_agent_that_starts_anew_gives_up_what_it_had),
        TEST(of_two_processes_with_one_name_the_older_stops), TEST(goodbye_gives_back_uncharged),
        TEST(a_draining_agent_keeps_its_build_and_gets_no_other), TEST(a_process_that_slept_takes_nothing_away),
        TEST(a_job_nobody_can_build_is_unsatisfiable), TEST(a_new_builder_gives_waiting_jobs_new_keys),
        TEST(one_user_does_not_push_others_aside), TEST(priority_goes_first_and_age_goes_on), TEST(watching_tells_what_happens),
        TEST(what_was_dropped_is_a_gap), TEST(final_jobs_are_forgotten_with_their_submits),
        TEST(plans_that_nobody_asks_for_are_forgotten), TEST(plans_that_something_names_are_kept),
        TEST(only_so_many_final_jobs_are_kept), TEST(unsound_messages_are_refused), TEST(a_key_without_the_right_is_denied),
        TEST(out_of_memory_is_survived_by_the_disk), TEST(damaged_rows_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
