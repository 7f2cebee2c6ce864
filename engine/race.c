#include "engine/race.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Standard error of a median over sqrt(n), from the median absolute deviation. */
#define MEDIAN_ERROR (1.253 * 1.4826)
#define CONFIDENCE   1.96

enum { RUNG_OF_RIVALS = PF_RACE_RUNGS - 2 };    /* after it only rivals go on */

/* Samples that a candidate has after each rung, and the time it may take for them. */
static const struct { uint32_t samples[PF_RACE_RUNGS]; int64_t budget_ns; } efforts[PF_RACE_EFFORT_MAX + 1] = {
    [1] = { { 3, 5, 0, 0 },      40 * PF_NS_PER_MS },
    [2] = { { 3, 7, 13, 25 },    80 * PF_NS_PER_MS },
    [3] = { { 3, 10, 30, 0 },   200 * PF_NS_PER_MS },
    [4] = { { 3, 10, 30, 60 },  500 * PF_NS_PER_MS },
    [5] = { { 3, 10, 30, 100 }, PF_NS_PER_S },
};

uint32_t pf_race_samples(int effort)
{
    uint32_t most = 0;

    for (int i = 0; i < PF_RACE_RUNGS; i++)
        most = efforts[effort].samples[i] > most ? efforts[effort].samples[i] : most;
    return most;
}

/* ---- Statistics */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

void pf_race_sort_ns(int64_t *ns, size_t count)
{
    qsort(ns, count, sizeof *ns, by_value);
}

static int64_t median_of(int64_t *sorted, uint32_t count)
{
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

void pf_racer_summarize(pf_racer *r, int64_t *scratch)
{
    memcpy(scratch, r->samples, r->count * sizeof *scratch);
    pf_race_sort_ns(scratch, r->count);
    r->min_ns = scratch[0];
    r->median_ns = median_of(scratch, r->count);
    for (uint32_t i = 0; i < r->count; i++)
        scratch[i] = llabs(r->samples[i] - r->median_ns);
    pf_race_sort_ns(scratch, r->count);
    r->deviation_ns = median_of(scratch, r->count);
}

double pf_race_median_error(int64_t deviation_ns, uint32_t samples)
{
    return CONFIDENCE * MEDIAN_ERROR * (double)deviation_ns / sqrt(samples);
}

/* The series of Student's factor in one over the degrees of freedom. */
double pf_race_student(uint32_t freedom)
{
    return 1.96 + 2.4 / freedom + 3.5 / freedom / freedom;
}

static double error_of(const pf_racer *r)
{
    return pf_race_median_error(r->deviation_ns, r->count);
}

/* ---- Turns and rungs */

static void shuffle(const pf_race *race)
{
    for (uint32_t i = race->count; i > 1; i--) {
        uint32_t k = (uint32_t)pf_random_below(race->random, i), kept = race->order[i - 1];

        race->order[i - 1] = race->order[k];
        race->order[k] = kept;
    }
}

/* One sample of everyone who still races and is short of them. */
static bool take_turn(const pf_race *race, uint32_t wanted)
{
    bool sampled = false;

    shuffle(race);
    for (uint32_t i = 0; i < race->count; i++) {
        pf_racer *r = race->racers[race->order[i]];
        int64_t   ns = 0, spent_ns = 0;

        if (!r->racing || r->count >= wanted || (r->count && r->spent_ns > efforts[race->effort].budget_ns))
            continue;
        sampled = true;
        r->racing = race->sample(race->user, race->order[i], &ns, &spent_ns);
        if (!r->racing)
            continue;
        r->samples[r->count++] = ns;
        r->spent_ns += spent_ns;
    }
    return sampled;
}

static bool is_slow(int rung, const pf_racer *r, const pf_racer *best, int64_t best_min_ns)
{
    if (rung == 0)
        return (double)r->min_ns > PF_RACE_FAR * (double)best_min_ns;
    return (double)r->median_ns - error_of(r) > (double)best->median_ns + error_of(best) &&
           (double)r->median_ns > PF_RACE_CLOSE * (double)best->median_ns;
}

/* The one with the least median among those who still race; *best_min_ns: the least sample of all. */
static const pf_racer *find_best(const pf_race *race, int64_t *best_min_ns)
{
    const pf_racer *best = NULL;

    *best_min_ns = race->best_min_ns;
    for (uint32_t i = 0; i < race->count; i++) {
        pf_racer *r = race->racers[i];

        if (!r->racing)
            continue;
        pf_racer_summarize(r, race->scratch);
        best = !best || r->median_ns < best->median_ns ? r : best;
        *best_min_ns = r->min_ns < *best_min_ns ? r->min_ns : *best_min_ns;
    }
    return best;
}

static void drop_the_slow(const pf_race *race, int rung)
{
    int64_t         best_min_ns = 0;
    const pf_racer *best = find_best(race, &best_min_ns);

    for (uint32_t i = 0; i < race->count; i++) {
        pf_racer *r = race->racers[i];

        if (!r->racing || r == best || !is_slow(rung, r, best, best_min_ns))
            continue;
        r->dropped = true;
        r->racing = false;
    }
}

/* Also who is further behind, but by less than is known: the choice would take the two for equal. */
static bool is_rival(const pf_racer *r, const pf_racer *best)
{
    double close_ns = (PF_RACE_RIVAL - 1) * (double)best->median_ns;

    return r->racing &&
           (double)(r->median_ns - best->median_ns) <= fmax(close_ns, fmax(error_of(r), error_of(best)));
}

/* More samples are for telling rivals apart: who is not close to the best has enough, and so has a best without any. */
static void settle_the_clear(const pf_race *race)
{
    int64_t         ignored = 0;
    const pf_racer *best = find_best(race, &ignored);
    uint32_t        rivals = 0;

    for (uint32_t i = 0; i < race->count; i++)
        rivals += is_rival(race->racers[i], best);
    for (uint32_t i = 0; i < race->count; i++) {
        pf_racer *r = race->racers[i];

        r->settled = r->racing && (rivals < 2 || !is_rival(r, best));
        r->racing = r->racing && !r->settled;
    }
}

pf_status pf_race_run(const pf_race *race, pf_err *err)
{
    const uint32_t *wanted = efforts[race->effort].samples;

    for (int rung = 0; rung < PF_RACE_RUNGS && wanted[rung]; rung++) {
        while (take_turn(race, wanted[rung]))
            if (race->go_on && !race->go_on(race->user))
                return PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
        if (!race->to_the_end)
            drop_the_slow(race, rung);
        if (!race->to_the_end && rung == RUNG_OF_RIVALS)
            settle_the_clear(race);
    }
    return PF_OK;
}
