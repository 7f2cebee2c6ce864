/* Invariants
   1. A piece is taken by each worker in the order in which it was given; its place in the ring is free once both are done with it.
   2. A buffer is the caller's until it is given, and then on its way until both workers are done with its piece.
   3. The hash has seen the file's first hashed_bytes, zeros between pieces too.
   4. After a failure the workers take pieces without doing anything, so that nobody waits for ever. */
#include "engine/plan_sink.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/plan_sections.h"

enum {
    RING = 16,                          /* pieces on their way */
    BUFFERS = 3,                        /* one is packed while the others are written and hashed */
    WRITE_BYTES = 4 << 20,              /* after so many the disk is told to begin */
    COMPARE_BYTES = 64 * 1024,
};

typedef enum worker_kind { WRITER, HASHER, WORKERS } worker_kind;

typedef struct piece { const uint8_t *data; size_t bytes; uint64_t offset; } piece;
typedef struct buffer { uint8_t *data; size_t capacity; uint64_t piece; bool given; } buffer;  /* owned; piece: the number of the one in it */
typedef struct worker { pf_plan_sink *sink; worker_kind kind; pthread_t thread; bool runs; uint64_t done; } worker;

struct pf_plan_sink {
    pthread_mutex_t lock;               /* of all that changes below */
    pthread_cond_t  moved;
    int             fd;
    piece           ring[RING];
    uint64_t        given;              /* pieces so far; piece n lies in ring[n % RING] */
    uint64_t        end;                /* of the last piece, aligned */
    buffer          buffers[BUFFERS];
    worker          workers[WORKERS];
    bool            last;               /* no more pieces come */
    pf_hash         hash;               /* the hasher's own, as is hashed_bytes */
    uint64_t        hashed_bytes;
    pf_status       st;                 /* the writer's first failure */
    pf_err          why;
};

/* ---- The workers */

static void write_piece(pf_plan_sink *s, const piece *p)
{
    for (size_t at = 0; at < p->bytes && !s->st; at += WRITE_BYTES) {
        size_t bytes = p->bytes - at < WRITE_BYTES ? p->bytes - at : WRITE_BYTES;

        s->st = pf_file_write_at(s->fd, p->data + at, bytes, p->offset + at, &s->why);
        if (!s->st)     /* a hint, which files in memory do not know */
            (void)sync_file_range(s->fd, (off_t)(p->offset + at), (off_t)bytes, SYNC_FILE_RANGE_WRITE);
    }
}

static void hash_zeros(pf_plan_sink *s, uint64_t until)
{
    static const uint8_t zeros[PF_PLAN_ALIGNMENT];

    pf_hash_add(&s->hash, zeros, (size_t)(until - s->hashed_bytes));
    s->hashed_bytes = until;
}

static void hash_piece(pf_plan_sink *s, const piece *p)
{
    hash_zeros(s, p->offset);
    pf_hash_add(&s->hash, p->data, p->bytes);
    s->hashed_bytes += p->bytes;
}

static void (*const take_piece[WORKERS])(pf_plan_sink *s, const piece *p) = { [WRITER] = write_piece, [HASHER] = hash_piece };

static uint64_t done_by_all(const pf_plan_sink *s)
{
    return s->workers[WRITER].done < s->workers[HASHER].done ? s->workers[WRITER].done : s->workers[HASHER].done;
}

