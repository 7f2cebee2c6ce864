#include <string.h>

#include "base/timing_class.h"
#include "coordinator/server_private.h"

static void answer_bad_frame(pf_server *server, uint64_t peer, const pf_wire_header *asked, pf_status st,
                             const pf_err *why)
{
    pf_wire_header header = { .correlation_id = asked->msg_id };
    Pf__Error      error = PF__ERROR__INIT;
    pf_buf         frame = { 0 };

    error.exit_code = (uint32_t)pf_status_exit_code(st);
    error.message = (char *)why->msg;
    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    if (pf_wire_pack(PF_MSG_ERROR, &header, &error.base, &frame, NULL) == PF_OK)
        pf_server_send(server, peer, frame.data, frame.size);
    pf_buf_clear(&frame);
}

/* The blobs that a request names are looked up here, so that the core needs no files. */
static pf_status look_up_model(pf_server *server, const Pf__Submit *submit, pf_event *event, pf_err *err)
{
    pf_digest model = { 0 };

    if (submit->model_digest.len != sizeof model.byte)
        return PF_OK;           /* the core refuses it */
    memcpy(model.byte, submit->model_digest.data, sizeof model.byte);
    return pf_models_missing(server->models, &model, &event->missing, &event->missing_count, err);
}

static pf_status look_up_blobs(pf_server *server, const Pf__FindBlobs *asked, pf_event *event, pf_err *err)
{
    if (asked->n_digest > PF_SERVER_MISSING_MAX)
        return PF_FAIL(err, PF_INVALID, "more than %d blobs are asked for at once", PF_SERVER_MISSING_MAX);
    event->missing = server->missing;
    for (size_t i = 0; i < asked->n_digest; i++) {
        pf_digest *digest = &server->missing[event->missing_count];
        if (asked->digest[i].len != sizeof digest->byte)
            return PF_FAIL(err, PF_INVALID, "a digest has %zu bytes, not %d", asked->digest[i].len, PF_DIGEST_BYTES);
        memcpy(digest->byte, asked->digest[i].data, sizeof digest->byte);
        if (pf_store_has(server->store, digest, NULL))
            pf_store_touch(server->store, digest);
        else
            event->missing_count++;
    }
    return PF_OK;
}

/* Plans that the answer would name: those whose bytes are gone, at the front of server->missing. */
static pf_status look_up_plans(pf_server *server, pf_event *event, pf_err *err)
{
    const pf_digest *asked = NULL;
    uint32_t         count = 0;
    pf_status        st = pf_core_ask(server->core, event, &asked, &count, err);

    event->absent = server->missing;
    for (uint32_t i = 0; i < count && !st; i++)
        if (pf_store_has(server->store, &asked[i], NULL))
            pf_store_touch(server->store, &asked[i]);
        else
            server->missing[event->absent_count++] = asked[i];
    return st;
}

static pf_status look_up(pf_server *server, pf_event *event, pf_err *err)
{
    const pf_message *message = event->message;
    pf_status         st = PF_OK;

    if (message->info->type == PF_MSG_FIND_BLOBS)
        return look_up_blobs(server, (const Pf__FindBlobs *)message->body, event, err);
    if (message->info->type == PF_MSG_SUBMIT)
        st = look_up_model(server, (const Pf__Submit *)message->body, event, err);
    if (!st && (message->info->type == PF_MSG_SUBMIT || message->info->type == PF_MSG_PLAN_LOOKUP))
        st = look_up_plans(server, event, err);
    return st;
}

static bool is_timing(pf_msg_type type)
{
    return type == PF_MSG_TIMING_LOOKUP || type == PF_MSG_TIMING_STORE || type == PF_MSG_TIMING_EXPORT;
}

/* Who may not tell timings of any class may still tell those of the classes that its agents declared. */
static bool may_store(const pf_server *server, const pf_event *event)
{
    const Pf__TimingStore *asked = (const Pf__TimingStore *)event->message->body;
    pf_digest              timing_class = { 0 };

    if (event->grants & PF_GRANT_CACHE_WRITE)
        return true;
    pf_timing_class_digest(asked->class_text, &timing_class);
    return (event->grants & PF_GRANT_AGENT) && pf_core_key_declares(server->core, event->key_name, &timing_class);
}

