/* The core's transitions of agents: offers, leases, coming and going, and whose job is next. */
#include "tests/farm/step.h"

#include <stdio.h>
#include <string.h>

#include "coordinator/state.h"

static Pf__AgentsReply *ask_agents(rig *r, rig_mail *mail)
{
    Pf__Agents ask = PF__AGENTS__INIT;

    rig_say(r, CLIENT_1, PF_MSG_AGENTS, &ask.base);
    *mail = rig_take(r, CLIENT_1, PF_MSG_AGENTS_REPLY);
    return (Pf__AgentsReply *)mail->message.body;
}

static void agents_that_are_not_listed_are_counted(void **state)
{
    rig             *r = *state;
    rig_mail         mail = { 0 };
    Pf__AgentsReply *reply = NULL;

    rig_hello(r, AGENT_1, 1, 1);
    reply = ask_agents(r, &mail);
    assert_int_equal(reply->n_agent, 1);
    assert_int_equal(reply->more_agents, 0);
    assert_int_equal(reply->more_classes, 0);
    pf_message_clear(&mail.message);
    for (uint64_t i = 1; i < 520; i++)
        rig_hello(r, AGENT_1 + i, 1, 1);
    reply = ask_agents(r, &mail);
    assert_int_equal(reply->n_agent + reply->more_agents, 520);
    assert_true(reply->more_agents > 0);
    assert_int_equal(reply->n_device_class, 1);
    assert_int_equal(reply->more_classes, 0);
    pf_message_clear(&mail.message);
}

/* Pages of at most limit; every name once and in order.  Returns how many agents there were. */
static uint32_t walk_agents(rig *r, uint32_t limit, uint32_t *classes)
{
    Pf__Agents ask = PF__AGENTS__INIT;
    char       last[64] = "";
    uint8_t    last_class[PF_DIGEST_BYTES] = { 0 };
    uint32_t   count = 0;
    bool       more = true;

    ask.limit = limit;
    for (*classes = 0; more;) {
        rig_mail         mail = { 0 };
        Pf__AgentsReply *reply = NULL;
        rig_say(r, CLIENT_1, PF_MSG_AGENTS, &ask.base);
        mail = rig_take(r, CLIENT_1, PF_MSG_AGENTS_REPLY);
        reply = (Pf__AgentsReply *)mail.message.body;
        assert_true(reply->n_agent <= limit && reply->n_device_class <= limit);
        for (size_t i = 0; i < reply->n_agent; i++, count++) {
            assert_true(strcmp(reply->agent[i]->name, last) > 0);
            snprintf(last, sizeof last, "%s", reply->agent[i]->name);
        }
        *classes += (uint32_t)reply->n_device_class;
        more = reply->more_agents || reply->more_classes;
        assert_int_equal(more, reply->next_agent[0] && reply->next_class.len == sizeof last_class);
        if (more)
            memcpy(last_class, reply->next_class.data, sizeof last_class);
        ask.after_agent = last;
        ask.after_class = (ProtobufCBinaryData){ sizeof last_class, last_class };
        pf_message_clear(&mail.message);
    }
    return count;
}

static void agents_and_classes_come_in_pages(void **state)
{
    rig        *r = *state;
    Pf__Agents  ask = PF__AGENTS__INIT;
    uint8_t     unknown[PF_DIGEST_BYTES] = { 1 };
    uint32_t    classes = 0;
    class_hello h;

    assert_int_equal(walk_agents(r, 7, &classes), 0);
    for (uint64_t i = 0; i < 23; i++)
        rig_hello(r, AGENT_1 + i, 1, 1);
    for (int i = 0; i < 40; i++) {          /* of one name, told apart by their texts */
        char name[32] = "", text[32] = "";
        snprintf(name, sizeof name, "other-%d", i % 2);
        snprintf(text, sizeof text, "class %d", i);
        class_hello_begin(&h, name, (uint64_t)i + 1, "abi 1", "gpu-test", text);
        rig_say(r, AGENT_1 + 100 + (uint64_t)i, PF_MSG_HELLO, &h.hello.base);
    }
    assert_int_equal(walk_agents(r, 1, &classes), 25);
    assert_int_equal(classes, 41);
    assert_int_equal(walk_agents(r, 5, &classes), 25);
    assert_int_equal(classes, 41);
    assert_int_equal(walk_agents(r, 1000, &classes), 25);
    assert_int_equal(classes, 41);
    ask.after_class = (ProtobufCBinaryData){ sizeof unknown, unknown };
    rig_say(r, CLIENT_1, PF_MSG_AGENTS, &ask.base);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_NOT_FOUND));
    ask.after_class.len = 3;
    rig_say(r, CLIENT_1, PF_MSG_AGENTS, &ask.base);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_NOT_FOUND));
}

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

