#include "engine/builder_alternatives.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum { EFFORT = 1 };            /* at which tactics are asked for more tunings than their first */

static bool is_listed(const pf_alternatives *list, const char *tactic, const char *tuning)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (!strcmp(list->items[i].tactic, tactic) && !strcmp(list->items[i].tuning, tuning))
            return true;
    return false;
}

static pf_status add(const pf_search *search, const pf_search_item *item, pf_alternatives *list,
                     const pf_timing_entry *entry, pf_err *err)
{
    if (is_listed(list, entry->tactic, entry->tuning) || pf_search_bans(search, item, entry->tactic, entry->tuning))
        return PF_OK;
    if (pf_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items))
        return PF_FAIL_MEMORY(err, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = *entry;
    return PF_OK;
}

static pf_status add_ranked(const pf_search *search, const pf_search_item *item, bool oracles, pf_alternatives *list,
                            pf_err *err)
{
    const pf_choice *choice = &item->choice;
    pf_status        st = PF_OK;

    for (uint32_t i = 0; i < choice->count && !st; i++) {
        const pf_tactic *tactic = pf_tactic_find(choice->ranked[i]->tactic);

        if (tactic && ((tactic->flags & PF_TACTIC_ORACLE) != 0) == oracles)
            st = add(search, item, list, choice->ranked[i], err);
    }
    return st;
}

static pf_status add_tunings(const pf_search *search, const pf_search_item *item, const pf_tactic *tactic,
                             pf_alternatives *list, pf_err *err)
{
    pf_tuning_list  tunings = { 0 };
    pf_timing_entry entry = { .rev = tactic->rev };
    pf_status       st = PF_OK;

    if (tactic->tunings(search->device, item->problem, EFFORT, &tunings, NULL))      /* it has none after all */
        pf_tuning_clear(&tunings);
    snprintf(entry.tactic, sizeof entry.tactic, "%s", tactic->name);
    for (uint32_t i = 0; i < tunings.count && !st; i++) {
        snprintf(entry.tuning, sizeof entry.tuning, "%s", tunings.items[i].text);
        st = add(search, item, list, &entry, err);
    }
    pf_tuning_clear(&tunings);
    return st;
}

static pf_status add_takers(const pf_search *search, const pf_search_item *item, bool oracles, pf_alternatives *list,
                            pf_err *err)
{
    const pf_tactic *tactic = NULL;
    pf_status        st = PF_OK;

    for (uint32_t i = 0; (tactic = pf_tactic_at(i)) != NULL && !st; i++)
        if (((tactic->flags & PF_TACTIC_ORACLE) != 0) == oracles && pf_search_allows(search->config, tactic) &&
            !pf_tactic_declines(tactic, search->device, item->problem))
            st = add_tunings(search, item, tactic, list, err);
    return st;
}

pf_status pf_builder_alternatives(const pf_draft *draft, uint32_t step, pf_alternatives *out, pf_err *err)
{
    const pf_search      *search = draft->formats->search;
    const pf_search_item *item = &search->items[draft->step_item[step]];
    pf_status             st = PF_OK;

    *out = (pf_alternatives){ 0 };
    for (int oracles = 0; oracles < 2 && !st; oracles++) {
        st = add_ranked(search, item, oracles, out, err);
        if (!st)
            st = add_takers(search, item, oracles, out, err);
    }
    return st;
}

void pf_builder_alternatives_clear(pf_alternatives *alternatives)
{
    pf_free(alternatives->items);
    *alternatives = (pf_alternatives){ 0 };
}
