#include "proto/peer.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <string.h>
#include <zmq.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "proto/farm_key.h"

struct pf_peer {
    void    *context, *socket;
    char    *endpoint, *server_public_key, *public_key, *secret_key;    /* owned; keys NULL without CURVE */
    uint32_t role;
    uint64_t next_msg_id;
    int64_t  heard_ns;
};

/* FARM's values for a DEALER; see PROTOCOL.md, "Sockets". */
static const struct option { int name, value; } socket_options[] = {
    { ZMQ_IMMEDIATE, 1 },           { ZMQ_LINGER, 0 },             { ZMQ_SNDHWM, 64 },
    { ZMQ_RCVHWM, 1000 },           { ZMQ_RECONNECT_IVL, 100 },    { ZMQ_RECONNECT_IVL_MAX, 15000 },
    { ZMQ_CONNECT_TIMEOUT, 3000 },  { ZMQ_TCP_MAXRT, 10000 },      { ZMQ_TCP_KEEPALIVE, 1 },
    { ZMQ_TCP_KEEPALIVE_IDLE, 10 }, { ZMQ_TCP_KEEPALIVE_INTVL, 5 }, { ZMQ_TCP_KEEPALIVE_CNT, 3 },
};

/* A client may wait long for a watch's answer.  An agent beats by itself, and each of ten thousand pings
   would be work. */
static const struct option client_options[] = { { ZMQ_HEARTBEAT_IVL, 5000 }, { ZMQ_HEARTBEAT_TIMEOUT, 6000 } };

static pf_status set_curve(pf_peer *peer, pf_err *err)
{
    if (!peer->server_public_key)
        return PF_OK;
    if (!peer->server_public_key[0])
        return PF_FAIL(err, PF_INVALID, "the key for %s does not hold the farm's public key; make one with "
                       "planfarm keys new --state DIR where the farm is, or with --server KEY", peer->endpoint);
    if (zmq_setsockopt(peer->socket, ZMQ_CURVE_SERVERKEY, peer->server_public_key, 41) != 0 ||
        zmq_setsockopt(peer->socket, ZMQ_CURVE_PUBLICKEY, peer->public_key, 41) != 0 ||
        zmq_setsockopt(peer->socket, ZMQ_CURVE_SECRETKEY, peer->secret_key, 41) != 0)
        return PF_FAIL(err, PF_INVALID, "the keys for %s are no CURVE keys of 40 characters", peer->endpoint);
    return PF_OK;
}

static pf_status connect_socket(pf_peer *peer, pf_err *err)
{
    int64_t   frame_limit = PF_WIRE_FRAME_BYTES;
    pf_status st = PF_OK;

    peer->socket = zmq_socket(peer->context, ZMQ_DEALER);
    if (!peer->socket)
        return PF_FAIL(err, PF_IO, "cannot make a socket: %s", zmq_strerror(errno));
    for (size_t i = 0; i < sizeof socket_options / sizeof socket_options[0]; i++)
        zmq_setsockopt(peer->socket, socket_options[i].name, &socket_options[i].value, sizeof(int));
    for (size_t i = 0; peer->role == PF_ROLE_CLIENT && i < sizeof client_options / sizeof client_options[0]; i++)
        zmq_setsockopt(peer->socket, client_options[i].name, &client_options[i].value, sizeof(int));
    zmq_setsockopt(peer->socket, ZMQ_MAXMSGSIZE, &frame_limit, sizeof frame_limit);
    st = set_curve(peer, err);
    if (!st && zmq_connect(peer->socket, peer->endpoint) != 0)
        st = PF_FAIL(err, PF_INVALID, "cannot connect to \"%s\": %s; give an address like tcp://host:7701",
                     peer->endpoint, zmq_strerror(errno));
    return st;
}

static char *copy_or_null(const char *text)
{
    return text ? pf_strdup(text) : NULL;
}

static pf_status take_keys(pf_peer *peer, const char *server_public_key, const char *public_key, const char *secret_key,
                           pf_err *err)
{
    peer->server_public_key = copy_or_null(server_public_key);
    peer->public_key = copy_or_null(public_key);
    peer->secret_key = copy_or_null(secret_key);
    if (server_public_key && (!peer->server_public_key || !peer->public_key || !peer->secret_key))
        return PF_FAIL(err, PF_NO_SPACE, "cannot set up a connection to %s: out of memory or keys are missing",
                       peer->endpoint);
    return PF_OK;
}

