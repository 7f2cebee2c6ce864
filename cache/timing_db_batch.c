/* Writing to a timing db: merges, one or many in a transaction. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cache/timing_db_counters.h"
#include "cache/timing_db_private.h"

pf_status pf_timing_batch_begin(pf_timing_db *db, pf_timing_batch **out, pf_err *err)
{
    pf_timing_batch *batch = pf_calloc(1, sizeof *batch);
    pf_status        status = PF_OK;

    *out = NULL;
    if (!batch)
        return PF_FAIL_MEMORY(err, sizeof *batch);
    batch->db = db;
    status = pf_timing_env_begin(db->env, true, &batch->txn, err);
    if (status) {
        pf_free(batch);
        return status;
    }
    *out = batch;
    return PF_OK;
}

void pf_timing_batch_abort(pf_timing_batch *batch)
{
    if (!batch)
        return;
    mdb_txn_abort(batch->txn);
    pf_free(batch);
}

pf_status pf_timing_batch_commit(pf_timing_batch *batch, pf_err *err)
{
    pf_timing_db *db = batch->db;
    pf_status     status = PF_OK;

    if (!batch->changed) {
        pf_timing_batch_abort(batch);
        return PF_OK;
    }
    atomic_fetch_add(&db->counter[PF_COUNTER_MERGES], batch->merged);
    status = pf_timing_counters_add(db, batch->txn, err);
    if (status) {
        pf_timing_batch_abort(batch);
        return status;
    }
    status = pf_timing_env_commit(db->env, batch->txn, err);
    pf_free(batch);
    return status;
}

/* Writes bytes unless they are there already. */
static pf_status put(pf_timing_batch *batch, pf_timing_table table, MDB_val *key, const void *data, size_t bytes,
                     pf_err *err)
{
    pf_timing_env  *env = batch->db->env;
    MDB_val         stored = {0};
    pf_timing_value value = {0};
    pf_buf          sealed;
    int             code = mdb_get(batch->txn, env->table[table], key, &stored);

    if (!code && !pf_timing_value_open(table, key, &stored, &value, NULL) && value.bytes == bytes
        && memcmp(value.data, data, bytes) == 0)
        return PF_OK;
    pf_buf_init(&sealed, PF_TIMING_VALUE_LIMIT);
    pf_timing_value_seal(table, key, data, bytes, &sealed);
    if (sealed.failed) {
        pf_buf_clear(&sealed);
        return PF_FAIL(err, PF_NO_SPACE,
                       "a timing record of %zu bytes cannot be stored: it is too large or memory is short", bytes);
    }
    stored = (MDB_val){sealed.size, sealed.data};
    code = mdb_put(batch->txn, env->table[table], key, &stored, 0);
    pf_buf_clear(&sealed);
    if (code)
        return pf_timing_env_fail(env->folder, "write", code, err);
    batch->changed = true;
    return PF_OK;
}

static pf_status put_record(pf_timing_batch *batch, const pf_timing_key *key, const pf_timing_record *record,
                            pf_err *err)
{
    MDB_val   name = {sizeof *key, (void *)key};
    pf_buf    bytes;
    pf_status status = PF_OK;

    pf_buf_init(&bytes, PF_TIMING_VALUE_LIMIT);
    if (pf_timing_record_encode(record, &bytes))
        status = put(batch, PF_TABLE_RECORDS, &name, bytes.data, bytes.size, err);
    else
        status = PF_FAIL(err, PF_NO_SPACE,
                         "a timing record of %u entries cannot be stored: it is too large or memory is short",
                         record->count);
    pf_buf_clear(&bytes);
    return status;
}

static pf_status put_text(pf_timing_batch *batch, pf_timing_table table, const char *text, pf_digest *digest,
                          pf_err *err)
{
    MDB_val key = {sizeof *digest, digest};
    size_t  bytes = strlen(text);

    pf_digest_of(text, bytes, digest);
    if (bytes > PF_TIMING_TEXT_LIMIT)
        return PF_FAIL(err, PF_INVALID, "the text of a problem has %zu bytes; the limit is %d", bytes,
                       PF_TIMING_TEXT_LIMIT);
    return put(batch, table, &key, text, bytes, err);
}

/* The record that is there; a corrupt one counts as none, since it is about to be replaced. */
static pf_status read_old(pf_timing_batch *batch, const pf_timing_key *key, pf_timing_record *old, pf_err *err)
{
    pf_err    why = {0};
    pf_status status = pf_timing_db_read_record(batch->db, batch->txn, key, old, &why);

    if (status == PF_CORRUPT) {
        pf_log(PF_LOG_ERROR, "timing_db", "bad_record_replaced folder=%s reason=\"%s\"", batch->db->env->folder,
               why.msg);
        atomic_fetch_add(&batch->db->counter[PF_COUNTER_CORRUPT], 1);
        return PF_OK;
    }
    return status ? PF_FAIL(err, status, "%s", why.msg) : PF_OK;
}

pf_status pf_timing_batch_merge(pf_timing_batch *batch, const char *class_text, const char *problem_text,
                                const pf_timing_record *entries, pf_err *err)
{
    pf_timing_key    key;
    pf_timing_record record = {0};
    pf_status        status = put_text(batch, PF_TABLE_CLASSES, class_text, &key.device_class, err);

    if (!status)
        status = put_text(batch, PF_TABLE_PROBLEMS, problem_text, &key.problem, err);
    if (!status)
        status = read_old(batch, &key, &record, err);
    if (!status)
        status = pf_timing_record_merge(&record, entries, err);
    if (!status)
        status = put_record(batch, &key, &record, err);
    if (!status)
        batch->merged++;
    pf_timing_record_clear(&record);
    return status;
}
