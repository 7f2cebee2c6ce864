#include "coordinator/sched.h"

#include "base/alloc.h"
#include "coordinator/agents.h"
#include "coordinator/job.h"

/* What a user has queued in one class. */
typedef struct user {
    pf_text *name;              /* holds a reference; found by its address */
    int64_t  last_key;
    uint32_t queued;
} user;

enum { USERS_LEAST = 64 };

/* Those who have nothing queued and need not wait any more are forgotten, when half as many again have come since the
   last time: names are for users to choose. */
static void forget_users(pf_core *core, pf_class *device_class)
{
    pf_index *users = &device_class->users;

    if (users->count < device_class->users_limit || users->count < USERS_LEAST)
        return;
    for (uint32_t i = 0; i < users->capacity;) {
        user *u = users->item[i];
        if (!u || u->queued || u->last_key + core->config.fair_spacing_ns > core->now.wall_ns) {
            i++;
            continue;
        }
        pf_index_remove(users, &u->name);       /* another may come into its place */
        pf_text_drop(core, u->name);
        pf_free(u);
    }
    device_class->users_limit = users->count + users->count / 2;
}

static user *find_user(pf_core *core, pf_class *device_class, pf_text *name)
{
    user *found = pf_index_find(&device_class->users, &name);

    if (found)
        return found;
    forget_users(core, device_class);
    found = pf_core_alloc(core, sizeof *found);
    if (!found)
        return NULL;
    found->name = pf_text_again(name);
    if (pf_index_add(&device_class->users, found))
        return found;
    pf_core_fail(core);
    pf_free(found);
    return NULL;
}

/* Nobody waits for what a user had queued once: when all of it is gone, the next one stands one spacing back. */
static void forget_turns(const pf_core *core, user *u)
{
    if (u->queued == 0 && u->last_key > core->now.wall_ns)
        u->last_key = core->now.wall_ns;
}

static int64_t turn_of(const pf_core *core, user *u, const pf_job *job)
{
    int64_t key = core->now.wall_ns;

    if (u->last_key + core->config.fair_spacing_ns > key)
        key = u->last_key + core->config.fair_spacing_ns;
    u->last_key = key;
    return key - job->priority * core->config.priority_worth_ns;
}

/* A job that comes with its key, from disk or for another try, still counts for its user. */
static void note_turn(const pf_core *core, user *u, const pf_job *job)
{
    int64_t turn = job->queue_key + job->priority * core->config.priority_worth_ns;

    if (turn > u->last_key)
        u->last_key = turn;
}

void pf_sched_push(pf_core *core, pf_job *job)
{
    user *u = find_user(core, job->device_class, job->order->of.user);

    if (!u)
        return;
    forget_turns(core, u);      /* the clock may have been set back since his last one left */
    u->queued++;
    if (job->queue_key == 0)
        job->queue_key = turn_of(core, u, job);
    else
        note_turn(core, u, job);
    if (!pf_heap_put(&job->device_class->queue, job, job->queue_key))
        pf_core_fail(core);
    job->device_class->dirty = true;
}


void pf_sched_remove(pf_core *core, pf_job *job)
{
    user *u = NULL;

    if (!job->device_class || job->queue_place == PF_HEAP_OUT)
        return;
    pf_heap_remove(&job->device_class->queue, job);
    u = pf_index_find(&job->device_class->users, &job->order->of.user);
    if (!u)
        return;
    u->queued--;
    forget_turns(core, u);
}

static void bring_back(const pf_core *core, pf_job *job)
{
    int64_t ahead_ns = job->created_ns - core->now.wall_ns;

    if (ahead_ns <= 0)
        return;
    job->created_ns -= ahead_ns;
    job->queue_key -= job->queue_key ? ahead_ns : 0;
}

void pf_sched_follow_clock(pf_core *core)
{
    if (core->now.wall_ns < PF_FARMS_BEGAN_NS)
        return;
    for (pf_job *job = pf_job_table_above(&core->jobs, 0); job; job = pf_job_table_above(&core->jobs, job->id)) {
        pf_sched_remove(core, job);
        bring_back(core, job);
    }
    for (pf_job *job = pf_job_table_above(&core->jobs, 0); job; job = pf_job_table_above(&core->jobs, job->id))
        if (job->state == PF__JOB_STATE__STATE_QUEUED && job->device_class)
            pf_sched_push(core, job);
}

enum { AHEAD_COUNTED = 4096 };

/* Counted for queues that a person may look at; of longer ones only the place in the heap is told. */
uint32_t pf_sched_ahead(const pf_job *job)
{
    const pf_heap *queue = job->device_class ? &job->device_class->queue : NULL;
    uint32_t       ahead = 0;

    if (!queue || job->queue_place == PF_HEAP_OUT)
        return 0;
    if (queue->count > AHEAD_COUNTED)
        return job->queue_place - 1;
    for (uint32_t i = 1; i <= queue->count; i++)
        ahead += queue->entry[i].key < job->queue_key ||
                 (queue->entry[i].key == job->queue_key && ((const pf_job *)queue->entry[i].item)->id < job->id);
    return ahead;
}

