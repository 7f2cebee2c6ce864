/* Where the host memory of this process comes from, and who is told of memory that is taken and given back.
   Both concern everything in the process that comes through base/alloc.h: networks, builds, plans, contexts.  What the
   libraries below take for themselves (oneDNN, CUDA, LMDB) is not seen.  Device memory is told of too; engine/device.h
   says where it comes from. */
#ifndef PF_BASE_MEMORY_H
#define PF_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* alloc: at least bytes, aligned to alignment (a power of two, at least 16); NULL when there is none.  Called from any
   thread. */
typedef struct pf_host_allocator {
    void *(*alloc)(void *user, size_t bytes, size_t alignment);
    void  (*free)(void *user, void *pointer);
    void  *user;
} pf_host_allocator;

/* All host memory from here on comes from allocator, which is copied.  Must be the first call of all.
   Errors  INVALID: memory was taken already, so that giving it back would go astray. */
pf_status pf_host_allocator_use(const pf_host_allocator *allocator, pf_err *err);

typedef struct pf_memory_event {
    int64_t     time_ns;                /* of base/clock.h: monotonic */
    uint64_t    bytes;                  /* usable ones: at least what was asked for */
    const void *pointer;
    bool        is_free;                /* given back */
    bool        on_device;              /* tensors of a device, also where that device is the CPU */
} pf_memory_event;

/* Called from any thread that takes or gives back memory, several at once; must take none from planfarm itself. */
typedef void (*pf_memory_watcher)(void *user, const pf_memory_event *event);
/* Replaces the watcher; NULL: nobody.  Call it while no other thread uses planfarm. */
void pf_memory_watch(pf_memory_watcher watcher, void *user);
bool pf_memory_watch_if_free(pf_memory_watcher watcher, void *user);  /* false, and nothing done, when there is one */
bool pf_memory_is_watched(void);
/* Tells the watcher, if there is one. */
void pf_memory_tell(const void *pointer, uint64_t bytes, bool is_free, bool on_device);

/* ---- A watcher that keeps a list */

typedef struct pf_memory_log pf_memory_log;
typedef struct pf_memory_totals {  /* since the start: what was taken before and given back since counts below zero */
    int64_t  host_bytes, host_peak_bytes;
    int64_t  device_bytes, device_peak_bytes;
    uint64_t event_count, dropped_count;/* dropped: were counted, but the list was full */
} pf_memory_totals;

/* Becomes the process's watcher and keeps the first `capacity` events.  Errors  BUSY: somebody watches already. */
pf_status pf_memory_log_start(uint32_t capacity, pf_memory_log **out, pf_err *err);
void      pf_memory_log_stop(pf_memory_log *log);      /* nothing is added any more; what it holds stays */
void      pf_memory_log_free(pf_memory_log *log);      /* stops it first */
uint32_t  pf_memory_log_count(const pf_memory_log *log);
/* In the order of time; NULL when absent. */
const pf_memory_event *pf_memory_log_event(const pf_memory_log *log, uint32_t index);
void      pf_memory_log_totals(const pf_memory_log *log, pf_memory_totals *out);

#endif
