#include "engine/runtime_choice.h"

#include "base/alloc.h"

/* At twice the usual batch the tunings of the usual one are mostly the best still. */
enum { FAR = 4 };

static pf_status bind_usual(const pf_plan *plan, const pf_plan_step *step, pf_problem **out)
{
    int64_t  *usual = pf_calloc(plan->symbol_count + 1, sizeof *usual);
    pf_status st = usual ? PF_OK : PF_NO_SPACE;

    for (uint32_t s = 0; s < plan->symbol_count && !st; s++)
        usual[s] = plan->symbols[s].usual;
    if (!st)
        st = pf_problem_bind(step->problem, plan->dims, usual, out, NULL);
    pf_free(usual);
    return st;
}

bool pf_runtime_is_usual(const pf_plan *plan, const int64_t *bindings)
{
    for (uint32_t s = 0; s < plan->symbol_count; s++)
        if (bindings[s] != plan->symbols[s].usual)
            return false;
    return true;
}

bool pf_runtime_is_far(const pf_plan *plan, const pf_plan_step *step, const int64_t *bindings, const pf_problem *p)
{
    pf_problem *usual = NULL;
    double      flops = 0, usual_flops = 0, bytes = 0;

    if (pf_problem_is_bound(step->problem) || pf_runtime_is_usual(plan, bindings) || bind_usual(plan, step, &usual))
        return false;
    pf_problem_cost(p, &flops, &bytes);
    pf_problem_cost(usual, &usual_flops, &bytes);
    pf_problem_free(usual);
    return flops > FAR * usual_flops || usual_flops > FAR * flops;
}

bool pf_runtime_keeps_constants(const pf_plan *plan, const pf_plan_step *step)
{
    for (uint32_t i = 0; i < step->problem->graph->input_count; i++)
        if (step->problem->in_constant[i] && plan->values[step->in[i]].index == PF_NONE)
            return false;
    return true;
}

bool pf_runtime_may_retune(const pf_plan *plan, const pf_plan_step *step, uint32_t candidate)
{
    const pf_tactic *tactic = pf_tactic_find(step->ranked[candidate].tactic);

    return pf_runtime_keeps_constants(plan, step) ||
           (!candidate && tactic && tactic->flags & PF_TACTIC_PACKS_ONE_WAY);
}

char *pf_runtime_first_guess(const pf_device *device, const pf_tactic *tactic, const pf_problem *p)
{
    pf_tuning_list list = { 0 };
    char          *text = NULL;

    if (!tactic->tunings(device, p, 0, &list, NULL) && list.count)
        text = pf_strdup(list.items[0].text);
    pf_tuning_clear(&list);
    return text;
}
