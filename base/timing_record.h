/* What was measured of one problem on one device class: the shared vocabulary of engine, timing cache and wire.
   A record holds times of every candidate, not a winner; choosing is done elsewhere, by a pure function of records. */
#ifndef PF_BASE_TIMING_RECORD_H
#define PF_BASE_TIMING_RECORD_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"

typedef enum pf_timing_status {
    PF_TIMED,                   /* ran, gave the right answer, was timed */
    PF_TIMING_FAILED,           /* could not be prepared or run; reason says why */
    PF_TIMING_WRONG,            /* its answer differed from the reference; reason says by how much */
    PF_TIMING_OVER_LIMIT,       /* needs more workspace than allowed */
    PF_TIMING_TIMEOUT,
    PF_TIMING_DROPPED,          /* raced and was far behind: times hold, from few samples */
    PF_TIMING_STATUS_COUNT
} pf_timing_status;

typedef struct pf_timing_entry {
    char             tactic[48];
    char             tuning[192];
    uint16_t         rev;               /* of the tactic */
    pf_timing_status status;
    uint32_t         sample_count;
    int64_t          min_ns, median_ns, spread_ns;      /* spread: median absolute deviation */
    uint64_t         workspace_bytes;
    double           max_rel_error;     /* against the reference, relative to its range; of findings also -1: not
                                           compared, or a cosine */
    uint8_t          effort;            /* the greatest at which it was timed */
    uint8_t          contended;  /* 1: another process used the device: never chosen from, kept out of shared caches */
    uint32_t         clock_mhz;         /* 0: unknown */
    int64_t          wall_ns;           /* when */
    char             reason[128];
} pf_timing_entry;

typedef struct pf_timing_record {
    pf_timing_entry *entries;           /* owned; sorted by (tactic, tuning) */
    uint32_t         count, capacity;
    uint8_t          effort;            /* the highest effort at which all candidates were enumerated */
} pf_timing_record;

void      pf_timing_record_clear(pf_timing_record *record);
/* Puts entry in its place. An entry of the same (tactic, tuning): another rev or a better measurement replaces it:
   higher rev, then not contended, then more samples, then smaller spread, then newer.  Of two of one rev it has the
   greater effort. */
pf_status pf_timing_record_put(pf_timing_record *record, const pf_timing_entry *entry, pf_err *err);
pf_status pf_timing_record_merge(pf_timing_record *into, const pf_timing_record *from, pf_err *err);
/* Times taken while another process used the device help nobody else. */
void      pf_timing_record_drop_contended(pf_timing_record *record);
/* NULL when absent */
const pf_timing_entry *pf_timing_record_find(const pf_timing_record *record, const char *tactic, const char *tuning);
/* Little endian, versioned, with a checksum. The steps for changing the form stand above encode in the source. */
bool      pf_timing_record_encode(const pf_timing_record *record, pf_buf *out);
/* CORRUPT, STALE: newer version */
pf_status pf_timing_record_decode(const void *data, size_t bytes, pf_timing_record *out, pf_err *err);
/* The same of bytes that stand under another checksum, which was just checked. */
pf_status pf_timing_record_decode_checked(const void *data, size_t bytes, pf_timing_record *out, pf_err *err);
/* What the head says, and whether the lengths fit; the checksum is not looked at.  Errors as decode. */
pf_status pf_timing_record_head(const void *data, size_t bytes, uint8_t *effort, uint32_t *count, pf_err *err);

/* Where records live: memory, a local LMDB, or the farm. Filled by whoever owns the home.
   Thread   one at a time. */
typedef struct pf_timing_store pf_timing_store;
struct pf_timing_store {
    /* Records of many problems in one batch; absent ones come back with count 0. */
    pf_status (*lookup)(pf_timing_store *store, const pf_digest *device_class, const pf_digest *problems,
                        uint32_t count, pf_timing_record *out, pf_err *err);
    /* Merges entries into the problem's record, durable on return. Texts are kept for `explain`; once per class and
       problem suffices. */
    pf_status (*merge)(pf_timing_store *store, const char *class_text, const char *problem_text,
                       const pf_timing_record *entries, pf_err *err);
    void      (*close)(pf_timing_store *store);
    /* NULL in a home that nothing outlives.  candidate (tactic, tuning, rev) is tried now, and may end the process;
       NULL: nothing is any more.  See cache/trial.h. */
    void      (*note_trial)(pf_timing_store *store, const char *class_text, const char *problem_text,
                            const pf_timing_entry *candidate);
};
pf_status pf_timing_store_memory(pf_timing_store **out, pf_err *err);

#endif
