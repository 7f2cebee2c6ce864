/* Blobs coming in. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "proto/transfer/transfer_private.h"

enum { CHUNK_BYTES = 256 * 1024 };

/* A blob on its way to disk: the first `at` bytes of the file have gone through hash. */
typedef struct download {
    int       fd;
    pf_hash   hash;
    uint64_t  at, limit_bytes;
    uint64_t  resumed_at;           /* bytes that an earlier process left here */
    char      partial[PATH_MAX];
} download;

static bool stop(pf_transfer_request *request, pf_status st)
{
    request->failure = st;
    return false;
}

static bool start_over(pf_transfer_request *request)
{
    download *d = request->user;

    if (ftruncate(d->fd, 0) != 0 || lseek(d->fd, 0, SEEK_SET) != 0)
        return stop(request, PF_FAIL_ERRNO(&request->failure_err, "empty", d->partial));
    pf_hash_init(&d->hash);
    d->at = 0;
    d->resumed_at = 0;
    request->progress_base = 0;
    return true;
}

/* A server that does not know ranges sends everything again. */
static bool begin(pf_transfer_request *request)
{
    download *d = request->user;

    if (request->from_byte && request->code != 206)
        return start_over(request);
    request->progress_base = d->at;
    return true;
}

static bool add(pf_transfer_request *request, const void *data, size_t bytes)
{
    download      *d = request->user;
    const uint8_t *from = data;

    if (bytes > d->limit_bytes - d->at)
        return stop(request, PF_FAIL(&request->failure_err, PF_NO_SPACE, "%s is larger than the allowed %" PRIu64
                                     " bytes", request->path, d->limit_bytes));
    for (size_t written = 0; written < bytes;) {
        ssize_t now = write(d->fd, from + written, bytes - written);
        if (now < 0 && errno == EINTR)
            continue;
        if (now < 0)
            return stop(request, PF_FAIL_ERRNO(&request->failure_err, "write", d->partial));
        written += (size_t)now;
    }
    pf_hash_add(&d->hash, data, bytes);
    d->at += bytes;
    return true;
}

static bool go_on(pf_transfer_request *request)
{
    const download *d = request->user;

    request->from_byte = d->at;
    return true;
}

/* Hashes what an earlier process left. */
static pf_status resume(download *d, pf_err *err)
{
    uint8_t  *chunk = pf_alloc(CHUNK_BYTES);
    pf_status st = chunk ? PF_OK : PF_FAIL_MEMORY(err, CHUNK_BYTES);

    while (!st) {
        ssize_t got = read(d->fd, chunk, CHUNK_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            st = PF_FAIL_ERRNO(err, "read", d->partial);
        if (got <= 0)
            break;
        pf_hash_add(&d->hash, chunk, (size_t)got);
        d->at += (uint64_t)got;
    }
    d->resumed_at = d->at;
    pf_free(chunk);
    return st;
}

static pf_status open_partial(download *d, const pf_digest *digest, const char *path, pf_err *err)
{
    char hex[PF_DIGEST_HEX_BYTES];

    pf_digest_to_hex(digest, hex);
    if (snprintf(d->partial, sizeof d->partial, "%s.%.16s.partial", path, hex) >= (int)sizeof d->partial)
        return PF_FAIL(err, PF_INVALID, "the path %.200s... is too long", path);
    d->fd = open(d->partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (d->fd < 0)
        return PF_FAIL_ERRNO(err, "write", d->partial);
    pf_hash_init(&d->hash);
    return resume(d, err);
}

static bool is_whole(const download *d, const pf_digest *digest)
{
    pf_hash   hash = d->hash;
    pf_digest found = { 0 };

    pf_hash_end(&hash, &found);
    return pf_digest_equal(&found, digest);
}

static pf_status publish(const download *d, const char *path, pf_err *err)
{
    if (fsync(d->fd) != 0)
        return PF_FAIL_ERRNO(err, "write", d->partial);
    if (rename(d->partial, path) != 0)
        return PF_FAIL_ERRNO(err, "write", path);
    return PF_OK;
}

/* Fetches what is missing.  What an earlier process left may be damaged or too long: then it is thrown away once. */
static pf_status fetch(pf_transfer *transfer, download *d, const pf_digest *digest, pf_err *err)
{
    pf_transfer_request request = { .begin = begin, .add = add, .user = d };
    bool                had_some = d->at > 0;
    pf_err              why = { 0 };
    pf_status           st = PF_OK;

    pf_transfer_blob_path(digest, request.path);
    if (had_some && is_whole(d, digest))
        return PF_OK;
    request.from_byte = d->at;
    st = pf_transfer_perform(transfer, &request, go_on, &why);
    if (had_some && d->resumed_at && (st == PF_INVALID || st == PF_NO_SPACE || (!st && !is_whole(d, digest)))) {
        pf_err_clear(&why);
        if (!start_over(&request))
            return PF_FAIL(err, request.failure, "%s", request.failure_err.msg);
        request.from_byte = 0;
        st = pf_transfer_perform(transfer, &request, go_on, &why);
    }
    if (st)
        return PF_FAIL(err, st, "%s", why.msg);
    if (is_whole(d, digest))
        return PF_OK;
    return PF_FAIL(err, PF_CORRUPT, "the bytes that the farm at %s gave for %s have another digest; its store is damaged "
                   "or something between changed them", transfer->url, request.path);
}

pf_status pf_transfer_get_blob(pf_transfer *transfer, const pf_digest *digest, uint64_t limit_bytes, const char *path,
                               pf_err *err)
{
    download  d = { .fd = -1, .limit_bytes = limit_bytes };
    pf_status st = open_partial(&d, digest, path, err);

    if (!st)
        st = fetch(transfer, &d, digest, err);
    if (!st)
        st = publish(&d, path, err);
    if (d.fd >= 0) {
        close(d.fd);
        if (st && (!transfer->keep_partial || d.at == 0 || st == PF_CORRUPT || st == PF_NO_SPACE))
            unlink(d.partial);
    }
    return st;
}
