#include "builder-agent/record.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { LENGTH_BYTES = 4, FILL_BYTES = 64 * 1024 };

static void put_fields(const pf_record *record, pf_buf *out)
{
    pf_buf_put_u8(out, (uint8_t)record->kind);
    pf_buf_put_u8(out, (uint8_t)record->phase);
    pf_buf_put_u32(out, record->permille);
    pf_buf_put_u8(out, (uint8_t)record->failure);
    pf_buf_put_u32(out, record->exit_code);
    pf_buf_put(out, record->plan_digest.byte, PF_DIGEST_BYTES);
    pf_buf_put_u64(out, record->plan_bytes);
    pf_buf_put_string(out, record->text);
    pf_buf_put_string(out, record->json);
}

static pf_status write_all(int fd, const uint8_t *data, size_t bytes, pf_err *err)
{
    while (bytes) {
        ssize_t now = write(fd, data, bytes);
        if (now < 0 && errno == EINTR)
            continue;
        if (now < 0)
            return PF_FAIL(err, PF_IO, "the agent does not listen any more: %s", strerror(errno));
        data += now;
        bytes -= (size_t)now;
    }
    return PF_OK;
}

pf_status pf_record_write(int fd, const pf_record *record, pf_err *err)
{
    pf_buf    fields = { 0 }, whole = { 0 };
    pf_status st = PF_OK;

    pf_buf_init(&fields, PF_RECORD_BYTES);
    pf_buf_init(&whole, PF_RECORD_BYTES + LENGTH_BYTES);
    put_fields(record, &fields);
    pf_buf_put_u32(&whole, (uint32_t)fields.size);
    pf_buf_put(&whole, fields.data, fields.size);
    if (fields.failed || whole.failed)
        st = PF_FAIL_MEMORY(err, PF_RECORD_BYTES);
    else
        st = write_all(fd, whole.data, whole.size, err);
    pf_buf_clear(&fields);
    pf_buf_clear(&whole);
    return st;
}

void pf_record_reader_init(pf_record_reader *reader)
{
    pf_buf_init(&reader->bytes, 4 * FILL_BYTES);
}

void pf_record_reader_clear(pf_record_reader *reader)
{
    pf_buf_clear(&reader->bytes);
}

pf_status pf_record_reader_fill(pf_record_reader *reader, int fd, bool *end, pf_err *err)
{
    uint8_t chunk[FILL_BYTES];
    ssize_t got = -1;

    *end = false;
    do
        got = read(fd, chunk, sizeof chunk);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return PF_OK;
    if (got < 0)
        return PF_FAIL(err, PF_IO, "cannot read from the build's process: %s", strerror(errno));
    *end = got == 0;
    if (!pf_buf_put(&reader->bytes, chunk, (size_t)got))
        return PF_FAIL(err, PF_NO_SPACE, "the build's process tells more than the agent can hold");
    return PF_OK;
}

static void drop_front(pf_buf *buf, size_t bytes)
{
    size_t left = buf->size - bytes;

    memmove(buf->data, buf->data + bytes, left);
    buf->size = left;
}

static bool take_fields(pf_reader *from, pf_record *out)
{
    const uint8_t *digest = NULL;
    uint8_t        kind = pf_read_u8(from), phase = pf_read_u8(from), failure = 0;

    out->permille = pf_read_u32(from);
    failure = pf_read_u8(from);
    out->exit_code = pf_read_u32(from);
    digest = pf_read_bytes(from, PF_DIGEST_BYTES);
    if (digest)
        memcpy(out->plan_digest.byte, digest, PF_DIGEST_BYTES);
    out->plan_bytes = pf_read_u64(from);
    pf_read_string(from, out->text, sizeof out->text);
    pf_read_string(from, out->json, sizeof out->json);
    out->kind = (pf_record_kind)kind;
    out->phase = (Pf__Phase)phase;
    out->failure = (Pf__FailureKind)failure;
    return pf_reader_done(from) && kind >= PF_RECORD_PROGRESS && kind < PF_RECORD_KIND_END &&
           phase <= PF__PHASE__PHASE_UPLOAD && failure <= PF__FAILURE_KIND__FAILURE_CANCELLED &&
           out->permille <= 1000;
}

pf_status pf_record_reader_next(pf_record_reader *reader, pf_record *out, bool *found, pf_err *err)
{
    pf_reader from = { 0 };
    uint32_t  bytes = 0;

    *found = false;
    memset(out, 0, sizeof *out);
    if (reader->bytes.size < LENGTH_BYTES)
        return PF_OK;
    pf_reader_init(&from, reader->bytes.data, reader->bytes.size);
    bytes = pf_read_u32(&from);
    if (bytes > PF_RECORD_BYTES)
        return PF_FAIL(err, PF_CORRUPT, "the build's process wrote something that is no record");
    if (reader->bytes.size - LENGTH_BYTES < bytes)
        return PF_OK;
    pf_reader_init(&from, reader->bytes.data + LENGTH_BYTES, bytes);
    if (!take_fields(&from, out))
        return PF_FAIL(err, PF_CORRUPT, "the build's process wrote a record that does not hold together");
    drop_front(&reader->bytes, LENGTH_BYTES + bytes);
    *found = true;
    return PF_OK;
}
