/* Counters of a timing db.  They are collected in memory and added to the stored ones with the next write and at close:
   after a crash the last few are missing, which no decision depends on. */
#ifndef PF_CACHE_TIMING_DB_COUNTERS_H
#define PF_CACHE_TIMING_DB_COUNTERS_H

#include "cache/timing_db_private.h"

const char *pf_timing_counter_name(pf_timing_counter counter);
pf_status   pf_timing_counters_add(pf_timing_db *db, MDB_txn *txn, pf_err *err);    /* to the stored ones, within txn */
void        pf_timing_counters_flush(pf_timing_db *db);  /* in a transaction of its own, when there is need */
pf_status   pf_timing_counters_read(pf_timing_db *db, uint64_t out[PF_COUNTER_COUNT], pf_err *err);

#endif
