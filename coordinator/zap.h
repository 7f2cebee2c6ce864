/* The ZAP handler (ZeroMQ RFC 27): decides for every new connection whether its CURVE key is in the ring.  Without it
   libzmq lets any key in, so it runs before the sockets are bound, and pf_zap_self_test proves that it is asked.
   Thread   started and stopped by one. */
#ifndef PF_COORDINATOR_ZAP_H
#define PF_COORDINATOR_ZAP_H

#include "coordinator/authority.h"

typedef struct pf_zap pf_zap;

/* One per context. authority is borrowed. */
pf_status pf_zap_start(void *context, pf_authority *authority, pf_zap **out, pf_err *err);
void      pf_zap_stop(pf_zap *zap);                     /* NULL is fine */

/* Connects to the endpoint with a key that was made just now, whose refusal is not logged.  Errors   DENIED: it was let
   in: the process must end. */
pf_status pf_zap_self_test(pf_zap *zap, const char *endpoint, const char *server_public_key, pf_err *err);

#endif
