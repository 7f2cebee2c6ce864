#include "engine/precompile.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/processors.h"

enum { THREADS_MAX = 64, TICK_MS = 20 };

/* Those that need the device wait for processes of their own, which are few: neither kind waits behind the other. */
typedef enum kind { HOST_ALONE, WITH_DEVICE, KINDS } kind;

typedef struct queue {
    struct pf_precompilation *all;
    pf_precompile_item       *items;
    uint32_t                  count, next;
} queue;

struct pf_precompilation {
    pf_device          *device;
    pf_precompile_item *items;          /* owned; by kind */
    queue               queues[KINDS];
    pthread_mutex_t     lock;           /* of all below, and of each queue's next */
    pthread_cond_t      done;           /* somebody is done with one, or with all */
    uint32_t           *left;           /* owned; by group: how many are not done */
    uint32_t            group_count, first_open;    /* groups before first_open are known to be done */
    uint32_t            left_with_device;
    bool                stop;
    pthread_t           thread[THREADS_MAX];
    uint32_t            started, running;
};

static kind kind_of(const pf_precompile_item *item)
{
    return item->tactic->flags & PF_TACTIC_COMPILES_WITH_DEVICE ? WITH_DEVICE : HOST_ALONE;
}

/* ---- Threads */

static void compile(pf_device *device, const pf_precompile_item *item)
{
    int64_t   start = pf_clock_ns();
    pf_status st = item->tactic->compile(device, item->problem, item->tuning, NULL);

    pf_log(PF_LOG_DEBUG, "builder", "compiled tactic=%s tuning=\"%s\" status=%d seconds=%.3f", item->tactic->name,
           item->tuning, (int)st, (double)(pf_clock_ns() - start) / PF_NS_PER_S);
}

static pf_precompile_item *take(queue *q)
{
    pf_precompile_item *item = NULL;

    pthread_mutex_lock(&q->all->lock);
    if (!q->all->stop && q->next < q->count)
        item = &q->items[q->next++];
    pthread_mutex_unlock(&q->all->lock);
    return item;
}

static void note_done(pf_precompilation *p, const pf_precompile_item *item)
{
    pthread_mutex_lock(&p->lock);
    p->left[item->group]--;
    p->left_with_device -= kind_of(item) == WITH_DEVICE;
    pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *user)
{
    queue              *q = user;
    pf_precompilation  *p = q->all;
    pf_precompile_item *item = NULL;

    while ((item = take(q)) != NULL) {
        compile(p->device, item);
        note_done(p, item);
    }
    pthread_mutex_lock(&p->lock);
    p->running--;
    pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Most of them wait for a process that compiles: a few more than there are processors write the next sources and put
   away what came. */
static uint32_t threads_for(const queue *q)
{
    uint32_t most = (uint32_t)pf_processors() * 5 / 4 + 1;

    most = most > THREADS_MAX / KINDS ? THREADS_MAX / KINDS : most;
    return q->count < most ? q->count : most;
}

/* How many. */
static uint32_t start_threads(pf_precompilation *p, queue *q)
{
    uint32_t wanted = threads_for(q), started = 0;

    pthread_mutex_lock(&p->lock);       /* so that none ends before it is counted */
    while (started < wanted && !pthread_create(&p->thread[p->started], NULL, work, q)) {
        p->started++;
        p->running++;
        started++;
    }
    pthread_mutex_unlock(&p->lock);
    return started;
}

/* ---- Order */

/* By kind; then by group those that are waited for group by group; and of these the long ones first: what is begun last
   decides when all is done. */
static int by_turn(const void *a, const void *b)
{
    const pf_precompile_item *x = a, *y = b;
    kind                      of = kind_of(x);

    if (of != kind_of(y))
        return of < kind_of(y) ? -1 : 1;
    if (of == HOST_ALONE && x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return x->tactic->compile_ms > y->tactic->compile_ms ? -1 : x->tactic->compile_ms < y->tactic->compile_ms;
}

static uint32_t keep_compiled(const pf_precompile_item *items, uint32_t count, pf_precompile_item *out)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++)
        if (items[i].tactic->compile)
            out[kept++] = items[i];
    return kept;
}

