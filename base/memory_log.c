#include <pthread.h>

#include "base/alloc.h"
#include "base/memory.h"

struct pf_memory_log {
    pthread_mutex_t  lock;
    pf_memory_totals totals;
    uint32_t         count, capacity;
    bool             started;
    pf_memory_event  events[];
};

static void add_bytes(int64_t *now, int64_t *peak, const pf_memory_event *event)
{
    *now += event->is_free ? -(int64_t)event->bytes : (int64_t)event->bytes;
    if (*now > *peak)
        *peak = *now;
}

static void add_event(void *user, const pf_memory_event *event)
{
    pf_memory_log    *log = user;
    pf_memory_totals *t = &log->totals;

    pthread_mutex_lock(&log->lock);
    t->event_count++;
    if (event->on_device)
        add_bytes(&t->device_bytes, &t->device_peak_bytes, event);
    else
        add_bytes(&t->host_bytes, &t->host_peak_bytes, event);
    if (log->count < log->capacity)
        log->events[log->count++] = *event;
    else
        t->dropped_count++;
    pthread_mutex_unlock(&log->lock);
}

pf_status pf_memory_log_start(uint32_t capacity, pf_memory_log **out, pf_err *err)
{
    size_t         bytes = sizeof **out + (size_t)capacity * sizeof(pf_memory_event);
    pf_memory_log *log = pf_calloc(1, bytes);

    *out = NULL;
    if (!log)
        return PF_FAIL_MEMORY(err, bytes);
    log->capacity = capacity;
    pthread_mutex_init(&log->lock, NULL);
    if (!pf_memory_watch_if_free(add_event, log)) {
        pf_memory_log_free(log);
        return PF_FAIL(err, PF_BUSY, "the memory of this process is watched already; stop that first");
    }
    log->started = true;
    *out = log;
    return PF_OK;
}

void pf_memory_log_stop(pf_memory_log *log)
{
    if (log && log->started)
        pf_memory_watch(NULL, NULL);
    if (log)
        log->started = false;
}

void pf_memory_log_free(pf_memory_log *log)
{
    if (!log)
        return;
    pf_memory_log_stop(log);
    pthread_mutex_destroy(&log->lock);
    pf_free(log);
}

uint32_t pf_memory_log_count(const pf_memory_log *log)
{
    return log->count;
}

const pf_memory_event *pf_memory_log_event(const pf_memory_log *log, uint32_t index)
{
    return index < log->count ? &log->events[index] : NULL;
}

void pf_memory_log_totals(const pf_memory_log *log, pf_memory_totals *out)
{
    *out = log->totals;
}
