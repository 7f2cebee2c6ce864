/* How candidates are measured.  The protocol, the same on every device:
   1. A candidate is prepared, its constants are packed, and it runs once; its outputs must agree with the oracle and
      nothing may be written behind them.  Only then is it timed.
   2. A sample is a batch of runs that lasts at least PF_TIMING_BATCH_NS, divided by their number; on a device that
      captures, one launch of a captured graph of them.  Inputs are random, never zeros.
   3. Candidates are sampled in turns, in a seeded order that changes each turn, so that drift of clocks hits all alike.
      They race (engine/race.h): after each rung those that are clearly behind are dropped (status DROPPED, with the
      samples they have).  Whose very first run was PF_TIMING_HOPELESS times slower than the best is dropped with that
      one sample, and so is, before it is captured, who takes twice what the best takes, if that is 100 us or more.
      Those close to the best race again with their data elsewhere, on devices that capture in the same places in each
      build (timing_places.c, timing_arena.h): the mean of the races' medians counts.
   4. With PF_NUMERICS_COLD_WEIGHTS in the problem's numerics, runs take turns on copies of the constants that together
      exceed the last-level cache twice: so weights come from memory, as in a network that is larger than the cache.
   5. A fixed canary step runs before and after each race, small enough for a core's own cache.  When it was slower than
      its best by more than PF_TIMING_CANARY_SLACK, or another process used the device, the race is repeated; if that
      does not help, the samples are marked contended, and the next race is repeated once less, until one was quiet.
   6. One process at a time samples on a device: a lock file is held around each race, and around nothing else.
   Thread   one at a time per device. */
#ifndef PF_ENGINE_TIMING_H
#define PF_ENGINE_TIMING_H

#include "base/timing_record.h"
#include "engine/oracle.h"
#include "engine/race.h"
#include "engine/tactic.h"
#include "engine/timing_arena.h"

#define PF_TIMING_BATCH_NS      INT64_C(200000)     /* clock and events are good to about a microsecond */
#define PF_TIMING_CANARY_SLACK  0.25

#define PF_TIMING_HOPELESS      10

enum { PF_TIMING_EFFORT_MAX = PF_RACE_EFFORT_MAX };

typedef struct pf_timing pf_timing;

typedef struct pf_timing_candidate { const pf_tactic *tactic; pf_tuning tuning; } pf_timing_candidate;

typedef struct pf_timing_options {
    int      effort;                    /* 1..PF_TIMING_EFFORT_MAX: how many samples */
    uint64_t workspace_limit_bytes;     /* 0: no limit; over it a candidate is OVER_LIMIT */
    int64_t  best_known_ns;             /* of the same computation in other layouts; 0: unknown */
    bool     to_the_end;  /* nobody is dropped for being behind: all get all samples, up to their time budget */
    bool     only_check;                /* each runs once and is compared with the oracle; nothing is timed, and TIMED
                                           ones have no samples */
    pf_timing_store *store;             /* who is told what is tried, for the case that it crashes; NULL: nobody */
    bool   (*go_on)(void *user);        /* asked between samples; NULL: always */
    void    *user;
} pf_timing_options;

pf_status pf_timing_new(pf_device *device, pf_timing **out, pf_err *err);
void      pf_timing_free(pf_timing *timing);
/* Measures candidates of a bound problem; one entry each is put into *out, which the caller clears.
   Errors   CANCELLED; DEVICE or NO_SPACE when the device itself fails. A candidate's failure is an entry, not an
            error; of one that broke the device there is an entry as well as the error. */
pf_status pf_timing_measure(pf_timing *timing, const pf_problem *problem, const pf_oracle *oracle,
                            const pf_timing_candidate *candidates, uint32_t count, const pf_timing_options *options,
                            pf_timing_record *out, pf_err *err);
/* Where candidates race: another's while nothing is measured. */
pf_timing_arena *pf_timing_arena_of(pf_timing *timing);
/* Time spent so far: on races; on races elsewhere in memory, with making ready for them; on making candidates ready; on
   their first runs and comparing what came out. */
typedef struct pf_timing_spent { int64_t race_ns, places_ns, ready_ns, check_ns; } pf_timing_spent;
pf_timing_spent pf_timing_spent_of(const pf_timing *timing);

#endif
