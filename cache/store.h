/* Blobs by their SHA-256: models, plans, logs.

   Invariants
   1. A file under its final name is complete: it is written under another name, synced, and then renamed.
   2. A blob's name is the digest of its bytes; a writer that was told another digest publishes nothing.
   3. What a crash leaves behind in tmp/ is removed when the store is opened.
   Layout   FOLDER/sha256/ab/abcd...  (64 hex digits), FOLDER/tmp/, FOLDER/usage (only after a clean close).
   Thread   any; a writer belongs to one thread at a time. One process per folder. */
#ifndef PF_CACHE_STORE_H
#define PF_CACHE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"

typedef struct pf_store pf_store;
typedef struct pf_store_writer pf_store_writer;

/* Makes the folder when absent. limit_bytes: blobs that would take the store over it are refused; 0: no limit.
   Errors   IO, NO_SPACE. */
pf_status pf_store_open(const char *folder, uint64_t limit_bytes, pf_store **out, pf_err *err);
void      pf_store_close(pf_store *store);              /* NULL is fine; no writer may be open */
uint64_t  pf_store_bytes_used(const pf_store *store);
uint64_t  pf_store_blob_count(const pf_store *store);
uint64_t  pf_store_removed_count(const pf_store *store);  /* since it was opened */

bool      pf_store_has(const pf_store *store, const pf_digest *digest, uint64_t *bytes);   /* bytes may be NULL */
/* Opens a blob for reading. verify: hashes it first.
   Owns     *fd is the caller's.  Errors   NOT_FOUND, CORRUPT: the bytes are not what the name says, IO. */
pf_status pf_store_open_blob(const pf_store *store, const pf_digest *digest, bool verify, int *fd, uint64_t *bytes,
                             pf_err *err);
/* Where the blob lies or would lie. */
pf_status pf_store_path(const pf_store *store, const pf_digest *digest, char *out, size_t capacity, pf_err *err);
/* Reads a blob of at most limit_bytes and checks its digest.  Errors   as above, NO_SPACE: larger. */
pf_status pf_store_read(const pf_store *store, const pf_digest *digest, size_t limit_bytes, pf_buf *out, pf_err *err);
/* Reads all of it; a damaged one is removed, so that it is missed and can be stored again.
   Errors   NOT_FOUND; CORRUPT: it was damaged, and is gone; IO. */
pf_status pf_store_check(pf_store *store, const pf_digest *digest, pf_err *err);
/* Marks it as used now, for whoever removes old blobs. */
void      pf_store_touch(const pf_store *store, const pf_digest *digest);
/* Errors   NOT_FOUND, IO. */
pf_status pf_store_remove(pf_store *store, const pf_digest *digest, pf_err *err);
/* Removes it unless it was used since; looked at while nobody can find it, so a use in between is not missed.
   *removed tells. */
pf_status pf_store_remove_unused(pf_store *store, const pf_digest *digest, int64_t since_wall_ns, bool *removed,
                                 pf_err *err);

/* Stores bytes at hand; *digest (may be NULL) tells their name. */
pf_status pf_store_put(pf_store *store, const void *data, size_t bytes, pf_digest *digest, pf_err *err);

/* Begins a blob. expect (may be NULL): the digest it must have. limit_bytes: most that it may have.
   Errors   NO_SPACE: the store's limit is reached, IO. */
pf_status pf_store_writer_open(pf_store *store, const pf_digest *expect, uint64_t limit_bytes, pf_store_writer **out,
                               pf_err *err);
/* Errors   NO_SPACE: over a limit or the disk is full; INVALID after an earlier failure. */
pf_status pf_store_writer_add(pf_store_writer *writer, const void *data, size_t bytes, pf_err *err);
/* Takes the writer, whatever happens.  *was_there (may be NULL): the blob existed already.
   Errors   MISMATCH: another digest than expected, NO_SPACE, IO; nothing is left behind then. */
pf_status pf_store_writer_commit(pf_store_writer *writer, pf_digest *digest, bool *was_there, pf_err *err);
void      pf_store_writer_abort(pf_store_writer *writer);   /* takes it; NULL is fine */

/* Calls each for every blob, in no order. Blobs may be removed from inside. Stops when each returns false. */
typedef bool pf_store_visit(void *user, const pf_digest *digest, uint64_t bytes, int64_t used_wall_ns);
pf_status pf_store_walk(const pf_store *store, pf_store_visit *each, void *user, pf_err *err);

#endif
