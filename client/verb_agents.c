#include "base/clock.h"
#include "client/farm.h"
#include "client/farm_agents.h"
#include "client/output.h"

static const pf_option options[] = {
    PF_FARM_OPTION,
    {.name = NULL},
};

static void show_classes(pf_call *call, const Pf__AgentsReply *reply)
{
    json_t *list = json_array();

    pf_say(call, "%-20s  %-12s  %6s  %6s  %7s\n", "CLASS", "ALIASES", "AGENTS", "QUEUED", "RUNNING");
    for (size_t i = 0; i < reply->n_device_class; i++) {
        const Pf__ClassStatus *c = reply->device_class[i];

        json_array_append_new(list, pf_agent_view_class_json(c));
        pf_say(call, "%-20s  %-12s  %6u  %6u  %7u\n", c->class_name, c->n_alias ? c->alias[0] : "", c->agents_alive,
               c->queued, c->running);
    }
    json_object_set_new(call->result, "classes", list);
}

/* A reply has room for some hundred of each. */
static void show_more(pf_call *call, const Pf__AgentsReply *reply)
{
    json_object_set_new(call->result, "more_agents", pf_json_count(reply->more_agents));
    json_object_set_new(call->result, "more_classes", pf_json_count(reply->more_classes));
    if (reply->more_agents || reply->more_classes)
        pf_say(call, "\nThe farm knows %u more agents and %u more classes; GET /metrics counts all of them.\n",
               reply->more_agents, reply->more_classes);
}

static pf_status run(pf_call *call, pf_err *err)
{
    Pf__Agents             body = PF__AGENTS__INIT;
    pf_message             answer = {0};
    const Pf__AgentsReply *reply = NULL;
    json_t                *list = json_array();
    pf_farm                farm = {0};
    pf_status              status = pf_args_expect(call->args, 0, 0, "nothing", err);

    if (!status)
        status = pf_farm_open(call, NULL, &farm, err);
    if (!status)
        status = pf_farm_call(&farm, PF_MSG_AGENTS, &body.base, PF_MSG_AGENTS_REPLY, &answer, err);
    if (!status) {
        reply = (const Pf__AgentsReply *)answer.body;
        pf_farm_agents_heading(call);
        for (size_t i = 0; i < reply->n_agent; i++) {
            json_array_append_new(list, pf_agent_view_json(reply->agent[i]));
            pf_farm_agent_say(call, reply->agent[i]);
        }
        json_object_set(call->result, "agents", list);
        pf_say(call, "\n");
        show_classes(call, reply);
        show_more(call, reply);
    }
    json_decref(list);
    pf_message_clear(&answer);
    pf_farm_close(&farm);
    return status;
}

const pf_verb_body pf_verb_agents = {
    .options = options,
    .details = "  Shows the farm's agents, and the device classes that it ever saw, with what waits for each.\n"
               "  --json: agents[name host alive draining sick health leases free crashes classes jobs ...]\n"
               "  classes[name aliases agents_alive queued running sha256 text ...]\n"
               "  more_agents more_classes: how many there are beyond those listed\n",
    .run = run,
};
