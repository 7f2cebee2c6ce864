/* What the tests of the core's transitions share: one test per arrow of the state machine and per rule of
   PROTOCOL.md. */
#ifndef PF_TESTS_FARM_STEP_H
#define PF_TESTS_FARM_STEP_H

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "tests/farm/core_rig.h"

#define S PF_NS_PER_S

enum {
    QUEUED = PF__JOB_STATE__STATE_QUEUED, OFFERED = PF__JOB_STATE__STATE_OFFERED, LEASED = PF__JOB_STATE__STATE_LEASED,
    VERIFYING = PF__JOB_STATE__STATE_VERIFYING, BACKOFF = PF__JOB_STATE__STATE_BACKOFF,
    CANCELLING = PF__JOB_STATE__STATE_CANCELLING, COMMITTED = PF__JOB_STATE__STATE_COMMITTED,
    FAILED = PF__JOB_STATE__STATE_FAILED, CANCELLED = PF__JOB_STATE__STATE_CANCELLED,
    QUARANTINED = PF__JOB_STATE__STATE_QUARANTINED, UNSATISFIABLE = PF__JOB_STATE__STATE_UNSATISFIABLE,
};

static inline int open_rig(void **state)
{
    rig *r = pf_calloc(1, sizeof *r);

    rig_open(r);
    *state = r;
    return 0;
}

static inline int close_rig(void **state)
{
    rig_close(*state);
    pf_free(*state);
    return 0;
}

static inline uint32_t error_code(rig *r, uint64_t peer)
{
    rig_mail mail = rig_take(r, peer, PF_MSG_ERROR);
    uint32_t code = ((Pf__Error *)mail.message.body)->exit_code;

    assert_true(((Pf__Error *)mail.message.body)->message[0]);
    pf_message_clear(&mail.message);
    return code;
}

static inline uint32_t code_of(pf_status status)
{
    return (uint32_t)pf_status_exit_code(status);
}

static inline void stats(rig *r, pf_core_stats *out)
{
    pf_core_stats_get(r->core, r->now, out);
}

static inline Pf__Outcome outcome(rig *r, uint64_t peer)
{
    rig_mail    mail = rig_take(r, peer, PF_MSG_COMPLETE_REPLY);
    Pf__Outcome o = ((Pf__CompleteReply *)mail.message.body)->outcome;

    pf_message_clear(&mail.message);
    return o;
}

static inline void cancel_job(rig *r, uint64_t job_id)
{
    Pf__Cancel cancel = PF__CANCEL__INIT;
    uint64_t   ids[] = { job_id };

    cancel.job_id = ids;
    cancel.n_job_id = 1;
    rig_say(r, CLIENT_1, PF_MSG_CANCEL, &cancel.base);
}

static inline void cancel_submit(rig *r, uint8_t id)
{
    Pf__Cancel cancel = PF__CANCEL__INIT;
    uint8_t    submit_id[PF_SUBMIT_ID_BYTES] = { id };

    cancel.submit_id = (ProtobufCBinaryData){ sizeof submit_id, submit_id };
    rig_say(r, CLIENT_1, PF_MSG_CANCEL, &cancel.base);
}

static inline void kick(rig *r, uint64_t job_id)
{
    Pf__Kick message = PF__KICK__INIT;
    uint64_t ids[] = { job_id };

    message.job_id = ids;
    message.n_job_id = 1;
    rig_say(r, CLIENT_1, PF_MSG_KICK, &message.base);
}

static inline void ack_cancel(rig *r, uint64_t peer, const Pf__Offer *offer)
{
    Pf__CancelAck ack = PF__CANCEL_ACK__INIT;

    PF_WIRE_SAME_RUN(&ack, offer);
    rig_say(r, peer, PF_MSG_CANCEL_ACK, &ack.base);
}

/* A job that AGENT_1 is offered; the mail is the caller's to clear. */
static inline uint64_t offered_job(rig *r, rig_mail *offer)
{
    uint64_t job = 0;

    rig_hello(r, AGENT_1, 1, 1);
    job = rig_submit(r, CLIENT_1, 1, "model", "cpu");
    *offer = rig_take(r, AGENT_1, PF_MSG_OFFER);
    return job;
}

/* A job that AGENT_1 holds and runs. */
static inline uint64_t running_job(rig *r, rig_mail *lease)
{
    uint64_t job = offered_job(r, lease);

    rig_answer(r, AGENT_1, rig_offer_of(lease), true);
    assert_int_equal(rig_state(r, job), LEASED);
    return job;
}

/* The agent's plan is stored and found to be good. */
static inline void deliver(rig *r, uint64_t peer, const rig_mail *lease, const char *plan)
{
    rig_complete(r, peer, rig_offer_of(lease), plan);
    rig_verdict(r, 0, PF_OK);
}

/* A job that AGENT_1 has built. */
static inline uint64_t committed_job(rig *r)
{
    rig_mail lease = { 0 };
    uint64_t job = running_job(r, &lease);

    deliver(r, AGENT_1, &lease, "plan");
    pf_message_clear(&lease.message);
    return job;
}

/* A job of a model of its own, which AGENT_1 gets and does not build. */
static inline void failed_job(rig *r, uint8_t id, Pf__FailureKind kind, bool crashed)
{
    char     model[8] = "";
    rig_mail lease = { 0 };

    snprintf(model, sizeof model, "m%d", id);
    rig_submit(r, CLIENT_1, id, model, "cpu");
    lease = rig_lease(r, AGENT_1);
    rig_fail(r, AGENT_1, rig_offer_of(&lease), kind, crashed);
    pf_message_clear(&lease.message);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

#endif
