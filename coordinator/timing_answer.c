#include "coordinator/timing_answer.h"

#include <string.h>

#include "base/alloc.h"

enum { REPLY_BYTES_MAX = 900000, ENTRY_OVERHEAD = 256, STOPPED = PF_CANCELLED };

void pf_timing_answer_clear(pf_timing_answer *answer)
{
    pf_timing_view_close(&answer->view);
    pf_arena_free(answer->texts);
    pf_free(answer->entry);
    pf_free(answer->list);
}

static pf_status begin(pf_timing_answer *answer, bool with_texts, pf_err *err)
{
    pf__timing_lookup_reply__init(&answer->lookup);
    pf__timing_export_reply__init(&answer->export);
    answer->with_texts = with_texts;
    answer->texts = pf_arena_new();
    if (!answer->texts)
        return PF_FAIL(err, PF_NO_SPACE, "out of memory for an answer of the timing cache");
    return pf_timing_view_open(answer->db, &answer->view, err);
}

/* False when the text is not there: the entry then goes without. */
static bool find_text(pf_timing_answer *answer, pf_timing_table table, const pf_digest *digest, char **out)
{
    const char *text = NULL;
    char       *copy = NULL;
    size_t      bytes = 0;

    if (pf_timing_view_text(&answer->view, table, digest, &text, &bytes, NULL))
        return false;
    copy = pf_arena_strndup(answer->texts, text, bytes);
    if (!copy)
        return false;
    answer->bytes += bytes;
    *out = copy;
    return true;
}

/* A class's text goes with the first entry of it. */
static void add_texts(pf_timing_answer *answer, Pf__TimingEntry *entry, const pf_timing_key *key)
{
    find_text(answer, PF_TABLE_PROBLEMS, &key->problem, &entry->problem_text);
    if (answer->count == 0 || !pf_digest_equal(&answer->last_key.device_class, &key->device_class))
        find_text(answer, PF_TABLE_CLASSES, &key->device_class, &entry->class_text);
}

static bool is_full(pf_timing_answer *answer, size_t bytes)
{
    answer->full = answer->count && answer->bytes + bytes + ENTRY_OVERHEAD > REPLY_BYTES_MAX;
    return answer->full;
}

/* key and record stay where they are until the answer is cleared. */
static bool add_entry(pf_timing_answer *answer, const pf_timing_key *key, const void *record, size_t bytes)
{
    Pf__TimingEntry *entry = NULL;
    void            *items = answer->entry;

    if (pf_grow(&items, &answer->capacity, answer->count + 1, sizeof *answer->entry))
        return false;
    answer->entry = items;
    entry = &answer->entry[answer->count];
    pf__timing_entry__init(entry);
    if (answer->with_texts)
        add_texts(answer, entry, key);
    entry->class_digest = pf_wire_bytes(&key->device_class);
    entry->problem_hash = pf_wire_bytes(&key->problem);
    entry->record = (ProtobufCBinaryData){ bytes, (uint8_t *)record };
    answer->last_key = *key;
    answer->bytes += bytes + ENTRY_OVERHEAD;
    answer->count++;
    return true;
}

static pf_status end(pf_timing_answer *answer, pf_err *err)
{
    answer->list = pf_calloc(answer->count + 1, sizeof *answer->list);
    if (!answer->list)
        return PF_FAIL_MEMORY(err, answer->count * sizeof *answer->list);
    for (uint32_t i = 0; i < answer->count; i++)
        answer->list[i] = &answer->entry[i];
    answer->lookup.entry = answer->export.entry = answer->list;
    answer->lookup.n_entry = answer->export.n_entry = answer->count;
    return PF_OK;
}

/* ---- TIMING_LOOKUP */

static pf_status look_up_one(pf_timing_answer *answer, const pf_timing_key *key, pf_err *err)
{
    const void *record = NULL;
    size_t      bytes = 0;
    pf_status   st = pf_timing_view_stored(&answer->view, key, &record, &bytes, err);

    if (st || !record || is_full(answer, bytes))
        return st;
    if (!add_entry(answer, key, record, bytes))
        return PF_FAIL_MEMORY(err, sizeof *answer->entry);
    answer->hits++;
    return PF_OK;
}

pf_status pf_timing_answer_lookup(pf_timing_answer *answer, const Pf__TimingLookup *asked, pf_err *err)
{
    pf_timing_key  first = { { { 0 } }, { { 0 } } };
    pf_timing_key *keys = NULL;
    pf_status      st = begin(answer, asked->with_texts, err);

    if (!st)
        st = pf_wire_digest(&asked->class_digest, "class_digest", &first.device_class, err);
    if (!st) {
        keys = pf_arena_alloc(answer->texts, (asked->n_problem_hash + 1) * sizeof *keys);
        st = keys ? PF_OK : PF_FAIL_MEMORY(err, asked->n_problem_hash * sizeof *keys);
    }
    for (size_t i = 0; i < asked->n_problem_hash && !st; i++) {
        keys[i] = first;
        st = pf_wire_digest(&asked->problem_hash[i], "problem_hash", &keys[i].problem, err);
        answer->lookups += !st;
        if (!st)
            st = look_up_one(answer, &keys[i], err);
        if (st || answer->full)
            break;
        answer->lookup.examined++;
    }
    return st ? st : end(answer, err);
}

/* ---- TIMING_EXPORT */

/* A scan lends for one call only, so what is kept of it is copied. */
static pf_status export_one(void *user, const pf_timing_visit *item, pf_err *err)
{
    pf_timing_answer *answer = user;
    pf_timing_key    *key = NULL;
    void             *record = NULL;

    if (item->problem || item->key->mv_size != sizeof *key) {
        answer->damaged += item->problem != PF_STALE;
        return PF_OK;
    }
    if (answer->only_class && memcmp(item->key->mv_data, answer->only_class, sizeof *answer->only_class) != 0)
        return PF_OK;
    if (is_full(answer, item->value->bytes))
        return (pf_status)STOPPED;
    key = pf_arena_copy(answer->texts, item->key->mv_data, sizeof *key);
    record = pf_arena_copy(answer->texts, item->value->data, item->value->bytes);
    if (!key || !record || !add_entry(answer, key, record, item->value->bytes))
        return PF_FAIL_MEMORY(err, item->value->bytes);
    return PF_OK;
}

pf_status pf_timing_answer_export(pf_timing_answer *answer, const Pf__TimingExport *asked, const pf_digest *only_class,
                                  pf_err *err)
{
    pf_status st = begin(answer, true, err);

    answer->only_class = only_class;
    if (!st)
        st = pf_timing_db_scan_after(answer->db, PF_TABLE_RECORDS, asked->after_key.data, asked->after_key.len,
                                     export_one, answer, err);
    if (st && !answer->full)
        return st;
    answer->export.damaged = answer->damaged;
    if (answer->full)
        answer->export.next_key = (ProtobufCBinaryData){ sizeof answer->last_key, (uint8_t *)&answer->last_key };
    return end(answer, err);
}
