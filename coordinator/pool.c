#include "coordinator/pool.h"

#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"

enum { FIRST_CHUNK_BYTES = 8 << 10, PAGE_BYTES = 2 << 20, CHUNK_BYTES_MAX = 2 * PAGE_BYTES, HEAD_BYTES = 16 };

/* Under AddressSanitizer each item is an allocation, so that it sees when one is used after it was given back. */
#ifdef __SANITIZE_ADDRESS__
static const size_t ITEM_MAX = 0;
#else
static const size_t ITEM_MAX = PF_POOL_ITEM_MAX;
#endif

/* Without large pages it is only slower, so nobody asks whether the advice was taken. */
static void *take_large(size_t bytes)
{
    void *memory = pf_alloc_aligned(PAGE_BYTES, bytes);

    if (!memory)
        return NULL;
    madvise(memory, bytes / PAGE_BYTES * PAGE_BYTES, MADV_HUGEPAGE);
    return memory;
}

void *pf_pool_array(size_t count, size_t item_bytes)
{
    size_t bytes = 0;
    void  *memory = NULL;

    if (__builtin_mul_overflow(count, item_bytes, &bytes) || bytes < 2 * (size_t)PAGE_BYTES)
        return pf_calloc(count, item_bytes);
    memory = take_large(bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

/* Each chunk is twice as large as the one before, so that a small farm takes little. */
static uint8_t *add_chunk(pf_pool *pool, pf_pool_size *size)
{
    size_t bytes = size->chunk_bytes ? size->chunk_bytes * 2 : FIRST_CHUNK_BYTES;
    void  *chunk = NULL;

    if (bytes > CHUNK_BYTES_MAX)
        bytes = CHUNK_BYTES_MAX;
    chunk = bytes < CHUNK_BYTES_MAX ? pf_alloc(bytes) : take_large(bytes);
    if (!chunk)
        return NULL;
    memcpy(chunk, &pool->chunks, sizeof pool->chunks);
    pool->chunks = chunk;
    size->chunk_bytes = bytes;
    size->next = (uint8_t *)chunk + HEAD_BYTES;
    size->end = (uint8_t *)chunk + bytes;
    return size->next;
}

void *pf_pool_take(pf_pool *pool, size_t bytes)
{
    size_t        whole = (bytes + PF_POOL_STEP_BYTES - 1) / PF_POOL_STEP_BYTES * PF_POOL_STEP_BYTES;
    pf_pool_size *size = NULL;
    void         *item = NULL;

    if (whole == 0 || whole > ITEM_MAX)
        return pf_calloc(1, bytes);
    size = &pool->size[whole / PF_POOL_STEP_BYTES - 1];
    item = size->free;
    if (item) {
        memcpy(&size->free, item, sizeof size->free);
        return memset(item, 0, whole);
    }
    if ((size_t)(size->end - size->next) < whole && !add_chunk(pool, size))
        return NULL;
    item = size->next;
    size->next += whole;
    return memset(item, 0, whole);
}

void pf_pool_give(pf_pool *pool, void *item, size_t bytes)
{
    size_t        whole = (bytes + PF_POOL_STEP_BYTES - 1) / PF_POOL_STEP_BYTES * PF_POOL_STEP_BYTES;
    pf_pool_size *size = NULL;

    if (!item || whole == 0 || whole > ITEM_MAX) {
        pf_free(item);
        return;
    }
    size = &pool->size[whole / PF_POOL_STEP_BYTES - 1];
    memcpy(item, &size->free, sizeof size->free);
    size->free = item;
}

void pf_pool_clear(pf_pool *pool)
{
    while (pool->chunks) {
        void *chunk = pool->chunks;
        memcpy(&pool->chunks, chunk, sizeof pool->chunks);
        pf_free(chunk);
    }
    memset(pool, 0, sizeof *pool);
}
