#include "coordinator/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_meter.h"
#include "coordinator/http_private.h"

/* CROWDED: the rest of the connections is room for those that are shut down and not yet gone. */
enum { THREADS = 4, CONNECTIONS_MAX = 512, CROWDED = 480, IDLE_SECONDS = 60, CONNECTION_BYTES = 64 << 10,
       UNAUTHORIZED_BYTES = 512 };

/* ---- routing */

typedef enum MHD_Result page_fn(pf_http *http, struct MHD_Connection *connection, const char *rest);

static const char BLOBS[] = "/blobs/sha256/";

/* grants: one of these is needed, where the farm has keys; 0: anyone may ask. */
static const struct page { const char *prefix; page_fn *get; bool whole; uint32_t grants; } pages[] = {
    { BLOBS, pf_http_get_blob, false, PF_GRANT_FETCH },     { "/plans/", pf_http_get_plan, false, PF_GRANT_FETCH },
    { "/metrics", pf_http_get_metrics, true, PF_GRANT_FETCH },
    { "/keys", pf_http_get_keys, true, 0 },                 { "/endpoints", pf_http_get_endpoints, true, 0 },
    { "/healthz", pf_http_get_healthz, true, 0 },           { "/readyz", pf_http_get_readyz, true, 0 },
};

enum { PUT_GRANTS = PF_GRANT_SUBMIT | PF_GRANT_AGENT };

/* ---- who asks */

static enum MHD_Result answer_unauthorized(struct MHD_Connection *connection, const char *why)
{
    static const pf_http_header header = { "WWW-Authenticate", "Bearer realm=\"planfarm\"" };
    static pf_log_meter         meter = PF_LOG_METER_INIT;
    char                        text[UNAUTHORIZED_BYTES] = "";
    uint64_t                    left_out = 0;

    snprintf(text, sizeof text, "%.400s: planfarm keys token makes one from your key", why);
    if (pf_log_meter_take(&meter, pf_clock_ns(), &left_out))
        pf_log(PF_LOG_INFO, "http", "unauthorized reason=\"%s\" left_out=%llu", why, (unsigned long long)left_out);
    return pf_http_fail(connection, 401, PF_DENIED, text, &header);
}

/* True when the request may go on; else it was answered, with *result. */
static bool may(pf_http *http, struct MHD_Connection *connection, uint32_t grants, char key_name[PF_FARM_KEY_NAME],
                enum MHD_Result *result)
{
    const char   *header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    pf_ring_entry entry = { 0 };
    pf_err        why = { 0 };

    if (grants == 0 || !pf_authority_has_keys(http->options.authority))
        return true;
    if (!header || strncmp(header, "Bearer ", 7) != 0)
        *result = answer_unauthorized(connection, "this farm wants a token");
    else if (pf_authority_check_token(http->options.authority, header + 7, &entry, &why))
        *result = answer_unauthorized(connection, why.msg);
    else if (!(entry.grants & grants))
        *result = pf_http_fail(connection, 403, PF_DENIED,
                               "this key may not do that; planfarm keys grant gives it the right", NULL);
    else {
        snprintf(key_name, PF_FARM_KEY_NAME, "%s", entry.name);
        return true;
    }
    return false;
}

static enum MHD_Result serve_get(pf_http *http, struct MHD_Connection *connection, const char *url)
{
    enum MHD_Result result = MHD_NO;
    char            key_name[PF_FARM_KEY_NAME] = "";

    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        size_t bytes = strlen(pages[i].prefix);
        if (pages[i].whole ? strcmp(url, pages[i].prefix) == 0 : strncmp(url, pages[i].prefix, bytes) == 0)
            return may(http, connection, pages[i].grants, key_name, &result)
                       ? pages[i].get(http, connection, url + bytes)
                       : result;
    }
    return pf_http_fail(connection, 404, PF_NOT_FOUND, "there is nothing at this path", NULL);
}

static enum MHD_Result serve_put(pf_http *http, struct MHD_Connection *connection, pf_http_request *up,
                                 const char *data, size_t *bytes)
{
    if (*bytes == 0)
        return pf_http_upload_end(http, connection, up);
    pf_http_upload_add(up, data, *bytes);
    *bytes = 0;
    return MHD_YES;
}

/* An upload that is refused, or that is here already, is answered before it is sent; so a full disk does not stand in
   the way of what it holds. */
static enum MHD_Result begin_put(pf_http *http, struct MHD_Connection *connection, const char *url, pf_http_request *up)
{
    enum MHD_Result result = MHD_NO;

    if (!may(http, connection, PUT_GRANTS, up->key_name, &result))
        return result;
    if (strncmp(url, BLOBS, sizeof BLOBS - 1) != 0)
        up->status = PF_FAIL(&up->err, PF_NOT_FOUND, "only blobs can be stored, under %s<digest>", BLOBS);
    else
        up->status = pf_http_upload_begin(http, connection, url + sizeof BLOBS - 1, up);
    if (!up->status && !up->writer)
        return pf_http_answer_text(connection, 200, "it was here");
    return up->status ? pf_http_upload_end(http, connection, up) : MHD_YES;
}

