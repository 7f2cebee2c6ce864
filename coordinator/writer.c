#include "coordinator/writer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

enum { REST_NS = 200000 };              /* who waits has given the next batch by then */

struct pf_writer {
    pf_db          *db;
    pf_state_dir   *dir;
    pthread_t       thread;
    pthread_mutex_t mutex;
    pthread_cond_t  wake;
    const pf_out   *batch;              /* NULL: nothing to do */
    bool            stopping;
    atomic_bool     done;               /* so that looking costs nothing while it is not */
    int             done_fd;
    pf_status       status;
    int64_t         commit_ns;
    pf_err          err;
};

/* On a full disk the reserve is given up, so that what was promised can still be written. */
static pf_status commit(pf_writer *writer, const pf_out *batch, pf_err *err)
{
    pf_status st = pf_db_commit(writer->db, batch, err);

    if (st != PF_NO_SPACE || !pf_state_dir_release(writer->dir))
        return st;
    pf_log(PF_LOG_WARN, "state", "disk_full path=%s action=\"reserve released\"", writer->dir->path);
    pf_err_clear(err);
    return pf_db_commit(writer->db, batch, err);
}

static void finish(pf_writer *writer, pf_status st, int64_t commit_ns)
{
    uint64_t one = 1;

    pthread_mutex_lock(&writer->mutex);
    writer->batch = NULL;
    writer->status = st;
    writer->commit_ns = commit_ns;
    writer->done = true;
    pthread_mutex_unlock(&writer->mutex);
    if (write(writer->done_fd, &one, sizeof one) != (ssize_t)sizeof one)
        pf_log(PF_LOG_ERROR, "state", "eventfd cannot be written");
}

/* Called and returns with the mutex held.  False when there is something to do before that time has passed. */
static bool rests(pf_writer *writer, int64_t ns)
{
    struct timespec until = pf_clock_after(ns);
    int             code = 0;

    while (!writer->batch && !writer->stopping && !code)
        code = pthread_cond_clockwait(&writer->wake, &writer->mutex, CLOCK_MONOTONIC, &until);
    return !writer->batch && !writer->stopping;
}

/* The next batch, NULL at the end.  Called and returns with the mutex held.  Room is made a little at a time and only
   while nobody waits: it takes as long as a commit. */
static const pf_out *await_batch(pf_writer *writer)
{
    bool made = true;

    while (made && !writer->batch && pf_db_wants_room(writer->db) && rests(writer, REST_NS)) {
        pthread_mutex_unlock(&writer->mutex);
        made = pf_db_make_room(writer->db);
        pthread_mutex_lock(&writer->mutex);
    }
    while (!writer->batch && !writer->stopping)
        pthread_cond_wait(&writer->wake, &writer->mutex);
    return writer->batch;
}

static void *run(void *user)
{
    pf_writer *writer = user;

    for (;;) {
        const pf_out *batch = NULL;
        int64_t       start_ns = 0;
        pf_status     st = PF_OK;
        pthread_mutex_lock(&writer->mutex);
        batch = await_batch(writer);
        pthread_mutex_unlock(&writer->mutex);
        if (!batch)
            return NULL;
        start_ns = pf_clock_ns();
        st = commit(writer, batch, &writer->err);
        finish(writer, st, pf_clock_ns() - start_ns);
    }
}

pf_status pf_writer_start(pf_db *db, pf_state_dir *dir, pf_writer **out, pf_err *err)
{
    pf_writer *writer = pf_calloc(1, sizeof *writer);

    *out = NULL;
    if (!writer)
        return PF_FAIL_MEMORY(err, sizeof *writer);
    writer->db = db;
    writer->dir = dir;
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->wake, NULL);
    writer->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (writer->done_fd < 0 || pthread_create(&writer->thread, NULL, run, writer) != 0) {
        if (writer->done_fd >= 0)
            close(writer->done_fd);
        pf_free(writer);
        return PF_FAIL(err, PF_NO_SPACE, "cannot start the writer's thread");
    }
    *out = writer;
    return PF_OK;
}

void pf_writer_stop(pf_writer *writer)
{
    if (!writer)
        return;
    pthread_mutex_lock(&writer->mutex);
    writer->stopping = true;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->mutex);
    pthread_join(writer->thread, NULL);
    pthread_mutex_destroy(&writer->mutex);
    pthread_cond_destroy(&writer->wake);
    close(writer->done_fd);
    pf_free(writer);
}

void pf_writer_give(pf_writer *writer, const pf_out *batch)
{
    pthread_mutex_lock(&writer->mutex);
    writer->batch = batch;
    writer->done = false;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->mutex);
}

int pf_writer_fd(const pf_writer *writer)
{
    return writer->done_fd;
}

bool pf_writer_take(pf_writer *writer, pf_status *st, int64_t *commit_ns, pf_err *err)
{
    uint64_t count = 0;

    if (!writer->done || read(writer->done_fd, &count, sizeof count) < 0)
        return false;           /* done, but not told yet: it is in a moment */
    pthread_mutex_lock(&writer->mutex);
    writer->done = false;
    *st = writer->status;
    *commit_ns = writer->commit_ns;
    if (writer->status && err)
        *err = writer->err;
    pthread_mutex_unlock(&writer->mutex);
    return true;
}
