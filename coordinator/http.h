/* The HTTP side: blobs, manifests, keys, metrics, health, and the API for jobs (docs/openapi.yaml).  Its threads touch
   the store, the database (reading) and the metrics; the core they ask through the gateway.
   Thread   started and stopped by one. */
#ifndef PF_COORDINATOR_HTTP_H
#define PF_COORDINATOR_HTTP_H

#include <stdint.h>

#include "base/status.h"
#include "cache/store.h"
#include "coordinator/authority.h"
#include "coordinator/db.h"
#include "coordinator/gateway.h"
#include "coordinator/metrics.h"

typedef struct pf_http pf_http;

typedef struct pf_http_options {        /* open; all borrowed until pf_http_stop */
    const char *address;                /* "127.0.0.1" */
    int         port;                   /* 0: any free one */
    uint64_t    blob_limit_bytes;       /* of one upload */
    pf_store   *store;
    pf_db      *db;
    pf_metrics *metrics;
    pf_authority *authority;            /* asked for every request but those that anyone may make */
    pf_gateway *gateway;                /* stopped by pf_http_stop */
    const char *keys_text;              /* what GET /keys answers */
    const char *client_endpoint, *agent_endpoint;   /* what GET /endpoints answers */
} pf_http_options;

/* Errors   INVALID: the address; BUSY: the port is taken. */
pf_status pf_http_start(const pf_http_options *options, pf_http **out, pf_err *err);
void      pf_http_stop(pf_http *http);                  /* NULL is fine */
int       pf_http_port(const pf_http *http);

#endif
