/* What lies in the tables of a timing db.  A value is, little endian:
     u32 version 1, u64 wall clock ns of its writing, u64 length, that many bytes,
     first 8 bytes of the SHA-256 of: table number as u8, key, all bytes before.
   The checksum covers the key, so that a value that lands under another key does not pass.  Newer versions keep the
   place of version and checksum, so that older readers can tell newer from damaged.
   Bytes: RECORDS as pf_timing_record_encode writes; CLASSES and PROBLEMS the text; COUNTERS a u64. */
#ifndef PF_CACHE_TIMING_DB_VALUE_H
#define PF_CACHE_TIMING_DB_VALUE_H

#include "base/hash.h"
#include "base/timing_record.h"
#include "cache/timing_db_env.h"

enum {
    PF_TIMING_KEY_BYTES = 2 * PF_DIGEST_BYTES,
    PF_TIMING_VALUE_LIMIT = 64 << 20,           /* bytes of one value */
    PF_TIMING_TEXT_LIMIT = 4 << 20,             /* bytes of a problem's text */
};

typedef struct pf_timing_key { pf_digest device_class, problem; } pf_timing_key;

typedef struct pf_timing_value { const void *data; size_t bytes; int64_t wall_ns; } pf_timing_value;

void      pf_timing_value_seal(pf_timing_table table, const MDB_val *key, const void *data, size_t bytes, pf_buf *out);
/* Borrows from stored.  Errors  CORRUPT; STALE: a newer version wrote it. */
pf_status pf_timing_value_open(pf_timing_table table, const MDB_val *key, const MDB_val *stored, pf_timing_value *out,
                               pf_err *err);
/* Checks all of a table's value: checksum, form, and for texts that the key is their digest. */
pf_status pf_timing_value_check(pf_timing_table table, const MDB_val *key, const MDB_val *stored, pf_err *err);

#endif
