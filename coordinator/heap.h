/* A binary heap of borrowed items by an int64 key, smallest first; every item knows its place, so it can be moved or
   taken out from the middle.  Equal keys come out in the order of tie numbers that stand in the items. */
#ifndef PF_COORDINATOR_HEAP_H
#define PF_COORDINATOR_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PF_HEAP_OUT = 0 };               /* the place of an item that is in no heap */

typedef struct pf_heap_entry { int64_t key; void *item; } pf_heap_entry;

typedef struct pf_heap {                /* open: entry[1] is the first, entry[0] is not used */
    pf_heap_entry *entry;               /* owned */
    uint32_t       count, capacity;
    size_t         place_offset, tie_offset;    /* of the item's uint32_t place and its uint64_t tie number */
} pf_heap;

void  pf_heap_init(pf_heap *heap, size_t place_offset, size_t tie_offset);
void  pf_heap_clear(pf_heap *heap);
/* Puts item in, or moves it when it is in.  False when out of memory. */
bool  pf_heap_put(pf_heap *heap, void *item, int64_t key);
void  pf_heap_remove(pf_heap *heap, void *item);        /* fine when it is not in */
void *pf_heap_first(const pf_heap *heap, int64_t *key); /* NULL when empty; key may be NULL */

#endif
