/* The version of a state folder: the number in its file "format".

   Versions   1
              2  rows of version 2 (rows.h)
              3  rows of version 3
   To raise it: 1. put its number here and into PF_STATE_FORMAT; 2. write the step that makes a folder of the version
   before into one of the new version, and put it last among the steps in state_format.c.  A step works on a folder on
   which nobody runs; it may be cut off anywhere and done again.  A folder is never taken back to an older version: what
   an older planfarm needs to go on is kept by the step, and docs/FARM.md says how to use it. */
#ifndef PF_COORDINATOR_STATE_FORMAT_H
#define PF_COORDINATOR_STATE_FORMAT_H

#include "coordinator/state_dir.h"

enum { PF_STATE_FORMAT = 3 };

/* Writes the file of a new folder, or takes an older one through the steps.  Its lock is held.
   Errors   STALE: made by a newer planfarm.  CORRUPT: the file says nothing that is understood, or is missing.
            NO_SPACE, IO. */
pf_status pf_state_format_open(const pf_state_dir *dir, pf_err *err);

#endif
