#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/search_private.h"

enum { FEW_LIKELY = 2, MANY_LIKELY = 6, MANY_LIKELY_EFFORT = 3 };

int pf_search_effort(const pf_search *search)
{
    return (int)pf_config_int(search->config, PF_CONFIG_effort);
}

static bool offers(const pf_search *search, const pf_tactic *tactic, const pf_problem *problem)
{
    return pf_search_allows(search->config, tactic) && !pf_tactic_declines(tactic, search->device, problem);
}

const pf_tactic *pf_search_next_offer(const pf_search *search, const pf_problem *problem, bool oracles, uint32_t *at)
{
    const pf_tactic *tactic = NULL;

    while ((tactic = pf_tactic_at((*at)++)) != NULL)
        if (((tactic->flags & PF_TACTIC_ORACLE) != 0) == oracles && offers(search, tactic, problem))
            return tactic;
    return NULL;
}

static bool counts(const pf_search *search, const pf_timing_entry *entry, const pf_tactic *tactic)
{
    uint64_t limit = search->rules.workspace_limit_bytes;

    if (!entry || entry->rev != tactic->rev)
        return false;
    if ((entry->status == PF_TIMED || entry->status == PF_TIMING_DROPPED) && entry->effort < pf_search_effort(search))
        return false;
    return entry->status != PF_TIMING_OVER_LIMIT || (limit && entry->workspace_bytes > limit);
}

/* Every entry of the tactic counts, and there is one. */
static bool is_covered(const pf_search *search, const pf_timing_record *record, const pf_tactic *tactic)
{
    bool any = false;

    for (uint32_t i = 0; i < record->count; i++) {
        if (strcmp(record->entries[i].tactic, tactic->name))
            continue;
        if (!counts(search, &record->entries[i], tactic))
            return false;
        any = true;
    }
    return any;
}

pf_status pf_search_list_tunings(const pf_search *search, const pf_search_item *item, const pf_tactic *tactic,
                                 int effort, pf_tuning_list *out, pf_err *err)
{
    pf_err    own = { 0 };
    pf_status st = tactic->tunings(search->device, item->problem, effort, out, &own);

    if (st == PF_NO_SPACE)
        return pf_err_pass(err, st, &own);
    if (st) {
        pf_log(PF_LOG_WARN, "search", "no-tunings layer=\"%s\" tactic=%s reason=\"%s\"", item->layer, tactic->name,
               own.msg);
        pf_tuning_clear(out);
    }
    return PF_OK;
}

static pf_status add_candidate(pf_search_missing *out, const pf_tactic *tactic, const char *tuning, pf_err *err)
{
    pf_timing_candidate *added = NULL;

    if (pf_grow((void **)&out->items, &out->capacity, out->count + 1, sizeof *out->items))
        return PF_FAIL_MEMORY(err, (out->count + 1) * sizeof *out->items);
    added = &out->items[out->count++];
    *added = (pf_timing_candidate){ .tactic = tactic };
    snprintf(added->tuning.text, sizeof added->tuning.text, "%s", tuning);
    return PF_OK;
}

/* *listed: how many tunings the tactic has, known ones included. */
static pf_status add_missing(const pf_search *search, const pf_search_item *item, const pf_tactic *tactic, int effort,
                             pf_search_missing *out, uint32_t *listed, pf_err *err)
{
    pf_tuning_list tunings = { 0 };
    pf_status      st = pf_search_list_tunings(search, item, tactic, effort, &tunings, err);

    *listed = tunings.count;
    for (uint32_t i = 0; i < tunings.count && !st; i++) {
        if (counts(search, pf_timing_record_find(&item->record, tactic->name, tunings.items[i].text), tactic))
            continue;
        st = add_candidate(out, tactic, tunings.items[i].text, err);
    }
    pf_tuning_clear(&tunings);
    return st;
}

static bool is_listed(const pf_search_missing *list, const pf_tactic *tactic)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].tactic == tactic)
            return true;
    return false;
}

