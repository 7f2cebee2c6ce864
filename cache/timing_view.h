/* Reading a timing db in place: one read transaction, from which stored forms are lent without a copy.
   What a view lends holds until it is closed.  An open view keeps pages that writers free from being used again: close
   it after milliseconds.
   Thread   a view by one at a time. */
#ifndef PF_CACHE_TIMING_VIEW_H
#define PF_CACHE_TIMING_VIEW_H

#include "cache/timing_db.h"

typedef struct pf_timing_view {         /* open to cache/timing_view.c; zero it before use */
    pf_timing_db *db;                   /* borrowed */
    MDB_txn      *txn;
    uint64_t      hits, misses;         /* added to the db's counts when the view is closed */
} pf_timing_view;

pf_status pf_timing_view_open(pf_timing_db *db, pf_timing_view *out, pf_err *err);
void      pf_timing_view_close(pf_timing_view *view);      /* of zeros is fine */

/* The stored form of a record with at least one entry, checked by the db's own checksum; *data NULL when there is none.
   A corrupt value is dropped, counted, logged and a miss; one of a newer version is logged and a miss. */
pf_status pf_timing_view_stored(pf_timing_view *view, const pf_timing_key *key, const void **data, size_t *bytes,
                                pf_err *err);
/* The same, decoded; count 0 when there is none. */
pf_status pf_timing_view_record(pf_timing_view *view, const pf_timing_key *key, pf_timing_record *out, pf_err *err);
/* A text, without a zero behind it.  Errors   NOT_FOUND; CORRUPT. */
pf_status pf_timing_view_text(pf_timing_view *view, pf_timing_table table, const pf_digest *digest, const char **text,
                              size_t *bytes, pf_err *err);

#endif
