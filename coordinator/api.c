#include "coordinator/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/api_private.h"
#include "proto/job_view.h"
#include "proto/json.h"

static const pf_api_route routes[] = {
#define PF_API(method, path, name, type, reply) \
    { #method, path, PF_MSG_##type, PF_MSG_##reply, pf_api_pack_##name, pf_api_answer_##name },
#include "coordinator/api.def"
#undef PF_API
};

enum { ROUTES_COUNT = sizeof routes / sizeof routes[0], SUBMIT_HEX = 2 * PF_SUBMIT_ID_BYTES };

void pf_api_call_clear(pf_api_call *call)
{
    pf_buf_clear(&call->frame);
    pf_buf_clear(&call->model);
    memset(call, 0, sizeof *call);
}

/* ---- paths */

static pf_status take_job(const char *text, size_t bytes, pf_api_call *out, pf_err *err)
{
    char  copy[24] = "";
    char *end = NULL;

    if (bytes > 0 && bytes < sizeof copy && text[0] >= '0' && text[0] <= '9') {
        memcpy(copy, text, bytes);
        errno = 0;
        out->job_id = strtoull(copy, &end, 10);
        if (out->job_id && !*end && !errno)
            return PF_OK;
    }
    return PF_FAIL(err, PF_INVALID, "\"%.*s\" is no job's number", bytes < 80 ? (int)bytes : 80, text);
}

static pf_status take_submit(const char *text, size_t bytes, pf_api_call *out, pf_err *err)
{
    char      padded[PF_DIGEST_HEX_BYTES] = "";
    pf_digest digest = { 0 };

    if (bytes == SUBMIT_HEX) {
        memset(padded, '0', sizeof padded - 1);
        memcpy(padded, text, bytes);
        if (pf_digest_from_hex(padded, &digest)) {
            memcpy(out->submit_id, digest.byte, sizeof out->submit_id);
            out->has_submit = true;
            return PF_OK;
        }
    }
    return PF_FAIL(err, PF_INVALID, "\"%.*s\" is no submit's id of 32 lower-case hex digits",
                   bytes < 80 ? (int)bytes : 80, text);
}

/* Whether the path is of this form; *name_at is where the part stands that {job} or {submit} stands for. */
static bool fits(const char *form, const char *path, const char **name_at, size_t *name_bytes)
{
    const char *open = strchr(form, '{'), *close = open ? strchr(open, '}') : NULL;
    size_t      before = open ? (size_t)(open - form) : 0;

    if (!open)
        return strcmp(form, path) == 0;
    if (strncmp(form, path, before) != 0)
        return false;
    *name_at = path + before;
    *name_bytes = strcspn(*name_at, "/");
    return strcmp(*name_at + *name_bytes, close + 1) == 0;
}

static void allow_method(char allow[PF_API_ALLOW_BYTES], const char *method)
{
    size_t used = strlen(allow);

    snprintf(allow + used, PF_API_ALLOW_BYTES - used, "%s%s", used ? ", " : "", method);
}

static pf_status take_route(const pf_api_route *route, const char *name, size_t bytes, pf_api_call *out, pf_err *err)
{
    out->route = route;
    out->type = route->type;
    out->reply = route->reply;
    out->events = route->type == PF_MSG_WATCH;
    if (strstr(route->path, "{job}"))
        return take_job(name, bytes, out, err);
    return strstr(route->path, "{submit}") ? take_submit(name, bytes, out, err) : PF_OK;
}

pf_status pf_api_find(const char *method, const char *path, pf_api_call *out, char allow[PF_API_ALLOW_BYTES],
                      pf_err *err)
{
    const char         *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method, *name = NULL;
    const pf_api_route *found = NULL;
    size_t              bytes = 0;

    allow[0] = 0;
    for (int i = 0; i < ROUTES_COUNT; i++) {
        if (!fits(routes[i].path, path, &name, &bytes))
            continue;
        allow_method(allow, routes[i].method);
        if (strcmp(routes[i].method, wanted) == 0)
            found = &routes[i];
    }
    if (found) {
        fits(found->path, path, &name, &bytes);
        return take_route(found, name, bytes, out, err);
    }
    if (allow[0])
        return PF_FAIL(err, PF_UNSUPPORTED, "this path takes only %s", allow);
    return PF_FAIL(err, PF_NOT_FOUND, "there is nothing at this path");
}

uint32_t pf_api_grants(const pf_api_call *call)
{
    return pf_msg_find(call->type)->grant;
}

/* ---- frames */

pf_status pf_api_pack_body(pf_api_call *call, const ProtobufCMessage *body, pf_err *err)
{
    pf_wire_header header = { .msg_id = 1 };

    pf_buf_clear(&call->frame);
    pf_buf_init(&call->frame, PF_WIRE_FRAME_BYTES);
    return pf_wire_pack(call->type, &header, body, &call->frame, err);
}

pf_status pf_api_pack(const pf_api_request *request, pf_api_call *call, pf_err *err)
{
    if (request->unknown)
        return PF_FAIL(err, PF_INVALID, "there is no parameter \"%.80s\"; docs/openapi.yaml lists those of each path",
                       request->unknown);
    return call->route->pack(request, call, err);
}

/* ---- answers */

unsigned pf_api_code(pf_status status)
{
    static const struct { pf_status status; unsigned code; } codes[] = {
        { PF_OK, 200 },      { PF_INVALID, 400 }, { PF_USAGE, 400 },       { PF_CORRUPT, 400 },     { PF_DENIED, 403 },
        { PF_NOT_FOUND, 404 }, { PF_BUSY, 503 },  { PF_UNSUPPORTED, 501 }, { PF_NO_SPACE, 507 },
    };

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].status == status)
            return codes[i].code;
    return 500;
}

