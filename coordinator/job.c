#include "coordinator/job.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "coordinator/agents.h"
#include "coordinator/classes.h"
#include "coordinator/events.h"
#include "coordinator/rows.h"
#include "coordinator/sched.h"
#include "coordinator/submit.h"
#include "coordinator/watches.h"
#include "proto/job_view.h"

/* ---- existence */

const pf_run pf_no_run;

pf_run *pf_run_of(pf_core *core, pf_job *job)
{
    if (job->run == &pf_no_run) {
        const pf_run *fresh = pf_core_alloc(core, sizeof *fresh);
        if (!fresh)
            return &core->lost_run;
        job->run = fresh;
    }
    return (pf_run *)job->run;          /* only pf_no_run is constant */
}

static void free_run(pf_core *core, const pf_run *run)
{
    pf_run *own = (pf_run *)run;

    if (run == &pf_no_run)
        return;
    pf_events_drop(&own->ring);
    pf_text_drop(core, own->message);
    pf_text_drop(core, own->progress.text);
    pf_text_drop(core, own->progress.json);
    pf_free(own);
}

pf_job *pf_job_find(const pf_core *core, uint64_t id)
{
    return pf_job_table_find(&core->jobs, id);
}

void pf_job_prefetch(const pf_core *core, uint64_t id)
{
    const pf_job *job = pf_job_find(core, id);

    if (job)
        pf_index_prefetch(&core->live_keys, &job->plan_key);
}

pf_job *pf_job_new(pf_core *core, uint64_t id)
{
    pf_job *job = pf_core_take(core, sizeof *job);

    if (!job)
        return NULL;
    job->id = id;
    job->run = &pf_no_run;
    if (!pf_job_table_add(&core->jobs, id, job)) {
        pf_core_fail(core);
        pf_pool_give(&core->pool, job, sizeof *job);
        return NULL;
    }
    core->by_state[PF__JOB_STATE__STATE_NONE]++;
    return job;
}

void pf_job_free(pf_core *core, pf_job *job)
{
    if (!job)
        return;
    free_run(core, job->run);
    pf_order_drop(core, job->order);
    pf_text_drop(core, job->spec);
    pf_pool_give(&core->pool, job, sizeof *job);
}

void pf_job_touch(pf_core *core, pf_job *job)
{
    void *items = core->dirty;

    if (job->dirty)
        return;
    if (pf_grow(&items, &core->dirty_capacity, core->dirty_count + 1, sizeof *core->dirty)) {
        pf_core_fail(core);
        return;
    }
    core->dirty = items;
    core->dirty[core->dirty_count++] = job;
    job->dirty = true;
}

/* ---- holding: the job is among an agent's leases */

static bool is_held_in(Pf__JobState state)
{
    return state == PF__JOB_STATE__STATE_OFFERED || state == PF__JOB_STATE__STATE_LEASED ||
           state == PF__JOB_STATE__STATE_VERIFYING || state == PF__JOB_STATE__STATE_CANCELLING;
}

bool pf_job_is_held(const pf_job *job)
{
    return is_held_in(job->state);
}

bool pf_job_lease_is(const pf_job *job, const pf_agent *agent, uint32_t attempt, uint64_t fence)
{
    return job->held && job->run->agent == agent && job->attempt == attempt && job->run->fence == fence;
}

static void hold(pf_core *core, pf_job *job, pf_agent *agent)
{
    pf_slot *slot = pf_agents_slot(agent, job->device_class);
    pf_run  *run = pf_run_of(core, job);

    run->agent = agent;
    job->held = true;
    run->agent_previous = NULL;
    run->agent_next = agent->leases;
    if (agent->leases)
        pf_run_of(core, agent->leases)->agent_previous = job;
    agent->leases = job;
    agent->leases_count++;
    if (slot)
        slot->held++;
    job->device_class->running++;
}

