#include "base/timing_record.h"

#include <string.h>

#include "base/alloc.h"

/* The stored form, little endian:
     u32 magic "PFTR", u16 version, u8 effort, u8 0, u32 entry count, u64 bytes of the entries,
     then each entry: u32 its bytes, strings tactic and tuning, u16 rev, u8 status, u32 sample_count, u64 min_ns,
     median_ns, spread_ns, workspace_bytes, f64 max_rel_error, u8 effort, u8 contended, u32 clock_mhz, u64 wall_ns,
     string reason; then the first 8 bytes of the SHA-256 of all before.
   To change it:
   1. A new field goes to the end of an entry: old readers skip it by the entry's length; the reader takes a missing one
      as zero.
   2. Any other change raises VERSION; readers refuse a newer one as STALE and must go on reading the older ones.
   3. A new timing status is a new number at the end of pf_timing_status; an unknown one is read as FAILED. */
enum {
    MAGIC = 0x52544650, VERSION = 1, HEADER_BYTES = 20, CHECK_BYTES = 8,
    ENTRY_BYTES_LIMIT = 4096, ENTRIES_LIMIT = 1 << 20,
    ENTRY_BYTES_LEAST = 4 + 3 * 4 + 2 + 1 + 4 + 4 * 8 + 8 + 2 + 4 + 8,
};

void pf_timing_record_clear(pf_timing_record *record)
{
    pf_free(record->entries);
    *record = (pf_timing_record){ 0 };
}

static int compare_names(const pf_timing_entry *entry, const char *tactic, const char *tuning)
{
    int order = strcmp(entry->tactic, tactic);

    return order ? order : strcmp(entry->tuning, tuning);
}

/* Index of the first entry that is not before (tactic, tuning). */
static uint32_t place_of(const pf_timing_record *record, const char *tactic, const char *tuning)
{
    uint32_t low = 0, high = record->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (compare_names(&record->entries[middle], tactic, tuning) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const pf_timing_record *record, uint32_t place, const char *tactic, const char *tuning)
{
    return place < record->count && compare_names(&record->entries[place], tactic, tuning) == 0;
}

const pf_timing_entry *pf_timing_record_find(const pf_timing_record *record, const char *tactic, const char *tuning)
{
    uint32_t place = place_of(record, tactic, tuning);

    return is_at(record, place, tactic, tuning) ? &record->entries[place] : NULL;
}

void pf_timing_record_drop_contended(pf_timing_record *record)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < record->count; i++)
        if (!record->entries[i].contended)
            record->entries[kept++] = record->entries[i];
    record->count = kept;
}

/* Total, so that merging in any order gives the same record; the last resort compares whole entries. */
static bool is_better(const pf_timing_entry *a, const pf_timing_entry *b)
{
    if (a->rev != b->rev)
        return a->rev > b->rev;
    if (a->contended != b->contended)
        return a->contended < b->contended;
    if (a->sample_count != b->sample_count)
        return a->sample_count > b->sample_count;
    if (a->spread_ns != b->spread_ns)
        return a->spread_ns < b->spread_ns;
    if (a->wall_ns != b->wall_ns)
        return a->wall_ns > b->wall_ns;
    if (a->median_ns != b->median_ns)
        return a->median_ns < b->median_ns;
    return a->status < b->status;
}

/* The better measurement stays, which may be the one of less effort: then it stands for the greater effort too, or
   builds would time it each time. */
static void replace(pf_timing_entry *known, const pf_timing_entry *entry)
{
    uint8_t effort = entry->rev == known->rev && known->effort > entry->effort ? known->effort : entry->effort;

    if (is_better(entry, known)) {
        *known = *entry;
        known->effort = effort;
    } else if (entry->rev == known->rev) {
        known->effort = effort;
    }
}

pf_status pf_timing_record_put(pf_timing_record *record, const pf_timing_entry *entry, pf_err *err)
{
    uint32_t place = place_of(record, entry->tactic, entry->tuning);

    if (is_at(record, place, entry->tactic, entry->tuning)) {
        replace(&record->entries[place], entry);
        return PF_OK;
    }
    if (record->count >= ENTRIES_LIMIT)
        return PF_FAIL(err, PF_NO_SPACE, "a timing record holds %u entries already, the most allowed", record->count);
    if (pf_grow((void **)&record->entries, &record->capacity, record->count + 1, sizeof *entry))
        return PF_FAIL_MEMORY(err, ((size_t)record->count + 1) * sizeof *entry);
    memmove(&record->entries[place + 1], &record->entries[place], (record->count - place) * sizeof *entry);
    record->entries[place] = *entry;
    record->count++;
    return PF_OK;
}