static void share_out(pf_precompilation *p, uint32_t count)
{
    qsort(p->items, count, sizeof *p->items, by_turn);
    for (uint32_t i = 0; i < count; i++) {
        queue *q = &p->queues[kind_of(&p->items[i])];

        if (!q->count++)
            q->items = &p->items[i];
        p->left[p->items[i].group]++;
    }
    for (int k = 0; k < KINDS; k++)
        p->queues[k].all = p;
    p->left_with_device = p->queues[WITH_DEVICE].count;
}

static uint32_t groups_of(const pf_precompile_item *items, uint32_t count)
{
    uint32_t groups = 0;

    for (uint32_t i = 0; i < count; i++)
        groups = items[i].group >= groups ? items[i].group + 1 : groups;
    return groups;
}

/* ---- The whole */

static pf_precompilation *allocate(pf_device *device, const pf_precompile_item *items, uint32_t count)
{
    pf_precompilation *p = pf_calloc(1, sizeof *p);
    pthread_condattr_t by_monotonic;

    if (!p)
        return NULL;
    pthread_condattr_init(&by_monotonic);
    pthread_condattr_setclock(&by_monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->done, &by_monotonic);
    pthread_condattr_destroy(&by_monotonic);
    p->device = device;
    p->group_count = groups_of(items, count);
    p->items = pf_calloc(count + 1, sizeof *p->items);
    p->left = pf_calloc(p->group_count + 1, sizeof *p->left);
    if (p->items && p->left)
        return p;
    pf_precompile_end(p);
    return NULL;
}

pf_status pf_precompile_start(pf_device *device, const pf_precompile_item *items, uint32_t count,
                              pf_precompilation **out, pf_err *err)
{
    pf_precompilation *p = allocate(device, items, count);
    bool               lacking = false;

    *out = NULL;
    if (!p)
        return PF_FAIL_MEMORY(err, count * sizeof *items);
    share_out(p, keep_compiled(items, count, p->items));
    for (int k = 0; k < KINDS; k++)
        lacking |= !start_threads(p, &p->queues[k]) && p->queues[k].count;
    if (lacking) {
        pf_precompile_end(p);
        return PF_FAIL(err, PF_NO_SPACE, "no thread can be started to compile kernels");
    }
    *out = p;
    return PF_OK;
}

/* With the lock held. */
static bool is_done(pf_precompilation *p, uint32_t group)
{
    while (p->first_open < p->group_count && !p->left[p->first_open])
        p->first_open++;
    return !p->running || (!p->left_with_device && (p->first_open == p->group_count || p->first_open > group));
}

static void wait_a_tick(pf_precompilation *p)
{
    struct timespec until = pf_clock_after(TICK_MS * PF_NS_PER_MS);

    pthread_cond_timedwait(&p->done, &p->lock, &until);
}

bool pf_precompile_wait(pf_precompilation *p, uint32_t group, bool (*go_on)(void *user), void *user)
{
    bool goes_on = !go_on || go_on(user);

    pthread_mutex_lock(&p->lock);
    while (goes_on && !is_done(p, group)) {
        wait_a_tick(p);
        pthread_mutex_unlock(&p->lock);
        goes_on = !go_on || go_on(user);
        pthread_mutex_lock(&p->lock);
    }
    p->stop |= !goes_on;
    pthread_mutex_unlock(&p->lock);
    return goes_on;
}

void pf_precompile_end(pf_precompilation *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < p->started; i++)
        pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    pf_free(p->items);
    pf_free(p->left);
    pf_free(p);
}

pf_status pf_precompile(pf_device *device, const pf_precompile_item *items, uint32_t count, bool (*go_on)(void *user),
                        void *user, pf_err *err)
{
    pf_precompilation *running = NULL;
    pf_status          st = pf_precompile_start(device, items, count, &running, err);

    if (!st)
        (void)pf_precompile_wait(running, UINT32_MAX, go_on, user);
    pf_precompile_end(running);
    return st;
}
