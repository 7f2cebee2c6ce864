#include "engine/precompile.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/processors.h"

enum { THREADS_MAX = 64, TICK_MS = 20 };

typedef struct pool {
    pf_device                *device;
    const pf_precompile_item *items;
    uint32_t                  count;
    atomic_uint               next, running;
    atomic_bool               stop;
} pool;

static void compile(pf_device *device, const pf_precompile_item *item)
{
    int64_t   start = pf_clock_ns();
    pf_status st = item->tactic->compile(device, item->problem, item->tuning, NULL);

    pf_log(PF_LOG_DEBUG, "builder", "compiled tactic=%s tuning=\"%s\" status=%d seconds=%.3f", item->tactic->name,
           item->tuning, (int)st, (double)(pf_clock_ns() - start) / PF_NS_PER_S);
}

static void *work(void *user)
{
    pool    *p = user;
    uint32_t at = 0;

    while (!atomic_load(&p->stop) && (at = atomic_fetch_add(&p->next, 1)) < p->count)
        compile(p->device, &p->items[at]);
    atomic_fetch_sub(&p->running, 1);
    return NULL;
}

/* Most of them wait for a process that compiles, of which a tactic may have fewer than there are processors: the
   others' must not wait for it. */
static uint32_t threads_for(const pf_precompile_item *items, uint32_t count)
{
    uint32_t most = 2 * (uint32_t)pf_processors(), wanted = 0;

    for (uint32_t i = 0; i < count; i++)
        wanted += items[i].tactic->compile != NULL;
    if (most > THREADS_MAX)
        most = THREADS_MAX;
    return wanted < most ? wanted : most;
}

static void pass_over(pf_precompile_item *items, uint32_t *count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < *count; i++)
        if (items[i].tactic->compile)
            items[kept++] = items[i];
    *count = kept;
}

pf_status pf_precompile(pf_device *device, pf_precompile_item *items, uint32_t count, bool (*go_on)(void *user),
                        void *user, pf_err *err)
{
    pthread_t thread[THREADS_MAX];
    pool      p = { .device = device, .items = items };
    uint32_t  wanted = threads_for(items, count), started = 0;

    pass_over(items, &count);
    p.count = count;
    for (; started < wanted; started++) {
        atomic_fetch_add(&p.running, 1);
        if (pthread_create(&thread[started], NULL, work, &p)) {
            atomic_fetch_sub(&p.running, 1);
            break;
        }
    }
    while (atomic_load(&p.running)) {
        if (go_on && !go_on(user))
            atomic_store(&p.stop, true);
        pf_clock_sleep_ns(TICK_MS * PF_NS_PER_MS);
    }
    for (uint32_t i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    return wanted && !started ? PF_FAIL(err, PF_NO_SPACE, "no thread can be started to compile kernels") : PF_OK;
}
