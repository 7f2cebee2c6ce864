/* The core's transitions of offers and leases: who answers too late or not at all, and what a failure does. */
#include "tests/farm/step.h"

#include <stdio.h>

/* ---- offers */

static void an_unanswered_offer_goes_back_uncharged(void **state)
{
    rig     *r = *state;
    rig_mail offer = { 0 };
    uint64_t job = offered_job(r, &offer);

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
    uint64_t job = offered_job(r, &offer);

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
    uint64_t job = offered_job(r, &offer);
    pf_event failed = { .kind = PF_EVENT_SEND_FAILED, .peer = AGENT_1 };

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

/* The agent knows which candidate it was, so that the next attempt gets further, there or elsewhere. */
static void a_crash_that_is_not_charged_is_no_poison(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 };
    uint64_t job = running_job(r, &lease), next = AGENT_1;

    rig_fail(r, AGENT_1, rig_offer_of(&lease), PF__FAILURE_KIND__FAILURE_COLLATERAL, true);
    pf_message_clear(&lease.message);
    assert_int_equal(rig_state(r, job), BACKOFF);
    rig_hello(r, AGENT_2, 2, 1);
    rig_tick(r, 3 * S);
    next = rig_has(r, AGENT_2, PF_MSG_OFFER) ? AGENT_2 : AGENT_1;
    lease = rig_lease(r, next);
    rig_fail(r, next, rig_offer_of(&lease), PF__FAILURE_KIND__FAILURE_INFRA, true);
    assert_int_equal(rig_state(r, job), BACKOFF);
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
        const Pf__JobStatus *status = NULL;
        char                 model[16] = "";
        rig_mail             lease = { 0 }, mail = { 0 };
        uint64_t             job = 0;
        rig_close(r);
        rig_open(r);
        rig_hello(r, AGENT_1, 1, 1);
        snprintf(model, sizeof model, "m%zu", i);
        job = rig_submit(r, CLIENT_1, (uint8_t)(i + 1), model, "cpu");
        lease = rig_lease(r, AGENT_1);
        rig_fail(r, AGENT_1, rig_offer_of(&lease), rows[i].kind, false);
        assert_true(rig_has(r, AGENT_1, PF_MSG_FAILED_REPLY));
        status = rig_status(r, job, &mail);
        assert_non_null(status);
        assert_int_equal(status->state, rows[i].state);
        assert_int_equal(status->charged, rows[i].charged);
        assert_string_equal(status->message, "it went wrong");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unanswered_offer_goes_back_uncharged), TEST(a_declined_offer_goes_back_until_the_next_heartbeat),
        TEST(an_offer_that_cannot_be_sent_goes_back), TEST(an_agent_gets_no_more_than_its_slots),
        TEST(credit_said_before_an_offer_came_is_not_spent_twice), TEST(heartbeats_keep_a_lease),
        TEST(a_silent_agent_loses_its_lease_and_three_times_is_enough), TEST(crashes_on_two_agents_are_enough),
        TEST(a_crash_that_is_not_charged_is_no_poison),
        TEST(a_lease_that_stands_still_is_taken_away), TEST(a_lease_that_the_agent_no_longer_lists_is_lost),
        TEST(what_each_failure_does), TEST(backoff_grows_and_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
