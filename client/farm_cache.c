#include "client/farm_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "proto/timing_remote.h"

#define ANSWER_NS (INT64_C(30) * 1000000000)

/* ---- from the farm */

static pf_status keep(void *user, const char *class_text, const char *problem_text, const pf_timing_record *record,
                      pf_err *err)
{
    return pf_timing_batch_merge(user, class_text, problem_text, record, err);
}

static pf_status fetch(pf_cache *cache, pf_err *err)
{
    pf_timing_batch *batch = NULL;
    pf_status        status = pf_timing_batch_begin(cache->db, &batch, err);

    if (status)
        return status;
    status = pf_timing_remote_export(cache->farm.peer, NULL, ANSWER_NS, keep, batch, &cache->damaged, err);
    if (!status)
        return pf_timing_batch_commit(batch, err);
    pf_timing_batch_abort(batch);
    return status;
}

pf_status pf_cache_open(pf_call *call, bool read_only, pf_cache *out, pf_err *err)
{
    pf_status status = PF_OK;

    out->read_only = read_only;
    out->is_farm = pf_args_text(call->args, "farm") != NULL;
    if (!out->is_farm)
        return pf_cache_folder_open(call, read_only, &out->db, err);
    if (pf_args_text(call->args, "cache"))
        return PF_FAIL(err, PF_USAGE, "--farm and --cache name two caches; give one of them");
    status = pf_farm_open(call, NULL, &out->farm, err);
    if (!status)
        status = pf_dir_make_temporary("cache", out->folder, sizeof out->folder, err);
    if (!status)
        status = pf_timing_db_open(out->folder, NULL, &out->db, err);
    if (!status && read_only)
        status = fetch(out, err);
    return status;
}

/* ---- to the farm */

/* The text comes with its own copy, since LMDB's may go away with the transaction. */
static pf_status send_one(void *user, const pf_timing_visit *item, pf_err *err)
{
    pf_cache        *cache = user;
    pf_timing_key    key;
    pf_timing_record record = {0};
    char            *class_text = NULL, *problem_text = NULL;
    pf_status        status = item->problem;

    if (status || item->key->mv_size != sizeof key)
        return PF_FAIL(err, status ? status : PF_CORRUPT, "%s", item->reason);
    memcpy(&key, item->key->mv_data, sizeof key);
    status = pf_timing_record_decode(item->value->data, item->value->bytes, &record, err);
    if (!status)
        status = pf_timing_db_text(cache->db, PF_TABLE_CLASSES, &key.device_class, &class_text, err);
    if (!status)
        status = pf_timing_db_text(cache->db, PF_TABLE_PROBLEMS, &key.problem, &problem_text, err);
    if (!status)
        status = pf_timing_remote_store(cache->farm.peer, class_text, problem_text, &record, ANSWER_NS, err);
    pf_timing_record_clear(&record);
    pf_free(class_text);
    pf_free(problem_text);
    return status;
}

pf_status pf_cache_send(pf_cache *cache, pf_err *err)
{
    if (!cache->is_farm || cache->read_only)
        return PF_OK;
    return pf_timing_db_scan(cache->db, PF_TABLE_RECORDS, send_one, cache, err);
}

void pf_cache_close(pf_cache *cache)
{
    pf_timing_db_close(cache->db);
    cache->db = NULL;
    if (cache->is_farm)
        pf_farm_close(&cache->farm);
    if (cache->folder[0])
        pf_dir_remove(cache->folder, NULL);
    cache->folder[0] = 0;
}
