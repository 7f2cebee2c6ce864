#include "engine/cuda/compile_pool.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/processors.h"
#include "engine/cuda/cuda_device.h"
#include "engine/tactic.h"

extern char **environ;

/* Processors go first to who times, who runs references and who compiles with a device, for which others wait. */
enum { WORKERS_MAX = 32, WITH_DEVICE_MAX = 12, MESSAGE_LIMIT_BYTES = 64 << 20, NICENESS = 10 };

/* A message is a 32-bit length and that many bytes. A request: tactic, tuning and problem text, each ended by a zero,
   or nothing, compute capability and source; an answer: what save wrote, or machine code; nothing when the tactic or
   the compiler refused. Both ends are the same build on one machine, joined by a socket: one that is gone must be an
   error of the call, not a signal to our caller's process. A worker ends when its socket does. */
enum { TACTIC, TUNING, PROBLEM, TEXTS, CAPABILITY = TUNING, SOURCE = PROBLEM };

typedef struct worker { pid_t pid; int fd; bool busy; } worker;         /* pid 0: nobody in this place */

struct pf_compile_pool {
    int             ordinal;
    char            program[PATH_MAX];      /* empty: there is none */
    pthread_mutex_t lock;
    pthread_cond_t  freed;
    worker          workers[WORKERS_MAX];
    int             count;                  /* that are there */
    int             limit;                  /* places in use */
};

static void find_program(pf_compile_pool *pool)
{
    Dl_info info = {0};
    char   *slash = NULL;

    if (!dladdr((const void *)find_program, &info) || !info.dli_fname) return;
    snprintf(pool->program, sizeof pool->program - 32, "%s", info.dli_fname);
    slash = strrchr(pool->program, '/');
    if (slash) snprintf(slash + 1, 32, "planfarm-compile");
    if (!slash || access(pool->program, X_OK)) pool->program[0] = 0;
}

pf_compile_pool *pf_compile_pool_new(int ordinal)
{
    pf_compile_pool *pool = pf_calloc(1, sizeof *pool);
    int              cores = pf_processors(), wanted = ordinal == PF_COMPILE_NO_DEVICE ? cores : (cores + 1) / 2,
                     most = ordinal == PF_COMPILE_NO_DEVICE ? WORKERS_MAX : WITH_DEVICE_MAX;

    if (!pool) return NULL;
    pool->ordinal = ordinal;
    pool->limit = wanted < most ? wanted : most;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->freed, NULL);
    find_program(pool);
    return pool;
}

/* Of the socket, whoever else inherited it: a worker ends with it. */
static void hang_up(const worker *w)
{
    shutdown(w->fd, SHUT_RDWR);
    close(w->fd);
}

static void wait_for_end(pf_compile_pool *pool, worker *w)
{
    while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR) {}
    *w = (worker){0};
    pool->count--;
}

unsigned pf_compile_pool_workers(pf_compile_pool *pool)
{
    unsigned count = 0;

    if (!pool) return 0;
    pthread_mutex_lock(&pool->lock);
    count = (unsigned)pool->count;
    pthread_mutex_unlock(&pool->lock);
    return count;
}

static bool is_idle(const worker *w)
{
    return w->pid && !w->busy;
}

void pf_compile_pool_rest(pf_compile_pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    /* all at once: leaving the device takes each a while */
    for (int i = 0; i < pool->limit; i++)
        if (is_idle(&pool->workers[i])) hang_up(&pool->workers[i]);
    for (int i = 0; i < pool->limit; i++)
        if (is_idle(&pool->workers[i])) wait_for_end(pool, &pool->workers[i]);
    pthread_mutex_unlock(&pool->lock);
}

void pf_compile_pool_free(pf_compile_pool *pool)
{
    if (!pool) return;
    pf_compile_pool_rest(pool);
    pthread_cond_destroy(&pool->freed);
    pthread_mutex_destroy(&pool->lock);
    pf_free(pool);
}

