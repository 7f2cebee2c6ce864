/* Compiling candidates ahead, on all cores, before any of them is timed alone. */
#ifndef PF_ENGINE_PRECOMPILE_H
#define PF_ENGINE_PRECOMPILE_H

#include "engine/tactic.h"

/* Borrowed. */
typedef struct pf_precompile_item {
    const pf_problem *problem;
    const pf_tactic  *tactic;
    const char       *tuning;
    uint32_t          group;            /* lower ones are compiled first */
} pf_precompile_item;

/* One that is under way.  What items point to must stay until its end.  Owned by the thread that started it. */
typedef struct pf_precompilation pf_precompilation;

/* Begins to run the tactics' compile functions in threads of its own; items whose tactic has none are passed over.  Of
   a group, and of all that need the device, the long ones are first.  What fails here fails again, with its reason,
   when it is prepared.
   Errors   NO_SPACE: also when no thread could be started. */
pf_status pf_precompile_start(pf_device *device, const pf_precompile_item *items, uint32_t count,
                              pf_precompilation **out, pf_err *err);
/* Until the groups up to that one are compiled, and all that needs the device, of whatever group: processes that begin
   and end on a device disturb what is timed there.  UINT32_MAX: until all are.
   go_on is asked now and then in the caller's thread; after a false nothing more is begun.  NULL: always.  False when
   it was. */
bool      pf_precompile_wait(pf_precompilation *running, uint32_t group, bool (*go_on)(void *user), void *user);
/* Begins nothing more, waits for what has begun, and frees.  NULL is fine. */
void      pf_precompile_end(pf_precompilation *running);

/* All three: ends early without an error when go_on says so. */
pf_status pf_precompile(pf_device *device, const pf_precompile_item *items, uint32_t count, bool (*go_on)(void *user),
                        void *user, pf_err *err);

#endif
