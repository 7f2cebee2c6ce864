/* Bytes over HTTP, to and from the coordinator's port (PROTOCOL.md, "HTTP"): texts, and blobs whose digest is checked
   while they come in.  Every wait is bounded; what failed for a reason that may pass is tried again after a pause, and
   a blob goes on from where it stopped.  The farm is spoken to directly: proxies of the environment are not used, and
   redirects are not followed.
   Errors of all   UNREACHABLE: no connection, or it broke or stood still at every attempt; NOT_FOUND, DENIED, NO_SPACE,
                   BUSY as the server said; CANCELLED: the watch answered false.
   Thread   one at a time. */
#ifndef PF_PROTO_TRANSFER_TRANSFER_H
#define PF_PROTO_TRANSFER_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"

typedef struct pf_transfer pf_transfer;

/* Called several times a second, also while nothing moves; false stops the transfer.  total_bytes 0: not known. */
typedef bool pf_transfer_watch(void *user, uint64_t done_bytes, uint64_t total_bytes);

typedef struct pf_transfer_options {    /* open; strings are copied; 0 and NULL give the defaults */
    const char *url;                    /* "http://host:7780" */
    const char *token;  /* bearer token, "": none; NULL: one made by the key that PLANFARM_KEY names, if it does */
    int64_t     connect_ns;             /* 5 s */
    int64_t     stall_ns;               /* 60 s: less than 1 KiB/s for so long ends an attempt */
    uint32_t    attempts;               /* 5 */
    bool        keep_partial;           /* what came of a blob that could not be finished stays, for the next call */
    pf_transfer_watch *watch;
    void       *user;
} pf_transfer_options;

/* Makes libcurl ready; every pf_transfer_new does.  Thread   any. */
pf_status   pf_transfer_start(pf_err *err);
/* Does not connect yet.  Errors   USAGE: not an http or https URL. */
pf_status   pf_transfer_new(const pf_transfer_options *options, pf_transfer **out, pf_err *err);
void        pf_transfer_free(pf_transfer *transfer);            /* NULL is fine */
const char *pf_transfer_url(const pf_transfer *transfer);       /* borrowed; without a slash at its end */

/* The body of GET <url><path>, of at most limit_bytes.  Initialises out, which the caller clears.
   Errors   NO_SPACE: longer. */
pf_status pf_transfer_get(pf_transfer *transfer, const char *path, size_t limit_bytes, pf_buf *out, pf_err *err);

/* Puts the blob into the file at path, which is replaced at once when the digest was verified.  Until then it grows in
   "<path>.<16 hex digits of the digest>.partial"; one that an earlier call left is gone on with.  One process per path.
   limit_bytes: most that it may have.
   Errors   CORRUPT: the bytes have another digest, NO_SPACE: more than limit_bytes, or the disk is full; IO.
            Nothing is left behind, but see keep_partial. */
pf_status pf_transfer_get_blob(pf_transfer *transfer, const pf_digest *digest, uint64_t limit_bytes, const char *path,
                               pf_err *err);

/* Stores the file as the blob of that digest; fine when it is there already.
   Errors   CORRUPT: the file has another digest. */
pf_status pf_transfer_put_blob(pf_transfer *transfer, const pf_digest *digest, const char *path, pf_err *err);
/* The same with bytes at hand. */
pf_status pf_transfer_put_bytes(pf_transfer *transfer, const pf_digest *digest, const void *data, size_t bytes,
                                pf_err *err);

#endif
