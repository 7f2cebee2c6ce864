/* What the core tells, forgets and refuses, and what is on its disk. */
#include "tests/farm/step.h"

#include <string.h>

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
    uint64_t      job = committed_job(r);
    pf_core_stats s;

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
}

static void plans_that_nobody_asks_for_are_forgotten(void **state)
{
    rig          *r = *state;
    uint64_t      day_s = 24 * 3600;
    pf_core_stats s;

    r->config.plan_retention_ns = 30 * (int64_t)day_s * S;
    rig_restart(r);
    committed_job(r);
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
}

/* Made while the clock of a machine that just started stood in 1970, and seen by one that is ten years ahead for an
   hour: the plan stays, until nobody has asked for it for long indeed. */
static void a_wrong_wall_clock_forgets_no_plan(void **state)
{
    const int64_t now_ns = INT64_C(1790000000) * S, hour_ns = 3600 * S, day_ns = 24 * hour_ns;
    rig          *r = *state;
    pf_core_stats s;

    r->now.wall_ns = r->now.boot_ns;
    rig_restart(r);
    committed_job(r);
    rig_tick(r, 2 * hour_ns);
    r->now.wall_ns += now_ns;
    rig_tick(r, 8 * day_ns);
    rig_tick(r, 2 * hour_ns);
    stats(r, &s);
    assert_int_equal(s.jobs, 0);        /* it is not for its job that the plan is there */
    assert_int_equal(s.plans, 1);
    r->now.wall_ns += 3650 * day_ns;
    rig_tick(r, 2 * hour_ns);
    r->now.wall_ns -= 3650 * day_ns;
    rig_tick(r, 2 * hour_ns);
    rig_restart(r);
    rig_tick(r, 2 * hour_ns);
    rig_tick(r, 360 * day_ns);
    stats(r, &s);
    assert_int_equal(s.plans, 1);
    rig_tick(r, 10 * day_ns);
    stats(r, &s);
    assert_int_equal(s.plans, 0);
    rig_drop_mail(r);
}

/* Whether the plan that is there is signed by the key. */
static bool is_signed_by(rig *r, const pf_signing_key *key)
{
    Pf__PlanLookup lookup = PF__PLAN_LOOKUP__INIT;
    rig_mail       mail = { 0 };
    const char    *manifest = NULL;
    bool           good = false;

    lookup.model_name = (char *)"model";
    lookup.selector = (char *)"cpu";
    rig_say(r, CLIENT_1, PF_MSG_PLAN_LOOKUP, &lookup.base);
    mail = rig_take(r, CLIENT_1, PF_MSG_PLAN_LOOKUP_REPLY);
    manifest = ((const Pf__PlanLookupReply *)mail.message.body)->plan[0]->manifest;
    good = pf_manifest_verify(manifest, strlen(manifest), &key->public_key, 1, NULL) == PF_OK;
    pf_message_clear(&mail.message);
    return good;
}

/* A start of the core with these keys; how many rows it wrote. */
static uint32_t start_with(rig *r, const pf_signing_key *keys, uint32_t count)
{
    pf_out   out;
    pf_err   err = { 0 };
    uint32_t rows = 0;

    rig_restart(r);
    pf_out_init(&out);
    test_ok(pf_core_sign_plans(r->core, keys, count, &out, &err), &err);
    rows = out.writes_count;
    rig_apply(r, &out);
    pf_out_clear(&out);
    return rows;
}

/* Whoever trusts only the keys of today can take the plans of yesterday, also when yesterday's key is gone. */
static void plans_are_signed_by_keys_that_came_later(void **state)
{
    rig           *r = *state;
    pf_signing_key keys[2] = { r->key, r->key }, namesake = { 0 };
    pf_err         err = { 0 };

    test_ok(pf_signing_key_new("farm-2", &keys[0], &err), &err);
    test_ok(pf_signing_key_new("farm-2", &namesake, &err), &err);
    committed_job(r);
    assert_int_equal(start_with(r, &r->key, 1), 0);
    assert_int_equal(start_with(r, keys, 2), 1);
    assert_true(is_signed_by(r, &keys[0]) && is_signed_by(r, &keys[1]));
    assert_int_equal(start_with(r, keys, 2), 0);
    assert_true(is_signed_by(r, &keys[0]));                 /* the disk knows it */
    assert_int_equal(start_with(r, keys, 1), 0);
    assert_int_equal(start_with(r, &namesake, 1), 1);       /* another key of the same name */
    assert_true(is_signed_by(r, &namesake));
    assert_false(is_signed_by(r, &keys[0]));
}

