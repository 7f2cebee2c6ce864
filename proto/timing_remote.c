#include "proto/timing_remote.h"

#include <string.h>

#include "base/alloc.h"
#include "proto/limits.h"

enum { LOOKUP_MAX = 8192, KEY_BYTES_MAX = 256 };

/* ---- lookup */

typedef struct lookup {
    const pf_digest        *device_class, *problems;
    uint32_t                at, count;              /* those from at on are still to be asked for */
    char                   *class_text;             /* owned; of the last entry that had one */
    pf_timing_remote_found *found;
    void                   *user;
} lookup;

static pf_status keep_class_text(char **kept, const char *text, pf_err *err)
{
    char *copy = NULL;

    if (!text[0])
        return PF_OK;
    copy = pf_strdup(text);
    if (!copy)
        return PF_FAIL_MEMORY(err, strlen(text));
    pf_free(*kept);
    *kept = copy;
    return PF_OK;
}

/* Index of the problem among those asked for in this request; count when it was not asked for. */
static uint32_t index_of(const lookup *l, uint32_t from, uint32_t asked, const ProtobufCBinaryData *hash)
{
    for (uint32_t i = from; hash->len == PF_DIGEST_BYTES && i < l->at + asked; i++)
        if (memcmp(l->problems[i].byte, hash->data, PF_DIGEST_BYTES) == 0)
            return i;
    return l->count;
}

/* Replies keep the order of the request, so each search begins behind the last. */
static pf_status take_reply(lookup *l, uint32_t asked, const Pf__TimingLookupReply *reply, pf_err *err)
{
    uint32_t  from = l->at;
    pf_status st = PF_OK;

    for (size_t i = 0; i < reply->n_entry && !st; i++) {
        const Pf__TimingEntry *entry = reply->entry[i];
        pf_timing_record       record = { 0 };
        uint32_t               index = index_of(l, from, asked, &entry->problem_hash);
        if (index == l->count)
            return PF_FAIL(err, PF_CORRUPT, "the farm sent a timing that was not asked for");
        from = index + 1;
        st = pf_timing_record_decode(entry->record.data, entry->record.len, &record, err);
        if (!st)
            st = keep_class_text(&l->class_text, entry->class_text, err);
        if (!st)
            st = l->found(l->user, index, l->class_text ? l->class_text : "", entry->problem_text, &record, err);
        pf_timing_record_clear(&record);
    }
    if (!st && (reply->examined == 0 || reply->examined > asked))
        st = PF_FAIL(err, PF_CORRUPT, "the farm looked at %u of %u timings", reply->examined, asked);
    return st;
}

static pf_status ask_some(lookup *l, pf_peer *peer, ProtobufCBinaryData *hashes, int64_t timeout_ns, pf_err *err)
{
    Pf__TimingLookup asked = PF__TIMING_LOOKUP__INIT;
    pf_message       answer = { 0 };
    uint32_t         count = l->count - l->at < LOOKUP_MAX ? l->count - l->at : LOOKUP_MAX;
    pf_status        st = PF_OK;

    for (uint32_t i = 0; i < count; i++)
        hashes[i] = pf_wire_bytes(&l->problems[l->at + i]);
    asked.class_digest = pf_wire_bytes(l->device_class);
    asked.problem_hash = hashes;
    asked.n_problem_hash = count;
    asked.with_texts = true;
    st = pf_peer_call(peer, PF_MSG_TIMING_LOOKUP, &asked.base, PF_MSG_TIMING_LOOKUP_REPLY, timeout_ns, &answer, err);
    if (!st)
        st = take_reply(l, count, (const Pf__TimingLookupReply *)answer.body, err);
    if (!st)
        l->at += ((const Pf__TimingLookupReply *)answer.body)->examined;
    pf_message_clear(&answer);
    return st;
}

