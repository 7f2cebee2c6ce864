/* What clients ask for. */
#include <string.h>

#include "base/alloc.h"
#include "coordinator/agent_list.h"
#include "coordinator/classes.h"
#include "coordinator/handlers.h"
#include "coordinator/job.h"
#include "coordinator/job_status.h"
#include "coordinator/plans.h"
#include "coordinator/submit.h"
#include "coordinator/watches.h"

enum { LIST_DEFAULT = 100, PLANS_MAX = 24 };    /* 24 manifests fit into one reply */

Pf__SigningKey **pf_handlers_keys(const pf_core *core)
{
    return (Pf__SigningKey **)core->config.keys;
}

static void on_info(pf_core *core, const pf_event *event)
{
    Pf__InfoReply reply = PF__INFO_REPLY__INIT;

    reply.coordinator_epoch = core->epoch;
    reply.software = (char *)core->config.software;
    reply.http_port = core->config.http_port;
    reply.http_url = (char *)core->config.http_url;
    reply.key = pf_handlers_keys(core);
    reply.n_key = core->config.keys_count;
    pf_core_reply(core, event, PF_MSG_INFO_REPLY, &reply.base);
}

static void on_submit(pf_core *core, const pf_event *event)
{
    pf_submit_take(core, event, (const Pf__Submit *)event->message->body);
}

/* ---- jobs that a request names */

typedef struct named {
    pf_submit *submit;                      /* NULL when the request names none */
    pf_job    *job[PF_STATUS_LIST_MAX];     /* NULL for one that the submit remembers and nobody else */
    uint32_t   count;
} named;

static bool add_named(pf_core *core, const pf_event *event, named *out, pf_job *job)
{
    if (out->count == PF_STATUS_LIST_MAX) {
        pf_core_refuse(core, event, PF_INVALID, "more than %d jobs are asked for at once", PF_STATUS_LIST_MAX);
        return false;
    }
    out->job[out->count++] = job;
    return true;
}

/* Refuses and returns false when something named is unknown. */
static bool find_named(pf_core *core, const pf_event *event, const ProtobufCBinaryData *submit_id, const uint64_t *ids,
                       size_t ids_count, named *out)
{
    memset(out, 0, sizeof *out);
    if (submit_id->len && submit_id->len != PF_SUBMIT_ID_BYTES) {
        pf_core_refuse(core, event, PF_INVALID, "submit_id has %zu bytes, not %d", submit_id->len, PF_SUBMIT_ID_BYTES);
        return false;
    }
    if (submit_id->len) {
        out->submit = pf_submit_find(core, submit_id->data);
        if (!out->submit) {
            pf_core_refuse(core, event, PF_NOT_FOUND, "no submit of that id is known; planfarm list shows the jobs, "
                                                      "and what ended long ago is forgotten");
            return false;
        }
    }
    for (uint32_t i = 0; out->submit && i < out->submit->items_count; i++)
        if (!add_named(core, event, out, pf_submit_item_job(&out->submit->item[i])))
            return false;
    for (size_t i = 0; i < ids_count; i++) {
        pf_job *job = pf_job_find(core, ids[i]);
        if (!job) {
            pf_core_refuse(core, event, PF_NOT_FOUND, "no job %llu is known; planfarm list shows the jobs, and what "
                                                      "ended long ago is forgotten", (unsigned long long)ids[i]);
            return false;
        }
        if (!add_named(core, event, out, job))
            return false;
    }
    if (!out->submit && ids_count == 0) {
        pf_core_refuse(core, event, PF_INVALID, "neither a submit_id nor a job is named");
        return false;
    }
    return true;
}

static void list_named(pf_core *core, const named *from, pf_status_list *list)
{
    uint32_t items = from->submit ? from->submit->items_count : 0;

    for (uint32_t i = 0; i < from->count && !core->failed; i++)
        if (i < items)
            pf_status_list_add_item(core, list, &from->submit->item[i]);
        else
            pf_status_list_add(core, list, from->job[i], true);
}

