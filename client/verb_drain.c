#include "client/farm.h"
#include "client/farm_agents.h"
#include "client/output.h"

static const pf_option options[] = {
    PF_FARM_OPTION,
    {.name = "resume", .kind = PF_OPTION_FLAG, .help = "let it take builds again"},
    {.name = NULL},
};

static pf_status run(pf_call *call, pf_err *err)
{
    Pf__Drain             body = PF__DRAIN__INIT;
    pf_message            answer = {0};
    const Pf__DrainReply *reply = NULL;
    pf_farm               farm = {0};
    pf_status             status = pf_args_expect(call->args, 1, 1, "AGENT", err);

    if (!status)
        status = pf_farm_open(call, NULL, &farm, err);
    if (!status) {
        body.agent = (char *)pf_args_operand(call->args, 0);
        body.resume = pf_args_flag(call->args, "resume");
        status = pf_farm_call(&farm, PF_MSG_DRAIN, &body.base, PF_MSG_DRAIN_REPLY, &answer, err);
    }
    if (!status) {
        reply = (const Pf__DrainReply *)answer.body;
        json_object_set_new(call->result, "agent", reply->agent ? pf_agent_view_json(reply->agent) : json_null());
        pf_farm_agents_heading(call);
        if (reply->agent)
            pf_farm_agent_say(call, reply->agent);
    }
    pf_message_clear(&answer);
    pf_farm_close(&farm);
    return status;
}

const pf_verb_body pf_verb_drain = {
    .options = options,
    .details = "  The agent finishes what it builds, takes nothing new, and ends.  planfarm agents lists the names.\n"
               "  --json: agent{name state leases ...}\n",
    .run = run,
};
