/* Is one arrangement of a network faster than another?  Both are run in turns, until that is clear or long enough. */
#ifndef PF_ENGINE_REFINE_COMPARE_H
#define PF_ENGINE_REFINE_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* At most so many pairs of runs may be asked for, and at most so many of the caller at once. */
enum { PF_REFINE_PAIRS_MAX = 256, PF_REFINE_TURN_PAIRS = 32 };

/* Runs the arrangement that stands and the other one, so many times each, in turns. */
typedef pf_status pf_refine_turns(void *user, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err);

typedef struct pf_refine_terms {        /* of a comparison */
    int    least_pairs, most_pairs;
    double share;       /* of the network's layers, those that the other one changes: of 0 to 1 */
} pf_refine_terms;

typedef struct pf_refine_verdict {
    bool    faster;     /* the other one, by more than noise and by enough to take over */
    int     pairs;      /* run */
    int64_t base_ns;    /* one run of the arrangement that stands */
    int64_t gain_ns;    /* by how much the other is faster; below 0: it is slower */
    int64_t error_ns;   /* of gain_ns: half of its 95 % interval */
    int64_t equal_ns;   /* what gains so much less is as good, as far as such measures repeat */
    int64_t enough_ns;  /* the gain that is enough to take over */
    double  share;      /* as in the terms */
    int     places;     /* of memory in which both were compared */
    double  square_ns2; /* the sum of squares by which the places' gains differ from gain_ns */
} pf_refine_verdict;

/* Most arrangements are not faster, which few pairs show; the closer one is to the gain that counts, the more of them
   are run, and where that does not decide either, the gain measured does.  So builds that measure the same decide the
   same, but for those that gain what counts to within the error of most_pairs. */
pf_status pf_refine_compare(pf_refine_turns *turns, void *user, const pf_refine_terms *terms, pf_refine_verdict *out,
                            pf_err *err);
/* The gain that is enough to take over, where gains are known so well.  The more layers change, the more it is: builds
   that measure a little differently then differ in all of them. */
int64_t   pf_refine_enough_ns(double base_ns, double share, double error_ns);

#endif
