#include "coordinator/submit.h"

#include <string.h>

#include "base/alloc.h"
#include "base/plan_key.h"
#include "coordinator/classes.h"
#include "coordinator/job.h"
#include "coordinator/job_status.h"
#include "coordinator/plans.h"
#include "coordinator/rows.h"
#include "coordinator/selector.h"

enum { PRIORITY_MAX = 100 };

/* ---- existence */

pf_submit *pf_submit_find(const pf_core *core, const uint8_t id[PF_SUBMIT_ID_BYTES])
{
    return pf_index_find(&core->submits, id);
}

static size_t bytes_of(uint32_t items_count)
{
    return sizeof(pf_submit) + items_count * sizeof(pf_submit_item);
}

pf_submit *pf_submit_new(pf_core *core, const uint8_t id[PF_SUBMIT_ID_BYTES], uint32_t items_count)
{
    pf_submit *submit = pf_core_take(core, bytes_of(items_count));

    if (!submit)
        return NULL;
    memcpy(submit->id, id, sizeof submit->id);
    submit->serial = core->next_submit_serial++;
    submit->items_count = items_count;
    for (uint32_t i = 0; i < items_count; i++)
        submit->item[i].place = (uint8_t)i;
    if (pf_index_add(&core->submits, submit))
        return submit;
    pf_core_fail(core);
    pf_pool_give(&core->pool, submit, bytes_of(items_count));
    return NULL;
}

void pf_submit_free(pf_core *core, pf_submit *submit)
{
    for (uint32_t i = 0; i < submit->items_count; i++) {
        pf_text_drop(core, submit->item[i].selector);
        if (!submit->item[i].has_job)
            pf_free(submit->item[i].plan_key);
    }
    pf_pool_give(&core->pool, submit, bytes_of(submit->items_count));
}

pf_job *pf_submit_item_job(const pf_submit_item *item)
{
    return item->has_job ? item->job : NULL;
}

static pf_submit *submit_of(pf_submit_item *item)
{
    return (pf_submit *)((char *)(item - item->place) - offsetof(pf_submit, item));
}

const pf_digest *pf_submit_item_key(const pf_submit_item *item)
{
    static const pf_digest none;

    if (item->has_job)
        return &item->job->plan_key;
    return item->plan_key ? item->plan_key : &none;
}

void pf_submit_set_key(pf_core *core, pf_submit_item *item, const pf_digest *key)
{
    if (!item->plan_key)
        item->plan_key = pf_core_alloc(core, sizeof *key);
    if (item->plan_key)
        *item->plan_key = *key;
}

void pf_submit_attach(pf_submit_item *item, pf_job *job)
{
    if (!item->has_job)
        pf_free(item->plan_key);
    item->job = job;
    item->has_job = true;
    item->next_of_job = job->items;
    job->items = item;
    if (!item->given_up)
        job->waiters++;
}

static void detach(pf_core *core, pf_submit_item *item)
{
    pf_job          *job = item->job;
    pf_submit_item **at = &job->items;

    while (*at != item)
        at = &(*at)->next_of_job;
    *at = item->next_of_job;
    if (!item->given_up)
        job->waiters--;
    item->next_of_job = NULL;
    item->has_job = false;
    item->plan_key = NULL;
    pf_submit_set_key(core, item, &job->plan_key);
}

static bool has_jobs(const pf_submit *submit)
{
    for (uint32_t i = 0; i < submit->items_count; i++)
        if (submit->item[i].has_job)
            return true;
    return false;
}

static void forget(pf_core *core, pf_submit *submit)
{
    pf_rows_remove_submit(core, submit);
    pf_index_remove(&core->submits, submit->id);
    pf_submit_free(core, submit);
}

void pf_submit_forget_job(pf_core *core, pf_job *job)
{
    while (job->items) {
        pf_submit *submit = submit_of(job->items);
        detach(core, job->items);
        if (has_jobs(submit))
            pf_rows_put_submit(core, submit);
        else
            forget(core, submit);
    }
}

