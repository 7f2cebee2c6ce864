/* Queries of a plan on one or several streams at once, with times of their parts.  Each stream has a context, memory
   and a thread of its own, and two queries in flight, so that the device always has its next one queued.  Elapsed time
   starts at an event recorded before the first query.
   A plan that only host tensors can serve has one query in flight on each stream, which the host's clock times as a
   whole: copies are part of its computation. */
#ifndef PF_CLIENT_BENCH_H
#define PF_CLIENT_BENCH_H

#include "engine/planfarm.h"

typedef struct pf_bench_options {
    uint32_t  iterations;       /* least number of queries of each stream after warm-up */
    double    warmup_ms;        /* queries whose computation starts earlier are dropped */
    double    duration_s;       /* least time after warm-up */
    bool      transfers;        /* copies are part of a query */
    bool      profiler;         /* the device's profiler records the queries that count, and nothing else */
    uint32_t  streams;          /* at least 1 */
    pf_ranges ranges;           /* what is named to a profiler; OFF: what the environment says */
} pf_bench_options;

typedef struct pf_query { double h2d_ms, compute_ms, d2h_ms, enqueue_ms, latency_ms; } pf_query;

typedef struct pf_bench {
    pf_query *queries;          /* owned; those that count, stream by stream */
    uint32_t  count, capacity;
    uint32_t  warmup_count;
    double    walltime_s;       /* from the start of the first query that counts to the end of the last */
    pf_device_sample device;    /* while the last queries ran */
} pf_bench;

/* An input lives on the host, or an output does or has a size that comes out of the run. */
bool      pf_bench_is_hosted(const pf_plan *plan);
/* inputs: host tensors in the plan's order of inputs, for all streams.  Errors  UNSUPPORTED: profiler is asked for, and
   there is none. */
pf_status pf_bench_run(pf_plan *plan, pf_device *device, const pf_tensor *inputs, const pf_bench_options *options,
                       pf_bench *out, pf_err *err);
void      pf_bench_clear(pf_bench *bench);

#endif
