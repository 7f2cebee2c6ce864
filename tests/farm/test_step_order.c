/* The core's order: whose job is next. */
#include "tests/farm/step.h"

#include <stdio.h>

#include "coordinator/state.h"

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
        rig_request request;
        char        user[16] = "";
        uint64_t    job = i + 1;
        snprintf(user, sizeof user, "user%u", i);
        rig_request_begin(&request, i, user, "cpu");            /* each wants a model of his own */
        request.submit.user = user;
        assert_int_equal(rig_request_say(r, CLIENT_1, &request), job);
        give_up(r, &job, 1);
        rig_tick(r, 2 * S);
    }
    assert_in_range(r->core->class_list[0]->users.count, 1, 200);
}

static void priority_goes_first_and_age_goes_on(void **state)
{
    rig        *r = *state;
    rig_request request;
    rig_mail    lease = { 0 };
    uint64_t    low = 0, high = 0;

    rig_hello(r, AGENT_1, 1, 1);
    rig_submit(r, CLIENT_1, 1, "runs", "cpu");
    low = rig_submit(r, CLIENT_1, 2, "low", "cpu");
    rig_request_begin(&request, 9, "high", "cpu");
    request.submit.priority = 50;
    high = rig_request_say(r, CLIENT_2, &request);
    lease = rig_lease(r, AGENT_1);
    rig_fail(r, AGENT_1, rig_offer_of(&lease), PF__FAILURE_KIND__FAILURE_BUILD_ERROR, false);
    pf_message_clear(&lease.message);
    lease = rig_lease(r, AGENT_1);
    assert_int_equal(rig_offer_of(&lease)->job_id, high);
    r->now.boot_ns += 3600 * S;         /* an hour later another one of that priority comes behind the old job */
    r->now.wall_ns += 3600 * S;
    rig_request_begin(&request, 10, "late", "cpu");
    request.submit.priority = 50;
    assert_int_not_equal(rig_request_say(r, CLIENT_2, &request), 0);
    rig_drop_mail(r);
    pf_message_clear(&lease.message);
    rig_hello(r, AGENT_2, 7, 1);
    lease = rig_lease(r, AGENT_2);
    assert_int_equal(rig_offer_of(&lease)->job_id, low);
    pf_message_clear(&lease.message);
}

/* The wall clock was ten years ahead for an hour, in which a job came: it is no later than one that came after it, and
   what its user asks for next is a minute later and no more. */
static void jobs_of_a_clock_that_was_ahead_wait_no_longer(rig *r, bool restarts)
{
    const int64_t ahead_ns = INT64_C(3650) * 24 * 3600 * S;
    const char   *models[] = { "again", "bobs" };
    uint64_t      next[3] = { 0 };
    rig_mail      lease = { 0 };

    r->now.wall_ns = INT64_C(1790000000) * S + ahead_ns;
    rig_submit(r, CLIENT_1, 1, "gone", "cpu-test");
    next[0] = rig_submit(r, CLIENT_1, 2, "early", "cpu-test");
    cancel_submit(r, 1);
    r->now.wall_ns -= ahead_ns;
    if (restarts)
        rig_restart(r);
    for (uint8_t i = 0; i < 2; i++) {
        rig_tick(r, 200 * S);
        next[i + 1] = rig_submit(r, CLIENT_1 + i, (uint8_t)(i + 3), models[i], "cpu-test");
    }
    rig_drop_mail(r);
    for (uint8_t i = 0; i < 3; i++) {
        rig_hello(r, AGENT_1 + i, 9, 1);
        lease = rig_lease(r, AGENT_1 + i);
        assert_int_equal(rig_offer_of(&lease)->job_id, next[i]);
        pf_message_clear(&lease.message);
    }
}

static void jobs_of_a_clock_that_was_ahead(void **state)
{
    rig_hello(*state, AGENT_1, 1, 0);
    jobs_of_a_clock_that_was_ahead_wait_no_longer(*state, false);
}

static void jobs_of_a_clock_that_was_ahead_before_a_restart(void **state)
{
    rig_hello(*state, AGENT_1, 1, 0);
    jobs_of_a_clock_that_was_ahead_wait_no_longer(*state, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_user_does_not_push_others_aside), TEST(a_user_whose_queue_ran_empty_begins_anew),
        TEST(users_who_wait_for_nothing_are_forgotten), TEST(priority_goes_first_and_age_goes_on),
        TEST(jobs_of_a_clock_that_was_ahead), TEST(jobs_of_a_clock_that_was_ahead_before_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
