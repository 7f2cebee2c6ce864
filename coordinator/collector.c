#include "coordinator/collector.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/log.h"

struct pf_collector {
    pf_store        *store;
    pthread_t        thread;
    pthread_mutex_t  mutex;
    pthread_cond_t   wake;
    bool             busy, stopping;
    pf_collect_rules rules;
    pf_digest       *named;             /* owned while busy */
    pf_collected     totals;
};

static void pass(pf_collector *collector)
{
    pf_collected done = { 0 };
    pf_err       err = { 0 };

    pf_digest_list_sort(collector->named, collector->rules.named_count);
    if (pf_store_collect(collector->store, &collector->rules, &done, &err))
        pf_log(PF_LOG_ERROR, "store", "not_collected reason=\"%s\"", err.msg);
    else if (done.blobs)
        pf_log(PF_LOG_INFO, "store", "collected blobs=%llu bytes=%llu", (unsigned long long)done.blobs,
               (unsigned long long)done.bytes);
    pf_free(collector->named);
    collector->named = NULL;
    pthread_mutex_lock(&collector->mutex);
    collector->totals.blobs += done.blobs;
    collector->totals.bytes += done.bytes;
    collector->busy = false;
    pthread_mutex_unlock(&collector->mutex);
}

static void *run(void *user)
{
    pf_collector *collector = user;

    for (;;) {
        bool stop = false;
        pthread_mutex_lock(&collector->mutex);
        while (!collector->busy && !collector->stopping)
            pthread_cond_wait(&collector->wake, &collector->mutex);
        stop = collector->stopping;
        pthread_mutex_unlock(&collector->mutex);
        if (stop)
            return NULL;
        pass(collector);
    }
}

pf_status pf_collector_start(pf_store *store, pf_collector **out, pf_err *err)
{
    pf_collector *collector = pf_calloc(1, sizeof *collector);

    *out = NULL;
    if (!collector)
        return PF_FAIL_MEMORY(err, sizeof *collector);
    collector->store = store;
    pthread_mutex_init(&collector->mutex, NULL);
    pthread_cond_init(&collector->wake, NULL);
    if (pthread_create(&collector->thread, NULL, run, collector) != 0) {
        pf_free(collector);
        return PF_FAIL(err, PF_NO_SPACE, "cannot start the collector's thread");
    }
    *out = collector;
    return PF_OK;
}

void pf_collector_stop(pf_collector *collector)
{
    if (!collector)
        return;
    pthread_mutex_lock(&collector->mutex);
    collector->stopping = true;
    pthread_cond_signal(&collector->wake);
    pthread_mutex_unlock(&collector->mutex);
    pthread_join(collector->thread, NULL);
    pthread_mutex_destroy(&collector->mutex);
    pthread_cond_destroy(&collector->wake);
    pf_free(collector->named);
    pf_free(collector);
}

bool pf_collector_is_busy(pf_collector *collector)
{
    bool busy = false;

    pthread_mutex_lock(&collector->mutex);
    busy = collector->busy;
    pthread_mutex_unlock(&collector->mutex);
    return busy;
}

void pf_collector_give(pf_collector *collector, const pf_collect_rules *rules, pf_digest *named)
{
    pthread_mutex_lock(&collector->mutex);
    collector->rules = *rules;
    collector->rules.named = named;
    collector->named = named;
    collector->busy = true;
    pthread_cond_signal(&collector->wake);
    pthread_mutex_unlock(&collector->mutex);
}

void pf_collector_totals(pf_collector *collector, pf_collected *out)
{
    pthread_mutex_lock(&collector->mutex);
    *out = collector->totals;
    pthread_mutex_unlock(&collector->mutex);
}
