/* Timing records on the disk of this machine, shared by all builds of a user or host: LMDB in a folder of its own.
   Invariants
   1. A record is stored together with the texts of its class and problem, in one transaction.
   2. A write is durable (fsync) when its call returns, and other processes see all of it or nothing.
   3. A stored value that fails its checksum is never used: a lookup drops it, counts it, logs an error and answers a
      miss.
   4. A value of a newer version is left alone: a lookup answers a miss.
   Any number of processes of one host may use a folder at once; it must lie on a local disk.
   Thread   a pf_timing_db from any; a store or batch from one at a time. */
#ifndef PF_CACHE_TIMING_DB_H
#define PF_CACHE_TIMING_DB_H

#include "base/timing_record.h"
#include "cache/timing_db_value.h"

typedef struct pf_timing_db pf_timing_db;

typedef struct pf_timing_db_options {
    uint64_t map_bytes;     /* most bytes that the file may grow to; 0: 64 GiB */
    bool     read_only;     /* makes nothing, drops nothing; NOT_FOUND when there is no timing db */
} pf_timing_db_options;

/* Makes the folder when it is absent.  options may be NULL.  Errors: those of pf_timing_env_open. */
pf_status   pf_timing_db_open(const char *folder, const pf_timing_db_options *options, pf_timing_db **out, pf_err *err);
void        pf_timing_db_close(pf_timing_db *db);          /* NULL is fine */
/* See pf_timing_env_look. */
pf_status   pf_timing_db_look(pf_timing_db *db, pf_err *err);
const char *pf_timing_db_folder(const pf_timing_db *db);

/* As pf_timing_store's lookup and merge.  merge leaves out nothing and fails with NO_SPACE when the disk is full.
   Errors   STALE from merge: a newer version wrote the record that is there, which stays. */
pf_status pf_timing_db_lookup(pf_timing_db *db, const pf_digest *device_class, const pf_digest *problems,
                              uint32_t count, pf_timing_record *out, pf_err *err);
pf_status pf_timing_db_merge(pf_timing_db *db, const char *class_text, const char *problem_text,
                             const pf_timing_record *entries, pf_err *err);

/* Text of a class or problem (table CLASSES or PROBLEMS), from pf_alloc.  Errors  NOT_FOUND. */
pf_status pf_timing_db_text(pf_timing_db *db, pf_timing_table table, const pf_digest *digest, char **text, pf_err *err);

/* Many merges in one transaction.  Other writers wait while a batch is open. */
typedef struct pf_timing_batch pf_timing_batch;
pf_status pf_timing_batch_begin(pf_timing_db *db, pf_timing_batch **out, pf_err *err);
pf_status pf_timing_batch_merge(pf_timing_batch *batch, const char *class_text, const char *problem_text,
                                const pf_timing_record *entries, pf_err *err);
pf_status pf_timing_batch_commit(pf_timing_batch *batch, pf_err *err);     /* batch is taken, also on failure */
void      pf_timing_batch_abort(pf_timing_batch *batch);                   /* NULL is fine */

/* The db as the home of a build's timings.  A build must not fail because its timings cannot be kept: when the disk is
   full or failing, merge keeps the entries in memory for the rest of the build and remembers why.
   Owns     the store borrows db; pf_timing_db_close after store->close. */
pf_status   pf_timing_db_store(pf_timing_db *db, pf_timing_store **out, pf_err *err);
/* The same, but merge answers at once: a thread of the store's own writes what has come meanwhile, in one transaction,
   since each takes some milliseconds of the disk.  lookup, warning and close wait until all is written.  What a killed
   process loses is what it measured in those milliseconds.  A merge that could not be written for a reason that is not
   the disk's is the next merge's failure.  Not for a process that forks and uses it on both sides. */
pf_status   pf_timing_db_store_behind(pf_timing_db *db, pf_timing_store **out, pf_err *err);
const char *pf_timing_db_store_warning(pf_timing_store *store);            /* one sentence; NULL when all was stored */

/* Calls visit for every value of a table, in key order, in short read transactions: changes made meanwhile may or may
   not be seen.  key and value are borrowed for the call; problem is PF_OK or what is wrong with the value, in reason.
   Visit returns anything but PF_OK to stop with that status. */
typedef struct pf_timing_visit {
    const MDB_val         *key;
    const pf_timing_value *value;           /* data NULL when it could not be opened */
    pf_status              problem;
    const char            *reason;
} pf_timing_visit;
typedef pf_status pf_timing_visitor(void *user, const pf_timing_visit *item, pf_err *err);
pf_status pf_timing_db_scan(pf_timing_db *db, pf_timing_table table, pf_timing_visitor *visit, void *user, pf_err *err);
/* The same from behind a key on, which need not be there; key_bytes 0: from the first. */
pf_status pf_timing_db_scan_after(pf_timing_db *db, pf_timing_table table, const void *key, size_t key_bytes,
                                  pf_timing_visitor *visit, void *user, pf_err *err);

#endif
