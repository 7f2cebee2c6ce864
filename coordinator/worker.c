#include "coordinator/worker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"

struct pf_worker {
    pf_worker_options options;
    pthread_t         thread;
    pthread_mutex_t   mutex;
    pthread_cond_t    wake;
    pf_tasks          waiting, done;
    atomic_bool       any_done;         /* so that looking costs nothing when there is nothing */
    bool              stopping;
    int               done_fd;          /* readable while something is done */
};

static void push(pf_tasks *list, pf_task *task)
{
    task->next = NULL;
    if (list->last)
        list->last->next = task;
    else
        list->first = task;
    list->last = task;
    list->count++;
}

static pf_task *pop(pf_tasks *list)
{
    pf_task *task = list->first;

    if (!task)
        return NULL;
    list->first = task->next;
    if (!list->first)
        list->last = NULL;
    list->count--;
    return task;
}

/* Waits for tasks; none when the worker is to end. */
static pf_tasks next_tasks(pf_worker *worker)
{
    pf_tasks next = { 0 };

    pthread_mutex_lock(&worker->mutex);
    while (!worker->waiting.first && !worker->stopping)
        pthread_cond_wait(&worker->wake, &worker->mutex);
    while (worker->waiting.first && (!worker->stopping || worker->options.finishes) &&
           (!worker->options.at_once || next.count < worker->options.at_once))
        push(&next, pop(&worker->waiting));
    pthread_mutex_unlock(&worker->mutex);
    return next;
}

static void give_back(pf_worker *worker, pf_tasks *finished)
{
    uint64_t one = 1;

    pthread_mutex_lock(&worker->mutex);
    for (pf_task *task = pop(finished); task; task = pop(finished))
        push(&worker->done, task);
    worker->any_done = true;
    if (write(worker->done_fd, &one, sizeof one) != (ssize_t)sizeof one)
        pf_log(PF_LOG_ERROR, "farm", "eventfd cannot be written");
    pthread_mutex_unlock(&worker->mutex);
}

static void *run(void *user)
{
    pf_worker *worker = user;

    for (pf_tasks tasks = next_tasks(worker); tasks.first; tasks = next_tasks(worker)) {
        worker->options.work(worker->options.user, &tasks);
        give_back(worker, &tasks);
    }
    return NULL;
}

pf_status pf_worker_start(const pf_worker_options *options, pf_worker **out, pf_err *err)
{
    pf_worker *worker = pf_calloc(1, sizeof *worker);

    *out = NULL;
    if (!worker)
        return PF_FAIL_MEMORY(err, sizeof *worker);
    worker->options = *options;
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->wake, NULL);
    worker->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (worker->done_fd < 0 || pthread_create(&worker->thread, NULL, run, worker) != 0) {
        if (worker->done_fd >= 0)
            close(worker->done_fd);
        pf_free(worker);
        return PF_FAIL(err, PF_NO_SPACE, "cannot start the %s's thread", options->name);
    }
    *out = worker;
    return PF_OK;
}

static void free_all(const pf_worker *worker, pf_tasks *list)
{
    for (pf_task *task = pop(list); task; task = pop(list))
        if (worker->options.free)
            worker->options.free(task);
}

void pf_worker_stop(pf_worker *worker)
{
    if (!worker)
        return;
    pthread_mutex_lock(&worker->mutex);
    worker->stopping = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->mutex);
    pthread_join(worker->thread, NULL);
    free_all(worker, &worker->waiting);
    free_all(worker, &worker->done);
    pthread_mutex_destroy(&worker->mutex);
    pthread_cond_destroy(&worker->wake);
    close(worker->done_fd);
    pf_free(worker);
}

bool pf_worker_give(pf_worker *worker, pf_task *task, uint32_t limit)
{
    bool taken = false;

    pthread_mutex_lock(&worker->mutex);
    taken = worker->waiting.count + worker->done.count < limit;
    if (taken) {
        push(&worker->waiting, task);
        pthread_cond_signal(&worker->wake);
    }
    pthread_mutex_unlock(&worker->mutex);
    return taken;
}

int pf_worker_fd(const pf_worker *worker)
{
    return worker->done_fd;
}

pf_task *pf_worker_take(pf_worker *worker)
{
    uint64_t count = 0;
    pf_task *task = NULL;

    if (!worker->any_done)
        return NULL;
    pthread_mutex_lock(&worker->mutex);
    task = pop(&worker->done);
    worker->any_done = worker->done.first != NULL;
    if (!worker->any_done && read(worker->done_fd, &count, sizeof count) < 0)
        pf_log(PF_LOG_ERROR, "farm", "eventfd cannot be read");
    pthread_mutex_unlock(&worker->mutex);
    return task;
}
