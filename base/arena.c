#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

enum { ALIGNMENT = 16, FIRST_BLOCK_BYTES = 4096, LARGEST_BLOCK_BYTES = 1 << 20 };

struct block {
    struct block *next;
    size_t        used, capacity;
    alignas(ALIGNMENT) uint8_t data[];
};

struct pf_arena {
    struct block *first;        /* allocations come from this one; the others are full */
    size_t        next_bytes;   /* capacity of the next ordinary block */
};

pf_arena *pf_arena_new(void)
{
    pf_arena *arena = pf_calloc(1, sizeof *arena);

    if (arena)
        arena->next_bytes = FIRST_BLOCK_BYTES;
    return arena;
}

void pf_arena_free(pf_arena *arena)
{
    struct block *block = arena ? arena->first : NULL;

    while (block) {
        struct block *next = block->next;

        pf_free(block);
        block = next;
    }
    pf_free(arena);
}

/* A zeroed block for at least bytes.  One that is larger than ordinary blocks goes behind the first, so that
   the room left in the first stays in use. */
static struct block *add_block(pf_arena *arena, size_t bytes)
{
    size_t        capacity = bytes > arena->next_bytes ? bytes : arena->next_bytes;
    struct block *block = pf_calloc(1, sizeof *block + capacity);

    if (!block)
        return NULL;
    block->capacity = capacity;
    pf_alloc_expect_filling(block->data, capacity);
    if (arena->first && bytes > arena->next_bytes) {
        block->next = arena->first->next;
        arena->first->next = block;
        return block;
    }
    block->next = arena->first;
    arena->first = block;
    if (arena->next_bytes < LARGEST_BLOCK_BYTES)
        arena->next_bytes *= 2;
    return block;
}

void *pf_arena_alloc(pf_arena *arena, size_t bytes)
{
    struct block *block = arena->first;
    size_t        rounded = (bytes ? bytes + ALIGNMENT - 1 : ALIGNMENT) & ~(size_t)(ALIGNMENT - 1);
    void         *out = NULL;

    if (bytes > SIZE_MAX / 2)
        return NULL;
    if (!block || block->capacity - block->used < rounded)
        block = add_block(arena, rounded);
    if (!block)
        return NULL;
    out = block->data + block->used;
    block->used += rounded;
    return out;
}

void *pf_arena_copy(pf_arena *arena, const void *from, size_t bytes)
{
    void *out = pf_arena_alloc(arena, bytes);

    if (out && bytes)
        memcpy(out, from, bytes);
    return out;
}

char *pf_arena_strndup(pf_arena *arena, const char *text, size_t bytes)
{
    size_t length = bytes ? strnlen(text, bytes) : 0;       /* text may be NULL when there are no bytes */
    char  *out = pf_arena_alloc(arena, length + 1);

    if (out && length)
        memcpy(out, text, length);
    return out;
}

char *pf_arena_strdup(pf_arena *arena, const char *text)
{
    return pf_arena_copy(arena, text, strlen(text) + 1);
}
