#include "coordinator/verifier.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "coordinator/worker.h"

typedef struct task {
    pf_task     base;
    pf_verify   verify;
    pf_verdict *verdict;                /* owned; made with the task, so that giving it cannot fail */
    char        manifest[];             /* unsigned */
} task;

struct pf_verifier {
    pf_store             *store;
    const pf_signing_key *keys;
    uint32_t              keys_count;
    pf_worker            *worker;
};

static void free_task(pf_task *base)
{
    task *t = (task *)base;

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
    v->event = (pf_event){ .kind = PF_EVENT_VERIFIED, .peer = t->verify.peer,
                           .correlation_id = t->verify.correlation_id, .lease = t->verify.lease, .status = st,
                           .plan_digest = t->verify.plan_digest, .log_digest = t->verify.log_digest,
                           .plan_bytes = t->verify.plan_bytes };
    snprintf(v->text, sizeof v->text, "%s", st ? err.msg : (const char *)text.data);
    v->event.text = v->text;
    pf_buf_clear(&text);
}

static void work(void *user, const pf_tasks *tasks)
{
    for (pf_task *t = tasks->first; t; t = t->next)
        judge(user, (task *)t);
}

pf_status pf_verifier_start(pf_store *store, const pf_signing_key *keys, uint32_t keys_count, pf_verifier **out,
                            pf_err *err)
{
    pf_verifier      *verifier = pf_calloc(1, sizeof *verifier);
    pf_worker_options options = { .name = "verifier", .at_once = 1, .work = work, .free = free_task, .user = verifier };
    pf_status         st = PF_OK;

    *out = NULL;
    if (!verifier)
        return PF_FAIL_MEMORY(err, sizeof *verifier);
    verifier->store = store;
    verifier->keys = keys;
    verifier->keys_count = keys_count;
    st = pf_worker_start(&options, &verifier->worker, err);
    if (st)
        pf_free(verifier);
    else
        *out = verifier;
    return st;
}

void pf_verifier_stop(pf_verifier *verifier)
{
    if (!verifier)
        return;
    pf_worker_stop(verifier->worker);
    pf_free(verifier);
}

pf_status pf_verifier_give(pf_verifier *verifier, const pf_out *out, const pf_verify *verify, pf_err *err)
{
    task *t = pf_calloc(1, sizeof *t + verify->manifest_bytes + 1);

    if (t)
        t->verdict = pf_calloc(1, sizeof *t->verdict);
    if (!t || !t->verdict) {
        free_task((pf_task *)t);
        return PF_FAIL_MEMORY(err, sizeof *t + sizeof *t->verdict);
    }
    t->verify = *verify;
    memcpy(t->manifest, out->bytes.data + verify->manifest_at, verify->manifest_bytes);
    pf_worker_give(verifier->worker, &t->base, UINT32_MAX);
    return PF_OK;
}

int pf_verifier_fd(const pf_verifier *verifier)
{
    return pf_worker_fd(verifier->worker);
}

pf_verdict *pf_verifier_take(pf_verifier *verifier)
{
    task       *t = (task *)pf_worker_take(verifier->worker);
    pf_verdict *verdict = NULL;

    if (!t)
        return NULL;
    verdict = t->verdict;
    t->verdict = NULL;
    free_task(&t->base);
    return verdict;
}