static void release(pf_core *core, pf_job *job)
{
    pf_agent *agent = job->run->agent;
    pf_slot  *slot = NULL;
    pf_run   *run = NULL;

    if (!job->held)
        return;
    slot = pf_agents_slot(agent, job->device_class);
    run = pf_run_of(core, job);
    if (run->agent_previous)
        pf_run_of(core, run->agent_previous)->agent_next = run->agent_next;
    else
        agent->leases = run->agent_next;
    if (run->agent_next)
        pf_run_of(core, run->agent_next)->agent_previous = run->agent_previous;
    run->agent_next = run->agent_previous = NULL;
    job->held = false;
    agent->leases_count--;
    job->device_class->running--;
    if (slot) {
        slot->held--;
        slot->credit += slot->credit < slot->slots;     /* the next heartbeat says what is true */
        pf_sched_ready(core, slot);
    }
}

/* ---- states */

static void list_final(pf_core *core, pf_job *job)
{
    pf_run *run = pf_run_of(core, job);

    run->final_previous = core->final_newest;
    run->final_next = NULL;
    if (core->final_newest)
        pf_run_of(core, core->final_newest)->final_next = job;
    else
        core->final_oldest = job;
    core->final_newest = job;
    core->final_count++;
}

static void unlist_final(pf_core *core, pf_job *job)
{
    pf_run *run = pf_run_of(core, job);

    if (run->final_previous)
        pf_run_of(core, run->final_previous)->final_next = run->final_next;
    else
        core->final_oldest = run->final_next;
    if (run->final_next)
        pf_run_of(core, run->final_next)->final_previous = run->final_previous;
    else
        core->final_newest = run->final_previous;
    run->final_next = run->final_previous = NULL;
    core->final_count--;
}

static void drop_pending(pf_core *core, const pf_job *job)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; !job->device_class && i < core->pending_count; i++)
        if (core->pending[i] != job)
            core->pending[kept++] = core->pending[i];
    if (!job->device_class)
        core->pending_count = kept;
}

static void set_deadline(pf_core *core, pf_job *job, int64_t at_ns)
{
    if (!pf_heap_put(&core->deadlines, job, at_ns))
        pf_core_fail(core);
}

/* A quarantined job keeps its plan key, so that submitting the same again does not feed the poison to more agents.  One
   that is being cancelled does not: who submits the same now has not given it up. */
static bool keeps_key(Pf__JobState state)
{
    return state == PF__JOB_STATE__STATE_QUARANTINED ||
           (!pf_state_is_final(state) && state != PF__JOB_STATE__STATE_CANCELLING);
}

static void index_key(pf_core *core, pf_job *job, bool keep)
{
    pf_job *there = NULL;

    if (pf_digest_is_zero(&job->plan_key))
        return;
    there = pf_index_find(&core->live_keys, &job->plan_key);
    if (keep && !there && !pf_index_add(&core->live_keys, job))
        pf_core_fail(core);
    if (!keep && there == job)
        pf_index_remove(&core->live_keys, &job->plan_key);
}

/* Puts a job into lists and counts for its state; a change of state goes through here, and so does loading. */
void pf_job_place(pf_core *core, pf_job *job)
{
    core->by_state[PF__JOB_STATE__STATE_NONE]--;
    core->by_state[job->state]++;
    index_key(core, job, keeps_key(job->state));
    if (pf_state_is_final(job->state))
        list_final(core, job);
    if (job->state == PF__JOB_STATE__STATE_QUEUED && job->device_class)
        pf_sched_push(core, job);
    if (pf_job_is_held(job) && !job->held)
        hold(core, job, job->run->agent);
}

/* Leaves the old state.  Between two states in which it is held the agent keeps it. */
static void leave(pf_core *core, pf_job *job, Pf__JobState next)
{
    if (job->state == PF__JOB_STATE__STATE_QUEUED) {
        pf_sched_remove(core, job);
        drop_pending(core, job);
    }
    if (pf_state_is_final(job->state))
        unlist_final(core, job);
    if (!is_held_in(next))
        release(core, job);
    core->by_state[job->state]--;
    core->by_state[PF__JOB_STATE__STATE_NONE]++;
    job->state = PF__JOB_STATE__STATE_NONE;
}

static void enter(pf_core *core, pf_job *job, Pf__JobState state, int64_t after_ns)
{
    leave(core, job, state);
    job->state = state;
    job->changed_ns = core->now.wall_ns;
    pf_job_place(core, job);
    set_deadline(core, job, core->now.boot_ns + after_ns);
    pf_job_touch(core, job);
    pf_events_state(core, job, pf_text_of(job->run->message));
}

