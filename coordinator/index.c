#include "coordinator/index.h"

#include <sodium.h>
#include <string.h>

#include "base/alloc.h"
#include "coordinator/pool.h"

enum { FIRST_CAPACITY = 16, CAPACITY_MAX = 1 << 30 };

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
    return hash ? hash : 1;             /* 0: a free slot */
}

/* Hashes stand in their own order over all slots, whatever their number: it need not be a power of two. */
static uint32_t wanted_slot(const pf_index *index, uint32_t hash)
{
    return (uint32_t)((uint64_t)hash * index->capacity >> 32);
}

static uint32_t next_slot(const pf_index *index, uint32_t slot)
{
    return slot + 1 < index->capacity ? slot + 1 : 0;
}

static uint32_t distance(const pf_index *index, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + index->capacity - from;
}

/* The slot of key, or the free slot where it would go. */
static uint32_t locate(const pf_index *index, const void *key, uint32_t hash)
{
    uint32_t slot = wanted_slot(index, hash);

    while (index->hash[slot] &&
           (index->hash[slot] != hash || memcmp(key_of(index, index->item[slot]), key, index->key_bytes) != 0))
        slot = next_slot(index, slot);
    return slot;
}

void *pf_index_find(const pf_index *index, const void *key)
{
    uint32_t slot = index->capacity ? locate(index, key, hash_of(index, key)) : 0;

    return index->capacity && index->hash[slot] ? index->item[slot] : NULL;
}

void pf_index_prefetch(const pf_index *index, const void *key)
{
    uint32_t slot = index->capacity ? wanted_slot(index, hash_of(index, key)) : 0;

    if (index->capacity == 0)
        return;
    __builtin_prefetch(&index->hash[slot]);
    __builtin_prefetch(&index->item[slot]);
}

/* No two keys are equal, so a free slot is all that is looked for. */
static void move_all(const pf_index *from, pf_index *to)
{
    for (uint32_t i = 0; i < from->capacity; i++) {
        uint32_t slot = wanted_slot(to, from->hash[i]);
        if (!from->hash[i])
            continue;
        while (to->hash[slot])
            slot = next_slot(to, slot);
        to->item[slot] = from->item[i];
        to->hash[slot] = from->hash[i];
    }
}

static bool widen(pf_index *index, uint32_t capacity)
{
    pf_index wider = *index;

    wider.capacity = capacity;
    wider.item = pf_pool_array(wider.capacity, sizeof *wider.item);
    wider.hash = pf_pool_array(wider.capacity, sizeof *wider.hash);
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

/* Slots for so many items, and some more. */
static uint32_t slots_for(uint64_t count)
{
    uint64_t slots = count + count / 4 + FIRST_CAPACITY;

    return slots < CAPACITY_MAX ? (uint32_t)slots : CAPACITY_MAX;
}

bool pf_index_reserve(pf_index *index, uint64_t count)
{
    return slots_for(count) <= index->capacity || widen(index, slots_for(count));
}

/* At most 7 of 8 slots are taken. */
static bool has_room(const pf_index *index)
{
    return index->count < index->capacity - index->capacity / 8 - (index->capacity > 0);
}

bool pf_index_add(pf_index *index, void *item)
{
    uint32_t hash = hash_of(index, key_of(index, item)), slot = 0;

    if (!has_room(index) &&
        (index->capacity == CAPACITY_MAX || !widen(index, slots_for((uint64_t)index->capacity * 6 / 5))))
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
    uint32_t gap = 0;

    if (!pf_index_find(index, key))
        return;
    gap = locate(index, key, hash_of(index, key));
    for (uint32_t slot = next_slot(index, gap); index->hash[slot]; slot = next_slot(index, slot)) {
        if (distance(index, wanted_slot(index, index->hash[slot]), slot) >= distance(index, gap, slot)) {
            index->item[gap] = index->item[slot];
            index->hash[gap] = index->hash[slot];
            gap = slot;
        }
    }
    index->item[gap] = NULL;
    index->hash[gap] = 0;
    index->count--;
}
