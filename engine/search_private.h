/* What the parts of the search share. */
#ifndef PF_ENGINE_SEARCH_PRIVATE_H
#define PF_ENGINE_SEARCH_PRIVATE_H

#include "engine/search_work.h"

/* search_missing.c */

int              pf_search_effort(const pf_search *search);
/* The next tactic from *at on that takes the problem and may be used: the references, or all others.  NULL: none. */
const pf_tactic *pf_search_next_offer(const pf_search *search, const pf_problem *problem, bool oracles, uint32_t *at);
/* A tactic that takes a problem and then finds no way to do it costs the build nothing but that tactic: the list is
   empty then.  Errors   NO_SPACE. */
pf_status        pf_search_list_tunings(const pf_search *search, const pf_search_item *item, const pf_tactic *tactic,
                                        int effort, pf_tuning_list *out, pf_err *err);
/* What an item's record does not know; sets its only_oracle. */
pf_status        pf_search_find_missing(const pf_search *search, pf_search_item *item, pf_search_missing *out,
                                        pf_err *err);
/* Is there something to choose from? */
bool             pf_search_any_right(const pf_timing_record *record, const pf_choose_rules *rules, pf_err *err,
                                     pf_status *st);
/* When all tactics failed, the reference is what is left, and its time must be known too. */
pf_status        pf_search_add_last_resort(const pf_search *search, const pf_search_item *item, pf_search_missing *out,
                                           pf_err *err);

/* search_time.c: times all that is missing and stores it problem by problem.  Errors   CANCELLED, DEVICE, NO_SPACE. */
pf_status pf_search_do_work(pf_search *search, pf_search_work *list, uint32_t count, pf_err *err);

/* search_guess.c: ranks tactics that take the problem, each with its first tuning that is not banned; their times are
   unknown. */
pf_status pf_search_guess(pf_search *search, pf_search_item *item, bool only_oracles, pf_err *err);

#endif
