#include "base/alloc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t allocation_count;
static _Atomic uint64_t successes_left = UINT64_MAX;   /* UINT64_MAX: no limit */

/* Counts one allocation; false when it is told to fail. */
static bool admit(void)
{
    uint64_t left = atomic_load_explicit(&successes_left, memory_order_relaxed);

    atomic_fetch_add_explicit(&allocation_count, 1, memory_order_relaxed);
    while (left != UINT64_MAX) {
        if (left == 0)
            return false;
        if (atomic_compare_exchange_weak(&successes_left, &left, left - 1))
            return true;
    }
    return true;
}

/* malloc(0) may answer NULL, which callers would read as "out of memory". */
static size_t at_least_one(size_t bytes)
{
    return bytes ? bytes : 1;
}

void *pf_alloc(size_t bytes)
{
    return admit() ? malloc(at_least_one(bytes)) : NULL;
}

void *pf_calloc(size_t count, size_t item_bytes)
{
    size_t bytes = 0;

    if (__builtin_mul_overflow(count, item_bytes, &bytes))
        return NULL;
    return admit() ? calloc(1, at_least_one(bytes)) : NULL;
}

void *pf_realloc(void *old, size_t bytes)
{
    return admit() ? realloc(old, at_least_one(bytes)) : NULL;
}

void *pf_alloc_aligned(size_t alignment, size_t bytes)
{
    void *out = NULL;

    if (alignment < sizeof(void *))
        alignment = sizeof(void *);
    if (!admit() || posix_memalign(&out, alignment, at_least_one(bytes)))
        return NULL;
    return out;
}

void pf_free(void *pointer)
{
    free(pointer);
}

char *pf_strdup(const char *text)
{
    return pf_strndup(text, strlen(text));
}

char *pf_strndup(const char *text, size_t bytes)
{
    size_t length = strnlen(text, bytes);
    char  *out = pf_alloc(length + 1);

    if (!out)
        return NULL;
    memcpy(out, text, length);
    out[length] = 0;
    return out;
}

int pf_grow(void **items, uint32_t *capacity, uint32_t need, size_t item_bytes)
{
    uint32_t wanted = *capacity > UINT32_MAX / 2 ? UINT32_MAX : *capacity * 2;
    size_t   bytes = 0;
    void    *grown = NULL;

    if (need <= *capacity)
        return 0;
    if (wanted < need)
        wanted = need;
    if (wanted < 8)
        wanted = 8;
    if (__builtin_mul_overflow((size_t)wanted, item_bytes, &bytes))
        return -1;
    grown = pf_realloc(*items, bytes);
    if (!grown)
        return -1;
    *items = grown;
    *capacity = wanted;
    return 0;
}

void pf_alloc_fail_after(uint64_t successes)
{
    atomic_store(&successes_left, successes);
}

uint64_t pf_alloc_count(void)
{
    return atomic_load_explicit(&allocation_count, memory_order_relaxed);
}
