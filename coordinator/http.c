#include "coordinator/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "coordinator/rows.h"
#include "proto/manifest.h"
#include "proto/message.h"

enum { THREADS = 4, CONNECTIONS_MAX = 512, IDLE_SECONDS = 60, CONNECTION_BYTES = 64 << 10 };

struct pf_http {
    pf_http_options    options;
    struct MHD_Daemon *daemon;
};

/* One request while it is read. */
typedef struct upload {
    pf_store_writer *writer;            /* NULL for requests without a body, and after a failure */
    pf_digest        digest;
    pf_status        status;
    pf_err           err;
} upload;

/* ---- answers */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, const char *type, const void *data, size_t bytes)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(bytes, (void *)data, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result      result = MHD_NO;

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned code, const char *text)
{
    char line[PF_ERR_MSG_BYTES + 2] = "";

    snprintf(line, sizeof line, "%s\n", text);
    return answer(connection, code, "text/plain; charset=utf-8", line, strlen(line));
}

static unsigned code_of(pf_status status)
{
    static const struct { pf_status status; unsigned code; } codes[] = {
        { PF_OK, 200 },       { PF_INVALID, 400 },  { PF_NOT_FOUND, 404 },   { PF_MISMATCH, 422 }, { PF_NO_SPACE, 507 },
        { PF_CORRUPT, 500 },  { PF_BUSY, 503 },     { PF_DENIED, 403 },
    };

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].status == status)
            return codes[i].code;
    return 500;
}

static enum MHD_Result answer_failure(struct MHD_Connection *connection, pf_status status, const pf_err *err)
{
    return answer_text(connection, code_of(status), err->msg);
}

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

/* Takes fd. */
static enum MHD_Result send_blob(struct MHD_Connection *connection, int fd, uint64_t size, const char *etag)
{
    const char          *range = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Range");
    uint64_t             first = 0, last = size - 1;
    bool                 unsatisfiable = false;
    bool                 partial = parse_range(range, size, &first, &last, &unsatisfiable);
    struct MHD_Response *response = NULL;
    enum MHD_Result      result = MHD_NO;
    char                 text[96] = "";

    if (partial && unsatisfiable) {
        close(fd);
        return answer_text(connection, 416, "the range lies behind the end of the object");
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

static enum MHD_Result get_blob(pf_http *http, struct MHD_Connection *connection, const char *hex)
{
    const char *known = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-None-Match");
    char        etag[PF_DIGEST_HEX_BYTES + 2] = "";
    pf_digest   digest = { 0 };
    uint64_t    bytes = 0;
    int         fd = -1;
    pf_err      err = { 0 };
    pf_status   st = PF_OK;

    if (!pf_digest_from_hex(hex, &digest))
        return answer_text(connection, 400, "a blob is named by 64 lower-case hex digits");
    st = pf_store_open_blob(http->options.store, &digest, false, &fd, &bytes, &err);
    if (st == PF_NOT_FOUND)
        return answer_text(connection, 404, "no such blob is stored here");
    if (st)
        return answer_failure(connection, st, &err);
    pf_store_touch(http->options.store, &digest);
    snprintf(etag, sizeof etag, "\"%s\"", hex);
    if (known && strstr(known, etag)) {
        close(fd);
        return answer_unchanged(connection, etag);
    }
    return send_blob(connection, fd, bytes, etag);
}

/* ---- uploads */

static uint64_t announced_bytes(struct MHD_Connection *connection)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");

    return text ? strtoull(text, NULL, 10) : 0;
}

/* Without a writer on PF_OK: the blob is here. */
static pf_status begin_upload(pf_http *http, struct MHD_Connection *connection, const char *hex, upload *up)
{
    uint64_t there_bytes = 0;

    if (!pf_digest_from_hex(hex, &up->digest))
        return PF_FAIL(&up->err, PF_INVALID, "a blob is named by 64 lower-case hex digits");
    if (announced_bytes(connection) > http->options.blob_limit_bytes)
        return PF_FAIL(&up->err, PF_NO_SPACE, "the object is larger than %" PRIu64 " bytes, which is the limit here",
                       http->options.blob_limit_bytes);
    if (pf_store_has(http->options.store, &up->digest, &there_bytes) && there_bytes == announced_bytes(connection)) {
        pf_store_touch(http->options.store, &up->digest);
        return PF_OK;
    }
    return pf_store_writer_open(http->options.store, &up->digest, http->options.blob_limit_bytes, &up->writer, &up->err);
}

static void take_chunk(upload *up, const char *data, size_t bytes)
{
    if (up->status)
        return;
    up->status = pf_store_writer_add(up->writer, data, bytes, &up->err);
    if (up->status) {
        pf_store_writer_abort(up->writer);
        up->writer = NULL;
    }
}

static enum MHD_Result end_upload(pf_http *http, struct MHD_Connection *connection, upload *up)
{
    bool was_there = false;

