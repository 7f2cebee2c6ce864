/* Submits: what was asked for under which id, and which jobs serve it.  Internal to the core. */
#ifndef PF_COORDINATOR_SUBMIT_H
#define PF_COORDINATOR_SUBMIT_H

#include "coordinator/state.h"

pf_submit *pf_submit_find(const pf_core *core, const uint8_t id[PF_SUBMIT_ID_BYTES]);  /* NULL when unknown */
/* An empty submit of that many items, in the index; NULL after pf_core_fail. */
pf_submit *pf_submit_new(pf_core *core, const uint8_t id[PF_SUBMIT_ID_BYTES], uint32_t items_count);
void       pf_submit_free(pf_core *core, pf_submit *submit);       /* memory only */
/* NULL: a plan whose job is forgotten. */
pf_job    *pf_submit_item_job(const pf_submit_item *item);
/* Its plan key; zero while its class is not known. */
const pf_digest *pf_submit_item_key(const pf_submit_item *item);
/* Sets the key of an item without a job. */
void       pf_submit_set_key(pf_core *core, pf_submit_item *item, const pf_digest *key);
/* Makes the item wait for the job. */
void       pf_submit_attach(pf_submit_item *item, pf_job *job);

/* Handles SUBMIT. */
void pf_submit_take(pf_core *core, const pf_event *event, const Pf__Submit *asked);
/* Plan keys that a SUBMIT would find plans for; appends plan digests to core->asked, returns how many. */
uint32_t pf_submit_ask(pf_core *core, const Pf__Submit *asked);
/* The submit loses interest; a job that nobody waits for any more is cancelled. */
void pf_submit_give_up(pf_core *core, pf_submit *submit, const char *reason);

void pf_submit_forget_job(pf_core *core, pf_job *job);  /* the job goes away */
void pf_submit_rekey_job(pf_core *core, pf_job *job);   /* its plan key has changed */
void pf_submit_move_items(pf_core *core, pf_job *from, pf_job *to);

#endif
