#include "coordinator/timing_service.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cache/timing_db.h"
#include "proto/limits.h"

enum { REPLY_BYTES_MAX = 900000, WAITING_MAX = 4096, ENTRY_OVERHEAD = 256, STOPPED = PF_CANCELLED };

typedef struct task {
    struct task     *next;
    pf_message       message;           /* body owned */
    pf_digest        only_class;
    bool             one_class;
    pf_timing_reply *reply;             /* owned until taken */
    uint32_t         stored;            /* entries of a store that are in the open transaction */
} task;

typedef struct tasks { task *first, *last; uint32_t count; } tasks;

struct pf_timing_service {
    pf_timing_db    *db;
    pthread_t        thread;
    pthread_mutex_t  mutex;
    pthread_cond_t   wake;
    tasks            waiting, done;
    bool             stopping;
    int              done_fd;
    _Atomic uint64_t lookups, hits, stored, refused;
};

static void push(tasks *list, task *t)
{
    t->next = NULL;
    if (list->last)
        list->last->next = t;
    else
        list->first = t;
    list->last = t;
    list->count++;
}

static task *pop(tasks *list)
{
    task *t = list->first;

    if (!t)
        return NULL;
    list->first = t->next;
    if (!list->first)
        list->last = NULL;
    list->count--;
    return t;
}

static void free_task(task *t)
{
    if (!t)
        return;
    pf_message_clear(&t->message);
    pf_timing_reply_free(t->reply);
    pf_free(t);
}

void pf_timing_reply_free(pf_timing_reply *reply)
{
    if (!reply)
        return;
    pf_buf_clear(&reply->frame);
    pf_free(reply);
}

/* ---- answers */

static void answer(task *t, pf_msg_type type, const ProtobufCMessage *body)
{
    pf_wire_header header = { .correlation_id = t->message.header.msg_id };

    pf_buf_reset(&t->reply->frame);
    if (pf_wire_pack(type, &header, body, &t->reply->frame, NULL))
        pf_buf_reset(&t->reply->frame);         /* nothing is sent; the asker asks again */
}

static void answer_failure(task *t, pf_status st, const pf_err *why)
{
    Pf__Error error = PF__ERROR__INIT;

    error.exit_code = (uint32_t)pf_status_exit_code(st);
    error.message = (char *)why->msg;
    answer(t, PF_MSG_ERROR, &error.base);
}

/* A reply that is being filled with entries. */
typedef struct filling {
    pf_timing_service *service;
    const task        *task;
    bool               with_texts;
    Pf__TimingEntry   *entry;           /* owned, and what they point to */
    Pf__TimingEntry  **list;            /* owned */
    uint32_t           count, capacity;
    size_t             bytes;
    pf_digest          last_class;      /* of the last entry */
    uint8_t            last_key[PF_TIMING_KEY_BYTES];
    bool               full;
    uint32_t           damaged;
} filling;

static void clear_filling(filling *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        pf_free(f->entry[i].class_digest.data);
        pf_free(f->entry[i].problem_hash.data);
        pf_free(f->entry[i].record.data);
        if (f->entry[i].problem_text != (char *)protobuf_c_empty_string)
            pf_free(f->entry[i].problem_text);
        if (f->entry[i].class_text != (char *)protobuf_c_empty_string)
            pf_free(f->entry[i].class_text);
    }
    pf_free(f->entry);
    pf_free(f->list);
}

static bool copy_bytes(ProtobufCBinaryData *out, const void *data, size_t bytes)
{
    out->data = pf_alloc(bytes);
    if (!out->data)
        return false;
    memcpy(out->data, data, bytes);
    out->len = bytes;
    return true;
}

/* NULL when the text is not there: the entry then goes without. */
static char *text_or_none(pf_timing_service *service, pf_timing_table table, const pf_digest *digest)
{
    char *text = NULL;

    if (pf_timing_db_text(service->db, table, digest, &text, NULL))
        return NULL;
    return text;
}

static void add_texts(filling *f, Pf__TimingEntry *entry, const pf_timing_key *key)
{
    char *problem = text_or_none(f->service, PF_TABLE_PROBLEMS, &key->problem);
    char *device_class = f->count == 0 || !pf_digest_equal(&f->last_class, &key->device_class)
                             ? text_or_none(f->service, PF_TABLE_CLASSES, &key->device_class) : NULL;

    if (problem)
        entry->problem_text = problem;
    if (device_class)
        entry->class_text = device_class;
    f->bytes += (problem ? strlen(problem) : 0) + (device_class ? strlen(device_class) : 0);
}

