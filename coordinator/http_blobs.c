/* Blobs, out and in. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "coordinator/http_private.h"

/* ---- blobs */

/* "bytes=10-19", "bytes=10-", "bytes=-5"; other forms, and several ranges, are answered with the whole. */
static bool parse_range(const char *text, uint64_t size, uint64_t *first, uint64_t *last, bool *unsatisfiable)
{
    const char *at = NULL;
    char       *end = NULL;
    uint64_t    number = 0;

    *unsatisfiable = false;
    if (!text || strncmp(text, "bytes=", 6) != 0 || strchr(text, ','))
        return false;
    at = text + 6;
    errno = 0;
    number = strtoull(at + (*at == '-'), &end, 10);
    if (errno || end == at + (*at == '-'))
        return false;
    if (*at == '-') {
        *first = number < size ? size - number : 0;
        *last = size - 1;
        *unsatisfiable = size == 0 || number == 0;
        return *end == 0;
    }
    if (*end != '-')
        return false;
    *first = number;
    *last = size - 1;
    if (end[1]) {
        number = strtoull(end + 1, &end, 10);
        if (errno || *end || number < *first)
            return false;
        *last = number < *last ? number : *last;
    }
    *unsatisfiable = *first >= size;
    return true;
}

static struct MHD_Response *blob_response(int fd, uint64_t first, uint64_t bytes)
{
    if (bytes > 0)
        return MHD_create_response_from_fd_at_offset64(bytes, fd, first);
    close(fd);
    return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
}

/* With the size, as RFC 9110 15.5.17 wants it: who went on where nothing is learns where the end is. */
static enum MHD_Result answer_unsatisfiable(struct MHD_Connection *connection, uint64_t size)
{
    char           range[32] = "";
    pf_http_header header = { "Content-Range", range };

    snprintf(range, sizeof range, "bytes */%" PRIu64, size);
    return pf_http_fail(connection, 416, PF_INVALID, "the range lies behind the end of the object", &header);
}

/* The part asked for; NULL when what the asker has so far is of another blob (If-Range), and the whole is due. */
static const char *range_of(struct MHD_Connection *connection, const char *etag)
{
    const char *begun = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-Range");

    return begun && strcmp(begun, etag) != 0 ? NULL
                                             : MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Range");
}

/* Takes fd. */
static enum MHD_Result send_blob(struct MHD_Connection *connection, int fd, uint64_t size, const char *etag)
{
    const char          *range = range_of(connection, etag);
    uint64_t             first = 0, last = size - 1;
    bool                 unsatisfiable = false;
    bool                 partial = parse_range(range, size, &first, &last, &unsatisfiable);
    struct MHD_Response *response = NULL;
    enum MHD_Result      result = MHD_NO;
    char                 text[96] = "";

    if (partial && unsatisfiable) {
        close(fd);
        return answer_unsatisfiable(connection, size);
    }
    response = blob_response(fd, partial ? first : 0, partial ? last - first + 1 : size);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "application/octet-stream");
    MHD_add_response_header(response, "Accept-Ranges", "bytes");
    MHD_add_response_header(response, "ETag", etag);
    MHD_add_response_header(response, "Cache-Control", "public, max-age=31536000, immutable");
    if (partial) {
        snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first, last, size);
        MHD_add_response_header(response, "Content-Range", text);
    }
    result = MHD_queue_response(connection, partial ? 206 : 200, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_unchanged(struct MHD_Connection *connection, const char *etag)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result      result = MHD_NO;

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "ETag", etag);
    result = MHD_queue_response(connection, 304, response);
    MHD_destroy_response(response);
    return result;
}

/* One at a time, since a thread that reads a large blob serves nobody else. */
static pf_status check_blob(pf_http *http, const pf_digest *digest, pf_err *err)
{
    pf_status st = PF_OK;

    if (atomic_exchange(&http->checking, true))
        return PF_FAIL(err, PF_BUSY, "another blob is being checked; ask again");
    st = pf_store_check(http->options.store, digest, err);
    http->checking = false;
    if (st != PF_CORRUPT)
        return st;
    pf_log(PF_LOG_ERROR, "http", "blob_damaged removed=1 reason=\"%s\"", err->msg);
    return PF_NOT_FOUND;
}

