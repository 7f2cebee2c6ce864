#include "proto/transfer/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

enum { CHUNK_BYTES = 256 * 1024 };

/* Hashes what an earlier process left. */
static pf_status resume(pf_partial *partial, pf_err *err)
{
    uint8_t  *chunk = pf_alloc(CHUNK_BYTES);
    pf_status st = chunk ? PF_OK : PF_FAIL_MEMORY(err, CHUNK_BYTES);

    while (!st) {
        ssize_t got = read(partial->fd, chunk, CHUNK_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            st = PF_FAIL_ERRNO(err, "read", partial->path);
        if (got <= 0)
            break;
        pf_hash_add(&partial->hash, chunk, (size_t)got);
        partial->at += (uint64_t)got;
    }
    partial->resumed_at = partial->at;
    pf_free(chunk);
    return st;
}

pf_status pf_partial_open(const char *path, uint64_t limit_bytes, pf_partial *out, pf_err *err)
{
    memset(out, 0, sizeof *out);
    out->fd = -1;
    out->limit_bytes = limit_bytes;
    if (snprintf(out->path, sizeof out->path, "%s", path) >= (int)sizeof out->path)
        return PF_FAIL(err, PF_INVALID, "the path %.200s... is too long", path);
    out->fd = open(out->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (out->fd < 0)
        return PF_FAIL_ERRNO(err, "write", out->path);
    pf_hash_init(&out->hash);
    return resume(out, err);
}

pf_status pf_partial_start_over(pf_partial *partial, pf_err *err)
{
    if (ftruncate(partial->fd, 0) != 0 || lseek(partial->fd, 0, SEEK_SET) != 0)
        return PF_FAIL_ERRNO(err, "empty", partial->path);
    pf_hash_init(&partial->hash);
    partial->at = 0;
    partial->resumed_at = 0;
    return PF_OK;
}

pf_status pf_partial_add(pf_partial *partial, const void *data, size_t bytes, const char *what, pf_err *err)
{
    const uint8_t *from = data;

    if (partial->at > partial->limit_bytes || bytes > partial->limit_bytes - partial->at)
        return PF_FAIL(err, PF_NO_SPACE, "%s is larger than the allowed %" PRIu64 " bytes", what, partial->limit_bytes);
    for (size_t written = 0; written < bytes;) {
        ssize_t now = write(partial->fd, from + written, bytes - written);
        if (now < 0 && errno == EINTR)
            continue;
        if (now < 0)
            return PF_FAIL_ERRNO(err, "write", partial->path);
        written += (size_t)now;
    }
    pf_hash_add(&partial->hash, data, bytes);
    partial->at += bytes;
    return PF_OK;
}

void pf_partial_digest(const pf_partial *partial, pf_digest *out)
{
    pf_hash hash = partial->hash;

    pf_hash_end(&hash, out);
}

pf_status pf_partial_publish(const pf_partial *partial, const char *path, pf_err *err)
{
    if (fsync(partial->fd) != 0)
        return PF_FAIL_ERRNO(err, "write", partial->path);
    if (rename(partial->path, path) != 0)
        return PF_FAIL_ERRNO(err, "write", path);
    return PF_OK;
}

void pf_partial_close(pf_partial *partial, bool keep)
{
    if (partial->fd < 0)
        return;
    close(partial->fd);
    partial->fd = -1;
    if (!keep)
        unlink(partial->path);
}
