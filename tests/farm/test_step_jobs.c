/* The core's transitions of jobs: submitting, completing, cancelling. */
#include "tests/farm/step.h"

#include <stdio.h>
#include <string.h>

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
    uint64_t      job = committed_job(r);
    pf_core_stats s;

    assert_int_equal(rig_submit(r, CLIENT_2, 2, "model", "cpu-test"), job);
    stats(r, &s);
    assert_int_equal(s.hits_total, 1);
    assert_int_equal(s.jobs, 1);
    rig_restart(r);
    assert_int_equal(rig_submit(r, CLIENT_2, 3, "model", "cpu-test"), job);
    stats(r, &s);
    assert_int_equal(s.hits_total, 1);
}

static void a_plan_whose_bytes_are_gone_is_built_again(void **state)
{
    rig     *r = *state;
    uint64_t job = committed_job(r), again = 0;

    pf_digest_of("plan", 4, &r->absent[0]);
    r->absent_count = 1;
    again = rig_submit(r, CLIENT_2, 2, "model", "cpu");
    r->absent_count = 0;
    assert_int_not_equal(again, job);
    assert_int_equal(rig_state(r, again), OFFERED);
    rig_restart(r);
    assert_int_equal(rig_submit(r, CLIENT_2, 3, "model", "cpu"), again);
}

static void expect_no_plan(rig *r, const char *model, const char *selector, const char *words)
{
    Pf__PlanLookup lookup = PF__PLAN_LOOKUP__INIT;
    rig_mail       mail = { 0 };

    lookup.model_name = (char *)model;
    lookup.selector = (char *)selector;
    rig_say(r, CLIENT_1, PF_MSG_PLAN_LOOKUP, &lookup.base);
    mail = rig_take(r, CLIENT_1, PF_MSG_ERROR);
    assert_int_equal(((Pf__Error *)mail.message.body)->exit_code, code_of(PF_NOT_FOUND));
    assert_string_equal(((Pf__Error *)mail.message.body)->message, words);
    pf_message_clear(&mail.message);
}

static void plans_are_found_by_key_and_by_name(void **state)
{
    rig           *r = *state;
    rig_mail       mail = { 0 };
    Pf__PlanLookup lookup = PF__PLAN_LOOKUP__INIT;
    const Pf__PlanLookupReply *reply = NULL;
    pf_err         err = { 0 };

    committed_job(r);
    lookup.model_name = "model";
    lookup.selector = "cpu";
    rig_say(r, CLIENT_1, PF_MSG_PLAN_LOOKUP, &lookup.base);
    mail = rig_take(r, CLIENT_1, PF_MSG_PLAN_LOOKUP_REPLY);
    reply = (const Pf__PlanLookupReply *)mail.message.body;
    assert_int_equal(reply->n_plan, 1);
    test_ok(pf_manifest_verify(reply->plan[0]->manifest, strlen(reply->plan[0]->manifest), &r->key.public_key, 1, &err),
            &err);
    lookup = (Pf__PlanLookup)PF__PLAN_LOOKUP__INIT;
    lookup.plan_key = reply->plan[0]->plan_key;
    rig_say(r, CLIENT_2, PF_MSG_PLAN_LOOKUP, &lookup.base);
    pf_message_clear(&mail.message);
    mail = rig_take(r, CLIENT_2, PF_MSG_PLAN_LOOKUP_REPLY);
    pf_message_clear(&mail.message);
    expect_no_plan(r, "another", "", "no plan of a model \"another\" is here; submit the model to have it built");
    expect_no_plan(r, "modle", "cpu", "no plan of a model \"modle\" is here; did you mean model?");
}

static void expect_no_kick(rig *r, uint64_t job, const char *words)
{
    Pf__Kick kick = PF__KICK__INIT;
    rig_mail mail = { 0 };

    kick.job_id = &job;
    kick.n_job_id = 1;
    rig_say(r, CLIENT_1, PF_MSG_KICK, &kick.base);
    mail = rig_take(r, CLIENT_1, PF_MSG_ERROR);
    assert_string_equal(((Pf__Error *)mail.message.body)->message, words);
    pf_message_clear(&mail.message);
}