/* False when it does not fit into this reply, or memory is short. */
static bool add_entry(filling *f, const pf_timing_key *key, const void *record, size_t bytes)
{
    Pf__TimingEntry *entry = NULL;
    void            *items = f->entry;

    if (f->count && f->bytes + bytes + ENTRY_OVERHEAD > REPLY_BYTES_MAX) {
        f->full = true;
        return false;
    }
    if (pf_grow(&items, &f->capacity, f->count + 1, sizeof *f->entry))
        return false;
    f->entry = items;
    entry = &f->entry[f->count];
    pf__timing_entry__init(entry);
    if (f->with_texts)
        add_texts(f, entry, key);
    if (!copy_bytes(&entry->class_digest, &key->device_class, sizeof key->device_class) ||
        !copy_bytes(&entry->problem_hash, &key->problem, sizeof key->problem) || !copy_bytes(&entry->record, record, bytes)) {
        f->count++;             /* so that it is freed */
        return false;
    }
    f->last_class = key->device_class;
    memcpy(f->last_key, key, sizeof f->last_key);
    f->bytes += bytes + ENTRY_OVERHEAD;
    f->count++;
    return true;
}

static Pf__TimingEntry **ready_list(filling *f)
{
    f->list = pf_calloc(f->count + 1, sizeof *f->list);
    for (uint32_t i = 0; f->list && i < f->count; i++)
        f->list[i] = &f->entry[i];
    return f->list;
}

/* ---- TIMING_LOOKUP */

static bool look_up_one(filling *f, const pf_timing_key *key)
{
    pf_timing_record record = { 0 };
    pf_buf           bytes = { 0 };
    bool             more = true;

    f->service->lookups++;
    pf_buf_init(&bytes, PF_WIRE_FRAME_BYTES);
    if (pf_timing_db_lookup(f->service->db, &key->device_class, &key->problem, 1, &record, NULL) == PF_OK && record.count &&
        pf_timing_record_encode(&record, &bytes)) {
        more = add_entry(f, key, bytes.data, bytes.size) || !f->full;
        f->service->hits += more;
    }
    pf_timing_record_clear(&record);
    pf_buf_clear(&bytes);
    return more;
}

static void look_up(pf_timing_service *service, task *t)
{
    const Pf__TimingLookup *asked = (const Pf__TimingLookup *)t->message.body;
    Pf__TimingLookupReply   reply = PF__TIMING_LOOKUP_REPLY__INIT;
    filling                 f = { .service = service, .task = t, .with_texts = asked->with_texts };
    pf_timing_key           key = { { { 0 } }, { { 0 } } };
    pf_err                  why = { 0 };
    pf_status               st = pf_wire_digest(&asked->class_digest, "class_digest", &key.device_class, &why);

    for (size_t i = 0; i < asked->n_problem_hash && !st; i++) {
        st = pf_wire_digest(&asked->problem_hash[i], "problem_hash", &key.problem, &why);
        if (st || !look_up_one(&f, &key))
            break;
        reply.examined++;
    }
    reply.entry = ready_list(&f);
    reply.n_entry = reply.entry ? f.count : 0;
    if (st)
        answer_failure(t, st, &why);
    else
        answer(t, PF_MSG_TIMING_LOOKUP_REPLY, &reply.base);
    clear_filling(&f);
}

/* ---- TIMING_EXPORT */

static pf_status export_one(void *user, const pf_timing_visit *item, pf_err *err)
{
    filling      *f = user;
    pf_timing_key key;

    (void)err;
    if (item->problem || item->key->mv_size != sizeof key) {
        f->damaged += item->problem != PF_STALE;
        return PF_OK;
    }
    memcpy(&key, item->key->mv_data, sizeof key);
    if (f->task->one_class && !pf_digest_equal(&key.device_class, &f->task->only_class))
        return PF_OK;
    return add_entry(f, &key, item->value->data, item->value->bytes) ? PF_OK : (pf_status)STOPPED;
}