/* What the API does not know is left to the pages, which are only read. */
static enum MHD_Result begin_other(pf_http *http, struct MHD_Connection *connection, const char *url,
                                   const char *method, pf_http_request *request)
{
    bool            read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    char            allow[PF_API_ALLOW_BYTES] = "";
    pf_err          err = { 0 };
    pf_status       st = pf_api_find(method, url, &request->api, allow, &err);
    enum MHD_Result result = MHD_NO;

    if (st == PF_UNSUPPORTED)
        return pf_http_fail(connection, 405, st, err.msg, &(pf_http_header){ "Allow", allow });
    if (st == PF_INVALID)
        return pf_http_fail(connection, 400, st, err.msg, NULL);
    if (st)
        return read ? MHD_YES
                    : pf_http_fail(connection, 405, PF_UNSUPPORTED, "only GET, HEAD and PUT are served here",
                                   &(pf_http_header){ "Allow", "GET, HEAD, PUT" });
    if (!may(http, connection, pf_api_grants(&request->api), request->key_name, &result) ||
        !pf_http_api_begin(request, method, &result))
        return result;
    return MHD_YES;
}

/* ---- connections */

static void on_connection(void *user, struct MHD_Connection *connection, void **member,
                          enum MHD_ConnectionNotificationCode what)
{
    pf_http                        *http = user;
    const union MHD_ConnectionInfo *socket = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *peer = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    if (what == MHD_CONNECTION_NOTIFY_CLOSED)
        pf_http_crowd_leave(http->crowd, *member);
    else if (socket && peer)
        *member = pf_http_crowd_enter(http->crowd, socket->connect_fd,
                                      ((const struct sockaddr_in *)(const void *)peer->client_addr)->sin_addr.s_addr);
}

static void tell_serving(pf_http *http, struct MHD_Connection *connection, bool serving)
{
    const union MHD_ConnectionInfo *member = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    if (member)
        pf_http_crowd_serving(http->crowd, member->socket_context, serving);
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *bytes, void **state)
{
    pf_http         *http = user;
    pf_http_request *request = *state;
    bool             put = strcmp(method, "PUT") == 0;

    (void)version;
    if (!request) {
        request = pf_calloc(1, sizeof *request);
        if (!request)
            return MHD_NO;
        request->connection = connection;
        *state = request;
        tell_serving(http, connection, true);
        return put ? begin_put(http, connection, url, request) : begin_other(http, connection, url, method, request);
    }
    if (put)
        return serve_put(http, connection, request, data, bytes);
    if (!request->api.route) {
        *bytes = 0;
        return serve_get(http, connection, url);
    }
    if (*bytes == 0)
        return pf_http_api_serve(http, request, method, url);
    pf_http_api_add(request, data, *bytes);
    *bytes = 0;
    return MHD_YES;
}

static void on_end(void *user, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
    pf_http_request *request = *state;

    (void)code;
    if (!request)
        return;
    tell_serving(user, connection, false);
    pf_store_writer_abort(request->writer);
    pf_api_call_clear(&request->api);
    pf_buf_clear(&request->body);
    pf_buf_clear(&request->call.frame);
    pf_buf_clear(&request->call.answer);
    pf_free(request);
    *state = NULL;
}

/* A byte of zero would end the text early and make another path or value of it: it stays as it is written. */
static size_t unescape(void *user, struct MHD_Connection *connection, char *text)
{
    (void)user;
    (void)connection;
    return strstr(text, "%00") ? strlen(text) : MHD_http_unescape(text);
}

/* Also of each connection that ends within a request. */
static void on_log(void *user, const char *format, va_list arguments)
{
    static pf_log_meter meter = PF_LOG_METER_INIT;
    char                text[512] = "";
    uint64_t            left_out = 0;

    (void)user;
    if (!pf_log_meter_take(&meter, pf_clock_ns(), &left_out))
        return;
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = 0;
    pf_log(PF_LOG_WARN, "http", "server text=\"%s\" left_out=%llu", text, (unsigned long long)left_out);
}

pf_status pf_http_start(const pf_http_options *options, pf_http **out, pf_err *err)
{
    pf_http           *http = pf_calloc(1, sizeof *http);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)options->port) };
    pf_status          st = PF_OK;

    *out = NULL;
    if (!http)
        return PF_FAIL_MEMORY(err, sizeof *http);
    http->options = *options;
    if (inet_pton(AF_INET, options->address, &address.sin_addr) != 1) {
        pf_free(http);
        return PF_FAIL(err, PF_INVALID, "\"%s\" is no IPv4 address to listen on", options->address);
    }
    st = pf_http_crowd_new(CONNECTIONS_MAX, CROWDED, &http->crowd, err);
    if (st) {
        pf_free(http);
        return st;
    }
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME,
        (uint16_t)options->port, NULL, NULL, on_request, http,
        MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
        MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_NOTIFY_COMPLETED, on_end, http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
    if (!http->daemon) {
        int code = errno;
        pf_http_crowd_free(http->crowd);
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
    pf_gateway_stop(http->options.gateway);         /* MHD wants no connection suspended when it stops */
    MHD_stop_daemon(http->daemon);
    pf_http_crowd_free(http->crowd);
    pf_free(http);
}

int pf_http_port(const pf_http *http)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);

    return info ? info->port : 0;
}
