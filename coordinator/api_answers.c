/* Replies of the core on their way into JSON. */
#include <stdio.h>
#include <string.h>

#include "coordinator/api_private.h"
#include "proto/agent_view.h"
#include "proto/job_view.h"
#include "proto/json.h"

static void put_digest(json_t *to, const char *name, const ProtobufCBinaryData *bytes)
{
    pf_digest digest = { 0 };

    if (bytes->len != sizeof digest.byte)
        return;
    memcpy(digest.byte, bytes->data, sizeof digest.byte);
    json_object_set_new(to, name, pf_json_digest(&digest));
}

static void put_submit_id(const pf_api_call *call, json_t *to)
{
    char hex[2 * PF_SUBMIT_ID_BYTES + 1] = "";

    for (int i = 0; i < PF_SUBMIT_ID_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", call->submit_id[i]);
    if (call->has_submit)
        json_object_set_new(to, "submit_id", json_string(hex));
}

static void put_missing(const Pf__SubmitReply *reply, json_t *to)
{
    json_t *list = json_array();

    for (size_t i = 0; i < reply->n_missing; i++) {
        pf_digest digest = { 0 };
        if (reply->missing[i].len == sizeof digest.byte)
            memcpy(digest.byte, reply->missing[i].data, sizeof digest.byte);
        json_array_append_new(list, pf_json_digest(&digest));
    }
    json_object_set_new(to, "missing", list);
}

void pf_api_answer_submit(const pf_api_call *call, const ProtobufCMessage *body, json_t *to, unsigned *code)
{
    const Pf__SubmitReply *reply = (const Pf__SubmitReply *)body;

    put_submit_id(call, to);
    if (reply->n_missing) {
        *code = 409;
        put_missing(reply, to);
        return;
    }
    json_object_set_new(to, "jobs", pf_job_view_list(reply->job, reply->n_job));
}

void pf_api_answer_list(const pf_api_call *call, const ProtobufCMessage *body, json_t *to, unsigned *code)
{
    const Pf__ListReply *reply = (const Pf__ListReply *)body;

    (void)call;
    (void)code;
    json_object_set_new(to, "jobs", pf_job_view_list(reply->job, reply->n_job));
    json_object_set_new(to, "more", json_boolean(reply->more));
    if (reply->more && reply->n_job)
        json_object_set_new(to, "next_before", pf_json_count(reply->job[reply->n_job - 1]->job_id));
}

/* One job: its members stand at the top. */
void pf_api_answer_job(const pf_api_call *call, const ProtobufCMessage *body, json_t *to, unsigned *code)
{
    const Pf__StatusReply *reply = (const Pf__StatusReply *)body;
    json_t                *job = reply->n_job ? pf_job_view_json(reply->job[0]) : NULL;

    (void)call;
    (void)code;
    json_object_update(to, job);
    json_decref(job);
}

void pf_api_answer_jobs(const pf_api_call *call, const ProtobufCMessage *body, json_t *to, unsigned *code)
{
    const Pf__StatusReply *reply = (const Pf__StatusReply *)body;

    (void)code;
    put_submit_id(call, to);
    json_object_set_new(to, "jobs", pf_job_view_list(reply->job, reply->n_job));
}

void pf_api_answer_cancel(const pf_api_call *call, const ProtobufCMessage *body, json_t *to, unsigned *code)
{
    const Pf__CancelReply *reply = (const Pf__CancelReply *)body;

    (void)code;
    put_submit_id(call, to);
    json_object_set_new(to, "jobs", pf_job_view_list(reply->job, reply->n_job));
}

void pf_api_answer_kick(const pf_api_call *call, const ProtobufCMessage *body, json_t *to, unsigned *code)
{
    const Pf__KickReply *reply = (const Pf__KickReply *)body;

    (void)call;
    (void)code;
    json_object_set_new(to, "jobs", pf_job_view_list(reply->job, reply->n_job));
}

/* Events are answered as a stream, never here. */
void pf_api_answer_events(const pf_api_call *call, const ProtobufCMessage *body, json_t *to, unsigned *code)
{
    (void)call;
    (void)body;
    (void)to;
    (void)code;
}

static json_t *plan_json(const Pf__Plan *plan)
{
    json_t *to = json_object();

    put_digest(to, "plan_key", &plan->plan_key);
    put_digest(to, "plan_sha256", &plan->plan_digest);
    json_object_set_new(to, "plan_bytes", pf_json_count(plan->plan_bytes));
    json_object_set_new(to, "device_class", pf_json_text(plan->class_name));
    json_object_set_new(to, "model", pf_json_text(plan->model_name));
    json_object_set_new(to, "manifest", pf_json_text(plan->manifest));
    return to;
}

void pf_api_answer_plans(const pf_api_call *call, const ProtobufCMessage *body, json_t *to, unsigned *code)
{
    const Pf__PlanLookupReply *reply = (const Pf__PlanLookupReply *)body;
    json_t                    *list = json_array();

    (void)call;
    (void)code;
    for (size_t i = 0; i < reply->n_plan; i++)
        json_array_append_new(list, plan_json(reply->plan[i]));
    json_object_set_new(to, "plans", list);
    put_digest(to, "next_before", &reply->next_key);
}

void pf_api_answer_agents(const pf_api_call *call, const ProtobufCMessage *body, json_t *to, unsigned *code)
{
    const Pf__AgentsReply *reply = (const Pf__AgentsReply *)body;
    json_t                *agents = json_array(), *classes = json_array();

    (void)call;
    (void)code;
    for (size_t i = 0; i < reply->n_agent; i++)
        json_array_append_new(agents, pf_agent_view_json(reply->agent[i]));
    for (size_t i = 0; i < reply->n_device_class; i++)
        json_array_append_new(classes, pf_agent_view_class_json(reply->device_class[i]));
    json_object_set_new(to, "agents", agents);
    json_object_set_new(to, "classes", classes);
    json_object_set_new(to, "more_agents", pf_json_count(reply->more_agents));
    json_object_set_new(to, "more_classes", pf_json_count(reply->more_classes));
    if (reply->next_agent[0])
        json_object_set_new(to, "next_after", pf_json_text(reply->next_agent));
    put_digest(to, "next_after_class", &reply->next_class);
}
