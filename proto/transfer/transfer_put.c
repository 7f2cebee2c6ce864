/* Blobs going out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/transfer/transfer_private.h"

typedef struct upload {
    int         fd;                 /* -1: bytes at hand */
    const char *path;
    const uint8_t *data;
    uint64_t    at, bytes;
} upload;

static bool read_file(pf_transfer_request *request, void *out, size_t *bytes)
{
    upload *u = request->user;
    ssize_t got = -1;

    do
        got = read(u->fd, out, *bytes);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        request->failure = PF_FAIL_ERRNO(&request->failure_err, "read", u->path);
        return false;
    }
    *bytes = (size_t)got;
    return true;
}

static bool read_data(pf_transfer_request *request, void *out, size_t *bytes)
{
    upload *u = request->user;

    if (*bytes > u->bytes - u->at)
        *bytes = (size_t)(u->bytes - u->at);
    memcpy(out, u->data + u->at, *bytes);
    u->at += *bytes;
    return true;
}

static bool rewind_upload(pf_transfer_request *request)
{
    upload *u = request->user;

    u->at = 0;
    if (u->fd < 0 || lseek(u->fd, 0, SEEK_SET) == 0)
        return true;
    request->failure = PF_FAIL_ERRNO(&request->failure_err, "read", u->path);
    return false;
}

/* A HEAD first: what is there need not travel, but for what was shortened by a failing disk. */
static pf_status put(pf_transfer *transfer, const pf_digest *digest, pf_transfer_request *request, pf_err *err)
{
    pf_transfer_request head = { .head = true };

    pf_transfer_blob_path(digest, request->path);
    pf_transfer_blob_path(digest, head.path);
    if (pf_transfer_once(transfer, &head, NULL) == PF_OK &&
        (head.content_bytes < 0 || (uint64_t)head.content_bytes == request->read_bytes))
        return PF_OK;
    return pf_transfer_perform(transfer, request, rewind_upload, err);
}

pf_status pf_transfer_put_bytes(pf_transfer *transfer, const pf_digest *digest, const void *data, size_t bytes,
                                pf_err *err)
{
    upload              u = { .fd = -1, .data = data, .bytes = bytes };
    pf_transfer_request request = { .read = read_data, .rewind = rewind_upload, .read_bytes = bytes, .user = &u };

    return put(transfer, digest, &request, err);
}

pf_status pf_transfer_put_blob(pf_transfer *transfer, const pf_digest *digest, const char *path, pf_err *err)
{
    upload              u = { .fd = -1, .path = path };
    pf_transfer_request request = { .read = read_file, .rewind = rewind_upload, .user = &u };
    struct stat         info = { 0 };
    pf_status           st = PF_OK;

    u.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (u.fd < 0)
        return PF_FAIL_ERRNO(err, "open", path);
    if (fstat(u.fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        st = PF_FAIL(err, PF_INVALID, "%s is not a regular file", path);
    } else {
        request.read_bytes = (uint64_t)info.st_size;
        st = put(transfer, digest, &request, err);
    }
    close(u.fd);
    return st;
}
