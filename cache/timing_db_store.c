/* A timing db as the home of one build's timings. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cache/timing_db.h"
#include "cache/trial.h"

/* A merge that was answered and is not written yet. */
typedef struct pending {
    struct pending  *next;
    char            *class_text, *problem_text;
    pf_timing_record entries;
} pending;

typedef struct db_store {
    pf_timing_store  base;          /* first, so that the store is its base */
    pf_timing_db    *db;            /* borrowed */
    pf_timing_store *unstored;      /* what could not be written; NULL while all could */
    pf_err           warning;       /* why */
    pf_trial        *trial;         /* NULL until something is tried, and where that cannot be noted */
    bool             trial_asked;
    bool             behind;        /* a thread writes; what is above is its own while there is anything to write */
    pthread_t        writer;
    pthread_mutex_t  lock;          /* of what follows */
    pthread_cond_t   changed;
    pending         *first, *last;
    bool             writing, ends;
    pf_status        refused;       /* a merge that was answered and then failed; why, in refusal */
    pf_err           refusal;
} db_store;

/* Until everything is written. */
static void wait_for_writer(db_store *store)
{
    if (!store->behind)
        return;
    pthread_mutex_lock(&store->lock);
    while (store->first || store->writing)
        pthread_cond_wait(&store->changed, &store->lock);
    pthread_mutex_unlock(&store->lock);
}

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
    pf_status status = PF_OK;

    wait_for_writer(store);
    status = pf_timing_db_lookup(store->db, device_class, problems, count, out, err);
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

static pf_status write_one(db_store *store, const char *class_text, const char *problem_text,
                           const pf_timing_record *entries, pf_err *err)
{
    pf_err    why = {0};
    pf_status status = pf_timing_db_merge(store->db, class_text, problem_text, entries, &why);

    if (!status)
        return PF_OK;
    if (!is_about_storage(status))
        return PF_FAIL(err, status, "%s", why.msg);
    status = keep(store, &why, err);
    return status ? status : store->unstored->merge(store->unstored, class_text, problem_text, entries, err);
}

static pf_status merge(pf_timing_store *base, const char *class_text, const char *problem_text,
                       const pf_timing_record *entries, pf_err *err)
{
    return write_one((db_store *)base, class_text, problem_text, entries, err);
}

/* A build must not fail because what it tries cannot be noted. */
static void note_trial(pf_timing_store *base, const char *class_text, const char *problem_text,
                       const pf_timing_entry *candidate)
{
    db_store *store = (db_store *)base;
    pf_err    why = {0};

    if (!store->trial_asked && candidate && pf_trial_open(pf_timing_db_folder(store->db), &store->trial, &why))
        pf_log(PF_LOG_INFO, "timing_db", "trials_not_noted reason=\"%s\"", why.msg);
    store->trial_asked |= candidate != NULL;
    if (store->trial && candidate)
        pf_trial_begin(store->trial, class_text, problem_text, candidate);
    else if (store->trial)
        pf_trial_end(store->trial);
}

/* ---- Written behind */

static void pending_free(pending *list)
{
    while (list) {
        pending *next = list->next;

        pf_free(list->class_text);
        pf_free(list->problem_text);
        pf_timing_record_clear(&list->entries);
        pf_free(list);
        list = next;
    }
}

static bool write_together(db_store *store, const pending *list)
{
    pf_timing_batch *batch = NULL;
    pf_status        status = pf_timing_batch_begin(store->db, &batch, NULL);

    for (; list && !status; list = list->next)
        status = pf_timing_batch_merge(batch, list->class_text, list->problem_text, &list->entries, NULL);
    if (!status)
        return pf_timing_batch_commit(batch, NULL) == PF_OK;
    pf_timing_batch_abort(batch);
    return false;
}

