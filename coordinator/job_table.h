/* All jobs by their ids, which were given out in order: pages of pointers, found by number and linked in order.
   Internal to the core. */
#ifndef PF_COORDINATOR_JOB_TABLE_H
#define PF_COORDINATOR_JOB_TABLE_H

#include "coordinator/index.h"

struct pf_job;

enum { PF_JOB_PAGE_JOBS = 64 };

typedef struct pf_job_page {
    uint64_t            number;         /* of the ids from number * PF_JOB_PAGE_JOBS on */
    struct pf_job_page *newer, *older;
    uint32_t            count;
    struct pf_job      *job[PF_JOB_PAGE_JOBS];  /* borrowed; NULL: none of that id */
} pf_job_page;

typedef struct pf_job_table {           /* open */
    pf_index     pages;                 /* owns them */
    pf_job_page *newest, *oldest;
    uint32_t     count;
} pf_job_table;

void pf_job_table_init(pf_job_table *table, const uint8_t seed[PF_INDEX_SEED_BYTES]);
void pf_job_table_clear(pf_job_table *table);
bool pf_job_table_reserve(pf_job_table *table, uint64_t count);         /* false when out of memory */
/* No job may have the id; cheap when it is above all others.  False when out of memory. */
bool pf_job_table_add(pf_job_table *table, uint64_t id, struct pf_job *job);
void pf_job_table_remove(pf_job_table *table, uint64_t id);             /* it must be in */
struct pf_job *pf_job_table_find(const pf_job_table *table, uint64_t id);       /* NULL when absent */

/* The job with the smallest id above, or the greatest below; NULL when there is none. */
struct pf_job *pf_job_table_above(const pf_job_table *table, uint64_t id);
struct pf_job *pf_job_table_below(const pf_job_table *table, uint64_t id);

#endif
