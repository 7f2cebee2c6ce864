/* Compact copies of the job database, and going back to one.
   A copy is a whole database file: STATE/backup/jobs-<number>.mdb, higher numbers later.  It is written under another
   name, synced and renamed.  Blobs are not copied: they are found by their digests, or built again. */
#ifndef PF_COORDINATOR_BACKUP_H
#define PF_COORDINATOR_BACKUP_H

#include <limits.h>

#include "coordinator/db.h"
#include "coordinator/state_dir.h"

enum { PF_BACKUPS_KEPT = 3 };

typedef struct pf_backup pf_backup;

/* db and dir are borrowed until pf_backup_stop.  Thread   the owner. */
pf_status pf_backup_start(pf_db *db, const pf_state_dir *dir, pf_backup **out, pf_err *err);
void      pf_backup_stop(pf_backup *backup);            /* waits for a copy that is being made; NULL is fine */
/* Begins a copy in the background, unless one is being made. */
void      pf_backup_make(pf_backup *backup);
/* Wall time of the last good copy, 0 when there was none since the start. */
int64_t   pf_backup_made_ns(pf_backup *backup);

/* Puts the copy at path (NULL: the latest; used says which it was) in the place of the database, whose files stay
   beside it as "db.before".  Nobody may run on the state.  Errors   NOT_FOUND; CORRUPT: the copy is damaged, and
   nothing was changed. */
pf_status pf_backup_restore(const pf_state_dir *dir, const char *path, char used[PATH_MAX], pf_err *err);

#endif
