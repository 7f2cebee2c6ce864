/* Requests that come by HTTP, on their way to the core and back.  They are the frames of the sockets: an HTTP thread
   asks with one and gets one, and what the core promises in it is on disk by then.

   Invariants
   1. Every call that was asked is done exactly once: answered, or left without an answer when the gateway stops.
   2. Once done was called, the gateway does not touch the call.
   Thread   any; take and give: the server's; stop: the one that opened it. */
#ifndef PF_COORDINATOR_GATEWAY_H
#define PF_COORDINATOR_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "proto/farm_key.h"

enum { PF_GATEWAY_ROLE = 8 };           /* in the upper half of a peer's number, beside PF_ROLE_* */

typedef struct pf_gateway pf_gateway;
typedef struct pf_gateway_call pf_gateway_call;

struct pf_gateway_call {                /* open; the asker's, and left alone by it until done */
    pf_buf   frame;                     /* the request */
    char     key_name[PF_FARM_KEY_NAME];        /* of who asks; "" on a farm without keys */
    void   (*done)(pf_gateway_call *call);      /* called by the server's thread */
    void    *user;
    pf_buf   answer;                    /* a frame; empty: the coordinator stops */
    uint64_t peer;                      /* set by the gateway */
    bool     taken;
    pf_gateway_call *next;
};

pf_status pf_gateway_open(pf_gateway **out, pf_err *err);
void      pf_gateway_close(pf_gateway *gateway);        /* NULL is fine; it must be stopped */
/* From now on nothing is asked; what waits is done without an answer. */
void      pf_gateway_stop(pf_gateway *gateway);

/* False when it stops; the call is the caller's then. */
bool      pf_gateway_ask(pf_gateway *gateway, pf_gateway_call *call);
/* Readable when there is something to take. */
int       pf_gateway_fd(const pf_gateway *gateway);
/* The next call that was not taken yet, NULL when there is none; it waits until give. */
pf_gateway_call *pf_gateway_take(pf_gateway *gateway);
/* The answer to the call of that peer.  False when none waits. */
bool      pf_gateway_give(pf_gateway *gateway, uint64_t peer, const void *frame, size_t bytes);

#endif
