#include "builder-agent/timing_farm.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "builder-agent/renewal.h"
#include "proto/timing_remote.h"

#define LOOKUP_NS (10 * PF_NS_PER_S)
#define STORE_NS  (3 * PF_NS_PER_S)
#define AWAY_NS   (15 * PF_NS_PER_S)    /* after a request without an answer, none is made for so long */

typedef struct farm_store {
    pf_timing_store  base;              /* first, so that the store is its base */
    pf_timing_db    *db;
    pf_timing_store *local;
    pf_peer         *peer;              /* owned */
    const char      *lease_folder;      /* borrowed */
    int64_t          away_until_ns;
    uint64_t         untold;            /* merges that the farm did not hear of */
} farm_store;

static bool is_away(const farm_store *store)
{
    return pf_clock_ns() < store->away_until_ns;
}

static bool may_tell(const farm_store *store)
{
    return !is_away(store) && pf_renewal_holds(store->lease_folder);
}

static void note_failure(farm_store *store, pf_status st, const pf_err *why)
{
    if (st == PF_UNREACHABLE)
        store->away_until_ns = pf_clock_ns() + AWAY_NS;
    pf_log(PF_LOG_WARN, "timing", "farm_not_used reason=\"%s\"", why->msg);
}

/* ---- lookup */

typedef struct answers {
    farm_store       *store;
    pf_timing_batch  *batch;            /* NULL when the own db cannot be written */
    pf_timing_record *out;              /* of the own db; the farm's go in */
    bool             *known;            /* by the farm, as far as the own db knows it */
    uint32_t          learned;
} answers;

/* Whether some entry of a is not in b, or newer. Those taken on a busy device are not told to others. */
static bool has_more(const pf_timing_record *a, const pf_timing_record *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        const pf_timing_entry *there = pf_timing_record_find(b, a->entries[i].tactic, a->entries[i].tuning);
        if (!a->entries[i].contended && (!there || there->rev < a->entries[i].rev))
            return true;
    }
    return a->effort > b->effort;
}

static pf_status on_found(void *user, uint32_t index, const char *class_text, const char *problem_text,
                          const pf_timing_record *record, pf_err *err)
{
    answers *a = user;

    a->known[index] = !has_more(&a->out[index], record);
    if (!has_more(record, &a->out[index]))
        return PF_OK;
    a->learned++;
    if (a->batch && class_text[0] && problem_text[0] &&
        pf_timing_batch_merge(a->batch, class_text, problem_text, record, NULL) != PF_OK) {
        pf_timing_batch_abort(a->batch);
        a->batch = NULL;
    }
    return pf_timing_record_merge(&a->out[index], record, err);
}

/* What the own db holds and the farm does not: measured while the coordinator was away. */
static pf_status tell(farm_store *store, const pf_digest *device_class, const pf_digest *problem,
                      const pf_timing_record *record, pf_err *err)
{
    char     *class_text = NULL, *problem_text = NULL;
    pf_status st = pf_timing_db_text(store->db, PF_TABLE_CLASSES, device_class, &class_text, err);

    if (!st)
        st = pf_timing_db_text(store->db, PF_TABLE_PROBLEMS, problem, &problem_text, err);
    if (!st)
        st = pf_timing_remote_store(store->peer, class_text, problem_text, record, STORE_NS, err);
    pf_free(class_text);
    pf_free(problem_text);
    return st;
}

static void ask_farm(farm_store *store, const pf_digest *device_class, const pf_digest *problems, uint32_t count,
                     pf_timing_record *out)
{
    answers   a = { .store = store, .out = out, .known = pf_calloc(count + 1, sizeof *a.known) };
    pf_err    why = { 0 };
    pf_status st = a.known ? PF_OK : PF_FAIL_MEMORY(&why, count);

    if (!st && pf_timing_batch_begin(store->db, &a.batch, NULL))
        a.batch = NULL;
    if (!st)
        st = pf_timing_remote_lookup(store->peer, device_class, problems, count, LOOKUP_NS, on_found, &a, &why);
    if (a.batch)
        pf_timing_batch_commit(a.batch, NULL);
    for (uint32_t i = 0; i < count && (!st || st == PF_NO_SPACE); i++)  /* one that is too large holds up no other */
        if (!a.known[i] && out[i].count && may_tell(store))
            st = tell(store, device_class, &problems[i], &out[i], &why);
    if (st)
        note_failure(store, st, &why);
    else
        pf_log(PF_LOG_INFO, "timing", "farm_asked problems=%u learned=%u", count, a.learned);
    pf_free(a.known);
}

static pf_status lookup(pf_timing_store *base, const pf_digest *device_class, const pf_digest *problems, uint32_t count,
                        pf_timing_record *out, pf_err *err)
{
    farm_store *store = (farm_store *)base;
    pf_status   st = store->local->lookup(store->local, device_class, problems, count, out, err);

    if (!st && count && !is_away(store))
        ask_farm(store, device_class, problems, count, out);
    return st;
}

/* ---- merge */

static pf_status merge(pf_timing_store *base, const char *class_text, const char *problem_text,
                       const pf_timing_record *entries, pf_err *err)
{
    farm_store *store = (farm_store *)base;
    pf_err      why = { 0 };
    pf_status   st = store->local->merge(store->local, class_text, problem_text, entries, err), told = PF_OK;

    if (st)
        return st;
    if (!may_tell(store)) {
        store->untold++;
        return PF_OK;
    }
    told = pf_timing_remote_store(store->peer, class_text, problem_text, entries, STORE_NS, &why);
    if (told)
        note_failure(store, told, &why);
    store->untold += told != PF_OK;
    return PF_OK;
}

static void note_trial(pf_timing_store *base, const char *class_text, const char *problem_text,
                       const pf_timing_entry *candidate)
{
    pf_timing_store *local = ((farm_store *)base)->local;

    local->note_trial(local, class_text, problem_text, candidate);
}

static void close_store(pf_timing_store *base)
{
    farm_store *store = (farm_store *)base;

    if (store->untold)
        pf_log(PF_LOG_WARN, "timing", "farm_untold merges=%llu hint=\"told at the next build\"",
               (unsigned long long)store->untold);
    pf_peer_close(store->peer);
    pf_free(store);
}

pf_status pf_timing_farm_store(pf_timing_db *db, pf_timing_store *local, const char *coordinator,
                               const char *lease_folder, pf_timing_store **out, pf_err *err)
{
    pf_peer_options options = { .endpoint = coordinator, .role = PF_ROLE_AGENT };
    farm_store     *store = pf_calloc(1, sizeof *store);
    pf_status       st = PF_OK;

    *out = NULL;
    if (!store)
        return PF_FAIL_MEMORY(err, sizeof *store);
    st = pf_peer_open(&options, &store->peer, err);
    if (st) {
        pf_free(store);
        return st;
    }
    store->base = (pf_timing_store){ .lookup = lookup, .merge = merge, .close = close_store,
                                     .note_trial = note_trial };
    store->db = db;
    store->local = local;
    store->lease_folder = lease_folder;
    *out = &store->base;
    return PF_OK;
}