void pf_submit_rekey_job(pf_core *core, pf_job *job)
{
    for (pf_submit_item *item = job->items; item; item = item->next_of_job)
        pf_rows_put_submit(core, submit_of(item));
}

void pf_submit_move_items(pf_core *core, pf_job *from, pf_job *to)
{
    while (from->items) {
        pf_submit_item *item = from->items;
        detach(core, item);
        item->joined = true;
        pf_submit_attach(item, to);
        pf_rows_put_submit(core, submit_of(item));
    }
    pf_job_touch(core, to);
}

void pf_submit_give_up(pf_core *core, pf_submit *submit, const char *reason)
{
    for (uint32_t i = 0; i < submit->items_count; i++) {
        pf_submit_item *item = &submit->item[i];
        if (item->given_up || !item->has_job)
            continue;
        item->given_up = true;
        item->job->waiters--;
        if (item->job->waiters == 0)
            pf_job_cancel(core, item->job, reason);
    }
    pf_rows_put_submit(core, submit);
}

/* ---- taking a SUBMIT */

/* What makes two submits the same. Deadlines and priority may differ with a retry; what is built and for whom may
   not. */
static void body_hash(const Pf__Submit *asked, const char *user, uint8_t out[PF_SUBMIT_BODY_BYTES])
{
    pf_digest digest = { 0 };
    pf_hash   hash;

    pf_hash_init(&hash);
    pf_hash_add(&hash, asked->model_digest.data, asked->model_digest.len);
    pf_hash_add_string(&hash, asked->model_name);
    pf_hash_add_string(&hash, asked->spec_text);
    pf_hash_add_string(&hash, user);
    for (size_t i = 0; i < asked->n_selector; i++)
        pf_hash_add_string(&hash, asked->selector[i]);
    pf_hash_end(&hash, &digest);
    memcpy(out, digest.byte, PF_SUBMIT_BODY_BYTES);
}

/* With keys, who submits is known, whatever the message says. */
static const char *user_of(const pf_event *event, const Pf__Submit *asked)
{
    return event->key_name ? event->key_name : asked->user;
}

/* What is wrong with it, NULL when nothing. */
static const char *fault_of(const Pf__Submit *asked)
{
    if (asked->submit_id.len != PF_SUBMIT_ID_BYTES)
        return "submit_id has not 16 bytes";
    if (asked->model_digest.len != PF_DIGEST_BYTES)
        return "model_digest has not 32 bytes";
    if (!pf_text_is_line(asked->model_name, 0, PF_MODEL_NAME_BYTES))
        return "model_name is too long or no line of text";
    if (strlen(asked->spec_text) >= PF_SPEC_TEXT_BYTES)
        return "spec_text is longer than 64 KiB";
    if (asked->n_selector == 0 || asked->n_selector > PF_SELECTORS_MAX)
        return "there are no selectors, or more than 32";
    for (size_t i = 0; i < asked->n_selector; i++)
        if (!pf_text_is_name(asked->selector[i], PF_SELECTOR_BYTES))
            return "a selector is empty, too long, or holds other than letters, digits and ._-:/@+";
    if (asked->priority < -PRIORITY_MAX || asked->priority > PRIORITY_MAX)
        return "priority is not within -100 .. 100";
    if (!pf_text_is_line(asked->user, 0, PF_USER_BYTES))
        return "user is too long or no line of text";
    return NULL;
}

static void reply(pf_core *core, const pf_event *event, const pf_submit *submit)
{
    Pf__SubmitReply answer = PF__SUBMIT_REPLY__INIT;
    pf_status_list  list = { 0 };

    for (uint32_t i = 0; i < submit->items_count && !core->failed; i++)
        pf_status_list_add_item(core, &list, &submit->item[i]);
    answer.job = pf_status_list_ready(core, &list, &answer.n_job);
    pf_core_reply(core, event, PF_MSG_SUBMIT_REPLY, &answer.base);
    pf_status_list_clear(&list);
}

static void reply_missing(pf_core *core, const pf_event *event)
{
    Pf__SubmitReply answer = PF__SUBMIT_REPLY__INIT;

    answer.missing = pf_core_missing(core, event, &answer.n_missing);
    pf_core_reply(core, event, PF_MSG_SUBMIT_REPLY, &answer.base);
    pf_free(answer.missing);
}

