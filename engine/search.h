/* What to measure: the distinct problems of a network, what is known of them, and what is missing.
   Invariants
   1. Two layers with the same problem text are one item: it is looked up once and timed once.
   2. A candidate is timed only when the store has no entry of it that counts: same tactic, tuning and revision, timed
      with at least this build's effort (a failure counts at any).  Contended entries count in the store that has them
      (equal contents give equal plans); shared caches do not take them.
   3. What is measured is merged into the store problem by problem, so an interrupted build keeps what it paid for.
   4. Banned candidates are not ranked. Where that leaves none, the reference is, without a time.
   5. With effort 0 nothing is looked up and nothing timed: each tactic's first guess that is not banned is ranked, in
      the order of tactics, the reference last. */
#ifndef PF_ENGINE_SEARCH_H
#define PF_ENGINE_SEARCH_H

#include "base/map.h"
#include "engine/ban.h"
#include "engine/choose.h"
#include "engine/config.h"
#include "engine/progress.h"
#include "engine/timing.h"

typedef struct pf_search_item {
    pf_problem      *problem;           /* owned; bound */
    char            *layer;             /* owned; a layer that has it */
    pf_timing_record record;            /* all that is known of it */
    pf_choice        choice;            /* best first; empty when nothing computes it as laid out */
    pf_timing_entry *guesses;           /* owned; of effort 0, and where all others are banned: what choice points to */
    bool             only_oracle;       /* no tactic but the reference takes it */
    uint32_t         like;              /* of whose best candidates it has: see pf_search_like; PF_NONE: all */
    bool             varies;            /* a layer with shapes that vary has it: set before the run that ranks it */
} pf_search_item;

typedef struct pf_search {
    pf_device         *device;          /* borrowed, like the next three */
    const pf_config   *config;
    pf_timing_store   *store;
    pf_build_progress *progress;
    pf_choose_rules    rules;
    const pf_bans     *bans;            /* borrowed; NULL: none */
    pf_search_item    *items;
    uint32_t           count, capacity;
    uint32_t           looked_up;       /* items before this one were */
    pf_map            *by_hash;         /* hex of hash -> item */
    pf_timing         *timing;          /* opened when something must be timed */
    uint32_t           candidates_timed, hits, misses;
    uint32_t           contended;       /* items that only contended entries are known of */
} pf_search;

pf_status pf_search_open(pf_device *device, const pf_config *config, pf_timing_store *store,
                         pf_build_progress *progress, pf_search *out, pf_err *err);
void      pf_search_close(pf_search *search);
/* Takes a bound problem (on failure too); *index: its item, the same for equal problems. */
pf_status pf_search_add(pf_search *search, pf_problem *problem, const char *layer, uint32_t *index, pf_err *err);
/* An item that was not looked up yet is tried only with the candidates that are best for another one, which was timed:
   the same computation in a layout that does not change much; where shapes vary, with the best of each tactic.  With
   all, where nothing takes them, and when it was there for another reason. */
void      pf_search_like(pf_search *search, uint32_t index, uint32_t other);
/* Looks up all items added since the last run in one batch, times what is missing, and ranks each item's candidates.
   Errors   CACHE_MISS: replay was asked for and a timing is missing, naming the layer; CANCELLED; DEVICE. */
pf_status pf_search_run(pf_search *search, pf_err *err);
/* Time of an item's best candidate in nanoseconds; INFINITY when there is none. */
double    pf_search_cost(const pf_search *search, uint32_t index);
int64_t   pf_search_timing_ns(const pf_search *search);
/* Where its candidates race, for others while it does not run; NULL: nowhere in particular. */
pf_timing_arena *pf_search_arena(pf_search *search);
/* Was the candidate of the item banned? */
bool      pf_search_bans(const pf_search *search, const pf_search_item *item, const char *tactic, const char *tuning);
/* Does the build spec allow the tactic?  user: the pf_config. */
bool      pf_search_allows(const void *user, const pf_tactic *tactic);

#endif
