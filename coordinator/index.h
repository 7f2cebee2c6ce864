/* A hash index of borrowed items by a key of fixed size that stands inside them.  Hashed with a secret, so that ids
   chosen by others cannot make it slow. */
#ifndef PF_COORDINATOR_INDEX_H
#define PF_COORDINATOR_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PF_INDEX_SEED_BYTES = 16 };

typedef struct pf_index {               /* open: for each slot below capacity, item[slot] may be NULL */
    void   **item;                      /* owned array of borrowed items */
    uint32_t *hash;  /* owned; of the key in each slot, 0 when it is free, so that a search looks into few items */
    uint32_t count, capacity;           /* at least an eighth of them is free */
    size_t   key_offset, key_bytes;
    uint8_t  seed[PF_INDEX_SEED_BYTES];
} pf_index;

void  pf_index_init(pf_index *index, size_t key_offset, size_t key_bytes, const uint8_t seed[PF_INDEX_SEED_BYTES]);
void  pf_index_clear(pf_index *index);
void *pf_index_find(const pf_index *index, const void *key);    /* NULL when absent */
/* Room for so many items, without more than is needed.  False when out of memory. */
bool  pf_index_reserve(pf_index *index, uint64_t count);
/* Begins to fetch what a search for key will look at, so that it need not wait for memory then. */
void  pf_index_prefetch(const pf_index *index, const void *key);
/* The key must not be in.  False when out of memory. */
bool  pf_index_add(pf_index *index, void *item);
void  pf_index_remove(pf_index *index, const void *key);        /* fine when absent */

#endif
