/* Candidates sampled in turns, and the slow ones dropped: what is sampled, and how, is the caller's.
   Invariants
   1. A turn takes one sample of everyone who still races, in an order that is drawn anew from the caller's numbers, so
      that drift hits all alike.
   2. After the first rung those are dropped whose least sample is PF_RACE_FAR times the best; later those whose median
      is above the best's by more than the 95 % intervals of both, and PF_RACE_CLOSE times it: a few samples in a bad
      spell look like certainty, and whoever is close is worth the samples of one more rung.
   3. The last rung is for those whose median is within PF_RACE_RIVAL times the best's, or above it by less than the
      95 % interval of either, when there are several: which of them wins shall be the same in every race. */
#ifndef PF_ENGINE_RACE_H
#define PF_ENGINE_RACE_H

#include <stddef.h>

#include "base/random.h"
#include "base/status.h"

enum { PF_RACE_RUNGS = 4, PF_RACE_EFFORT_MAX = 5 };

#define PF_RACE_FAR   1.5
#define PF_RACE_CLOSE 1.05
#define PF_RACE_RIVAL 1.015

typedef struct pf_racer {
    int64_t *samples;           /* the caller's, pf_race_samples(effort) of them; nanoseconds of one run */
    uint32_t count;
    int64_t  spent_ns;          /* on its samples */
    int64_t  median_ns, min_ns, deviation_ns;   /* median absolute; of pf_racer_summarize */
    bool     racing;
    bool     dropped;           /* for being behind */
    bool     settled;           /* has all the samples that it needs */
} pf_racer;

/* Samples racer i once. False: it failed, and races no more. */
typedef bool pf_race_sample(void *user, uint32_t i, int64_t *ns, int64_t *spent_ns);

typedef struct pf_race {
    pf_racer      **racers;     /* borrowed, like all others */
    uint32_t        count;
    int             effort;     /* 1..PF_RACE_EFFORT_MAX: how many samples */
    bool            to_the_end; /* nobody is dropped */
    int64_t         best_min_ns;        /* of earlier races over the same computation; INT64_MAX: none */
    pf_random      *random;
    uint32_t       *order;      /* a permutation of 0..count-1 */
    int64_t        *scratch;    /* as long as a racer's samples */
    pf_race_sample *sample;
    bool          (*go_on)(void *user);
    void           *user;
} pf_race;

/* The most samples that a racer of that effort takes. */
uint32_t  pf_race_samples(int effort);
/* Errors   CANCELLED. */
pf_status pf_race_run(const pf_race *race, pf_err *err);
/* Half of the 95 % interval of a median of so many samples, from their median absolute deviation. */
double    pf_race_median_error(int64_t deviation_ns, uint32_t samples);
/* How many standard errors of a mean half of its 95 % interval has, where that error is known by so many degrees of
   freedom, one or more: 2.57 by 5, 2.20 by 11. */
double    pf_race_student(uint32_t freedom);
/* Times in place, the least first. */
void      pf_race_sort_ns(int64_t *ns, size_t count);
/* count > 0 */
void      pf_racer_summarize(pf_racer *racer, int64_t *scratch);

#endif
