#include "cache/timing_db_value.h"

#include <string.h>

#include "base/clock.h"

enum { VERSION = 1, HEADER_BYTES = 20, CHECK_BYTES = 8 };

static void checksum(pf_timing_table table, const MDB_val *key, const void *data, size_t bytes, pf_digest *out)
{
    pf_hash hash;
    uint8_t number = (uint8_t)table;

    pf_hash_init(&hash);
    pf_hash_add(&hash, &number, 1);
    pf_hash_add(&hash, key->mv_data, key->mv_size);
    pf_hash_add(&hash, data, bytes);
    pf_hash_end(&hash, out);
}

void pf_timing_value_seal(pf_timing_table table, const MDB_val *key, const void *data, size_t bytes, pf_buf *out)
{
    pf_digest digest;

    pf_buf_put_u32(out, VERSION);
    pf_buf_put_u64(out, (uint64_t)pf_clock_wall_ns());
    pf_buf_put_blob(out, data, bytes);
    if (out->failed)
        return;
    checksum(table, key, out->data, out->size, &digest);
    pf_buf_put(out, digest.byte, CHECK_BYTES);
}

pf_status pf_timing_value_open(pf_timing_table table, const MDB_val *key, const MDB_val *stored, pf_timing_value *out,
                               pf_err *err)
{
    pf_reader reader;
    pf_digest digest;
    uint32_t  version = 0;
    size_t    body = stored->mv_size < HEADER_BYTES + CHECK_BYTES ? 0 : stored->mv_size - CHECK_BYTES;

    *out = (pf_timing_value){0};
    if (!body)
        return PF_FAIL(err, PF_CORRUPT, "a stored value of %zu bytes is too short", stored->mv_size);
    pf_reader_init(&reader, stored->mv_data, body);
    checksum(table, key, stored->mv_data, body, &digest);
    if (memcmp((const uint8_t *)stored->mv_data + body, digest.byte, CHECK_BYTES) != 0)
        return PF_FAIL(err, PF_CORRUPT, "the checksum of a stored value of %zu bytes does not hold", stored->mv_size);
    version = pf_read_u32(&reader);
    if (version != VERSION)
        return PF_FAIL(err, PF_STALE, "a stored value has version %u, this planfarm reads %d; update it", version,
                       VERSION);
    out->wall_ns = (int64_t)pf_read_u64(&reader);
    out->data = pf_read_blob(&reader, &out->bytes);
    if (!pf_reader_done(&reader))
        return PF_FAIL(err, PF_CORRUPT, "a stored value of %zu bytes is malformed", stored->mv_size);
    return PF_OK;
}

static pf_status check_text(const MDB_val *key, const pf_timing_value *value, pf_err *err)
{
    pf_digest digest;

    pf_digest_of(value->data, value->bytes, &digest);
    if (key->mv_size == PF_DIGEST_BYTES && memcmp(key->mv_data, digest.byte, PF_DIGEST_BYTES) == 0)
        return PF_OK;
    return PF_FAIL(err, PF_CORRUPT, "a stored text does not have the digest of its key");
}

static pf_status check_record(const MDB_val *key, const pf_timing_value *value, pf_err *err)
{
    pf_timing_record record = {0};
    pf_status        status = PF_OK;

    if (key->mv_size != PF_TIMING_KEY_BYTES)
        return PF_FAIL(err, PF_CORRUPT, "a timing record lies under a key of %zu bytes", key->mv_size);
    status = pf_timing_record_decode(value->data, value->bytes, &record, err);
    pf_timing_record_clear(&record);
    return status;
}

pf_status pf_timing_value_check(pf_timing_table table, const MDB_val *key, const MDB_val *stored, pf_err *err)
{
    pf_timing_value value = {0};
    pf_status       status = pf_timing_value_open(table, key, stored, &value, err);

    if (status)
        return status;
    if (table == PF_TABLE_RECORDS)
        return check_record(key, &value, err);
    if (table == PF_TABLE_CLASSES || table == PF_TABLE_PROBLEMS)
        return check_text(key, &value, err);
    return PF_OK;
}