static pf_status check_timing_grant(const pf_server *server, const pf_event *event, pf_err *err)
{
    bool stores = event->message->info->type == PF_MSG_TIMING_STORE;

    if (stores ? may_store(server, event) : (event->grants & PF_GRANT_FETCH) != 0)
        return PF_OK;
    return PF_FAIL(err, PF_DENIED, "the key \"%s\" may not send %s%s", event->key_name, event->message->info->name,
                   stores ? " for a class that none of its agents has; that needs the grant cache-write"
                          : ", which needs the grant fetch");
}

/* The timing cache has a thread of its own, which answers. */
static pf_status give_timing(pf_server *server, uint64_t peer, pf_message *message, pf_err *err)
{
    const Pf__TimingExport *asked = (const Pf__TimingExport *)message->body;
    bool                    one_class = message->info->type == PF_MSG_TIMING_EXPORT && asked->selector[0];
    pf_digest               timing_class = { 0 };
    pf_status               st = one_class ? pf_core_timings_of(server->core, asked->selector, &timing_class, err)
                                           : PF_OK;

    if (st)
        return st;
    return pf_timing_service_give(server->timings, peer, message, one_class ? &timing_class : NULL, err);
}

/* Who sent it (name may be NULL): looked up anew for each message, so that a revoked key can do nothing more on an open
   connection. */
static void identify(pf_server *server, const char *name, pf_ring_entry *entry, pf_event *event)
{
    if (!pf_authority_has_keys(server->authority))
        return;
    event->key_name = name ? name : "";
    event->grants = 0;
    if (!name || !pf_authority_find(server->authority, name, entry))
        return;
    event->grants = entry->grants;
    event->classes = (const char (*)[PF_CLASS_NAME_BYTES])entry->device_class;
    event->classes_count = entry->classes_count;
}

pf_status pf_server_take_frame(pf_server *server, pf_router *router, uint64_t peer, zmq_msg_t *frame, pf_err *err)
{
    pf_message message = { 0 };
    pf_err     why = { 0 };
    pf_status  st = pf_wire_unpack(zmq_msg_data(frame), zmq_msg_size(frame), router->role, PF_ROLE_COORD, &message,
                                   &why);
    pf_event   event = { .kind = PF_EVENT_MESSAGE, .peer = peer, .message = &message, .grants = UINT32_MAX };
    bool       timing = !st && is_timing(message.info->type);
    pf_ring_entry entry = { 0 };

    if (!st)
        identify(server, pf_router_key_name(frame), &entry, &event);
    if (timing)
        st = check_timing_grant(server, &event, &why);
    if (timing && !st) {
        st = give_timing(server, peer, &message, &why);
    } else if (!st) {
        st = look_up(server, &event, &why);
    }
    if (st == PF_INVALID && !message.info) {
        router->dropped++;
        st = PF_OK;
    } else if (st) {
        answer_bad_frame(server, peer, &message.header, st, &why);
        st = PF_OK;
    } else if (!timing) {
        server->beats += message.info->type == PF_MSG_HEARTBEAT;
        st = pf_server_step(server, &event, err);
    }
    pf_message_clear(&message);
    return st;
}

pf_status pf_server_take_call(pf_server *server, pf_gateway_call *call, pf_err *err)
{
    pf_message    message = { 0 };
    pf_err        why = { 0 };
    pf_ring_entry entry = { 0 };
    pf_status     st = pf_wire_unpack(call->frame.data, call->frame.size, PF_ROLE_CLIENT, PF_ROLE_COORD, &message,
                                      &why);
    pf_event      event = { .kind = PF_EVENT_MESSAGE, .peer = call->peer, .message = &message, .grants = UINT32_MAX };

    if (!st) {
        identify(server, call->key_name, &entry, &event);
        st = look_up(server, &event, &why);
    }
    if (st)
        answer_bad_frame(server, call->peer, &message.header, st, &why);
    st = st ? PF_OK : pf_server_step(server, &event, err);
    pf_message_clear(&message);
    return st;
}