    if (!up->status) {
        up->status = pf_store_writer_commit(up->writer, NULL, &was_there, &up->err);
        up->writer = NULL;
    }
    if (!up->status)
        return answer_text(connection, was_there ? 200 : 201, was_there ? "it was here" : "stored");
    if (up->status == PF_NO_SPACE && announced_bytes(connection) > http->options.blob_limit_bytes)
        return answer_text(connection, 413, up->err.msg);
    return answer_failure(connection, up->status, &up->err);
}

/* ---- plans, keys, metrics, health */

/* The manifest in a row of the table of plans: job id, then a blob of text (rows.c). */
static pf_status read_manifest(pf_http *http, const pf_digest *key, pf_buf *row, const char **text, size_t *bytes, pf_err *err)
{
    const uint8_t *fields = NULL;
    size_t         fields_bytes = 0;
    pf_reader      in = { 0 };
    pf_status      st = pf_db_get(http->options.db, PF_ROWS_PLANS, key, sizeof *key, row, err);

    if (!st)
        st = pf_rows_check(PF_ROWS_PLANS, key, sizeof *key, row->data, row->size, &fields, &fields_bytes, err);
    if (st)
        return st;
    pf_reader_init(&in, fields, fields_bytes);
    pf_read_u64(&in);
    *text = (const char *)pf_read_blob(&in, bytes);
    return in.failed ? PF_FAIL(err, PF_CORRUPT, "the plan's row is damaged") : PF_OK;
}

static enum MHD_Result get_plan(pf_http *http, struct MHD_Connection *connection, const char *hex)
{
    pf_digest       key = { 0 };
    pf_buf          row = { 0 };
    pf_err          err = { 0 };
    const char     *text = NULL;
    size_t          bytes = 0;
    pf_manifest     m;
    pf_status       st = PF_OK;
    enum MHD_Result result = MHD_NO;

    if (!pf_digest_from_hex(hex, &key))
        return answer_text(connection, 400, "a plan key is 64 lower-case hex digits");
    pf_buf_init(&row, PF_MANIFEST_BYTES * 2);
    st = read_manifest(http, &key, &row, &text, &bytes, &err);
    if (!st)
        st = pf_manifest_parse(text, bytes, &m, &err);
    if (!st && !pf_store_has(http->options.store, &m.plan, NULL))
        st = PF_NOT_FOUND;
    if (st == PF_NOT_FOUND) {
        result = answer_text(connection, 404, "no plan of that key is here; submit the model to have it built");
    } else if (st) {
        result = answer_failure(connection, st, &err);
    } else {
        pf_store_touch(http->options.store, &m.plan);
        result = answer(connection, 200, "text/plain; charset=utf-8", text, bytes);
    }
    pf_buf_clear(&row);
    return result;
}

static enum MHD_Result get_keys(pf_http *http, struct MHD_Connection *connection, const char *rest)
{
    (void)rest;
    return answer(connection, 200, "text/plain; charset=utf-8", http->options.keys_text, strlen(http->options.keys_text));
}

/* Where clients and agents connect; of these only the ports mean something to a caller on another host. */
static enum MHD_Result get_endpoints(pf_http *http, struct MHD_Connection *connection, const char *rest)
{
    char text[1024];
    int  bytes = snprintf(text, sizeof text, "{\"client\": \"%s\", \"agent\": \"%s\"}\n", http->options.client_endpoint,
                          http->options.agent_endpoint);

