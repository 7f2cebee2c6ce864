/* Numbers for those who watch the farm, as Prometheus reads them.
   The server's thread gathers them now and then; HTTP threads read the text of the last time. */
#ifndef PF_COORDINATOR_METRICS_H
#define PF_COORDINATOR_METRICS_H

#include "base/buf.h"
#include "base/status.h"
#include "coordinator/core.h"
#include "coordinator/db.h"
#include "coordinator/router.h"

typedef struct pf_metrics pf_metrics;

enum { PF_HISTOGRAM_STEPS = 12 };

typedef struct pf_histogram {           /* open: counts of values up to first * 2^i, and above */
    double   first;
    uint64_t count[PF_HISTOGRAM_STEPS + 1];
    double   sum;
} pf_histogram;

void pf_histogram_add(pf_histogram *histogram, double value);

/* What the server counts itself; owned by it. */
typedef struct pf_server_counts {
    pf_histogram commit_seconds, ack_seconds, batch_writes;
    uint64_t     free_bytes;
    bool         refusing;
    uint64_t     blobs_bytes, blobs_count, collected_blobs, collected_bytes;
    int64_t      backup_ns;             /* wall time of the last copy */
    uint64_t     timing_lookups, timing_hits, timing_stored, timing_refused;
} pf_server_counts;

pf_status pf_metrics_new(pf_metrics **out, pf_err *err);
void      pf_metrics_free(pf_metrics *metrics);
/* Thread   the server's. */
void      pf_metrics_gather(pf_metrics *metrics, const pf_core *core, pf_now now, const pf_db *db,
                            const pf_server_counts *counts, const pf_router *clients, const pf_router *agents);
/* Appends the text.  Thread   any. */
void      pf_metrics_text(pf_metrics *metrics, pf_buf *out);
/* Why no new work is taken, "" when it is; said by /readyz.  Thread   any. */
void      pf_metrics_refusal(pf_metrics *metrics, char *out, size_t capacity);
void      pf_metrics_set_refusal(pf_metrics *metrics, const char *why);     /* NULL or "" when ready */

#endif
