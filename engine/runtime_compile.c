#include "engine/runtime_compile.h"

#include "base/alloc.h"
#include "engine/precompile_list.h"
#include "engine/runtime_choice.h"

/* The first of the ranked that takes the problem, as it will be prepared; NULL when none does. */
static const pf_plan_candidate *choice_for(const pf_device *device, const pf_plan_step *step, const pf_problem *p,
                                           const pf_tactic **tactic)
{
    for (uint32_t i = 0; i < step->ranked_count; i++) {
        *tactic = pf_tactic_find(step->ranked[i].tactic);
        if (*tactic && (*tactic)->rev == step->ranked[i].rev && !pf_tactic_declines(*tactic, device, p))
            return &step->ranked[i];
    }
    return NULL;
}

/* With which tuning it will be tried first.  From pf_alloc. */
static char *first_tuning(const pf_plan *plan, const pf_device *device, const pf_plan_step *step,
                          const pf_plan_candidate *choice, const pf_tactic *tactic, const int64_t *bindings,
                          const pf_problem *p)
{
    bool guesses = pf_runtime_is_far(plan, step, bindings, p) &&
                   pf_runtime_may_retune(plan, step, (uint32_t)(choice - step->ranked));

    return guesses ? pf_runtime_first_guess(device, tactic, p) : pf_strdup(choice->tuning);
}

/* Whatever is wrong with a step is said when it is prepared. */
static void add_step(pf_precompile_list *list, const pf_plan *plan, const pf_device *device, const pf_plan_step *step,
                     const int64_t *bindings)
{
    const pf_plan_candidate *choice = NULL;
    const pf_tactic         *tactic = NULL;
    pf_problem              *p = NULL;
    char                    *tuning = NULL;

    if (pf_problem_is_bound(step->problem) || pf_problem_bind(step->problem, plan->dims, bindings, &p, NULL))
        return;
    choice = choice_for(device, step, p, &tactic);
    if (choice && pf_precompile_list_takes(tactic))
        tuning = first_tuning(plan, device, step, choice, tactic, bindings, p);
    if (tuning)
        pf_precompile_list_add(list, p, tactic, tuning);
    else
        pf_problem_free(p);
    pf_free(tuning);
}

uint32_t pf_runtime_compile(const pf_plan *plan, pf_device *device, const int64_t *bindings)
{
    pf_precompile_list list = { 0 };
    uint32_t           count = 0;

    for (uint32_t s = 0; s < plan->step_count && !pf_runtime_is_usual(plan, bindings); s++)
        add_step(&list, plan, device, &plan->steps[s], bindings);
    pf_precompile_list_run(&list, device);
    count = list.count;
    pf_precompile_list_clear(&list);
    return count;
}
