/* A build's timings, shared with the farm: a store over the agent's own timing db and the coordinator's.
   A lookup asks the farm for all problems at once and keeps what it learns; a merge is told to the farm at once, so
   that a killed build's timings are not lost to others.  While the coordinator is away the own db serves alone, and
   what it holds more than the farm is told at the next lookup.
   Thread   one at a time. */
#ifndef PF_BUILDER_AGENT_TIMING_FARM_H
#define PF_BUILDER_AGENT_TIMING_FARM_H

#include "base/timing_record.h"
#include "cache/timing_db.h"

/* db and local (a store over db) are borrowed until close.  coordinator: the address for agents.  lease_folder
   (borrowed as well): of the lease that the build has; the farm is told nothing while that does not hold (renewal.h).
   Errors   INVALID: the address; NO_SPACE. */
pf_status pf_timing_farm_store(pf_timing_db *db, pf_timing_store *local, const char *coordinator,
                               const char *lease_folder, pf_timing_store **out, pf_err *err);

#endif
