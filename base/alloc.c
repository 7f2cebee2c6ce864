#include "base/alloc.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/memory.h"

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

/* ---- Watching */

static _Atomic(pf_memory_watcher) watcher;
static void           *watcher_user;
static pthread_mutex_t watcher_lock = PTHREAD_MUTEX_INITIALIZER;

void pf_memory_watch(pf_memory_watcher new_watcher, void *user)
{
    pthread_mutex_lock(&watcher_lock);
    watcher_user = user;
    atomic_store(&watcher, new_watcher);
    pthread_mutex_unlock(&watcher_lock);
}

bool pf_memory_watch_if_free(pf_memory_watcher new_watcher, void *user)
{
    bool is_free = false;

    pthread_mutex_lock(&watcher_lock);
    is_free = !atomic_load(&watcher);
    if (is_free) {
        watcher_user = user;
        atomic_store(&watcher, new_watcher);
    }
    pthread_mutex_unlock(&watcher_lock);
    return is_free;
}

bool pf_memory_is_watched(void)
{
    return atomic_load_explicit(&watcher, memory_order_relaxed);
}

void pf_memory_tell(const void *pointer, uint64_t bytes, bool is_free, bool on_device)
{
    pf_memory_watcher now = atomic_load(&watcher);

    if (now)
        now(watcher_user, &(pf_memory_event){ pf_clock_ns(), bytes, pointer, is_free, on_device });
}

/* ---- A user's allocator: each block has a head in front of it, since only its owner knows what it gave */

enum { HEAD_BYTES = 16 };

typedef struct head { void *base; size_t bytes; } head;
_Static_assert(sizeof(head) <= HEAD_BYTES, "a head fits in front of a block");

static pf_host_allocator host;          /* alloc NULL: the C library's */

pf_status pf_host_allocator_use(const pf_host_allocator *allocator, pf_err *err)
{
    if (pf_alloc_count())
        return PF_FAIL(err, PF_INVALID,
                       "an allocator must be given before anything else is called; memory was taken already");
    host = *allocator;
    return PF_OK;
}

static head *head_of(void *pointer)
{
    return (head *)((uint8_t *)pointer - HEAD_BYTES);
}

static void *host_take(size_t alignment, size_t bytes)
{
    size_t   front = alignment > HEAD_BYTES ? alignment : HEAD_BYTES, whole = 0;
    uint8_t *base = __builtin_add_overflow(bytes, front, &whole) ? NULL : host.alloc(host.user, whole, front);

    if (base)
        *head_of(base + front) = (head){ base, bytes };
    return base ? base + front : NULL;
}

/* ---- Taking and giving back */

/* Not inlined: the compiler takes a head in front of what calloc gave for a mistake. */
__attribute__((noinline)) static size_t usable_bytes(void *pointer)
{
    return host.alloc ? head_of(pointer)->bytes : malloc_usable_size(pointer);
}

static void *told(void *pointer)
{
    if (pointer && pf_memory_is_watched())
        pf_memory_tell(pointer, usable_bytes(pointer), false, false);
    return pointer;
}

static void *take(size_t alignment, size_t bytes)
{
    void *out = NULL;

    bytes = at_least_one(bytes);
    if (!admit())
        return NULL;
    if (host.alloc)
        return host_take(alignment, bytes);
    if (alignment <= HEAD_BYTES)
        return malloc(bytes);
    return posix_memalign(&out, alignment, bytes) ? NULL : out;
}

void *pf_alloc(size_t bytes)
{
    return told(take(0, bytes));
}

void *pf_alloc_untold(size_t alignment, size_t bytes)
{
    return take(alignment, bytes);
}

void *pf_alloc_aligned(size_t alignment, size_t bytes)
{
    return told(take(alignment, bytes));
}

void *pf_calloc(size_t count, size_t item_bytes)
{
    size_t bytes = 0;
    void  *out = NULL;

    if (__builtin_mul_overflow(count, item_bytes, &bytes))
        return NULL;
    if (!host.alloc)
        return told(admit() ? calloc(1, at_least_one(bytes)) : NULL);
    out = take(0, bytes);
    return told(out ? memset(out, 0, bytes) : NULL);
}

void pf_free_untold(void *pointer)
{
    if (pointer && host.alloc)
        host.free(host.user, head_of(pointer)->base);
    else
        free(pointer);
}

void pf_free(void *pointer)
{
    if (pointer && pf_memory_is_watched())
        pf_memory_tell(pointer, usable_bytes(pointer), true, false);
    pf_free_untold(pointer);
}

/* What the C library would do in place, step by step, so that both blocks are told of. */
static void *move(void *old, size_t bytes)
{
    size_t old_bytes = old ? usable_bytes(old) : 0;
    void  *out = pf_alloc(bytes);

    if (out && old) {
        memcpy(out, old, old_bytes < bytes ? old_bytes : bytes);
        pf_free(old);
    }
    return out;
}

void *pf_realloc(void *old, size_t bytes)
{
    if (host.alloc || pf_memory_is_watched())
        return move(old, bytes);
    return admit() ? realloc(old, at_least_one(bytes)) : NULL;
}

/* From 32 MiB on a block of the C library is a mapping of its own, and the advice ends with it. */
void pf_alloc_expect_filling(void *pointer, size_t bytes)
{
    const uintptr_t page = (uintptr_t)2 << 20, least = (uintptr_t)32 << 20;
    uintptr_t       first = ((uintptr_t)pointer + page - 1) / page * page,
                    end = ((uintptr_t)pointer + bytes) / page * page;

    if (pointer && bytes >= least && !host.alloc)
        (void)madvise((void *)first, end - first, MADV_HUGEPAGE);  /* a system that has none goes on with small ones */
}

/* A user's allocator keeps or gives back what it likes. */
void pf_alloc_trim(size_t spare_bytes)
{
    if (!host.alloc && mallinfo2().fordblks > spare_bytes)
        malloc_trim(0);
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
