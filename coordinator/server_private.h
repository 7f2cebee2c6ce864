/* What the files of the server share: the loop (server.c), opening and closing (server_open.c), requests on their way
   to the core (server_requests.c), and what is done now and then (server_house.c). */
#ifndef PF_COORDINATOR_SERVER_PRIVATE_H
#define PF_COORDINATOR_SERVER_PRIVATE_H

#include "coordinator/authority.h"
#include "coordinator/backup.h"
#include "coordinator/collector.h"
#include "coordinator/db.h"
#include "coordinator/gateway.h"
#include "coordinator/http.h"
#include "coordinator/metrics.h"
#include "coordinator/models.h"
#include "coordinator/router.h"
#include "coordinator/server.h"
#include "coordinator/state_dir.h"
#include "coordinator/timing_service.h"
#include "coordinator/verifier.h"
#include "coordinator/writer.h"
#include "coordinator/zap.h"

enum { PF_SERVER_MISSING_MAX = 16384, PF_SERVER_ENDPOINTS_BYTES = 1024, PF_SERVER_BATCHES = 3 };

struct pf_server {
    pf_server_options options;
    pf_state_dir      dir;
    pf_db            *db;
    pf_store         *store;
    pf_core          *core;
    pf_models        *models;
    pf_writer        *writer;
    pf_verifier      *verifier;
    pf_timing_service *timings;
    pf_collector     *collector;
    pf_backup        *backup;
    pf_metrics       *metrics;
    pf_gateway       *gateway;          /* to the core, for HTTP */
    pf_http          *http;
    void             *context;
    pf_authority     *authority;
    pf_zap           *zap;
    pf_router         clients, agents;
    pf_signing_key    key[PF_SIGNING_KEYS_MAX];     /* newest first; all sign */
    uint32_t          keys_count;
    Pf__SigningKey    key_message[PF_SIGNING_KEYS_MAX];
    const Pf__SigningKey *key_list[PF_SIGNING_KEYS_MAX];
    pf_buf            keys_text;
    pf_server_counts  counts;
    int               stop_fd;
    pf_out            batch[PF_SERVER_BATCHES];     /* filled, committed and sent in turn */
    int               filling;          /* index of the one being filled */
    bool              committing;       /* the one before it */
    uint64_t          beats;            /* heartbeats that came */
    bool              only_beats;       /* the last turn heard nothing else */
    int64_t           batch_start_ns[PF_SERVER_BATCHES];
    int64_t           housekeeping_ns, readers_ns, collect_ns, backup_ns;
    pf_digest        *missing;          /* room for PF_SERVER_MISSING_MAX: what a lookup did not find */
    char              endpoints[PF_SERVER_ENDPOINTS_BYTES];
};

pf_now    pf_server_now(void);
/* One event through the core, into the batch that is being filled. */
pf_status pf_server_step(pf_server *server, const pf_event *event, pf_err *err);
/* Answers a peer of any kind.  False when it is gone or takes nothing. */
bool      pf_server_send(pf_server *server, uint64_t peer, const void *frame, size_t bytes);

/* A frame that came on a socket, and a call that came by HTTP, whose connection waits for exactly one answer.  What is
   wrong with them is answered; an error is one of the coordinator. */
pf_status pf_server_take_frame(pf_server *server, pf_router *router, uint64_t peer, zmq_msg_t *frame, pf_err *err);
pf_status pf_server_take_call(pf_server *server, pf_gateway_call *call, pf_err *err);

/* What is due of the disk, the blobs, the copies and the metrics. */
pf_status pf_server_keep_house(pf_server *server, pf_err *err);

#endif
