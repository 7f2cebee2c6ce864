/* The candidates of a problem against each other: made ready, raced, and raced again elsewhere in memory.  Private to
   timing*.c. */
#ifndef PF_ENGINE_TIMING_CONTEST_H
#define PF_ENGINE_TIMING_CONTEST_H

#include "engine/timing.h"
#include "engine/timing_bench.h"
#include "engine/timing_canary.h"
#include "engine/timing_lock.h"

enum { PF_CONTEST_WAVE = 32 /* so many race at once */, PF_CONTEST_PLACES_MAX = 40, PF_CONTEST_TRIES_MAX = 3 };

struct pf_timing {
    pf_device       *device;
    pf_stream       *stream;
    pf_timing_lock   lock;
    pf_timing_canary canary;
    int              tries; /* races that the next problem may take: fewer on a device that does not get quiet */
    pf_timing_spent  spent;
    pf_bench_room    room;
    pf_timing_arena  arena;
};

typedef struct pf_contestant {
    pf_bench_runner runner;
    pf_timing_entry entry;
    pf_racer        run;                /* racing: prepared, right, and not dropped yet */
    int64_t         first_ns;
    int64_t         medians_ns[PF_CONTEST_PLACES_MAX];  /* of its races */
    uint32_t        races, drops;               /* so far, and those in which it was dropped */
} pf_contestant;

typedef struct pf_contest {
    pf_timing                 *timing;
    pf_bench                   bench;
    const pf_timing_options   *options;
    pf_contestant             *racers;  /* of this wave */
    const pf_timing_candidate *candidates;      /* those that they are */
    uint32_t                   count;
    pf_random                  random;
    int64_t                    best_min_ns;     /* of earlier waves of the same problem; INT64_MAX: none */
    int64_t                    glance_ns;       /* of who seemed fastest in the first wave; INT64_MAX: not known yet */
    pf_contestant             *breaker; /* after whom the device answers nothing any more */
    uint32_t                   order[PF_CONTEST_WAVE];  /* racers, as they take turns */
    int64_t                   *scratch;         /* as long as a racer's samples */
} pf_contest;

/* timing_ready.c */

bool pf_contest_goes_on(const pf_contest *contest);
/* entry NULL: the last one survived. */
void pf_contest_note_trial(const pf_contest *contest, const pf_timing_entry *entry);
/* It races no more. */
void pf_contest_fail(pf_contest *contest, pf_contestant *racer, pf_status status, const pf_err *reason);
/* Prepares racer i and compares what it computes.  One that could not be made ready says why in its entry; that is no
   failure of the build. */
void pf_contest_make_ready(pf_contest *contest, uint32_t i);
/* Those whose first run took far too long. */
void pf_contest_drop_the_hopeless(pf_contest *contest);
/* To where they race first, all who are still in it. */
void pf_contest_line_up(pf_contest *contest);
/* As pf_bench_bind takes it. */
size_t pf_contest_cold_bytes(const pf_contest *contest);

/* timing_race.c */

/* A race of all who are ready, and again where something disturbed it.  Errors   CANCELLED, BUSY, DEVICE. */
pf_status pf_contest_race(pf_contest *contest, bool *disturbed, pf_err *err);
/* Adds a race to what is known of those who took part. */
void      pf_contest_note_race(pf_contest *contest);

/* timing_places.c: after the first race, those who are close to the best once more in other memory. */
pf_status pf_contest_race_elsewhere(pf_contest *contest, pf_err *err);

#endif