static void on_status(pf_core *core, const pf_event *event)
{
    const Pf__Status *asked = (const Pf__Status *)event->message->body;
    Pf__StatusReply   reply = PF__STATUS_REPLY__INIT;
    pf_status_list    list = { 0 };
    named             jobs;

    if (!find_named(core, event, &asked->submit_id, asked->job_id, asked->n_job_id, &jobs))
        return;
    list_named(core, &jobs, &list);
    reply.job = pf_status_list_ready(core, &list, &reply.n_job);
    pf_core_reply(core, event, PF_MSG_STATUS_REPLY, &reply.base);
    pf_status_list_clear(&list);
}

static bool wanted(const Pf__List *asked, const pf_job *job)
{
    bool state_fits = asked->n_state == 0;

    for (size_t i = 0; i < asked->n_state; i++)
        state_fits |= asked->state[i] == job->state;
    return state_fits && (!asked->user[0] || strcmp(asked->user, pf_text_of(job->order->of.user)) == 0) &&
           (!asked->model_name[0] || strcmp(asked->model_name, pf_text_of(job->order->of.model_name)) == 0);
}

static void on_list(pf_core *core, const pf_event *event)
{
    const Pf__List *asked = (const Pf__List *)event->message->body;
    Pf__ListReply   reply = PF__LIST_REPLY__INIT;
    pf_status_list  list = { 0 };
    uint32_t        limit = asked->limit ? asked->limit : LIST_DEFAULT;
    const pf_job   *job = pf_job_table_below(&core->jobs, asked->before_job_id ? asked->before_job_id : UINT64_MAX);

    if (limit > PF_STATUS_LIST_MAX)
        limit = PF_STATUS_LIST_MAX;
    for (; job && list.count < limit && !core->failed; job = pf_job_table_below(&core->jobs, job->id))
        if (wanted(asked, job))
            pf_status_list_add(core, &list, job, false);
    while (job && !wanted(asked, job))
        job = pf_job_table_below(&core->jobs, job->id);
    reply.more = job != NULL;
    reply.job = pf_status_list_ready(core, &list, &reply.n_job);
    pf_core_reply(core, event, PF_MSG_LIST_REPLY, &reply.base);
    pf_status_list_clear(&list);
}

static void on_watch(pf_core *core, const pf_event *event)
{
    const Pf__Watch *asked = (const Pf__Watch *)event->message->body;
    named            jobs;

    if (find_named(core, event, &asked->submit_id, asked->job_id, asked->n_job_id, &jobs))
        pf_watches_add(core, event, asked, jobs.job, jobs.count);
}

static const char *reason_or(const char *reason, const char *otherwise)
{
    return pf_text_is_line(reason, 1, PF_REASON_BYTES) ? reason : otherwise;
}

/* A job may be ended for all by who made it, and by an admin.  A submit is given up by who knows its id. */
static bool may_end(const pf_event *event, const pf_job *job)
{
    return !event->key_name || (event->grants & PF_GRANT_ADMIN) ||
           strcmp(event->key_name, pf_text_of(job->order->of.user)) == 0;
}

static void on_cancel(pf_core *core, const pf_event *event)
{
    const Pf__Cancel *asked = (const Pf__Cancel *)event->message->body;
    Pf__CancelReply   reply = PF__CANCEL_REPLY__INIT;
    const char       *reason = reason_or(asked->reason, "cancelled on request");
    pf_status_list    list = { 0 };
    named             jobs;
    uint32_t          first = 0;

    if (!find_named(core, event, &asked->submit_id, asked->job_id, asked->n_job_id, &jobs))
        return;
    for (uint32_t i = jobs.submit ? jobs.submit->items_count : 0; i < jobs.count; i++)
        if (!may_end(event, jobs.job[i])) {
            pf_core_refuse(core, event, PF_DENIED, "job %llu is of %s; only its user or an admin may end it",
                           (unsigned long long)jobs.job[i]->id, pf_text_of(jobs.job[i]->order->of.user));
            return;
        }
    if (jobs.submit) {
        pf_submit_give_up(core, jobs.submit, reason);
        first = jobs.submit->items_count;
    }
    for (uint32_t i = first; i < jobs.count; i++)
        pf_job_cancel(core, jobs.job[i], reason);
    list_named(core, &jobs, &list);
    reply.job = pf_status_list_ready(core, &list, &reply.n_job);
    pf_core_reply(core, event, PF_MSG_CANCEL_REPLY, &reply.base);
    pf_status_list_clear(&list);
}

