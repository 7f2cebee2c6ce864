/* Models that the agent fetched, by digest, so that the next build of the same model need not fetch them again.
   Any number of processes of one host may use it at once: a blob is fetched by one of them while the others wait, and
   goes on from where a killed one stopped.
   Layout   FOLDER/blobs/<digest>, FOLDER/locks/<first two digits>
   Thread   one at a time per pf_blob_cache. */
#ifndef PF_BUILDER_AGENT_BLOB_CACHE_H
#define PF_BUILDER_AGENT_BLOB_CACHE_H

#include <limits.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"
#include "proto/transfer/transfer.h"

typedef struct pf_blob_cache {      /* open to readers */
    char     blobs[PATH_MAX], locks[PATH_MAX];
    uint64_t limit_bytes;           /* blobs not used for longest are removed beyond it */
    pf_transfer *transfer;          /* borrowed; it keeps partials */
    pf_transfer_watch *watch;       /* called while another process fetches as well */
    void    *user;
    /* (optional) where blobs come from instead of transfer: fills the file at path with what has this digest. */
    pf_status (*origin)(void *user, const char *path, pf_err *err);
} pf_blob_cache;

#define PF_BLOB_BYTES_UNKNOWN UINT64_MAX

/* Makes the folders. */
pf_status pf_blob_cache_init(pf_blob_cache *cache, const char *folder, uint64_t limit_bytes, pf_err *err);
/* bytes: its size, or PF_BLOB_BYTES_UNKNOWN, and then a blob that is here is read to see that it is sound.  Makes
   target, a path on the same file system, a link to the blob, which is fetched when it is not there.  target stays
   whole when the cache removes the blob.
   Errors   those of pf_transfer_get_blob; CORRUPT: not of that size. */
pf_status pf_blob_cache_link(pf_blob_cache *cache, const pf_digest *digest, uint64_t bytes, const char *target,
                             pf_err *err);
/* Removes a blob that proved to be damaged. */
void      pf_blob_cache_drop(pf_blob_cache *cache, const pf_digest *digest);
/* Removes blobs until at most keep_bytes are used; those that somebody holds are left. */
void      pf_blob_cache_trim(pf_blob_cache *cache, uint64_t keep_bytes);

#endif
