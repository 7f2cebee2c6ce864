#include "proto/agent_view.h"

#include <string.h>

#include "proto/json.h"

const char *pf_agent_view_state(const Pf__AgentStatus *agent)
{
    if (!agent->alive)
        return "away";
    if (agent->sick)
        return "sick";
    return agent->draining ? "draining" : "ready";
}

json_t *pf_agent_view_json(const Pf__AgentStatus *agent)
{
    json_t *to = json_object(), *classes = json_array(), *jobs = json_array();

    for (size_t i = 0; i < agent->n_class_name; i++)
        json_array_append_new(classes, pf_json_text(agent->class_name[i]));
    for (size_t i = 0; i < agent->n_job_id; i++)
        json_array_append_new(jobs, pf_json_count(agent->job_id[i]));
    json_object_set_new(to, "name", pf_json_text(agent->name));
    json_object_set_new(to, "host", pf_json_text(agent->host));
    json_object_set_new(to, "state", json_string(pf_agent_view_state(agent)));
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

json_t *pf_agent_view_class_json(const Pf__ClassStatus *c)
{
    json_t *to = json_object(), *aliases = json_array();

    json_object_set_new(to, "name", pf_json_text(c->class_name));
    for (size_t i = 0; i < c->n_alias; i++)
        json_array_append_new(aliases, pf_json_text(c->alias[i]));
    json_object_set_new(to, "aliases", aliases);
    json_object_set_new(to, "agents_alive", pf_json_count(c->agents_alive));
    json_object_set_new(to, "queued", pf_json_count(c->queued));
    json_object_set_new(to, "running", pf_json_count(c->running));
    json_object_set_new(to, "builder_abi", pf_json_text(c->builder_abi));
    json_object_set_new(to, "text", pf_json_text(c->class_text));
    if (c->class_digest.len == PF_DIGEST_BYTES) {
        pf_digest digest;
        memcpy(digest.byte, c->class_digest.data, sizeof digest.byte);
        json_object_set_new(to, "sha256", pf_json_digest(&digest));
    }
    return to;
}
