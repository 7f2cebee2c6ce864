/* The core's transitions of agents: what is said of them, coming, going and coming back. */
#include "tests/farm/step.h"

#include <stdio.h>
#include <string.h>

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

static void a_sick_agent_gets_nothing_until_resumed(void **state)
{
    rig      *r = *state;
    Pf__Drain resume = PF__DRAIN__INIT;

    rig_hello(r, AGENT_1, 1, 1);
    for (uint8_t i = 1; i <= 3; i++)
        failed_job(r, i, PF__FAILURE_KIND__FAILURE_INFRA, true);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(agents_that_are_not_listed_are_counted), TEST(agents_and_classes_come_in_pages),
        TEST(a_restarted_coordinator_adopts_what_runs), TEST(an_agent_that_starts_anew_gives_up_what_it_had),
        TEST(of_two_processes_with_one_name_the_older_stops), TEST(goodbye_gives_back_uncharged),
        TEST(a_draining_agent_keeps_its_build_and_gets_no_other), TEST(a_process_that_slept_takes_nothing_away),
        TEST(a_job_nobody_can_build_is_unsatisfiable), TEST(a_new_builder_gives_waiting_jobs_new_keys),
        TEST(a_sick_agent_gets_nothing_until_resumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
