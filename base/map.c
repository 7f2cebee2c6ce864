/* Open addressing with linear probing; nothing is removed.
   Names come from files of strangers, so the hash is keyed and the key is drawn per map. */
#include "base/map.h"

#include <sodium/crypto_shorthash.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"

enum { FIRST_CAPACITY = 16 };

struct entry {
    char    *key;       /* owned; NULL when free */
    uint64_t hash, value;
};

struct pf_map {
    struct entry *entries;
    uint32_t      capacity;     /* a power of two */
    uint32_t      count;        /* at most 3/4 of capacity */
    uint8_t       hash_key[crypto_shorthash_KEYBYTES];
};

pf_map *pf_map_new(void)
{
    pf_map       *map = pf_calloc(1, sizeof *map);
    struct entry *entries = pf_calloc(FIRST_CAPACITY, sizeof *entries);

    if (!map || !entries) {
        pf_free(map);
        pf_free(entries);
        return NULL;
    }
    map->entries = entries;
    map->capacity = FIRST_CAPACITY;
    if (getentropy(map->hash_key, sizeof map->hash_key))
        memset(map->hash_key, 0, sizeof map->hash_key);     /* still a correct map */
    return map;
}

void pf_map_free(pf_map *map)
{
    if (!map)
        return;
    for (uint32_t i = 0; i < map->capacity; i++)
        pf_free(map->entries[i].key);
    pf_free(map->entries);
    pf_free(map);
}

static uint64_t hash_of(const pf_map *map, const char *key)
{
    uint64_t hash = 0;

    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key, strlen(key), map->hash_key);
    return hash;
}

/* The entry that holds key, or the free one where it belongs. */
static struct entry *slot_of(const pf_map *map, const char *key, uint64_t hash)
{
    uint32_t mask = map->capacity - 1;
    uint32_t at = (uint32_t)hash & mask;

    while (map->entries[at].key && (map->entries[at].hash != hash || strcmp(map->entries[at].key, key) != 0))
        at = (at + 1) & mask;
    return &map->entries[at];
}

static bool double_capacity(pf_map *map)
{
    struct entry *old = map->entries;
    uint32_t      old_capacity = map->capacity;
    struct entry *grown = old_capacity > UINT32_MAX / 2 ? NULL : pf_calloc((size_t)old_capacity * 2, sizeof *grown);

    if (!grown)
        return false;
    map->entries = grown;
    map->capacity = old_capacity * 2;
    for (uint32_t i = 0; i < old_capacity; i++)
        if (old[i].key)
            *slot_of(map, old[i].key, old[i].hash) = old[i];
    pf_free(old);
    return true;
}

bool pf_map_set(pf_map *map, const char *key, uint64_t value)
{
    uint64_t      hash = hash_of(map, key);
    struct entry *entry = slot_of(map, key, hash);
    char         *copy = NULL;

    if (entry->key) {
        entry->value = value;
        return true;
    }
    if (map->count >= map->capacity / 4 * 3) {
        if (!double_capacity(map))
            return false;
        entry = slot_of(map, key, hash);
    }
    copy = pf_strdup(key);
    if (!copy)
        return false;
    *entry = (struct entry){.key = copy, .hash = hash, .value = value};
    map->count++;
    return true;
}

bool pf_map_get(const pf_map *map, const char *key, uint64_t *value)
{
    const struct entry *entry = slot_of(map, key, hash_of(map, key));

    *value = entry->key ? entry->value : 0;
    return entry->key != NULL;
}
