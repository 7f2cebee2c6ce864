/* Requests that the core answers.  While it does, the connection is suspended: no thread waits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "coordinator/http_private.h"

/* ---- reading */

uint64_t pf_http_announced_bytes(struct MHD_Connection *connection)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");

    return text ? strtoull(text, NULL, 10) : 0;
}

/* A page of some other site can make a browser send a form or plain text here, but not JSON. */
static bool is_json(struct MHD_Connection *connection)
{
    const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Type");

    return type && strncasecmp(type, "application/json", 16) == 0 && (!type[16] || type[16] == ';' || type[16] == ' ');
}

bool pf_http_api_begin(pf_http_request *request, const char *method, enum MHD_Result *result)
{
    pf_buf_init(&request->body, PF_API_BODY_BYTES);
    if (pf_http_announced_bytes(request->connection) > PF_API_BODY_BYTES)
        *result = pf_http_fail(request->connection, 413, PF_INVALID, "the request is larger than 512 KiB", NULL);
    else if (strcmp(method, "POST") == 0 && !is_json(request->connection))
        *result = pf_http_fail(request->connection, 415, PF_INVALID,
                               "send JSON, with Content-Type: application/json", NULL);
    else
        return true;
    return false;
}

void pf_http_api_add(pf_http_request *request, const char *data, size_t bytes)
{
    pf_buf_put(&request->body, data, bytes);
}

/* ---- asking */

static const char *query(void *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
}

/* A mistyped filter would be answered with everything. */
static enum MHD_Result find_unknown(void *user, enum MHD_ValueKind kind, const char *name, const char *value)
{
    const char **unknown = user;

    (void)kind;
    (void)value;
    *unknown = pf_api_knows(name) ? NULL : name;
    return *unknown ? MHD_NO : MHD_YES;
}

static void on_done(pf_gateway_call *call)
{
    pf_http_request *request = call->user;

    MHD_resume_connection(request->connection);
}

/* Where a reader of events that lost its connection goes on. */
static uint64_t last_event(const pf_http_request *request)
{
    const char *text = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Last-Event-ID");

    return text ? strtoull(text, NULL, 10) : 0;
}

static pf_status pack(pf_http *http, pf_http_request *request, const char *method, const char *url, pf_err *err)
{
    pf_api_request asked = { .method = method, .path = url, .query = query, .user = request->connection,
                             .body = request->body.data, .body_bytes = request->body.size };
    pf_status      st = PF_OK;

    if (request->body.failed)
        return PF_FAIL(err, PF_INVALID, "the request is larger than 512 KiB");
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, find_unknown, &asked.unknown);
    st = pf_api_pack(&asked, &request->api, err);
    if (!st && request->api.events && last_event(request))
        st = pf_api_pack_watch(&request->api, last_event(request), 0, err);
    if (!st && request->api.model.size)
        st = pf_store_put(http->options.store, request->api.model.data, request->api.model.size, NULL, err);
    return st;
}

/* Suspended first: the answer may come before ask returns. */
static enum MHD_Result ask(pf_http *http, pf_http_request *request)
{
    request->call.frame = request->api.frame;
    memset(&request->api.frame, 0, sizeof request->api.frame);
    request->call.done = on_done;
    request->call.user = request;
    snprintf(request->call.key_name, sizeof request->call.key_name, "%s", request->key_name);
    request->asked = true;
    MHD_suspend_connection(request->connection);
    if (!pf_gateway_ask(http->options.gateway, &request->call))
        MHD_resume_connection(request->connection);
    return MHD_YES;
}

/* ---- answering */

static enum MHD_Result answer(pf_http *http, pf_http_request *request)
{
    const pf_buf   *frame = &request->call.answer;
    pf_buf          json = { 0 };
    pf_err          err = { 0 };
    unsigned        code = 200, retry_after_s = 0;
    pf_status       st = PF_OK;
    enum MHD_Result result = MHD_NO;

    if (frame->size == 0)
        return pf_http_fail(request->connection, 503, PF_BUSY, "the coordinator is stopping; ask again in a moment",
                            NULL);
    if (request->api.events)
        return pf_http_events_begin(http, request);
    pf_buf_init(&json, SIZE_MAX - 1);
    st = pf_api_answer(&request->api, frame->data, frame->size, &code, &retry_after_s, &json, &err);
    if (st)
        result = pf_http_fail(request->connection, 500, st, err.msg, NULL);
    else
        result = pf_http_answer_json(request->connection, code, retry_after_s, NULL, &json);
    pf_buf_clear(&json);
    return result;
}

enum MHD_Result pf_http_api_serve(pf_http *http, pf_http_request *request, const char *method, const char *url)
{
    pf_err    err = { 0 };
    pf_status st = PF_OK;

    if (request->asked)
        return answer(http, request);
    st = pack(http, request, method, url, &err);
    if (st)
        return pf_http_fail(request->connection, pf_api_code(st), st, err.msg, NULL);
    return ask(http, request);
}