static pf_status find_keys(pf_peer *peer, const pf_peer_options *options, pf_err *err)
{
    pf_farm_key own;
    pf_status   st = PF_OK;

    if (options->server_public_key)
        return take_keys(peer, options->server_public_key, options->public_key, options->secret_key, err);
    st = pf_farm_key_own(&own, err);
    if (!st && own.name[0])
        st = take_keys(peer, own.server_key, own.public_key, own.secret_key, err);
    pf_farm_key_clear(&own);
    return st;
}

pf_status pf_peer_open(const pf_peer_options *options, pf_peer **out, pf_err *err)
{
    pf_status st = PF_OK;
    pf_peer  *peer = pf_calloc(1, sizeof *peer);

    *out = NULL;
    if (!peer)
        return PF_FAIL_MEMORY(err, sizeof *peer);
    peer->endpoint = pf_strdup(options->endpoint);
    peer->role = options->role;
    peer->context = zmq_ctx_new();
    if (!peer->endpoint || !peer->context) {
        st = PF_FAIL(err, PF_NO_SPACE, "cannot set up a connection to %s: out of memory", options->endpoint);
        goto out;
    }
    st = find_keys(peer, options, err);
    if (st)
        goto out;
    randombytes_buf(&peer->next_msg_id, sizeof peer->next_msg_id);
    peer->next_msg_id >>= 16;       /* room to count up without ever reaching 0 */
    st = connect_socket(peer, err);
    if (st)
        goto out;
    *out = peer;
    peer = NULL;
out:
    pf_peer_close(peer);
    return st;
}

static void close_socket(pf_peer *peer, int linger_ms)
{
    if (!peer->socket)
        return;
    zmq_setsockopt(peer->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_close(peer->socket);
    peer->socket = NULL;
}

void pf_peer_close(pf_peer *peer)
{
    if (!peer)
        return;
    close_socket(peer, 1000);
    if (peer->context)
        zmq_ctx_term(peer->context);
    pf_free(peer->endpoint);
    pf_free(peer->server_public_key);
    pf_free(peer->public_key);
    if (peer->secret_key)
        sodium_memzero(peer->secret_key, strlen(peer->secret_key));
    pf_free(peer->secret_key);
    pf_free(peer);
}

const char *pf_peer_endpoint(const pf_peer *peer)
{
    return peer->endpoint;
}

void *pf_peer_socket(pf_peer *peer)
{
    return peer->socket;
}

pf_status pf_peer_reconnect(pf_peer *peer, pf_err *err)
{
    close_socket(peer, 0);
    peer->heard_ns = 0;
    return connect_socket(peer, err);
}

static pf_status send_frame(pf_peer *peer, const pf_buf *frame, int timeout_ms, pf_err *err)
{
    int sent = -1;

    if (!peer->socket)
        return PF_FAIL(err, PF_UNREACHABLE, "no connection to %s", peer->endpoint);
    zmq_setsockopt(peer->socket, ZMQ_SNDTIMEO, &timeout_ms, sizeof timeout_ms);
    do
        sent = zmq_send(peer->socket, frame->data, frame->size, 0);
    while (sent < 0 && errno == EINTR && timeout_ms == 0);
    if (sent < 0)
        return PF_FAIL(err, PF_UNREACHABLE, "no connection to %s", peer->endpoint);
    return PF_OK;
}

pf_status pf_peer_send(pf_peer *peer, pf_msg_type type, const pf_wire_header *header, const ProtobufCMessage *body,
                       uint64_t *sent_id, pf_err *err)
{
    pf_wire_header full = { 0 };
    pf_buf         frame = { 0 };
    pf_status      st = PF_OK;

    if (header)
        full = *header;
    if (full.msg_id == 0)
        full.msg_id = ++peer->next_msg_id;
    if (sent_id)
        *sent_id = full.msg_id;
    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    st = pf_wire_pack(type, &full, body, &frame, err);
    if (!st)
        st = send_frame(peer, &frame, 0, err);
    pf_buf_clear(&frame);
    return st;
}

static int poll_ms(int64_t left_ns)
{
    int64_t ms = (left_ns + PF_NS_PER_MS - 1) / PF_NS_PER_MS;

    if (left_ns < 0)
        return 0;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* TIMEOUT when nothing came before deadline_ns (negative: never); INVALID when what came is not for us. */
static pf_status receive_frame(pf_peer *peer, int64_t deadline_ns, pf_message *out, pf_err *err)
{
    zmq_pollitem_t item = { .socket = peer->socket, .events = ZMQ_POLLIN };
    zmq_msg_t      frame;
    pf_status      st = PF_OK;
    pf_err         why = { 0 };

    if (zmq_poll(&item, 1, deadline_ns < 0 ? -1 : poll_ms(deadline_ns - pf_clock_ns())) <= 0)
        return PF_FAIL(err, PF_TIMEOUT, "nothing came from %s", peer->endpoint);
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, peer->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&frame);
        return PF_FAIL(err, PF_TIMEOUT, "nothing came from %s", peer->endpoint);
    }
    peer->heard_ns = pf_clock_ns();
    st = pf_wire_unpack(zmq_msg_data(&frame), zmq_msg_size(&frame), PF_ROLE_COORD, peer->role, out, &why);
    if (st || zmq_msg_more(&frame)) {
        pf_log(PF_LOG_WARN, "wire", "dropped from=%s reason=\"%s\"", peer->endpoint, why.msg);
        pf_message_clear(out);
        st = PF_INVALID;
    }
    zmq_msg_close(&frame);
    return st;
}

