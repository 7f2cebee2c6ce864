/* Agents, as the farm tells of them. */
#ifndef PF_CLIENT_FARM_AGENTS_H
#define PF_CLIENT_FARM_AGENTS_H

#include "client/verb.h"
#include "proto/agent_view.h"

void    pf_farm_agents_heading(pf_call *call);
void    pf_farm_agent_say(pf_call *call, const Pf__AgentStatus *agent);      /* a row below the heading */

#endif