static bool start_worker(pf_compile_pool *pool, worker *w)
{
    int                        pair[2] = { -1, -1 }, rc = -1;
    char                       ordinal[16] = {0};
    char                      *argv[] = { pool->program, ordinal, NULL };
    pid_t                      pid = 0;
    posix_spawn_file_actions_t actions;

    snprintf(ordinal, sizeof ordinal, "%d", pool->ordinal);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pair[1], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pair[1], STDOUT_FILENO);
    rc = posix_spawn(&pid, pool->program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pair[1]);
    if (rc) {
        close(pair[0]);
        return false;
    }
    *w = (worker){ .pid = pid, .fd = pair[0] };
    pool->count++;
    return true;
}

void pf_compile_pool_wake(pf_compile_pool *pool)
{
    bool starts = pool && pool->program[0];

    if (!starts) return;
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < pool->limit && starts; i++)
        if (!pool->workers[i].pid) starts = start_worker(pool, &pool->workers[i]);
    pthread_mutex_unlock(&pool->lock);
}

/* One that waits for work, or starts in a place that is free; NULL: neither. */
static worker *find_worker(pf_compile_pool *pool)
{
    worker *place = NULL;

    for (int i = 0; i < pool->limit; i++) {
        if (is_idle(&pool->workers[i])) return &pool->workers[i];
        if (!pool->workers[i].pid && !place) place = &pool->workers[i];
    }
    return place && start_worker(pool, place) ? place : NULL;
}

/* A worker of the caller's own until give_back; NULL when there is none and none can be started. */
static worker *take_worker(pf_compile_pool *pool)
{
    worker *found = NULL;

    pthread_mutex_lock(&pool->lock);
    while (!(found = find_worker(pool)) && pool->count) pthread_cond_wait(&pool->freed, &pool->lock);
    if (found) found->busy = true;
    pthread_mutex_unlock(&pool->lock);
    return found;
}

