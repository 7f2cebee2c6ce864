#include "client/farm_agents.h"

#include "client/output.h"

static const char *state_of(const Pf__AgentStatus *agent)
{
    if (!agent->alive)
        return "away";
    if (agent->sick)
        return "sick";
    return agent->draining ? "draining" : "ready";
}

json_t *pf_farm_agent_json(const Pf__AgentStatus *agent)
{
    json_t *to = json_object(), *classes = json_array(), *jobs = json_array();

    for (size_t i = 0; i < agent->n_class_name; i++)
        json_array_append_new(classes, pf_json_text(agent->class_name[i]));
    for (size_t i = 0; i < agent->n_job_id; i++)
        json_array_append_new(jobs, pf_json_count(agent->job_id[i]));
    json_object_set_new(to, "name", pf_json_text(agent->name));
    json_object_set_new(to, "host", pf_json_text(agent->host));
    json_object_set_new(to, "state", json_string(state_of(agent)));
    json_object_set_new(to, "alive", json_boolean(agent->alive));
    json_object_set_new(to, "draining", json_boolean(agent->draining));
    json_object_set_new(to, "sick", json_boolean(agent->sick));
    json_object_set_new(to, "health", pf_json_text(agent->health));
    json_object_set_new(to, "leases", pf_json_count(agent->leases));
    json_object_set_new(to, "free", pf_json_count(agent->free));
    json_object_set_new(to, "crashes", pf_json_count(agent->crashes));
    json_object_set_new(to, "software", pf_json_text(agent->software));
    json_object_set_new(to, "builder_abi", pf_json_text(agent->builder_abi));
    json_object_set_new(to, "seen", pf_json_real((double)agent->seen_ns / 1e9));
    json_object_set_new(to, "classes", classes);
    json_object_set_new(to, "jobs", jobs);
    return to;
}

void pf_farm_agents_heading(pf_call *call)
{
    pf_say(call, "%-32s  %-8s  %-20s  %6s  %4s  %s\n", "AGENT", "STATE", "CLASS", "BUILDS", "FREE", "ABOUT");
}

void pf_farm_agent_say(pf_call *call, const Pf__AgentStatus *agent)
{
    pf_say(call, "%-32s  %-8s  %-20s  %6u  %4u  %s\n", agent->name, state_of(agent), agent->n_class_name ? agent->class_name[0] : "",
           agent->leases, agent->free, agent->health);
}
