#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "cache/timing_db_check.h"

void pf_timing_stats_clear(pf_timing_stats *stats)
{
    pf_free(stats->by_class);
    *stats = (pf_timing_stats){0};
}

/* Records come in order of class, so the class of a record is the last one or a new one. */
static pf_status class_of(pf_timing_stats *stats, const pf_digest *digest, pf_timing_class_stats **out, pf_err *err)
{
    uint32_t count = stats->class_count;

    if (!count || !pf_digest_equal(&stats->by_class[count - 1].digest, digest)) {
        if (pf_grow((void **)&stats->by_class, &stats->class_capacity, count + 1, sizeof *stats->by_class))
            return PF_FAIL_MEMORY(err, sizeof *stats->by_class);
        stats->by_class[stats->class_count++] = (pf_timing_class_stats){.digest = *digest};
    }
    *out = &stats->by_class[stats->class_count - 1];
    return PF_OK;
}

static void count_entry(pf_timing_stats *stats, const pf_timing_entry *entry)
{
    stats->entries[entry->status]++;
    stats->contended += entry->contended;
    if (!stats->oldest_wall_ns || entry->wall_ns < stats->oldest_wall_ns)
        stats->oldest_wall_ns = entry->wall_ns;
    if (entry->wall_ns > stats->newest_wall_ns)
        stats->newest_wall_ns = entry->wall_ns;
}

static pf_status count_record(void *user, const pf_timing_visit *item, pf_err *err)
{
    pf_timing_stats       *stats = user;
    pf_timing_class_stats *of = NULL;
    pf_timing_record       record = {0};
    pf_timing_key          key;
    pf_status              status = PF_OK;

    if (item->problem) {
        stats->bad++;
        return PF_OK;
    }
    memcpy(&key, item->key->mv_data, sizeof key);
    status = pf_timing_record_decode(item->value->data, item->value->bytes, &record, err);
    if (!status)
        status = class_of(stats, &key.device_class, &of, err);
    if (!status) {
        stats->records++;
        of->records++;
        of->entries += record.count;
        for (uint32_t i = 0; i < record.count; i++)
            count_entry(stats, &record.entries[i]);
    }
    pf_timing_record_clear(&record);
    return status;
}

static uint64_t table_items(pf_timing_db *db, MDB_txn *txn, pf_timing_table table, uint64_t *pages)
{
    MDB_stat stat_of = {0};

    if (mdb_stat(txn, db->env->table[table], &stat_of))
        return 0;
    *pages += stat_of.ms_branch_pages + stat_of.ms_leaf_pages + stat_of.ms_overflow_pages;
    return stat_of.ms_entries;
}

static pf_status count_file(pf_timing_db *db, pf_timing_stats *stats, pf_err *err)
{
    MDB_txn    *txn = NULL;
    MDB_stat    whole = {0};
    struct stat file = {0};
    uint64_t    pages = 2, items[PF_TABLE_COUNT] = {0};       /* LMDB's two meta pages */
    int         fd = -1;
    pf_status   status = pf_timing_env_begin(db->env, false, &txn, err);

    if (status)
        return status;
    for (int i = 0; i < PF_TABLE_COUNT; i++)
        items[i] = table_items(db, txn, (pf_timing_table)i, &pages);
    mdb_txn_abort(txn);
    mdb_env_stat(db->env->mdb, &whole);
    if (!mdb_env_get_fd(db->env->mdb, &fd) && !fstat(fd, &file))
        stats->file_bytes = (uint64_t)file.st_size;
    stats->used_bytes = pages * whole.ms_psize;
    stats->classes = items[PF_TABLE_CLASSES];
    stats->problems = items[PF_TABLE_PROBLEMS];
    return PF_OK;
}

pf_status pf_timing_db_stats(pf_timing_db *db, pf_timing_stats *out, pf_err *err)
{
    pf_status status = PF_OK;

    *out = (pf_timing_stats){0};
    status = count_file(db, out, err);
    if (!status)
        status = pf_timing_counters_read(db, out->counter, err);
    if (!status)
        status = pf_timing_db_scan(db, PF_TABLE_RECORDS, count_record, out, err);
    if (status)
        pf_timing_stats_clear(out);
    return status;
}
