#include "engine/cpu_crowd.h"

#include <dirent.h>
#include <inttypes.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/thread_room.h"

enum {
    LOOK_NS = 50000000,             /* of runs: some slices of the scheduler, which are 3 to 4 ms long */
    COST_FACTOR = 200,              /* and so many times what looking takes, which grows with the number of threads */
    BEGIN_DIVISOR = 10,             /* a crowd takes a tenth of a core, */
    END_DIVISOR = 40,               /* and without one it is less than a fortieth */
    SLEEPERS_MAX = 1024,
    SPARE_THREADS = 16,             /* of others, which may begin while the sleepers do */
};

bool pf_cpu_crowd_rule(bool was, int64_t run_ns, int64_t waited_ns)
{
    return waited_ns > run_ns / (was ? END_DIVISOR : BEGIN_DIVISOR);
}

/* ---- What the kernel says */

static int64_t waited_by(const char *thread)
{
    char    path[64];
    int64_t waited_ns = 0;
    FILE   *file = NULL;

    snprintf(path, sizeof path, "/proc/self/task/%.20s/schedstat", thread);
    file = fopen(path, "re");
    if (!file)
        return -1;
    if (fscanf(file, "%*d %" SCNd64, &waited_ns) != 1)
        waited_ns = -1;
    fclose(file);
    return waited_ns;
}

int64_t pf_cpu_crowd_waited_ns(void)
{
    DIR           *folder = opendir("/proc/self/task");
    struct dirent *entry = NULL;
    int64_t        sum = -1;

    while (folder && (entry = readdir(folder)) != NULL) {
        int64_t waited_ns = entry->d_name[0] == '.' ? -1 : waited_by(entry->d_name);

        if (waited_ns >= 0)
            sum = (sum < 0 ? 0 : sum) + waited_ns;
    }
    if (folder)
        closedir(folder);
    return sum;
}

/* ---- The sleepers */

static struct {
    pthread_mutex_t lock;           /* of all below */
    pthread_cond_t  changed;
    int64_t         run_ns;         /* since it last looked */
    int64_t         look_ns;        /* it looks after so much of runs */
    int64_t         waited_ns;      /* until it last looked */
    int             open_count;
    uint64_t        sleep;          /* the number of the last one that began or ended; odd: somebody sleeps */
    int             sleepers;
    pthread_t       thread;
} crowd = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void sleep_until_woken(uint64_t sleep)
{
    pthread_mutex_lock(&crowd.lock);
    while (crowd.sleep == sleep)
        pthread_cond_wait(&crowd.changed, &crowd.lock);
    pthread_mutex_unlock(&crowd.lock);
}

/* The library counts threads of a team until the thread that made the team ends.  user: the number of the sleep, which
   may have ended before this runs. */
static void *keep_asleep(void *user)
{
    uint64_t sleep = (uint64_t)(uintptr_t)user;
    int      count = 0;

    pthread_mutex_lock(&crowd.lock);
    count = crowd.sleepers;
    pthread_mutex_unlock(&crowd.lock);
#pragma omp parallel num_threads(count)
    sleep_until_woken(sleep);
    return NULL;
}

/* These are called with the lock held. */
static bool somebody_sleeps(void)
{
    return crowd.sleep % 2;
}

static void begin_sleep(int32_t threads)
{
    int cores = omp_get_num_procs(), wanted = cores - threads + 2;

    crowd.sleepers = wanted < 2 ? 2 : wanted < SLEEPERS_MAX ? wanted : SLEEPERS_MAX;
    if (!pf_thread_room(crowd.sleepers + SPARE_THREADS) ||
        pthread_create(&crowd.thread, NULL, keep_asleep, (void *)(uintptr_t)(crowd.sleep + 1))) {
        pf_log(PF_LOG_DEBUG, "cpu", "crowd-has-no-room sleepers=%d", crowd.sleepers);
        return;
    }
    crowd.sleep++;
    pf_log(PF_LOG_DEBUG, "cpu", "crowd-begins threads=%d sleepers=%d", (int)threads, crowd.sleepers);
}

static void end_sleep(void)
{
    pthread_t thread = crowd.thread;

    pf_log(PF_LOG_DEBUG, "cpu", "crowd-ends");
    crowd.sleep++;
    pthread_cond_broadcast(&crowd.changed);
    pthread_mutex_unlock(&crowd.lock);
    pthread_join(thread, NULL);
    pthread_mutex_lock(&crowd.lock);
}

void pf_cpu_crowd_open(void)
{
    pthread_mutex_lock(&crowd.lock);
    crowd.open_count++;
    pthread_mutex_unlock(&crowd.lock);
}

void pf_cpu_crowd_close(void)
{
    pthread_mutex_lock(&crowd.lock);
    if (!--crowd.open_count && somebody_sleeps())
        end_sleep();
    pthread_mutex_unlock(&crowd.lock);
}

static bool user_decides(void)
{
    return getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY");
}

/* What was waited for before the first look, or while other threads ended, is not known. */
static void look(int32_t threads)
{
    int64_t start = pf_clock_ns(), waited_ns = pf_cpu_crowd_waited_ns(), since_ns = waited_ns - crowd.waited_ns;
    bool    crowded = crowd.look_ns && pf_cpu_crowd_rule(somebody_sleeps(), crowd.run_ns, since_ns);

    if (crowded && !somebody_sleeps() && !user_decides())
        begin_sleep(threads);
    else if (!crowded && somebody_sleeps())
        end_sleep();
    crowd.waited_ns = waited_ns;
    crowd.run_ns = 0;
    crowd.look_ns = COST_FACTOR * (pf_clock_ns() - start);
    if (crowd.look_ns < LOOK_NS)
        crowd.look_ns = LOOK_NS;
}

void pf_cpu_crowd_look(int32_t threads, int64_t took_ns)
{
    if (threads < 2 || pthread_mutex_trylock(&crowd.lock))
        return;
    crowd.run_ns += took_ns;
    if (crowd.run_ns >= crowd.look_ns && crowd.open_count)
        look(threads);
    pthread_mutex_unlock(&crowd.lock);
}

bool pf_cpu_crowd_found(void)
{
    bool found = false;

    pthread_mutex_lock(&crowd.lock);
    found = somebody_sleeps();
    pthread_mutex_unlock(&crowd.lock);
    return found;
}
