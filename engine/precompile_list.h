/* Candidates that are to be compiled ahead, each once: what is generated for equal problems is the same. */
#ifndef PF_ENGINE_PRECOMPILE_LIST_H
#define PF_ENGINE_PRECOMPILE_LIST_H

#include "engine/precompile.h"

typedef struct pf_precompile_list {
    pf_precompile_item *items;          /* owned, as are their problems and tunings */
    uint32_t            count, capacity;
} pf_precompile_list;

/* Would the device compile it in processes that need no device?  What needs one would take memory of it: a step does
   that itself. */
bool pf_precompile_list_takes(const pf_tactic *tactic);
/* Takes the problem.  What there is no memory for, or is listed already, is left out. */
void pf_precompile_list_add(pf_precompile_list *list, pf_problem *problem, const pf_tactic *tactic,
                            const char *tuning);
/* Compiles all that is listed; the device keeps what comes.  What fails fails again, with its reason, when it is
   prepared.
   Thread   one at a time for a device. */
void pf_precompile_list_run(const pf_precompile_list *list, pf_device *device);
void pf_precompile_list_clear(pf_precompile_list *list);

#endif
