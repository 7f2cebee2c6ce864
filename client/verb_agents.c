#include <stdio.h>
#include <string.h>

#include "client/farm.h"
#include "client/farm_agents.h"
#include "client/output.h"

static const pf_option options[] = {
    PF_FARM_OPTION,
    {.name = "limit", .kind = PF_OPTION_INT, .value = "N", .fallback = "1000", .least = 1, .greatest = 1000000,
     .help = "at most so many agents, and classes, the first by name"},
    {.name = NULL},
};

typedef struct listing {
    json_t   *agents, *classes;
    char      after_agent[256];         /* where the next page begins; empty before the first */
    pf_digest after_class;
    bool      has_class;
    uint32_t  left, more_agents, more_classes;
} listing;

static void say_class(pf_call *call, const json_t *c)
{
    const char *alias = json_string_value(json_array_get(json_object_get(c, "aliases"), 0));
    const char *digest = json_string_value(json_object_get(c, "sha256"));

    pf_say(call, "%-20s  %-12s  %6lld  %6lld  %7lld  %.8s\n", json_string_value(json_object_get(c, "name")),
           alias ? alias : "", (long long)json_integer_value(json_object_get(c, "agents_alive")),
           (long long)json_integer_value(json_object_get(c, "queued")),
           (long long)json_integer_value(json_object_get(c, "running")),
           digest ? digest : "");
}

static void show_classes(pf_call *call, const listing *l)
{
    const json_t *c = NULL;
    size_t        i = 0;

    pf_say(call, "\n%-20s  %-12s  %6s  %6s  %7s  %s\n", "CLASS", "ALIASES", "AGENTS", "QUEUED", "RUNNING", "DIGEST");
    json_array_foreach(l->classes, i, c)
        say_class(call, c);
    if (l->more_agents || l->more_classes)
        pf_say(call, "\nThe farm knows %u more agents and %u more classes; --limit N lists more.\n", l->more_agents,
               l->more_classes);
}

/* Where the next page begins.  A farm that knows no pages says nothing, and what it gave is all. */
static void go_on(const Pf__AgentsReply *reply, listing *l)
{
    uint32_t got = (uint32_t)(reply->n_agent > reply->n_device_class ? reply->n_agent : reply->n_device_class);

    l->more_agents = reply->more_agents;
    l->more_classes = reply->more_classes;
    l->left = got && got < l->left && (reply->next_agent[0] || reply->next_class.len) ? l->left - got : 0;
    snprintf(l->after_agent, sizeof l->after_agent, "%s", reply->next_agent);
    l->has_class = reply->next_class.len == sizeof l->after_class;
    if (l->has_class)
        memcpy(&l->after_class, reply->next_class.data, sizeof l->after_class);
}

/* One reply; l->left goes down, and to 0 when there are no more. */
static pf_status list_once(pf_farm *farm, pf_call *call, listing *l, pf_err *err)
{
    Pf__Agents             body = PF__AGENTS__INIT;
    pf_message             answer = {0};
    const Pf__AgentsReply *reply = NULL;
    pf_status              status = PF_OK;

    body.limit = l->left;
    body.after_agent = l->after_agent;
    if (l->has_class)
        body.after_class = pf_wire_bytes(&l->after_class);
    status = pf_farm_call(farm, PF_MSG_AGENTS, &body.base, PF_MSG_AGENTS_REPLY, &answer, err);
    if (!status) {
        reply = (const Pf__AgentsReply *)answer.body;
        for (size_t i = 0; i < reply->n_agent; i++) {
            json_array_append_new(l->agents, pf_agent_view_json(reply->agent[i]));
            pf_farm_agent_say(call, reply->agent[i]);
        }
        for (size_t i = 0; i < reply->n_device_class; i++)
            json_array_append_new(l->classes, pf_agent_view_class_json(reply->device_class[i]));
        go_on(reply, l);
    }
    pf_message_clear(&answer);
    return status;
}

static pf_status run(pf_call *call, pf_err *err)
{
    listing   l = {.agents = json_array(), .classes = json_array(), .left = (uint32_t)pf_args_int(call->args, "limit")};
    pf_farm   farm = {0};
    pf_status status = pf_args_expect(call->args, 0, 0, "nothing", err);

    if (!status)
        status = pf_farm_open(call, NULL, &farm, err);
    if (!status)
        pf_farm_agents_heading(call);
    while (!status && l.left)
        status = list_once(&farm, call, &l, err);
    if (!status) {
        json_object_set(call->result, "agents", l.agents);
        json_object_set(call->result, "classes", l.classes);
        json_object_set_new(call->result, "more_agents", pf_json_count(l.more_agents));
        json_object_set_new(call->result, "more_classes", pf_json_count(l.more_classes));
        show_classes(call, &l);
    }
    json_decref(l.agents);
    json_decref(l.classes);
    pf_farm_close(&farm);
    return status;
}

const pf_verb_body pf_verb_agents = {
    .options = options,
    .details = "  Shows the farm's agents, and the device classes that it ever saw, with what waits for each.\n"
               "  Classes of one name are told apart by the beginning of their digest, which --gpu takes as well.\n"
               "  --json: agents[name host alive draining sick health leases free crashes classes jobs ...]\n"
               "  classes[name aliases agents_alive queued running sha256 text ...]\n"
               "  more_agents more_classes: how many there are beyond those listed\n",
    .run = run,
};