/* What fails together is written one by one, so that the reason is that of what it is about. */
static void write_list(db_store *store, const pending *list)
{
    if (write_together(store, list))
        return;
    for (; list; list = list->next) {
        pf_err    why = {0};
        pf_status status = write_one(store, list->class_text, list->problem_text, &list->entries, &why);

        if (!status)
            continue;
        pthread_mutex_lock(&store->lock);
        store->refused = status;
        store->refusal = why;
        pthread_mutex_unlock(&store->lock);
    }
}

static void *write_behind(void *user)
{
    db_store *store = user;

    pthread_mutex_lock(&store->lock);
    while (store->first || !store->ends) {
        pending *list = store->first;

        if (!list) {
            pthread_cond_wait(&store->changed, &store->lock);
            continue;
        }
        store->first = store->last = NULL;
        store->writing = true;
        pthread_mutex_unlock(&store->lock);
        write_list(store, list);
        pending_free(list);
        pthread_mutex_lock(&store->lock);
        store->writing = false;
        pthread_cond_broadcast(&store->changed);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

static pending *pending_new(const char *class_text, const char *problem_text, const pf_timing_record *entries)
{
    pending *out = pf_calloc(1, sizeof *out);

    if (!out)
        return NULL;
    out->class_text = pf_strdup(class_text);
    out->problem_text = pf_strdup(problem_text);
    if (out->class_text && out->problem_text && !pf_timing_record_merge(&out->entries, entries, NULL))
        return out;
    pending_free(out);
    return NULL;
}

static pf_status merge_behind(pf_timing_store *base, const char *class_text, const char *problem_text,
                              const pf_timing_record *entries, pf_err *err)
{
    db_store *store = (db_store *)base;
    pending  *added = pending_new(class_text, problem_text, entries);
    pf_status status = PF_OK;

    if (!added)
        return PF_FAIL_MEMORY(err, sizeof *added);
    pthread_mutex_lock(&store->lock);
    if (store->refused)
        status = PF_FAIL(err, store->refused, "%s", store->refusal.msg);
    *(store->last ? &store->last->next : &store->first) = added;
    store->last = added;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
    return status;
}

static void end_writer(db_store *store)
{
    if (!store->behind)
        return;
    pthread_mutex_lock(&store->lock);
    store->ends = true;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->writer, NULL);
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->lock);
    if (store->refused)
        pf_log(PF_LOG_WARN, "timing_db", "not_stored reason=\"%s\"", store->refusal.msg);
}

static void close_store(pf_timing_store *base)
{
    db_store *store = (db_store *)base;

    end_writer(store);
    if (store->unstored)
        store->unstored->close(store->unstored);
    pf_trial_close(store->trial);
    pf_free(store);
}

pf_status pf_timing_db_store(pf_timing_db *db, pf_timing_store **out, pf_err *err)
{
    db_store *store = pf_calloc(1, sizeof *store);

    *out = NULL;
    if (!store)
        return PF_FAIL_MEMORY(err, sizeof *store);
    store->base =
        (pf_timing_store){.lookup = lookup, .merge = merge, .close = close_store, .note_trial = note_trial};
    store->db = db;
    *out = &store->base;
    return PF_OK;
}

pf_status pf_timing_db_store_behind(pf_timing_db *db, pf_timing_store **out, pf_err *err)
{
    pf_status status = pf_timing_db_store(db, out, err);
    db_store *store = (db_store *)*out;

    if (status)
        return status;
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->changed, NULL);
    if (pthread_create(&store->writer, NULL, write_behind, store)) {        /* then as without */
        pthread_cond_destroy(&store->changed);
        pthread_mutex_destroy(&store->lock);
        return PF_OK;
    }
    store->behind = true;
    store->base.merge = merge_behind;
    return PF_OK;
}

const char *pf_timing_db_store_warning(pf_timing_store *base)
{
    db_store *store = (db_store *)base;

    wait_for_writer(store);
    return store->unstored ? store->warning.msg : NULL;
}
