#include "cache/timing_export.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"

enum { VERSION = 1, HEADER_BYTES = 28, CHECK_BYTES = 8, MAGIC_BYTES = 8 };
enum kind { CLASS_TEXT = 1, PROBLEM_TEXT, RECORD };

static const char MAGIC[MAGIC_BYTES + 1] = "PFTIMING";

#define EXPORT_LIMIT (UINT64_C(8) << 30)      /* bytes */

/* ---- Writing */

typedef struct writer {
    pf_buf             *out;
    enum kind           kind;
    uint64_t            items;
    pf_timing_transfer *done;
} writer;

static void put_item(writer *to, const MDB_val *key, const void *data, size_t bytes)
{
    size_t    start = to->out->size;
    pf_digest digest;

    pf_buf_put_u8(to->out, (uint8_t)to->kind);
    pf_buf_put(to->out, key->mv_data, key->mv_size);
    pf_buf_put_blob(to->out, data, bytes);
    if (to->out->failed)
        return;
    pf_digest_of(to->out->data + start, to->out->size - start, &digest);
    pf_buf_put(to->out, digest.byte, CHECK_BYTES);
    to->items++;
}

static pf_status write_text(void *user, const pf_timing_visit *item, pf_err *err)
{
    writer *to = user;

    if (item->problem)
        return PF_FAIL(err, item->problem, "a text of the timing cache cannot be exported: %s", item->reason);
    put_item(to, item->key, item->value->data, item->value->bytes);
    *(to->kind == CLASS_TEXT ? &to->done->classes : &to->done->problems) += 1;
    return PF_OK;
}

static pf_status write_record(void *user, const pf_timing_visit *item, pf_err *err)
{
    writer          *to = user;
    pf_timing_record record = {0};
    pf_buf           bytes;
    pf_status        status = item->problem;

    if (status)
        return PF_FAIL(err, status, "a record of the timing cache cannot be exported: %s", item->reason);
    status = pf_timing_record_decode(item->value->data, item->value->bytes, &record, err);
    if (status)
        return status;
    pf_timing_record_drop_contended(&record);
    pf_buf_init(&bytes, PF_TIMING_VALUE_LIMIT);
    if (!record.count)
        goto out;
    if (!pf_timing_record_encode(&record, &bytes)) {
        status = PF_FAIL_MEMORY(err, item->value->bytes);
        goto out;
    }
    put_item(to, item->key, bytes.data, bytes.size);
    to->done->records++;
    to->done->entries += record.count;
out:
    pf_buf_clear(&bytes);
    pf_timing_record_clear(&record);
    return status;
}

/* Records first: texts are never removed, so those of every record seen are there when it is their turn. */
static pf_status write_items(pf_timing_db *db, writer *to, pf_err *err)
{
    static const struct { pf_timing_table table; enum kind kind; pf_timing_visitor *visit; } steps[] = {
        {PF_TABLE_RECORDS, RECORD, write_record},
        {PF_TABLE_CLASSES, CLASS_TEXT, write_text},
        {PF_TABLE_PROBLEMS, PROBLEM_TEXT, write_text},
    };
    pf_status status = PF_OK;

    for (size_t i = 0; i < sizeof steps / sizeof *steps && !status; i++) {
        to->kind = steps[i].kind;
        status = pf_timing_db_scan(db, steps[i].table, steps[i].visit, to, err);
    }
    return status;
}

pf_status pf_timing_export(pf_timing_db *db, pf_buf *out, pf_timing_transfer *done, pf_err *err)
{
    pf_buf    items;
    writer    to = {.out = &items, .done = done};
    size_t    start = out->size;
    pf_digest digest;
    pf_status status = PF_OK;

    *done = (pf_timing_transfer){0};
    pf_buf_init(&items, EXPORT_LIMIT);
    status = write_items(db, &to, err);
    if (status)
        goto out;
    pf_buf_put(out, MAGIC, MAGIC_BYTES);
    pf_buf_put_u32(out, VERSION);
    pf_buf_put_u64(out, to.items);
    pf_buf_put_u64(out, items.size);
    pf_buf_put(out, items.data, items.size);
    if (out->failed || items.failed) {
        status = PF_FAIL(err, PF_NO_SPACE, "the export of a timing cache is larger than %llu bytes or than memory",
                         (unsigned long long)EXPORT_LIMIT);
        goto out;
    }
    pf_digest_of(out->data + start, out->size - start, &digest);
    pf_buf_put(out, digest.byte, sizeof digest);
out:
    pf_buf_clear(&items);
    return status;
}

/* ---- Reading */

typedef struct item {
    enum kind      kind;
    const uint8_t *key;
    const uint8_t *data;
    size_t         bytes;
} item;

static size_t key_bytes(uint8_t kind)
{
    return kind == RECORD ? PF_TIMING_KEY_BYTES : PF_DIGEST_BYTES;
}

bool pf_timing_is_export(const void *data, size_t bytes)
{
    return bytes >= MAGIC_BYTES && memcmp(data, MAGIC, MAGIC_BYTES) == 0;
}