/* Of an item that is like another: what is best for that one, and where shapes vary, the best of each other tactic,
   which may take the shapes that those do not.  *found: how many there are, known ones included.  What was once timed
   is enough, so that timing the other again changes nothing here. */
static pf_status find_likely(const pf_search *search, const pf_search_item *item, pf_search_missing *out,
                             uint32_t *found, pf_err *err)
{
    const pf_choice *best = &search->items[item->like].choice;
    uint32_t         most = pf_search_effort(search) < MANY_LIKELY_EFFORT ? FEW_LIKELY : MANY_LIKELY;
    pf_status        st = PF_OK;

    *found = 0;
    for (uint32_t i = 0; i < item->record.count; i++) {
        const pf_tactic *tactic = pf_tactic_find(item->record.entries[i].tactic);

        *found += tactic && offers(search, tactic, item->problem) && counts(search, &item->record.entries[i], tactic);
    }
    for (uint32_t i = 0; i < best->count && *found == out->count && !st; i++) {
        const pf_tactic *tactic = pf_tactic_find(best->ranked[i]->tactic);

        if (!tactic || (tactic->flags & PF_TACTIC_ORACLE) || !offers(search, tactic, item->problem) ||
            (out->count >= most && (!item->varies || is_listed(out, tactic))))
            continue;
        st = add_candidate(out, tactic, best->ranked[i]->tuning, err);
        ++*found;
    }
    return st;
}

bool pf_search_any_right(const pf_timing_record *record, const pf_choose_rules *rules, pf_err *err, pf_status *st)
{
    pf_choice choice = { 0 };
    bool      any = false;

    *st = pf_choose_rank(record, rules, &choice, err);
    any = choice.count > 0;
    pf_choose_clear(&choice);
    return any;
}

pf_status pf_search_add_last_resort(const pf_search *search, const pf_search_item *item, pf_search_missing *out,
                                    pf_err *err)
{
    const pf_tactic *tactic = NULL;
    uint32_t         listed = 0;
    pf_status        st = PF_OK;

    for (uint32_t at = 0; !st && (tactic = pf_search_next_offer(search, item->problem, true, &at)) != NULL;)
        st = add_missing(search, item, tactic, pf_search_effort(search), out, &listed, err);
    return st;
}

/* Who is asked, until somebody has tunings.  A tactic may leave the problem to another that this build does not allow:
   then it is asked for all that it has, before the references' turn comes. */
typedef enum turn { USUAL, WITH_ALL, REFERENCES, TURNS } turn;

/* A record of enough effort knows all tunings of the tactics that are in it, so they need not be asked for again. */
pf_status pf_search_find_missing(const pf_search *search, pf_search_item *item, pf_search_missing *out, pf_err *err)
{
    const pf_tactic *tactic = NULL;
    const int        effort = pf_search_effort(search);
    bool             enough = item->record.effort >= effort, oracles = false;
    uint32_t         offered = 0, asked = 0, listed = 0;
    pf_status        st = item->like == PF_NONE ? PF_OK : find_likely(search, item, out, &listed, err);

    if (st || listed)
        return st;
    for (turn who = USUAL; who < TURNS && !offered && !st; who++) {
        const int more = who == WITH_ALL && effort < PF_TUNINGS_ALL_EFFORT ? PF_TUNINGS_ALL_EFFORT : effort;

        oracles = who == REFERENCES;
        for (uint32_t at = 0; !st && (tactic = pf_search_next_offer(search, item->problem, oracles, &at)) != NULL;) {
            if (enough && is_covered(search, &item->record, tactic)) {
                offered++;
                continue;
            }
            st = add_missing(search, item, tactic, more, out, &listed, err);
            offered += listed > 0;
            asked += listed > 0;
        }
    }
    item->only_oracle = oracles && offered;
    out->enumerated_all = asked == offered || enough;
    /* the last that failed ended its build before the reference's turn came */
    if (!st && !out->count && !item->only_oracle &&
        !pf_search_any_right(&item->record, &search->rules, err, &st) && !st)
        st = pf_search_add_last_resort(search, item, out, err);
    return st;
}
