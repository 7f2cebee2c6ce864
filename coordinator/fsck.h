/* Looks over a state folder on which nobody runs: every row, the core's invariants, and every blob's bytes. */
#ifndef PF_COORDINATOR_FSCK_H
#define PF_COORDINATOR_FSCK_H

#include "coordinator/core.h"
#include "coordinator/state_dir.h"

typedef struct pf_fsck_report {         /* open */
    bool     has_opened;                /* the job database; else nothing was counted */
    uint64_t rows[PF_ROWS_COUNT], bad_rows;
    uint64_t plans, plans_missing;      /* and logs */
    uint64_t blobs, blobs_damaged;      /* models too */
} pf_fsck_report;

/* say is called with a sentence for each thing that is wrong.  Damaged blobs are removed from the store when repair
   says so: plans are built again when asked for, models stored again by the next who submits them.
   Errors   CORRUPT: something is wrong that only a backup helps against (rows, invariants). */
pf_status pf_fsck(const pf_state_dir *dir, uint64_t map_bytes, bool repair, void (*say)(void *user, const char *line),
                  void *user, pf_fsck_report *out, pf_err *err);

#endif
