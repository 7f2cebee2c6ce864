#include "engine/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/search_work.h"

enum { FEW_LIKELY = 2, MANY_LIKELY = 6, MANY_LIKELY_EFFORT = 3 };

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

/* ---- What is missing */

static int effort_of(const pf_search *search)
{
    return (int)pf_config_int(search->config, PF_CONFIG_effort);
}

static bool offers(const pf_search *search, const pf_tactic *tactic, const pf_problem *problem)
{
    return pf_search_allows(search->config, tactic) && !pf_tactic_declines(tactic, search->device, problem);
}

static const pf_tactic *next_offer(const pf_search *search, const pf_problem *problem, bool oracles, uint32_t *at)
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
    if ((entry->status == PF_TIMED || entry->status == PF_TIMING_DROPPED) && entry->effort < effort_of(search))
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

/* A tactic that takes a problem and then finds no way to do it costs the build nothing but that tactic. */
static pf_status list_tunings(const pf_search *search, const pf_search_item *item, const pf_tactic *tactic,
                              pf_tuning_list *out, pf_err *err)
{
    pf_err    own = { 0 };
    pf_status st = tactic->tunings(search->device, item->problem, effort_of(search), out, &own);

    if (st == PF_NO_SPACE)
        return pf_err_set(err, st, own.file, own.line, "%s", own.msg);
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
static pf_status add_missing(const pf_search *search, const pf_search_item *item, const pf_tactic *tactic,
                             pf_search_missing *out, uint32_t *listed, pf_err *err)
{
    pf_tuning_list tunings = { 0 };
    pf_status      st = list_tunings(search, item, tactic, &tunings, err);

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
    uint32_t         most = effort_of(search) < MANY_LIKELY_EFFORT ? FEW_LIKELY : MANY_LIKELY;
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

static bool any_right(const pf_timing_record *record, const pf_choose_rules *rules, pf_err *err, pf_status *st)
{
    pf_choice choice = { 0 };
    bool      any = false;

    *st = pf_choose_rank(record, rules, &choice, err);
    any = choice.count > 0;
    pf_choose_clear(&choice);
    return any;
}

/* When all tactics failed, the reference is what is left, and its time must be known too. */
static pf_status add_last_resort(const pf_search *search, const pf_search_item *item, pf_search_missing *out,
                                 pf_err *err)
{
    const pf_tactic *tactic = NULL;
    uint32_t         listed = 0;
    pf_status        st = PF_OK;

    for (uint32_t at = 0; !st && (tactic = next_offer(search, item->problem, true, &at)) != NULL;)
        st = add_missing(search, item, tactic, out, &listed, err);
    return st;
}

/* A record of enough effort knows all tunings of the tactics that are in it, so they need not be asked for again. */
static pf_status find_missing(const pf_search *search, pf_search_item *item, pf_search_missing *out, pf_err *err)
{
    const pf_tactic *tactic = NULL;
    bool             enough = item->record.effort >= effort_of(search), oracles = false;
    uint32_t         offered = 0, asked = 0, listed = 0;
    pf_status        st = item->like == PF_NONE ? PF_OK : find_likely(search, item, out, &listed, err);

    if (st || listed)
        return st;
    for (int pass = 0; pass < 2 && !offered && !st; pass++) {
        oracles = pass == 1;
        for (uint32_t at = 0; !st && (tactic = next_offer(search, item->problem, oracles, &at)) != NULL;) {
            if (enough && is_covered(search, &item->record, tactic)) {
                offered++;
                continue;
            }
            st = add_missing(search, item, tactic, out, &listed, err);
            offered += listed > 0;
            asked += listed > 0;
        }
    }
    item->only_oracle = oracles && offered;
    out->enumerated_all = asked == offered || enough;
    /* the last that failed ended its build before the reference's turn came */
    if (!st && !out->count && !item->only_oracle && !any_right(&item->record, &search->rules, err, &st) && !st)
        st = add_last_resort(search, item, out, err);
    return st;
}

/* ---- Timing */

static pf_status open_timing(pf_search *search, pf_err *err)
{
    return search->timing ? PF_OK : pf_timing_new(search->device, &search->timing, err);
}

/* What is being timed of one computation, in whatever layouts. */
typedef struct computation { pf_oracle oracle; int64_t best_ns; } computation;

static void note_best(computation *c, const pf_timing_record *record)
{
    for (uint32_t i = 0; i < record->count; i++)
        if (record->entries[i].status == PF_TIMED && (!c->best_ns || record->entries[i].min_ns < c->best_ns))
            c->best_ns = record->entries[i].min_ns;
}

static void note_spent(const pf_search *search, const pf_timing_spent *before)
{
    pf_timing_spent now = pf_timing_spent_of(search->timing);

    search->progress->spent_ns[PF_PART_RACE] += now.race_ns - before->race_ns;
    search->progress->spent_ns[PF_PART_PLACES] += now.places_ns - before->places_ns;
    search->progress->spent_ns[PF_PART_READY] += now.ready_ns - before->ready_ns;
    search->progress->spent_ns[PF_PART_CHECK] += now.check_ns - before->check_ns;
}

static pf_status measure(pf_search *search, pf_search_item *item, computation *c, const pf_search_missing *missing,
                         pf_timing_record *out, pf_err *err)
{
    pf_timing_options options = { .effort = effort_of(search),
                                  .workspace_limit_bytes = search->rules.workspace_limit_bytes,
                                  .best_known_ns = c->best_ns, .store = search->store,
                                  .go_on = pf_progress_tick, .user = search->progress };
    pf_status         st = open_timing(search, err);
    pf_timing_spent   before = { 0 };

    if (!st) {
        before = pf_timing_spent_of(search->timing);
        st = pf_timing_measure(search->timing, item->problem, &c->oracle, missing->items, missing->count, &options, out,
                               err);
        note_spent(search, &before);
    }
    search->candidates_timed += missing->count;
    note_best(c, out);
    return st;
}

static pf_status measure_last_resort(pf_search *search, pf_search_item *item, computation *c, pf_timing_record *fresh,
                                     pf_err *err)
{
    pf_search_missing last = { 0 };
    pf_status         st = add_last_resort(search, item, &last, err);

    if (!st && last.count)
        st = measure(search, item, c, &last, fresh, err);
    pf_free(last.items);
    return st;
}

static pf_status store_fresh(pf_search *search, pf_search_item *item, pf_timing_record *fresh, bool enumerated_all,
                             pf_err *err)
{
    bool      filtered = pf_config_value(search->config, PF_CONFIG_tactics)[0] != 0;
    pf_status st = PF_OK;

    fresh->effort = enumerated_all && !filtered ? (uint8_t)effort_of(search) : 0;
    st = pf_timing_record_merge(&item->record, fresh, err);
    if (!st && item->record.effort < fresh->effort)
        item->record.effort = fresh->effort;
    return st ? st : search->store->merge(search->store, search->device->timing_text, item->problem->text, fresh, err);
}

/* A candidate that fails costs the build nothing, but somebody may want to know. */
static void note_failures(const pf_search_item *item, const pf_timing_record *fresh, pf_err *err)
{
    static const struct { pf_timing_status status; pf_status says; } failures[] = {
        { PF_TIMING_FAILED, PF_BUILD_FAILED }, { PF_TIMING_WRONG, PF_MISMATCH }, { PF_TIMING_OVER_LIMIT, PF_NO_SPACE },
        { PF_TIMING_TIMEOUT, PF_TIMEOUT },
    };

    for (uint32_t i = 0; i < fresh->count; i++)
        for (size_t f = 0; f < sizeof failures / sizeof failures[0]; f++)
            if (fresh->entries[i].status == failures[f].status)
                pf_err_note(err, failures[f].says, item->layer, "candidate %s %s: %s", fresh->entries[i].tactic,
                            fresh->entries[i].tuning, fresh->entries[i].reason);
}

static pf_status time_item(pf_search *search, pf_search_item *item, computation *c, const pf_search_missing *missing,
                           pf_err *err)
{
    pf_timing_record fresh = { 0 }, both = { 0 };
    pf_status        st = measure(search, item, c, missing, &fresh, err);

    if (!st)
        st = pf_timing_record_merge(&both, &item->record, err);
    if (!st)
        st = pf_timing_record_merge(&both, &fresh, err);
    if (!st && !item->only_oracle && !any_right(&both, &search->rules, err, &st) && !st)
        st = measure_last_resort(search, item, c, &fresh, err);
    if (!st)
        st = store_fresh(search, item, &fresh, missing->enumerated_all, err);
    else if (st == PF_DEVICE && fresh.count)    /* the next build is to know who broke it */
        (void)store_fresh(search, item, &fresh, false, NULL);
    note_failures(item, &fresh, err);
    pf_timing_record_clear(&fresh);
    pf_timing_record_clear(&both);
    return st;
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
        st = find_missing(search, &search->items[i], &w->missing, err);
        if (!st && w->missing.count && replay)
            st = miss_in_replay(&search->items[i], &w->missing, err);
        if (w->missing.count) {
            pf_oracle_semantics(search->items[i].problem, &w->semantics);
            ++*count;
        }
    }
    return st;
}

static pf_status do_item(pf_search *search, pf_search_work *w, computation *c, pf_err *err)
{
    pf_search_item *item = &search->items[w->item];
    pf_status       st = PF_OK;

    search->progress->now.layer = item->layer;
    if (!pf_progress_tick(search->progress))
        return PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
    if (!c->oracle.in || !pf_digest_equal(&c->oracle.semantics, &w->semantics)) {
        int64_t start = pf_clock_ns();

        pf_oracle_clear(&c->oracle);
        c->best_ns = 0;
        c->oracle = w->expected;
        w->expected = (pf_oracle){ 0 };
        if (!c->oracle.in)
            st = pf_oracle_make(item->problem, &c->oracle, err);
        pf_progress_spent(search->progress, PF_PART_EXPECT, start);
    }
    if (!st)
        st = time_item(search, item, c, &w->missing, err);
    search->progress->now.problems_done++;
    search->progress->now.candidates_timed = search->candidates_timed;
    if (st)
        pf_err_at(err, item->layer);
    return st ? pf_err_add(err, st, "layer \"%s\"", item->layer) : PF_OK;
}

static pf_status do_work(pf_search *search, pf_search_work *list, uint32_t count, pf_err *err)
{
    computation        c = { 0 };
    pf_precompilation *compilers = NULL;
    pf_status          st = PF_OK;

    if (!count)
        return PF_OK;
    pf_search_put_in_turn(list, count);
    st = pf_search_compile(search, list, count, &compilers, err);
    for (uint32_t i = 0; i < count && !st; i++)
        if (!pf_search_wait(search, compilers, list, count, i))
            st = PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
        else
            st = do_item(search, &list[i], &c, err);
    pf_precompile_end(compilers);
    pf_oracle_clear(&c.oracle);
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
        st = do_work(search, list, count, err);
    }
    pf_search_works_free(list, added);
    return st;
}

bool pf_search_bans(const pf_search *search, const pf_search_item *item, const char *tactic, const char *tuning)
{
    const pf_tactic *known = pf_tactic_find(tactic);

    return known && pf_bans_has(search->bans, &item->problem->hash, tactic, tuning, known->rev);
}

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
    pf_status        st = list_tunings(search, item, tactic, &tunings, err);
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

    for (uint32_t at = 0; !st && (tactic = next_offer(search, item->problem, oracles, &at)) != NULL;)
        st = add_guess(search, item, tactic, err);
    return st;
}

/* Tactics that take the problem, each with one tuning; their times are unknown. */
static pf_status guess(pf_search *search, pf_search_item *item, bool only_oracles, pf_err *err)
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
    return guess(search, item, true, err);
}

pf_status pf_search_run(pf_search *search, pf_err *err)
{
    bool      guessing = effort_of(search) == 0;
    uint32_t  contended = search->contended;
    pf_status st = guessing ? PF_OK : find_and_time(search, err);

    for (uint32_t i = search->looked_up; i < search->count && !st; i++)
        st = guessing ? guess(search, &search->items[i], false, err) : rank(search, &search->items[i], err);
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