static void key_for(const Pf__Submit *asked, const pf_class *device_class, pf_digest *out)
{
    pf_digest model = { 0 };

    memset(out, 0, sizeof *out);
    if (!device_class)
        return;
    memcpy(model.byte, asked->model_digest.data, sizeof model.byte);
    pf_plan_key(&model, asked->spec_text, device_class->text->data, device_class->builder_abi->data, out);
}

static pf_order *order_for(pf_core *core, const Pf__Submit *asked, const char *user, const char *selector,
                           const pf_class *device_class)
{
    pf_order_key key = { .model_name = pf_text_take(core, asked->model_name), .user = pf_text_take(core, user),
                         .selector = pf_text_take(core, selector),
                         .builder_abi = device_class ? pf_text_again(device_class->builder_abi) : NULL };

    memcpy(key.model_digest.byte, asked->model_digest.data, sizeof key.model_digest.byte);
    return pf_order_take(core, &key);
}

static pf_job *new_job(pf_core *core, const Pf__Submit *asked, const pf_event *event, const char *selector,
                       pf_class *device_class, const pf_digest *key)
{
    pf_job *job = pf_job_new(core, core->next_job_id);

    if (!job)
        return NULL;
    core->next_job_id++;
    job->plan_key = *key;
    job->device_class = device_class;
    job->priority = (int8_t)asked->priority;
    job->queue_timeout_s = asked->queue_timeout_s;
    job->build_timeout_s = asked->build_timeout_s;
    job->created_ns = core->now.wall_ns;
    memcpy(job->trace_id, event->message->header.trace_id, sizeof job->trace_id);
    job->order = order_for(core, asked, user_of(event, asked), selector, device_class);
    job->spec = pf_text_take(core, asked->spec_text);
    if (pf_rows_spec_is_apart(job->spec))
        pf_text_stored(core, job->spec);
    if (!core->failed)
        pf_job_enqueue(core, job);
    return job;
}

static void raise_priority(pf_core *core, pf_job *job, int32_t priority)
{
    if (priority <= job->priority)
        return;
    job->queue_key -= job->queue_key ? (priority - job->priority) * core->config.priority_worth_ns : 0;
    job->priority = (int8_t)priority;
    if (job->queue_place != PF_HEAP_OUT && !pf_heap_put(&job->device_class->queue, job, job->queue_key))
        pf_core_fail(core);
    pf_job_touch(core, job);
}

/* One selector: a plan, a job in flight, or a new job. */
static void serve(pf_core *core, const pf_event *event, const Pf__Submit *asked, pf_submit_item *item,
                  const char *selector)
{
    pf_class *device_class = pf_classes_resolve(core, selector);
    pf_plan  *plan = NULL;
    pf_job   *job = NULL;
    pf_digest key = { 0 };

    item->selector = pf_text_take(core, selector);
    key_for(asked, device_class, &key);
    if (device_class) {
        plan = pf_plans_find(core, &key);
        job = plan ? pf_job_find(core, plan->job_id) : pf_index_find(&core->live_keys, &key);
    }
    item->hit = plan != NULL;
    item->joined = !plan && job;
    core->stats.hits_total += item->hit;
    if (plan)
        pf_plans_use(core, plan);
    core->stats.joins_total += item->joined;
    if (item->joined)
        raise_priority(core, job, asked->priority);
    if (!plan && !job)
        job = new_job(core, asked, event, selector, device_class, &key);
    if (job && !core->failed)
        pf_submit_attach(item, job);
    else
        pf_submit_set_key(core, item, &key);
}

static void drop_absent_plans(pf_core *core, const pf_event *event, const Pf__Submit *asked)
{
    for (size_t i = 0; event->absent_count && i < asked->n_selector; i++) {
        pf_digest key = { 0 };
        pf_plan  *plan = NULL;
        key_for(asked, pf_classes_resolve(core, asked->selector[i]), &key);
        plan = pf_plans_find(core, &key);
        for (uint32_t k = 0; plan && k < event->absent_count; k++)
            if (pf_digest_equal(&event->absent[k], &plan->plan_digest)) {
                pf_plans_drop(core, plan);
                break;
            }
    }
}

