/* The LMDB environment of a timing db: where it may lie, how it is opened, what LMDB's errors mean.
   A process must not open one environment twice (its locks would be lost), so all users of a folder in a process
   share one, counted.  Other processes of the host may open it at the same time.
   Thread   any. */
#ifndef PF_CACHE_TIMING_DB_ENV_H
#define PF_CACHE_TIMING_DB_ENV_H

#include <limits.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

typedef enum pf_timing_table {
    PF_TABLE_META,          /* "format" -> number */
    PF_TABLE_RECORDS,       /* class digest, problem digest -> timing record */
    PF_TABLE_CLASSES,       /* class digest -> its text */
    PF_TABLE_PROBLEMS,      /* problem digest -> its text */
    PF_TABLE_COUNTERS,      /* name -> number */
    PF_TABLE_COUNT
} pf_timing_table;

typedef struct pf_timing_env {          /* open to cache/timing_db*.c */
    MDB_env     *mdb;
    MDB_dbi      table[PF_TABLE_COUNT];
    char         folder[PATH_MAX];
    bool         read_only;
    int64_t      looked_wall_ns;        /* when all its pages were looked at last: at its opening, or before */
    bool         looked_now;            /* at its opening, or since */
    atomic_bool  broken;                /* a commit failed half-way: LMDB's next one could claim success wrongly */
    dev_t        device;
    ino_t        inode;
    uint32_t     users;
    struct pf_timing_env *next;
} pf_timing_env;

/* map_bytes: greatest size of the file (address space, not disk); read_only makes nothing.
   Errors   NOT_FOUND: read_only and there is none; UNSUPPORTED: on a network file system; STALE: written by another
            version; CORRUPT; BUSY: too many readers, or a container with the same process id uses it. */
pf_status pf_timing_env_open(const char *folder, uint64_t map_bytes, bool read_only, pf_timing_env **out, pf_err *err);
void      pf_timing_env_close(pf_timing_env *env);              /* NULL is fine */
/* Opening looks at all pages, but to write where that state of the file was found whole within the last day
   (lmdb_note.h); this does in any case, once.
   Errors   CORRUPT. */
pf_status pf_timing_env_look(pf_timing_env *env, pf_err *err);
pf_status pf_timing_env_begin(pf_timing_env *env, bool write, MDB_txn **out, pf_err *err);
pf_status pf_timing_env_commit(pf_timing_env *env, MDB_txn *txn, pf_err *err);     /* txn is taken */
/* Says what LMDB's code (or errno) means for a user of folder: "cannot <verb> the timing cache ...". */
pf_status pf_timing_env_fail(const char *folder, const char *verb, int code, pf_err *err);
/* Name of a network file system by the f_type of statfs(2); NULL when local. */
const char *pf_timing_env_network_name(uint64_t file_system_type);

#endif
