/* Agents, as the farm tells of them. */
#ifndef PF_CLIENT_FARM_AGENTS_H
#define PF_CLIENT_FARM_AGENTS_H

#include "client/verb.h"
#include "proto/farm.pb-c.h"

json_t *pf_farm_agent_json(const Pf__AgentStatus *agent);
void    pf_farm_agents_heading(pf_call *call);
void    pf_farm_agent_say(pf_call *call, const Pf__AgentStatus *agent);      /* a row below the heading */

#endif