void pf_sched_ready(pf_core *core, pf_slot *slot)
{
    pf_class *device_class = slot->device_class;

    (void)core;
    device_class->dirty = true;
    if (slot->ready)
        return;
    slot->ready = true;
    slot->next_ready = NULL;
    if (device_class->ready_last)
        device_class->ready_last->next_ready = slot;
    else
        device_class->ready_first = slot;
    device_class->ready_last = slot;
}

/* Takes the slot behind previous (NULL: the first) out of the list. */
static void take_slot(pf_class *device_class, pf_slot *previous, pf_slot *slot)
{
    if (previous)
        previous->next_ready = slot->next_ready;
    else
        device_class->ready_first = slot->next_ready;
    if (device_class->ready_last == slot)
        device_class->ready_last = previous;
    slot->next_ready = NULL;
    slot->ready = false;
}

void pf_sched_unready(pf_slot *slot)
{
    pf_slot *previous = NULL;

    if (!slot->ready)
        return;
    for (pf_slot *at = slot->device_class->ready_first; at != slot; at = at->next_ready)
        previous = at;
    take_slot(slot->device_class, previous, slot);
}

static bool has_room(const pf_core *core, const pf_slot *slot)
{
    return slot->credit > 0 && slot->held < slot->slots && pf_agents_takes_jobs(core, slot->agent) &&
           slot->agent->builder_abi == slot->device_class->builder_abi;
}

static bool crashed_there(const pf_job *job, const pf_agent *agent)
{
    for (uint32_t i = 0; i < job->run->crashed_on_count; i++)
        if (job->run->crashed_on[i] == pf_agents_hash(agent))
            return true;
    return false;
}

/* The first slot with room, one where the job did not crash if there is such a one; it leaves the list.  Slots without
   room are dropped: they come back when something changes for them. */
static pf_slot *take_room(pf_core *core, pf_class *device_class, const pf_job *job)
{
    pf_slot *previous = NULL, *fallback = NULL, *fallback_previous = NULL;

    for (pf_slot *slot = device_class->ready_first; slot;) {
        pf_slot *next = slot->next_ready;
        if (!has_room(core, slot)) {
            take_slot(device_class, previous, slot);
        } else if (!crashed_there(job, slot->agent)) {
            take_slot(device_class, previous, slot);
            return slot;
        } else {
            if (!fallback) {
                fallback = slot;
                fallback_previous = previous;
            }
            previous = slot;
        }
        slot = next;
    }
    if (fallback)
        take_slot(device_class, fallback_previous, fallback);
    return fallback;
}

static void send_offer(pf_core *core, const pf_job *job)
{
    Pf__Offer offer = PF__OFFER__INIT;
    pf_send  *sent = NULL;

    offer.job_id = job->id;
    offer.attempt = job->attempt;
    offer.fence = job->run->fence;
    offer.class_digest = pf_wire_bytes(&job->device_class->digest);
    offer.plan_key = pf_wire_bytes(&job->plan_key);
    offer.model_digest = pf_wire_bytes(&job->order->of.model_digest);
    offer.model_name = (char *)pf_text_of(job->order->of.model_name);
    offer.spec_text = (char *)pf_text_of(job->spec);
    offer.accept_ms = (uint32_t)(core->config.offer_ns / 1000000);
    offer.ttl_ms = (uint32_t)(core->config.ttl_ns / 1000000);
    offer.build_timeout_s = job->build_timeout_s ? job->build_timeout_s
                                                 : (uint32_t)(core->config.build_timeout_ns / 1000000000);
    offer.last_attempt = job->run->charged + 1 >= core->config.charged_limit;
    pf_core_send_traced(core, job->run->agent->peer, PF_MSG_OFFER, 0, job->trace_id, &offer.base);
    if (core->failed)
        return;
    sent = &core->out->send[core->out->sends_count - 1];
    sent->lease = (pf_lease_id){ job->id, job->run->fence, job->attempt };
}

static void run_class(pf_core *core, pf_class *device_class)
{
    device_class->dirty = false;
    while (!core->failed) {
        pf_job  *job = pf_heap_first(&device_class->queue, NULL);
        pf_slot *slot = job ? take_room(core, device_class, job) : NULL;
        if (!slot)
            return;
        slot->credit--;
        pf_job_offer(core, job, slot);
        send_offer(core, job);
        pf_sched_ready(core, slot);     /* it may have room for more; looked at in its turn */
    }
}

void pf_sched_run(pf_core *core)
{
    for (uint32_t i = 0; i < core->classes_count; i++)
        if (core->class_list[i]->dirty)
            run_class(core, core->class_list[i]);
}

void pf_sched_clear_class(pf_class *device_class)
{
    for (uint32_t i = 0; i < device_class->users.capacity; i++)
        pf_free(device_class->users.item[i]);   /* their names go with the core's texts */
    pf_index_clear(&device_class->users);
    pf_heap_clear(&device_class->queue);
}