static void clear_progress(pf_core *core, pf_job *job)
{
    pf_progress *progress = NULL;

    if (job->run == &pf_no_run)
        return;
    progress = &pf_run_of(core, job)->progress;
    pf_text_set(core, &progress->text, NULL);
    pf_text_set(core, &progress->json, NULL);
    memset(progress, 0, sizeof *progress);
}

static int64_t queue_timeout_ns(const pf_core *core, const pf_job *job)
{
    return job->queue_timeout_s ? job->queue_timeout_s * PF_NS_PER_S : core->config.queue_timeout_ns;
}

void pf_job_enqueue(pf_core *core, pf_job *job)
{
    void *items = core->pending;

    clear_progress(core, job);
    enter(core, job, PF__JOB_STATE__STATE_QUEUED, queue_timeout_ns(core, job));
    if (job->device_class)
        return;
    if (pf_grow(&items, &core->pending_capacity, core->pending_count + 1, sizeof *core->pending)) {
        pf_core_fail(core);
        return;
    }
    core->pending = items;
    core->pending[core->pending_count++] = job;
}

void pf_job_offer(pf_core *core, pf_job *job, pf_slot *slot)
{
    pf_run *run = pf_run_of(core, job);

    job->attempt++;
    run->fence = core->next_fence++;
    run->offered_ns = core->now.boot_ns;
    run->agent = slot->agent;
    pf_text_set(core, &run->message, NULL);
    enter(core, job, PF__JOB_STATE__STATE_OFFERED, core->config.offer_ns);
    core->stats.offers_total++;
}

void pf_job_give_back(pf_core *core, pf_job *job, const char *reason)
{
    pf_text_set(core, &pf_run_of(core, job)->message, reason);
    pf_job_enqueue(core, job);
}

static int64_t lease_deadline(const pf_job *job)
{
    int64_t at_ns = job->run->lease_until_ns;

    if (job->run->stall_at_ns < at_ns)
        at_ns = job->run->stall_at_ns;
    return job->run->build_until_ns < at_ns ? job->run->build_until_ns : at_ns;
}

static int64_t stall_ns(const pf_core *core, Pf__Phase phase)
{
    uint32_t index = (uint32_t)phase < 5 ? (uint32_t)phase : 0;

    return core->config.stall_ns[index];
}

/* Deadlines of a lease that begins, or that begins anew after a restart. */
static void start_lease(pf_core *core, pf_job *job)
{
    int64_t now_ns = core->now.boot_ns;
    pf_run *run = pf_run_of(core, job);

    run->lease_until_ns = now_ns + core->config.ttl_ns;
    run->stall_at_ns = now_ns + stall_ns(core, PF__PHASE__PHASE_NONE);
    run->build_until_ns = now_ns + core->config.build_timeout_ns;
    if (job->build_timeout_s)
        run->build_until_ns = now_ns + job->build_timeout_s * PF_NS_PER_S;
}

void pf_job_accept(pf_core *core, pf_job *job)
{
    start_lease(core, job);
    enter(core, job, PF__JOB_STATE__STATE_LEASED, lease_deadline(job) - core->now.boot_ns);
}

void pf_job_renew(pf_core *core, pf_job *job, Pf__Phase phase, uint32_t permille, uint64_t progress_count)
{
    pf_run *run = pf_run_of(core, job);

    run->lease_until_ns = core->now.boot_ns + core->config.ttl_ns;
    if (progress_count != run->progress.count || phase != run->progress.phase)
        run->stall_at_ns = core->now.boot_ns + stall_ns(core, phase);
    run->progress.count = progress_count;
    run->progress.phase = phase;
    run->progress.permille = permille > 1000 ? 1000 : permille;
    if (job->state == PF__JOB_STATE__STATE_LEASED)
        set_deadline(core, job, lease_deadline(job));
}

void pf_job_verify(pf_core *core, pf_job *job)
{
    pf_run_of(core, job)->progress.phase = PF__PHASE__PHASE_UPLOAD;
    pf_run_of(core, job)->progress.permille = 1000;
    enter(core, job, PF__JOB_STATE__STATE_VERIFYING, core->config.verify_ns);
}

