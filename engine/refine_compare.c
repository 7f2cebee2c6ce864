#include "engine/refine_compare.h"

#include <math.h>
#include <string.h>

#include "engine/race.h"

enum { PAIRS_FIRST = 10, TRIMMED = 5 };         /* one in TRIMMED values is left out at either end */

#define GAIN   0.0035           /* the other takes over when the whole is faster by this part, */
#define SHARED 1.5              /* by so many times that part more were it to change all layers, */
#define CLEAR  2                /* and by so many times the error that as many pairs as may be run leave */
#define KNOWN  0.0015           /* of the whole: a gain's error that is small enough to tell it from others */
#define EQUAL  0.004            /* of the whole: gains that differ by less are equal */

typedef struct sampled {
    int     count;
    int64_t base[PF_REFINE_PAIRS_MAX], gain[PF_REFINE_PAIRS_MAX];
} sampled;

/* Of some values, of which now and then one is far off. */
typedef struct middle {
    double mean;                /* of those that are left when as many are left out at either end */
    double error;               /* half of its 95 % interval */
} middle;

static double square_of(double x)
{
    return x * x;
}

/* The trimmed mean, and its error as Tukey and McLaughlin give it: of all values, those left out put where the next
   ones are.  So one that is far off does not make everything uncertain. */
static middle middle_of(const int64_t *values, int count)
{
    int64_t sorted[PF_REFINE_PAIRS_MAX] = { 0 };
    int     out = count / TRIMMED, last = count - out - 1;
    double  mean = 0, all = 0, square = 0, error = 0;

    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    pf_race_sort_ns(sorted, (size_t)count);
    for (int i = out; i <= last; i++)
        mean += (double)sorted[i] / (last - out + 1);
    for (int i = 0; i < count; i++)
        all += (double)sorted[i < out ? out : i > last ? last : i] / count;
    for (int i = 0; i < count; i++)
        square += square_of((double)sorted[i < out ? out : i > last ? last : i] - all);
    error = sqrt(square / (count - 1) / count) * count / (last - out + 1);
    return (middle){ mean, pf_race_student((uint32_t)(last - out)) * error };
}

static pf_status run_pairs(pf_refine_turns *turns, void *user, int pairs, sampled *s, pf_err *err)
{
    int64_t   other[PF_REFINE_TURN_PAIRS] = { 0 };
    pf_status st = turns(user, pairs, s->base + s->count, other, err);

    for (int i = 0; i < pairs && !st; i++)
        s->gain[s->count + i] = s->base[s->count + i] - other[i];
    s->count += st ? 0 : pairs;
    return st;
}

/* As many as there were, so that each look at them has twice as many as the one before. */
static int next_pairs(const sampled *s, int most)
{
    int pairs = s->count ? s->count : PAIRS_FIRST;

    pairs = pairs > PF_REFINE_TURN_PAIRS ? PF_REFINE_TURN_PAIRS : pairs;
    return pairs > most - s->count ? most - s->count : pairs;
}

static double greater(double a, double b)
{
    return a > b ? a : b;
}

static double least_gain_ns(double base_ns, double share)
{
    return GAIN * (1 + SHARED * share) * base_ns;
}

int64_t pf_refine_enough_ns(double base_ns, double share, double error_ns)
{
    return llround(greater(least_gain_ns(base_ns, share), CLEAR * error_ns));
}

/* What was found so far.  True: more pairs would not change it.  Few pairs that scatter much say nothing yet: what may
   still gain enough goes on. */
static bool judge(const sampled *s, int most, double share, pf_refine_verdict *out)
{
    middle  base = middle_of(s->base, s->count), gain = middle_of(s->gain, s->count);
    int64_t enough_ns = pf_refine_enough_ns(base.mean, share, gain.error * sqrt((double)s->count / most));
    double  least = least_gain_ns(base.mean, share), enough = (double)enough_ns;

    *out = (pf_refine_verdict){ .faster = gain.mean > enough, .pairs = s->count, .base_ns = llround(base.mean),
                                .gain_ns = llround(gain.mean), .error_ns = llround(gain.error),
                                .enough_ns = enough_ns, .equal_ns = llround(EQUAL * base.mean), .share = share,
                                .places = 1 };
    return gain.mean + gain.error < least ||
           (gain.mean - gain.error > enough && gain.error < KNOWN * base.mean);
}

pf_status pf_refine_compare(pf_refine_turns *turns, void *user, const pf_refine_terms *terms, pf_refine_verdict *out,
                            pf_err *err)
{
    sampled   s = { 0 };
    int       most = terms->most_pairs < PF_REFINE_PAIRS_MAX ? terms->most_pairs : PF_REFINE_PAIRS_MAX;
    bool      clear = false;
    pf_status st = PF_OK;

    *out = (pf_refine_verdict){ 0 };
    while (s.count < most && !clear && !st) {
        st = run_pairs(turns, user, next_pairs(&s, most), &s, err);
        clear = !st && judge(&s, most, terms->share, out) && s.count >= terms->least_pairs;
    }
    return st;
}
