#include "engine/builder_range.h"

#include <string.h>

#include "engine/precompile_list.h"

enum { ENDS = 2 };

/* The least and the most sizes; NULL: the usual ones, which it was made for. */
static const int64_t *end_of(const pf_draft *d, int index)
{
    const pf_profile *profile = d->formats->profile;
    const int64_t    *end = index ? profile->most : profile->least;

    return memcmp(end, profile->usual, profile->count * sizeof *end) ? end : NULL;
}

static bool serves(const pf_draft *d, pf_device *device, const pf_plan_step *step, const int64_t *bindings,
                   const pf_step *usual)
{
    const pf_tactic *tactic = usual->tactic;
    pf_problem      *bound = NULL;
    pf_step         *prepared = NULL;
    bool             does = !pf_problem_bind(step->problem, d->formats->graph->dims, bindings, &bound, NULL) &&
                            !pf_tactic_declines(tactic, device, bound) &&
                            !tactic->prepare(device, bound, step->ranked[0].tuning, step->saved, step->saved_bytes,
                                             &prepared, NULL) &&
                            prepared->packed_bytes == usual->packed_bytes;

    pf_step_free(prepared);
    pf_problem_free(bound);
    return does;
}

bool pf_builder_range_serves(const pf_draft *draft, pf_device *device, const pf_plan_step *step,
                             const pf_step *prepared)
{
    bool does = true;

    for (int i = 0; i < ENDS && does && !pf_problem_is_bound(step->problem); i++)
        does = !end_of(draft, i) || serves(draft, device, step, end_of(draft, i), prepared);
    return does;
}

static void add_step(pf_precompile_list *list, const pf_draft *d, pf_device *device, const pf_plan_step *step)
{
    const pf_tactic *tactic = pf_tactic_find(step->ranked[0].tactic);

    if (pf_problem_is_bound(step->problem) || !pf_problem_has_constants(step->problem) || !tactic->pack ||
        !pf_precompile_list_takes(tactic) || pf_tactic_declines(tactic, device, step->problem))
        return;
    for (int i = 0; i < ENDS; i++) {
        pf_problem *bound = NULL;

        if (end_of(d, i) && !pf_problem_bind(step->problem, d->formats->graph->dims, end_of(d, i), &bound, NULL) &&
            !pf_tactic_declines(tactic, device, bound))
            pf_precompile_list_add(list, bound, tactic, step->ranked[0].tuning);
        else
            pf_problem_free(bound);
    }
}

uint32_t pf_builder_range_compile(const pf_draft *draft, pf_device *device)
{
    pf_precompile_list list = { 0 };
    uint32_t           count = 0;

    for (uint32_t s = 0; s < draft->plan.step_count; s++)
        add_step(&list, draft, device, &draft->plan.steps[s]);
    pf_precompile_list_run(&list, device);
    count = list.count;
    pf_precompile_list_clear(&list);
    return count;
}