/* A build's duration, from offer to commit, goes into the class's moving average. */
static void learn_duration(pf_core *core, pf_job *job)
{
    int64_t took_ns = core->now.boot_ns - job->run->offered_ns;

    if (job->run->offered_ns == 0 || !job->device_class)
        return;
    job->device_class->build_ns += job->device_class->build_ns ? (took_ns - job->device_class->build_ns) / 8 : took_ns;
}

void pf_job_commit(pf_core *core, pf_job *job, const pf_plan *plan)
{
    pf_run *run = pf_run_of(core, job);

    run->plan_digest = plan->plan_digest;
    run->plan_bytes = plan->plan_bytes;
    run->failure = PF__FAILURE_KIND__FAILURE_NONE;
    run->exit_code = 0;
    pf_text_set(core, &run->message, NULL);
    learn_duration(core, job);
    enter(core, job, PF__JOB_STATE__STATE_COMMITTED, core->config.history_ns);
    core->stats.commits_total++;
}

/* ---- ends that are not good */

static void set_failure(pf_core *core, pf_job *job, Pf__FailureKind kind, uint32_t exit_code, const char *message)
{
    pf_run *run = pf_run_of(core, job);

    run->failure = kind;
    run->exit_code = exit_code;
    pf_text_set(core, &run->message, message);
}

/* A place for the crash among the agents that the job crashed; each agent counts once. */
static void note_crash(pf_core *core, pf_job *job)
{
    uint64_t hash = job->run->agent ? pf_agents_hash(job->run->agent) : 0;
    pf_run  *run = pf_run_of(core, job);

    for (uint32_t i = 0; i < run->crashed_on_count; i++)
        if (run->crashed_on[i] == hash)
            return;
    if (run->crashed_on_count < PF_CRASHED_ON_MAX)
        run->crashed_on[run->crashed_on_count++] = hash;
}

static int64_t backoff_ns(pf_core *core, const pf_job *job)
{
    int64_t  wait_ns = core->config.backoff_first_ns;
    uint32_t doublings = job->run->charged ? job->run->charged - 1 : 0;

    while (doublings-- > 0 && wait_ns < core->config.backoff_limit_ns)
        wait_ns *= 2;
    if (wait_ns > core->config.backoff_limit_ns)
        wait_ns = core->config.backoff_limit_ns;
    return (int64_t)((double)wait_ns * (0.75 + 0.5 * pf_random_unit(&core->random)));
}

void pf_job_back_off(pf_core *core, pf_job *job, const pf_setback *why)
{
    set_failure(core, job, why->kind, (uint32_t)pf_status_exit_code(why->status), why->message);
    if (why->charged)
        pf_run_of(core, job)->charged++;
    if (why->crashed) {
        if (why->charged)       /* a crash that is not says something of the agent at most */
            note_crash(core, job);
        pf_agents_note_crash(core, job->run->agent, job->id);
    }
    if (job->run->charged >= core->config.charged_limit ||
        job->run->crashed_on_count >= core->config.crash_agents_limit) {
        core->stats.quarantines_total++;
        enter(core, job, PF__JOB_STATE__STATE_QUARANTINED, core->config.history_ns);
    } else {
        enter(core, job, PF__JOB_STATE__STATE_BACKOFF, backoff_ns(core, job));
    }
}

void pf_job_fail(pf_core *core, pf_job *job, Pf__FailureKind kind, uint32_t exit_code, const char *message)
{
    set_failure(core, job, kind, exit_code, message);
    core->stats.failures_total++;
    enter(core, job, PF__JOB_STATE__STATE_FAILED, core->config.history_ns);
}

void pf_job_send_kill(pf_core *core, const pf_job *job, const char *reason)
{
    Pf__Kill kill = PF__KILL__INIT;

    if (!job->run->agent || !job->run->agent->peer)
        return;
    kill.job_id = job->id;
    kill.attempt = job->attempt;
    kill.fence = job->run->fence;
    kill.reason = (char *)reason;
    pf_core_send(core, job->run->agent->peer, PF_MSG_KILL, 0, &kill.base);
}

