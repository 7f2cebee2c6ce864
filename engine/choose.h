/* Which candidate wins: a pure function of timing records.  It never looks at a clock, so records that say the same
   give the same choice everywhere, and the rule may change without timing anything again.
   Invariants
   1. Only entries of status TIMED or DROPPED are chosen from, and DROPPED ones come after all TIMED ones.
   2. Entries of a tactic that is gone, was excluded, has another rev now or needs more workspace than allowed are not
      looked at; nor, where shapes vary, those that hold for one binding alone.
   3. Contended entries are passed over, unless nothing else is left: then they are used, by their least sample, which
      is the one that was disturbed least, and the caller is told.
   4. Times within the noise of the best (0.6 % and 8 ns, at most 1.4 %, or the 95 % interval of either median) are
      equal; then less workspace wins, then a tactic that needs no compiling, then the table's order, then the tuning
      with the larger number where they first differ, else its text. */
#ifndef PF_ENGINE_CHOOSE_H
#define PF_ENGINE_CHOOSE_H

#include "base/timing_record.h"
#include "engine/tactic.h"

/* What a build allows. */
typedef struct pf_choose_rules {
    uint64_t workspace_limit_bytes;             /* 0: no limit */
    /* May this tactic be used at all?  NULL: any. */
    bool (*allows)(const void *user, const pf_tactic *tactic);
    const void *user;
    bool        varies;                         /* shapes vary: no tuning of PF_TUNING_FIXED */
} pf_choose_rules;

typedef struct pf_choice {
    const pf_timing_entry **ranked;             /* owned; best first; entries are borrowed from the record */
    uint32_t                count;              /* 0: nothing in the record may be chosen */
    bool                    contended;          /* only contended entries were left */
} pf_choice;

/* The time that an entry is judged by: its median, or its minimum when it is contended. */
static inline int64_t pf_choose_time(const pf_timing_entry *entry)
{
    return entry->contended ? entry->min_ns : entry->median_ns;
}
/* What takes so much longer than the best, which takes that long, is as good. */
double    pf_choose_noise_ns(int64_t best_ns);
/* Negative when a is to be preferred, both being equally fast; their tactics exist. */
int       pf_choose_compare_equal(const pf_timing_entry *a, const pf_timing_entry *b);
/* The same of entries whose tactics are at hand. */
int       pf_choose_compare_tactics(const pf_tactic *x, const pf_timing_entry *a, const pf_tactic *y,
                                    const pf_timing_entry *b);
/* Errors  NO_SPACE. */
pf_status pf_choose_rank(const pf_timing_record *record, const pf_choose_rules *rules, pf_choice *out, pf_err *err);
void      pf_choose_clear(pf_choice *choice);

#endif
