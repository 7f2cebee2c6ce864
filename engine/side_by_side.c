#include "engine/side_by_side.h"

#include <omp.h>
#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "base/processors.h"
#include "engine/go_on.h"
#include "engine/thread_room.h"

enum { THREADS_MAX = 16 };

#define ASK_EVERY_NS (50 * PF_NS_PER_MS)

typedef struct sharing {
    pf_piece       *piece;
    void           *user;
    uint32_t        count;
    int             team;               /* threads of OpenMP that a piece may use */
    pthread_mutex_t lock;               /* of all below */
    pthread_cond_t  ended;
    uint32_t        next, running;
    bool            unwanted;
    pf_status       status;
    uint32_t        failed;             /* the number that status and why are of */
    pf_err          why;
} sharing;

static bool is_wanted(void *user)
{
    sharing *s = user;
    bool     wanted = false;

    pthread_mutex_lock(&s->lock);
    wanted = !s->unwanted;
    pthread_mutex_unlock(&s->lock);
    return wanted;
}

/* False: there is none left to begin. */
static bool take(sharing *s, uint32_t *number)
{
    bool any = false;

    pthread_mutex_lock(&s->lock);
    any = s->next < s->count && !s->status && !s->unwanted;
    if (any)
        *number = s->next++;
    pthread_mutex_unlock(&s->lock);
    return any;
}

static void note_failure(sharing *s, uint32_t number, pf_status status, const pf_err *why)
{
    pthread_mutex_lock(&s->lock);
    if (!s->status || number < s->failed) {
        s->status = status;
        s->failed = number;
        s->why = *why;
    }
    pthread_mutex_unlock(&s->lock);
}

static void *work(void *user)
{
    sharing *s = user;
    uint32_t number = 0;

    omp_set_num_threads(s->team);
    (void)pf_go_on_set((pf_go_on){ is_wanted, s });
    while (take(s, &number)) {
        pf_err    why = { 0 };
        pf_status st = s->piece(s->user, number, &why);

        if (st)
            note_failure(s, number, st, &why);
    }
    pthread_mutex_lock(&s->lock);
    s->running--;
    pthread_cond_signal(&s->ended);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void wait_for_all(sharing *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->running) {
        struct timespec until = pf_clock_after(ASK_EVERY_NS);

        (void)pthread_cond_clockwait(&s->ended, &s->lock, CLOCK_MONOTONIC, &until);
        pthread_mutex_unlock(&s->lock);
        bool goes_on = pf_go_on_asked();

        pthread_mutex_lock(&s->lock);
        s->unwanted |= !goes_on;
    }
    pthread_mutex_unlock(&s->lock);
}

static pf_status in_turn(sharing *s, pf_err *err)
{
    pf_status st = PF_OK;

    while (s->next < s->count && !st) {
        st = pf_go_on_check(err);
        if (!st)
            st = s->piece(s->user, s->next++, err);
    }
    return st;
}

static pf_status in_threads(sharing *s, uint32_t threads, pf_err *err)
{
    pthread_t thread[THREADS_MAX];
    uint32_t  started = 0;

    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->ended, NULL);
    pthread_mutex_lock(&s->lock);       /* so that none ends before it is counted */
    while (started < threads && !pthread_create(&thread[started], NULL, work, s))
        started++;
    s->running = started;
    pthread_mutex_unlock(&s->lock);
    wait_for_all(s);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    pthread_cond_destroy(&s->ended);
    pthread_mutex_destroy(&s->lock);
    if (s->status)
        return pf_err_pass(err, s->status, &s->why);
    return in_turn(s, err);             /* what no thread was there for, or nobody wants */
}

static uint32_t lesser(uint32_t a, uint32_t b) { return a < b ? a : b; }

pf_status pf_side_by_side(uint32_t count, uint32_t most_at_once, pf_piece *piece, void *user, pf_err *err)
{
    uint32_t processors = (uint32_t)pf_processors();
    uint32_t threads = lesser(lesser(count, most_at_once), lesser(processors, THREADS_MAX));
    sharing  s = { .piece = piece, .user = user, .count = count, .team = (int)(processors / (threads ? threads : 1)) };

    if (threads < 2 || !pf_thread_room((int)threads * s.team))
        return in_turn(&s, err);
    return in_threads(&s, threads, err);
}