    (void)rest;
    return answer(connection, 200, "application/json", text, (size_t)bytes < sizeof text ? (size_t)bytes : sizeof text - 1);
}

static enum MHD_Result get_metrics(pf_http *http, struct MHD_Connection *connection, const char *rest)
{
    pf_buf          text = { 0 };
    enum MHD_Result result = MHD_NO;

    (void)rest;
    pf_buf_init(&text, SIZE_MAX - 1);
    pf_metrics_text(http->options.metrics, &text);
    result = answer(connection, 200, "text/plain; version=0.0.4", text.data ? text.data : (uint8_t *)"", text.size);
    pf_buf_clear(&text);
    return result;
}

static enum MHD_Result get_healthz(pf_http *http, struct MHD_Connection *connection, const char *rest)
{
    (void)http;
    (void)rest;
    return answer_text(connection, 200, "ok");
}

static enum MHD_Result get_readyz(pf_http *http, struct MHD_Connection *connection, const char *rest)
{
    char why[512] = "";

    (void)rest;
    pf_metrics_refusal(http->options.metrics, why, sizeof why);
    return answer_text(connection, why[0] ? 503 : 200, why[0] ? why : "ok");
}

/* ---- routing */

typedef enum MHD_Result page_fn(pf_http *http, struct MHD_Connection *connection, const char *rest);

static const char BLOBS[] = "/blobs/sha256/";

/* grants: one of these is needed, where the farm has keys; 0: anyone may ask. */
static const struct page { const char *prefix; page_fn *get; bool whole; uint32_t grants; } pages[] = {
    { BLOBS, get_blob, false, PF_GRANT_FETCH },     { "/plans/", get_plan, false, PF_GRANT_FETCH },
    { "/metrics", get_metrics, true, PF_GRANT_FETCH },
    { "/keys", get_keys, true, 0 },                 { "/endpoints", get_endpoints, true, 0 },
    { "/healthz", get_healthz, true, 0 },           { "/readyz", get_readyz, true, 0 },
};

enum { PUT_GRANTS = PF_GRANT_SUBMIT | PF_GRANT_AGENT };

/* ---- who asks */

static enum MHD_Result answer_unauthorized(struct MHD_Connection *connection, const char *why)
{
    static const char    text[] = "this farm wants a token: planfarm keys token makes one from your key\n";
    struct MHD_Response *response = MHD_create_response_from_buffer(sizeof text - 1, (void *)text, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result      result = MHD_NO;

    if (!response)
        return MHD_NO;
    pf_log(PF_LOG_INFO, "http", "unauthorized reason=\"%s\"", why);
    MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"planfarm\"");
    result = MHD_queue_response(connection, 401, response);
    MHD_destroy_response(response);
    return result;
}

/* True when the request may go on; else it was answered, with *result. */
static bool may(pf_http *http, struct MHD_Connection *connection, uint32_t grants, enum MHD_Result *result)
{
    const char   *header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    pf_ring_entry entry = { 0 };
    pf_err        why = { 0 };

    if (grants == 0 || !pf_authority_has_keys(http->options.authority))
        return true;
    if (!header || strncmp(header, "Bearer ", 7) != 0)
        *result = answer_unauthorized(connection, "no token");
    else if (pf_authority_check_token(http->options.authority, header + 7, &entry, &why))
        *result = answer_unauthorized(connection, why.msg);
    else if (!(entry.grants & grants))
        *result = answer_text(connection, 403, "this key may not do that; planfarm keys grant gives it the right");
    else
        return true;
    return false;
}

static enum MHD_Result serve_get(pf_http *http, struct MHD_Connection *connection, const char *url)
{
    enum MHD_Result result = MHD_NO;

    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        size_t bytes = strlen(pages[i].prefix);
        if (pages[i].whole ? strcmp(url, pages[i].prefix) == 0 : strncmp(url, pages[i].prefix, bytes) == 0)
            return may(http, connection, pages[i].grants, &result) ? pages[i].get(http, connection, url + bytes) : result;
    }
    return answer_text(connection, 404, "there is nothing at this path");
}

