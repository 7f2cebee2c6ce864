#include "engine/refine_pick.h"

#include <math.h>
#include <stdlib.h>

#include "engine/choose.h"
#include "engine/race.h"

enum {
    PART = 4,                   /* of a gain: what misses the greatest by more is not equal to it */
    PLACES_LEAST = 3,           /* before anybody is picked */
};

#define ALONE PF_RACE_RIVAL     /* times alone that differ by less are equal */
#define OPEN  0.0015            /* of the whole: by so much a gain may be another one elsewhere */

static const pf_refine_verdict *greatest_gain(const pf_refine_verdict *verdicts, int count, bool of_the_faster)
{
    const pf_refine_verdict *best = NULL;

    for (int i = 0; i < count; i++)
        if ((verdicts[i].faster || (!of_the_faster && verdicts[i].pairs)) &&
            (!best || verdicts[i].gain_ns > best->gain_ns))
            best = &verdicts[i];
    return best;
}

/* The least gain that is equal to that one. */
static int64_t least_equal(const pf_refine_verdict *best)
{
    int64_t part_ns = best->gain_ns / PART;

    return best->gain_ns - (best->equal_ns < part_ns ? best->equal_ns : part_ns);
}

/* Of those whose gain is enough the least workspace, and the least time alone of those that need no more. */
typedef struct limits { int64_t gain_ns, alone_ns; uint64_t workspace_bytes; } limits;

static bool is_within(const limits *l, const pf_refine_verdict *v, const pf_timing_entry *entry)
{
    return v->gain_ns >= l->gain_ns && entry->workspace_bytes <= l->workspace_bytes &&
           (double)pf_choose_time(entry) <= ALONE * (double)l->alone_ns;
}

static limits limits_of(const pf_refine_verdict *verdicts, const pf_timing_entry *const *entries, int count,
                        int64_t gain_ns)
{
    limits l = { gain_ns, INT64_MAX, UINT64_MAX };

    for (int i = 0; i < count; i++) {
        uint64_t bytes = entries[i]->workspace_bytes;
        int64_t  alone_ns = pf_choose_time(entries[i]);

        if (verdicts[i].gain_ns < gain_ns || bytes > l.workspace_bytes)
            continue;
        l.alone_ns = bytes < l.workspace_bytes || alone_ns < l.alone_ns ? alone_ns : l.alone_ns;
        l.workspace_bytes = bytes;
    }
    return l;
}

int pf_refine_pick(const pf_refine_verdict *verdicts, const pf_timing_entry *const *entries, int count)
{
    const pf_refine_verdict *best = greatest_gain(verdicts, count, true);
    limits                   l = { 0 };
    int                      picked = -1;

    if (!best)
        return -1;
    l = limits_of(verdicts, entries, count, least_equal(best));
    for (int i = 0; i < count; i++)
        if (is_within(&l, &verdicts[i], entries[i]) &&
            (picked < 0 || pf_choose_compare_equal(entries[i], entries[picked]) < 0))
            picked = i;
    return picked;
}

/* By how much its gain may be another one. */
static int64_t open_ns(const pf_refine_verdict *v)
{
    int64_t elsewhere_ns = llround(OPEN * (double)v->base_ns / sqrt(v->places));

    return elsewhere_ns > v->error_ns ? elsewhere_ns : v->error_ns;
}

static bool is_near(const pf_refine_verdict *v, int64_t gain_ns)
{
    return llabs(v->gain_ns - gain_ns) <= open_ns(v);
}

int pf_refine_undecided(const pf_refine_verdict *verdicts, int count, int *out)
{
    const pf_refine_verdict *best = greatest_gain(verdicts, count, false);
    int64_t                  least_ns = best ? least_equal(best) : 0;
    bool                     open = best && (best->places < PLACES_LEAST || is_near(best, best->enough_ns));
    int                      found = 0;

    if (!best || best->gain_ns + open_ns(best) < best->enough_ns)
        return 0;
    for (int i = 0; i < count; i++) {
        const pf_refine_verdict *v = &verdicts[i];

        if (!v->pairs || v->gain_ns + open_ns(v) < least_ns)
            continue;
        out[found++] = i;
        open |= v != best && is_near(v, least_ns);
    }
    return open ? found : 0;
}

void pf_refine_verdict_add(pf_refine_verdict *to, const pf_refine_verdict *elsewhere)
{
    int n = ++to->places;

    to->gain_ns += (elsewhere->gain_ns - to->gain_ns) / n;
    to->error_ns = llround(hypot((double)to->error_ns * (n - 1), (double)elsewhere->error_ns) / n);
    to->base_ns += (elsewhere->base_ns - to->base_ns) / n;
    to->enough_ns += (elsewhere->enough_ns - to->enough_ns) / n;
    to->equal_ns += (elsewhere->equal_ns - to->equal_ns) / n;
    to->pairs += elsewhere->pairs;
    to->faster = to->gain_ns > to->enough_ns;
}
