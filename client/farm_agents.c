#include "client/farm_agents.h"

#include "client/output.h"

void pf_farm_agents_heading(pf_call *call)
{
    pf_say(call, "%-32s  %-8s  %-20s  %6s  %4s  %s\n", "AGENT", "STATE", "CLASS", "BUILDS", "FREE", "ABOUT");
}

void pf_farm_agent_say(pf_call *call, const Pf__AgentStatus *agent)
{
    pf_say(call, "%-32s  %-8s  %-20s  %6u  %4u  %s\n", agent->name, pf_agent_view_state(agent),
           agent->n_class_name ? agent->class_name[0] : "", agent->leases, agent->free, agent->health);
}