static enum MHD_Result serve_put(pf_http *http, struct MHD_Connection *connection, const char *url, upload *up,
                                 const char *data, size_t *bytes)
{
    if (*bytes == 0)
        return end_upload(http, connection, up);
    (void)url;
    take_chunk(up, data, *bytes);
    *bytes = 0;
    return MHD_YES;
}

/* The first call for a request: its headers are here, its body is not.  An upload that is refused, or that is here
   already, is answered before it is sent; so a full disk does not stand in the way of what it holds. */
static enum MHD_Result begin_request(pf_http *http, struct MHD_Connection *connection, const char *url, bool put, void **state)
{
    upload         *up = pf_calloc(1, sizeof *up);
    enum MHD_Result result = MHD_NO;

    if (!up)
        return MHD_NO;
    *state = up;
    if (!put)
        return MHD_YES;
    if (!may(http, connection, PUT_GRANTS, &result))
        return result;
    if (strncmp(url, BLOBS, sizeof BLOBS - 1) != 0)
        up->status = PF_FAIL(&up->err, PF_NOT_FOUND, "only blobs can be stored, under %s<digest>", BLOBS);
    else
        up->status = begin_upload(http, connection, url + sizeof BLOBS - 1, up);
    if (!up->status && !up->writer)
        return answer_text(connection, 200, "it was here");
    return up->status ? end_upload(http, connection, up) : MHD_YES;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *bytes, void **state)
{
    pf_http *http = user;
    bool     put = strcmp(method, "PUT") == 0;

    (void)version;
    if (!*state)
        return begin_request(http, connection, url, put, state);
    if (put)
        return serve_put(http, connection, url, *state, data, bytes);
    *bytes = 0;
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        return serve_get(http, connection, url);
    return answer_text(connection, 405, "only GET, HEAD and PUT are served");
}

static void on_end(void *user, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
    upload *up = *state;

    (void)user;
    (void)connection;
    (void)code;
    if (!up)
        return;
    pf_store_writer_abort(up->writer);
    pf_free(up);
    *state = NULL;
}

static void on_log(void *user, const char *format, va_list arguments)
{
    char text[512] = "";

    (void)user;
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = 0;
    pf_log(PF_LOG_WARN, "http", "server text=\"%s\"", text);
}

pf_status pf_http_start(const pf_http_options *options, pf_http **out, pf_err *err)
{
    pf_http           *http = pf_calloc(1, sizeof *http);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)options->port) };

    *out = NULL;
    if (!http)
        return PF_FAIL_MEMORY(err, sizeof *http);
    http->options = *options;
    if (inet_pton(AF_INET, options->address, &address.sin_addr) != 1) {
        pf_free(http);
        return PF_FAIL(err, PF_INVALID, "\"%s\" is no IPv4 address to listen on", options->address);
    }
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, (uint16_t)options->port, NULL, NULL, on_request, http,
        MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
    if (!http->daemon) {
        int code = errno;
        pf_free(http);
        return PF_FAIL(err, code == EADDRINUSE ? PF_BUSY : PF_IO, "cannot serve HTTP on %s:%d: %s", options->address,
                       options->port, strerror(code));
    }
    *out = http;
    return PF_OK;
}

void pf_http_stop(pf_http *http)
{
    if (!http)
        return;
    MHD_stop_daemon(http->daemon);
    pf_free(http);
}

int pf_http_port(const pf_http *http)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);

    return info ? info->port : 0;
}
