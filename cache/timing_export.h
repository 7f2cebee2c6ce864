/* Timing records as one file: to move between sites, to keep, to ship with a release.
   Form, little endian:
     "PFTIMING" 8 bytes, u32 version 1, u64 item count, u64 bytes of the items,
     items: u8 kind (1 class text, 2 problem text, 3 record), key (digest; of a record: class digest, problem digest),
            u64 length, bytes, first 8 bytes of the SHA-256 of all of the item before;
     SHA-256 of all before.
   Items lie in order of kind 3, 1, 2, each in order of key: equal contents give equal files.
   To change it: raise the version; readers refuse a newer one as STALE and go on reading the older ones.
   Contended entries are left out, and so are records that hold nothing else. */
#ifndef PF_CACHE_TIMING_EXPORT_H
#define PF_CACHE_TIMING_EXPORT_H

#include "cache/timing_db.h"

typedef struct pf_timing_transfer { uint64_t records, classes, problems, entries; } pf_timing_transfer;

/* Appends the whole db to out.  Errors  CORRUPT: a value is damaged (verify names it). */
pf_status pf_timing_export(pf_timing_db *db, pf_buf *out, pf_timing_transfer *done, pf_err *err);
/* Checks all of data, then merges all of it in one transaction: all or nothing.
   Errors   CORRUPT, INVALID: not an export; STALE: of a newer version. */
pf_status pf_timing_import(pf_timing_db *db, const void *data, size_t bytes, pf_timing_transfer *done, pf_err *err);
/* Only the checks. */
pf_status pf_timing_export_check(const void *data, size_t bytes, pf_timing_transfer *found, pf_err *err);
bool      pf_timing_is_export(const void *data, size_t bytes);     /* by its first bytes */

/* The same with files and folders.  from of merge is an export file or the folder of another timing db. */
pf_status pf_timing_export_file(pf_timing_db *db, const char *path, pf_timing_transfer *done, pf_err *err);
pf_status pf_timing_import_file(pf_timing_db *db, const char *path, pf_timing_transfer *done, pf_err *err);
pf_status pf_timing_merge_from(pf_timing_db *db, const char *from, pf_timing_transfer *done, pf_err *err);

#endif
