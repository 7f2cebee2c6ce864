#include "coordinator/agents.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "coordinator/classes.h"
#include "coordinator/job.h"
#include "coordinator/rows.h"
#include "coordinator/sched.h"

pf_agent *pf_agents_find(const pf_core *core, const char *name)
{
    char key[PF_AGENT_NAME_BYTES] = "";

    if (strlen(name) >= sizeof key)
        return NULL;
    memcpy(key, name, strlen(name));
    return pf_index_find(&core->agents, key);
}

pf_agent *pf_agents_take(pf_core *core, const char *name)
{
    pf_agent *agent = pf_agents_find(core, name);

    if (agent)
        return agent;
    agent = pf_core_alloc(core, sizeof *agent);
    if (!agent)
        return NULL;
    snprintf(agent->name, sizeof agent->name, "%s", name);
    if (pf_index_add(&core->agents, agent))
        return agent;
    pf_core_fail(core);
    pf_free(agent);
    return NULL;
}

pf_agent *pf_agents_of_peer(const pf_core *core, uint64_t peer)
{
    return pf_index_find(&core->peers, &peer);
}

void pf_agents_free(pf_core *core, pf_agent *agent)
{
    for (uint32_t i = 0; i < agent->slots_count; i++)
        pf_free(agent->slot[i]);
    pf_text_drop(core, agent->builder_abi);
    pf_free(agent);
}

pf_slot *pf_agents_slot(const pf_agent *agent, const pf_class *device_class)
{
    for (uint32_t i = 0; i < agent->slots_count; i++)
        if (agent->slot[i]->device_class == device_class)
            return agent->slot[i];
    return NULL;
}

uint64_t pf_agents_hash(const pf_agent *agent)
{
    pf_digest digest = { 0 };
    uint64_t  hash = 0;

    pf_digest_of(agent->name, strlen(agent->name), &digest);
    for (int i = 0; i < 8; i++)
        hash = hash << 8 | digest.byte[i];
    return hash;
}

bool pf_agents_alive(const pf_core *core, const pf_agent *agent)
{
    return agent->peer != 0 && core->now.boot_ns - agent->seen_boot_ns < core->config.ttl_ns;
}

bool pf_agents_takes_jobs(const pf_core *core, const pf_agent *agent)
{
    return pf_agents_alive(core, agent) && !agent->drain_asked && !agent->draining && !agent->sick &&
           !agent->sick_told && core->now.boot_ns >= agent->rest_until_ns;
}

/* ---- health */

void pf_agents_mark_sick(pf_core *core, pf_agent *agent, const char *why)
{
    if (agent->sick)
        return;
    agent->sick = true;
    snprintf(agent->health, sizeof agent->health, "%s", why);
    pf_log(PF_LOG_WARN, "farm", "agent_sick agent=%s reason=\"%s\"", agent->name, why);
    pf_rows_put_agent(core, agent);
}

void pf_agents_note_crash(pf_core *core, pf_agent *agent, uint64_t job_id)
{
    if (!agent)
        return;
    for (uint32_t i = 0; i < agent->crashed_jobs_count; i++)
        if (agent->crashed_jobs[i] == job_id)
            return;
    if (agent->crashed_jobs_count < PF_SICK_JOBS_MAX)
        agent->crashed_jobs[agent->crashed_jobs_count++] = job_id;
    if (agent->crashed_jobs_count >= core->config.sick_limit)
        pf_agents_mark_sick(core, agent, "several builds crashed on it one after another");
    pf_rows_put_agent(core, agent);
}

void pf_agents_note_success(pf_core *core, pf_agent *agent)
{
    if (!agent || agent->crashed_jobs_count == 0)
        return;
    agent->crashed_jobs_count = 0;
    pf_rows_put_agent(core, agent);
}