static void a_kick_in_vain_says_why(void **state)
{
    rig     *r = *state;
    uint64_t job = 0;

    rig_hello(r, AGENT_1, 1, 1);
    job = rig_submit(r, CLIENT_1, 1, "model", "cpu");
    expect_no_kick(r, job,
                   "job 1 is offered, and only quarantined, failed and unsatisfiable jobs go back to the queue");
    expect_no_kick(r, 7, "no job 7 is known; planfarm list shows the jobs, and what ended long ago is forgotten");
    cancel_job(r, rig_submit(r, CLIENT_1, 2, "another", "cpu"));
    expect_no_kick(r, 2,
                   "job 2 is cancelled, and only quarantined, failed and unsatisfiable jobs go back to the queue; "
                   "submit it again");
}

/* The next page, of at most two; returns how many plans it had and keeps where to go on. */
static size_t plan_page(rig *r, const char *selector, uint8_t key[PF_DIGEST_BYTES], size_t *key_bytes,
                        uint64_t *last_bytes)
{
    Pf__PlanLookup             lookup = PF__PLAN_LOOKUP__INIT;
    const Pf__PlanLookupReply *reply = NULL;
    rig_mail                   mail = { 0 };
    size_t                     count = 0;

    lookup.selector = (char *)selector;
    lookup.limit = 2;
    lookup.before_key = (ProtobufCBinaryData){ *key_bytes, key };
    rig_say(r, CLIENT_1, PF_MSG_PLAN_LOOKUP, &lookup.base);
    mail = rig_take(r, CLIENT_1, PF_MSG_PLAN_LOOKUP_REPLY);
    reply = (const Pf__PlanLookupReply *)mail.message.body;
    count = reply->n_plan;
    for (size_t i = 0; i < count; i++) {
        assert_true(reply->plan[i]->plan_bytes < *last_bytes);
        *last_bytes = reply->plan[i]->plan_bytes;
    }
    *key_bytes = reply->next_key.len;
    if (*key_bytes)
        memcpy(key, reply->next_key.data, *key_bytes);
    pf_message_clear(&mail.message);
    return count;
}

static void older_plans_come_in_pages(void **state)
{
    static const char *const plans[] = { "p", "pl", "pla", "plan" };   /* each newer one is larger */
    rig           *r = *state;
    uint8_t        key[PF_DIGEST_BYTES] = { 0 };
    size_t         key_bytes = 0;
    uint64_t       last_bytes = UINT64_MAX;
    Pf__PlanLookup lookup = PF__PLAN_LOOKUP__INIT;

    rig_hello(r, AGENT_1, 1, 1);
    for (int i = 0; i < 4; i++) {
        char     model[16] = "";
        rig_mail lease = { 0 };
        snprintf(model, sizeof model, "model %d", i);
        rig_submit(r, CLIENT_1, (uint8_t)(i + 1), model, "cpu");
        lease = rig_lease(r, AGENT_1);
        rig_complete(r, AGENT_1, rig_offer_of(&lease), plans[i]);
        rig_verdict(r, 0, PF_OK);
        rig_beat(r, AGENT_1, 1, NULL, 0, 1);
        pf_message_clear(&lease.message);
    }
    assert_int_equal(plan_page(r, "cpu", key, &key_bytes, &last_bytes), 2);
    assert_int_equal(key_bytes, sizeof key);
    assert_int_equal(plan_page(r, "cpu", key, &key_bytes, &last_bytes), 2);
    assert_int_equal(last_bytes, 1);
    assert_int_equal(key_bytes, 0);     /* nothing is left, and the full page says so */
    memset(key, 7, sizeof key);
    lookup.selector = "cpu";
    lookup.before_key = (ProtobufCBinaryData){ sizeof key, key };
    rig_say(r, CLIENT_1, PF_MSG_PLAN_LOOKUP, &lookup.base);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_NOT_FOUND));
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

static void hello_of_class(rig *r, uint64_t peer, const char *class_name, const char *class_text)
{
    class_hello h;
    char        name[16] = "";

    snprintf(name, sizeof name, "a%d", (int)peer);
    class_hello_begin(&h, name, 1, "abi 1", class_name, class_text);
    class_hello_alias(&h, "cpu");
    h.device_class.slots = 1;
    rig_say(r, peer, PF_MSG_HELLO, &h.hello.base);
    rig_drop_mail(r);
}

