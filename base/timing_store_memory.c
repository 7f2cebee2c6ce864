/* A timing store that dies with its process. */
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/timing_record.h"

typedef struct memory_store {
    pf_timing_store   base;             /* first, so that the store is its base */
    pf_map           *places;           /* "<class digest><problem digest>" in hex -> index in records */
    pf_timing_record *records;
    uint32_t          count, capacity;
} memory_store;

enum { KEY_BYTES = 2 * PF_DIGEST_HEX_BYTES };

static void key_of(const pf_digest *device_class, const pf_digest *problem, char key[KEY_BYTES])
{
    pf_digest_to_hex(device_class, key);
    pf_digest_to_hex(problem, key + PF_DIGEST_HEX_BYTES - 1);
}

static pf_status lookup(pf_timing_store *base, const pf_digest *device_class, const pf_digest *problems, uint32_t count,
                        pf_timing_record *out, pf_err *err)
{
    memory_store *store = (memory_store *)base;
    pf_status     st = PF_OK;
    uint32_t      done = 0;

    memset(out, 0, count * sizeof *out);
    for (done = 0; done < count && !st; done++) {
        char     key[KEY_BYTES] = "";
        uint64_t place = 0;

        key_of(device_class, &problems[done], key);
        if (pf_map_get(store->places, key, &place))
            st = pf_timing_record_merge(&out[done], &store->records[place], err);
    }
    for (uint32_t i = 0; st && i < done; i++)
        pf_timing_record_clear(&out[i]);
    return st;
}

static pf_status record_of(memory_store *store, const char *key, pf_timing_record **out, pf_err *err)
{
    uint64_t place = 0;

    *out = NULL;
    if (!pf_map_get(store->places, key, &place)) {
        place = store->count;
        if (pf_grow((void **)&store->records, &store->capacity, store->count + 1, sizeof *store->records)
            || !pf_map_set(store->places, key, place))
            return PF_FAIL_MEMORY(err, sizeof *store->records);
        store->records[store->count++] = (pf_timing_record){ 0 };
    }
    *out = &store->records[place];
    return PF_OK;
}

static pf_status merge(pf_timing_store *base, const char *class_text, const char *problem_text,
                       const pf_timing_record *entries, pf_err *err)
{
    char              key[KEY_BYTES] = "";
    pf_digest         device_class, problem;
    pf_timing_record *record = NULL;
    pf_status         st = PF_OK;

    pf_digest_of(class_text, strlen(class_text), &device_class);
    pf_digest_of(problem_text, strlen(problem_text), &problem);
    key_of(&device_class, &problem, key);
    st = record_of((memory_store *)base, key, &record, err);
    return st ? st : pf_timing_record_merge(record, entries, err);
}

static void close_store(pf_timing_store *base)
{
    memory_store *store = (memory_store *)base;

    for (uint32_t i = 0; i < store->count; i++)
        pf_timing_record_clear(&store->records[i]);
    pf_free(store->records);
    pf_map_free(store->places);
    pf_free(store);
}

pf_status pf_timing_store_memory(pf_timing_store **out, pf_err *err)
{
    memory_store *store = pf_calloc(1, sizeof *store);

    *out = NULL;
    if (store)
        store->places = pf_map_new();
    if (!store || !store->places) {
        pf_free(store);
        return PF_FAIL_MEMORY(err, sizeof *store);
    }
    store->base = (pf_timing_store){ .lookup = lookup, .merge = merge, .close = close_store };
    *out = &store->base;
    return PF_OK;
}