/* Why nothing was kicked, by the first job that is still known. */
static void refuse_kick(pf_core *core, const pf_event *event, const named *jobs)
{
    char     why[PF_REASON_BYTES] = "these jobs are forgotten; submit them again";
    uint32_t i = 0;

    while (i < jobs->count && !jobs->job[i])
        i++;
    if (i < jobs->count)
        pf_job_explain_kick(core, jobs->job[i], why, sizeof why);
    pf_core_refuse(core, event, PF_INVALID, "%s", why);
}

static void on_kick(pf_core *core, const pf_event *event)
{
    const Pf__Kick *asked = (const Pf__Kick *)event->message->body;
    Pf__KickReply   reply = PF__KICK_REPLY__INIT;
    pf_status_list  list = { 0 };
    named           jobs;
    uint32_t        kicked = 0;

    if (!find_named(core, event, &asked->submit_id, asked->job_id, asked->n_job_id, &jobs))
        return;
    for (uint32_t i = 0; i < jobs.count; i++)
        kicked += jobs.job[i] && pf_job_kick(core, jobs.job[i]);
    if (!kicked) {
        refuse_kick(core, event, &jobs);
        return;
    }
    list_named(core, &jobs, &list);
    reply.job = pf_status_list_ready(core, &list, &reply.n_job);
    pf_core_reply(core, event, PF_MSG_KICK_REPLY, &reply.base);
    pf_status_list_clear(&list);
}

/* ---- plans */

static bool is_absent(const pf_event *event, const pf_plan *plan)
{
    for (uint32_t i = 0; i < event->absent_count; i++)
        if (pf_digest_equal(&event->absent[i], &plan->plan_digest))
            return true;
    return false;
}

static void fill_plan(Pf__Plan *out, const pf_plan *plan)
{
    pf__plan__init(out);
    out->plan_key = pf_wire_bytes(&plan->plan_key);
    out->plan_digest = pf_wire_bytes(&plan->plan_digest);
    out->plan_bytes = plan->plan_bytes;
    out->class_name = plan->device_class ? plan->device_class->name : (char *)"";
    out->model_name = (char *)pf_text_of(plan->model_name);
    out->manifest = plan->manifest;
}

static bool lookup_is_sound(const Pf__PlanLookup *asked)
{
    return (asked->plan_key.len == 0 || asked->plan_key.len == PF_DIGEST_BYTES) &&
           (asked->model_digest.len == 0 || asked->model_digest.len == PF_DIGEST_BYTES) &&
           (asked->before_key.len == 0 || asked->before_key.len == PF_DIGEST_BYTES) &&
           (asked->plan_key.len || asked->model_digest.len || asked->model_name[0] || asked->selector[0]);
}

static uint32_t at_most(uint32_t count, uint32_t limit)
{
    return count < limit ? count : limit;
}

/* Plans of one answer.  One more is looked for, to know whether there is another page. */
static uint32_t lookup_limit(const Pf__PlanLookup *asked)
{
    return asked->limit ? at_most(asked->limit, PLANS_MAX) : 1;
}

/* Nothing was found. */
static void refuse_lookup(pf_core *core, const pf_event *event, const Pf__PlanLookup *asked,
                          const pf_selection *selection)
{
    char why[PF_REASON_BYTES] = "";

    if (selection->ambiguous) {
        pf_selector_explain(core, asked->selector, selection, why, sizeof why);
        pf_core_refuse(core, event, PF_USAGE, "%s", why);
    } else if (asked->selector[0] && !pf_classes_resolve(core, asked->selector)) {
        pf_classes_explain(core, asked->selector, why, sizeof why);
        pf_core_refuse(core, event, PF_NOT_FOUND, "%s", why);
    } else {
        pf_plans_explain(core, asked, why, sizeof why);
        pf_core_refuse(core, event, PF_NOT_FOUND, "%s", why);
    }
}

/* Those of the plans found whose bytes are here; the others are forgotten. */
static uint32_t keep_present(pf_core *core, const pf_event *event, pf_plan **found, uint32_t count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++)
        if (is_absent(event, found[i]))
            pf_plans_drop(core, found[i]);
        else
            found[kept++] = found[i];
    return kept;
}