/* ---- coming and going */

static void a_restarted_coordinator_adopts_what_runs(void **state)
{
    rig             *r = *state;
    rig_mail         lease = { 0 }, reply = { 0 };
    uint64_t         job = running_job(r, &lease);
    const Pf__Offer *held[] = { rig_offer_of(&lease) };
    class_hello      h;
    Pf__Lease        runs = PF__LEASE__INIT, *list[] = { &runs };

    rig_restart(r);
    assert_int_equal(rig_state(r, job), LEASED);
    rig_beat(r, AGENT_1, 1, held, 1, 0);
    reply = rig_take(r, AGENT_1, PF_MSG_ERROR);
    assert_int_equal(((Pf__Error *)reply.message.body)->reason, PF__ERROR_REASON__REASON_HELLO_FIRST);
    pf_message_clear(&reply.message);
    runs.job_id = job;
    runs.attempt = held[0]->attempt;
    runs.fence = held[0]->fence;
    class_hello_begin(&h, "a101", 1, "abi 1", "cpu-test", "class cpu\nisa test\n");
    h.hello.lease = list;
    h.hello.n_lease = 1;
    rig_tick(r, 20 * S);
    rig_say(r, AGENT_1, PF_MSG_HELLO, &h.hello.base);
    reply = rig_take(r, AGENT_1, PF_MSG_HELLO_REPLY);
    assert_int_equal(((Pf__HelloReply *)reply.message.body)->n_lease, 1);
    pf_message_clear(&reply.message);
    rig_tick(r, 25 * S);
    assert_int_equal(rig_state(r, job), LEASED);
    deliver(r, AGENT_1, &lease, "plan");
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
    rig        *r = *state;
    class_hello h;
    rig_mail    mail = { 0 };

    for (uint64_t epoch = 1; epoch <= 2; epoch++) {
        class_hello_begin(&h, "twin", epoch, "abi 1", "cpu", "text");
        rig_say(r, 200 + epoch, PF_MSG_HELLO, &h.hello.base);
        mail = rig_take(r, 200 + epoch, PF_MSG_HELLO_REPLY);
        pf_message_clear(&mail.message);
    }
    rig_restart(r);                     /* it is remembered over restarts */
    h.hello.agent_epoch = 1;
    rig_say(r, 201, PF_MSG_HELLO, &h.hello.base);
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
    deliver(r, AGENT_1, &lease, "plan");
    assert_int_equal(rig_state(r, job), COMMITTED);
    rig_beat(r, AGENT_1, 1, NULL, 0, 1);
    assert_string_equal(rig_status(r, other, &mail)->message,
                        "waits for an agent: those of its class drain or are sick");
    pf_message_clear(&mail.message);
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
    rig_mail lease = { 0 }, mail = { 0 };
    uint64_t job = 0;

    rig_hello(r, AGENT_1, 1, 1);
    rig_tick(r, 60 * S);                /* the agent is gone */
    job = rig_submit(r, CLIENT_1, 1, "model", "cpu");
    assert_string_equal(rig_status(r, job, &mail)->message, "waits for an agent: none of its class is alive");
    pf_message_clear(&mail.message);
    rig_tick(r, 25 * 3600 * S);
    assert_int_equal(rig_state(r, job), UNSATISFIABLE);
    kick(r, job);
    rig_hello(r, AGENT_1, 2, 1);
    lease = rig_lease(r, AGENT_1);
    pf_message_clear(&lease.message);
}

