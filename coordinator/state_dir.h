/* The coordinator's folder: one process holds it, on a file system that keeps what it was told to.

     lock        held by the running process
     format      the version of all this: state_format.h
     db/         LMDB
     blobs/      cache/store.h
     timing/     cache/timing_db.h, shared by all agents
     keys/       signing keys; farm.key and ring on a farm with keys
     backup/     copies of db; format-N.mdb: as it was when the folder had version N
     endpoints   JSON: where the running process listens; absent when none runs
     reserve     space kept free for what must still be written on a full disk */
#ifndef PF_COORDINATOR_STATE_DIR_H
#define PF_COORDINATOR_STATE_DIR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct pf_state_dir {           /* open; zero it before use */
    char     path[PATH_MAX];
    int      lock_fd;                   /* -1 when not held */
    uint64_t reserve_bytes;
    bool     reserved;                  /* the reserve file is there */
} pf_state_dir;

/* Makes the folder when absent, and takes its lock.
   Errors   BUSY: another process holds it.  UNSUPPORTED: a network file system.  STALE: made by a newer planfarm.
            NO_SPACE, IO. */
pf_status pf_state_dir_open(const char *path, uint64_t reserve_bytes, bool any_file_system, pf_state_dir *out,
                            pf_err *err);
void      pf_state_dir_close(pf_state_dir *dir);
/* path + "/" + name. */
pf_status pf_state_dir_join(const pf_state_dir *dir, const char *name, char *out, size_t capacity, pf_err *err);

/* Bytes that may still be written, without the reserve. */
uint64_t pf_state_dir_free_bytes(const pf_state_dir *dir);
/* Gives the reserve to whoever writes next; false when it is gone already. */
bool     pf_state_dir_release(pf_state_dir *dir);
/* Takes the reserve again when there is room for it and as much besides.  True when it is there. */
bool     pf_state_dir_reserve(pf_state_dir *dir);

#endif
