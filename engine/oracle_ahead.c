#include "engine/oracle_ahead.h"

#include <omp.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/processors.h"
#include "cache/trial.h"
#include "engine/go_on.h"

enum { PROCESSORS_LEAST = 4, NICENESS = 10 };

#define ASK_EVERY_NS (50 * PF_NS_PER_MS)

typedef enum state { WANTED, BEGUN, MADE, GONE } state;     /* GONE: taken, failed, or left to who asked for it */

typedef struct answer { pf_oracle_wanted wanted; state state; uint64_t bytes; pf_oracle oracle; } answer;

struct pf_oracle_ahead {
    pthread_mutex_t lock;               /* of all below; an answer that is BEGUN is the thread's */
    pthread_cond_t  changed;
    pthread_t       thread;
    answer         *answers;            /* owned */
    uint32_t        count;
    uint64_t        held_bytes, most_bytes;
    bool            ends;
};

bool pf_oracle_ahead_pays(const pf_device *device)
{
    return device->kind != PF_DEVICE_CPU && pf_processors() >= PROCESSORS_LEAST;
}

static uint64_t bytes_of(const pf_oracle *oracle)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < oracle->in_count; i++)
        bytes += oracle->in[i].bytes;
    for (uint32_t i = 0; i < oracle->out_count; i++)
        bytes += oracle->out[i].bytes;
    return bytes;
}

/* Threads of its teams, which are the same from one to the next, have the niceness of the one that makes the team. */
static void give_way(void)
{
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
    omp_set_num_threads((int)pf_processors() - 1);
#pragma omp parallel
    pf_trial_stand_aside();
}

/* With the lock held. NULL: there is nothing left to do. */
static answer *next_wanted(pf_oracle_ahead *a)
{
    while (!a->ends && a->held_bytes >= a->most_bytes)
        pthread_cond_wait(&a->changed, &a->lock);
    for (uint32_t i = 0; i < a->count && !a->ends; i++)
        if (a->answers[i].state == WANTED)
            return &a->answers[i];
    return NULL;
}

static bool is_wanted(void *user)
{
    pf_oracle_ahead *a = user;
    bool             ends = false;

    pthread_mutex_lock(&a->lock);
    ends = a->ends;
    pthread_mutex_unlock(&a->lock);
    return !ends;
}

static void *make_all(void *user)
{
    pf_oracle_ahead *a = user;
    answer          *next = NULL;

    give_way();
    (void)pf_go_on_set((pf_go_on){ is_wanted, a });
    pthread_mutex_lock(&a->lock);
    while ((next = next_wanted(a)) != NULL) {
        next->state = BEGUN;
        pthread_mutex_unlock(&a->lock);
        bool made = !pf_oracle_of_graph(next->wanted.graph, next->wanted.bindings, &next->oracle, NULL);

        pthread_mutex_lock(&a->lock);
        next->state = made ? MADE : GONE;
        next->bytes = bytes_of(&next->oracle);
        a->held_bytes += next->bytes;
        pthread_cond_broadcast(&a->changed);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

static void drop(pf_oracle_ahead *a)
{
    for (uint32_t i = 0; a->answers && i < a->count; i++)
        pf_oracle_clear(&a->answers[i].oracle);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    pf_free(a->answers);
    pf_free(a);
}

pf_status pf_oracle_ahead_start(const pf_oracle_wanted *wanted, uint32_t count, uint64_t most_bytes,
                                pf_oracle_ahead **out, pf_err *err)
{
    pf_oracle_ahead *a = pf_calloc(1, sizeof *a);

    *out = NULL;
    if (!a)
        return PF_FAIL_MEMORY(err, sizeof *a);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    a->most_bytes = most_bytes;
    a->count = count;
    a->answers = pf_calloc(count + 1, sizeof *a->answers);
    for (uint32_t i = 0; i < count && a->answers; i++)
        a->answers[i].wanted = wanted[i];
    if (!a->answers || pthread_create(&a->thread, NULL, make_all, a)) {
        drop(a);
        return PF_FAIL(err, PF_NO_SPACE, "there is no room for a thread that makes answers ahead");
    }
    *out = a;
    return PF_OK;
}

/* With the lock held.  False: whoever waits was told to stop. */
static bool await(pf_oracle_ahead *a, const answer *wanted)
{
    bool goes_on = true;

    while (wanted->state == BEGUN && goes_on) {
        struct timespec until = pf_clock_after(ASK_EVERY_NS);

        (void)pthread_cond_clockwait(&a->changed, &a->lock, CLOCK_MONOTONIC, &until);
        goes_on = pf_go_on_asked();
    }
    return goes_on;
}

bool pf_oracle_ahead_take(pf_oracle_ahead *ahead, uint32_t number, pf_oracle *out)
{
    answer *taken = ahead ? &ahead->answers[number] : NULL;
    bool    made = false;

    *out = (pf_oracle){ 0 };
    if (!ahead)
        return false;
    pthread_mutex_lock(&ahead->lock);
    if (await(ahead, taken)) {
        made = taken->state == MADE;
        if (made) {
            *out = taken->oracle;
            taken->oracle = (pf_oracle){ 0 };
            ahead->held_bytes -= taken->bytes;
        }
        taken->state = GONE;
        pthread_cond_broadcast(&ahead->changed);
    }
    pthread_mutex_unlock(&ahead->lock);
    return made;
}

void pf_oracle_ahead_end(pf_oracle_ahead *ahead)
{
    if (!ahead)
        return;
    pthread_mutex_lock(&ahead->lock);
    ahead->ends = true;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
    pthread_join(ahead->thread, NULL);
    drop(ahead);
}