static void export_some(pf_timing_service *service, task *t)
{
    const Pf__TimingExport *asked = (const Pf__TimingExport *)t->message.body;
    Pf__TimingExportReply   reply = PF__TIMING_EXPORT_REPLY__INIT;
    filling                 f = { .service = service, .task = t, .with_texts = true };
    pf_err                  why = { 0 };
    pf_status               st = pf_timing_db_scan_after(service->db, PF_TABLE_RECORDS, asked->after_key.data,
                                                         asked->after_key.len, export_one, &f, &why);

    reply.entry = ready_list(&f);
    reply.n_entry = reply.entry ? f.count : 0;
    reply.damaged = f.damaged;
    if (f.full)
        reply.next_key = (ProtobufCBinaryData){ sizeof f.last_key, f.last_key };
    if (st && !f.full)
        answer_failure(t, st, &why);
    else
        answer(t, PF_MSG_TIMING_EXPORT_REPLY, &reply.base);
    clear_filling(&f);
}

/* ---- TIMING_STORE */

/* Times taken while another process used the device help nobody else. */
static void drop_contended(pf_timing_record *record)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < record->count; i++)
        if (!record->entries[i].contended)
            record->entries[kept++] = record->entries[i];
    record->count = kept;
}

static pf_status store_entry(pf_timing_batch *batch, const char *class_text, const Pf__TimingEntry *entry, bool *stored,
                             pf_err *err)
{
    pf_timing_record record = { 0 };
    pf_status        st = PF_OK;

    if (!entry->problem_text[0])
        return PF_FAIL(err, PF_INVALID, "a timing comes without the text of its problem");
    st = pf_timing_record_decode(entry->record.data, entry->record.len, &record, err);
    drop_contended(&record);
    *stored = !st && record.count;
    if (*stored)
        st = pf_timing_batch_merge(batch, class_text, entry->problem_text, &record, err);
    pf_timing_record_clear(&record);
    return st;
}

/* Puts all of a store into the transaction.  What is wrong with one of its entries refuses that store, and what had gone
   in before stays: every entry stands for itself. */
static void store(pf_timing_batch *batch, task *t)
{
    const Pf__TimingStore *asked = (const Pf__TimingStore *)t->message.body;
    pf_err                 why = { 0 };
    pf_status              st = PF_OK;

    if (!asked->class_text[0] || strlen(asked->class_text) >= PF_CLASS_TEXT_BYTES)
        st = PF_FAIL(&why, PF_INVALID, "class_text is empty or longer than 4 KiB");
    for (size_t i = 0; i < asked->n_entry && !st; i++) {
        bool stored = false;
        st = store_entry(batch, asked->class_text, asked->entry[i], &stored, &why);
        t->stored += stored;
    }
    if (st)
        answer_failure(t, st, &why);
}

/* ---- the thread */

static void commit(pf_timing_service *service, pf_timing_batch *batch, tasks *batch_tasks)
{
    pf_err    why = { 0 };
    pf_status st = batch ? pf_timing_batch_commit(batch, &why) : PF_OK;

    if (st)
        pf_log(PF_LOG_ERROR, "timing", "not_stored reason=\"%s\"", why.msg);
    for (task *t = batch_tasks->first; t; t = t->next) {
        Pf__TimingStoreReply reply = PF__TIMING_STORE_REPLY__INIT;
        reply.stored = t->stored;
        service->stored += st ? 0 : t->stored;
        if (st)
            answer_failure(t, st, &why);
        else if (t->reply->frame.size == 0)
            answer(t, PF_MSG_TIMING_STORE_REPLY, &reply.base);
        else
            service->refused++;
    }
}

/* Stores first, as one transaction; then those that read, so that they see it. */
static void work(pf_timing_service *service, tasks *todo, tasks *finished)
{
    tasks            stores = { 0 }, reads = { 0 };
    pf_timing_batch *batch = NULL;
    pf_err           why = { 0 };
    pf_status        st = PF_OK;

    for (task *t = pop(todo); t; t = pop(todo))
        push(t->message.info->type == PF_MSG_TIMING_STORE ? &stores : &reads, t);
    if (stores.first)
        st = pf_timing_batch_begin(service->db, &batch, &why);
    for (task *t = stores.first; t; t = t->next) {
        if (st)
            answer_failure(t, st, &why);
        else
            store(batch, t);
    }
    commit(service, batch, &stores);
    for (task *t = reads.first; t; t = t->next) {
        if (t->message.info->type == PF_MSG_TIMING_LOOKUP)
            look_up(service, t);
        else
            export_some(service, t);
    }
    for (task *t = pop(&stores); t; t = pop(&stores))
        push(finished, t);
    for (task *t = pop(&reads); t; t = pop(&reads))
        push(finished, t);
}

