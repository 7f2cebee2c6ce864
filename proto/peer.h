/* The client's and the agent's end of a connection to the coordinator: a DEALER socket.

   Invariants
   1. A request keeps its msg_id when it is sent again, so the coordinator and the caller can tell that it is the same.
   2. Nothing is queued for a coordinator that is not connected: a send then ends with UNREACHABLE.
   3. After PF_PEER_SILENT_NS without a sign of life during a call, the socket is closed and made anew (Lazy Pirate).
   Thread   one at a time; the socket belongs to the thread that uses it. */
#ifndef PF_PROTO_PEER_H
#define PF_PROTO_PEER_H

#include <stdint.h>

#include "base/status.h"
#include "proto/wire.h"

#define PF_PEER_RETRY_NS  (INT64_C(2) * 1000000000)     /* a call is sent again after this long */
#define PF_PEER_SILENT_NS (INT64_C(6) * 1000000000)

typedef struct pf_peer pf_peer;

typedef struct pf_peer_options {    /* open; strings are copied */
    const char *endpoint;           /* "tcp://127.0.0.1:7701" */
    uint32_t    role;               /* PF_ROLE_CLIENT or PF_ROLE_AGENT */
    /* CURVE keys as Z85 text, all three or none; none: those of the file that PLANFARM_KEY names, if it does. */
    const char *server_public_key, *public_key, *secret_key;
} pf_peer_options;

/* Makes the socket; does not wait for the connection.  Errors   INVALID: endpoint or keys; DENIED, CORRUPT: the key
   file. */
pf_status pf_peer_open(const pf_peer_options *options, pf_peer **out, pf_err *err);
void      pf_peer_close(pf_peer *peer);                 /* NULL is fine; waits up to 1 s for what was sent */
const char *pf_peer_endpoint(const pf_peer *peer);      /* borrowed */

/* Sends a request and waits for its answer of type expect, sending again every PF_PEER_RETRY_NS until timeout_ns have
   passed.  Messages that answer something else are dropped, so an agent with offers to come uses send and receive.
   Owns     out: the caller clears it; its body is of expect's type.
   Errors   UNREACHABLE: no answer in time.  An ERROR answer becomes its status with its message. */
pf_status pf_peer_call(pf_peer *peer, pf_msg_type type, const ProtobufCMessage *body, pf_msg_type expect,
                       int64_t timeout_ns, pf_message *out, pf_err *err);

/* Sends one message without waiting.  msg_id 0 takes the next one; *sent_id (may be NULL) tells which it was.
   Errors   UNREACHABLE: not connected, or the coordinator takes nothing: try later with the same msg_id. */
pf_status pf_peer_send(pf_peer *peer, pf_msg_type type, const pf_wire_header *header, const ProtobufCMessage *body,
                       uint64_t *sent_id, pf_err *err);

/* Waits for one message.  Frames that fail their checks are dropped and waited over.  The caller clears out.
   Errors   TIMEOUT: none came in timeout_ns (0: do not wait, negative: for ever). */
pf_status pf_peer_receive(pf_peer *peer, int64_t timeout_ns, pf_message *out, pf_err *err);

/* Closes the socket and makes it anew; what was not sent is lost.  For an owner whose own heartbeats go unanswered. */
pf_status pf_peer_reconnect(pf_peer *peer, pf_err *err);

/* The ZeroMQ socket, for zmq_poll beside others; borrowed, and changed by pf_peer_reconnect and by calls. */
void *pf_peer_socket(pf_peer *peer);

/* What an ERROR message says: its status, and its message in err. */
pf_status pf_peer_error(const pf_message *message, pf_err *err);

#endif