/* Checks header and total digest, and leaves reader at the first item. */
static pf_status open_export(const void *data, size_t bytes, pf_reader *reader, uint64_t *count, pf_err *err)
{
    pf_digest digest;
    uint32_t  version = 0;
    uint64_t  item_bytes = 0;

    if (!pf_timing_is_export(data, bytes))
        return PF_FAIL(err, PF_INVALID, "it is not an export of a timing cache; make one with `planfarm cache export`");
    pf_reader_init(reader, data, bytes < sizeof digest ? 0 : bytes - sizeof digest);
    pf_read_bytes(reader, MAGIC_BYTES);
    version = pf_read_u32(reader);
    *count = pf_read_u64(reader);
    item_bytes = pf_read_u64(reader);
    if (bytes < HEADER_BYTES + sizeof digest)
        return PF_FAIL(err, PF_CORRUPT, "it was cut short at %zu bytes; fetch it again", bytes);
    if (version != VERSION)
        return PF_FAIL(err, PF_STALE, "it is an export of version %u and this planfarm reads version %d; update it",
                       version, VERSION);
    if (item_bytes != bytes - HEADER_BYTES - sizeof digest)
        return PF_FAIL(err, PF_CORRUPT, "it was cut short: %zu bytes where its header says %llu; fetch it again", bytes,
                       (unsigned long long)item_bytes + HEADER_BYTES + sizeof digest);
    pf_digest_of(data, bytes - sizeof digest, &digest);
    if (memcmp((const uint8_t *)data + bytes - sizeof digest, digest.byte, sizeof digest) != 0)
        return PF_FAIL(err, PF_CORRUPT, "its digest does not hold; fetch it again");
    return PF_OK;
}

static pf_status read_item(pf_reader *reader, item *out, pf_err *err)
{
    size_t         start = reader->at;
    uint8_t        kind = pf_read_u8(reader);
    const uint8_t *check = NULL;
    pf_digest      digest;

    out->kind = (enum kind)kind;
    out->key = pf_read_bytes(reader, key_bytes(kind));
    out->data = pf_read_blob(reader, &out->bytes);
    if (reader->failed || kind < CLASS_TEXT || kind > RECORD)
        return PF_FAIL(err, PF_CORRUPT, "its item at byte %zu is malformed", start);
    pf_digest_of(reader->data + start, reader->at - start, &digest);
    check = pf_read_bytes(reader, CHECK_BYTES);
    if (!check || memcmp(check, digest.byte, CHECK_BYTES) != 0)
        return PF_FAIL(err, PF_CORRUPT, "the checksum of its item at byte %zu does not hold", start);
    return PF_OK;
}

/* What an import knows of the texts: digest -> text, in arrays sorted as they come (by key). */
typedef struct text { pf_digest digest; char *text; } text;
typedef struct text_list { text *items; uint32_t count, capacity; } text_list;

typedef struct import {
    text_list           texts[2];       /* classes, problems */
    const item         *records;
    pf_timing_transfer *done;
} import;

static void clear_texts(text_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        pf_free(list->items[i].text);
    pf_free(list->items);
}

static pf_status add_text(text_list *list, const item *from, pf_err *err)
{
    text new = {.text = NULL};

    pf_digest_of(from->data, from->bytes, &new.digest);
    if (memcmp(new.digest.byte, from->key, PF_DIGEST_BYTES) != 0 || from->bytes > PF_TIMING_TEXT_LIMIT
        || memchr(from->data, 0, from->bytes))
        return PF_FAIL(err, PF_CORRUPT, "one of its texts does not have the digest of its key");
    if (list->count && memcmp(list->items[list->count - 1].digest.byte, new.digest.byte, PF_DIGEST_BYTES) >= 0)
        return PF_FAIL(err, PF_CORRUPT, "its texts are out of order");
    new.text = pf_strndup((const char *)from->data, from->bytes);
    if (!new.text || pf_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items)) {
        pf_free(new.text);
        return PF_FAIL_MEMORY(err, from->bytes);
    }
    list->items[list->count++] = new;
    return PF_OK;
}

