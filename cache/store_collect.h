/* Removes blobs that nobody needs: those that no live entry names, by age and, in a full store, by last use. */
#ifndef PF_CACHE_STORE_COLLECT_H
#define PF_CACHE_STORE_COLLECT_H

#include "cache/store.h"

typedef struct pf_collect_rules {       /* open */
    const pf_digest *named;             /* kept in any case; sorted by pf_digest_list_sort */
    uint32_t         named_count;
    int64_t          now_wall_ns;
    int64_t          spare_ns;          /* used within so long: kept in any case, it may be about to be named */
    int64_t          age_ns;            /* not used for so long: removed */
    uint64_t         target_bytes;      /* beyond that the least recently used go, however young */
} pf_collect_rules;

typedef struct pf_collected { uint64_t blobs, bytes, kept_named; } pf_collected;

void pf_digest_list_sort(pf_digest *list, uint32_t count);

/* Blobs may come, go and be used meanwhile.  Thread   any, one at a time.  Errors   IO, NO_SPACE. */
pf_status pf_store_collect(pf_store *store, const pf_collect_rules *rules, pf_collected *out, pf_err *err);

#endif