static void *work(void *user)
{
    worker       *w = user;
    pf_plan_sink *s = w->sink;

    pthread_mutex_lock(&s->lock);
    while (w->done < s->given || !s->last) {
        piece p = s->ring[w->done % RING];

        if (w->done == s->given) {
            pthread_cond_wait(&s->moved, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        take_piece[w->kind](s, &p);
        pthread_mutex_lock(&s->lock);
        w->done++;
        if (done_by_all(s) == w->done)
            pf_file_forget(p.data, p.bytes);
        pthread_cond_broadcast(&s->moved);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- The caller's side */

static void wait_for(pf_plan_sink *s, uint64_t piece_count)
{
    pthread_mutex_lock(&s->lock);
    while (done_by_all(s) < piece_count)
        pthread_cond_wait(&s->moved, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static void join(pf_plan_sink *s)
{
    pthread_mutex_lock(&s->lock);
    s->last = true;
    pthread_cond_broadcast(&s->moved);
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < WORKERS; i++)
        if (s->workers[i].runs)
            pthread_join(s->workers[i].thread, NULL);
    for (int i = 0; i < WORKERS; i++)
        s->workers[i].runs = false;
}

static pf_status start(pf_plan_sink *s, pf_err *err)
{
    uint8_t header[PF_PLAN_HEADER_BYTES] = { 0 };

    pf_plan_write_header(header);
    pf_hash_init(&s->hash);
    pf_hash_add(&s->hash, header, sizeof header);
    s->hashed_bytes = s->end = sizeof header;
    for (int i = 0; i < WORKERS; i++) {
        s->workers[i] = (worker){ .sink = s, .kind = (worker_kind)i };
        s->workers[i].runs = !pthread_create(&s->workers[i].thread, NULL, work, &s->workers[i]);
        if (!s->workers[i].runs)
            return PF_FAIL(err, PF_NO_SPACE, "a plan is written by threads of its own, and none can be started; allow more threads");
    }
    return pf_file_write_at(s->fd, header, sizeof header, 0, err);
}

pf_status pf_plan_sink_open(const char *folder, pf_plan_sink **out, pf_err *err)
{
    pf_plan_sink *s = pf_calloc(1, sizeof *s);
    pf_status     st = PF_OK;

    *out = NULL;
    if (!s)
        return PF_FAIL_MEMORY(err, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->moved, NULL);
    s->fd = -1;
    st = pf_file_unnamed(folder, &s->fd, err);
    if (!st)
        st = start(s, err);
    if (st) {
        pf_plan_sink_close(s);
        return pf_err_add(err, st, "the plan");
    }
    *out = s;
    return PF_OK;
}

void pf_plan_sink_close(pf_plan_sink *sink)
{
    if (!sink)
        return;
    join(sink);
    for (int i = 0; i < BUFFERS; i++)
        pf_free(sink->buffers[i].data);
    if (sink->fd >= 0)
        close(sink->fd);
    pthread_cond_destroy(&sink->moved);
    pthread_mutex_destroy(&sink->lock);
    pf_free(sink);
}

/* The one that was given longest ago. */
static buffer *oldest_buffer(pf_plan_sink *s)
{
    buffer *oldest = &s->buffers[0];

    for (int i = 0; i < BUFFERS; i++) {
        if (!s->buffers[i].given)
            return &s->buffers[i];
        if (s->buffers[i].piece < oldest->piece)
            oldest = &s->buffers[i];
    }
    return oldest;
}

pf_status pf_plan_sink_buffer(pf_plan_sink *sink, size_t bytes, void **out, pf_err *err)
{
    buffer *b = oldest_buffer(sink);

    *out = NULL;
    if (b->given)
        wait_for(sink, b->piece + 1);
    b->given = false;
    if (b->capacity < bytes) {
        pf_free(b->data);
        b->data = pf_alloc_aligned(PF_PLAN_ALIGNMENT, bytes);
        b->capacity = b->data ? bytes : 0;
    }
    if (!b->data)
        return PF_FAIL_MEMORY(err, bytes);
    memset(b->data, 0, bytes);
    *out = b->data;
    return PF_OK;
}

uint64_t pf_plan_sink_add(pf_plan_sink *sink, const void *data, size_t bytes)
{
    uint64_t offset = sink->end;

    if (sink->given >= RING)
        wait_for(sink, sink->given - RING + 1);
    for (int i = 0; i < BUFFERS; i++)
        if (data && sink->buffers[i].data == data) {
            sink->buffers[i].given = true;
            sink->buffers[i].piece = sink->given;
        }
    pthread_mutex_lock(&sink->lock);
    sink->ring[sink->given++ % RING] = (piece){ data, bytes, offset };
    sink->end = (offset + bytes + PF_PLAN_ALIGNMENT - 1) / PF_PLAN_ALIGNMENT * PF_PLAN_ALIGNMENT;
    pthread_cond_broadcast(&sink->moved);
    pthread_mutex_unlock(&sink->lock);
    return offset;
}

bool pf_plan_sink_holds(pf_plan_sink *sink, uint64_t offset, const void *data, size_t bytes)
{
    uint8_t chunk[COMPARE_BYTES];

    wait_for(sink, sink->given);
    for (size_t at = 0; at < bytes; at += sizeof chunk) {
        size_t part = bytes - at < sizeof chunk ? bytes - at : sizeof chunk;

        if (pread(sink->fd, chunk, part, (off_t)(offset + at)) != (ssize_t)part || memcmp(chunk, (const uint8_t *)data + at, part))
            return false;
    }
    return true;
}

pf_status pf_plan_sink_finish(pf_plan_sink *sink, pf_plan_file *out, pf_err *err)
{
    *out = (pf_plan_file){ .fd = -1 };
    join(sink);
    if (sink->st)
        return PF_FAIL(err, sink->st, "the plan: %s", sink->why.msg);
    hash_zeros(sink, sink->end);
    *out = (pf_plan_file){ sink->fd, sink->hash, sink->hashed_bytes };
    sink->fd = -1;
    return PF_OK;
}