void pf_job_cancel(pf_core *core, pf_job *job, const char *reason)
{
    bool running = job->held && job->state != PF__JOB_STATE__STATE_VERIFYING;

    if (pf_state_is_final(job->state) || job->state == PF__JOB_STATE__STATE_CANCELLING)
        return;
    set_failure(core, job, PF__FAILURE_KIND__FAILURE_CANCELLED, (uint32_t)pf_status_exit_code(PF_CANCELLED), reason);
    if (!running) {
        enter(core, job, PF__JOB_STATE__STATE_CANCELLED, core->config.history_ns);
        return;
    }
    enter(core, job, PF__JOB_STATE__STATE_CANCELLING, core->config.cancel_ns);
    pf_job_send_kill(core, job, reason);
}

void pf_job_cancelled(pf_core *core, pf_job *job)
{
    enter(core, job, PF__JOB_STATE__STATE_CANCELLED, core->config.history_ns);
}

static bool may_kick(const pf_job *job)
{
    return job->state == PF__JOB_STATE__STATE_QUARANTINED || job->state == PF__JOB_STATE__STATE_FAILED ||
           job->state == PF__JOB_STATE__STATE_UNSATISFIABLE;
}

void pf_job_explain_kick(const pf_core *core, const pf_job *job, char *out, size_t capacity)
{
    const pf_job      *there = pf_index_find(&core->live_keys, &job->plan_key);
    unsigned long long id = job->id;

    if (!may_kick(job))
        snprintf(out, capacity,
                 "job %llu is %s, and only quarantined, failed and unsatisfiable jobs go back to the queue%s", id,
                 pf_job_view_state((Pf__JobState)job->state),
                 job->state == PF__JOB_STATE__STATE_CANCELLED ? "; submit it again" : "");
    else if (there && there != job)
        snprintf(out, capacity, "job %llu need not go back to the queue: job %llu builds the same plan", id,
                 (unsigned long long)there->id);
    else
        snprintf(out, capacity, "job %llu need not go back to the queue: its plan is there; submit the model to get it",
                 id);
}

bool pf_job_kick(pf_core *core, pf_job *job)
{
    const pf_job *there = pf_index_find(&core->live_keys, &job->plan_key);

    if (!may_kick(job))
        return false;
    if ((there && there != job) || pf_index_find(&core->plans, &job->plan_key))
        return false;
    pf_run_of(core, job)->charged = 0;
    pf_run_of(core, job)->crashed_on_count = 0;
    set_failure(core, job, PF__FAILURE_KIND__FAILURE_NONE, 0, NULL);
    pf_job_enqueue(core, job);
    return true;
}

/* ---- deadlines */

static void expire_queued(pf_core *core, pf_job *job)
{
    char message[PF_REASON_BYTES] = "";

    if (job->device_class && pf_classes_alive(core, job->device_class)) {
        set_deadline(core, job, core->now.boot_ns + queue_timeout_ns(core, job));
        return;
    }
    pf_classes_explain(core, pf_text_of(job->order->of.selector), message, sizeof message);
    set_failure(core, job, PF__FAILURE_KIND__FAILURE_NONE, (uint32_t)pf_status_exit_code(PF_NOT_FOUND), message);
    enter(core, job, PF__JOB_STATE__STATE_UNSATISFIABLE, core->config.history_ns);
}

static void expire_offered(pf_core *core, pf_job *job)
{
    job->run->agent->rest_until_ns = core->now.boot_ns + core->config.offer_ns;
    pf_job_send_kill(core, job, "the offer was not answered in time");
    pf_job_give_back(core, job, "the agent did not answer the offer");
}

static void expire_leased(pf_core *core, pf_job *job)
{
    char        message[PF_REASON_BYTES] = "";
    const char *agent = job->run->agent->name;
    pf_setback  lost = { PF__FAILURE_KIND__FAILURE_INFRA, PF_UNREACHABLE, true, true, message };
    pf_setback  slow = { PF__FAILURE_KIND__FAILURE_TIMEOUT, PF_TIMEOUT, true, false, message };

    core->stats.leases_lost_total++;
    if (core->now.boot_ns >= job->run->lease_until_ns) {
        snprintf(message, sizeof message, "agent %s was not heard of for %d s", agent,
                 (int)(core->config.ttl_ns / PF_NS_PER_S));
        pf_job_back_off(core, job, &lost);
        return;
    }
    snprintf(message, sizeof message,
             core->now.boot_ns >= job->run->stall_at_ns ? "agent %s made no progress for too long"
                                                        : "the build took longer than allowed on agent %s",
             agent);
    pf_job_send_kill(core, job, message);
    pf_job_back_off(core, job, &slow);
}