/* One that died leaves its place to whom the next request starts. */
static void give_back(pf_compile_pool *pool, worker *w, bool alive)
{
    pthread_mutex_lock(&pool->lock);
    w->busy = false;
    if (!alive) {
        kill(w->pid, SIGKILL);
        hang_up(w);
        wait_for_end(pool, w);
    }
    pthread_cond_broadcast(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
}

static bool transfer(int fd, void *data, size_t bytes, bool writing)
{
    uint8_t *at = data;

    while (bytes) {
        ssize_t n = writing ? send(fd, at, bytes, MSG_NOSIGNAL) : recv(fd, at, bytes, 0);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

static bool send_message(int fd, const void *data, size_t bytes)
{
    uint32_t length = (uint32_t)bytes;

    return bytes <= MESSAGE_LIMIT_BYTES && transfer(fd, &length, sizeof length, true) &&
           transfer(fd, (void *)data, bytes, true);
}

/* data is followed by a zero byte; freed by the caller. False at the end of the socket, or when the other side talks
   nonsense. */
static bool receive_message(int fd, uint8_t **data, size_t *bytes)
{
    uint32_t length = 0;

    *data = NULL;
    if (!transfer(fd, &length, sizeof length, false) || length > MESSAGE_LIMIT_BYTES) return false;
    *data = pf_calloc(1, (size_t)length + 1);
    *bytes = length;
    if (*data && transfer(fd, *data, length, false)) return true;
    pf_free(*data);
    *data = NULL;
    return false;
}

/* what: names the request where a worker refuses it. */
static pf_status ask(pf_compile_pool *pool, const char *const text[TEXTS], const char *what, pf_buf *out, pf_err *err)
{
    worker   *w = pool->program[0] ? take_worker(pool) : NULL;
    pf_buf    request = {0};
    uint8_t  *answer = NULL;
    size_t    bytes = 0;
    bool      alive = false;
    pf_status st = PF_OK;

    if (!w) return PF_FAIL(err, PF_UNSUPPORTED, "there is no process to compile with");
    pf_buf_init(&request, MESSAGE_LIMIT_BYTES);
    for (int i = 0; i < TEXTS; i++) pf_buf_put(&request, text[i], strlen(text[i]) + 1);
    alive = !request.failed && send_message(w->fd, request.data, request.size) &&
            receive_message(w->fd, &answer, &bytes);
    give_back(pool, w, alive);
    if (!alive) st = PF_FAIL(err, PF_UNSUPPORTED, "a process that compiles has ended");
    else if (!bytes) st = PF_FAIL(err, PF_UNSUPPORTED, "%s is refused", what);
    else if (!pf_buf_put(out, answer, bytes)) st = PF_FAIL_MEMORY(err, bytes);
    pf_free(answer);
    pf_buf_clear(&request);
    return st;
}

pf_status pf_compile_pool_run(pf_compile_pool *pool, const char *tactic, const pf_problem *p, const char *tuning,
                              pf_buf *saved, pf_err *err)
{
    return ask(pool, (const char *const[TEXTS]){ tactic, tuning, p->text }, tactic, saved, err);
}

pf_status pf_compile_pool_program(pf_compile_pool *pool, const pf_program *program, int cc, pf_buf *cubin, pf_err *err)
{
    char capability[16] = {0};

    snprintf(capability, sizeof capability, "%d", cc);
    return ask(pool, (const char *const[TEXTS]){ "", capability, (const char *)program->source.data }, "the source",
               cubin, err);
}

/* ---- The worker */

/* False when they are not all there. */
static bool split_request(const uint8_t *data, size_t bytes, const char *text[TEXTS])
{
    size_t at = 0;

    for (int i = 0; i < TEXTS; i++) {
        if (at >= bytes) return false;
        text[i] = (const char *)data + at;
        at += strlen(text[i]) + 1;
    }
    return true;
}

static void prepare(pf_device *device, const char *const text[TEXTS], pf_buf *out)
{
    const pf_tactic *tactic = pf_tactic_find(text[TACTIC]);
    pf_problem      *problem = NULL;
    pf_step         *step = NULL;

    if (!device || !tactic || !tactic->save || pf_problem_parse(text[PROBLEM], &problem, NULL)) return;
    if (!tactic->prepare(device, problem, text[TUNING], NULL, 0, &step, NULL) && tactic->save(step, out, NULL))
        pf_buf_reset(out);
    pf_step_free(step);
    pf_problem_free(problem);
}

static void compile(const char *const text[TEXTS], pf_buf *out)
{
    pf_program program = {0};
    int        cc = (int)strtol(text[CAPABILITY], NULL, 10);

    pf_buf_init(&program.source, MESSAGE_LIMIT_BYTES);
    if (!pf_buf_put(&program.source, text[SOURCE], strlen(text[SOURCE]) + 1) ||
        pf_program_compile(&program, cc, out, NULL))
        pf_buf_reset(out);
    pf_program_clear(&program);
}

pf_status pf_compile_serve(int in, int out, int ordinal, pf_err *err)
{
    pf_device *device = NULL;
    uint8_t   *request = NULL;
    size_t     bytes = 0;
    pf_buf     answer = {0};
    bool       heard = true;
    char       name[32] = {0};
    pf_status  st = PF_OK;

    snprintf(name, sizeof name, "cuda:%d", ordinal);
    if (ordinal != PF_COMPILE_NO_DEVICE) st = pf_device_open(name, NULL, &device, err);
    else (void)!nice(NICENESS);
    pf_buf_init(&answer, MESSAGE_LIMIT_BYTES);
    while (!st && heard && receive_message(in, &request, &bytes)) {
        const char *text[TEXTS] = {0};

        pf_buf_reset(&answer);
        if (split_request(request, bytes, text))
            *text[TACTIC] ? prepare(device, text, &answer) : compile(text, &answer);
        heard = send_message(out, answer.data, answer.size);
        pf_free(request);
    }
    pf_buf_clear(&answer);
    pf_device_close(device);
    return st;
}
