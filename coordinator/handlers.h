/* What the core does with each message.  Internal to the core. */
#ifndef PF_COORDINATOR_HANDLERS_H
#define PF_COORDINATOR_HANDLERS_H

#include "coordinator/state.h"

typedef void pf_handler(pf_core *core, const pf_event *event);

/* Tables from on_client.c, on_agent.c and on_result.c, ended by type NONE. */
typedef struct pf_handler_row { pf_msg_type type; pf_handler *run; } pf_handler_row;
extern const pf_handler_row pf_client_handlers[], pf_agent_handlers[], pf_result_handlers[];

/* The agent behind a message, after it said HELLO; else it is told to, and NULL. */
pf_agent *pf_handlers_agent(pf_core *core, const pf_event *event);
/* The job whose current lease is meant; NULL when it is not (any more) this agent's. */
pf_job   *pf_handlers_leased(const pf_core *core, const pf_agent *agent, uint64_t job_id, uint32_t attempt,
                             uint64_t fence);

/* PF_EVENT_VERIFIED. */
void pf_core_verified(pf_core *core, const pf_event *event);

/* The signing keys and the address of HTTP, as INFO and HELLO tell them. */
Pf__SigningKey **pf_handlers_keys(const pf_core *core);

#endif
