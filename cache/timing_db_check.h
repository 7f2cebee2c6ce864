/* Looking over a whole timing db: figures, damage, and what a key is near to. */
#ifndef PF_CACHE_TIMING_DB_CHECK_H
#define PF_CACHE_TIMING_DB_CHECK_H

#include "cache/timing_db.h"
#include "cache/timing_db_counters.h"

typedef struct pf_timing_class_stats {
    pf_digest digest;
    uint64_t  records, entries;
} pf_timing_class_stats;

typedef struct pf_timing_stats {
    uint64_t records, classes, problems;
    uint64_t entries[PF_TIMING_STATUS_COUNT];   /* by status */
    uint64_t contended;                         /* entries */
    uint64_t bad;                               /* values that could not be read */
    uint64_t file_bytes, used_bytes;            /* of the LMDB file; pages in use */
    int64_t  oldest_wall_ns, newest_wall_ns;    /* of entries; 0 when there are none */
    uint64_t counter[PF_COUNTER_COUNT];
    pf_timing_class_stats *by_class;            /* owned; in order of digest */
    uint32_t class_count, class_capacity;
} pf_timing_stats;

pf_status pf_timing_db_stats(pf_timing_db *db, pf_timing_stats *out, pf_err *err);
void      pf_timing_stats_clear(pf_timing_stats *stats);

/* Reads and checks every value.  bad(user, line) gets a sentence for each damaged one; repair drops those.
   Values of newer versions count as newer, not as bad. */
typedef struct pf_timing_verdict { uint64_t checked, bad, newer, dropped; } pf_timing_verdict;
pf_status pf_timing_db_verify(pf_timing_db *db, bool repair, void (*bad)(void *user, const char *line), void *user,
                              pf_timing_verdict *out, pf_err *err);

/* Digests of a table (CLASSES, PROBLEMS) whose hex form begins with prefix; at most capacity, *count may be larger. */
pf_status pf_timing_db_find(pf_timing_db *db, pf_timing_table table, const char *prefix, pf_digest *out,
                            uint32_t capacity, uint32_t *count, pf_err *err);

/* The stored record nearest to a key that is not there. */
typedef enum pf_timing_nearness { PF_NEAR_NOTHING, PF_NEAR_CLASS, PF_NEAR_PROBLEM } pf_timing_nearness;
typedef struct pf_timing_near {
    pf_timing_nearness how;     /* CLASS: same problem, another class; PROBLEM: same class, another problem */
    pf_timing_key      key;     /* of the stored record */
    uint32_t           distance;/* fields that differ */
    char               difference[1024];    /* "cudnn is 9.14, stored 9.19; ..." */
} pf_timing_near;
pf_status pf_timing_db_nearest(pf_timing_db *db, const char *class_text, const char *problem_text, pf_timing_near *out,
                               pf_err *err);

#endif
