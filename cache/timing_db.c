#include "cache/timing_db.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cache/timing_db_counters.h"
#include "cache/timing_db_private.h"

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
    status = pf_timing_env_open(folder, with.map_bytes ? with.map_bytes : MAP_BYTES_DEFAULT, with.read_only, &db->env, err);
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

const char *pf_timing_db_folder(const pf_timing_db *db)
{
    return db->env->folder;
}

static void log_bad(const pf_timing_db *db, const pf_timing_key *key, const pf_err *why)
{
    char device_class[PF_DIGEST_HEX_BYTES], problem[PF_DIGEST_HEX_BYTES];

    pf_digest_to_hex(&key->device_class, device_class);
    pf_digest_to_hex(&key->problem, problem);
    pf_log(PF_LOG_ERROR, "timing_db", "bad_record status=%s class=%.16s problem=%s folder=%s reason=\"%s\"",
           pf_status_name(why->status), device_class, problem, db->env->folder, why->msg);
}

pf_status pf_timing_db_read_record(pf_timing_db *db, MDB_txn *txn, const pf_timing_key *key, pf_timing_record *out, pf_err *err)
{
    MDB_val         name = {sizeof *key, (void *)key}, stored = {0};
    pf_timing_value value = {0};
    pf_status       status = PF_OK;
    int             code = mdb_get(txn, db->env->table[PF_TABLE_RECORDS], &name, &stored);

    *out = (pf_timing_record){0};
    if (code)
        return code == MDB_NOTFOUND ? PF_OK : pf_timing_env_fail(db->env->folder, "read", code, err);
    status = pf_timing_value_open(PF_TABLE_RECORDS, &name, &stored, &value, err);
    return status ? status : pf_timing_record_decode(value.data, value.bytes, out, err);
}

/* Deletes a record unless somebody has replaced it by a good one meanwhile. */
static void drop_record(pf_timing_db *db, const pf_timing_key *key)
{
    MDB_val          name = {sizeof *key, (void *)key};
    MDB_txn         *txn = NULL;
    pf_timing_record record = {0};
    pf_err           err = {0};

    if (db->env->read_only || pf_timing_env_begin(db->env, true, &txn, NULL))
        return;
    if (pf_timing_db_read_record(db, txn, key, &record, &err) == PF_CORRUPT
        && mdb_del(txn, db->env->table[PF_TABLE_RECORDS], &name, NULL) == 0)
        pf_timing_env_commit(db->env, txn, NULL);
    else
        mdb_txn_abort(txn);
    pf_timing_record_clear(&record);
}

/* Reads records of one chunk; bad[i] says which are corrupt. */
static pf_status lookup_chunk(pf_timing_db *db, const pf_digest *device_class, const pf_digest *problems, uint32_t count,
                              pf_timing_record *out, bool *bad, pf_err *err)
{
    MDB_txn  *txn = NULL;
    pf_status status = pf_timing_env_begin(db->env, false, &txn, err);

    for (uint32_t i = 0; i < count && !status; i++) {
        pf_timing_key key = {*device_class, problems[i]};
        pf_err        why = {0};

        status = pf_timing_db_read_record(db, txn, &key, &out[i], &why);
        bad[i] = status == PF_CORRUPT;
        if (bad[i] || status == PF_STALE) {
            log_bad(db, &key, &why);
            status = PF_OK;
        } else if (status) {
            PF_FAIL(err, status, "%s", why.msg);
        }
    }
    mdb_txn_abort(txn);
    return status;
}

static void count_chunk(pf_timing_db *db, const pf_digest *device_class, const pf_digest *problems, uint32_t count,
                        const pf_timing_record *records, const bool *bad)
{
    for (uint32_t i = 0; i < count; i++) {
        pf_timing_key key = {*device_class, problems[i]};

        atomic_fetch_add(&db->counter[records[i].count ? PF_COUNTER_HITS : PF_COUNTER_MISSES], 1);
        if (!bad[i])
            continue;
        atomic_fetch_add(&db->counter[PF_COUNTER_CORRUPT], 1);
        drop_record(db, &key);
    }
}

pf_status pf_timing_db_lookup(pf_timing_db *db, const pf_digest *device_class, const pf_digest *problems, uint32_t count,
                              pf_timing_record *out, pf_err *err)
{
    bool      bad[LOOKUP_CHUNK];
    pf_status status = PF_OK;

    if (count)
        memset(out, 0, count * sizeof *out);
    for (uint32_t at = 0; at < count && !status; at += LOOKUP_CHUNK) {
        uint32_t part = count - at < LOOKUP_CHUNK ? count - at : LOOKUP_CHUNK;

        memset(bad, 0, sizeof bad);
        status = lookup_chunk(db, device_class, problems + at, part, out + at, bad, err);
        if (!status)
            count_chunk(db, device_class, problems + at, part, out + at, bad);
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
    MDB_val         key = {sizeof *digest, (void *)digest}, stored = {0};
    MDB_txn        *txn = NULL;
    pf_timing_value value = {0};
    pf_status       status = pf_timing_env_begin(db->env, false, &txn, err);
    int             code = 0;

    *text = NULL;
    if (status)
        return status;
    code = mdb_get(txn, db->env->table[table], &key, &stored);
    if (code)
        status = code == MDB_NOTFOUND ? PF_FAIL(err, PF_NOT_FOUND, "the timing cache does not hold that text")
                                      : pf_timing_env_fail(db->env->folder, "read", code, err);
    if (!status)
        status = pf_timing_value_open(table, &key, &stored, &value, err);
    if (!status) {
        *text = pf_strndup((const char *)value.data, value.bytes);
        if (!*text)
            status = PF_FAIL_MEMORY(err, value.bytes);
    }
    mdb_txn_abort(txn);
    return status;
}