/* Submits for the selector: a refusal with these words, which are then tried one by one, or when there are none, a
   job. */
static void expect_choice(rig *r, uint8_t id, const char *selector, const char *words)
{
    uint64_t job = rig_submit(r, CLIENT_1, id, "model", selector);
    rig_mail mail = { 0 };

    assert_int_equal(job != 0, words == NULL);
    if (job)
        return;
    mail = rig_take(r, CLIENT_1, PF_MSG_ERROR);
    assert_int_equal(((Pf__Error *)mail.message.body)->exit_code, code_of(PF_USAGE));
    assert_string_equal(((Pf__Error *)mail.message.body)->message, words);
    pf_message_clear(&mail.message);
}

/* Which class a job waits for. */
static void expect_class(rig *r, uint8_t id, const char *selector, const char *class_text)
{
    const Pf__JobStatus *s = NULL;
    pf_digest            expected = { 0 };
    uint64_t             job = rig_submit(r, CLIENT_1, id, "model", selector);
    rig_mail             mail = { 0 };

    assert_int_not_equal(job, 0);
    rig_drop_mail(r);
    s = rig_status(r, job, &mail);
    assert_non_null(s);
    pf_digest_of(class_text, strlen(class_text), &expected);
    assert_int_equal(s->class_digest.len, sizeof expected);
    assert_memory_equal(s->class_digest.data, &expected, sizeof expected);
    pf_message_clear(&mail.message);
}

static void selectors_that_mean_several_classes_are_refused_with_their_names(void **state)
{
    static const char avx2[] = "cpu=x\nisa=avx2\nonednn=2.9.1\nthreads=8\n",
                      avx512[] = "cpu=x\nisa=avx512\nonednn=2.9.1\nthreads=8\n";
    static const char newer[] = "cpu=x\nisa=avx512\nonednn=2.10.0\nthreads=8\n",
                      larger[] = "cpu=x\nisa=avx512\nonednn=2.9.1\nthreads=64\n";
    rig              *r = *state;
    pf_digest         digest = { 0 };
    char              hex[PF_DIGEST_HEX_BYTES] = "", other[PF_DIGEST_HEX_BYTES] = "", words[256] = "";

    hello_of_class(r, AGENT_1, "cpu-avx2", avx2);
    expect_choice(r, 1, "cpu", NULL);
    hello_of_class(r, AGENT_2, "cpu-avx512", avx512);
    expect_choice(r, 2, "CPU",
                  "\"CPU\" may mean cpu-avx2 or cpu-avx512; say which, or name several with commas between");
    expect_choice(r, 3, "cpu-avx512", NULL);
    hello_of_class(r, AGENT_3, "cpu-avx512", newer);            /* the same machine with a newer library */
    expect_class(r, 4, "cpu-avx512", newer);
    hello_of_class(r, AGENT_2, "cpu-avx512", avx512);           /* whoever came last */
    expect_class(r, 5, "cpu-avx512", newer);
    hello_of_class(r, AGENT_2, "cpu-avx512", larger);
    pf_digest_of(larger, sizeof larger - 1, &digest);
    pf_digest_to_hex(&digest, hex);
    pf_digest_of(newer, sizeof newer - 1, &digest);
    pf_digest_to_hex(&digest, other);
    snprintf(words, sizeof words,
             "\"cpu-avx512\" may mean %.8s (cpu-avx512 with threads=8) or %.8s (cpu-avx512 with threads=64); "
             "say which, or name several with commas between",
             other, hex);
    expect_choice(r, 6, "cpu-avx512", words);
    hex[8] = 0;
    expect_class(r, 7, hex, larger);
    rig_tick(r, 60 * S);
    expect_class(r, 8, "cpu-avx512", newer);                    /* nobody lives: the newest of those seen last */
    rig_tick(r, S);
    hello_of_class(r, AGENT_1, "cpu-avx2", avx2);
    expect_class(r, 9, "cpu", avx2);                            /* the only one that lives */
}

