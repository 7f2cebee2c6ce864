/* One block of device memory in which what is timed comes to lie at the same addresses in every build.  Where things
   lie changes the time of short runs by some percent, and the same addresses take the same time again and again: builds
   that measure in the same places see the same differences, and choose alike.  Memory that is taken as it comes lies
   elsewhere as soon as one build goes on where another stopped.
   An arena that is NULL never has room.   Thread   one at a time. */
#ifndef PF_ENGINE_TIMING_ARENA_H
#define PF_ENGINE_TIMING_ARENA_H

#include "engine/device.h"

typedef struct pf_timing_arena {
    pf_device *device;                  /* borrowed */
    char      *memory;                  /* NULL: none; then it never has room */
    size_t     bytes;
    size_t     fixed, next;             /* the end of what stays in all places, and of what is reserved */
} pf_timing_arena;

/* A part of the device's memory where that captures and has it, else none. */
void   pf_timing_arena_open(pf_device *device, pf_timing_arena *out);
void   pf_timing_arena_close(pf_timing_arena *arena);
/* All that was reserved is free again. */
void   pf_timing_arena_clear(pf_timing_arena *arena);
/* What was reserved since it was clear stays in all places. */
void   pf_timing_arena_fix(pf_timing_arena *arena);
/* What was not fixed is free again; what is reserved from now on lies elsewhere for every place. */
void   pf_timing_arena_begin(pf_timing_arena *arena, uint32_t place);
/* PF_DEVICE_ALIGNMENT aligned; NULL where there is no room. */
void  *pf_timing_arena_reserve(pf_timing_arena *arena, size_t bytes);
/* Where the next one may lie, and back to there: what was reserved since is free again. */
size_t pf_timing_arena_mark(const pf_timing_arena *arena);
void   pf_timing_arena_rewind(pf_timing_arena *arena, size_t mark);
/* What is left of it. */
size_t pf_timing_arena_room(const pf_timing_arena *arena);
/* An allocator that takes from the arena's first half what still fits there, and the rest as the device itself does. */
void   pf_timing_arena_lend(pf_timing_arena *arena, pf_allocator *out);
bool   pf_timing_arena_holds(const pf_timing_arena *arena, const void *memory);

#endif
