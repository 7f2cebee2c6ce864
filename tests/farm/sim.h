/* The farm in virtual time: the real core, a disk that commits in groups, a network that loses, repeats and reorders,
   agents and clients that crash, sleep and are cut off.  Everything follows from one seed.

   Checked all the time (FARM: "oracle"):
   1. the core's own invariants;
   2. a plan key, once committed, never gets another digest, and its bytes are in the store and good;
   3. an offer's lease is on disk before the offer is sent, and fences only grow;
   4. COMMITTED is said only of a plan that is on disk;
   5. an acknowledged submit is never forgotten, and always has the same jobs;
   6. a job that was seen final stays what it was.
   And after the faults end: every job becomes final. */
#ifndef PF_TESTS_FARM_SIM_H
#define PF_TESTS_FARM_SIM_H

#include <stdint.h>

typedef struct sim_counts {
    uint64_t steps, messages, coordinator_crashes, agent_crashes, commits, late_wins, quarantined, cancelled, lost_acks;
} sim_counts;

/* Runs one farm; fails the running test when something does not hold.  faults: 0 none, 1 as usual, 2 heavy. */
void sim_run(uint64_t seed, int faults, sim_counts *counts);

#endif
