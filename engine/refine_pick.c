#include "engine/refine_pick.h"

#include <math.h>
#include <stdlib.h>

#include "engine/choose.h"
#include "engine/race.h"

enum {
    PART = 4,                   /* of a gain: what misses the greatest by more is not equal to it */
    PLACES_LEAST = 3,           /* before anybody is picked, */
    UNKNOWN = 2,                /* and before that nobody is left behind whom so many times the error may bring back, or
                                   given up */
};

#define OPEN    0.003           /* of the whole: by so much a gain may be another one elsewhere */
#define CAREFUL 1.4             /* times the 95 % interval of the places' mean, as it is looked at after each of them */

/* Those that were compared wherever any was.  Who was left behind was told from the others; its mean is of other places
   than theirs, and where the one that stands lies in a place makes all gains of that place greater or less. */
typedef struct field {
    const pf_refine_verdict      *verdicts;
    const pf_timing_entry *const *entries;
    int                           count, places;
} field;

static field field_of(const pf_refine_verdict *verdicts, const pf_timing_entry *const *entries, int count)
{
    field f = { verdicts, entries, count, 0 };

    for (int i = 0; i < count; i++)
        f.places = verdicts[i].places > f.places ? verdicts[i].places : f.places;
    return f;
}

static bool is_in(const field *f, int i)
{
    return f->verdicts[i].pairs && f->verdicts[i].places == f->places;
}

static bool is_preferred(const field *f, int i, int to)
{
    return pf_choose_compare_equal(f->entries[i], f->entries[to]) < 0;
}

/* -1: none. */
static int greatest_gain(const field *f, bool of_the_faster)
{
    int best = -1;

    for (int i = 0; i < f->count; i++)
        if (is_in(f, i) && (f->verdicts[i].faster || !of_the_faster) &&
            (best < 0 || f->verdicts[i].gain_ns > f->verdicts[best].gain_ns))
            best = i;
    return best;
}

/* The least gain that is equal to that one. */
static int64_t least_equal(const pf_refine_verdict *best)
{
    int64_t part_ns = best->gain_ns / PART;

    return best->gain_ns - (best->equal_ns < part_ns ? best->equal_ns : part_ns);
}

int pf_refine_pick(const pf_refine_verdict *verdicts, const pf_timing_entry *const *entries, int count)
{
    field   f = field_of(verdicts, entries, count);
    int     picked = greatest_gain(&f, true);
    int64_t least_ns = picked < 0 ? 0 : least_equal(&verdicts[picked]);

    for (int i = 0; i < count && picked >= 0; i++)
        if (is_in(&f, i) && verdicts[i].gain_ns >= least_ns && is_preferred(&f, i, picked))
            picked = i;
    return picked;
}

/* As far as its places tell, when there are some; few that are alike by chance say less than what is known of all. */
static double elsewhere_ns(const pf_refine_verdict *v)
{
    double known_ns = OPEN * (double)v->base_ns / sqrt(v->places);

    if (v->places < PLACES_LEAST)
        return known_ns;
    return fmax(known_ns, CAREFUL * pf_race_student((uint32_t)v->places - 1) *
                              sqrt(v->square_ns2 / (v->places - 1) / v->places));
}

/* By how much its gain may be another one. */
static int64_t open_ns(const pf_refine_verdict *v)
{
    return llround(fmax(elsewhere_ns(v), (double)v->error_ns));
}

/* The same, with more care while few places say anything. */
static int64_t widely_open_ns(const pf_refine_verdict *v)
{
    return open_ns(v) * (v->places < PLACES_LEAST ? UNKNOWN : 1);
}

static bool is_near(const pf_refine_verdict *v, int64_t gain_ns, int64_t error_ns)
{
    return llabs(v->gain_ns - gain_ns) <= error_ns;
}

/* Who is preferred of those that are certainly as good as the best. */
static int certain_pick(const field *f, int best)
{
    int64_t least_ns = least_equal(&f->verdicts[best]);
    int     picked = best;

    for (int i = 0; i < f->count; i++)
        if (is_in(f, i) && f->verdicts[i].gain_ns - open_ns(&f->verdicts[i]) > least_ns && is_preferred(f, i, picked))
            picked = i;
    return picked;
}

/* May it be picked after all?  One that is preferred where it is as good as the best, another one where it gains so
   much that who is picked is no longer as good. */
static bool is_open(const field *f, int i, int best, int picked)
{
    const pf_refine_verdict *v = f->verdicts;
    int64_t                  least_ns = least_equal(&v[best]);
    int64_t                  error_ns = widely_open_ns(&v[i]);

    if (i == best || i == picked)
        return false;
    return is_preferred(f, i, picked) ? is_near(&v[i], least_ns, error_ns)
                                      : v[i].gain_ns + error_ns >= v[picked].gain_ns + v[best].gain_ns - least_ns;
}

/* Then who is equal to it hangs on its gain. */
static bool may_be_best(const field *f, int i, int best)
{
    return f->verdicts[i].gain_ns + open_ns(&f->verdicts[i]) >= f->verdicts[best].gain_ns;
}

/* However little is known yet. */
static bool may_gain_enough(const pf_refine_verdict *v)
{
    return v->gain_ns + widely_open_ns(v) >= pf_refine_enough_ns((double)v->base_ns, v->share, 0);
}

/* One that is not known well enough to be faster is not left for that. */
static bool may_or_may_not_gain_enough(const pf_refine_verdict *v)
{
    return !v->faster || is_near(v, v->enough_ns, open_ns(v));
}

int pf_refine_undecided(const pf_refine_verdict *verdicts, const pf_timing_entry *const *entries, int count, int *out)
{
    field f = field_of(verdicts, entries, count);
    int   best = greatest_gain(&f, false), picked = 0, found = 0;
    bool  open = false;

    if (best < 0 || !may_gain_enough(&verdicts[best]))
        return 0;
    picked = certain_pick(&f, best);
    open = f.places < PLACES_LEAST || may_or_may_not_gain_enough(&verdicts[best]);
    for (int i = 0; i < count; i++) {
        bool may_be_picked = is_in(&f, i) && is_open(&f, i, best, picked);

        open |= may_be_picked;
        if (may_be_picked || i == best || i == picked || (is_in(&f, i) && may_be_best(&f, i, best)))
            out[found++] = i;
    }
    return open ? found : 0;
}

void pf_refine_verdict_add(pf_refine_verdict *to, const pf_refine_verdict *elsewhere)
{
    int     n = ++to->places;
    int64_t off_ns = elsewhere->gain_ns - to->gain_ns;

    to->gain_ns += off_ns / n;
    to->square_ns2 += (double)off_ns * (double)(elsewhere->gain_ns - to->gain_ns);
    to->error_ns = llround(hypot((double)to->error_ns * (n - 1), (double)elsewhere->error_ns) / n);
    to->base_ns += (elsewhere->base_ns - to->base_ns) / n;
    to->enough_ns = pf_refine_enough_ns((double)to->base_ns, to->share, (double)to->error_ns);
    to->equal_ns += (elsewhere->equal_ns - to->equal_ns) / n;
    to->pairs += elsewhere->pairs;
    to->faster = to->gain_ns > to->enough_ns;
}
