#include "coordinator/classes.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/nearest.h"
#include "base/plan_key.h"
#include "base/timing_class.h"
#include "coordinator/agents.h"
#include "coordinator/job.h"
#include "coordinator/plans.h"
#include "coordinator/rows.h"
#include "coordinator/sched.h"
#include "coordinator/selector.h"
#include "coordinator/submit.h"

pf_class *pf_classes_find(const pf_core *core, const pf_digest *digest)
{
    return pf_index_find(&core->classes, digest);
}

static bool list_class(pf_core *core, pf_class *device_class)
{
    void *items = core->class_list;

    if (pf_grow(&items, &core->classes_capacity, core->classes_count + 1, sizeof *core->class_list))
        return false;
    core->class_list = items;
    core->class_list[core->classes_count++] = device_class;
    return pf_index_add(&core->classes, device_class);
}

pf_class *pf_classes_take(pf_core *core, const char *text)
{
    pf_digest digest = { 0 };
    pf_class *device_class = NULL;

    pf_digest_of(text, strlen(text), &digest);
    device_class = pf_classes_find(core, &digest);
    if (device_class)
        return device_class;
    device_class = pf_core_alloc(core, sizeof *device_class);
    if (!device_class)
        return NULL;
    device_class->digest = digest;
    pf_timing_class_digest(text, &device_class->timing_digest);
    device_class->text = pf_text_take(core, text);
    pf_heap_init(&device_class->queue, offsetof(pf_job, queue_place), offsetof(pf_job, id));
    pf_index_init(&device_class->users, 0, sizeof(pf_text *), core->config.index_seed);
    if (device_class->text && list_class(core, device_class))
        return device_class;
    pf_core_fail(core);
    pf_text_drop(core, device_class->text);
    pf_free(device_class);
    return NULL;
}

void pf_classes_free(pf_core *core, pf_class *device_class)
{
    pf_sched_clear_class(device_class);
    pf_text_drop(core, device_class->text);
    pf_text_drop(core, device_class->builder_abi);
    pf_free(device_class);
}

void pf_classes_drop_slot(const pf_slot *slot)
{
    pf_slot **at = &slot->device_class->slots;

    while (*at != slot)
        at = &(*at)->next_of_class;
    *at = slot->next_of_class;
}

/* ---- a new builder ABI */

static void reorder(pf_core *core, pf_job *job)
{
    pf_order_key of = job->order->of;
    pf_order    *fresh = NULL;

    pf_text_again(of.model_name);
    pf_text_again(of.user);
    pf_text_again(of.selector);
    of.builder_abi = pf_text_again(job->device_class->builder_abi);
    fresh = pf_order_take(core, &of);
    if (!fresh)
        return;
    pf_order_drop(core, job->order);
    job->order = fresh;
}

/* Plan keys hold the ABI, so what waits under the old one gets a new key; and may then find its plan or another job. */
static void rekey(pf_core *core, pf_job *job)
{
    pf_class *device_class = job->device_class;
    pf_digest key = { 0 };
    pf_plan  *plan = NULL;
    pf_job   *there = NULL;

    pf_plan_key(&job->order->of.model_digest, pf_text_of(job->spec), device_class->text->data,
                device_class->builder_abi->data, &key);
    plan = pf_plans_find(core, &key);
    there = pf_index_find(&core->live_keys, &key);
    if (there == job)
        return;
    if (pf_index_find(&core->live_keys, &job->plan_key) == job)
        pf_index_remove(&core->live_keys, &job->plan_key);
    job->plan_key = key;
    reorder(core, job);
    pf_submit_rekey_job(core, job);
    if (plan) {
        pf_job_commit(core, job, plan);
    } else if (there) {
        pf_submit_move_items(core, job, there);
        pf_job_cancel(core, job, "another job builds the same plan");
    } else if (!pf_index_add(&core->live_keys, job)) {
        pf_core_fail(core);
    }
    pf_job_touch(core, job);
}

static bool waits(const pf_job *job)
{
    return job->state == PF__JOB_STATE__STATE_QUEUED || job->state == PF__JOB_STATE__STATE_BACKOFF;
}

static void rekey_all(pf_core *core, const pf_class *device_class)
{
    for (pf_job *job = pf_job_table_above(&core->jobs, 0); job && !core->failed;
         job = pf_job_table_above(&core->jobs, job->id))
        if (job->device_class == device_class && waits(job))
            rekey(core, job);
}