static void on_plan_lookup(pf_core *core, const pf_event *event)
{
    const Pf__PlanLookup *asked = (const Pf__PlanLookup *)event->message->body;
    Pf__PlanLookupReply   reply = PF__PLAN_LOOKUP_REPLY__INIT;
    pf_plan              *found[PLANS_MAX + 1] = { NULL };
    Pf__Plan              plan[PLANS_MAX], *list[PLANS_MAX] = { NULL };
    pf_selection          selection = { 0 };
    uint32_t              count = 0, limit = lookup_limit(asked);

    if (!lookup_is_sound(asked)) {
        pf_core_refuse(core, event, PF_INVALID, "a plan is looked up by its key, or by model and class");
        return;
    }
    if (asked->before_key.len && !pf_plans_before(core, asked)) {
        pf_core_refuse(core, event, PF_NOT_FOUND,
                       "the plan to go on from is not here any more; begin with the newest again");
        return;
    }
    count = pf_plans_match(core, asked, limit + 1, found, &selection);
    reply.plan = list;
    reply.n_plan = at_most(keep_present(core, event, found, count), limit);
    for (size_t i = 0; i < reply.n_plan; i++) {
        pf_plans_use(core, found[i]);
        fill_plan(&plan[i], found[i]);
        list[i] = &plan[i];
    }
    if (count > limit)
        reply.next_key = reply.n_plan ? plan[reply.n_plan - 1].plan_key : asked->before_key;
    if (reply.n_plan || asked->before_key.len)
        pf_core_reply(core, event, PF_MSG_PLAN_LOOKUP_REPLY, &reply.base);
    else
        refuse_lookup(core, event, asked, &selection);
}

static void ask_plan_lookup(pf_core *core, const Pf__PlanLookup *asked, uint32_t *count)
{
    pf_plan     *found[PLANS_MAX + 1] = { NULL };
    pf_selection selection = { 0 };
    void        *items = core->asked;

    *count = lookup_is_sound(asked) ? pf_plans_match(core, asked, lookup_limit(asked) + 1, found, &selection) : 0;
    if (pf_grow(&items, &core->asked_capacity, *count + 1, sizeof *core->asked)) {
        pf_core_fail(core);
        *count = 0;
        return;
    }
    core->asked = items;
    for (uint32_t i = 0; i < *count; i++)
        core->asked[i] = found[i]->plan_digest;
}

pf_status pf_core_ask(pf_core *core, const pf_event *event, const pf_digest **digest, uint32_t *count, pf_err *err)
{
    const ProtobufCMessage *body = event->message->body;

    *count = 0;
    if (event->message->info->type == PF_MSG_SUBMIT)
        *count = pf_submit_ask(core, (const Pf__Submit *)body);
    if (event->message->info->type == PF_MSG_PLAN_LOOKUP)
        ask_plan_lookup(core, (const Pf__PlanLookup *)body, count);
    *digest = core->asked;
    return core->failed ? PF_FAIL(err, PF_NO_SPACE, "out of memory") : PF_OK;
}

/* ---- blobs */

/* The caller has looked the blobs up: what is missing stands in the event. */
static void on_find_blobs(pf_core *core, const pf_event *event)
{
    Pf__FindBlobsReply reply = PF__FIND_BLOBS_REPLY__INIT;

    reply.missing = pf_core_missing(core, event, &reply.n_missing);
    pf_core_reply(core, event, PF_MSG_FIND_BLOBS_REPLY, &reply.base);
    pf_free(reply.missing);
}

const pf_handler_row pf_client_handlers[] = {
    { PF_MSG_INFO, on_info },         { PF_MSG_SUBMIT, on_submit }, { PF_MSG_STATUS, on_status },
    { PF_MSG_LIST, on_list },         { PF_MSG_WATCH, on_watch },   { PF_MSG_CANCEL, on_cancel },
    { PF_MSG_PLAN_LOOKUP, on_plan_lookup },   { PF_MSG_AGENTS, pf_agent_list_answer },
    { PF_MSG_DRAIN, pf_agent_list_drain },    { PF_MSG_KICK, on_kick },       { PF_MSG_FIND_BLOBS, on_find_blobs },
    { PF_MSG_NONE, NULL },
};
