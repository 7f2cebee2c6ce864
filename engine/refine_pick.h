/* Which of those that were compared with the same arrangement of a network takes its place, and which to compare again
   before that is said.  Where the weights of either lie makes a network faster or slower by 0.05 to 0.3 %, all runs of
   a build alike: so whoever may be picked is compared in several places of memory. */
#ifndef PF_ENGINE_REFINE_PICK_H
#define PF_ENGINE_REFINE_PICK_H

#include "base/timing_record.h"
#include "engine/refine_compare.h"

enum { PF_REFINE_PLACES = 72 };

/* None (-1) where none is faster, else of all whose gain equals the greatest, as far as measures repeat, the one that
   is preferred among equals: less workspace first.  (One of a U-Net that gained as much as others in 8 MB of workspace
   of its own made the plan, where that is a part of the memory of all layers, 2 % slower than they.) */
int  pf_refine_pick(const pf_refine_verdict *verdicts, const pf_timing_entry *const *entries, int count);
/* Those that may be picked, as far as the places tell in which they lay; 0 where more of them would hardly change what
   is picked.  out: their numbers, room for all. */
int  pf_refine_undecided(const pf_refine_verdict *verdicts, const pf_timing_entry *const *entries, int count, int *out);
/* What another comparison says of the same arrangement, with everything elsewhere.  The mean counts. */
void pf_refine_verdict_add(pf_refine_verdict *to, const pf_refine_verdict *elsewhere);

#endif
