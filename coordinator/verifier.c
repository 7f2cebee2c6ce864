#include "coordinator/verifier.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"

typedef struct task {
    struct task *next;
    pf_verify    verify;
    pf_verdict  *verdict;               /* owned; made with the task, so that giving it cannot fail */
    char         manifest[];            /* unsigned */
} task;

typedef struct tasks { task *first, *last; } tasks;

struct pf_verifier {
    pf_store             *store;
    const pf_signing_key *keys;
    uint32_t              keys_count;
    pthread_t             thread;
    pthread_mutex_t       mutex;
    pthread_cond_t        wake;
    tasks                 waiting, done;
    bool                  stopping;
    int                   done_fd;
};

static void push(tasks *list, task *t)
{
    t->next = NULL;
    if (list->last)
        list->last->next = t;
    else
        list->first = t;
    list->last = t;
}

static task *pop(tasks *list)
{
    task *t = list->first;

    if (!t)
        return NULL;
    list->first = t->next;
    if (!list->first)
        list->last = NULL;
    return t;
}

static void free_task(task *t)
{
    if (t)
        pf_free(t->verdict);
    pf_free(t);
}

static pf_status check_bytes(pf_store *store, const pf_verify *verify, pf_err *err)
{
    uint64_t  bytes = 0;
    int       fd = -1;
    pf_status st = pf_store_open_blob(store, &verify->plan_digest, true, &fd, &bytes, err);

    if (fd >= 0)
        close(fd);
    if (st == PF_CORRUPT)
        pf_store_remove(store, &verify->plan_digest, NULL);     /* so that the next upload heals it */
    if (!st && bytes != verify->plan_bytes)
        st = PF_FAIL(err, PF_MISMATCH, "the plan has %llu bytes, the agent said %llu", (unsigned long long)bytes,
                     (unsigned long long)verify->plan_bytes);
    return st;
}

static void judge(pf_verifier *verifier, task *t)
{
    pf_verdict *v = t->verdict;
    pf_buf      text = { 0 };
    pf_err      err = { 0 };
    pf_status   st = check_bytes(verifier->store, &t->verify, &err);

    pf_buf_init(&text, sizeof v->text - 1);
    if (!st && !pf_buf_put(&text, t->manifest, strlen(t->manifest)))
        st = PF_FAIL_MEMORY(&err, t->verify.manifest_bytes);
    for (uint32_t i = 0; i < verifier->keys_count && !st; i++)
        st = pf_manifest_sign(&text, &verifier->keys[i], &err);
    v->event = (pf_event){ .kind = PF_EVENT_VERIFIED, .peer = t->verify.peer, .correlation_id = t->verify.correlation_id,
                           .lease = t->verify.lease, .status = st, .plan_digest = t->verify.plan_digest,
                           .log_digest = t->verify.log_digest, .plan_bytes = t->verify.plan_bytes };
    snprintf(v->text, sizeof v->text, "%s", st ? err.msg : (const char *)text.data);
    v->event.text = v->text;
    pf_buf_clear(&text);
}

static void *run(void *user)
{
    pf_verifier *verifier = user;
    uint64_t     one = 1;

    for (;;) {
        task *t = NULL;
        pthread_mutex_lock(&verifier->mutex);
        while (!verifier->waiting.first && !verifier->stopping)
            pthread_cond_wait(&verifier->wake, &verifier->mutex);
        t = verifier->stopping ? NULL : pop(&verifier->waiting);
        pthread_mutex_unlock(&verifier->mutex);
        if (!t)
            return NULL;
        judge(verifier, t);
        pthread_mutex_lock(&verifier->mutex);
        push(&verifier->done, t);
        pthread_mutex_unlock(&verifier->mutex);
        if (write(verifier->done_fd, &one, sizeof one) != (ssize_t)sizeof one)
            pf_log(PF_LOG_ERROR, "farm", "eventfd cannot be written");
    }
}

pf_status pf_verifier_start(pf_store *store, const pf_signing_key *keys, uint32_t keys_count, pf_verifier **out, pf_err *err)
{
    pf_verifier *verifier = pf_calloc(1, sizeof *verifier);

    *out = NULL;
    if (!verifier)
        return PF_FAIL_MEMORY(err, sizeof *verifier);
    verifier->store = store;
    verifier->keys = keys;
    verifier->keys_count = keys_count;
    pthread_mutex_init(&verifier->mutex, NULL);
    pthread_cond_init(&verifier->wake, NULL);
    verifier->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (verifier->done_fd < 0 || pthread_create(&verifier->thread, NULL, run, verifier) != 0) {
        if (verifier->done_fd >= 0)
            close(verifier->done_fd);
        pf_free(verifier);
        return PF_FAIL(err, PF_NO_SPACE, "cannot start the verifier's thread");
    }
    *out = verifier;
    return PF_OK;
}

void pf_verifier_stop(pf_verifier *verifier)
{
    if (!verifier)
        return;
    pthread_mutex_lock(&verifier->mutex);
    verifier->stopping = true;
    pthread_cond_signal(&verifier->wake);
    pthread_mutex_unlock(&verifier->mutex);
    pthread_join(verifier->thread, NULL);
    while (verifier->waiting.first)
        free_task(pop(&verifier->waiting));
    while (verifier->done.first)
        free_task(pop(&verifier->done));
    pthread_mutex_destroy(&verifier->mutex);
    pthread_cond_destroy(&verifier->wake);
    close(verifier->done_fd);
    pf_free(verifier);
}

pf_status pf_verifier_give(pf_verifier *verifier, const pf_out *out, const pf_verify *verify, pf_err *err)
{
    task *t = pf_calloc(1, sizeof *t + verify->manifest_bytes + 1);

    if (t)
        t->verdict = pf_calloc(1, sizeof *t->verdict);
    if (!t || !t->verdict) {
        free_task(t);
        return PF_FAIL_MEMORY(err, sizeof *t + sizeof *t->verdict);
    }
    t->verify = *verify;
    memcpy(t->manifest, out->bytes.data + verify->manifest_at, verify->manifest_bytes);
    pthread_mutex_lock(&verifier->mutex);
    push(&verifier->waiting, t);
    pthread_cond_signal(&verifier->wake);
    pthread_mutex_unlock(&verifier->mutex);
    return PF_OK;
}

int pf_verifier_fd(const pf_verifier *verifier)
{
    return verifier->done_fd;
}

pf_verdict *pf_verifier_take(pf_verifier *verifier)
{
    uint64_t    count = 0;
    task       *t = NULL;
    pf_verdict *verdict = NULL;

    if (read(verifier->done_fd, &count, sizeof count) < 0)
        count = 0;
    pthread_mutex_lock(&verifier->mutex);
    t = pop(&verifier->done);
    pthread_mutex_unlock(&verifier->mutex);
    if (!t)
        return NULL;
    verdict = t->verdict;
    t->verdict = NULL;
    free_task(t);
    return verdict;
}
