/* A file that grows while it comes in, and is hashed meanwhile; it gets its name when all of it is right.
   Thread   one at a time; one process per path. */
#ifndef PF_PROTO_TRANSFER_PARTIAL_H
#define PF_PROTO_TRANSFER_PARTIAL_H

#include <limits.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"

typedef struct pf_partial {             /* open to readers; fd -1 before pf_partial_open */
    int      fd;
    pf_hash  hash;                      /* of the first `at` bytes, which are in the file */
    uint64_t at, limit_bytes;
    uint64_t resumed_at;                /* bytes that an earlier process left here */
    char     path[PATH_MAX];
} pf_partial;

/* Opens the file at path, or makes it, and hashes what an earlier process left.  limit_bytes: most that it may have. */
pf_status pf_partial_open(const char *path, uint64_t limit_bytes, pf_partial *out, pf_err *err);
pf_status pf_partial_start_over(pf_partial *partial, pf_err *err);
/* what: names what comes in.  Errors   NO_SPACE: more than the limit, or the disk is full; IO. */
pf_status pf_partial_add(pf_partial *partial, const void *data, size_t bytes, const char *what, pf_err *err);
void      pf_partial_digest(const pf_partial *partial, pf_digest *out);
/* Gives it its name, replacing what is there. */
pf_status pf_partial_publish(const pf_partial *partial, const char *path, pf_err *err);
/* keep: for the next one to go on with. */
void      pf_partial_close(pf_partial *partial, bool keep);

#endif
