/* A timing db as the home of one build's timings. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cache/timing_db.h"

typedef struct db_store {
    pf_timing_store  base;          /* first, so that the store is its base */
    pf_timing_db    *db;            /* borrowed */
    pf_timing_store *unstored;      /* what could not be written; NULL while all could */
    pf_err           warning;       /* why */
} db_store;

static pf_status add_unstored(db_store *store, const pf_digest *device_class, const pf_digest *problem,
                              pf_timing_record *record, pf_err *err)
{
    pf_timing_record more = {0};
    pf_status        status = store->unstored->lookup(store->unstored, device_class, problem, 1, &more, err);

    if (!status)
        status = pf_timing_record_merge(record, &more, err);
    pf_timing_record_clear(&more);
    return status;
}

static pf_status lookup(pf_timing_store *base, const pf_digest *device_class, const pf_digest *problems, uint32_t count,
                        pf_timing_record *out, pf_err *err)
{
    db_store *store = (db_store *)base;
    pf_status status = pf_timing_db_lookup(store->db, device_class, problems, count, out, err);

    if (status || !store->unstored)
        return status;
    for (uint32_t i = 0; i < count && !status; i++)
        status = add_unstored(store, device_class, &problems[i], &out[i], err);
    for (uint32_t i = 0; status && i < count; i++)
        pf_timing_record_clear(&out[i]);
    return status;
}

/* Whether a failed write says something about the disk rather than about what was to be written. */
static bool is_about_storage(pf_status status)
{
    return status == PF_NO_SPACE || status == PF_IO || status == PF_DENIED || status == PF_STALE || status == PF_CORRUPT
        || status == PF_BUSY;
}

static pf_status keep(db_store *store, const pf_err *why, pf_err *err)
{
    if (store->unstored)
        return PF_OK;
    store->warning = *why;
    pf_log(PF_LOG_WARN, "timing_db", "not_stored reason=\"%s\"", why->msg);
    return pf_timing_store_memory(&store->unstored, err);
}

static pf_status merge(pf_timing_store *base, const char *class_text, const char *problem_text,
                       const pf_timing_record *entries, pf_err *err)
{
    db_store *store = (db_store *)base;
    pf_err    why = {0};
    pf_status status = pf_timing_db_merge(store->db, class_text, problem_text, entries, &why);

    if (!status)
        return PF_OK;
    if (!is_about_storage(status))
        return PF_FAIL(err, status, "%s", why.msg);
    status = keep(store, &why, err);
    return status ? status : store->unstored->merge(store->unstored, class_text, problem_text, entries, err);
}

static void close_store(pf_timing_store *base)
{
    db_store *store = (db_store *)base;

    if (store->unstored)
        store->unstored->close(store->unstored);
    pf_free(store);
}

pf_status pf_timing_db_store(pf_timing_db *db, pf_timing_store **out, pf_err *err)
{
    db_store *store = pf_calloc(1, sizeof *store);

    *out = NULL;
    if (!store)
        return PF_FAIL_MEMORY(err, sizeof *store);
    store->base = (pf_timing_store){.lookup = lookup, .merge = merge, .close = close_store};
    store->db = db;
    *out = &store->base;
    return PF_OK;
}

const char *pf_timing_db_store_warning(const pf_timing_store *base)
{
    const db_store *store = (const db_store *)base;

    return store->unstored ? store->warning.msg : NULL;
}
