/* What a run of the search has to time: in which turn, compiled ahead by whom, with which answers. */
#ifndef PF_ENGINE_SEARCH_WORK_H
#define PF_ENGINE_SEARCH_WORK_H

#include "engine/oracle_ahead.h"
#include "engine/precompile.h"
#include "engine/search.h"

/* Candidates of one item that its record does not know. */
typedef struct pf_search_missing {
    pf_timing_candidate *items;             /* owned */
    uint32_t             count, capacity;
    bool                 enumerated_all;    /* every tactic's tunings were asked for: the record's effort may rise */
} pf_search_missing;

typedef struct pf_search_work {
    uint32_t          item;
    pf_digest         semantics;            /* of the item's problem */
    uint32_t          compile_ms;           /* about; of the longest that any work of these semantics misses */
    pf_search_missing missing;
    uint32_t          answer;               /* its number among those made ahead, or PF_NONE */
} pf_search_work;

/* Works of equal semantics stay together, as one reference answers them; of these, what takes long to compile is
   first: the last ones are then compiled, and timed, soon after those in front.  Sets compile_ms. */
void      pf_search_put_in_turn(pf_search_work *list, uint32_t count);
/* Begins to compile all that is missing, in turn.  *out is for the list as it is, and to be ended before it. */
pf_status pf_search_compile(const pf_search *search, const pf_search_work *list, uint32_t count,
                            pf_precompilation **out, pf_err *err);
/* Begins to make the answers to the list, where that pays: one for the first work of each semantics.  *out may be NULL;
   it is to be ended before the list. */
void      pf_search_expect(const pf_search *search, pf_search_work *list, uint32_t count, pf_oracle_ahead **out);
/* Until number `at` of the list can be timed: on a device that is not the processor when it is compiled and nobody
   compiles with the device any more.  False: the build was cancelled. */
bool      pf_search_wait(const pf_search *search, pf_precompilation *compilers, uint32_t at);
void      pf_search_works_free(pf_search_work *list, uint32_t count);

#endif
