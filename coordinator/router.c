#include "coordinator/router.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ZeroMQ makes routing ids of a zero byte and 32 bits. */
enum { ROUTING_ID_BYTES = 5 };

/* See PROTOCOL.md, "Sockets".  Dead connections are found by TCP and by what the messages say, not by ZeroMQ's
   heartbeats: it keeps their timers in one list that it walks for each, which at ten thousand connections takes a
   core. */
static const struct option { int name, value; } socket_options[] = {
    { ZMQ_ROUTER_MANDATORY, 1 }, { ZMQ_SNDTIMEO, 0 },         { ZMQ_LINGER, 0 },
    { ZMQ_SNDHWM, 1000 },        { ZMQ_RCVHWM, 1000 },        { ZMQ_HANDSHAKE_IVL, 5000 },
    { ZMQ_TCP_KEEPALIVE, 1 },    { ZMQ_TCP_KEEPALIVE_IDLE, 10 }, { ZMQ_TCP_KEEPALIVE_INTVL, 5 },
    { ZMQ_TCP_KEEPALIVE_CNT, 3 }, { ZMQ_TCP_MAXRT, 20000 },  { ZMQ_BACKLOG, 1024 },
};

static pf_status bind_socket(pf_router *router, const char *address, int port, pf_err *err)
{
    char   endpoint[200] = "";
    size_t bytes = sizeof router->endpoint;

    if (port)
        snprintf(endpoint, sizeof endpoint, "tcp://%s:%d", address, port);
    else
        snprintf(endpoint, sizeof endpoint, "tcp://%s:*", address);
    if (zmq_bind(router->socket, endpoint) != 0)
        return PF_FAIL(err, errno == EADDRINUSE ? PF_BUSY : PF_INVALID, "cannot listen on %s: %s", endpoint,
                       zmq_strerror(errno));
    if (zmq_getsockopt(router->socket, ZMQ_LAST_ENDPOINT, router->endpoint, &bytes) != 0)
        return PF_FAIL(err, PF_IO, "cannot tell the port of %s: %s", endpoint, zmq_strerror(errno));
    return PF_OK;
}

static bool set_curve(pf_router *router, const pf_farm_key *server)
{
    int on = 1;

    return zmq_setsockopt(router->socket, ZMQ_CURVE_SERVER, &on, sizeof on) == 0 &&
           zmq_setsockopt(router->socket, ZMQ_CURVE_SECRETKEY, server->secret_key, PF_Z85_BYTES) == 0 &&
           zmq_setsockopt(router->socket, ZMQ_ZAP_DOMAIN, "planfarm", 8) == 0;
}

pf_status pf_router_open(void *context, uint32_t role, const char *address, int port, const pf_farm_key *server,
                         pf_router *out, pf_err *err)
{
    int64_t   frame_limit = PF_WIRE_FRAME_BYTES;
    size_t    fd_bytes = sizeof out->fd;
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    out->role = role;
    out->unread = pf_unread_new();
    if (!out->unread)
        return PF_FAIL_MEMORY(err, sizeof *out);
    out->socket = zmq_socket(context, ZMQ_ROUTER);
    if (!out->socket) {
        st = PF_FAIL(err, PF_IO, "cannot make a socket: %s", zmq_strerror(errno));
        pf_router_close(out);
        return st;
    }
    for (size_t i = 0; i < sizeof socket_options / sizeof socket_options[0]; i++)
        zmq_setsockopt(out->socket, socket_options[i].name, &socket_options[i].value, sizeof(int));
    zmq_setsockopt(out->socket, ZMQ_MAXMSGSIZE, &frame_limit, sizeof frame_limit);
    if (server && !set_curve(out, server))
        st = PF_FAIL(err, PF_INVALID, "the farm's key is no CURVE key: %s", zmq_strerror(errno));
    if (!st)
        st = bind_socket(out, address, port, err);
    if (!st && zmq_getsockopt(out->socket, ZMQ_FD, &out->fd, &fd_bytes) != 0)
        st = PF_FAIL(err, PF_IO, "cannot wait for %s: %s", out->endpoint, zmq_strerror(errno));
    if (st)
        pf_router_close(out);
    return st;
}

void pf_router_close(pf_router *router)
{
    if (router->socket)
        zmq_close(router->socket);
    router->socket = NULL;
    pf_unread_free(router->unread);
    router->unread = NULL;
}

const char *pf_router_key_name(zmq_msg_t *frame)
{
    const char *name = zmq_msg_gets(frame, "User-Id");

    return name && name[0] ? name : NULL;
}

uint32_t pf_router_role_of(uint64_t peer)
{
    return (uint32_t)(peer >> 32);
}

static uint64_t peer_of(const pf_router *router, const uint8_t id[ROUTING_ID_BYTES])
{
    return (uint64_t)router->role << 32 | (uint64_t)id[1] << 24 | (uint64_t)id[2] << 16 | (uint64_t)id[3] << 8 | id[4];
}

/* Reads the rest of a message that will not be used. */
static void skip_rest(pf_router *router, zmq_msg_t *part)
{
    while (zmq_msg_more(part) && zmq_msg_recv(part, router->socket, ZMQ_DONTWAIT) >= 0)
        ;
    router->dropped++;
}

bool pf_router_receive(pf_router *router, uint64_t *peer, zmq_msg_t *frame)
{
    zmq_msg_t id;
    bool      got = false;

    zmq_msg_init(&id);
    zmq_msg_init(frame);
    while (!got && zmq_msg_recv(&id, router->socket, ZMQ_DONTWAIT) >= 0) {
        const uint8_t *bytes = zmq_msg_data(&id);
        if (zmq_msg_size(&id) != ROUTING_ID_BYTES || bytes[0] != 0 || !zmq_msg_more(&id)) {
            skip_rest(router, &id);
            continue;
        }
        *peer = peer_of(router, bytes);
        if (zmq_msg_recv(frame, router->socket, ZMQ_DONTWAIT) < 0)
            break;
        if (zmq_msg_more(frame))
            skip_rest(router, frame);
        else
            got = true;
    }
    zmq_msg_close(&id);
    router->quiet = !got;
    if (got)
        router->received++;
    else
        zmq_msg_close(frame);
    return got;
}

static bool send_to(pf_router *router, uint64_t peer, const void *frame, size_t bytes)
{
    uint8_t   id[ROUTING_ID_BYTES] = { 0, (uint8_t)(peer >> 24), (uint8_t)(peer >> 16), (uint8_t)(peer >> 8),
                                       (uint8_t)peer };
    zmq_msg_t large;

    if (bytes < PF_UNREAD_SMALL_BYTES)
        return zmq_send(router->socket, id, sizeof id, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
               zmq_send(router->socket, frame, bytes, ZMQ_DONTWAIT) >= 0;
    if (!pf_unread_message(router->unread, peer, frame, bytes, &large))
        return false;
    if (zmq_send(router->socket, id, sizeof id, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
        zmq_msg_send(&large, router->socket, ZMQ_DONTWAIT) >= 0)
        return true;
    zmq_msg_close(&large);
    return false;
}

bool pf_router_send(pf_router *router, uint64_t peer, const void *frame, size_t bytes)
{
    bool sent = send_to(router, peer, frame, bytes);

    router->quiet = false;
    router->sent += sent;
    router->unsent += !sent;
    return sent;
}
