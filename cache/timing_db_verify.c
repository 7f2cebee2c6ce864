#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cache/timing_db_check.h"

enum { KEY_HEX_BYTES = 2 * PF_TIMING_KEY_BYTES + 1, DROPS_LIMIT = 1 << 20 };

typedef struct bad_key { uint8_t byte[PF_TIMING_KEY_BYTES]; uint32_t bytes; } bad_key;

typedef struct verification {
    pf_timing_db      *db;
    pf_timing_table    table;
    pf_timing_verdict *verdict;
    void             (*bad)(void *user, const char *line);
    void              *user;
    bad_key           *keys;            /* to drop when the scan is over */
    uint32_t           count, capacity;
} verification;

static void key_to_hex(const MDB_val *key, char out[KEY_HEX_BYTES])
{
    size_t bytes = key->mv_size < PF_TIMING_KEY_BYTES ? key->mv_size : PF_TIMING_KEY_BYTES;

    out[0] = 0;
    for (size_t i = 0; i < bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", ((const uint8_t *)key->mv_data)[i]);
}

static pf_status remember(verification *v, const MDB_val *key, pf_err *err)
{
    bad_key *at = NULL;

    if (key->mv_size > PF_TIMING_KEY_BYTES || v->count >= DROPS_LIMIT)
        return PF_OK;
    if (pf_grow((void **)&v->keys, &v->capacity, v->count + 1, sizeof *v->keys))
        return PF_FAIL_MEMORY(err, sizeof *v->keys);
    at = &v->keys[v->count++];
    at->bytes = (uint32_t)key->mv_size;
    memcpy(at->byte, key->mv_data, key->mv_size);
    return PF_OK;
}

static bool has(pf_timing_db *db, pf_timing_table table, const pf_digest *digest)
{
    char     *text = NULL;
    pf_status status = pf_timing_db_text(db, table, digest, &text, NULL);

    pf_free(text);
    return status == PF_OK || status == PF_STALE;
}

/* A good record whose texts are gone cannot be explained or exported. */
static const char *missing_text(const verification *v, const MDB_val *stored_key)
{
    pf_timing_key key;

    if (v->table != PF_TABLE_RECORDS || stored_key->mv_size != sizeof key)
        return NULL;
    memcpy(&key, stored_key->mv_data, sizeof key);
    if (!has(v->db, PF_TABLE_CLASSES, &key.device_class))
        return "the text of its device class is missing";
    return has(v->db, PF_TABLE_PROBLEMS, &key.problem) ? NULL : "the text of its problem is missing";
}

static pf_status check_one(void *user, const pf_timing_visit *item, pf_err *err)
{
    static const char *const what[PF_TABLE_COUNT] = {"format", "record", "class text", "problem text", "counter"};
    verification *v = user;
    const char   *reason = item->problem ? item->reason : missing_text(v, item->key);
    char          hex[KEY_HEX_BYTES], line[512];

    v->verdict->checked++;
    if (item->problem == PF_STALE) {
        v->verdict->newer++;
        return PF_OK;
    }
    if (!reason)
        return PF_OK;
    v->verdict->bad++;
    key_to_hex(item->key, hex);
    snprintf(line, sizeof line, "%s %s: %s", what[v->table], hex, reason);
    if (v->bad)
        v->bad(v->user, line);
    return remember(v, item->key, err);
}

static pf_status drop_bad(verification *v, pf_err *err)
{
    MDB_txn  *txn = NULL;
    pf_status status = PF_OK;

    if (!v->count)
        return PF_OK;
    status = pf_timing_env_begin(v->db->env, true, &txn, err);
    if (status)
        return status;
    for (uint32_t i = 0; i < v->count; i++) {
        MDB_val key = {v->keys[i].bytes, v->keys[i].byte};

        if (mdb_del(txn, v->db->env->table[v->table], &key, NULL) == 0)
            v->verdict->dropped++;
    }
    return pf_timing_env_commit(v->db->env, txn, err);
}

static pf_status verify_table(verification *v, bool repair, pf_err *err)
{
    pf_status status = pf_timing_db_scan(v->db, v->table, check_one, v, err);

    if (!status && repair)
        status = drop_bad(v, err);
    pf_free(v->keys);
    v->keys = NULL;
    v->count = v->capacity = 0;
    return status;
}

pf_status pf_timing_db_verify(pf_timing_db *db, bool repair, void (*bad)(void *user, const char *line), void *user,
                              pf_timing_verdict *out, pf_err *err)
{
    /* Texts first: a record whose text is bad is bad too. */
    static const pf_timing_table order[] = {PF_TABLE_CLASSES, PF_TABLE_PROBLEMS, PF_TABLE_RECORDS, PF_TABLE_COUNTERS};
    verification v = {.db = db, .verdict = out, .bad = bad, .user = user};
    pf_status    status = pf_timing_db_look(db, err);

    *out = (pf_timing_verdict){0};
    for (size_t i = 0; i < sizeof order / sizeof *order && !status; i++) {
        v.table = order[i];
        status = verify_table(&v, repair, err);
    }
    return status;
}
