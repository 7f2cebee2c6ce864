/* One of the coordinator's two ROUTER sockets: frames in, frames out, never waiting.
   A peer is named by the socket's role and the routing id that ZeroMQ gave it; a peer that brings a routing id of its
   own is not listened to, so that ids cannot be taken over.
   Thread   the one that opened it. */
#ifndef PF_COORDINATOR_ROUTER_H
#define PF_COORDINATOR_ROUTER_H

#include <stdint.h>
#include <zmq.h>

#include "base/status.h"
#include "coordinator/unread.h"
#include "proto/farm_key.h"
#include "proto/wire.h"

typedef struct pf_router {              /* open; zero it before use */
    void    *socket;
    uint32_t role;                      /* PF_ROLE_CLIENT or PF_ROLE_AGENT: who is at the other end */
    char     endpoint[256];             /* "tcp://127.0.0.1:40123" */
    int      fd;                        /* readable when ZeroMQ has something to tell, which is not always a message */
    bool     quiet;  /* nothing waited when it was last looked at, and nothing was sent since: only then fd says all */
    pf_unread *unread;                  /* owned */
    uint64_t received, sent, dropped, unsent;
} pf_router;

/* port 0: any free one.  server: the farm's key for CURVE, NULL without keys; the ZAP handler must run.
   Errors   INVALID: the address; BUSY: the port is taken; IO. */
pf_status pf_router_open(void *context, uint32_t role, const char *address, int port, const pf_farm_key *server,
                         pf_router *out, pf_err *err);
void      pf_router_close(pf_router *router);
/* False when nothing waits.  *frame is the caller's to zmq_msg_close.  Malformed envelopes are dropped inside. */
bool      pf_router_receive(pf_router *router, uint64_t *peer, zmq_msg_t *frame);
/* False when the peer is gone, takes nothing, or leaves too much unread. */
bool      pf_router_send(pf_router *router, uint64_t peer, const void *frame, size_t bytes);
/* The name of the key that the sender of the frame proved to have; NULL without keys.  Borrowed from the frame. */
const char *pf_router_key_name(zmq_msg_t *frame);
/* Role of the socket that the peer is connected to. */
uint32_t  pf_router_role_of(uint64_t peer);

#endif
