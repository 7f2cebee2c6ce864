#include <stdio.h>

#include "base/alloc.h"
#include "engine/search_private.h"

/* The first tuning that is not banned; as many as there are when all are. */
static uint32_t first_allowed(const pf_search *search, const pf_search_item *item, const pf_tactic *tactic,
                              const pf_tuning_list *tunings)
{
    uint32_t i = 0;

    while (i < tunings->count && pf_search_bans(search, item, tactic->name, tunings->items[i].text))
        i++;
    return i;
}

static pf_status add_guess(pf_search *search, pf_search_item *item, const pf_tactic *tactic, pf_err *err)
{
    pf_tuning_list   tunings = { 0 };
    pf_timing_entry *guesses = NULL;
    pf_status        st = pf_search_list_tunings(search, item, tactic, pf_search_effort(search), &tunings, err);
    uint32_t         first = first_allowed(search, item, tactic, &tunings);

    if (!st && first < tunings.count) {
        guesses = pf_realloc(item->guesses, (item->choice.count + 1) * sizeof *guesses);
        st = guesses ? PF_OK : PF_FAIL_MEMORY(err, (item->choice.count + 1) * sizeof *guesses);
    }
    if (guesses) {
        item->guesses = guesses;
        guesses[item->choice.count] = (pf_timing_entry){ .rev = tactic->rev };
        snprintf(guesses[item->choice.count].tactic, sizeof guesses->tactic, "%s", tactic->name);
        snprintf(guesses[item->choice.count++].tuning, sizeof guesses->tuning, "%s", tunings.items[first].text);
    }
    pf_tuning_clear(&tunings);
    return st;
}

static pf_status add_guesses(pf_search *search, pf_search_item *item, bool oracles, pf_err *err)
{
    const pf_tactic *tactic = NULL;
    pf_status        st = PF_OK;

    for (uint32_t at = 0; !st && (tactic = pf_search_next_offer(search, item->problem, oracles, &at)) != NULL;)
        st = add_guess(search, item, tactic, err);
    return st;
}

pf_status pf_search_guess(pf_search *search, pf_search_item *item, bool only_oracles, pf_err *err)
{
    pf_status st = only_oracles ? PF_OK : add_guesses(search, item, false, err);

    item->only_oracle = !item->choice.count;
    if (!st)
        st = add_guesses(search, item, true, err);
    if (st || !item->choice.count)
        return st;
    item->choice.ranked = pf_calloc(item->choice.count, sizeof *item->choice.ranked);
    if (!item->choice.ranked)
        return PF_FAIL_MEMORY(err, item->choice.count * sizeof *item->choice.ranked);
    for (uint32_t i = 0; i < item->choice.count; i++)
        item->choice.ranked[i] = &item->guesses[i];
    return PF_OK;
}
