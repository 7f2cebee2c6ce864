/* Candidates that must not be chosen any more in a build: the check of the whole plan found them wrong, or they failed
   there.  Most are caught alone, before they are timed; these are the others: with effort 0 nothing ran alone, and some
   are right on random inputs only.  They are kept among the timings under the build's plan key, so that the next build
   of the same network does not choose them again. */
#ifndef PF_ENGINE_BAN_H
#define PF_ENGINE_BAN_H

#include "base/timing_record.h"
#include "engine/device.h"

typedef struct pf_ban {
    pf_digest candidate;                /* of problem, tactic, tuning and revision */
    char      tactic[48], why[128];
    bool      lasting;                  /* the next build is to know it */
} pf_ban;

typedef struct pf_bans { pf_ban *items; uint32_t count, capacity; } pf_bans;    /* items owned */

#define PF_BAN_EVERY_TUNING "*"         /* in place of a tuning: all of its tactic */

void      pf_bans_clear(pf_bans *bans);
bool      pf_bans_has(const pf_bans *bans, const pf_digest *problem, const char *tactic, const char *tuning,
                      uint16_t rev);
pf_status pf_bans_add(pf_bans *bans, const pf_digest *problem, const char *tactic, const char *tuning, uint16_t rev,
                      const char *why, bool lasting, pf_err *err);
/* key: of the plan.  Adds what is known; writes what is lasting. */
pf_status pf_bans_find(pf_timing_store *store, const pf_device *device, const pf_digest *key, pf_bans *out,
                       pf_err *err);
pf_status pf_bans_keep(pf_timing_store *store, const pf_device *device, const pf_digest *key, const pf_bans *bans,
                       pf_err *err);
/* Tells a store that takes such notes (pf_timing_store.note_trial) that a candidate is tried in the plan of key: where
   it ends the process, the next build finds it among the plan's bans. */
void      pf_ban_note_trial(pf_timing_store *store, const pf_device *device, const pf_digest *key,
                            const pf_digest *problem, const char *tactic, const char *tuning, uint16_t rev);
void      pf_ban_end_trial(pf_timing_store *store);

#endif
