#include "coordinator/timing_service.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cache/timing_db.h"
#include "coordinator/timing_answer.h"
#include "coordinator/worker.h"
#include "proto/limits.h"

enum { WAITING_MAX = 4096 };

typedef struct task {
    pf_task          base;
    pf_message       message;           /* body owned */
    pf_digest        only_class;
    bool             one_class;
    pf_timing_reply *reply;             /* owned until taken */
    uint32_t         stored;            /* entries of a store that are in the open transaction */
} task;

struct pf_timing_service {
    pf_timing_db    *db;
    pf_worker       *worker;
    _Atomic uint64_t lookups, hits, stored, refused;
};

static void free_task(pf_task *base)
{
    task *t = (task *)base;

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

static bool is_store(const task *t)
{
    return t->message.info->type == PF_MSG_TIMING_STORE;
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

static void answer_entries(task *t, pf_timing_service *service)
{
    const ProtobufCMessage *asked = t->message.body;
    bool                    is_lookup = t->message.info->type == PF_MSG_TIMING_LOOKUP;
    pf_timing_answer        found = { .db = service->db };
    pf_err                  why = { 0 };
    pf_status               st = PF_OK;

    if (is_lookup)
        st = pf_timing_answer_lookup(&found, (const Pf__TimingLookup *)asked, &why);
    else
        st = pf_timing_answer_export(&found, (const Pf__TimingExport *)asked, t->one_class ? &t->only_class : NULL,
                                     &why);
    service->lookups += found.lookups;
    service->hits += found.hits;
    if (st)
        answer_failure(t, st, &why);
    else if (is_lookup)
        answer(t, PF_MSG_TIMING_LOOKUP_REPLY, &found.lookup.base);
    else
        answer(t, PF_MSG_TIMING_EXPORT_REPLY, &found.export.base);
    pf_timing_answer_clear(&found);
}

/* ---- TIMING_STORE */

static pf_status store_entry(pf_timing_batch *batch, const char *class_text, const Pf__TimingEntry *entry, bool *stored,
                             pf_err *err)
{
    pf_timing_record record = { 0 };
    pf_status        st = PF_OK;

    if (!entry->problem_text[0])
        return PF_FAIL(err, PF_INVALID, "a timing comes without the text of its problem");
    st = pf_timing_record_decode(entry->record.data, entry->record.len, &record, err);
    pf_timing_record_drop_contended(&record);
    *stored = !st && record.count;
    if (*stored)
        st = pf_timing_batch_merge(batch, class_text, entry->problem_text, &record, err);
    pf_timing_record_clear(&record);
    return st;
}

/* Puts all of a store into the transaction.  What is wrong with one of its entries refuses that store, and what had
   gone in before stays: every entry stands for itself. */
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

/* Says how a store went, when its transaction did as st says. */
static void answer_store(pf_timing_service *service, task *t, pf_status st, const pf_err *why)
{
    Pf__TimingStoreReply reply = PF__TIMING_STORE_REPLY__INIT;

    reply.stored = t->stored;
    service->stored += st ? 0 : t->stored;
    if (st)
        answer_failure(t, st, why);
    else if (t->reply->frame.size == 0)
        answer(t, PF_MSG_TIMING_STORE_REPLY, &reply.base);
    else
        service->refused++;
}

/* ---- the thread */

/* All that wait as one transaction. */
static void store_all(pf_timing_service *service, const pf_tasks *tasks, uint32_t stores)
{
    pf_timing_batch *batch = NULL;
    pf_err           why = { 0 };
    pf_status        st = stores ? pf_timing_batch_begin(service->db, &batch, &why) : PF_OK;

    for (pf_task *t = tasks->first; t && stores && !st; t = t->next)
        if (is_store((task *)t))
            store(batch, (task *)t);
    if (batch)
        st = pf_timing_batch_commit(batch, &why);
    if (st)
        pf_log(PF_LOG_ERROR, "timing", "not_stored reason=\"%s\"", why.msg);
    for (pf_task *t = tasks->first; t && stores; t = t->next)
        if (is_store((task *)t))
            answer_store(service, (task *)t, st, &why);
}

/* Stores first; then those that read, so that they see it. */
static void work(void *user, const pf_tasks *tasks)
{
    uint32_t stores = 0;

    for (pf_task *t = tasks->first; t; t = t->next)
        stores += is_store((task *)t);
    store_all(user, tasks, stores);
    for (pf_task *t = tasks->first; t; t = t->next)
        if (!is_store((task *)t))
            answer_entries((task *)t, user);
}

pf_status pf_timing_service_start(const char *folder, uint64_t map_bytes, pf_timing_service **out, pf_err *err)
{
    pf_timing_service   *service = pf_calloc(1, sizeof *service);
    pf_timing_db_options options = { .map_bytes = map_bytes };
    pf_worker_options    with = { .name = "timing cache", .finishes = true, .work = work, .free = free_task,
                                  .user = service };
    pf_status            st = PF_OK;

    *out = NULL;
    if (!service)
        return PF_FAIL_MEMORY(err, sizeof *service);
    st = pf_timing_db_open(folder, &options, &service->db, err);
    if (!st)
        st = pf_timing_db_look(service->db, err);
    if (!st)
        st = pf_worker_start(&with, &service->worker, err);
    if (st)
        pf_timing_service_stop(service);
    else
        *out = service;
    return st;
}

void pf_timing_service_stop(pf_timing_service *service)
{
    if (!service)
        return;
    pf_worker_stop(service->worker);
    pf_timing_db_close(service->db);
    pf_free(service);
}

static task *new_task(uint64_t peer, const pf_digest *only_class)
{
    task *t = pf_calloc(1, sizeof *t);

    if (t)
        t->reply = pf_calloc(1, sizeof *t->reply);
    if (!t || !t->reply) {
        free_task((pf_task *)t);
        return NULL;
    }
    t->reply->peer = peer;
    pf_buf_init(&t->reply->frame, PF_WIRE_FRAME_BYTES);
    t->one_class = only_class != NULL;
    if (only_class)
        t->only_class = *only_class;
    return t;
}

pf_status pf_timing_service_give(pf_timing_service *service, uint64_t peer, pf_message *message,
                                 const pf_digest *only_class, pf_err *err)
{
    task *t = new_task(peer, only_class);

    if (!t)
        return PF_FAIL_MEMORY(err, sizeof *t);
    t->message = *message;
    if (!pf_worker_give(service->worker, &t->base, WAITING_MAX)) {
        t->message = (pf_message){ 0 };
        free_task(&t->base);
        return PF_FAIL(err, PF_BUSY, "the timing cache has %d requests to serve already; try again", WAITING_MAX);
    }
    *message = (pf_message){ 0 };
    return PF_OK;
}

int pf_timing_service_fd(const pf_timing_service *service)
{
    return pf_worker_fd(service->worker);
}

pf_timing_reply *pf_timing_service_take(pf_timing_service *service)
{
    task            *t = (task *)pf_worker_take(service->worker);
    pf_timing_reply *reply = NULL;

    if (!t)
        return NULL;
    reply = t->reply;
    t->reply = NULL;
    free_task(&t->base);
    return reply;
}

void pf_timing_service_totals(const pf_timing_service *service, pf_timing_totals *out)
{
    *out = (pf_timing_totals){ service->lookups, service->hits, service->stored, service->refused };
}
