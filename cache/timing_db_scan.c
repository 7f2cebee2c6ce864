/* Going through a table in short read transactions: one that lasts pins every page that is replaced meanwhile. */
#include <string.h>

#include "cache/timing_db_private.h"

enum { CHUNK = 256, KEY_BYTES_LIMIT = 512 };

typedef struct place { uint8_t key[KEY_BYTES_LIMIT]; size_t bytes; } place;     /* bytes 0: before the first */

static pf_status visit_one(pf_timing_table table, const MDB_val *key, const MDB_val *stored, pf_timing_visitor *visit,
                           void *user, pf_err *err)
{
    pf_timing_value value = {0};
    pf_err          why = {0};
    pf_timing_visit item = {.key = key, .value = &value};

    item.problem = pf_timing_value_check(table, key, stored, &why);
    if (pf_timing_value_open(table, key, stored, &value, NULL))
        value = (pf_timing_value){0};
    item.reason = why.msg;
    return visit(user, &item, err);
}

/* Steps the cursor behind `at`; answers LMDB's code. */
static int step(MDB_cursor *cursor, const place *at, bool first, MDB_val *key, MDB_val *stored)
{
    int code = 0;

    if (!first)
        return mdb_cursor_get(cursor, key, stored, MDB_NEXT);
    if (!at->bytes)
        return mdb_cursor_get(cursor, key, stored, MDB_FIRST);
    *key = (MDB_val){at->bytes, (void *)at->key};
    code = mdb_cursor_get(cursor, key, stored, MDB_SET_RANGE);
    if (!code && key->mv_size == at->bytes && memcmp(key->mv_data, at->key, at->bytes) == 0)
        code = mdb_cursor_get(cursor, key, stored, MDB_NEXT);
    return code;
}

static pf_status scan_chunk(pf_timing_db *db, pf_timing_table table, place *at, bool *more, pf_timing_visitor *visit,
                            void *user, pf_err *err)
{
    MDB_txn    *txn = NULL;
    MDB_cursor *cursor = NULL;
    MDB_val     key = {0}, stored = {0};
    int         code = 0;
    pf_status   status = pf_timing_env_begin(db->env, false, &txn, err);

    *more = false;
    if (status)
        return status;
    code = mdb_cursor_open(txn, db->env->table[table], &cursor);
    for (uint32_t i = 0; i < CHUNK && !code && !status; i++) {
        code = step(cursor, at, i == 0, &key, &stored);
        if (!code)
            status = visit_one(table, &key, &stored, visit, user, err);
    }
    *more = !code && !status;
    if (*more) {
        at->bytes = key.mv_size < sizeof at->key ? key.mv_size : sizeof at->key;
        memcpy(at->key, key.mv_data, at->bytes);
    }
    if (code && code != MDB_NOTFOUND)
        status = pf_timing_env_fail(db->env->folder, "read", code, err);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return status;
}

pf_status pf_timing_db_scan(pf_timing_db *db, pf_timing_table table, pf_timing_visitor *visit, void *user, pf_err *err)
{
    return pf_timing_db_scan_after(db, table, NULL, 0, visit, user, err);
}

pf_status pf_timing_db_scan_after(pf_timing_db *db, pf_timing_table table, const void *key, size_t key_bytes,
                                  pf_timing_visitor *visit, void *user, pf_err *err)
{
    place     at = {.bytes = key_bytes};
    bool      more = true;
    pf_status status = PF_OK;

    if (key_bytes > sizeof at.key)
        return PF_FAIL(err, PF_INVALID, "a key of %zu bytes is no key of the timing cache", key_bytes);
    if (key_bytes)
        memcpy(at.key, key, key_bytes);
    while (more && !status)
        status = scan_chunk(db, table, &at, &more, visit, user, err);
    return status;
}
