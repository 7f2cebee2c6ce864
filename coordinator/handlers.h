/* What the core does with each message.  Internal to the core. */
#ifndef PF_COORDINATOR_HANDLERS_H
#define PF_COORDINATOR_HANDLERS_H

#include "coordinator/state.h"

typedef void pf_handler(pf_core *core, const pf_event *event);

/* Tables from on_client.c and on_agent.c, ended by type NONE. */
typedef struct pf_handler_row { pf_msg_type type; pf_handler *run; } pf_handler_row;
extern const pf_handler_row pf_client_handlers[], pf_agent_handlers[];

/* PF_EVENT_VERIFIED. */
void pf_core_verified(pf_core *core, const pf_event *event);

/* The signing keys and the address of HTTP, as INFO and HELLO tell them. */
Pf__SigningKey **pf_handlers_keys(const pf_core *core);

#endif
