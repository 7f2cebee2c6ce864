/* What is in a timing cache: figures for people and programs. */
#ifndef PF_CLIENT_CACHE_REPORT_H
#define PF_CLIENT_CACHE_REPORT_H

#include "cache/timing_db.h"
#include "cache/timing_export.h"
#include "client/verb.h"

/* export_bytes: of the file that db was filled from; 0: db is the cache itself, which has counters, too. */
pf_status pf_cache_report(pf_call *call, pf_timing_db *db, const char *place, uint64_t export_bytes, pf_err *err);
void      pf_transfer_report(pf_call *call, const char *verb, const char *path, const pf_timing_transfer *done);
const char *pf_timing_status_name(pf_timing_status status);        /* "timed" */

#endif
