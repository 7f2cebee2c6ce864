/* The core's invariants, looked at from outside the code that keeps them. */
#include <string.h>

#include "coordinator/job.h"
#include "coordinator/state.h"

enum { PREFETCH_JOBS = 4 };

static pf_status check_job(const pf_core *core, const pf_job *job, pf_err *err)
{
    const pf_job *by_key = pf_digest_is_zero(&job->plan_key) ? NULL : pf_index_find(&core->live_keys, &job->plan_key);
    bool          live = !pf_state_is_final(job->state) && job->state != PF__JOB_STATE__STATE_CANCELLING;
    uint32_t      waiters = 0;

    for (const pf_submit_item *item = job->items; item; item = item->next_of_job)
        waiters += !item->given_up;
    if (waiters != job->waiters)
        return PF_FAIL(err, PF_INTERNAL, "job %llu counts %u waiters and has %u", (unsigned long long)job->id,
                       job->waiters, waiters);
    if (job->heap_place == PF_HEAP_OUT || core->deadlines.entry[job->heap_place].item != job)
        return PF_FAIL(err, PF_INTERNAL, "job %llu has no deadline", (unsigned long long)job->id);
    if (pf_job_is_held(job) != job->held)
        return PF_FAIL(err, PF_INTERNAL, "job %llu in state %d is %sheld", (unsigned long long)job->id, (int)job->state,
                       job->held ? "" : "not ");
    if ((job->state == PF__JOB_STATE__STATE_QUEUED && job->device_class != NULL) != (job->queue_place != PF_HEAP_OUT))
        return PF_FAIL(err, PF_INTERNAL, "job %llu in state %d is in the wrong queue", (unsigned long long)job->id,
                       (int)job->state);
    if (live && !pf_digest_is_zero(&job->plan_key) && by_key != job)
        return PF_FAIL(err, PF_INTERNAL, "live job %llu shares its plan key with another", (unsigned long long)job->id);
    if (live && !pf_digest_is_zero(&job->plan_key) && pf_index_find(&core->plans, &job->plan_key))
        return PF_FAIL(err, PF_INTERNAL, "live job %llu builds a plan that is there", (unsigned long long)job->id);
    if (job->run->fence >= core->next_fence)
        return PF_FAIL(err, PF_INTERNAL, "job %llu has a fence from the future", (unsigned long long)job->id);
    if (job->dirty)
        return PF_FAIL(err, PF_INTERNAL, "job %llu was changed and not written", (unsigned long long)job->id);
    return PF_OK;
}

static pf_status check_agent(const pf_agent *agent, pf_err *err)
{
    uint32_t leases = 0, held = 0, held_by_slots = 0;

    for (const pf_job *job = agent->leases; job; job = job->run->agent_next) {
        leases++;
        if (job->run->agent != agent || !job->held)
            return PF_FAIL(err, PF_INTERNAL, "agent %s lists job %llu, which it does not hold", agent->name,
                           (unsigned long long)job->id);
        for (uint32_t i = 0; i < agent->slots_count; i++)
            held += agent->slot[i]->device_class == job->device_class;
    }
    for (uint32_t i = 0; i < agent->slots_count; i++) {
        held_by_slots += agent->slot[i]->held;
        if (agent->slot[i]->credit > agent->slot[i]->slots)
            return PF_FAIL(err, PF_INTERNAL, "agent %s has more credit than slots", agent->name);
    }
    if (leases != agent->leases_count || held != held_by_slots)
        return PF_FAIL(err, PF_INTERNAL, "agent %s counts %u leases and %u in slots, and has %u and %u", agent->name,
                       agent->leases_count, held_by_slots, leases, held);
    return PF_OK;
}

pf_status pf_core_check(const pf_core *core, pf_err *err)
{
    uint32_t  by_state[PF_JOB_STATES] = { 0 }, sum = 0, finals = 0;
    pf_status st = PF_OK;

    for (const pf_job *job = pf_job_table_above(&core->jobs, 0); job && !st;
         job = pf_job_table_above(&core->jobs, job->id)) {
        pf_job_prefetch(core, job->id + PREFETCH_JOBS);
        by_state[job->state]++;
        sum++;
        finals += pf_state_is_final(job->state);
        st = check_job(core, job, err);
    }
    if (!st && (sum != core->jobs.count || finals != core->final_count ||
                memcmp(by_state, core->by_state, sizeof by_state) != 0))
        st = PF_FAIL(err, PF_INTERNAL, "the states' counts do not sum up to the %u jobs", core->jobs.count);
    if (!st && core->deadlines.count != core->jobs.count)
        st = PF_FAIL(err, PF_INTERNAL, "%u jobs have %u deadlines", core->jobs.count, core->deadlines.count);
    for (uint32_t i = 0; i < core->agents.capacity && !st; i++)
        if (core->agents.item[i])
            st = check_agent(core->agents.item[i], err);
    return st;
}
