/* The core's rows in LMDB.  Full sync: when a commit returns, the rows are on disk.
   Thread   one thread commits; any may read with pf_db_get. */
#ifndef PF_COORDINATOR_DB_H
#define PF_COORDINATOR_DB_H

#include "base/buf.h"
#include "base/status.h"
#include "coordinator/core.h"

typedef struct pf_db pf_db;

/* Opens, or makes, the environment in folder.  map_bytes: the most that it may ever grow to.
   Errors   CORRUPT, IO, NO_SPACE. */
pf_status pf_db_open(const char *folder, uint64_t map_bytes, pf_db **out, pf_err *err);
void      pf_db_close(pf_db *db);                       /* NULL is fine */

/* Loads every row into the core; one that is damaged ends it.  A second thread checks sums meanwhile. */
pf_status pf_db_load(pf_db *db, pf_core *core, pf_err *err);
/* The same over damaged rows: bad is called for each.  counts: rows by table, good and bad. */
pf_status pf_db_load_all(pf_db *db, pf_core *core, uint64_t counts[PF_ROWS_COUNT],
                         void (*bad)(void *user, pf_status st, const pf_err *why), void *user, pf_err *err);
/* A compact copy, synced, under its name only when it is whole.  Errors   NO_SPACE, IO; nothing is left behind. */
pf_status pf_db_copy(pf_db *db, const char *path, pf_err *err);
/* All writes in one transaction.
   Errors   NO_SPACE: nothing was written; the same may be tried again.  IO: what is on disk is not known; it must
   end, because the next commit would succeed as if nothing had happened. */
pf_status pf_db_commit(pf_db *db, const pf_out *out, pf_err *err);
/* Room for the next commits (room.h), between commits and by who commits: whether some is wanted; makes a little. */
bool      pf_db_wants_room(const pf_db *db);
bool      pf_db_make_room(pf_db *db);
/* Copies one value into out.  Errors   NOT_FOUND. */
pf_status pf_db_get(pf_db *db, pf_table table, const void *key, size_t key_bytes, pf_buf *out, pf_err *err);
/* Bytes that rows take, and may take. */
void      pf_db_usage(const pf_db *db, uint64_t *used_bytes, uint64_t *limit_bytes);
/* Frees what readers that died left behind. */
void      pf_db_check_readers(pf_db *db);

#endif