static int add_text(const char *text, size_t bytes, void *user)
{
    return pf_buf_put(user, text, bytes) ? 0 : -1;
}

/* Takes the object. */
static void dump(json_t *object, pf_buf *out)
{
    if (!object || json_dump_callback(object, add_text, out, JSON_COMPACT) || !pf_buf_put(out, "\n", 1))
        out->failed = true;
    json_decref(object);
}

void pf_api_failure(pf_status status, const char *message, pf_buf *json)
{
    json_t *object = json_object();

    json_object_set_new(object, "error", json_string(pf_status_name(status)));
    json_object_set_new(object, "exit_code", json_integer(pf_status_exit_code(status)));
    json_object_set_new(object, "message", pf_json_text(message));
    dump(object, json);
}

static void answer_error(const pf_message *message, unsigned *code, unsigned *retry_after_s, pf_buf *json)
{
    const Pf__Error *error = (const Pf__Error *)message->body;
    pf_status        status = pf_status_from_exit_code((int)error->exit_code);

    *code = pf_api_code(status);
    if (*code == 503)
        *retry_after_s = error->retry_after_ms / 1000 + 1;
    pf_api_failure(status, error->message, json);
}

pf_status pf_api_answer(const pf_api_call *call, const void *frame, size_t bytes, unsigned *code,
                        unsigned *retry_after_s, pf_buf *json, pf_err *err)
{
    pf_message message = { 0 };
    json_t    *object = NULL;
    pf_status  st = pf_wire_unpack(frame, bytes, PF_ROLE_COORD, PF_ROLE_CLIENT, &message, err);

    *code = 200;
    *retry_after_s = 0;
    if (!st && message.info->type == PF_MSG_ERROR) {
        answer_error(&message, code, retry_after_s, json);
    } else if (!st && message.info->type == call->reply) {
        object = json_object();
        call->route->answer(call, message.body, object, code);
        dump(object, json);
    } else if (!st) {
        st = PF_FAIL(err, PF_INTERNAL, "%s was answered by %s", pf_msg_find(call->type)->name, message.info->name);
    }
    pf_message_clear(&message);
    if (!st && json->failed)
        st = PF_FAIL(err, PF_NO_SPACE, "out of memory for the answer");
    return st;
}

/* ---- events */

static void put_event(const Pf__Event *event, pf_buf *text)
{
    pf_buf_printf(text, "id: %llu\nevent: %s\ndata: ", (unsigned long long)event->sequence,
                  pf_job_view_event(event->kind));
    dump(pf_job_view_event_json(event), text);
    pf_buf_printf(text, "\n");
}

pf_status pf_api_events(const void *frame, size_t bytes, uint64_t *after_sequence, bool *final, pf_buf *text,
                        pf_err *err)
{
    pf_message            message = { 0 };
    const Pf__WatchReply *reply = NULL;
    pf_status             st = pf_wire_unpack(frame, bytes, PF_ROLE_COORD, PF_ROLE_CLIENT, &message, err);

    if (!st && message.info->type == PF_MSG_ERROR) {
        const Pf__Error *error = (const Pf__Error *)message.body;
        st = PF_FAIL(err, pf_status_from_exit_code((int)error->exit_code), "%s", error->message);
    } else if (!st && message.info->type != PF_MSG_WATCH_REPLY) {
        st = PF_FAIL(err, PF_INTERNAL, "WATCH was answered by %s", message.info->name);
    }
    if (!st) {
        reply = (const Pf__WatchReply *)message.body;
        *after_sequence = reply->next_after_sequence;
        *final = reply->final;
        for (size_t i = 0; i < reply->n_event; i++)
            put_event(reply->event[i], text);
        st = text->failed ? PF_FAIL(err, PF_NO_SPACE, "out of memory for events") : PF_OK;
    }
    pf_message_clear(&message);
    return st;
}
