/* A problem's data on the device, and candidates made ready to run on it. */
#ifndef PF_ENGINE_TIMING_BENCH_H
#define PF_ENGINE_TIMING_BENCH_H

#include "engine/oracle.h"
#include "engine/tactic.h"

enum { PF_BENCH_GUARD_BYTES = 256, PF_BENCH_COPIES_MAX = 64, PF_BENCH_PLACES_MAX = 10, PF_BENCH_PACKED_MAX = 16 };

/* Host memory that what goes to the device and comes from it passes through: one after the other. Kept from problem to
   problem, it is the device's own kind where it has one, and its pages are there. */
typedef struct pf_bench_room { pf_device *device; void *memory; size_t bytes; bool of_device; } pf_bench_room;

void      pf_bench_room_clear(pf_bench_room *room);

/* Constants as a step packed them, in device memory, for those that pack alike: taking FP32 apart on the host takes 10
   ms of a matrix of a million, and each of its candidates is made ready up to seven times. */
typedef struct pf_bench_packed { const pf_tactic *tactic; uint32_t as; size_t bytes; void *memory; } pf_bench_packed;

typedef struct pf_bench {
    pf_device        *device;           /* borrowed, like all of the next three */
    pf_stream        *stream;
    const pf_problem *problem;
    const pf_oracle  *oracle;
    uint32_t          in_count, out_count;
    uint32_t          places;           /* in which inputs and outputs lie; runs take turns on them */
    void            **in;               /* device memory, place by place; constants are NULL here: each runner has its
                                           own copies */
    void            **out;              /* each with a guard behind it; those of the first place are compared */
    size_t           *in_bytes, *out_bytes;
    void             *workspace;        /* shared: runs follow one another */
    size_t            workspace_bytes;
    pf_bench_room    *room;             /* borrowed */
    void             *dense;            /* host memory for an output without its layout; made when first needed */
    void            **expected;         /* the oracle's outputs in their layouts, made when first needed; NULL for those
                                           that are linear */
    void            **answers;          /* device memory: the same there, for devices that compare */
    pf_bench_packed   packed[PF_BENCH_PACKED_MAX];
    uint32_t          packed_count;
    double            tolerance;
} pf_bench;

/* A candidate that was prepared. */
typedef struct pf_bench_runner {
    pf_step         *step;              /* owned */
    uint32_t         copies;            /* of the constants, packed or not; at least as many as there are places */
    void            *constants;         /* device memory of all copies */
    void           **packed;            /* by copy; NULL where there is none */
    void           **in;                /* copies times in_count */
    uint32_t         next_copy;
    uint32_t         repeats;           /* runs in a sample */
    pf_device_graph *graph;             /* of repeats runs, or NULL */
    pf_event        *start, *end;
} pf_bench_runner;

/* room: of that device; lives as long as the bench. */
pf_status pf_bench_open(pf_device *device, pf_stream *stream, const pf_problem *problem, const pf_oracle *oracle,
                        pf_bench_room *room, pf_bench *out, pf_err *err);
void      pf_bench_close(pf_bench *bench);

/* Prepares and packs. cold_bytes: make so many copies of the constants that they exceed it; 0: one.
   Errors  what the tactic answers; NO_SPACE when its workspace is over the limit (0: none). */
pf_status pf_bench_prepare(pf_bench *bench, const pf_tactic *tactic, const char *tuning, uint64_t workspace_limit_bytes,
                           size_t cold_bytes, pf_bench_runner *out, pf_err *err);
void      pf_bench_release(pf_bench *bench, pf_bench_runner *runner);
/* Takes inputs and outputs to other memory, where there is some; what was prepared before must not run any more. */
void      pf_bench_move(pf_bench *bench);
/* Runs once (twice when it may work in place) and compares with the oracle.  *first_ns: how long the first run took,
   code loading included.
   Errors  MISMATCH: wrong, or bytes behind an output were written. */
pf_status pf_bench_check(pf_bench *bench, pf_bench_runner *runner, double *max_rel_error, int64_t *first_ns,
                         pf_err *err);
/* Are its samples launches of a captured graph? */
bool      pf_bench_captures(const pf_bench *bench, const pf_bench_runner *runner);
/* *ns: one run, about. */
pf_status pf_bench_glance(pf_bench *bench, pf_bench_runner *runner, int64_t batch_ns, int64_t *ns, pf_err *err);
/* A sample shall be as many runs of ns as last batch_ns, at most limit; where the device and the step allow, 3 to 40
   that are captured.  What the launch of a graph costs (4.4 us on an H200) is shared by them: who is compared has to
   be given the same ns. */
pf_status pf_bench_calibrate(pf_bench *bench, pf_bench_runner *runner, int64_t ns, int64_t batch_ns, uint32_t limit,
                             pf_err *err);
/* Nanoseconds of one run, measured over the runner's repeats. */
pf_status pf_bench_sample(pf_bench *bench, pf_bench_runner *runner, int64_t *ns, pf_err *err);

#endif
