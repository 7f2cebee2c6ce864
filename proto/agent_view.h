/* Agents and device classes as programs read them; see job_view.h.
   Thread   any. */
#ifndef PF_PROTO_AGENT_VIEW_H
#define PF_PROTO_AGENT_VIEW_H

#include <jansson.h>

#include "proto/farm.pb-c.h"

const char *pf_agent_view_state(const Pf__AgentStatus *agent);     /* "ready", "away", "sick", "draining" */
json_t     *pf_agent_view_json(const Pf__AgentStatus *agent);
json_t     *pf_agent_view_class_json(const Pf__ClassStatus *device_class);

#endif
