/* Agents as the core knows them.  Internal to the core. */
#ifndef PF_COORDINATOR_AGENTS_H
#define PF_COORDINATOR_AGENTS_H

#include "coordinator/state.h"

pf_agent *pf_agents_find(const pf_core *core, const char *name);        /* NULL when unknown */
pf_agent *pf_agents_take(pf_core *core, const char *name);              /* made when unknown; NULL after pf_core_fail */
pf_agent *pf_agents_of_peer(const pf_core *core, uint64_t peer);
void      pf_agents_free(pf_core *core, pf_agent *agent);

pf_slot  *pf_agents_slot(const pf_agent *agent, const pf_class *device_class);     /* NULL when it has none */
uint64_t  pf_agents_hash(const pf_agent *agent);        /* of its name, the same in every run */
bool      pf_agents_alive(const pf_core *core, const pf_agent *agent);
bool      pf_agents_takes_jobs(const pf_core *core, const pf_agent *agent);

/* One of its builds crashed; too many make it sick.  agent may be NULL. */
void pf_agents_note_crash(pf_core *core, pf_agent *agent, uint64_t job_id);
void pf_agents_note_success(pf_core *core, pf_agent *agent);
void pf_agents_mark_sick(pf_core *core, pf_agent *agent, const char *why);
/* An operator's word. */
void pf_agents_drain(pf_core *core, pf_agent *agent, bool resume);

/* A new process, or a new connection, of the agent: takes its old place.  False when this process was replaced
   before. */
bool pf_agents_connect(pf_core *core, pf_agent *agent, uint64_t peer, uint64_t epoch);
void pf_agents_disconnect(pf_core *core, pf_agent *agent);
/* Declares its classes anew. */
void pf_agents_declare(pf_core *core, pf_agent *agent, const Pf__Hello *hello);
void pf_agents_seen(pf_core *core, pf_agent *agent);
/* All its slots that may have room. */
void pf_agents_ready(pf_core *core, pf_agent *agent);

#endif
