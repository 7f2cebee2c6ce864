/* What clients ask of agents and device classes: pages of both lists, and drain.  Internal to the core. */
#ifndef PF_COORDINATOR_AGENT_LIST_H
#define PF_COORDINATOR_AGENT_LIST_H

#include "coordinator/state.h"

/* AGENTS. */
void pf_agent_list_answer(pf_core *core, const pf_event *event);
/* DRAIN. */
void pf_agent_list_drain(pf_core *core, const pf_event *event);

#endif
