#include "coordinator/job_status.h"

#include <string.h>

#include "base/alloc.h"
#include "coordinator/classes.h"
#include "coordinator/plans.h"
#include "coordinator/sched.h"
#include "coordinator/submit.h"

void pf_status_list_clear(pf_status_list *list)
{
    pf_free(list->status);
    pf_free(list->list);
    memset(list, 0, sizeof *list);
}

static Pf__JobStatus *add(pf_core *core, pf_status_list *list)
{
    void *items = list->status;

    if (pf_grow(&items, &list->capacity, list->count + 1, sizeof *list->status)) {
        pf_core_fail(core);
        return NULL;
    }
    list->status = items;
    pf__job_status__init(&list->status[list->count]);
    return &list->status[list->count++];
}

static ProtobufCBinaryData digest_or_none(const pf_digest *digest)
{
    return pf_digest_is_zero(digest) ? (ProtobufCBinaryData){ 0 } : pf_wire_bytes(digest);
}

static void fill_progress(Pf__JobStatus *s, const pf_job *job, bool with_json)
{
    s->phase = job->run->progress.phase;
    s->permille = job->run->progress.permille;
    s->progress_text = (char *)pf_text_of(job->run->progress.text);
    if (with_json)
        s->progress_json = (char *)pf_text_of(job->run->progress.json);
}

static void fill_names(Pf__JobStatus *s, const pf_job *job)
{
    s->plan_key = digest_or_none(&job->plan_key);
    s->selector = (char *)pf_text_of(job->order->of.selector);
    s->model_digest = pf_wire_bytes(&job->order->of.model_digest);
    s->model_name = (char *)pf_text_of(job->order->of.model_name);
    s->user = (char *)pf_text_of(job->order->of.user);
    s->message = (char *)pf_text_of(job->run->message);
    if (job->run->agent)
        s->agent = job->run->agent->name;
    if (!job->device_class)
        return;
    s->class_name = job->device_class->name;
    s->class_digest = pf_wire_bytes(&job->device_class->digest);
}

/* A job that nobody can take tells what it waits for; one in the queue of agents that live tells what went wrong
   before. */
static const char *waits_for(const pf_core *core, const pf_job *job)
{
    if (job->state != PF__JOB_STATE__STATE_QUEUED)
        return NULL;
    if (!job->device_class)
        return "waits for an agent: none ever declared such a class";
    if (!pf_classes_alive(core, job->device_class))
        return "waits for an agent: none of its class is alive";
    return pf_classes_serve(core, job->device_class) ? NULL
                                                     : "waits for an agent: those of its class drain or are sick";
}

static uint32_t wait_ms(const pf_core *core, const pf_job *job)
{
    int64_t at_ns = job->heap_place == PF_HEAP_OUT ? 0 : core->deadlines.entry[job->heap_place].key;

    return at_ns > core->now.boot_ns ? (uint32_t)((at_ns - core->now.boot_ns) / 1000000) : 0;
}

void pf_status_list_add(pf_core *core, pf_status_list *list, const pf_job *job, bool with_json)
{
    Pf__JobStatus *s = add(core, list);

    if (!s)
        return;
    fill_names(s, job);
    fill_progress(s, job, with_json);
    s->job_id = job->id;
    s->state = job->state;
    if (waits_for(core, job))
        s->message = (char *)waits_for(core, job);
    s->attempt = job->attempt;
    s->charged = job->run->charged;
    s->failure = job->run->failure;
    s->exit_code = job->run->exit_code;
    s->priority = job->priority;
    s->created_ns = job->created_ns;
    s->changed_ns = job->changed_ns;
    s->plan_digest = digest_or_none(&job->run->plan_digest);
    s->plan_bytes = job->run->plan_bytes;
    s->log_digest = digest_or_none(&job->run->log_digest);
    s->waiters = job->waiters;
    if (job->state == PF__JOB_STATE__STATE_QUEUED)
        s->ahead = pf_sched_ahead(job);
    if (job->state == PF__JOB_STATE__STATE_BACKOFF)
        s->wait_ms = wait_ms(core, job);
}

/* A hit on a plan whose job is forgotten. */
static void add_plan(pf_core *core, pf_status_list *list, const pf_plan *plan, const char *selector)
{
    Pf__JobStatus *s = add(core, list);

    if (!s)
        return;
    s->plan_key = pf_wire_bytes(&plan->plan_key);
    s->selector = (char *)selector;
    s->state = PF__JOB_STATE__STATE_COMMITTED;
    s->model_digest = pf_wire_bytes(&plan->model_digest);
    s->model_name = (char *)pf_text_of(plan->model_name);
    s->plan_digest = pf_wire_bytes(&plan->plan_digest);
    s->plan_bytes = plan->plan_bytes;
    s->created_ns = s->changed_ns = plan->created_ns;
    s->hit = true;
    if (plan->device_class) {
        s->class_name = plan->device_class->name;
        s->class_digest = pf_wire_bytes(&plan->device_class->digest);
    }
}

/* Neither job nor plan is remembered: only the key is left to tell. */
static void add_forgotten(pf_core *core, pf_status_list *list, const pf_submit_item *item)
{
    Pf__JobStatus *s = add(core, list);

    if (!s)
        return;
    s->plan_key = digest_or_none(pf_submit_item_key(item));
    s->selector = (char *)pf_text_of(item->selector);
    s->message = (char *)"the job is no longer remembered";
}

void pf_status_list_add_item(pf_core *core, pf_status_list *list, const pf_submit_item *item)
{
    const pf_job  *job = pf_submit_item_job(item);
    const pf_plan *plan = job ? NULL : pf_plans_find(core, pf_submit_item_key(item));

    if (job)
        pf_status_list_add(core, list, job, true);
    else if (plan)
        add_plan(core, list, plan, pf_text_of(item->selector));
    else
        add_forgotten(core, list, item);
    if (core->failed)
        return;
    list->status[list->count - 1].selector = (char *)pf_text_of(item->selector);
    list->status[list->count - 1].hit = item->hit;
    list->status[list->count - 1].joined = item->joined;
}

Pf__JobStatus **pf_status_list_ready(pf_core *core, pf_status_list *list, size_t *count)
{
    *count = 0;
    list->list = pf_core_alloc(core, (list->count + 1) * sizeof *list->list);
    for (uint32_t i = 0; list->list && i < list->count; i++)
        list->list[i] = &list->status[i];
    if (list->list)
        *count = list->count;
    return list->list;
}
