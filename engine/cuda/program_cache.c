#include "engine/cuda/program_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "engine/cuda/program_folder.h"

/* What networks take at some hundred sizes; a build of a large one compiles 60 MB. */
enum { MEMORY_LIMIT_BYTES = 256 << 20 };

typedef struct cached { uint8_t *code; size_t bytes; } cached;

struct pf_program_cache {
    pthread_mutex_t   lock;
    pf_map           *by_key;           /* hex of the key -> index */
    cached           *items; uint32_t count, capacity;
    size_t            bytes;            /* of all code */
    pf_program_folder folder;
};

pf_program_cache *pf_program_cache_new(void)
{
    pf_program_cache *cache = pf_calloc(1, sizeof *cache);

    if (!cache) return NULL;
    cache->by_key = pf_map_new();
    if (!cache->by_key) {
        pf_free(cache);
        return NULL;
    }
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void pf_program_cache_free(pf_program_cache *cache)
{
    if (!cache) return;
    for (uint32_t i = 0; i < cache->count; i++) pf_free(cache->items[i].code);
    pf_free(cache->items);
    pf_map_free(cache->by_key);
    pthread_mutex_destroy(&cache->lock);
    pf_free(cache);
}

pf_status pf_program_cache_keep_in(pf_program_cache *cache, const char *folder, const pf_digest *device_class,
                                   pf_err *err)
{
    return pf_program_folder_open(&cache->folder, folder, device_class, err);
}

/* What is used again is found in the folder, or compiled again. */
static void make_room_locked(pf_program_cache *cache, size_t bytes)
{
    pf_map *none = cache->bytes + bytes > MEMORY_LIMIT_BYTES ? pf_map_new() : NULL;

    if (!none) return;
    pf_map_free(cache->by_key);
    cache->by_key = none;
    for (uint32_t i = 0; i < cache->count; i++) pf_free(cache->items[i].code);
    cache->count = 0;
    cache->bytes = 0;
}

static bool add_locked(pf_program_cache *cache, const char *hex, uint8_t *code, size_t bytes)
{
    uint64_t at = 0;

    if (pf_map_get(cache->by_key, hex, &at)) return false;
    make_room_locked(cache, bytes);
    if (pf_grow((void **)&cache->items, &cache->capacity, cache->count + 1, sizeof *cache->items) ||
        !pf_map_set(cache->by_key, hex, cache->count))
        return false;
    cache->items[cache->count++] = (cached){ code, bytes };
    cache->bytes += bytes;
    return true;
}

/* Takes code; what does not fit is compiled again when it is needed. */
static void add(pf_program_cache *cache, const pf_digest *key, uint8_t *code, size_t bytes)
{
    char hex[PF_DIGEST_HEX_BYTES] = {0};
    bool added = false;

    pf_digest_to_hex(key, hex);
    pthread_mutex_lock(&cache->lock);
    added = add_locked(cache, hex, code, bytes);
    pthread_mutex_unlock(&cache->lock);
    if (!added) pf_free(code);
}

/* In memory; copy may be NULL. */
static bool find(pf_program_cache *cache, const pf_digest *key, uint8_t **copy, size_t *bytes)
{
    char     hex[PF_DIGEST_HEX_BYTES] = {0};
    uint64_t at = 0;
    bool     found = false;

    pf_digest_to_hex(key, hex);
    pthread_mutex_lock(&cache->lock);
    found = pf_map_get(cache->by_key, hex, &at);
    if (found && copy) {
        *bytes = cache->items[at].bytes;
        *copy = pf_alloc(*bytes);
        if (*copy) memcpy(*copy, cache->items[at].code, *bytes);
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

bool pf_program_cache_has(pf_program_cache *cache, const pf_digest *key)
{
    size_t   bytes = 0;
    uint8_t *code = NULL;

    if (find(cache, key, NULL, NULL)) return true;
    code = pf_program_folder_read(&cache->folder, key, &bytes);
    if (!code) return false;
    add(cache, key, code, bytes);
    return true;
}

uint8_t *pf_program_cache_copy(pf_program_cache *cache, const pf_digest *key, size_t *bytes)
{
    uint8_t *copy = NULL;

    if (pf_program_cache_has(cache, key)) find(cache, key, &copy, bytes);
    return copy;
}

void pf_program_cache_keep(pf_program_cache *cache, const pf_digest *key, uint8_t *code, size_t bytes)
{
    pf_program_folder_write(&cache->folder, key, code, bytes);
    add(cache, key, code, bytes);
}
