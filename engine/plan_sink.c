/* Invariants
   1. The hasher and the stager take pieces in the order in which they were given; a place in the ring is free once
      both have taken its piece.
   2. A buffer is the caller's until it is given, and then on its way until both have taken its piece.
   3. A chunk is the stager's until it is full or the file ends there, then the writer's until it is written.  All
      but the last hold CHUNK_BYTES and lie at multiples of that in the file.
   4. The hash has seen the file's first hashed_bytes, and the chunks its first staged_bytes, zeros between pieces
      too.
   5. After a failure the workers take pieces and chunks without doing anything, so that nobody waits for ever. */
#include "engine/plan_sink.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/plan_sections.h"

enum {
    RING = 16,                          /* pieces on their way */
    BUFFERS = 3,                        /* one is packed while the others are hashed and staged */
    CHUNKS = 4,
    CHUNK_BYTES = 4 << 20,
    CHUNK_ALIGNMENT = 4096,             /* what any disk wants of memory that it reads by itself */
    COMPARE_BYTES = 64 * 1024,
};

typedef enum worker_kind { HASHER, STAGER, WRITER, WORKERS } worker_kind;

typedef struct piece { const uint8_t *data; size_t bytes; uint64_t offset; } piece;
/* Owned.  piece: the number of the one in it. */
typedef struct buffer { uint8_t *data; size_t capacity; uint64_t piece; bool given; } buffer;
typedef struct worker { pf_plan_sink *sink; worker_kind kind; pthread_t thread; bool runs; uint64_t done; } worker;

struct pf_plan_sink {
    pthread_mutex_t lock;               /* of all that changes below */
    pthread_cond_t  moved;
    int             fd;
    bool            around_cache;       /* the writer's, while it runs */
    piece           ring[RING];
    uint64_t        given;              /* pieces so far; piece n lies in ring[n % RING] */
    uint64_t        end;                /* of the last piece, aligned */
    buffer          buffers[BUFFERS];
    uint8_t        *chunks;             /* CHUNKS of CHUNK_BYTES; chunk n lies at n % CHUNKS */
    uint64_t        staged, written;    /* chunks so far */
    size_t          last_bytes;         /* of the chunk being staged, and so of the last one; 0: that is a whole one */
    uint64_t        staged_bytes;       /* the stager's own */
    worker          workers[WORKERS];
    bool            last;               /* no more pieces come */
    bool            all_staged;         /* no more chunks come */
    pf_hash         hash;               /* the hasher's own, as is hashed_bytes */
    uint64_t        hashed_bytes;
    pf_status       st;                 /* the writer's first failure */
    pf_err          why;
};

static const uint8_t zeros[PF_PLAN_ALIGNMENT];

static uint8_t *chunk_at(const pf_plan_sink *s, uint64_t chunk)
{
    return s->chunks + chunk % CHUNKS * CHUNK_BYTES;
}

/* Past the page cache, if the file system can. */
static bool go_around_cache(int fd, bool around)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && !fcntl(fd, F_SETFL, around ? flags | O_DIRECT : flags & ~O_DIRECT);
}

/* ---- The writer */

static void use_cache(pf_plan_sink *s)
{
    if (s->around_cache)
        (void)go_around_cache(s->fd, false);
    s->around_cache = false;
}

static void write_chunk(pf_plan_sink *s, const uint8_t *data, size_t bytes, uint64_t offset)
{
    if (bytes < CHUNK_BYTES)
        use_cache(s);
    s->st = pf_file_write_at(s->fd, data, bytes, offset, &s->why);
    if (s->st && s->around_cache) {     /* some file systems only say so now */
        use_cache(s);
        pf_err_clear(&s->why);
        s->st = pf_file_write_at(s->fd, data, bytes, offset, &s->why);
    }
    if (!s->st && !s->around_cache)     /* the disk begins at once; a hint, which files in memory do not know */
        (void)sync_file_range(s->fd, (off_t)offset, (off_t)bytes, SYNC_FILE_RANGE_WRITE);
}

