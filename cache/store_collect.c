#include "cache/store_collect.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

typedef struct candidate { pf_digest digest; uint64_t bytes; int64_t used_ns; } candidate;

typedef struct search {
    const pf_collect_rules *rules;
    candidate              *item;       /* owned */
    uint32_t                count, capacity;
    uint64_t                kept_named;
    bool                    failed;
} search;

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(pf_digest));
}

void pf_digest_list_sort(pf_digest *list, uint32_t count)
{
    if (count)          /* an empty list has no address */
        qsort(list, count, sizeof *list, compare);
}

static bool list_has(const pf_digest *list, uint32_t count, const pf_digest *digest)
{
    return count && bsearch(digest, list, count, sizeof *list, compare) != NULL;
}

static bool look(void *user, const pf_digest *digest, uint64_t bytes, int64_t used_wall_ns)
{
    search *s = user;
    void   *items = s->item;

    if (list_has(s->rules->named, s->rules->named_count, digest)) {
        s->kept_named++;
        return true;
    }
    if (s->rules->now_wall_ns - used_wall_ns < s->rules->spare_ns)
        return true;
    if (pf_grow(&items, &s->capacity, s->count + 1, sizeof *s->item)) {
        s->failed = true;
        return false;
    }
    s->item = items;
    s->item[s->count++] = (candidate){ *digest, bytes, used_wall_ns };
    return true;
}

static int by_use(const void *a, const void *b)
{
    const candidate *one = a, *two = b;

    return one->used_ns < two->used_ns ? -1 : one->used_ns > two->used_ns;
}

/* Least recently used first, so the first that may stay ends it. */
static pf_status remove_old(pf_store *store, const search *s, pf_collected *out, pf_err *err)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const candidate *c = &s->item[i];
        bool             removed = false;
        pf_status        st = PF_OK;
        if (s->rules->now_wall_ns - c->used_ns < s->rules->age_ns &&
            pf_store_bytes_used(store) <= s->rules->target_bytes)
            return PF_OK;
        st = pf_store_remove_unused(store, &c->digest, s->rules->now_wall_ns - s->rules->spare_ns, &removed, err);
        if (st && st != PF_NOT_FOUND)
            return st;
        out->blobs += removed;
        out->bytes += removed ? c->bytes : 0;
    }
    return PF_OK;
}

pf_status pf_store_collect(pf_store *store, const pf_collect_rules *rules, pf_collected *out, pf_err *err)
{
    search    s = { .rules = rules };
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    st = pf_store_walk(store, look, &s, err);
    if (!st && s.failed)
        st = PF_FAIL_MEMORY(err, s.capacity * sizeof *s.item);
    if (!st) {
        if (s.count)
            qsort(s.item, s.count, sizeof *s.item, by_use);
        st = remove_old(store, &s, out, err);
    }
    out->kept_named = s.kept_named;
    pf_free(s.item);
    return st;
}
