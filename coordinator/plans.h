/* Plans that were committed.  Internal to the core. */
#ifndef PF_COORDINATOR_PLANS_H
#define PF_COORDINATOR_PLANS_H

#include "coordinator/selector.h"
#include "coordinator/state.h"

pf_plan *pf_plans_find(const pf_core *core, const pf_digest *plan_key);     /* NULL when there is none */
/* Adds the plan that a signed manifest describes; NULL after pf_core_fail or when the text is no manifest. */
pf_plan *pf_plans_add(pf_core *core, const char *manifest, uint64_t job_id);
/* Somebody asked for it. */
void     pf_plans_use(pf_core *core, pf_plan *plan);
/* Every hour: forgets plans for which nobody asked for long, and which no job or submit that is remembered names. */
void     pf_plans_expire(pf_core *core);
/* Signs plans anew, the newest first, that lack a signature by one of the keys, or all when the newest one's do not
   hold; for keys that were added or taken away while the coordinator was down.  Very many take several starts. */
void     pf_plans_sign(pf_core *core, const pf_signing_key *keys, uint32_t keys_count);
/* Its bytes are gone: forgets it, row and all. */
void     pf_plans_drop(pf_core *core, pf_plan *plan);
void     pf_plans_free(pf_core *core, pf_plan *plan);   /* memory only */

/* Plans that a lookup means, newest first, at most limit; returns how many.  They are of the class that the selector
   means or, where that has none, of the one it means among those that have; none when it is ambiguous, as selection
   then says. */
uint32_t pf_plans_match(const pf_core *core, const Pf__PlanLookup *lookup, uint32_t limit, pf_plan **out,
                        pf_selection *selection);

/* The plan that the lookup goes on behind; NULL when it names none, or one that is gone. */
pf_plan *pf_plans_before(const pf_core *core, const Pf__PlanLookup *lookup);

/* Why a lookup found none: the model has plans of other classes or options, or its name is mistyped. */
void     pf_plans_explain(const pf_core *core, const Pf__PlanLookup *lookup, char *out, size_t capacity);

#endif
