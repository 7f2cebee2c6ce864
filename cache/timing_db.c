#include "cache/timing_db.h"

#include <string.h>

#include "base/alloc.h"
#include "cache/timing_db_counters.h"
#include "cache/timing_db_private.h"
#include "cache/timing_view.h"

#define MAP_BYTES_DEFAULT (UINT64_C(64) << 30)

enum { LOOKUP_CHUNK = 256 };        /* problems in one read transaction, which pins pages while it lasts */

pf_status pf_timing_db_open(const char *folder, const pf_timing_db_options *options, pf_timing_db **out, pf_err *err)
{
    pf_timing_db_options with = options ? *options : (pf_timing_db_options){0};
    pf_timing_db        *db = pf_calloc(1, sizeof *db);
    pf_status            status = PF_OK;

    *out = NULL;
    if (!db)
        return PF_FAIL_MEMORY(err, sizeof *db);
    status = pf_timing_env_open(folder, with.map_bytes ? with.map_bytes : MAP_BYTES_DEFAULT, with.read_only, &db->env,
                                err);
    if (status) {
        pf_free(db);
        return status;
    }
    *out = db;
    return PF_OK;
}

void pf_timing_db_close(pf_timing_db *db)
{
    if (!db)
        return;
    pf_timing_counters_flush(db);
    pf_timing_env_close(db->env);
    pf_free(db);
}

pf_status pf_timing_db_look(pf_timing_db *db, pf_err *err)
{
    return pf_timing_env_look(db->env, err);
}

const char *pf_timing_db_folder(const pf_timing_db *db)
{
    return db->env->folder;
}

pf_status pf_timing_db_lookup(pf_timing_db *db, const pf_digest *device_class, const pf_digest *problems,
                              uint32_t count, pf_timing_record *out, pf_err *err)
{
    pf_status status = PF_OK;

    if (count)
        memset(out, 0, count * sizeof *out);
    for (uint32_t at = 0; at < count && !status; at += LOOKUP_CHUNK) {
        uint32_t       part = count - at < LOOKUP_CHUNK ? count - at : LOOKUP_CHUNK;
        pf_timing_view view = {0};

        status = pf_timing_view_open(db, &view, err);
        for (uint32_t i = at; i < at + part && !status; i++) {
            pf_timing_key key = {*device_class, problems[i]};

            status = pf_timing_view_record(&view, &key, &out[i], err);
        }
        pf_timing_view_close(&view);
    }
    for (uint32_t i = 0; status && i < count; i++)
        pf_timing_record_clear(&out[i]);
    return status;
}

pf_status pf_timing_db_merge(pf_timing_db *db, const char *class_text, const char *problem_text,
                             const pf_timing_record *entries, pf_err *err)
{
    pf_timing_batch *batch = NULL;
    pf_status        status = pf_timing_batch_begin(db, &batch, err);

    if (status)
        return status;
    status = pf_timing_batch_merge(batch, class_text, problem_text, entries, err);
    if (!status)
        return pf_timing_batch_commit(batch, err);
    pf_timing_batch_abort(batch);
    return status;
}

pf_status pf_timing_db_text(pf_timing_db *db, pf_timing_table table, const pf_digest *digest, char **text, pf_err *err)
{
    pf_timing_view view = {0};
    const char    *data = NULL;
    size_t         bytes = 0;
    pf_status      status = pf_timing_view_open(db, &view, err);

    *text = NULL;
    if (!status)
        status = pf_timing_view_text(&view, table, digest, &data, &bytes, err);
    if (!status) {
        *text = pf_strndup(data, bytes);
        if (!*text)
            status = PF_FAIL_MEMORY(err, bytes);
    }
    pf_timing_view_close(&view);
    return status;
}
