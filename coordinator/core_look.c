/* What others read of the core's state: metrics, who may have which timings, and which blobs are named. */
#include <string.h>

#include "coordinator/agents.h"
#include "coordinator/classes.h"
#include "coordinator/job.h"
#include "coordinator/selector.h"
#include "coordinator/state.h"

enum { WAITS_LOOKED_AT = 4096 };

void pf_core_stats_get(const pf_core *core, pf_now now, pf_core_stats *out)
{
    *out = core->stats;
    out->epoch = core->epoch;
    memcpy(out->jobs_by_state, core->by_state, sizeof out->jobs_by_state);
    out->jobs = core->jobs.count;
    out->submits = core->submits.count;
    out->plans = core->plans.count;
    out->agents = core->agents.count;
    out->classes = core->classes_count;
    out->watches = core->watch_deadlines.count;
    out->agents_alive = 0;
    for (uint32_t i = 0; i < core->agents.capacity; i++) {
        const pf_agent *agent = core->agents.item[i];
        out->agents_alive += agent && agent->peer && now.boot_ns - agent->seen_boot_ns < core->config.ttl_ns;
    }
}

pf_status pf_core_timings_of(const pf_core *core, const char *selector, pf_digest *timing_class, pf_err *err)
{
    pf_selection selection = pf_selector_resolve(core, selector);
    char         why[PF_REASON_BYTES] = "";

    if (selection.ambiguous) {
        pf_selector_explain(core, selector, &selection, why, sizeof why);
        return PF_FAIL(err, PF_USAGE, "%s", why);
    }
    if (!selection.best) {
        pf_classes_explain(core, selector, why, sizeof why);
        return PF_FAIL(err, PF_NOT_FOUND, "%s", why);
    }
    *timing_class = selection.best->timing_digest;
    return PF_OK;
}

static bool key_has_slot(const pf_class *device_class, const char *key_name)
{
    for (const pf_slot *slot = device_class->slots; slot; slot = slot->next_of_class)
        if (strcmp(slot->agent->key_name, key_name) == 0)
            return true;
    return false;
}

bool pf_core_key_declares(const pf_core *core, const char *key_name, const pf_digest *timing_class)
{
    for (uint32_t i = 0; i < core->classes_count; i++)
        if (pf_digest_equal(&core->class_list[i]->timing_digest, timing_class) &&
            key_has_slot(core->class_list[i], key_name))
            return true;
    return false;
}

uint32_t pf_core_class_count(const pf_core *core)
{
    return core->classes_count;
}

void pf_core_class_get(const pf_core *core, uint32_t index, pf_now now, pf_class_stats *out)
{
    const pf_class *device_class = core->class_list[index];

    memset(out, 0, sizeof *out);
    out->name = device_class->name;
    out->queued = device_class->queue.count;
    out->running = device_class->running;
    out->build_ns = device_class->build_ns;
    for (const pf_slot *slot = device_class->slots; slot; slot = slot->next_of_class)
        out->agents_alive += pf_agents_alive(core, slot->agent);
    for (uint32_t i = 1; i <= device_class->queue.count && i <= WAITS_LOOKED_AT; i++) {
        const pf_job *job = device_class->queue.entry[i].item;
        if (now.wall_ns - job->created_ns > out->oldest_wait_ns)
            out->oldest_wait_ns = now.wall_ns - job->created_ns;
    }
}

void pf_core_named_blobs(const pf_core *core, void (*each)(void *user, const pf_digest *digest, bool is_model),
                         void *user)
{
    for (const pf_plan *plan = core->newest_plan; plan; plan = plan->older)
        each(user, &plan->plan_digest, false);
    for (const pf_job *job = pf_job_table_above(&core->jobs, 0); job; job = pf_job_table_above(&core->jobs, job->id)) {
        if (!pf_digest_is_zero(&job->run->log_digest))
            each(user, &job->run->log_digest, false);
        if (!pf_state_is_final(job->state))
            each(user, &job->order->of.model_digest, true);
    }
}
