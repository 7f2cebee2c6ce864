/* A timing cache on disk as a store that owns it. */
#include <limits.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cache/timing_db.h"
#include "cache/trial.h"
#include "engine/planfarm.h"

typedef struct folder_store {
    pf_timing_store  base;
    pf_timing_db    *db;                /* owned */
    pf_timing_store *inner;             /* owned; borrows db */
} folder_store;

static pf_status lookup(pf_timing_store *store, const pf_digest *device_class, const pf_digest *problems,
                        uint32_t count, pf_timing_record *out, pf_err *err)
{
    pf_timing_store *inner = ((folder_store *)store)->inner;

    return inner->lookup(inner, device_class, problems, count, out, err);
}

static pf_status merge(pf_timing_store *store, const char *class_text, const char *problem_text,
                       const pf_timing_record *entries, pf_err *err)
{
    pf_timing_store *inner = ((folder_store *)store)->inner;

    return inner->merge(inner, class_text, problem_text, entries, err);
}

static void note_trial(pf_timing_store *store, const char *class_text, const char *problem_text,
                       const pf_timing_entry *candidate)
{
    pf_timing_store *inner = ((folder_store *)store)->inner;

    inner->note_trial(inner, class_text, problem_text, candidate);
}

static void close_store(pf_timing_store *store)
{
    folder_store *s = (folder_store *)store;

    if (s->inner)
        s->inner->close(s->inner);
    pf_timing_db_close(s->db);
    pf_free(s);
}

static pf_status open_db(const char *folder, pf_timing_db **out, pf_err *err)
{
    char      root[PATH_MAX] = "", path[PATH_MAX] = "";
    pf_status st = PF_OK;

    if (folder)
        return pf_timing_db_open(folder, NULL, out, err);
    st = pf_path_user_cache(root, sizeof root, err);
    if (!st)
        st = pf_path_join(root, "timing", path, sizeof path, err);
    return st ? st : pf_timing_db_open(path, NULL, out, err);
}

pf_status pf_timing_store_open(const char *folder, pf_timing_store **out, pf_err *err)
{
    folder_store *s = pf_calloc(1, sizeof *s);
    pf_status     st = PF_OK;

    *out = NULL;
    if (!s)
        return PF_FAIL_MEMORY(err, sizeof *s);
    s->base = (pf_timing_store){ lookup, merge, close_store, note_trial };
    st = open_db(folder, &s->db, err);
    if (!st)
        st = pf_timing_db_store(s->db, &s->inner, err);
    if (!st)
        st = pf_trial_settle(pf_timing_db_folder(s->db), s->inner, err);
    if (st) {
        close_store(&s->base);
        return st;
    }
    *out = &s->base;
    return PF_OK;
}

void pf_timing_watch_crashes(void (*say)(const char *sentence))
{
    pf_trial_watch(say);
}