static void expire_verifying(pf_core *core, pf_job *job)
{
    pf_setback why = { PF__FAILURE_KIND__FAILURE_INFRA, PF_TIMEOUT, true, false, "verifying the plan took too long" };

    pf_job_send_kill(core, job, why.message);
    pf_job_back_off(core, job, &why);
}

static void expire_backoff(pf_core *core, pf_job *job)
{
    pf_job_enqueue(core, job);
}

/* An agent that was heard of since it was told to kill and still did not do so cannot be trusted with more. */
static void expire_cancelling(pf_core *core, pf_job *job)
{
    if (job->run->agent->seen_ns > job->changed_ns)
        pf_agents_mark_sick(core, job->run->agent, "it did not end a build that it was told to end");
    pf_job_cancelled(core, job);
}

/* No longer than from now on: the clock may have been set back since. */
static int64_t retention_left_ns(const pf_core *core, const pf_job *job)
{
    int64_t since_ns = core->now.wall_ns - job->changed_ns;

    return core->config.retention_ns - (since_ns > 0 ? since_ns : 0);
}

static void expire_final(pf_core *core, pf_job *job)
{
    int64_t left_ns = retention_left_ns(core, job);

    pf_events_drop_all(core, job);
    if (left_ns <= 0)
        pf_job_forget(core, job);
    else
        set_deadline(core, job, core->now.boot_ns + left_ns);
}

void pf_job_expire(pf_core *core, pf_job *job)
{
    static void (*const by_state[PF_JOB_STATES])(pf_core *, pf_job *) = {
        [PF__JOB_STATE__STATE_QUEUED] = expire_queued,         [PF__JOB_STATE__STATE_OFFERED] = expire_offered,
        [PF__JOB_STATE__STATE_LEASED] = expire_leased,         [PF__JOB_STATE__STATE_VERIFYING] = expire_verifying,
        [PF__JOB_STATE__STATE_BACKOFF] = expire_backoff,       [PF__JOB_STATE__STATE_CANCELLING] = expire_cancelling,
        [PF__JOB_STATE__STATE_COMMITTED] = expire_final,       [PF__JOB_STATE__STATE_FAILED] = expire_final,
        [PF__JOB_STATE__STATE_CANCELLED] = expire_final,       [PF__JOB_STATE__STATE_QUARANTINED] = expire_final,
        [PF__JOB_STATE__STATE_UNSATISFIABLE] = expire_final,
    };

    by_state[job->state](core, job);
}

/* What was offered or leased gets a full ttl for its agent to come back; what waits begins its time anew.  What has
   ended has no events any more that it would be kept for. */
void pf_job_resume(pf_core *core, pf_job *job)
{
    int64_t after_ns = core->config.ttl_ns;

    if (job->state == PF__JOB_STATE__STATE_QUEUED)
        after_ns = queue_timeout_ns(core, job);
    else if (job->state == PF__JOB_STATE__STATE_BACKOFF)
        after_ns = backoff_ns(core, job);
    else if (pf_state_is_final(job->state))
        after_ns = retention_left_ns(core, job) > 0 ? retention_left_ns(core, job) : 0;
    if (job->held)
        start_lease(core, job);
    set_deadline(core, job, core->now.boot_ns + after_ns);
}

void pf_job_forget(pf_core *core, pf_job *job)
{
    pf_submit_forget_job(core, job);
    pf_watches_leave(core, job);
    leave(core, job, PF__JOB_STATE__STATE_NONE);
    core->by_state[PF__JOB_STATE__STATE_NONE]--;
    index_key(core, job, false);
    pf_heap_remove(&core->deadlines, job);
    pf_job_table_remove(&core->jobs, job->id);
    for (uint32_t i = 0; i < core->dirty_count; i++)
        if (core->dirty[i] == job)
            core->dirty[i] = NULL;
    pf_rows_remove_job(core, job);
    if (pf_rows_spec_is_apart(job->spec))
        pf_text_unstored(core, job->spec);
    pf_job_free(core, job);
}
