/* Queries of a plan, one after the other, with times of their parts.  Two are in flight, so that a device always has
   the next one queued; all run in one stream.  Elapsed time starts at an event recorded before the first query.
   A plan that only host tensors can serve has one query in flight, which the host's clock times as a whole: copies are
   part of its computation. */
#ifndef PF_CLIENT_BENCH_LOOP_H
#define PF_CLIENT_BENCH_LOOP_H

#include "engine/planfarm.h"

typedef struct pf_bench_options {
    uint32_t iterations;        /* least number of queries after warm-up */
    double   warmup_ms;         /* queries whose computation starts earlier are dropped */
    double   duration_s;        /* least time after warm-up */
    bool     transfers;         /* copies are part of a query */
    bool     profiler;          /* the device's profiler records the queries that count, and nothing else */
} pf_bench_options;

typedef struct pf_query { double h2d_ms, compute_ms, d2h_ms, enqueue_ms, latency_ms; } pf_query;

typedef struct pf_bench {
    pf_query *queries;          /* owned; those that count */
    uint32_t  count, capacity;
    uint32_t  warmup_count;
    double    walltime_s;       /* from the start of the first query that counts to the end of the last */
} pf_bench;

/* An input lives on the host, or an output does or has a size that comes out of the run. */
bool      pf_bench_is_hosted(const pf_plan *plan);
/* inputs: host tensors in the plan's order of inputs. */
pf_status pf_bench_run(const pf_plan *plan, pf_device *device, pf_context *context, const pf_tensor *inputs,
                       const pf_bench_options *options, pf_bench *out, pf_err *err);
/* The same with host tensors in and out, for plans that are hosted. */
pf_status pf_bench_run_hosted(const pf_plan *plan, pf_device *device, pf_context *context, const pf_tensor *inputs,
                              const pf_bench_options *options, pf_bench *out, pf_err *err);
/* One more query that counts.  Errors   NO_SPACE. */
pf_status pf_bench_keep(pf_bench *bench, const pf_query *query, pf_err *err);
void      pf_bench_clear(pf_bench *bench);

#endif