enum MHD_Result pf_http_get_blob(pf_http *http, struct MHD_Connection *connection, const char *hex)
{
    const char *known = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-None-Match");
    char        etag[PF_DIGEST_HEX_BYTES + 2] = "";       /* in quotes */
    pf_digest   digest = { 0 };
    uint64_t    bytes = 0;
    int         fd = -1;
    pf_err      err = { 0 };
    pf_status   st = PF_OK;

    if (!pf_digest_from_hex(hex, &digest))
        return pf_http_fail(connection, 400, PF_INVALID, "a blob is named by 64 lower-case hex digits", NULL);
    if (MHD_lookup_connection_value_n(connection, MHD_GET_ARGUMENT_KIND, "check", 5, NULL, NULL) == MHD_YES)
        st = check_blob(http, &digest, &err);
    if (!st)
        st = pf_store_open_blob(http->options.store, &digest, false, &fd, &bytes, &err);
    if (st == PF_NOT_FOUND)
        return pf_http_fail(connection, 404, st, "no such blob is stored here", NULL);
    if (st)
        return pf_http_answer_failure(connection, st, &err);
    pf_store_touch(http->options.store, &digest);
    pf_digest_to_hex(&digest, etag + 1);        /* in one case, whatever it was asked for in */
    etag[0] = etag[sizeof etag - 2] = '"';
    if (known && (strstr(known, etag) || strcmp(known, "*") == 0)) {
        close(fd);
        return answer_unchanged(connection, etag);
    }
    return send_blob(connection, fd, bytes, etag);
}

/* ---- uploads */

/* Without a writer on PF_OK: the blob is here. */
pf_status pf_http_upload_begin(pf_http *http, struct MHD_Connection *connection, const char *hex, pf_http_request *up)
{
    uint64_t there_bytes = 0;

    if (!pf_digest_from_hex(hex, &up->digest))
        return PF_FAIL(&up->err, PF_INVALID, "a blob is named by 64 lower-case hex digits");
    if (pf_http_announced_bytes(connection) > http->options.blob_limit_bytes)
        return PF_FAIL(&up->err, PF_NO_SPACE, "the object is larger than %" PRIu64 " bytes, which is the limit here",
                       http->options.blob_limit_bytes);
    if (pf_store_has(http->options.store, &up->digest, &there_bytes) &&
        there_bytes == pf_http_announced_bytes(connection)) {
        pf_store_touch(http->options.store, &up->digest);
        return PF_OK;
    }
    return pf_store_writer_open(http->options.store, &up->digest, http->options.blob_limit_bytes, &up->writer,
                                &up->err);
}

void pf_http_upload_add(pf_http_request *up, const char *data, size_t bytes)
{
    if (up->status)
        return;
    up->status = pf_store_writer_add(up->writer, data, bytes, &up->err);
    if (up->status) {
        pf_store_writer_abort(up->writer);
        up->writer = NULL;
    }
}

enum MHD_Result pf_http_upload_end(pf_http *http, struct MHD_Connection *connection, pf_http_request *up)
{
    bool was_there = false;

    if (!up->status) {
        up->status = pf_store_writer_commit(up->writer, NULL, &was_there, &up->err);
        up->writer = NULL;
    }
    if (!up->status)
        return pf_http_answer_text(connection, was_there ? 200 : 201, was_there ? "it was here" : "stored");
    if (up->status == PF_NO_SPACE && pf_http_announced_bytes(connection) > http->options.blob_limit_bytes)
        return pf_http_fail(connection, 413, up->status, up->err.msg, NULL);
    return pf_http_answer_failure(connection, up->status, &up->err);
}
