#include "engine/search.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/search_private.h"

/* ---- Life */

bool pf_search_allows(const void *user, const pf_tactic *tactic)
{
    return pf_config_allows_tactic(user, tactic->name);
}

pf_status pf_search_open(pf_device *device, const pf_config *config, pf_timing_store *store,
                         pf_build_progress *progress, pf_search *out, pf_err *err)
{
    *out = (pf_search){ .device = device, .config = config, .store = store, .progress = progress };
    out->rules = (pf_choose_rules){ (uint64_t)pf_config_int(config, PF_CONFIG_workspace), pf_search_allows, config };
    out->by_hash = pf_map_new();
    return out->by_hash ? PF_OK : PF_FAIL_MEMORY(err, sizeof(void *));
}

void pf_search_close(pf_search *search)
{
    if (!search)
        return;
    for (uint32_t i = 0; i < search->count; i++) {
        pf_problem_free(search->items[i].problem);
        pf_free(search->items[i].layer);
        pf_timing_record_clear(&search->items[i].record);
        pf_choose_clear(&search->items[i].choice);
        pf_free(search->items[i].guesses);
    }
    pf_free(search->items);
    pf_map_free(search->by_hash);
    pf_timing_free(search->timing);
    *search = (pf_search){ 0 };
}

pf_status pf_search_add(pf_search *search, pf_problem *problem, const char *layer, uint32_t *index, pf_err *err)
{
    char            hex[PF_DIGEST_HEX_BYTES] = "";
    uint64_t        known = 0;
    pf_search_item *item = NULL;

    pf_digest_to_hex(&problem->hash, hex);
    if (pf_map_get(search->by_hash, hex, &known)) {
        *index = (uint32_t)known;
        pf_problem_free(problem);
        return PF_OK;
    }
    *index = search->count;
    if (pf_grow((void **)&search->items, &search->capacity, search->count + 1, sizeof *search->items) ||
        !pf_map_set(search->by_hash, hex, search->count)) {
        pf_problem_free(problem);
        return PF_FAIL_MEMORY(err, (search->count + 1) * sizeof *search->items);
    }
    item = &search->items[search->count++];
    *item = (pf_search_item){ .problem = problem, .layer = pf_strdup(layer), .like = PF_NONE };
    return item->layer ? PF_OK : PF_FAIL_MEMORY(err, strlen(layer));
}

void pf_search_like(pf_search *search, uint32_t index, uint32_t other)
{
    if (index + 1 == search->count && index >= search->looked_up && other < search->looked_up)
        search->items[index].like = other;
}

/* ---- One run */

static pf_status look_up(pf_search *search, pf_err *err)
{
    uint32_t          first = search->looked_up, count = search->count - first;
    pf_digest        *hashes = pf_calloc(count + 1, sizeof *hashes);
    pf_timing_record *records = pf_calloc(count + 1, sizeof *records);
    pf_status         st = hashes && records ? PF_OK : PF_FAIL_MEMORY(err, count * sizeof *records);

    for (uint32_t i = 0; i < count && !st; i++)
        hashes[i] = search->items[first + i].problem->hash;
    if (!st && count)
        st = search->store->lookup(search->store, &search->device->timing_digest, hashes, count, records, err);
    for (uint32_t i = 0; i < count && records; i++) {
        if (st)
            pf_timing_record_clear(&records[i]);
        else
            search->items[first + i].record = records[i];
    }
    pf_free(hashes);
    pf_free(records);
    return st;
}

static pf_status miss_in_replay(const pf_search_item *item, const pf_search_missing *missing, pf_err *err)
{
    char hex[PF_DIGEST_HEX_BYTES] = "";

    pf_digest_to_hex(&item->problem->hash, hex);
    return PF_FAIL(err, PF_CACHE_MISS,
                   "layer \"%s\" has no timing of %s (%s) and %u more for its problem %.16s: build once without replay",
                   item->layer, missing->items[0].tactic->name, missing->items[0].tuning.text, missing->count - 1, hex);
}

