/* Exported timings: any bytes are taken in whole or refused in a sentence.  Checksums would stop a fuzzer at the door,
   so they are made right again before a second try. */
#include <string.h>

#include "base/alloc.h"
#include "cache/timing_export.h"
#include "tests/fuzz/fuzz.h"

enum { HEADER_BYTES = 28, CHECK_BYTES = 8, RECORD_KIND = 3 };

static void check(const uint8_t *data, size_t bytes)
{
    pf_timing_transfer found = {0};
    pf_err             err = {0};
    pf_status          status = pf_timing_export_check(data, bytes, &found, &err);

    FUZZ_CHECK(!status || strlen(err.msg) > 10, "%s without a reason", pf_status_name(status));
    FUZZ_CHECK(!status || status == PF_INVALID || status == PF_CORRUPT || status == PF_STALE || status == PF_NO_SPACE,
               "%s: %s", pf_status_name(status), err.msg);
}

/* A record's own checksum, at its end. */
static void mend_record(uint8_t *data, uint64_t bytes)
{
    pf_digest digest;

    if (bytes < CHECK_BYTES)
        return;
    pf_digest_of(data, bytes - CHECK_BYTES, &digest);
    memcpy(data + bytes - CHECK_BYTES, digest.byte, CHECK_BYTES);
}

/* Answers where the next item begins; 0 when this one does not fit. */
static size_t mend_item(uint8_t *data, size_t at, size_t end)
{
    size_t    key = data[at] == RECORD_KIND ? 2 * PF_DIGEST_BYTES : PF_DIGEST_BYTES;
    uint64_t  length = 0;
    size_t    body = at + 1 + key + sizeof length;
    pf_digest digest;

    if (body + CHECK_BYTES > end)
        return 0;
    memcpy(&length, data + at + 1 + key, sizeof length);
    if (length > end - body - CHECK_BYTES)
        return 0;
    if (data[at] == RECORD_KIND)
        mend_record(data + body, length);
    else {
        pf_digest_of(data + body, length, &digest);
        memcpy(data + at + 1, digest.byte, PF_DIGEST_BYTES);
    }
    pf_digest_of(data + at, body + length - at, &digest);
    memcpy(data + body + length, digest.byte, CHECK_BYTES);
    return body + length + CHECK_BYTES;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint8_t  *mended = NULL;
    uint64_t  item_bytes = 0;
    pf_digest digest;

    check(data, bytes);
    if (bytes < HEADER_BYTES + sizeof digest)
        return 0;
    mended = malloc(bytes);
    FUZZ_CHECK(mended, "out of memory");
    memcpy(mended, data, bytes);
    memcpy(mended, "PFTIMING\1\0\0", 12);
    item_bytes = bytes - HEADER_BYTES - sizeof digest;
    memcpy(mended + 20, &item_bytes, sizeof item_bytes);
    for (size_t at = HEADER_BYTES; at && at < bytes - sizeof digest;)
        at = mend_item(mended, at, bytes - sizeof digest);
    pf_digest_of(mended, bytes - sizeof digest, &digest);
    memcpy(mended + bytes - sizeof digest, digest.byte, sizeof digest);
    check(mended, bytes);
    free(mended);
    return 0;
}
