/* Group commit: one thread writes whole batches while the next one is being filled.
   Thread   give, take and stop by one thread, the owner. */
#ifndef PF_COORDINATOR_WRITER_H
#define PF_COORDINATOR_WRITER_H

#include "coordinator/db.h"
#include "coordinator/state_dir.h"

typedef struct pf_writer pf_writer;

/* db and dir are borrowed until pf_writer_stop. */
pf_status pf_writer_start(pf_db *db, pf_state_dir *dir, pf_writer **out, pf_err *err);
void      pf_writer_stop(pf_writer *writer);            /* finishes the batch it has; NULL is fine */

/* Lends a batch to be committed; one at a time. */
void      pf_writer_give(pf_writer *writer, const pf_out *batch);
/* Readable when a batch is done. */
int       pf_writer_fd(const pf_writer *writer);
/* True when the batch that was given is done; *st and err say how.  On anything but OK the process must end. */
bool      pf_writer_take(pf_writer *writer, pf_status *st, int64_t *commit_ns, pf_err *err);

#endif