static const char *find_text(const text_list *list, const uint8_t *digest)
{
    uint32_t low = 0, high = list->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int      order = memcmp(list->items[middle].digest.byte, digest, PF_DIGEST_BYTES);

        if (order == 0)
            return list->items[middle].text;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Reads all texts and counts. */
static pf_status gather(const void *data, size_t bytes, import *in, pf_err *err)
{
    pf_reader reader;
    uint64_t  count = 0;
    item      it = {.key = NULL};
    pf_status status = open_export(data, bytes, &reader, &count, err);

    for (uint64_t i = 0; i < count && !status; i++) {
        status = read_item(&reader, &it, err);
        if (!status && it.kind != RECORD)
            status = add_text(&in->texts[it.kind - CLASS_TEXT], &it, err);
    }
    if (!status && !pf_reader_done(&reader))
        status = PF_FAIL(err, PF_CORRUPT, "it has bytes behind its last item");
    in->done->classes = in->texts[0].count;
    in->done->problems = in->texts[1].count;
    return status;
}

/* Checks one record and, with a batch, merges it. */
static pf_status take_record(const import *in, const item *it, pf_timing_batch *batch, pf_err *err)
{
    const char      *class_text = find_text(&in->texts[0], it->key);
    const char      *problem_text = find_text(&in->texts[1], it->key + PF_DIGEST_BYTES);
    pf_timing_record record = {0};
    pf_status        status = PF_OK;

    if (!class_text || !problem_text)
        return PF_FAIL(err, PF_CORRUPT, "one of its records has no text");
    status = pf_timing_record_decode(it->data, it->bytes, &record, err);
    if (!status) {
        pf_timing_record_drop_contended(&record);
        in->done->records++;
        in->done->entries += record.count;
        if (batch && record.count)
            status = pf_timing_batch_merge(batch, class_text, problem_text, &record, err);
    }
    pf_timing_record_clear(&record);
    return status;
}

static pf_status take_records(const void *data, size_t bytes, const import *in, pf_timing_batch *batch, pf_err *err)
{
    pf_reader reader;
    uint64_t  count = 0;
    item      it = {.key = NULL};
    pf_status status = open_export(data, bytes, &reader, &count, err);

    in->done->records = in->done->entries = 0;
    for (uint64_t i = 0; i < count && !status; i++) {
        status = read_item(&reader, &it, err);
        if (!status && it.kind == RECORD)
            status = take_record(in, &it, batch, err);
    }
    return status;
}

static pf_status import_checked(pf_timing_db *db, const void *data, size_t bytes, const import *in, pf_err *err)
{
    pf_timing_batch *batch = NULL;
    pf_status        status = pf_timing_batch_begin(db, &batch, err);

    if (status)
        return status;
    status = take_records(data, bytes, in, batch, err);
    if (!status)
        return pf_timing_batch_commit(batch, err);
    pf_timing_batch_abort(batch);
    return status;
}

/* db NULL: only the checks. */
static pf_status check_and_import(pf_timing_db *db, const void *data, size_t bytes, pf_timing_transfer *done,
                                  pf_err *err)
{
    import    in = {.done = done};
    pf_status status = PF_OK;

    *done = (pf_timing_transfer){0};
    status = gather(data, bytes, &in, err);
    if (!status)
        status = take_records(data, bytes, &in, NULL, err);
    if (!status && db)
        status = import_checked(db, data, bytes, &in, err);
    clear_texts(&in.texts[0]);
    clear_texts(&in.texts[1]);
    return status;
}

pf_status pf_timing_import(pf_timing_db *db, const void *data, size_t bytes, pf_timing_transfer *done, pf_err *err)
{
    return check_and_import(db, data, bytes, done, err);
}

pf_status pf_timing_export_check(const void *data, size_t bytes, pf_timing_transfer *found, pf_err *err)
{
    return check_and_import(NULL, data, bytes, found, err);
}

/* ---- Files */

pf_status pf_timing_export_file(pf_timing_db *db, const char *path, pf_timing_transfer *done, pf_err *err)
{
    pf_buf    bytes;
    pf_status status = PF_OK;

    pf_buf_init(&bytes, SIZE_MAX);
    status = pf_timing_export(db, &bytes, done, err);
    if (!status)
        status = pf_file_write(path, bytes.data, bytes.size, err);
    pf_buf_clear(&bytes);
    return status;
}

pf_status pf_timing_import_file(pf_timing_db *db, const char *path, pf_timing_transfer *done, pf_err *err)
{
    pf_mapping file = {0};
    pf_status  status = pf_file_map(path, &file, err);

    *done = (pf_timing_transfer){0};
    if (status)
        return status;
    status = pf_timing_import(db, file.data, file.bytes, done, err);
    pf_file_unmap(&file);
    return status ? pf_err_add(err, status, "cannot import %s", path) : PF_OK;
}

static pf_status merge_folder(pf_timing_db *db, const char *folder, pf_timing_transfer *done, pf_err *err)
{
    pf_timing_db_options options = {.read_only = true};
    pf_timing_db        *other = NULL;
    pf_buf               bytes;
    pf_status            status = pf_timing_db_open(folder, &options, &other, err);

    pf_buf_init(&bytes, SIZE_MAX);
    if (!status)
        status = pf_timing_export(other, &bytes, done, err);
    if (!status)
        status = pf_timing_import(db, bytes.data, bytes.size, done, err);
    pf_buf_clear(&bytes);
    pf_timing_db_close(other);
    return status ? pf_err_add(err, status, "cannot merge %s", folder) : PF_OK;
}

pf_status pf_timing_merge_from(pf_timing_db *db, const char *from, pf_timing_transfer *done, pf_err *err)
{
    struct stat info = {0};

    return stat(from, &info) == 0 && S_ISDIR(info.st_mode) ? merge_folder(db, from, done, err)
                                                           : pf_timing_import_file(db, from, done, err);
}
