/* The inside of a pf_timing_db, for cache/timing_db*.c alone. */
#ifndef PF_CACHE_TIMING_DB_PRIVATE_H
#define PF_CACHE_TIMING_DB_PRIVATE_H

#include <stdatomic.h>

#include "cache/timing_db.h"

typedef enum pf_timing_counter {
#define PF_COUNTER(NAME, name) PF_COUNTER_##NAME,
#include "cache/timing_counters.def"
#undef PF_COUNTER
    PF_COUNTER_COUNT
} pf_timing_counter;

struct pf_timing_db {
    pf_timing_env   *env;
    _Atomic uint64_t counter[PF_COUNTER_COUNT];     /* since they were last added to the stored ones */
};

struct pf_timing_batch {
    pf_timing_db *db;
    MDB_txn      *txn;
    uint64_t      merged;       /* records */
    bool          changed;      /* something was written */
};

/* PF_OK with count 0 when there is none.  Errors  CORRUPT; STALE: of a newer version; what LMDB says. */
pf_status pf_timing_db_read_record(pf_timing_db *db, MDB_txn *txn, const pf_timing_key *key, pf_timing_record *out,
                                   pf_err *err);

#endif
