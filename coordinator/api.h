/* The HTTP API without HTTP: requests become frames of the farm's messages, their answers become JSON.  Nothing here
   waits or is remembered; the core decides everything, as it does for the sockets.
   Thread   any. */
#ifndef PF_COORDINATOR_API_H
#define PF_COORDINATOR_API_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"
#include "proto/limits.h"
#include "proto/wire.h"

enum {
    PF_API_BODY_BYTES = 512 << 10,      /* most that a request's body may have */
    PF_API_ALLOW_BYTES = 64,
};

/* What came; all borrowed for the call. */
typedef struct pf_api_request {         /* open */
    const char *method, *path;
    const char *(*query)(void *user, const char *name);     /* NULL when the URL has none of that name */
    const char *unknown;            /* a parameter of the URL that pf_api_knows does not know; NULL: none */
    void       *user;
    const void *body;
    size_t      body_bytes;
} pf_api_request;

/* A request that was understood. */
typedef struct pf_api_call {            /* open; zero it before use */
    const struct pf_api_route *route;
    pf_msg_type type, reply;
    bool        events;                 /* a stream: ask again from where the answer ends */
    uint64_t    job_id;                 /* of the path; 0: none */
    bool        has_submit;
    uint8_t     submit_id[PF_SUBMIT_ID_BYTES];
    pf_buf      model;  /* SUBMIT: a list of the model's files to be stored as a blob first; empty: none */
    pf_buf      frame;                  /* for the core */
} pf_api_call;

void pf_api_call_clear(pf_api_call *call);

/* Whether any request takes a parameter of that name in its URL. */
bool      pf_api_knows(const char *parameter);

/* Finds the row of method and path, and takes from the path what it names.  allow: the methods that the path knows,
   "GET, DELETE"; "" when there is nothing at the path.
   Errors   NOT_FOUND: no such path; UNSUPPORTED: the path, but not with this method; INVALID: a malformed id. */
pf_status pf_api_find(const char *method, const char *path, pf_api_call *out, char allow[PF_API_ALLOW_BYTES],
                      pf_err *err);
/* PF_GRANT_* that the caller needs. */
uint32_t  pf_api_grants(const pf_api_call *call);
/* Fills call->frame, and call->model.  Errors   INVALID, NO_SPACE, with the member or parameter that is wrong. */
pf_status pf_api_pack(const pf_api_request *request, pf_api_call *call, pf_err *err);
/* A WATCH of what the call names, behind a position, answered within wait_ms. */
pf_status pf_api_pack_watch(pf_api_call *call, uint64_t after_sequence, uint32_t wait_ms, pf_err *err);

/* The frame that came back as JSON text, and the code to answer with; an ERROR frame as well.
   *retry_after_s: with 503, else 0.  Errors   INTERNAL, NO_SPACE. */
pf_status pf_api_answer(const pf_api_call *call, const void *frame, size_t bytes, unsigned *code,
                        unsigned *retry_after_s, pf_buf *json, pf_err *err);
/* The same for a failure that the core did not see. */
void      pf_api_failure(pf_status status, const char *message, pf_buf *json);
/* The HTTP code that a status means. */
unsigned  pf_api_code(pf_status status);

/* Server-sent events of a WATCH_REPLY: *after_sequence is where to go on, *final whether nothing more will come.
   Errors   those of an ERROR frame, with its message. */
pf_status pf_api_events(const void *frame, size_t bytes, uint64_t *after_sequence, bool *final, pf_buf *text,
                        pf_err *err);

#endif
