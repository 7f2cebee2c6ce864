#include "engine/runtime_compile.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/precompile.h"
#include "engine/runtime_choice.h"

typedef struct wanted {
    pf_precompile_item *items;      /* owned, as are their problems and tunings */
    uint32_t            count;
} wanted;

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

/* What is compiled with the device would start processes that take memory of it: a step does that itself. */
static bool is_compiled_ahead(const pf_tactic *tactic)
{
    return tactic->compile && !(tactic->flags & PF_TACTIC_COMPILES_WITH_DEVICE);
}

static bool holds(const wanted *w, const pf_problem *p, const pf_tactic *tactic, const char *tuning)
{
    for (uint32_t i = 0; i < w->count; i++)
        if (w->items[i].tactic == tactic && !strcmp(w->items[i].tuning, tuning) &&
            pf_digest_equal(&w->items[i].problem->hash, &p->hash))
            return true;
    return false;
}

/* Whatever is wrong with a step is said when it is prepared. */
static void add_step(wanted *w, const pf_plan *plan, const pf_device *device, const pf_plan_step *step,
                     const int64_t *bindings)
{
    const pf_plan_candidate *choice = NULL;
    const pf_tactic         *tactic = NULL;
    pf_problem              *p = NULL;
    char                    *tuning = NULL;

    if (pf_problem_is_bound(step->problem) || pf_problem_bind(step->problem, plan->dims, bindings, &p, NULL))
        return;
    choice = choice_for(device, step, p, &tactic);
    if (choice && is_compiled_ahead(tactic))
        tuning = pf_runtime_is_far(plan, step, bindings, p) &&
                         pf_runtime_may_retune(plan, step, (uint32_t)(choice - step->ranked))
                     ? pf_runtime_first_guess(device, tactic, p)
                     : pf_strdup(choice->tuning);
    if (tuning && !holds(w, p, tactic, tuning)) {
        w->items[w->count++] = (pf_precompile_item){ p, tactic, tuning, 0 };
        return;
    }
    pf_free(tuning);
    pf_problem_free(p);
}

static void compile(pf_device *device, const wanted *w)
{
    pf_err why = { 0 };

    if (pf_precompile(device, w->items, w->count, NULL, NULL, &why))
        pf_log(PF_LOG_WARN, "runtime", "compiling-one-by-one reason=\"%s\"", why.msg);
    if (device->ops->rest)
        device->ops->rest(device, true);
    pf_err_clear(&why);
}

uint32_t pf_runtime_compile(const pf_plan *plan, pf_device *device, const int64_t *bindings)
{
    wanted   w = { 0 };
    uint32_t count = 0;

    if (!pf_runtime_is_usual(plan, bindings))
        w.items = pf_calloc(plan->step_count + 1, sizeof *w.items);
    for (uint32_t s = 0; w.items && s < plan->step_count; s++)
        add_step(&w, plan, device, &plan->steps[s], bindings);
    if (w.count)
        compile(device, &w);
    for (uint32_t i = 0; i < w.count; i++) {
        pf_problem_free((pf_problem *)(uintptr_t)w.items[i].problem);
        pf_free((char *)(uintptr_t)w.items[i].tuning);
    }
    count = w.count;
    pf_free(w.items);
    return count;
}
