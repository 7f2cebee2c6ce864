/* Devices that get slower when they are kept busy.  An H200 that needs more than its 700 W runs a network of large
   products for 30 ms at 1980 MHz, from there on in steps at less and after 170 ms at 1590 MHz, where the network takes
   14 % longer.  Whoever asks for one answer after another meets that state, and then it matters how much energy a
   candidate takes: of two that were equally fast alone, and equally fast where runs of both took turns and shared one
   clock, one made a network 3.5 % faster, because the card runs at a higher clock with it.  The card looks at its power
   every 20 to 50 ms.  When the mean of a second is above the limit, it takes its clock down by a quarter and comes back
   in half a second; a rest now and then keeps measurements from that.
   So where a network slows its device, what is about as fast as the candidate that stands is run in blocks that are
   long enough for the clock to become a candidate's own. */
#ifndef PF_ENGINE_REFINE_LOAD_H
#define PF_ENGINE_REFINE_LOAD_H

#include "base/clock.h"
#include "base/timing_record.h"
#include "engine/refine_compare.h"

enum {
    PF_REFINE_LOOKS = 20,               /* blocks of runs of a look at the device */
    PF_REFINE_RIVALS = 2,               /* of the one that stands */
    PF_REFINE_BURST_BLOCKS = 4,
};

#define PF_REFINE_REST_NS (200 * PF_NS_PER_MS)  /* before a burst */

/* Runs the network so many times in each of so many blocks, without a pause; a block's time goes to its place. */
typedef pf_status pf_refine_blocks(void *user, int64_t runs, int blocks, int64_t *block_ns, pf_err *err);

typedef struct pf_refine_load {
    bool    slows;                      /* the network slows the device */
    int64_t run_ns;                     /* on the busy device */
    int64_t warm_runs;                  /* before runs count; 0 where it does not slow it */
} pf_refine_load;

/* From a device that rested. */
pf_status pf_refine_load_look(pf_refine_blocks *blocks, void *user, pf_refine_load *out, pf_err *err);
/* What a run's times in the blocks of a look say. */
void      pf_refine_load_judge(const int64_t run_ns[PF_REFINE_LOOKS], pf_refine_load *out);

/* Blocks of runs one behind the other.  other: by block; else it is of the arrangement that stands. */
typedef struct pf_refine_burst {
    bool    other[PF_REFINE_BURST_BLOCKS];
    int64_t warm_runs;                  /* of the first block's, before it */
    int64_t settle_runs, runs;          /* of each block: at its beginning, which do not count, and those that do */
} pf_refine_burst;

/* Lets the device rest, runs a burst and answers what the runs that count took in each block. */
typedef pf_status pf_refine_bursts(void *user, const pf_refine_burst *burst, int64_t block_ns[PF_REFINE_BURST_BLOCKS],
                                   pf_err *err);

/* Which of those that were compared by turns are worth a contest: not much slower by the time alone; the best of each
   tactic before others.  entries: whose verdicts these are; they are cleared, since none counts beside those of
   contests.  out: the rivals' numbers; the answer: how many. */
int       pf_refine_load_rivals(pf_refine_verdict *verdicts, const pf_timing_entry *const *entries, int count,
                                int out[PF_REFINE_RIVALS]);
/* Is the other one faster, by more than such blocks scatter? */
pf_status pf_refine_load_contest(pf_refine_bursts *bursts, void *user, const pf_refine_load *load,
                                 pf_refine_verdict *out, pf_err *err);

#endif