pf_status pf_timing_record_merge(pf_timing_record *into, const pf_timing_record *from, pf_err *err)
{
    for (uint32_t i = 0; i < from->count; i++) {
        pf_status st = pf_timing_record_put(into, &from->entries[i], err);

        if (st)
            return st;
    }
    if (from->effort > into->effort)
        into->effort = from->effort;
    return PF_OK;
}

static void encode_entry(const pf_timing_entry *entry, pf_buf *out)
{
    pf_buf_put_string(out, entry->tactic);
    pf_buf_put_string(out, entry->tuning);
    pf_buf_put_u16(out, entry->rev);
    pf_buf_put_u8(out, (uint8_t)entry->status);
    pf_buf_put_u32(out, entry->sample_count);
    pf_buf_put_u64(out, (uint64_t)entry->min_ns);
    pf_buf_put_u64(out, (uint64_t)entry->median_ns);
    pf_buf_put_u64(out, (uint64_t)entry->spread_ns);
    pf_buf_put_u64(out, entry->workspace_bytes);
    pf_buf_put_f64(out, entry->max_rel_error);
    pf_buf_put_u8(out, entry->effort);
    pf_buf_put_u8(out, entry->contended);
    pf_buf_put_u32(out, entry->clock_mhz);
    pf_buf_put_u64(out, (uint64_t)entry->wall_ns);
    pf_buf_put_string(out, entry->reason);
}

static bool encode_entries(const pf_timing_record *record, pf_buf *out)
{
    pf_buf one;

    pf_buf_init(&one, ENTRY_BYTES_LIMIT);
    for (uint32_t i = 0; i < record->count && !one.failed; i++) {
        pf_buf_reset(&one);
        encode_entry(&record->entries[i], &one);
        if (!one.failed) {
            pf_buf_put_u32(out, (uint32_t)one.size);
            pf_buf_put(out, one.data, one.size);
        }
    }
    out->failed |= one.failed;
    pf_buf_clear(&one);
    return !out->failed;
}

bool pf_timing_record_encode(const pf_timing_record *record, pf_buf *out)
{
    size_t    start = out->size;
    pf_buf    entries;
    pf_digest digest;

    pf_buf_init(&entries, SIZE_MAX);
    if (!encode_entries(record, &entries))
        out->failed = true;
    pf_buf_put_u32(out, MAGIC);
    pf_buf_put_u16(out, VERSION);
    pf_buf_put_u8(out, record->effort);
    pf_buf_put_u8(out, 0);
    pf_buf_put_u32(out, record->count);
    pf_buf_put_u64(out, entries.size);
    pf_buf_put(out, entries.data, entries.size);
    pf_buf_clear(&entries);
    if (out->failed)
        return false;
    pf_digest_of(out->data + start, out->size - start, &digest);
    return pf_buf_put(out, digest.byte, CHECK_BYTES);
}

static void decode_entry(pf_reader *from, pf_timing_entry *entry)
{
    pf_read_string(from, entry->tactic, sizeof entry->tactic);
    pf_read_string(from, entry->tuning, sizeof entry->tuning);
    entry->rev = pf_read_u16(from);
    entry->status = (pf_timing_status)pf_read_u8(from);
    entry->sample_count = pf_read_u32(from);
    entry->min_ns = (int64_t)pf_read_u64(from);
    entry->median_ns = (int64_t)pf_read_u64(from);
    entry->spread_ns = (int64_t)pf_read_u64(from);
    entry->workspace_bytes = pf_read_u64(from);
    entry->max_rel_error = pf_read_f64(from);
    entry->effort = pf_read_u8(from);
    entry->contended = pf_read_u8(from);
    entry->clock_mhz = pf_read_u32(from);
    entry->wall_ns = (int64_t)pf_read_u64(from);
    pf_read_string(from, entry->reason, sizeof entry->reason);
    if (entry->status >= PF_TIMING_STATUS_COUNT)
        entry->status = PF_TIMING_FAILED;
}

/* Times are durations, and errors are sizes, or -1 and cosines of findings: what no measurement can give is not taken
   in. */
static bool is_plausible(const pf_timing_entry *entry)
{
    return entry->tactic[0] && entry->min_ns >= 0 && entry->median_ns >= 0 && entry->spread_ns >= 0 &&
           entry->max_rel_error >= -1 && entry->contended <= 1;
}

