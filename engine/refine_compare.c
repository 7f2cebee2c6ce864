#include "engine/refine_compare.h"

#include <math.h>
#include <string.h>

#include "engine/race.h"

enum { PAIRS_FIRST = 5, TRIMMED = 5 };  /* one in TRIMMED values is left out at either end */

#define GAIN  0.003             /* the other takes over when the whole is faster by this part, */
#define CLEAR 3.5               /* and by so many times the error that as many pairs as may be run leave */
#define EQUAL 0.006             /* gains that differ by less are equal */

typedef struct sampled {
    int     count;
    int64_t base[PF_REFINE_PAIRS_MAX], gain[PF_REFINE_PAIRS_MAX];
} sampled;

/* Runs now and then take far longer: the mean of what is in the middle. */
static double middle_of(const int64_t *values, int count)
{
    int64_t sorted[PF_REFINE_PAIRS_MAX] = { 0 };
    int     left_out = count / TRIMMED;
    double  sum = 0;

    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    pf_race_sort_ns(sorted, (size_t)count);
    for (int i = left_out; i < count - left_out; i++)
        sum += (double)sorted[i];
    return sum / (count - 2 * left_out);
}

/* Half of the 95 % interval of the mean.  Student's factor, by its series in one over the degrees of freedom: 2.78 of 5
   values, 2.26 of 10, 2.09 of 20. */
static double error_of(const int64_t *values, int count)
{
    double freedom = count - 1, mean = 0, square = 0;

    for (int i = 0; i < count; i++)
        mean += (double)values[i] / count;
    for (int i = 0; i < count; i++)
        square += ((double)values[i] - mean) * ((double)values[i] - mean);
    return (1.96 + 2.4 / freedom + 3.5 / (freedom * freedom)) * sqrt(square / freedom / count);
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

/* What was found so far.  True: more pairs would not change it. */
static bool judge(const sampled *s, int most, pf_refine_verdict *out)
{
    double base = middle_of(s->base, s->count), gain = middle_of(s->gain, s->count);
    double error = error_of(s->gain, s->count);
    double enough = greater(GAIN * base, CLEAR * error * sqrt((double)s->count / most));

    *out = (pf_refine_verdict){ gain > enough, s->count, llround(base), llround(gain), llround(error) };
    return gain + error < enough || (gain - error > enough && error < EQUAL / 2 * base);
}

pf_status pf_refine_compare(pf_refine_turns *turns, void *user, int most_pairs, pf_refine_verdict *out, pf_err *err)
{
    sampled   s = { 0 };
    int       most = most_pairs < PF_REFINE_PAIRS_MAX ? most_pairs : PF_REFINE_PAIRS_MAX;
    bool      clear = false;
    pf_status st = PF_OK;

    *out = (pf_refine_verdict){ 0 };
    while (s.count < most && !clear && !st) {
        st = run_pairs(turns, user, next_pairs(&s, most), &s, err);
        clear = !st && judge(&s, most, out);
    }
    return st;
}

bool pf_refine_is_better(const pf_refine_verdict *verdict, const pf_refine_verdict *best)
{
    return verdict->faster &&
           (!best->faster || (double)(verdict->gain_ns - best->gain_ns) > EQUAL * (double)best->base_ns);
}
