/* Compiling candidates ahead, on all cores, before any of them is timed alone. */
#ifndef PF_ENGINE_PRECOMPILE_H
#define PF_ENGINE_PRECOMPILE_H

#include "engine/tactic.h"

/* Borrowed. */
typedef struct pf_precompile_item {
    const pf_problem *problem;
    const pf_tactic  *tactic;
    const char       *tuning;
} pf_precompile_item;

/* Runs the tactics' compile functions, those that take long first; items whose tactic has none are passed over (and
   dropped from the array), the others put into another order. What
   fails here fails again, with its reason, when it is prepared.
   go_on is asked now and then in the caller's thread; false ends early.  NULL: always.
   Errors   NO_SPACE: no thread could be started. */
pf_status pf_precompile(pf_device *device, pf_precompile_item *items, uint32_t count, bool (*go_on)(void *user),
                        void *user, pf_err *err);

#endif
