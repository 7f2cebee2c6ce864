/* How long an agent waits that the coordinator refuses. */
#include "builder-agent/state.h"

#include "base/clock.h"
#include "tests/test.h"

enum { EPOCH = 3, DOUBLED = 5 };

static void refuse(pf_agent *agent, uint64_t asked_id)
{
    Pf__Error  error = PF__ERROR__INIT;
    pf_message message = { .info = pf_msg_find(PF_MSG_ERROR), .body = &error.base };

    error.message = (char *)"the key has no grant";
    message.header.correlation_id = asked_id;
    pf_dispatch(agent, &message);
}

static void answer(pf_agent *agent, uint64_t asked_id)
{
    Pf__HeartbeatReply reply = PF__HEARTBEAT_REPLY__INIT;
    pf_message         message = { .info = pf_msg_find(PF_MSG_HEARTBEAT_REPLY), .body = &reply.base };

    reply.coordinator_epoch = EPOCH;
    reply.next_ms = 1000;
    message.header.correlation_id = asked_id;
    pf_dispatch(agent, &message);
}

/* The next question, a moment more or less, is due in so many seconds. */
static void expect_wait(const pf_agent *agent, int64_t seconds)
{
    int64_t left_ns = agent->next_ask_ns - pf_clock_boot_ns();

    assert_true(left_ns > (seconds - 1) * PF_NS_PER_S && left_ns <= seconds * PF_NS_PER_S);
}

static void each_refusal_doubles_the_wait(void **state)
{
    static pf_agent agent;
    uint64_t        id = 0;

    (void)state;
    agent = (pf_agent){ .coordinator_epoch = EPOCH };
    for (int i = 0; i <= DOUBLED + 2; i++) {
        agent.asked_id = ++id;
        refuse(&agent, id);
        expect_wait(&agent, INT64_C(2) << (i < DOUBLED ? i : DOUBLED));
    }
    agent.member = true;
    agent.asked_id = ++id;
    answer(&agent, id);
    expect_wait(&agent, 1);
    agent.asked_id = ++id;
    refuse(&agent, id);
    expect_wait(&agent, 2);
}

/* The same refusal twice, one of something else, and one that comes when nothing was asked. */
static void only_what_was_asked_is_refused(void **state)
{
    static pf_agent agent;

    (void)state;
    agent = (pf_agent){ .asked_id = 7 };
    refuse(&agent, 6);
    assert_int_equal(agent.next_ask_ns, 0);
    refuse(&agent, 7);
    refuse(&agent, 7);
    refuse(&agent, 0);
    expect_wait(&agent, 2);
    assert_int_equal(agent.asked_id, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_refusal_doubles_the_wait), cmocka_unit_test(only_what_was_asked_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
