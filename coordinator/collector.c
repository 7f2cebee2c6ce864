#include "coordinator/collector.h"

#include "base/alloc.h"
#include "base/log.h"
#include "coordinator/worker.h"

typedef struct pass { pf_task base; pf_collect_rules rules; pf_digest *named; pf_collected done; } pass;

struct pf_collector {
    pf_store    *store;
    pf_worker   *worker;
    pass         pass;                  /* the worker's while busy */
    bool         busy;
    pf_collected totals;
};

static void free_named(pf_task *task)
{
    pass *p = (pass *)task;

    pf_free(p->named);
    p->named = NULL;
}

static void work(void *user, const pf_tasks *tasks)
{
    pf_collector *collector = user;
    pass         *p = (pass *)tasks->first;
    pf_err        err = { 0 };

    pf_digest_list_sort(p->named, p->rules.named_count);
    if (pf_store_collect(collector->store, &p->rules, &p->done, &err))
        pf_log(PF_LOG_ERROR, "store", "not_collected reason=\"%s\"", err.msg);
    else if (p->done.blobs)
        pf_log(PF_LOG_INFO, "store", "collected blobs=%llu bytes=%llu", (unsigned long long)p->done.blobs,
               (unsigned long long)p->done.bytes);
    free_named(&p->base);
}

pf_status pf_collector_start(pf_store *store, pf_collector **out, pf_err *err)
{
    pf_collector     *collector = pf_calloc(1, sizeof *collector);
    pf_worker_options options = { .name = "collector", .at_once = 1, .work = work, .free = free_named,
                                  .user = collector };
    pf_status         st = PF_OK;

    *out = NULL;
    if (!collector)
        return PF_FAIL_MEMORY(err, sizeof *collector);
    collector->store = store;
    st = pf_worker_start(&options, &collector->worker, err);
    if (st)
        pf_free(collector);
    else
        *out = collector;
    return st;
}

void pf_collector_stop(pf_collector *collector)
{
    if (!collector)
        return;
    pf_worker_stop(collector->worker);
    pf_free(collector);
}

bool pf_collector_is_busy(pf_collector *collector)
{
    if (collector->busy && pf_worker_take(collector->worker)) {
        collector->busy = false;
        collector->totals.blobs += collector->pass.done.blobs;
        collector->totals.bytes += collector->pass.done.bytes;
    }
    return collector->busy;
}

void pf_collector_give(pf_collector *collector, const pf_collect_rules *rules, pf_digest *named)
{
    collector->pass = (pass){ .rules = *rules, .named = named };
    collector->pass.rules.named = named;
    collector->busy = pf_worker_give(collector->worker, &collector->pass.base, 1);
}

void pf_collector_totals(pf_collector *collector, pf_collected *out)
{
    pf_collector_is_busy(collector);
    *out = collector->totals;
}