pf_status pf_peer_receive(pf_peer *peer, int64_t timeout_ns, pf_message *out, pf_err *err)
{
    int64_t   deadline_ns = timeout_ns < 0 ? -1 : pf_clock_ns() + timeout_ns;
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    if (!peer->socket)
        return PF_FAIL(err, PF_UNREACHABLE, "no connection to %s", peer->endpoint);
    do
        st = receive_frame(peer, deadline_ns, out, err);
    while (st == PF_INVALID);
    return st;
}

pf_status pf_peer_error(const pf_message *message, pf_err *err)
{
    const Pf__Error *e = (const Pf__Error *)message->body;
    pf_status        st = pf_status_from_exit_code((int)e->exit_code);

    if (st == PF_OK)
        st = PF_INTERNAL;
    return PF_FAIL(err, st, "%s", e->message);
}

/* Waits until turn_ns for the answer to id. */
static pf_status await_answer(pf_peer *peer, uint64_t id, int64_t turn_ns, pf_message *out)
{
    for (;;) {
        pf_status st = receive_frame(peer, turn_ns, out, NULL);
        if (st == PF_OK && out->header.correlation_id == id)
            return PF_OK;
        pf_message_clear(out);
        if (st == PF_TIMEOUT)
            return st;
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* One sending and its wait; a socket over which nothing was heard for too long is replaced. */
static pf_status call_once(pf_peer *peer, const pf_buf *frame, uint64_t id, int64_t deadline_ns,
                           int64_t *quiet_since_ns, pf_message *out)
{
    int64_t   turn_ns = earlier(pf_clock_ns() + PF_PEER_RETRY_NS, deadline_ns);
    pf_status st = PF_OK;

    if (!peer->socket && pf_peer_reconnect(peer, NULL))
        return PF_UNREACHABLE;
    st = send_frame(peer, frame, poll_ms(turn_ns - pf_clock_ns()), NULL);
    if (!st)
        st = await_answer(peer, id, turn_ns, out);
    if (!st)
        return PF_OK;
    if (peer->heard_ns > *quiet_since_ns)
        *quiet_since_ns = peer->heard_ns;
    if (pf_clock_ns() - *quiet_since_ns > PF_PEER_SILENT_NS) {
        pf_peer_reconnect(peer, NULL);
        *quiet_since_ns = pf_clock_ns();
    }
    return PF_UNREACHABLE;
}

pf_status pf_peer_call(pf_peer *peer, pf_msg_type type, const ProtobufCMessage *body, pf_msg_type expect,
                       int64_t timeout_ns, pf_message *out, pf_err *err)
{
    pf_wire_header header = { .msg_id = ++peer->next_msg_id };
    int64_t        quiet_since_ns = pf_clock_ns();
    int64_t        deadline_ns = quiet_since_ns + timeout_ns;
    pf_buf         frame = { 0 };
    pf_status      st = PF_OK;

    memset(out, 0, sizeof *out);
    pf_buf_init(&frame, PF_WIRE_FRAME_BYTES);
    st = pf_wire_pack(type, &header, body, &frame, err);
    if (st)
        goto out;
    do
        st = call_once(peer, &frame, header.msg_id, deadline_ns, &quiet_since_ns, out);
    while (st && pf_clock_ns() < deadline_ns);
    if (st) {
        st = PF_FAIL(err, PF_UNREACHABLE,
                     "the farm at %s does not answer: is planfarm-coordinator running there, and %s", peer->endpoint,
                     peer->server_public_key ? "does it know this key?"
                                             : "does it want a key (" PF_FARM_KEY_VARIABLE ")?");
    } else if (out->info->type == PF_MSG_ERROR) {
        st = pf_peer_error(out, err);
        pf_message_clear(out);
    } else if (out->info->type != expect) {
        st = PF_FAIL(err, PF_INVALID, "the farm at %s answered with %s, which was not asked for", peer->endpoint,
                     out->info->name);
        pf_message_clear(out);
    }
out:
    pf_buf_clear(&frame);
    return st;
}