static void *write_chunks(void *user)
{
    pf_plan_sink *s = ((worker *)user)->sink;

    pthread_mutex_lock(&s->lock);
    while (s->written < s->staged || !s->all_staged) {
        uint64_t chunk = s->written;
        bool     is_short = s->all_staged && s->last_bytes && chunk + 1 == s->staged;
        size_t   bytes = is_short ? s->last_bytes : CHUNK_BYTES;

        if (chunk == s->staged) {
            pthread_cond_wait(&s->moved, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        if (!s->st)
            write_chunk(s, chunk_at(s, chunk), bytes, chunk * CHUNK_BYTES);
        pthread_mutex_lock(&s->lock);
        s->written++;
        pthread_cond_broadcast(&s->moved);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- The stager */

/* Gives the writer the chunk, and waits for another. */
static void pass_chunk(pf_plan_sink *s)
{
    pthread_mutex_lock(&s->lock);
    s->staged++;
    s->last_bytes = 0;
    pthread_cond_broadcast(&s->moved);
    while (s->staged - s->written >= CHUNKS)
        pthread_cond_wait(&s->moved, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static void stage(pf_plan_sink *s, const uint8_t *data, size_t bytes)
{
    while (bytes) {
        size_t room = CHUNK_BYTES - s->last_bytes, part = bytes < room ? bytes : room;

        memcpy(chunk_at(s, s->staged) + s->last_bytes, data, part);
        s->staged_bytes += part;
        s->last_bytes += part;
        data += part;
        bytes -= part;
        if (s->last_bytes == CHUNK_BYTES)
            pass_chunk(s);
    }
}

static void stage_piece(pf_plan_sink *s, const piece *p)
{
    stage(s, zeros, (size_t)(p->offset - s->staged_bytes));
    stage(s, p->data, p->bytes);
}

/* ---- The hasher */

static void hash_piece(pf_plan_sink *s, const piece *p)
{
    pf_hash_add(&s->hash, zeros, (size_t)(p->offset - s->hashed_bytes));
    pf_hash_add(&s->hash, p->data, p->bytes);
    s->hashed_bytes = p->offset + p->bytes;
}

/* ---- Who takes pieces */

static void (*const take_piece[WORKERS])(pf_plan_sink *s, const piece *p) = {
    [HASHER] = hash_piece, [STAGER] = stage_piece,
};

static uint64_t taken_by_both(const pf_plan_sink *s)
{
    return s->workers[STAGER].done < s->workers[HASHER].done ? s->workers[STAGER].done : s->workers[HASHER].done;
}

static void *take_pieces(void *user)
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
        if (taken_by_both(s) == w->done)
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
    while (taken_by_both(s) < piece_count)
        pthread_cond_wait(&s->moved, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static void *(*const work_of[WORKERS])(void *user) = {
    [HASHER] = take_pieces, [STAGER] = take_pieces, [WRITER] = write_chunks
};

static void join_worker(worker *w)
{
    if (w->runs)
        pthread_join(w->thread, NULL);
    w->runs = false;
}

/* The last chunk is passed when nothing is put into it any more. */
static void join(pf_plan_sink *s)
{
    pthread_mutex_lock(&s->lock);
    s->last = true;
    pthread_cond_broadcast(&s->moved);
    pthread_mutex_unlock(&s->lock);
    join_worker(&s->workers[HASHER]);
    join_worker(&s->workers[STAGER]);
    pthread_mutex_lock(&s->lock);
    if (!s->all_staged)
        s->staged += s->last_bytes > 0;
    s->all_staged = true;
    pthread_cond_broadcast(&s->moved);
    pthread_mutex_unlock(&s->lock);
    join_worker(&s->workers[WRITER]);
}

static pf_status start(pf_plan_sink *s, pf_err *err)
{
    uint8_t     header[PF_PLAN_HEADER_BYTES] = { 0 };
    const piece whole = { header, sizeof header, 0 };

    s->chunks = pf_alloc_aligned(CHUNK_ALIGNMENT, (size_t)CHUNKS * CHUNK_BYTES);
    if (!s->chunks)
        return PF_FAIL_MEMORY(err, (size_t)CHUNKS * CHUNK_BYTES);
    pf_plan_write_header(header);
    pf_hash_init(&s->hash);
    hash_piece(s, &whole);
    stage_piece(s, &whole);
    s->end = sizeof header;
    for (int i = 0; i < WORKERS; i++) {
        s->workers[i] = (worker){ .sink = s, .kind = (worker_kind)i };
        s->workers[i].runs = !pthread_create(&s->workers[i].thread, NULL, work_of[i], &s->workers[i]);
        if (!s->workers[i].runs)
            return PF_FAIL(err, PF_NO_SPACE,
                           "a plan is written by threads of its own, and none can be started; allow more threads");
    }
    return PF_OK;
}

pf_status pf_plan_sink_open(const char *folder, bool around_cache, pf_plan_sink **out, pf_err *err)
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
    if (!st) {
        s->around_cache = folder && around_cache && go_around_cache(s->fd, true);
        st = start(s, err);
    }
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
    pf_free(sink->chunks);
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

pf_status pf_plan_sink_buffer(pf_plan_sink *sink, size_t bytes, bool zeroed, void **out, pf_err *err)
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
        pf_alloc_expect_filling(b->data, b->capacity);
    }
    if (!b->data)
        return PF_FAIL_MEMORY(err, bytes);
    if (zeroed)
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

/* All workers rest; what was not passed to the writer lies in its chunk. */
static void wait_for_rest(pf_plan_sink *s)
{
    pthread_mutex_lock(&s->lock);
    while (taken_by_both(s) < s->given || s->written < s->staged)
        pthread_cond_wait(&s->moved, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

/* What lies at the offset in the file or in the chunk, or would there if the disk had not failed. */
static bool read_back(const pf_plan_sink *s, uint64_t offset, uint8_t *out, size_t bytes)
{
    uint64_t in_chunk = s->staged * CHUNK_BYTES;
    size_t   from_file = offset >= in_chunk ? 0 : in_chunk - offset < bytes ? (size_t)(in_chunk - offset) : bytes;

    if (from_file && pread(s->fd, out, from_file, (off_t)offset) != (ssize_t)from_file)
        return false;
    if (from_file < bytes)
        memcpy(out + from_file, chunk_at(s, s->staged) + (offset + from_file - in_chunk), bytes - from_file);
    return true;
}

bool pf_plan_sink_holds(pf_plan_sink *sink, uint64_t offset, const void *data, size_t bytes)
{
    uint8_t chunk[COMPARE_BYTES];
    bool    equal = true;

    wait_for_rest(sink);
    if (sink->around_cache)
        (void)go_around_cache(sink->fd, false);
    for (size_t at = 0; at < bytes && equal; at += sizeof chunk) {
        size_t part = bytes - at < sizeof chunk ? bytes - at : sizeof chunk;

        equal = read_back(sink, offset + at, chunk, part) && !memcmp(chunk, (const uint8_t *)data + at, part);
    }
    if (sink->around_cache)
        sink->around_cache = go_around_cache(sink->fd, true);
    return equal;
}

pf_status pf_plan_sink_finish(pf_plan_sink *sink, pf_plan_file *out, pf_err *err)
{
    const piece end = { .data = zeros, .offset = sink->end };

    *out = (pf_plan_file){ .fd = -1 };
    wait_for_rest(sink);
    hash_piece(sink, &end);
    stage_piece(sink, &end);
    join(sink);
    if (sink->st)
        return PF_FAIL(err, sink->st, "the plan: %s", sink->why.msg);
    use_cache(sink);
    *out = (pf_plan_file){ sink->fd, sink->hash, sink->hashed_bytes };
    sink->fd = -1;
    return PF_OK;
}