/* However old: a job or a submit that is remembered names it. */
static void plans_that_something_names_are_kept(void **state)
{
    rig          *r = *state;
    uint64_t      waiting = 0;
    char         *both[] = { "cpu", "never-seen" };
    rig_request   request;
    pf_core_stats s;

    r->config.plan_retention_ns = 3600 * S;
    r->config.queue_timeout_ns = INT64_C(100) * 24 * 3600 * S;
    rig_restart(r);
    committed_job(r);
    rig_tick(r, 6 * 24 * 3600 * S);
    stats(r, &s);
    assert_int_equal(s.plans, 1);       /* its job is remembered */
    rig_request_begin(&request, 7, "model", "cpu");
    request.submit.spec_text = "spec 1";
    request.submit.selector = both;
    request.submit.n_selector = 2;
    request.submit.wait_for_class = true;
    waiting = rig_request_say(r, CLIENT_1, &request);
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
}

/* The hour that a job's events are kept for is of one run of the coordinator only. */
static void a_restart_forgets_at_once_what_is_due(void **state)
{
    rig          *r = *state;
    pf_core_stats s;

    r->config.retention_ns = 600 * S;
    rig_restart(r);
    committed_job(r);
    rig_tick(r, 500 * S);
    rig_restart(r);
    rig_tick(r, S);
    stats(r, &s);
    assert_int_equal(s.jobs, 1);
    rig_tick(r, 200 * S);
    stats(r, &s);
    assert_int_equal(s.jobs, 0);
    assert_int_equal(s.plans, 1);
    rig_drop_mail(r);
}

static void only_so_many_final_jobs_are_kept(void **state)
{
    rig          *r = *state;
    pf_core_stats s;

    r->config.final_limit = 5;
    rig_restart(r);
    rig_hello(r, AGENT_1, 1, 1);
    for (uint8_t i = 1; i <= 20; i++)
        failed_job(r, i, PF__FAILURE_KIND__FAILURE_BUILD_ERROR, false);
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
    pf_event   event = { .kind = PF_EVENT_MESSAGE, .peer = CLIENT_1, .message = &message,
                         .grants = PF_GRANT_SUBMIT | PF_GRANT_FETCH };

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

    committed_job(r);
    for (uint32_t i = 0; i < r->rows_count; i++) {
        rig_row *row = &r->row[i];
        for (size_t at = 0; !row->removed && at < row->value_bytes; at += 7) {
            pf_core *core = NULL;
            pf_err   err = { 0 };
            test_ok(pf_core_new(&r->config, &core, &err), &err);
            row->value[at] ^= 4;
            test_fails(pf_core_load(core, row->table, row->key, row->key_bytes, row->value, row->value_bytes, &err),
                       PF_CORRUPT, &err);
            row->value[at] ^= 4;
            pf_core_free(core);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(watching_tells_what_happens), TEST(what_was_dropped_is_a_gap),
        TEST(final_jobs_are_forgotten_with_their_submits), TEST(plans_that_nobody_asks_for_are_forgotten),
        TEST(a_wrong_wall_clock_forgets_no_plan), TEST(plans_are_signed_by_keys_that_came_later),
        TEST(plans_that_something_names_are_kept), TEST(a_restart_forgets_at_once_what_is_due),
        TEST(only_so_many_final_jobs_are_kept),
        TEST(unsound_messages_are_refused), TEST(a_key_without_the_right_is_denied),
        TEST(out_of_memory_is_survived_by_the_disk), TEST(damaged_rows_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