void pf_agents_drain(pf_core *core, pf_agent *agent, bool resume)
{
    agent->drain_asked = !resume;
    if (resume) {
        agent->sick = false;
        agent->crashed_jobs_count = 0;
        agent->health[0] = 0;
        pf_agents_ready(core, agent);
    }
    pf_rows_put_agent(core, agent);
}

/* ---- connections */

static bool was_replaced(const pf_agent *agent, uint64_t epoch)
{
    for (int i = 0; i < PF_REPLACED_MAX; i++)
        if (agent->replaced[i] == epoch && epoch != 0)
            return true;
    return false;
}

bool pf_agents_connect(pf_core *core, pf_agent *agent, uint64_t peer, uint64_t epoch)
{
    if (was_replaced(agent, epoch))
        return false;
    if (agent->epoch != 0 && agent->epoch != epoch) {
        memmove(agent->replaced + 1, agent->replaced, sizeof agent->replaced - sizeof agent->replaced[0]);
        agent->replaced[0] = agent->epoch;
    }
    if (agent->peer != peer) {
        pf_agent *there = pf_agents_of_peer(core, peer);
        if (there)
            pf_agents_disconnect(core, there);
        pf_agents_disconnect(core, agent);
        agent->peer = peer;
        if (!pf_index_add(&core->peers, agent))
            pf_core_fail(core);
    }
    agent->epoch = epoch;
    pf_agents_seen(core, agent);
    return true;
}

void pf_agents_disconnect(pf_core *core, pf_agent *agent)
{
    if (agent->peer)
        pf_index_remove(&core->peers, &agent->peer);
    agent->peer = 0;
}

void pf_agents_seen(pf_core *core, pf_agent *agent)
{
    agent->seen_boot_ns = core->now.boot_ns;
    agent->seen_ns = core->now.wall_ns;
}

void pf_agents_ready(pf_core *core, pf_agent *agent)
{
    for (uint32_t i = 0; i < agent->slots_count; i++)
        if (agent->slot[i]->credit > 0)
            pf_sched_ready(core, agent->slot[i]);
}

/* ---- classes */

static void drop_slots(pf_agent *agent)
{
    for (uint32_t i = 0; i < agent->slots_count; i++) {
        pf_sched_unready(agent->slot[i]);
        pf_classes_drop_slot(agent->slot[i]);
        pf_free(agent->slot[i]);
    }
    agent->slots_count = 0;
}

static void add_slot(pf_core *core, pf_agent *agent, pf_class *device_class, uint32_t slots)
{
    pf_slot *slot = pf_core_alloc(core, sizeof *slot);

    if (!slot)
        return;
    slot->agent = agent;
    slot->device_class = device_class;
    slot->slots = slots ? slots : 1;
    for (const pf_job *job = agent->leases; job; job = job->run->agent_next)
        slot->held += job->device_class == device_class;
    slot->credit = slot->slots > slot->held ? slot->slots - slot->held : 0;
    slot->next_of_class = device_class->slots;
    device_class->slots = slot;
    agent->slot[agent->slots_count++] = slot;
    pf_sched_ready(core, slot);
}

void pf_agents_declare(pf_core *core, pf_agent *agent, const Pf__Hello *hello)
{
    drop_slots(agent);
    snprintf(agent->host, sizeof agent->host, "%s", hello->host);
    snprintf(agent->software, sizeof agent->software, "%s", hello->software);
    pf_text_set(core, &agent->builder_abi, hello->builder_abi);
    agent->draining = hello->draining;
    agent->sick_told = false;
    if (!agent->sick)
        agent->health[0] = 0;
    agent->rest_until_ns = 0;
    agent->foreign_since_ns = 0;
    for (size_t i = 0; i < hello->n_device_class && !core->failed; i++) {
        pf_class *device_class = pf_classes_declare(core, hello->device_class[i], agent->builder_abi);
        if (device_class && !pf_agents_slot(agent, device_class))
            add_slot(core, agent, device_class, hello->device_class[i]->slots);
    }
    pf_rows_put_agent(core, agent);
}
