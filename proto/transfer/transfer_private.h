/* One HTTP request with its retries.  Internal to transfer*.c, but for pf_transfer_set_authorities. */
#ifndef PF_PROTO_TRANSFER_PRIVATE_H
#define PF_PROTO_TRANSFER_PRIVATE_H

#include <curl/curl.h>

#include "proto/transfer/transfer.h"

enum { PF_TRANSFER_PATH_BYTES = 512, PF_TRANSFER_REASON_BYTES = 2048 };

struct pf_transfer {
    CURL    *curl;
    char    *url;                       /* owned, no slash at its end */
    struct curl_slist *headers;         /* owned; the token's, or NULL */
    int64_t  connect_ns, stall_ns;
    uint32_t attempts;
    bool     keep_partial;
    pf_transfer_watch *watch;
    void    *user;
};

/* What a request takes and gives; a source or a sink may be absent. All callbacks answer false when they failed, and
   then have set failure and failure_err. */
typedef struct pf_transfer_request pf_transfer_request;
struct pf_transfer_request {
    char      path[PF_TRANSFER_PATH_BYTES];
    bool      head;                     /* HEAD instead of GET */
    uint64_t  from_byte;                /* ask for the rest from here; 0: all */
    /* (optional) called before the first byte of a good answer, whose code is known. */
    bool    (*begin)(pf_transfer_request *request);
    bool    (*add)(pf_transfer_request *request, const void *data, size_t bytes);
    /* PUT when given: *bytes is capacity, then what was read; rewind starts again from the first byte. */
    bool    (*read)(pf_transfer_request *request, void *out, size_t *bytes);
    bool    (*rewind)(pf_transfer_request *request);
    uint64_t  read_bytes;               /* in all */
    void     *user;
    uint64_t  progress_base;            /* added to what the watch is told */
    pf_status failure;                  /* of a callback */
    pf_err    failure_err;
    /* of the last attempt */
    long      code;
    int64_t   content_bytes;            /* as announced; -1: they were not */
    bool      begun;
    char      reason[PF_TRANSFER_REASON_BYTES];     /* what the server said, when it refused */
    size_t    reason_bytes;
    pf_transfer *transfer;
};

/* One attempt.  OK for a code below 400; request->code holds it. */
pf_status pf_transfer_once(pf_transfer *transfer, pf_transfer_request *request, pf_err *err);
/* Attempts until one ends with what will not pass. `again` (may be NULL) prepares another attempt. */
pf_status pf_transfer_perform(pf_transfer *transfer, pf_transfer_request *request,
                              bool (*again)(pf_transfer_request *request), pf_err *err);
/* Lets a server prove who it is by the authorities in the file that SSL_CERT_FILE names, as OpenSSL's programs do. */
void      pf_transfer_set_authorities(CURL *curl);
/* "/blobs/sha256/<hex>" */
void      pf_transfer_blob_path(const pf_digest *digest, char out[PF_TRANSFER_PATH_BYTES]);

#endif
