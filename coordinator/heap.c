#include "coordinator/heap.h"

#include <string.h>

#include "base/alloc.h"

void pf_heap_init(pf_heap *heap, size_t place_offset, size_t tie_offset)
{
    memset(heap, 0, sizeof *heap);
    heap->place_offset = place_offset;
    heap->tie_offset = tie_offset;
}

void pf_heap_clear(pf_heap *heap)
{
    pf_free(heap->entry);
    pf_heap_init(heap, heap->place_offset, heap->tie_offset);
}

static uint32_t *place_of(const pf_heap *heap, void *item)
{
    return (uint32_t *)((char *)item + heap->place_offset);
}

static uint64_t tie_of(const pf_heap *heap, const void *item)
{
    return *(const uint64_t *)((const char *)item + heap->tie_offset);
}

static bool before(const pf_heap *heap, const pf_heap_entry *a, const pf_heap_entry *b)
{
    return a->key < b->key || (a->key == b->key && tie_of(heap, a->item) < tie_of(heap, b->item));
}

static void set(pf_heap *heap, uint32_t place, pf_heap_entry entry)
{
    heap->entry[place] = entry;
    *place_of(heap, entry.item) = place;
}

static void rise(pf_heap *heap, uint32_t place)
{
    pf_heap_entry moving = heap->entry[place];

    while (place > 1 && before(heap, &moving, &heap->entry[place / 2])) {
        set(heap, place, heap->entry[place / 2]);
        place /= 2;
    }
    set(heap, place, moving);
}

static void sink(pf_heap *heap, uint32_t place)
{
    pf_heap_entry moving = heap->entry[place];

    for (;;) {
        uint32_t child = 2 * place;
        if (child > heap->count)
            break;
        if (child < heap->count && before(heap, &heap->entry[child + 1], &heap->entry[child]))
            child++;
        if (!before(heap, &heap->entry[child], &moving))
            break;
        set(heap, place, heap->entry[child]);
        place = child;
    }
    set(heap, place, moving);
}

bool pf_heap_put(pf_heap *heap, void *item, int64_t key)
{
    uint32_t place = *place_of(heap, item);
    void    *entries = heap->entry;

    if (place == PF_HEAP_OUT) {
        if (pf_grow(&entries, &heap->capacity, heap->count + 2, sizeof *heap->entry))
            return false;
        heap->entry = entries;
        place = ++heap->count;
    }
    set(heap, place, (pf_heap_entry){ key, item });
    rise(heap, place);
    sink(heap, *place_of(heap, item));
    return true;
}

void pf_heap_remove(pf_heap *heap, void *item)
{
    uint32_t      place = *place_of(heap, item);
    pf_heap_entry last = { 0 };

    if (place == PF_HEAP_OUT)
        return;
    *place_of(heap, item) = PF_HEAP_OUT;
    last = heap->entry[heap->count--];
    if (last.item == item)
        return;
    set(heap, place, last);
    rise(heap, place);
    sink(heap, *place_of(heap, last.item));
}

void *pf_heap_first(const pf_heap *heap, int64_t *key)
{
    if (heap->count == 0)
        return NULL;
    if (key)
        *key = heap->entry[1].key;
    return heap->entry[1].item;
}
