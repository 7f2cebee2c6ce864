#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/search_private.h"

static pf_status open_timing(pf_search *search, pf_err *err)
{
    return search->timing ? PF_OK : pf_timing_new(search->device, &search->timing, err);
}

pf_timing_arena *pf_search_arena(pf_search *search)
{
    pf_err ignored = { 0 };

    return open_timing(search, &ignored) ? NULL : pf_timing_arena_of(search->timing);
}

/* What is being timed of one computation, in whatever layouts. */
typedef struct computation { pf_oracle_ahead *ahead; pf_oracle oracle; int64_t best_ns; } computation;

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
    pf_timing_options options = { .effort = pf_search_effort(search),
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
    pf_status         st = pf_search_add_last_resort(search, item, &last, err);

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

    fresh->effort = enumerated_all && !filtered ? (uint8_t)pf_search_effort(search) : 0;
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
    if (!st && !item->only_oracle && !pf_search_any_right(&both, &search->rules, err, &st) && !st)
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

static pf_status expect(pf_search *search, const pf_search_work *w, computation *c, pf_err *err)
{
    int64_t   start = pf_clock_ns();
    pf_status st = PF_OK;

    pf_oracle_clear(&c->oracle);
    c->best_ns = 0;
    if (w->answer == PF_NONE || !pf_oracle_ahead_take(c->ahead, w->answer, &c->oracle))
        st = pf_oracle_make(search->items[w->item].problem, &c->oracle, err);
    c->oracle.semantics = w->semantics;
    pf_progress_spent(search->progress, PF_PART_EXPECT, start);
    return st;
}

static pf_status do_item(pf_search *search, const pf_search_work *w, computation *c, pf_err *err)
{
    pf_search_item *item = &search->items[w->item];
    pf_status       st = PF_OK;

    search->progress->now.layer = item->layer;
    if (!pf_progress_tick(search->progress))
        return PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
    if (!c->oracle.in || !pf_digest_equal(&c->oracle.semantics, &w->semantics))
        st = expect(search, w, c, err);
    if (!st)
        st = time_item(search, item, c, &w->missing, err);
    search->progress->now.problems_done++;
    search->progress->now.candidates_timed = search->candidates_timed;
    if (st)
        pf_err_at(err, item->layer);
    return st ? pf_err_add(err, st, "layer \"%s\"", item->layer) : PF_OK;
}

pf_status pf_search_do_work(pf_search *search, pf_search_work *list, uint32_t count, pf_err *err)
{
    computation        c = { 0 };
    pf_precompilation *compilers = NULL;
    pf_status          st = PF_OK;

    if (!count)
        return PF_OK;
    pf_search_put_in_turn(list, count);
    st = open_timing(search, err);      /* before those who compile with the device take memory of it as they come */
    if (!st)
        st = pf_search_compile(search, list, count, &compilers, err);
    if (!st)
        pf_search_expect(search, list, count, &c.ahead);
    for (uint32_t i = 0; i < count && !st; i++)
        if (!pf_search_wait(search, compilers, i))
            st = PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
        else
            st = do_item(search, &list[i], &c, err);
    pf_oracle_ahead_end(c.ahead);
    pf_precompile_end(compilers);
    pf_oracle_clear(&c.oracle);
    return st;
}
