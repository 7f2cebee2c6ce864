#include "engine/timing_arena.h"

#define MEMORY_SHARE 64                                 /* of the device's memory, */
#define MOST_BYTES   ((size_t)2 << 30)                  /* and at most so much */
#define APART_BYTES  (((size_t)2 << 20) + ((size_t)68 << 10))   /* more than a page of a card, and no multiple of one */

void pf_timing_arena_open(pf_device *device, pf_timing_arena *out)
{
    size_t bytes = device->memory_bytes / MEMORY_SHARE;
    void  *memory = NULL;
    pf_err ignored = { 0 };

    *out = (pf_timing_arena){ .device = device };
    bytes = bytes > MOST_BYTES ? MOST_BYTES : bytes;
    if (!device->ops->capture_begin || !bytes || pf_device_take(device, NULL, bytes, &memory, &ignored))
        return;
    out->memory = memory;
    out->bytes = bytes;
}

void pf_timing_arena_close(pf_timing_arena *arena)
{
    if (arena->memory)
        pf_device_give_back(arena->device, NULL, arena->memory);
    *arena = (pf_timing_arena){ 0 };
}

void pf_timing_arena_clear(pf_timing_arena *arena)
{
    if (arena)
        arena->fixed = arena->next = 0;
}

void pf_timing_arena_fix(pf_timing_arena *arena)
{
    if (arena)
        arena->fixed = arena->next;
}

void pf_timing_arena_begin(pf_timing_arena *arena, uint32_t place)
{
    if (arena)
        arena->next = arena->fixed + place * APART_BYTES;
}

size_t pf_timing_arena_room(const pf_timing_arena *arena)
{
    return arena && arena->memory && arena->next < arena->bytes ? arena->bytes - arena->next : 0;
}

void *pf_timing_arena_reserve(pf_timing_arena *arena, size_t bytes)
{
    size_t room = pf_timing_arena_room(arena);
    char  *at = room ? arena->memory + arena->next : NULL;

    if (!room || bytes > room)
        return NULL;
    arena->next += (bytes + PF_DEVICE_ALIGNMENT - 1) / PF_DEVICE_ALIGNMENT * PF_DEVICE_ALIGNMENT;
    return at;
}

size_t pf_timing_arena_mark(const pf_timing_arena *arena)
{
    return arena ? arena->next : 0;
}

void pf_timing_arena_rewind(pf_timing_arena *arena, size_t mark)
{
    if (arena)
        arena->next = mark;
}

static void *lend(void *user, size_t bytes, size_t alignment, bool on_device)
{
    pf_timing_arena    *arena = user;
    const pf_allocator *own = &arena->device->allocator;
    size_t              half = arena->bytes / 2;
    void               *memory = NULL;
    pf_err              ignored = { 0 };

    if (arena->next < half && bytes <= half - arena->next)
        return pf_timing_arena_reserve(arena, bytes);
    if (own->alloc)
        return own->alloc(own->user, bytes, alignment, on_device);
    return arena->device->ops->alloc(arena->device, bytes, &memory, &ignored) ? NULL : memory;
}

static void take_back(void *user, void *memory, bool on_device)
{
    const pf_timing_arena *arena = user;
    const pf_allocator    *own = &arena->device->allocator;

    if (pf_timing_arena_holds(arena, memory))
        return;
    if (own->alloc)
        own->free(own->user, memory, on_device);
    else
        arena->device->ops->free(arena->device, memory);
}

void pf_timing_arena_lend(pf_timing_arena *arena, pf_allocator *out)
{
    *out = arena ? (pf_allocator){ lend, take_back, arena } : (pf_allocator){ 0 };
}

bool pf_timing_arena_holds(const pf_timing_arena *arena, const void *memory)
{
    const char *at = memory;

    return arena && arena->memory && at >= arena->memory && at < arena->memory + arena->bytes;
}
