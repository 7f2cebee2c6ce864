/* By what a step whose sizes vary is run, away from the sizes that its plan was timed at. */
#ifndef PF_ENGINE_RUNTIME_CHOICE_H
#define PF_ENGINE_RUNTIME_CHOICE_H

#include "engine/plan.h"

/* Are these the sizes that the plan was timed at? */
bool  pf_runtime_is_usual(const pf_plan *plan, const int64_t *bindings);
/* Is the work of p, the step's problem at these sizes, so much more or less than at the usual ones that the plan's
   tunings are no guide? */
bool  pf_runtime_is_far(const pf_plan *plan, const pf_plan_step *step, const int64_t *bindings, const pf_problem *p);
/* Has the plan the step's weights as they are? */
bool  pf_runtime_keeps_constants(const pf_plan *plan, const pf_plan_step *step);
/* Can the candidate be run with another tuning than the plan's?  Weights that the plan has packed alone are packed for
   its own. */
bool  pf_runtime_may_retune(const pf_plan *plan, const pf_plan_step *step, uint32_t candidate);
/* The tuning that its tactic would try first for p.  From pf_alloc; NULL: it names none. */
char *pf_runtime_first_guess(const pf_device *device, const pf_tactic *tactic, const pf_problem *p);

#endif
