/* The farm's shared timing cache: one thread owns the timing db, answers lookups and exports, and merges what agents
   measured.  All stores that wait are one transaction; each is answered when that is on disk.
   Thread   give, take and stop by one thread, the owner. */
#ifndef PF_COORDINATOR_TIMING_SERVICE_H
#define PF_COORDINATOR_TIMING_SERVICE_H

#include <stdint.h>

#include "base/hash.h"
#include "proto/wire.h"

typedef struct pf_timing_service pf_timing_service;

typedef struct pf_timing_reply {        /* open; freed with pf_timing_reply_free */
    uint64_t peer;
    pf_buf   frame;
} pf_timing_reply;

typedef struct pf_timing_totals { uint64_t lookups, hits, stored, refused; } pf_timing_totals;

/* Errors   those of pf_timing_db_open. */
pf_status pf_timing_service_start(const char *folder, uint64_t map_bytes, pf_timing_service **out, pf_err *err);
void      pf_timing_service_stop(pf_timing_service *service);      /* finishes the stores that wait; NULL is fine */

/* Takes the body of message, which is one of TIMING_*.  only_class: what an export is limited to, NULL for all.
   Errors   BUSY: too much waits; NO_SPACE. */
pf_status pf_timing_service_give(pf_timing_service *service, uint64_t peer, pf_message *message,
                                 const pf_digest *only_class, pf_err *err);
int       pf_timing_service_fd(const pf_timing_service *service);  /* readable when there are replies */
pf_timing_reply *pf_timing_service_take(pf_timing_service *service);   /* NULL when there is none */
void      pf_timing_reply_free(pf_timing_reply *reply);
/* Thread   any. */
void      pf_timing_service_totals(const pf_timing_service *service, pf_timing_totals *out);

#endif