/* Answers and returns true when some selector means nothing, or more than one class. */
static bool refuse_unclear(pf_core *core, const pf_event *event, const Pf__Submit *asked)
{
    char why[PF_REASON_BYTES] = "";

    for (size_t i = 0; i < asked->n_selector; i++) {
        pf_selection selection = pf_selector_resolve(core, asked->selector[i]);
        if (selection.ambiguous)
            pf_selector_explain(core, asked->selector[i], &selection, why, sizeof why);
        else if (!selection.best && !asked->wait_for_class)
            pf_classes_explain(core, asked->selector[i], why, sizeof why);
        if (why[0]) {
            pf_core_refuse(core, event, selection.ambiguous ? PF_USAGE : PF_NOT_FOUND, "%s%s", why,
                           selection.ambiguous ? "" : "; --wait-for-class takes jobs for agents that are yet to come");
            return true;
        }
    }
    return false;
}

static uint32_t live_jobs(const pf_core *core)
{
    return core->jobs.count - core->final_count;
}

static void accept(pf_core *core, const pf_event *event, const Pf__Submit *asked,
                   const uint8_t body[PF_SUBMIT_BODY_BYTES])
{
    pf_submit *submit = pf_submit_new(core, asked->submit_id.data, (uint32_t)asked->n_selector);

    if (!submit)
        return;
    memcpy(submit->body, body, sizeof submit->body);
    drop_absent_plans(core, event, asked);
    for (size_t i = 0; i < asked->n_selector && !core->failed; i++)
        serve(core, event, asked, &submit->item[i], asked->selector[i]);
    core->stats.submits_total++;
    if (core->failed)
        return;
    reply(core, event, submit);
    if (has_jobs(submit)) {
        pf_rows_put_submit(core, submit);
        return;
    }
    pf_index_remove(&core->submits, submit->id);  /* all are plans: asking again gives the same answer without a row */
    pf_submit_free(core, submit);
}

void pf_submit_take(pf_core *core, const pf_event *event, const Pf__Submit *asked)
{
    const char *fault = fault_of(asked);
    pf_submit  *there = NULL;
    uint8_t     body[PF_SUBMIT_BODY_BYTES] = { 0 };

    if (fault) {
        pf_core_refuse(core, event, PF_INVALID, "%s", fault);
        return;
    }
    body_hash(asked, user_of(event, asked), body);
    there = pf_submit_find(core, asked->submit_id.data);
    if (there && memcmp(there->body, body, sizeof body) != 0)
        pf_core_refuse(core, event, PF_INVALID, "this submit_id was used before for something else");
    else if (there)
        reply(core, event, there);
    else if (refuse_unclear(core, event, asked))
        return;
    else if (event->missing_count)
        reply_missing(core, event);
    else if (core->refusal)
        pf_core_refuse(core, event, PF_BUSY, "%s", core->refusal);
    else if (live_jobs(core) + asked->n_selector > core->config.jobs_limit)
        pf_core_refuse(core, event, PF_BUSY, "%u jobs are queued or running, which is the limit here", live_jobs(core));
    else
        accept(core, event, asked, body);
}

uint32_t pf_submit_ask(pf_core *core, const Pf__Submit *asked)
{
    uint32_t count = 0;

    if (fault_of(asked) || pf_submit_find(core, asked->submit_id.data))
        return 0;
    for (size_t i = 0; i < asked->n_selector; i++) {
        pf_digest key = { 0 };
        pf_plan  *plan = NULL;
        void     *items = core->asked;
        key_for(asked, pf_classes_resolve(core, asked->selector[i]), &key);
        plan = pf_plans_find(core, &key);
        if (!plan)
            continue;
        if (pf_grow(&items, &core->asked_capacity, count + 1, sizeof *core->asked)) {
            pf_core_fail(core);
            return 0;
        }
        core->asked = items;
        core->asked[count++] = plan->plan_digest;
    }
    return count;
}
