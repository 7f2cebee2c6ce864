#include "engine/refine_compare.h"

#include "engine/race.h"

enum { CONFIRMING = 2, GLANCE_PART = 3, GLANCE_LEAST = 3 };   /* times the rounds; a part of them */

#define GAIN  0.003             /* the other takes over when the whole is faster by this part, */
#define CLEAR 0.8               /* and when it was faster in this part of the rounds */

static int64_t median(int64_t *values, int count)
{
    pf_race_sort_ns(values, (size_t)count);
    return values[count / 2];
}

/* Which goes first alternates.  gain, clear: what counts as faster. */
static pf_status compare_once(pf_refine_run *run, void *user, int rounds, double gain, double clear, int64_t *gain_ns,
                              pf_err *err)
{
    int64_t   base[CONFIRMING * PF_REFINE_ROUNDS_MAX] = { 0 }, with[CONFIRMING * PF_REFINE_ROUNDS_MAX] = { 0 };
    int       wins = 0;
    pf_status st = PF_OK;

    for (int r = -1; r < rounds && !st; r++) {          /* the first round warms both */
        int at = r < 0 ? 0 : r;

        if (r % 2)
            st = run(user, true, &with[at], err);
        if (!st)
            st = run(user, false, &base[at], err);
        if (!st && !(r % 2))
            st = run(user, true, &with[at], err);
        wins += r >= 0 && with[at] < base[at];
    }
    *gain_ns = 0;
    if (st || wins < clear * rounds)
        return st;
    *gain_ns = median(base, rounds);
    *gain_ns = (double)*gain_ns * (1 - gain) > (double)median(with, rounds) ? *gain_ns - median(with, rounds) : 0;
    return PF_OK;
}

pf_status pf_refine_compare(pf_refine_run *run, void *user, int rounds, int64_t *gain_ns, pf_err *err)
{
    int       glance = rounds / GLANCE_PART > GLANCE_LEAST ? rounds / GLANCE_PART : GLANCE_LEAST;
    pf_status st = compare_once(run, user, glance, 0, 0, gain_ns, err);

    if (!st && *gain_ns > 0)
        st = compare_once(run, user, rounds, GAIN, CLEAR, gain_ns, err);
    if (!st && *gain_ns > 0)
        st = compare_once(run, user, CONFIRMING * rounds, GAIN, CLEAR, gain_ns, err);
    return st;
}