static void a_lookup_looks_among_the_classes_that_have_the_plan(void **state)
{
    rig           *r = *state;
    rig_mail       other = { 0 }, mail = { 0 };
    Pf__PlanLookup lookup = PF__PLAN_LOOKUP__INIT;

    committed_job(r);
    hello_of_class(r, AGENT_2, "cpu-other", "class cpu\nisa other\n");
    expect_choice(r, 2, "cpu",
                  "\"cpu\" may mean cpu-test or cpu-other; say which, or name several with commas between");
    lookup.model_name = "model";
    lookup.selector = "cpu";
    rig_say(r, CLIENT_1, PF_MSG_PLAN_LOOKUP, &lookup.base);
    mail = rig_take(r, CLIENT_1, PF_MSG_PLAN_LOOKUP_REPLY);
    assert_int_equal(((const Pf__PlanLookupReply *)mail.message.body)->n_plan, 1);
    expect_no_plan(r, "model", "cpu-other",
                   "the newest plan of model \"model\" is for cpu-test and not what was asked for; submit the model to "
                   "have that built");
    assert_int_not_equal(rig_submit(r, CLIENT_1, 3, "model", "cpu-other"), 0);
    other = rig_lease(r, AGENT_2);
    deliver(r, AGENT_2, &other, "another plan");
    lookup.selector = "cpu";
    rig_say(r, CLIENT_1, PF_MSG_PLAN_LOOKUP, &lookup.base);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_USAGE));
    pf_message_clear(&other.message);
    pf_message_clear(&mail.message);
}

static void unknown_selectors_are_refused_unless_waited_for(void **state)
{
    rig        *r = *state;
    rig_request request;
    rig_mail    mail = { 0 };
    uint64_t    job = 0;

    assert_int_equal(rig_submit(r, CLIENT_1, 1, "model", "cpu"), 0);
    assert_int_equal(error_code(r, CLIENT_1), code_of(PF_NOT_FOUND));
    rig_request_begin(&request, 7, "model", "cpu");
    request.submit.wait_for_class = true;
    rig_say(r, CLIENT_1, PF_MSG_SUBMIT, &request.submit.base);
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
    deliver(r, AGENT_1, &lease, "plan");
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

static void who_submits_what_is_being_cancelled_gets_a_job_of_his_own(void **state)
{
    rig     *r = *state;
    rig_mail lease = { 0 }, again = { 0 };
    uint64_t job = running_job(r, &lease), other = 0;

    cancel_job(r, job);
    assert_int_equal(rig_state(r, job), CANCELLING);
    other = rig_submit(r, CLIENT_2, 2, "model", "cpu");
    assert_int_not_equal(other, job);
    ack_cancel(r, AGENT_1, rig_offer_of(&lease));
    assert_int_equal(rig_state(r, job), CANCELLED);
    rig_beat(r, AGENT_1, 1, NULL, 0, 1);
    again = rig_lease(r, AGENT_1);
    assert_int_equal(rig_offer_of(&again)->job_id, other);
    deliver(r, AGENT_1, &again, "plan");
    assert_int_equal(rig_state(r, other), COMMITTED);
    assert_int_equal(rig_state(r, job), CANCELLED);
    pf_message_clear(&again.message);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_goes_all_the_way), TEST(a_plan_that_is_there_is_a_hit),
        TEST(a_plan_whose_bytes_are_gone_is_built_again), TEST(plans_are_found_by_key_and_by_name),
        TEST(older_plans_come_in_pages), TEST(a_kick_in_vain_says_why),
        TEST(a_submit_sent_again_is_the_same), TEST(missing_blobs_are_told_before_anything_is_kept),
        TEST(two_submits_share_a_job), TEST(selectors_that_mean_several_classes_are_refused_with_their_names),
        TEST(a_lookup_looks_among_the_classes_that_have_the_plan),
        TEST(unknown_selectors_are_refused_unless_waited_for),
        TEST(a_full_disk_refuses_submits_and_nothing_else), TEST(no_more_jobs_than_the_limit),
        TEST(a_bad_object_is_not_committed), TEST(a_complete_sent_twice_is_one),
        TEST(a_late_complete_wins_when_nobody_has), TEST(a_fence_that_was_never_given_is_refused),
        TEST(a_queued_job_is_cancelled_at_once), TEST(a_running_job_is_cancelled_when_the_agent_says_so),
        TEST(a_heartbeat_without_the_lease_ends_cancelling_too),
        TEST(who_submits_what_is_being_cancelled_gets_a_job_of_his_own), TEST(an_agent_that_does_not_kill_is_sick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