static pf_status collect_work(pf_search *search, pf_search_work *list, uint32_t *count, pf_err *err)
{
    bool      replay = pf_config_bool(search->config, PF_CONFIG_replay);
    pf_status st = PF_OK;

    for (uint32_t i = search->looked_up; i < search->count && !st; i++) {
        pf_search_work *w = &list[*count];

        *w = (pf_search_work){ .item = i };
        st = pf_search_find_missing(search, &search->items[i], &w->missing, err);
        if (!st && w->missing.count && replay)
            st = miss_in_replay(&search->items[i], &w->missing, err);
        if (w->missing.count) {
            pf_oracle_semantics(search->items[i].problem, &w->semantics);
            ++*count;
        }
    }
    return st;
}

static pf_status find_and_time(pf_search *search, pf_err *err)
{
    uint32_t        added = search->count - search->looked_up, count = 0;
    int64_t         start = pf_clock_ns();
    pf_search_work *list = pf_calloc(added + 1, sizeof *list);
    pf_status       st = list ? look_up(search, err) : PF_FAIL_MEMORY(err, added * sizeof *list);

    if (!st)
        st = collect_work(search, list, &count, err);
    pf_progress_spent(search->progress, PF_PART_LIST, start);
    if (!st) {
        search->hits += added - count;
        search->misses += count;
        search->progress->now.cache_hits = search->hits;
        search->progress->now.cache_misses = search->misses;
        search->progress->now.problems_total += added;
        search->progress->now.problems_done += added - count;
        st = pf_search_do_work(search, list, count, err);
    }
    pf_search_works_free(list, added);
    return st;
}

bool pf_search_bans(const pf_search *search, const pf_search_item *item, const char *tactic, const char *tuning)
{
    const pf_tactic *known = pf_tactic_find(tactic);

    return known && pf_bans_has(search->bans, &item->problem->hash, tactic, tuning, known->rev);
}

/* How many were. */
static uint32_t leave_out_banned(const pf_search *search, pf_search_item *item)
{
    pf_choice *choice = &item->choice;
    uint32_t   before = choice->count, kept = 0;

    for (uint32_t i = 0; i < before; i++)
        if (!pf_search_bans(search, item, choice->ranked[i]->tactic, choice->ranked[i]->tuning))
            choice->ranked[kept++] = choice->ranked[i];
    choice->count = kept;
    return before - kept;
}

static pf_status rank(pf_search *search, pf_search_item *item, pf_err *err)
{
    pf_choose_rules rules = search->rules;
    pf_status       st = PF_OK;

    rules.varies = item->varies;
    st = pf_choose_rank(&item->record, &rules, &item->choice, err);
    search->contended += !st && item->choice.contended;
    if (st || !leave_out_banned(search, item) || item->choice.count)
        return st;
    pf_choose_clear(&item->choice);
    return pf_search_guess(search, item, true, err);
}

pf_status pf_search_run(pf_search *search, pf_err *err)
{
    bool      guessing = pf_search_effort(search) == 0;
    uint32_t  contended = search->contended;
    pf_status st = guessing ? PF_OK : find_and_time(search, err);

    for (uint32_t i = search->looked_up; i < search->count && !st; i++)
        st = guessing ? pf_search_guess(search, &search->items[i], false, err) : rank(search, &search->items[i], err);
    search->looked_up = search->count;
    if (!st && search->contended > contended)
        pf_log(PF_LOG_WARN, "search",
               "contended problems=%u of=%u: the device was not quiet while these were timed, choices among them may "
               "not be the best",
               search->contended - contended, search->count);
    return st;
}

/* With nothing timed, bytes and operations stand for time: 20 GB/s and 50 GFLOP/s, the reference a hundred times
   slower. Only their order matters. */
static double guess_cost(const pf_search_item *item)
{
    double flops = 0, bytes = 0;

    pf_problem_cost(item->problem, &flops, &bytes);
    return (bytes / 20 + flops / 50) * (item->only_oracle ? 100 : 1) + 1000;
}

double pf_search_cost(const pf_search *search, uint32_t index)
{
    const pf_search_item *item = &search->items[index];

    if (!item->choice.count)
        return INFINITY;
    return pf_choose_time(item->choice.ranked[0]) ? (double)pf_choose_time(item->choice.ranked[0]) : guess_cost(item);
}

int64_t pf_search_timing_ns(const pf_search *search)
{
    pf_timing_spent spent = search->timing ? pf_timing_spent_of(search->timing) : (pf_timing_spent){ 0 };

    return spent.race_ns + spent.places_ns;
}
