/* Finding keys by the beginning of their hex form, and the stored key nearest to one that is not there. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cache/timing_db_check.h"
#include "cache/timing_text.h"

typedef struct prefix_search {
    const char *prefix;
    pf_digest  *out;
    uint32_t    capacity, count;
} prefix_search;

static pf_status match_prefix(void *user, const pf_timing_visit *item, pf_err *err)
{
    prefix_search *search = user;
    pf_digest      digest;
    char           hex[PF_DIGEST_HEX_BYTES];

    (void)err;
    if (item->key->mv_size != sizeof digest)
        return PF_OK;
    memcpy(&digest, item->key->mv_data, sizeof digest);
    pf_digest_to_hex(&digest, hex);
    if (strncmp(hex, search->prefix, strlen(search->prefix)) != 0)
        return PF_OK;
    if (search->count < search->capacity)
        search->out[search->count] = digest;
    search->count++;
    return PF_OK;
}

pf_status pf_timing_db_find(pf_timing_db *db, pf_timing_table table, const char *prefix, pf_digest *out,
                            uint32_t capacity, uint32_t *count, pf_err *err)
{
    prefix_search search = {.prefix = prefix, .out = out, .capacity = capacity};
    pf_status     status = pf_timing_db_scan(db, table, match_prefix, &search, err);

    *count = status ? 0 : search.count;
    return status;
}

typedef struct near_search {
    pf_timing_db   *db;
    pf_timing_key   key;
    const char     *class_text, *problem_text;
    pf_timing_near *best;
} near_search;

static bool has_record(pf_timing_db *db, const pf_timing_key *key)
{
    pf_timing_record record = {0};
    bool             there = !pf_timing_db_lookup(db, &key->device_class, &key->problem, 1, &record, NULL) &&
                             record.count;

    pf_timing_record_clear(&record);
    return there;
}

static pf_status consider(near_search *search, const pf_timing_visit *item, bool is_class, pf_err *err)
{
    pf_timing_near near = {.how = is_class ? PF_NEAR_CLASS : PF_NEAR_PROBLEM, .key = search->key};
    pf_digest     *part = is_class ? &near.key.device_class : &near.key.problem;
    char          *stored = NULL;

    if (item->problem)
        return PF_OK;
    memcpy(part, item->key->mv_data, sizeof *part);
    stored = pf_strndup((const char *)item->value->data, item->value->bytes);
    if (!stored)
        return PF_FAIL_MEMORY(err, item->value->bytes);
    near.distance = is_class ? pf_timing_class_difference(search->class_text, stored, near.difference,
                                                          sizeof near.difference)
                             : pf_timing_problem_difference(search->problem_text, stored, near.difference,
                                                            sizeof near.difference);
    pf_free(stored);
    if (near.distance && (!search->best->how || near.distance < search->best->distance) &&
        has_record(search->db, &near.key))
        *search->best = near;
    return PF_OK;
}

static pf_status consider_class(void *user, const pf_timing_visit *item, pf_err *err)
{
    return consider(user, item, true, err);
}

static pf_status consider_problem(void *user, const pf_timing_visit *item, pf_err *err)
{
    return consider(user, item, false, err);
}

pf_status pf_timing_db_nearest(pf_timing_db *db, const char *class_text, const char *problem_text, pf_timing_near *out,
                               pf_err *err)
{
    near_search search = {.db = db, .class_text = class_text, .problem_text = problem_text, .best = out};
    pf_status   status = PF_OK;

    *out = (pf_timing_near){.how = PF_NEAR_NOTHING};
    pf_digest_of(class_text, strlen(class_text), &search.key.device_class);
    pf_digest_of(problem_text, strlen(problem_text), &search.key.problem);
    status = pf_timing_db_scan(db, PF_TABLE_CLASSES, consider_class, &search, err);
    if (!status)
        status = pf_timing_db_scan(db, PF_TABLE_PROBLEMS, consider_problem, &search, err);
    return status;
}
