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
    index->item = NULL;
    index->count = index->capacity = 0;
}

static const void *key_of(const pf_index *index, const void *item)
{
    return (const char *)item + index->key_offset;
}

static uint32_t home(const pf_index *index, const void *key)
{
    uint8_t  out[crypto_shorthash_BYTES] = { 0 };
    uint32_t hash = 0;

    crypto_shorthash(out, key, index->key_bytes, index->seed);
    memcpy(&hash, out, sizeof hash);
    return hash & (index->capacity - 1);
}

/* The slot of key, or the free slot where it would go. */
static uint32_t locate(const pf_index *index, const void *key)
{
    uint32_t slot = home(index, key);

    while (index->item[slot] && memcmp(key_of(index, index->item[slot]), key, index->key_bytes) != 0)
        slot = (slot + 1) & (index->capacity - 1);
    return slot;
}

void *pf_index_find(const pf_index *index, const void *key)
{
    return index->capacity ? index->item[locate(index, key)] : NULL;
}

static bool widen(pf_index *index)
{
    pf_index wider = *index;

    wider.capacity = index->capacity ? index->capacity * 2 : FIRST_CAPACITY;
    wider.item = pf_calloc(wider.capacity, sizeof *wider.item);
    if (!wider.item)
        return false;
    for (uint32_t i = 0; i < index->capacity; i++)
        if (index->item[i])
            wider.item[locate(&wider, key_of(&wider, index->item[i]))] = index->item[i];
    pf_free(index->item);
    *index = wider;
    return true;
}

bool pf_index_add(pf_index *index, void *item)
{
    if ((index->count + 1) * 3 > index->capacity * 2 && !widen(index))
        return false;
    index->item[locate(index, key_of(index, item))] = item;
    index->count++;
    return true;
}

/* Closes the gap by moving back every item of the run behind it that may stand there. */
void pf_index_remove(pf_index *index, const void *key)
{
    uint32_t mask = index->capacity - 1, gap = 0;

    if (!pf_index_find(index, key))
        return;
    gap = locate(index, key);
    for (uint32_t slot = (gap + 1) & mask; index->item[slot]; slot = (slot + 1) & mask) {
        uint32_t wanted = home(index, key_of(index, index->item[slot]));
        if (((slot - wanted) & mask) >= ((slot - gap) & mask)) {
            index->item[gap] = index->item[slot];
            gap = slot;
        }
    }
    index->item[gap] = NULL;
    index->count--;
}
