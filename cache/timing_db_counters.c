#include "cache/timing_db_counters.h"

#include <string.h>

static const char *const names[PF_COUNTER_COUNT] = {
#define PF_COUNTER(NAME, name) [PF_COUNTER_##NAME] = #name,
#include "cache/timing_counters.def"
#undef PF_COUNTER
};

const char *pf_timing_counter_name(pf_timing_counter counter)
{
    return names[counter];
}

static uint64_t read_one(pf_timing_db *db, MDB_txn *txn, int counter)
{
    MDB_val         key = {strlen(names[counter]), (void *)names[counter]}, stored = {0};
    pf_timing_value value = {0};
    pf_reader       reader;

    if (mdb_get(txn, db->env->table[PF_TABLE_COUNTERS], &key, &stored)
        || pf_timing_value_open(PF_TABLE_COUNTERS, &key, &stored, &value, NULL))
        return 0;
    pf_reader_init(&reader, value.data, value.bytes);
    return pf_read_u64(&reader);
}

static pf_status write_one(pf_timing_db *db, MDB_txn *txn, int counter, uint64_t count, pf_err *err)
{
    MDB_val  key = {strlen(names[counter]), (void *)names[counter]}, stored = {0};
    uint8_t  bytes[8];
    pf_buf   sealed;
    int      code = 0;

    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(count >> (8 * i));
    pf_buf_init(&sealed, 256);
    pf_timing_value_seal(PF_TABLE_COUNTERS, &key, bytes, sizeof bytes, &sealed);
    if (sealed.failed)
        return PF_FAIL_MEMORY(err, 256);
    stored = (MDB_val){sealed.size, sealed.data};
    code = mdb_put(txn, db->env->table[PF_TABLE_COUNTERS], &key, &stored, 0);
    pf_buf_clear(&sealed);
    return code ? pf_timing_env_fail(db->env->folder, "write", code, err) : PF_OK;
}

pf_status pf_timing_counters_add(pf_timing_db *db, MDB_txn *txn, pf_err *err)
{
    pf_status status = PF_OK;

    for (int i = 0; i < PF_COUNTER_COUNT && !status; i++) {
        uint64_t more = atomic_exchange(&db->counter[i], 0);

        if (more)
            status = write_one(db, txn, i, read_one(db, txn, i) + more, err);
    }
    return status;
}

static bool is_pending(pf_timing_db *db)
{
    for (int i = 0; i < PF_COUNTER_COUNT; i++)
        if (atomic_load(&db->counter[i]))
            return true;
    return false;
}

void pf_timing_counters_flush(pf_timing_db *db)
{
    MDB_txn *txn = NULL;

    if (db->env->read_only || !is_pending(db) || pf_timing_env_begin(db->env, true, &txn, NULL))
        return;
    if (pf_timing_counters_add(db, txn, NULL))
        mdb_txn_abort(txn);
    else
        pf_timing_env_commit(db->env, txn, NULL);
}

pf_status pf_timing_counters_read(pf_timing_db *db, uint64_t out[PF_COUNTER_COUNT], pf_err *err)
{
    MDB_txn  *txn = NULL;
    pf_status status = pf_timing_env_begin(db->env, false, &txn, err);

    for (int i = 0; i < PF_COUNTER_COUNT; i++)
        out[i] = status ? 0 : read_one(db, txn, i) + atomic_load(&db->counter[i]);
    mdb_txn_abort(txn);
    return status;
}
