#include "engine/precompile_list.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

bool pf_precompile_list_takes(const pf_tactic *tactic)
{
    return tactic->compile && !(tactic->flags & PF_TACTIC_COMPILES_WITH_DEVICE);
}

static bool holds(const pf_precompile_list *list, const pf_problem *problem, const pf_tactic *tactic,
                  const char *tuning)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].tactic == tactic && !strcmp(list->items[i].tuning, tuning) &&
            pf_digest_equal(&list->items[i].problem->hash, &problem->hash))
            return true;
    return false;
}

void pf_precompile_list_add(pf_precompile_list *list, pf_problem *problem, const pf_tactic *tactic,
                            const char *tuning)
{
    char *copy = holds(list, problem, tactic, tuning) ? NULL : pf_strdup(tuning);

    if (copy && !pf_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items)) {
        list->items[list->count++] = (pf_precompile_item){ problem, tactic, copy, 0 };
        return;
    }
    pf_free(copy);
    pf_problem_free(problem);
}

void pf_precompile_list_run(const pf_precompile_list *list, pf_device *device)
{
    pf_err why = { 0 };

    if (!list->count)
        return;
    if (pf_precompile(device, list->items, list->count, NULL, NULL, &why))
        pf_log(PF_LOG_WARN, "precompile", "one-by-one reason=\"%s\"", why.msg);
    if (device->ops->rest)
        device->ops->rest(device, true);
    pf_err_clear(&why);
}

void pf_precompile_list_clear(pf_precompile_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        pf_problem_free((pf_problem *)(uintptr_t)list->items[i].problem);
        pf_free((char *)(uintptr_t)list->items[i].tuning);
    }
    pf_free(list->items);
    *list = (pf_precompile_list){ 0 };
}