pf_status pf_timing_remote_lookup(pf_peer *peer, const pf_digest *device_class, const pf_digest *problems,
                                  uint32_t count, int64_t timeout_ns, pf_timing_remote_found *found, void *user,
                                  pf_err *err)
{
    lookup               l = {.device_class = device_class, .problems = problems, .count = count,
                              .found = found, .user = user};
    ProtobufCBinaryData *hashes = pf_calloc(LOOKUP_MAX, sizeof *hashes);
    pf_status            st = hashes ? PF_OK : PF_FAIL_MEMORY(err, LOOKUP_MAX * sizeof *hashes);

    while (l.at < count && !st)
        st = ask_some(&l, peer, hashes, timeout_ns, err);
    pf_free(hashes);
    pf_free(l.class_text);
    return st;
}

/* ---- store */

pf_status pf_timing_remote_store(pf_peer *peer, const char *class_text, const char *problem_text,
                                 const pf_timing_record *entries, int64_t timeout_ns, pf_err *err)
{
    Pf__TimingStore  asked = PF__TIMING_STORE__INIT;
    Pf__TimingEntry  entry = PF__TIMING_ENTRY__INIT, *list[] = { &entry };
    pf_message       answer = { 0 };
    pf_buf           record = { 0 };
    pf_status        st = PF_OK;

    pf_buf_init(&record, PF_WIRE_FRAME_BYTES);
    if (!pf_timing_record_encode(entries, &record)) {
        st = PF_FAIL(err, PF_NO_SPACE, "a timing record of %u entries is too large for a message", entries->count);
    } else {
        entry.record = (ProtobufCBinaryData){ record.size, record.data };
        entry.problem_text = (char *)problem_text;
        asked.class_text = (char *)class_text;
        asked.entry = list;
        asked.n_entry = 1;
        st = pf_peer_call(peer, PF_MSG_TIMING_STORE, &asked.base, PF_MSG_TIMING_STORE_REPLY, timeout_ns, &answer, err);
    }
    pf_message_clear(&answer);
    pf_buf_clear(&record);
    return st;
}

/* ---- export */

static pf_status take_export(const Pf__TimingExportReply *reply, char **class_text, pf_timing_remote_visit *visit,
                             void *user, pf_err *err)
{
    pf_status st = PF_OK;

    for (size_t i = 0; i < reply->n_entry && !st; i++) {
        pf_timing_record record = { 0 };
        st = pf_timing_record_decode(reply->entry[i]->record.data, reply->entry[i]->record.len, &record, err);
        if (!st)
            st = keep_class_text(class_text, reply->entry[i]->class_text, err);
        if (!st)
            st = visit(user, *class_text ? *class_text : "", reply->entry[i]->problem_text, &record, err);
        pf_timing_record_clear(&record);
    }
    return st;
}

pf_status pf_timing_remote_export(pf_peer *peer, const char *selector, int64_t timeout_ns,
                                  pf_timing_remote_visit *visit, void *user, uint64_t *damaged, pf_err *err)
{
    uint8_t   key[KEY_BYTES_MAX] = { 0 };
    size_t    key_bytes = 0;
    char     *class_text = NULL;
    bool      more = true;
    pf_status st = PF_OK;

    if (damaged)
        *damaged = 0;
    while (more && !st) {
        Pf__TimingExport             asked = PF__TIMING_EXPORT__INIT;
        const Pf__TimingExportReply *reply = NULL;
        pf_message                   answer = { 0 };
        if (selector)
            asked.selector = (char *)selector;
        asked.after_key = (ProtobufCBinaryData){ key_bytes, key };
        st = pf_peer_call(peer, PF_MSG_TIMING_EXPORT, &asked.base, PF_MSG_TIMING_EXPORT_REPLY, timeout_ns, &answer,
                          err);
        reply = (const Pf__TimingExportReply *)answer.body;
        if (!st)
            st = take_export(reply, &class_text, visit, user, err);
        if (!st && reply->next_key.len > sizeof key)
            st = PF_FAIL(err, PF_CORRUPT, "the farm named a key of %zu bytes", reply->next_key.len);
        if (!st && damaged)
            *damaged += reply->damaged;
        if (!st) {
            key_bytes = reply->next_key.len;
            more = key_bytes > 0;
            if (more)           /* an empty key has no address */
                memcpy(key, reply->next_key.data, key_bytes);
        }
        pf_message_clear(&answer);
    }
    pf_free(class_text);
    return st;
}
