/* Internal to http*.c. */
#ifndef PF_COORDINATOR_HTTP_PRIVATE_H
#define PF_COORDINATOR_HTTP_PRIVATE_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "coordinator/api.h"
#include "coordinator/http.h"
#include "coordinator/http_crowd.h"
#include "proto/message.h"

struct pf_http {
    pf_http_options    options;
    struct MHD_Daemon *daemon;
    pf_http_crowd     *crowd;
    _Atomic uint32_t   streams;         /* of events, open now */
    atomic_bool        checking;        /* a blob's bytes, for somebody who says that they are wrong */
};

/* One request while it is read, and while its answer is waited for. */
typedef struct pf_http_request {
    struct MHD_Connection *connection;
    /* an upload */
    pf_store_writer *writer;            /* NULL for other requests, and after a failure */
    pf_digest        digest;
    pf_status        status;
    pf_err           err;
    /* the API */
    pf_api_call      api;               /* its route is NULL for other requests */
    pf_buf           body;
    pf_gateway_call  call;
    bool             asked;
    char             key_name[PF_FARM_KEY_NAME];
} pf_http_request;

/* ---- http_answer.c */

enum MHD_Result pf_http_answer(struct MHD_Connection *connection, unsigned code, const char *type, const void *data,
                               size_t bytes);
enum MHD_Result pf_http_answer_text(struct MHD_Connection *connection, unsigned code, const char *text);
/* What every refusal is, of whatever path: the object of pf_api_failure.  header: one more, or NULL. */
typedef struct pf_http_header { const char *name, *value; } pf_http_header;
enum MHD_Result pf_http_fail(struct MHD_Connection *connection, unsigned code, pf_status status, const char *why,
                             const pf_http_header *header);
/* The same with the code that stands for the status where bytes are served. */
enum MHD_Result pf_http_answer_failure(struct MHD_Connection *connection, pf_status status, const pf_err *err);
enum MHD_Result pf_http_answer_json(struct MHD_Connection *connection, unsigned code, unsigned retry_after_s,
                                    const pf_http_header *header, const pf_buf *json);

/* ---- http_blobs.c */

enum MHD_Result pf_http_get_blob(pf_http *http, struct MHD_Connection *connection, const char *hex);
/* Without a writer on PF_OK: the blob is here. */
pf_status       pf_http_upload_begin(pf_http *http, struct MHD_Connection *connection, const char *hex,
                                     pf_http_request *up);
void            pf_http_upload_add(pf_http_request *up, const char *data, size_t bytes);
enum MHD_Result pf_http_upload_end(pf_http *http, struct MHD_Connection *connection, pf_http_request *up);

/* ---- http_pages.c; rest: what follows the page's prefix */

enum MHD_Result pf_http_get_plan(pf_http *http, struct MHD_Connection *connection, const char *rest);
enum MHD_Result pf_http_get_keys(pf_http *http, struct MHD_Connection *connection, const char *rest);
enum MHD_Result pf_http_get_endpoints(pf_http *http, struct MHD_Connection *connection, const char *rest);
enum MHD_Result pf_http_get_metrics(pf_http *http, struct MHD_Connection *connection, const char *rest);
enum MHD_Result pf_http_get_healthz(pf_http *http, struct MHD_Connection *connection, const char *rest);
enum MHD_Result pf_http_get_readyz(pf_http *http, struct MHD_Connection *connection, const char *rest);

/* ---- http_api.c: requests to the core */

/* Of the request's body; 0: not said. */
uint64_t        pf_http_announced_bytes(struct MHD_Connection *connection);
/* The headers are here and request->api is found: refuses what need not be read.  True when it may go on. */
bool            pf_http_api_begin(pf_http_request *request, const char *method, enum MHD_Result *result);
void            pf_http_api_add(pf_http_request *request, const char *data, size_t bytes);
/* All is here: asks the core, and answers when called again. */
enum MHD_Result pf_http_api_serve(pf_http *http, pf_http_request *request, const char *method, const char *url);

/* ---- http_events.c: server-sent events */

/* Begins the stream with the events of the first answer; takes request->api. */
enum MHD_Result pf_http_events_begin(pf_http *http, pf_http_request *request);

#endif