static void *run(void *user)
{
    pf_timing_service *service = user;
    uint64_t           one = 1;

    for (;;) {
        tasks todo = { 0 }, finished = { 0 };
        pthread_mutex_lock(&service->mutex);
        while (!service->waiting.first && !service->stopping)
            pthread_cond_wait(&service->wake, &service->mutex);
        todo = service->waiting;
        service->waiting = (tasks){ 0 };
        pthread_mutex_unlock(&service->mutex);
        if (!todo.first)
            return NULL;
        work(service, &todo, &finished);
        pthread_mutex_lock(&service->mutex);
        for (task *t = pop(&finished); t; t = pop(&finished))
            push(&service->done, t);
        pthread_mutex_unlock(&service->mutex);
        if (write(service->done_fd, &one, sizeof one) != (ssize_t)sizeof one)
            pf_log(PF_LOG_ERROR, "timing", "eventfd cannot be written");
    }
}

pf_status pf_timing_service_start(const char *folder, uint64_t map_bytes, pf_timing_service **out, pf_err *err)
{
    pf_timing_service   *service = pf_calloc(1, sizeof *service);
    pf_timing_db_options options = { .map_bytes = map_bytes };
    pf_status            st = PF_OK;

    *out = NULL;
    if (!service)
        return PF_FAIL_MEMORY(err, sizeof *service);
    st = pf_timing_db_open(folder, &options, &service->db, err);
    if (st) {
        pf_free(service);
        return st;
    }
    pthread_mutex_init(&service->mutex, NULL);
    pthread_cond_init(&service->wake, NULL);
    service->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (service->done_fd < 0 || pthread_create(&service->thread, NULL, run, service) != 0) {
        if (service->done_fd >= 0)
            close(service->done_fd);
        pf_timing_db_close(service->db);
        pf_free(service);
        return PF_FAIL(err, PF_NO_SPACE, "cannot start the timing cache's thread");
    }
    *out = service;
    return PF_OK;
}

void pf_timing_service_stop(pf_timing_service *service)
{
    if (!service)
        return;
    pthread_mutex_lock(&service->mutex);
    service->stopping = true;
    pthread_cond_signal(&service->wake);
    pthread_mutex_unlock(&service->mutex);
    pthread_join(service->thread, NULL);
    while (service->done.first)
        free_task(pop(&service->done));
    pthread_mutex_destroy(&service->mutex);
    pthread_cond_destroy(&service->wake);
    close(service->done_fd);
    pf_timing_db_close(service->db);
    pf_free(service);
}

pf_status pf_timing_service_give(pf_timing_service *service, uint64_t peer, pf_message *message, const pf_digest *only_class,
                                 pf_err *err)
{
    task *t = pf_calloc(1, sizeof *t);
    bool  busy = false;

    if (t)
        t->reply = pf_calloc(1, sizeof *t->reply);
    if (!t || !t->reply) {
        free_task(t);
        return PF_FAIL_MEMORY(err, sizeof *t);
    }
    t->reply->peer = peer;
    pf_buf_init(&t->reply->frame, PF_WIRE_FRAME_BYTES);
    if (only_class) {
        t->only_class = *only_class;
        t->one_class = true;
    }
    pthread_mutex_lock(&service->mutex);
    busy = service->waiting.count + service->done.count >= WAITING_MAX;
    if (!busy) {
        t->message = *message;
        message->body = NULL;
        push(&service->waiting, t);
        pthread_cond_signal(&service->wake);
    }
    pthread_mutex_unlock(&service->mutex);
    if (!busy)
        return PF_OK;
    free_task(t);
    return PF_FAIL(err, PF_BUSY, "the timing cache has %d requests to serve already; try again", WAITING_MAX);
}

int pf_timing_service_fd(const pf_timing_service *service)
{
    return service->done_fd;
}

pf_timing_reply *pf_timing_service_take(pf_timing_service *service)
{
    uint64_t         count = 0;
    task            *t = NULL;
    pf_timing_reply *reply = NULL;

    if (read(service->done_fd, &count, sizeof count) < 0)
        count = 0;
    pthread_mutex_lock(&service->mutex);
    t = pop(&service->done);
    pthread_mutex_unlock(&service->mutex);
    if (!t)
        return NULL;
    reply = t->reply;
    t->reply = NULL;
    free_task(t);
    return reply;
}

void pf_timing_service_totals(const pf_timing_service *service, pf_timing_totals *out)
{
    *out = (pf_timing_totals){ service->lookups, service->hits, service->stored, service->refused };
}
