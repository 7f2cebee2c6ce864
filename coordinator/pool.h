/* Memory for millions of small things: by sizes, out of large chunks, without a head for each, on large pages where the
   system has them.  What is given back is used again for things of the same size; chunks go only with the pool.
   Thread   one. */
#ifndef PF_COORDINATOR_POOL_H
#define PF_COORDINATOR_POOL_H

#include <stddef.h>
#include <stdint.h>

enum { PF_POOL_STEP_BYTES = 8, PF_POOL_ITEM_MAX = 160 };       /* what is larger comes from pf_calloc */

typedef struct pf_pool_size {
    void    *free;                      /* a list through the first word of each */
    uint8_t *next, *end;                /* what was never given out of the newest chunk */
    size_t   chunk_bytes;               /* of the newest */
} pf_pool_size;

typedef struct pf_pool {                /* zeroed: empty */
    pf_pool_size size[PF_POOL_ITEM_MAX / PF_POOL_STEP_BYTES];
    void        *chunks;                /* owned, a list through the first word of each */
} pf_pool;

void *pf_pool_take(pf_pool *pool, size_t bytes);  /* zeroed, for words of 64 bits; NULL when out of memory */
void  pf_pool_give(pf_pool *pool, void *item, size_t bytes);    /* as many as were taken; NULL is fine */
/* Frees all small items at once; larger ones must have been given back. */
void  pf_pool_clear(pf_pool *pool);

/* A zeroed array, on large pages when it fills some.  Freed by pf_free. */
void *pf_pool_array(size_t count, size_t item_bytes);

#endif