static void a_new_builder_gives_waiting_jobs_new_keys(void **state)
{
    rig        *r = *state;
    class_hello h;
    rig_mail    offer = { 0 };
    uint64_t    job = 0, twin = 0;

    rig_hello(r, AGENT_1, 1, 1);
    rig_tick(r, 60 * S);
    job = rig_submit(r, CLIENT_1, 1, "model", "cpu");
    class_hello_begin(&h, "a102", 2, "abi 2", "cpu-test", "class cpu\nisa test\n");
    rig_say(r, AGENT_2, PF_MSG_HELLO, &h.hello.base);
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

static void give_up(rig *r, uint64_t *jobs, size_t count)
{
    Pf__Cancel cancel = PF__CANCEL__INIT;

    cancel.job_id = jobs;
    cancel.n_job_id = count;
    rig_say(r, CLIENT_1, PF_MSG_CANCEL, &cancel.base);
    rig_drop_mail(r);
}

/* Jobs that are gone put their user back by a minute, however many they were. */
static void a_user_whose_queue_ran_empty_begins_anew(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 }, next = { 0 };
    uint64_t gone[20] = { 0 }, anns = 0, bobs = 0;

    rig_hello(r, AGENT_1, 1, 1);
    rig_submit(r, CLIENT_1, 1, "runs", "cpu");
    lease = rig_lease(r, AGENT_1);
    for (uint8_t i = 0; i < 20; i++) {
        char model[8] = "";
        snprintf(model, sizeof model, "m%d", i);
        gone[i] = rig_submit(r, CLIENT_1, (uint8_t)(i + 2), model, "cpu");
    }
    give_up(r, gone, 20);
    anns = rig_submit(r, CLIENT_1, 100, "anns", "cpu");
    for (int i = 0; i < 4; i++) {
        const Pf__Offer *held = rig_offer_of(&lease);
        rig_beat(r, AGENT_1, 1, &held, 1, 0);
        rig_tick(r, 20 * S);
    }
    bobs = rig_submit(r, CLIENT_2, 101, "bobs", "cpu");
    rig_fail(r, AGENT_1, rig_offer_of(&lease), PF__FAILURE_KIND__FAILURE_BUILD_ERROR, false);
    next = rig_lease(r, AGENT_1);
    assert_int_equal(rig_offer_of(&next)->job_id, anns);
    assert_int_equal(rig_state(r, bobs), PF__JOB_STATE__STATE_QUEUED);
    pf_message_clear(&lease.message);
    pf_message_clear(&next.message);
}

/* Names of users are for who submits to choose, so those who have nothing queued are not kept. */
static void users_who_wait_for_nothing_are_forgotten(void **state)
{
    rig *r = *state;

    rig_hello(r, AGENT_1, 1, 1);
    for (uint32_t i = 0; i < 500; i++) {
        Pf__Submit submit = PF__SUBMIT__INIT;
        uint8_t    id[PF_SUBMIT_ID_BYTES] = { (uint8_t)i, (uint8_t)(i >> 8), 1 };
        pf_digest  model = { { 3, (uint8_t)i, (uint8_t)(i >> 8) } };
        char      *selectors[] = { "cpu" }, user[16] = "";
        uint64_t   job = i + 1;
        snprintf(user, sizeof user, "user%u", i);
        submit.submit_id = (ProtobufCBinaryData){ sizeof id, id };
        submit.model_digest = pf_wire_bytes(&model);
        submit.selector = selectors;
        submit.n_selector = 1;
        submit.user = user;
        rig_say(r, CLIENT_1, PF_MSG_SUBMIT, &submit.base);
        give_up(r, &job, 1);
        rig_tick(r, 2 * S);
    }
    assert_in_range(r->core->class_list[0]->users.count, 1, 200);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(agents_that_are_not_listed_are_counted), TEST(agents_and_classes_come_in_pages),
        TEST(an_unanswered_offer_goes_back_uncharged), TEST(a_declined_offer_goes_back_until_the_next_heartbeat),
        TEST(an_offer_that_cannot_be_sent_goes_back), TEST(an_agent_gets_no_more_than_its_slots),
        TEST(credit_said_before_an_offer_came_is_not_spent_twice), TEST(heartbeats_keep_a_lease),
        TEST(a_silent_agent_loses_its_lease_and_three_times_is_enough), TEST(crashes_on_two_agents_are_enough),
        TEST(a_lease_that_stands_still_is_taken_away), TEST(a_lease_that_the_agent_no_longer_lists_is_lost),
        TEST(what_each_failure_does), TEST(backoff_grows_and_has_a_limit),
        TEST(a_sick_agent_gets_nothing_until_resumed), TEST(a_restarted_coordinator_adopts_what_runs),
        TEST(an_agent_that_starts_anew_gives_up_what_it_had), TEST(of_two_processes_with_one_name_the_older_stops),
        TEST(goodbye_gives_back_uncharged), TEST(a_draining_agent_keeps_its_build_and_gets_no_other),
        TEST(a_process_that_slept_takes_nothing_away), TEST(a_job_nobody_can_build_is_unsatisfiable),
        TEST(a_new_builder_gives_waiting_jobs_new_keys), TEST(one_user_does_not_push_others_aside),
        TEST(a_user_whose_queue_ran_empty_begins_anew),
        TEST(users_who_wait_for_nothing_are_forgotten), TEST(priority_goes_first_and_age_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