/* Reads one into the free place behind the last. */
static bool read_entry(pf_reader *from, pf_timing_entry *entry)
{
    uint32_t       bytes = pf_read_u32(from);
    const uint8_t *data = pf_read_bytes(from, bytes);
    pf_reader      one;

    memset(entry, 0, sizeof *entry);
    pf_reader_init(&one, data, data ? bytes : 0);
    decode_entry(&one, entry);
    return !one.failed && is_plausible(entry);
}

/* Entries stand in their order, as encode writes them; one that does not is put where it belongs. */
static pf_status decode_entries(pf_reader *from, uint32_t count, pf_timing_record *out, pf_err *err)
{
    if (count > ENTRIES_LIMIT)
        return PF_FAIL(err, PF_NO_SPACE, "a timing record holds %u entries, more than %d", count, ENTRIES_LIMIT);
    if (count && pf_grow((void **)&out->entries, &out->capacity, count, sizeof *out->entries))
        return PF_FAIL_MEMORY(err, count * sizeof *out->entries);
    for (uint32_t i = 0; i < count; i++) {
        pf_timing_entry *entry = &out->entries[out->count];
        if (!read_entry(from, entry))
            return PF_FAIL(err, PF_CORRUPT, "entry %u of a timing record is malformed", i);
        if (out->count == 0 || compare_names(entry - 1, entry->tactic, entry->tuning) < 0) {
            out->count++;
        } else {
            pf_timing_entry late = *entry;
            pf_status       st = pf_timing_record_put(out, &late, err);
            if (st)
                return st;
        }
    }
    if (!pf_reader_done(from))
        return PF_FAIL(err, PF_CORRUPT, "a timing record has bytes behind its last entry");
    return PF_OK;
}

/* Magic, version and lengths. */
pf_status pf_timing_record_head(const void *data, size_t bytes, uint8_t *effort, uint32_t *count, pf_err *err)
{
    pf_reader reader;
    uint32_t  magic = 0;
    uint16_t  version = 0;
    uint64_t  entries_bytes = 0;

    pf_reader_init(&reader, data, bytes);
    magic = pf_read_u32(&reader);
    version = pf_read_u16(&reader);
    *effort = pf_read_u8(&reader);
    pf_read_u8(&reader);
    *count = pf_read_u32(&reader);
    entries_bytes = pf_read_u64(&reader);
    if (bytes < HEADER_BYTES + CHECK_BYTES || magic != MAGIC)
        return PF_FAIL(err, PF_CORRUPT, "%zu bytes are not a timing record", bytes);
    if (version > VERSION)
        return PF_FAIL(err, PF_STALE, "a timing record has version %u, this planfarm reads up to %d; update it",
                       version, VERSION);
    if (entries_bytes != bytes - HEADER_BYTES - CHECK_BYTES || *count > entries_bytes / ENTRY_BYTES_LEAST)
        return PF_FAIL(err, PF_CORRUPT, "a timing record of %zu bytes says that it holds %u entries", bytes, *count);
    return PF_OK;
}

static pf_status check_sum(const void *data, size_t bytes, pf_err *err)
{
    pf_digest digest;

    pf_digest_of(data, bytes - CHECK_BYTES, &digest);
    if (memcmp((const uint8_t *)data + bytes - CHECK_BYTES, digest.byte, CHECK_BYTES) != 0)
        return PF_FAIL(err, PF_CORRUPT, "the checksum of a timing record of %zu bytes does not hold", bytes);
    return PF_OK;
}

static pf_status decode(const void *data, size_t bytes, bool checked, pf_timing_record *out, pf_err *err)
{
    pf_reader reader;
    uint32_t  count = 0;
    uint8_t   effort = 0;
    pf_status st = pf_timing_record_head(data, bytes, &effort, &count, err);

    *out = (pf_timing_record){ .effort = effort };
    if (!st && !checked)
        st = check_sum(data, bytes, err);
    if (!st) {
        pf_reader_init(&reader, data, bytes - CHECK_BYTES);
        pf_read_bytes(&reader, HEADER_BYTES);
        st = decode_entries(&reader, count, out, err);
    }
    if (st)
        pf_timing_record_clear(out);
    return st;
}

pf_status pf_timing_record_decode(const void *data, size_t bytes, pf_timing_record *out, pf_err *err)
{
    return decode(data, bytes, false, out, err);
}

pf_status pf_timing_record_decode_checked(const void *data, size_t bytes, pf_timing_record *out, pf_err *err)
{
    return decode(data, bytes, true, out, err);
}
