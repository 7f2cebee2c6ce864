/* Memory of devices: who gives it, and how much of it is told of. */
#include <pthread.h>

#include "base/alloc.h"
#include "base/memory.h"
#include "engine/device.h"

/* Blocks that were taken while somebody watched: only that way their sizes are known when they are given back. */
typedef struct block { const pf_device *device; const void *pointer; size_t bytes; } block;

static struct {
    pthread_mutex_t lock;
    block          *items;
    uint32_t        count, capacity;
} watched = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void tell_taken(const pf_device *device, const void *pointer, size_t bytes)
{
    bool kept = false;

    if (!pf_memory_is_watched())
        return;
    pthread_mutex_lock(&watched.lock);
    kept = !pf_grow((void **)&watched.items, &watched.capacity, watched.count + 1, sizeof *watched.items);
    if (kept)
        watched.items[watched.count++] = (block){ device, pointer, bytes };
    pthread_mutex_unlock(&watched.lock);
    if (kept)
        pf_memory_tell(pointer, bytes, false, true);
}

static void tell_given_back(const pf_device *device, const void *pointer)
{
    size_t bytes = 0;

    pthread_mutex_lock(&watched.lock);
    for (uint32_t i = watched.count; i-- > 0 && !bytes;) {
        if (watched.items[i].device != device || watched.items[i].pointer != pointer)
            continue;
        bytes = watched.items[i].bytes;
        watched.items[i] = watched.items[--watched.count];
    }
    if (!watched.count) {
        pf_free(watched.items);
        watched.items = NULL;
        watched.capacity = 0;
    }
    pthread_mutex_unlock(&watched.lock);
    if (bytes)
        pf_memory_tell(pointer, bytes, true, true);
}

static const pf_allocator *giver(const pf_device *device, const pf_allocator *allocator)
{
    if (allocator && allocator->alloc)
        return allocator;
    return device->allocator.alloc ? &device->allocator : NULL;
}

pf_status pf_device_take(pf_device *device, const pf_allocator *allocator, size_t bytes, void **out, pf_err *err)
{
    const pf_allocator *from = giver(device, allocator);
    pf_status           st = PF_OK;

    *out = NULL;
    if (!from) {
        st = device->ops->alloc(device, bytes, out, err);
    } else {
        *out = from->alloc(from->user, bytes, PF_DEVICE_ALIGNMENT, true);
        if (!*out)
            return PF_FAIL(err, PF_NO_SPACE, "the allocator has no %zu bytes of device memory", bytes);
        if ((uintptr_t)*out % PF_DEVICE_ALIGNMENT) {
            from->free(from->user, *out, true);
            *out = NULL;
            return PF_FAIL(err, PF_INVALID, "the allocator gave device memory that is not aligned to %d bytes",
                           PF_DEVICE_ALIGNMENT);
        }
    }
    if (!st)
        tell_taken(device, *out, bytes);
    return st;
}

void pf_device_give_back(pf_device *device, const pf_allocator *allocator, void *pointer)
{
    const pf_allocator *to = giver(device, allocator);

    if (!pointer)
        return;
    tell_given_back(device, pointer);
    if (to)
        to->free(to->user, pointer, true);
    else
        device->ops->free(device, pointer);
}
