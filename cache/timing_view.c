#include "cache/timing_view.h"

#include <string.h>

#include "base/log.h"
#include "cache/timing_db_private.h"

pf_status pf_timing_view_open(pf_timing_db *db, pf_timing_view *out, pf_err *err)
{
    *out = (pf_timing_view){.db = db};
    return pf_timing_env_begin(db->env, false, &out->txn, err);
}

void pf_timing_view_close(pf_timing_view *view)
{
    if (!view->txn)
        return;
    mdb_txn_abort(view->txn);
    atomic_fetch_add(&view->db->counter[PF_COUNTER_HITS], view->hits);
    atomic_fetch_add(&view->db->counter[PF_COUNTER_MISSES], view->misses);
    *view = (pf_timing_view){0};
}

/* Opens the value under a key, in any transaction; data NULL when there is none. */
static pf_status open_value(pf_timing_db *db, MDB_txn *txn, pf_timing_table table, MDB_val key, pf_timing_value *out,
                            pf_err *err)
{
    MDB_val stored = {0};
    int     code = mdb_get(txn, db->env->table[table], &key, &stored);

    *out = (pf_timing_value){0};
    if (code == MDB_NOTFOUND)
        return PF_OK;
    if (code)
        return pf_timing_env_fail(db->env->folder, "read", code, err);
    return pf_timing_value_open(table, &key, &stored, out, err);
}

static MDB_val name_of(const pf_timing_key *key)
{
    return (MDB_val){sizeof *key, (void *)key};
}

/* The head of a stored record is looked at as well: what the checksum covers may be of a newer version. */
static pf_status open_record(pf_timing_db *db, MDB_txn *txn, const pf_timing_key *key, pf_timing_value *value,
                             uint32_t *count, pf_err *err)
{
    uint8_t   effort = 0;
    pf_status status = open_value(db, txn, PF_TABLE_RECORDS, name_of(key), value, err);

    *count = 0;
    return status || !value->data ? status : pf_timing_record_head(value->data, value->bytes, &effort, count, err);
}

pf_status pf_timing_db_read_record(pf_timing_db *db, MDB_txn *txn, const pf_timing_key *key, pf_timing_record *out,
                                   pf_err *err)
{
    pf_timing_value value = {0};
    uint32_t        count = 0;
    pf_status       status = open_record(db, txn, key, &value, &count, err);

    *out = (pf_timing_record){0};
    if (status || !value.data)
        return status;
    return pf_timing_record_decode_checked(value.data, value.bytes, out, err);
}

static void log_bad(const pf_timing_db *db, const pf_timing_key *key, const pf_err *why)
{
    char device_class[PF_DIGEST_HEX_BYTES], problem[PF_DIGEST_HEX_BYTES];

    pf_digest_to_hex(&key->device_class, device_class);
    pf_digest_to_hex(&key->problem, problem);
    pf_log(PF_LOG_ERROR, "timing_db", "bad_record status=%s class=%.16s problem=%s folder=%s reason=\"%s\"",
           pf_status_name(why->status), device_class, problem, db->env->folder, why->msg);
}

/* Deletes a record unless somebody has replaced it by a good one meanwhile. */
static void drop_record(pf_timing_db *db, const pf_timing_key *key)
{
    MDB_val          name = name_of(key);
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

/* What a value that cannot be used means for a lookup: a miss, or the end of it. */
static pf_status judge(pf_timing_view *view, const pf_timing_key *key, pf_status status, const pf_err *why, pf_err *err)
{
    if (status == PF_CORRUPT || status == PF_STALE)
        log_bad(view->db, key, why);
    if (status == PF_CORRUPT) {
        atomic_fetch_add(&view->db->counter[PF_COUNTER_CORRUPT], 1);
        drop_record(view->db, key);
    }
    if (status == PF_CORRUPT || status == PF_STALE)
        return PF_OK;
    return status ? PF_FAIL(err, status, "%s", why->msg) : PF_OK;
}

pf_status pf_timing_view_stored(pf_timing_view *view, const pf_timing_key *key, const void **data, size_t *bytes,
                                pf_err *err)
{
    pf_timing_value value = {0};
    pf_err          why = {0};
    uint32_t        count = 0;
    pf_status       status = open_record(view->db, view->txn, key, &value, &count, &why);

    *data = !status && count ? value.data : NULL;
    *bytes = *data ? value.bytes : 0;
    view->hits += *data != NULL;
    view->misses += *data == NULL;
    return judge(view, key, status, &why, err);
}

pf_status pf_timing_view_record(pf_timing_view *view, const pf_timing_key *key, pf_timing_record *out, pf_err *err)
{
    pf_err    why = {0};
    pf_status status = pf_timing_db_read_record(view->db, view->txn, key, out, &why);

    view->hits += out->count > 0;
    view->misses += out->count == 0;
    return judge(view, key, status, &why, err);
}

pf_status pf_timing_view_text(pf_timing_view *view, pf_timing_table table, const pf_digest *digest, const char **text,
                              size_t *bytes, pf_err *err)
{
    pf_timing_value value = {0};
    MDB_val         key = {sizeof *digest, (void *)digest};
    pf_status       status = open_value(view->db, view->txn, table, key, &value, err);

    *text = value.data;
    *bytes = value.bytes;
    return status || *text ? status : PF_FAIL(err, PF_NOT_FOUND, "the timing cache does not hold that text");
}
