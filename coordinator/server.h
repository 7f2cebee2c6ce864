/* The coordinator as a whole: sockets, core, writer, verifier, HTTP.

   One thread runs the loop: it reads frames, steps the core, and fills a batch of writes and sends.  While the writer
   commits one batch the next one is filled; the sends of a batch go out when all writes up to it are on disk.
   Thread   the one that opened it, but pf_server_stop. */
#ifndef PF_COORDINATOR_SERVER_H
#define PF_COORDINATOR_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "coordinator/core.h"

typedef struct pf_server pf_server;

typedef struct pf_server_options {      /* open; strings borrowed until pf_server_close */
    const char *state;                  /* folder */
    const char *listen;                 /* "127.0.0.1" */
    const char *http_url;               /* what clients are told, "" for host and port */
    const char *software;               /* "planfarm 0.1.0" */
    int         client_port, agent_port, http_port;     /* 0: any free one */
    uint64_t    map_bytes;              /* the database's limit */
    uint64_t    reserve_bytes;          /* kept free for a full disk */
    uint64_t    blobs_limit_bytes;      /* of the blob store, 0: none */
    uint64_t    blob_limit_bytes;       /* of one upload */
    int64_t     blob_age_ns;            /* blobs that no live entry names go when they were not used for so long */
    int64_t     blob_spare_ns;          /* and stay in any case for so long: a submit may be about to name them */
    bool        any_file_system;
    int64_t     backup_ns;              /* between two copies of the job database; 0: none */
    pf_core_config core;                /* its software, http_*, keys, seeds are set by the server */
} pf_server_options;

void      pf_server_options_init(pf_server_options *options);
/* Opens everything, listens, and writes STATE/endpoints.
   Errors   BUSY: the state or a port is in use; UNSUPPORTED: the file system; DENIED: listening beyond loopback without
   keys; CORRUPT, STALE: the state; NO_SPACE, IO. */
pf_status pf_server_open(const pf_server_options *options, pf_server **out, pf_err *err);
void      pf_server_close(pf_server *server);           /* NULL is fine; removes STATE/endpoints */
/* Serves until pf_server_stop.  Errors   IO, NO_SPACE: a commit failed; nothing of it was acknowledged. */
pf_status pf_server_run(pf_server *server, pf_err *err);
/* Ends pf_server_run.  Thread   any; safe in a signal handler. */
void      pf_server_stop(pf_server *server);
/* The text of STATE/endpoints; borrowed. */
const char *pf_server_endpoints(const pf_server *server);

#endif
