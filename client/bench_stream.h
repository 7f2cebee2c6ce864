/* One stream of a measurement, for the two kinds: bench_device.c, whose inputs and outputs are the device's, and
   bench_hosted.c. */
#ifndef PF_CLIENT_BENCH_STREAM_H
#define PF_CLIENT_BENCH_STREAM_H

#include <stdatomic.h>

#include "client/bench.h"

/* What the streams of a measurement share. */
typedef struct pf_bench_shared {
    pf_plan                *plan;
    pf_device              *device;
    const pf_tensor        *inputs;
    const pf_bench_options *options;
    pf_event               *origin;     /* of the device's clock; recorded before any stream runs */
    int64_t                 origin_ns;  /* the same by the host's */
    atomic_bool             stop;       /* a stream failed: the others end early */
    pf_device_sample        sample;
} pf_bench_shared;

typedef struct pf_bench_stream pf_bench_stream;

typedef struct pf_bench_kind {
    /* Memory, shapes, events; the first run.  impl is the kind's own, NULL before. */
    pf_status (*set_up)(pf_bench_stream *stream, pf_err *err);
    pf_status (*run)(pf_bench_stream *stream, pf_err *err);
    void      (*tear_down)(pf_bench_stream *stream);
} pf_bench_kind;

struct pf_bench_stream {
    pf_bench_shared *shared;
    pf_context      *context;
    bool             is_first;          /* which begins the profiler's recording, and looks at the device */
    bool             records;           /* and did */
    void            *impl;
    pf_bench         bench;
    double           first_ms, last_ms; /* start and end of the queries that count, since origin */
    double           now_ms;            /* start of the latest finished query's computation */
    pf_status        status;            /* of the thread */
    pf_err           err;
};

extern const pf_bench_kind pf_bench_on_device, pf_bench_hosted;

/* A finished query: counts it, or drops it while it warms up.  Errors  NO_SPACE. */
pf_status pf_bench_keep(pf_bench_stream *stream, const pf_query *query, double start_ms, double end_ms, pf_err *err);
/* When the last query is under way: asking the device takes a while, and would keep queries waiting. */
void      pf_bench_look(pf_bench_stream *stream);
/* All that was asked for is done, or another stream failed. */
bool      pf_bench_is_done(const pf_bench_stream *stream);

#endif