/* Jobs submitted before any agent had declared their class, oldest first: a later one for the same plan joins it. */
static void adopt_pending(pf_core *core)
{
    for (uint32_t i = 0; i < core->pending_count && !core->failed;) {
        pf_job   *job = core->pending[i];
        pf_class *device_class = pf_classes_resolve(core, pf_text_of(job->order->of.selector));
        if (!device_class) {
            i++;
            continue;
        }
        core->pending_count--;
        memmove(core->pending + i, core->pending + i + 1, (core->pending_count - i) * sizeof *core->pending);
        job->device_class = device_class;
        rekey(core, job);
        if (waits(job))
            pf_sched_push(core, job);
        pf_job_touch(core, job);
    }
}

static void set_aliases(pf_class *device_class, const Pf__DeviceClass *declared)
{
    device_class->aliases_count = 0;
    for (size_t i = 0; i < declared->n_alias && i < PF_CLASS_ALIASES_MAX; i++)
        snprintf(device_class->alias[device_class->aliases_count++], PF_CLASS_NAME_BYTES, "%s", declared->alias[i]);
}

pf_class *pf_classes_declare(pf_core *core, const Pf__DeviceClass *declared, pf_text *builder_abi)
{
    pf_class *device_class = pf_classes_take(core, declared->class_text);
    bool      new_abi = false, had_abi = false;

    if (!device_class)
        return NULL;
    had_abi = device_class->builder_abi != NULL;
    new_abi = device_class->builder_abi != builder_abi;
    if (new_abi) {
        pf_text_drop(core, device_class->builder_abi);
        device_class->builder_abi = pf_text_again(builder_abi);
    }
    snprintf(device_class->name, sizeof device_class->name, "%s", declared->class_name);
    set_aliases(device_class, declared);
    device_class->seen_ns = core->now.wall_ns;
    if (new_abi && had_abi)
        rekey_all(core, device_class);
    adopt_pending(core);
    pf_rows_put_class(core, device_class);
    return device_class;
}

/* ---- selectors */

bool pf_classes_alive(const pf_core *core, const pf_class *device_class)
{
    for (const pf_slot *slot = device_class->slots; slot; slot = slot->next_of_class)
        if (pf_agents_alive(core, slot->agent) && slot->agent->builder_abi == device_class->builder_abi)
            return true;
    return false;
}

bool pf_classes_serve(const pf_core *core, const pf_class *device_class)
{
    for (const pf_slot *slot = device_class->slots; slot; slot = slot->next_of_class)
        if (pf_agents_alive(core, slot->agent) && slot->agent->builder_abi == device_class->builder_abi &&
            !slot->agent->drain_asked && !slot->agent->draining && !slot->agent->sick && !slot->agent->sick_told)
            return true;
    return false;
}

pf_class *pf_classes_resolve(const pf_core *core, const char *selector)
{
    return pf_selector_resolve(core, selector).best;
}

/* The known name or alias that was most likely meant; NULL when none is near. */
static const char *find_nearest(const pf_core *core, const char *selector)
{
    pf_nearest nearest;

    pf_nearest_begin(&nearest, selector);
    for (uint32_t i = 0; i < core->classes_count; i++) {
        pf_nearest_offer(&nearest, core->class_list[i]->name);
        for (uint32_t k = 0; k < core->class_list[i]->aliases_count; k++)
            pf_nearest_offer(&nearest, core->class_list[i]->alias[k]);
    }
    return pf_nearest_end(&nearest);
}

void pf_classes_explain(const pf_core *core, const char *selector, char *out, size_t capacity)
{
    const pf_class *device_class = pf_classes_resolve(core, selector);
    const char     *meant = device_class ? NULL : find_nearest(core, selector);
    size_t          used = 0;

    if (device_class) {
        snprintf(out, capacity,
                 "no agent of class %s is alive that builds with \"%s\"; start one, or submit again later",
                 device_class->name, pf_text_of(device_class->builder_abi));
        return;
    }
    used = (size_t)snprintf(out, capacity, "no agent ever declared a device class \"%s\"; ", selector);
    if (meant && used < capacity)
        used += (size_t)snprintf(out + used, capacity - used, "did you mean %s? ", meant);
    if (used < capacity)
        used += (size_t)snprintf(out + used, capacity - used, meant ? "Known are:" : "known are:");
    for (uint32_t i = 0; i < core->classes_count && used < capacity; i++)
        used += (size_t)snprintf(out + used, capacity - used, "%s %s", i ? "," : "", core->class_list[i]->name);
    if (core->classes_count == 0 && used < capacity)
        snprintf(out + used, capacity - used, " none");
}
