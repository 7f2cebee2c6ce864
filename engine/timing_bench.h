/* A problem's data on the device, and candidates made ready to run on it. */
#ifndef PF_ENGINE_TIMING_BENCH_H
#define PF_ENGINE_TIMING_BENCH_H

#include "engine/oracle.h"
#include "engine/tactic.h"
#include "engine/timing_arena.h"

enum { PF_BENCH_GUARD_BYTES = 256, PF_BENCH_COPIES_MAX = 64, PF_BENCH_PLACES_MAX = 10, PF_BENCH_PACKED_MAX = 16 };

/* Host memory that what goes to the device and comes from it passes through: one after the other. Kept from problem to
   problem, it is the device's own kind where it has one, and its pages are there. */
typedef struct pf_bench_room { pf_device *device; void *memory; size_t bytes; bool of_device; } pf_bench_room;

void      pf_bench_room_clear(pf_bench_room *room);

/* Constants as steps that pack alike packed them, or as they are, for all of these steps: taking FP32 apart on the host
   takes 10 ms of a matrix of a million, and rivals shall read theirs at the same addresses. */
typedef struct pf_bench_packed {
    const pf_tactic *tactic;            /* NULL: as they are */
    uint32_t         as;
    size_t           bytes;
    void            *memory;            /* owned; device memory */
    void            *copies;            /* in the arena, one for each place that runs take turns on, for all who pack
                                           so; NULL: none */
    bool             filled;            /* the copies */
} pf_bench_packed;

/* Where inputs and outputs lie. */
typedef struct pf_bench_site {
    uint32_t places;                    /* runs take turns on them */
    void   **in;                        /* device memory, the arena's or owned, place by place; NULL where a constant
                                           is: there are copies of those */
    void   **out;                       /* the same; each with a guard behind it */
    void    *workspace;                 /* of the arena, shared: runs follow one another; NULL: the bench's own */
} pf_bench_site;

typedef struct pf_bench {
    pf_device        *device;           /* borrowed, like all of the next three */
    pf_stream        *stream;
    const pf_problem *problem;
    const pf_oracle  *oracle;
    pf_timing_arena  *arena;            /* borrowed; NULL: none */
    uint32_t          in_count, out_count;
    size_t           *in_bytes, *out_bytes;
    pf_bench_site     home;             /* one place, where candidates are checked; each tensor in memory of its own, so
                                           that compute-sanitizer sees what goes beyond */
    pf_bench_site     away;             /* where they race; no places: at home */
    void             *workspace;
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
    void            *constants;         /* device memory: the first, packed or not, */
    bool             owns_constants;    /* or the bench's, for all who pack alike */
    uint32_t         copies;            /* of the constants; at least as many as there are places */
    void            *copied;            /* owned; device memory of all copies; NULL: not its own */
    void           **packed;            /* by copy; NULL where there is none */
    void           **in;                /* copies times in_count */
    uint32_t         next_copy;
    uint32_t         repeats;           /* runs in a sample */
    pf_device_graph *graph;             /* of repeats runs, or NULL */
    pf_event        *start, *end;
} pf_bench_runner;

/* room: of that device; arena: where candidates race, NULL: in memory as it comes; both live as long as the bench. */
pf_status pf_bench_open(pf_device *device, pf_stream *stream, const pf_problem *problem, const pf_oracle *oracle,
                        pf_bench_room *room, pf_timing_arena *arena, pf_bench *out, pf_err *err);
void      pf_bench_close(pf_bench *bench);

/* Prepares and packs, to be checked.   Errors  what the tactic answers; NO_SPACE. */
pf_status pf_bench_prepare(pf_bench *bench, const pf_tactic *tactic, const char *tuning, pf_bench_runner *out,
                           pf_err *err);
void      pf_bench_release(pf_bench *bench, pf_bench_runner *runner);
/* Takes inputs, outputs and workspace to other memory, where there is some: in an arena to the same for the same number
   in each build.  Runners that were bound before must be bound again. */
void      pf_bench_move(pf_bench *bench, uint32_t number);
/* To where candidates are checked.  Runners, too, must be bound again. */
void      pf_bench_go_home(pf_bench *bench);
/* To where the bench is now.  cold_bytes: make so many copies of the constants that they exceed it; 0: one for each
   place. */
pf_status pf_bench_bind(pf_bench *bench, size_t cold_bytes, pf_bench_runner *runner, pf_err *err);
/* Its copies are given back; it runs no more before it is bound again. */
void      pf_bench_unbind(pf_bench *bench, pf_bench_runner *runner);
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
