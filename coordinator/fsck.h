/* Looks over a state folder on which nobody runs: every row, the core's invariants, and every plan's bytes. */
#ifndef PF_COORDINATOR_FSCK_H
#define PF_COORDINATOR_FSCK_H

#include "coordinator/core.h"
#include "coordinator/state_dir.h"

typedef struct pf_fsck_report {         /* open */
    uint64_t rows[PF_ROWS_COUNT], bad_rows;
    uint64_t plans, plans_missing, plans_damaged;
} pf_fsck_report;

/* say is called with a sentence for each thing that is wrong.  Damaged plans are removed from the store when repair says
   so: they are built again when asked for.
   Errors   CORRUPT: something is wrong that only a backup helps against (rows, invariants). */
pf_status pf_fsck(const pf_state_dir *dir, uint64_t map_bytes, bool repair, void (*say)(void *user, const char *line), void *user,
                  pf_fsck_report *out, pf_err *err);

#endif
