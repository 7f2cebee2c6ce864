#include "coordinator/index.h"

#include <sodium.h>
#include <string.h>

#include "base/alloc.h"

enum { FIRST_CAPACITY = 16 };

void pf_index_init(pf_index *index, size_t key_offset, size_t key_bytes, const uint8_t seed[PF_INDEX_SEED_BYTES])
{
    memset(index, 0, sizeof *index);
    index->key_offset = key_offset;
    index->key_bytes = key_bytes;
    memcpy(index->seed, seed, PF_INDEX_SEED_BYTES);
}

void pf_index_clear(pf_index *index)
{
    pf_free(index->item);
    pf_free(index->hash);
    index->item = NULL;
    index->hash = NULL;
    index->count = index->capacity = 0;
}

static const void *key_of(const pf_index *index, const void *item)
{
    return (const char *)item + index->key_offset;
}

static uint32_t hash_of(const pf_index *index, const void *key)
{
    uint8_t  out[crypto_shorthash_BYTES] = { 0 };
    uint32_t hash = 0;

    crypto_shorthash(out, key, index->key_bytes, index->seed);
    memcpy(&hash, out, sizeof hash);
    return hash;
}

/* The slot of key, or the free slot where it would go. */
static uint32_t locate(const pf_index *index, const void *key, uint32_t hash)
{
    uint32_t mask = index->capacity - 1, slot = hash & mask;

    while (index->item[slot] &&
           (index->hash[slot] != hash || memcmp(key_of(index, index->item[slot]), key, index->key_bytes) != 0))
        slot = (slot + 1) & mask;
    return slot;
}

void *pf_index_find(const pf_index *index, const void *key)
{
    return index->capacity ? index->item[locate(index, key, hash_of(index, key))] : NULL;
}

/* No two keys are equal, so a free slot is all that is looked for. */
static void move_all(const pf_index *from, pf_index *to)
{
    for (uint32_t i = 0; i < from->capacity; i++) {
        uint32_t slot = from->hash[i] & (to->capacity - 1);
        if (!from->item[i])
            continue;
        while (to->item[slot])
            slot = (slot + 1) & (to->capacity - 1);
        to->item[slot] = from->item[i];
        to->hash[slot] = from->hash[i];
    }
}

static bool widen(pf_index *index)
{
    pf_index wider = *index;

    wider.capacity = index->capacity ? index->capacity * 2 : FIRST_CAPACITY;
    wider.item = pf_calloc(wider.capacity, sizeof *wider.item);
    wider.hash = pf_calloc(wider.capacity, sizeof *wider.hash);
    if (!wider.item || !wider.hash) {
        pf_free(wider.item);
        pf_free(wider.hash);
        return false;
    }
    move_all(index, &wider);
    pf_free(index->item);
    pf_free(index->hash);
    *index = wider;
    return true;
}

bool pf_index_add(pf_index *index, void *item)
{
    uint32_t hash = hash_of(index, key_of(index, item)), slot = 0;

    if ((index->count + 1) * 3 > index->capacity * 2 && !widen(index))
        return false;
    slot = locate(index, key_of(index, item), hash);
    index->item[slot] = item;
    index->hash[slot] = hash;
    index->count++;
    return true;
}

/* Closes the gap by moving back every item of the run behind it that may stand there. */
void pf_index_remove(pf_index *index, const void *key)
{
    uint32_t mask = index->capacity - 1, gap = 0;

    if (!pf_index_find(index, key))
        return;
    gap = locate(index, key, hash_of(index, key));
    for (uint32_t slot = (gap + 1) & mask; index->item[slot]; slot = (slot + 1) & mask) {
        uint32_t wanted = index->hash[slot] & mask;
        if (((slot - wanted) & mask) >= ((slot - gap) & mask)) {
            index->item[gap] = index->item[slot];
            index->hash[gap] = index->hash[slot];
            gap = slot;
        }
    }
    index->item[gap] = NULL;
    index->count--;
}
