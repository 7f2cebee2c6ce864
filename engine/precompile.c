#include "engine/precompile.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/processors.h"

enum { THREADS_MAX = 64, TICK_MS = 20 };

/* Those that need the device wait for processes of their own, which are few: neither kind waits behind the other. */
typedef enum kind { HOST_ALONE, WITH_DEVICE, KINDS } kind;

typedef struct queue {
    struct pool              *pool;
    const pf_precompile_item *items;
    uint32_t                  count;
    atomic_uint               next;
} queue;

typedef struct pool {
    pf_device  *device;
    queue       queues[KINDS];
    atomic_uint running;
    atomic_bool stop;
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
    queue   *q = user;
    pool    *p = q->pool;
    uint32_t at = 0;

    while (!atomic_load(&p->stop) && (at = atomic_fetch_add(&q->next, 1)) < q->count)
        compile(p->device, &q->items[at]);
    atomic_fetch_sub(&p->running, 1);
    return NULL;
}

static void pass_over(pf_precompile_item *items, uint32_t *count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < *count; i++)
        if (items[i].tactic->compile)
            items[kept++] = items[i];
    *count = kept;
}

static kind kind_of(const pf_precompile_item *item)
{
    return item->tactic->flags & PF_TACTIC_COMPILES_WITH_DEVICE ? WITH_DEVICE : HOST_ALONE;
}

/* By kind, and of a kind the long ones first: what is begun last decides when all is done. */
static int long_ones_first(const void *a, const void *b)
{
    const pf_precompile_item *x = a, *y = b;

    if (kind_of(x) != kind_of(y))
        return kind_of(x) < kind_of(y) ? -1 : 1;
    return x->tactic->compile_ms > y->tactic->compile_ms ? -1 : x->tactic->compile_ms < y->tactic->compile_ms;
}

static void share_out(pool *p, pf_precompile_item *items, uint32_t count)
{
    qsort(items, count, sizeof *items, long_ones_first);
    for (uint32_t i = 0; i < count; i++) {
        queue *q = &p->queues[kind_of(&items[i])];

        if (!q->count++)
            q->items = &items[i];
    }
    for (int k = 0; k < KINDS; k++)
        p->queues[k].pool = p;
}

/* Most of them wait for a process that compiles: a few more than there are processors write the next sources and put
   away what came. */
static uint32_t threads_for(const queue *q)
{
    uint32_t most = (uint32_t)pf_processors() * 5 / 4 + 1;

    most = most > THREADS_MAX / KINDS ? THREADS_MAX / KINDS : most;
    return q->count < most ? q->count : most;
}

static uint32_t start_threads(pool *p, queue *q, pthread_t *thread)
{
    uint32_t wanted = threads_for(q), started = 0;

    for (; started < wanted; started++) {
        atomic_fetch_add(&p->running, 1);
        if (pthread_create(&thread[started], NULL, work, q)) {
            atomic_fetch_sub(&p->running, 1);
            break;
        }
    }
    return started;
}

pf_status pf_precompile(pf_device *device, pf_precompile_item *items, uint32_t count, bool (*go_on)(void *user),
                        void *user, pf_err *err)
{
    pthread_t thread[THREADS_MAX];
    pool      p = { .device = device };
    uint32_t  started = 0;
    bool      lacking = false;

    pass_over(items, &count);
    share_out(&p, items, count);
    for (int k = 0; k < KINDS; k++) {
        uint32_t now = start_threads(&p, &p.queues[k], thread + started);

        lacking |= p.queues[k].count && !now;
        started += now;
    }
    while (atomic_load(&p.running)) {
        if (go_on && !go_on(user))
            atomic_store(&p.stop, true);
        pf_clock_sleep_ns(TICK_MS * PF_NS_PER_MS);
    }
    for (uint32_t i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    return lacking ? PF_FAIL(err, PF_NO_SPACE, "no thread can be started to compile kernels") : PF_OK;
}
