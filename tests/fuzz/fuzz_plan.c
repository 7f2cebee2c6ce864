/* Plans: any bytes are opened and described, or refused in a sentence.  Checksums would stop a fuzzer at the door, so
   they are made right again before a second try. */
#include <string.h>

#include "base/alloc.h"
#include "engine/plan_sections.h"
#include "tests/fuzz/fuzz.h"

static void check(const uint8_t *data, size_t bytes)
{
    pf_plan  *plan = NULL;
    pf_err    err = { 0 };
    pf_buf    json = { 0 };
    pf_status status = pf_plan_open(data, bytes, &plan, &err);

    FUZZ_CHECK(!status || strlen(err.msg) > 10, "%s without a reason", pf_status_name(status));
    FUZZ_CHECK(!status || status == PF_CORRUPT || status == PF_STALE || status == PF_NO_SPACE, "%s: %s",
               pf_status_name(status), err.msg);
    if (status)
        return;
    pf_buf_init(&json, 1 << 26);
    pf_plan_describe(plan, &json, &err);
    pf_plan_verify(plan, &err);
    pf_buf_clear(&json);
    pf_plan_free(plan);
}

static void put(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *from)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static void mend(uint8_t *data, size_t bytes)
{
    pf_digest digest = { { 0 } };
    uint8_t  *end = data + bytes - PF_PLAN_END_BYTES, *footer = end + PF_PLAN_TABLE_BYTES;

    memcpy(data, PF_PLAN_MAGIC, 8);
    put(data + 8, PF_PLAN_VERSION, 4);
    put(footer, PF_SECTION_COUNT, 4);
    put(footer + 8, bytes, 8);
    memcpy(footer + PF_PLAN_MAGIC_AT, PF_PLAN_MAGIC, 8);
    for (int s = 0; s < PF_SECTION_COUNT; s++) {
        uint8_t *row = end + s * PF_PLAN_ROW_BYTES;
        uint64_t offset = get(row + 8), length = get(row + 16);

        put(row, (uint64_t)s, 8);
        if (offset > bytes || length > bytes - offset)
            continue;
        if (s == PF_SECTION_WEIGHTS)
            pf_digest_of(data, offset + length, &digest);
        else
            pf_digest_of(data + offset, length, &digest);
        memcpy(row + 24, digest.byte, sizeof digest.byte);
    }
    pf_digest_of(end, PF_PLAN_TABLE_BYTES, &digest);
    memcpy(footer + PF_PLAN_DIGEST_AT, digest.byte, sizeof digest.byte);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint8_t *mended = NULL;

    check(data, bytes);
    if (bytes < PF_PLAN_HEADER_BYTES + PF_PLAN_END_BYTES)
        return 0;
    mended = pf_alloc_aligned(PF_PLAN_ALIGNMENT, bytes);
    FUZZ_CHECK(mended, "out of memory");
    memcpy(mended, data, bytes);
    mend(mended, bytes);
    check(mended, bytes);
    pf_free(mended);
    return 0;
}
