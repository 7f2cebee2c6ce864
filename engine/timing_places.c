#include <math.h>

#include "base/clock.h"
#include "engine/choose.h"
#include "engine/timing_contest.h"

#define CLOSE_AT_FIRST 1.15     /* who takes so many times the best may be better elsewhere in memory: after one race */
#define CLOSE          1.1      /* and after more */
#define EXACT          0.01     /* of the mean: a time that is known so well need not be known better */

/* By effort: in how many places of memory those race that are close to the best, on devices that capture and on others,
   where a run of the best takes at most so long.  On devices that capture it goes on in up to PF_CONTEST_PLACES_MAX for
   those of whom it is not known by then who is chosen.  Of candidates that three builds timed in three places on an
   H200, the slowest differed from the fastest by up to 21 % where the best took less than 3 us (mostly depthwise
   convolutions, and products that clusters share), by up to 6 % up to 10 us, and by less than 1 % beyond.  In one place
   medians repeat to 0.1 %.  Most are told apart after three or four.  Two builds choose another one in 13 problems of
   a thousand where it ends at twenty and two standard errors tell means apart, in 9 where it ends at forty and the 95 %
   intervals of so few places do (277 problems of seven networks, drawn again from the races of three to eleven builds
   each). */
static const struct { uint32_t captured, others; int64_t longest_ns; } places[PF_RACE_EFFORT_MAX + 1] = {
    [0] = { 1, 1, 0 },
    [1] = { 1, 1, 0 },
    [2] = { 3, 1, 10 * PF_NS_PER_US },
    [3] = { 3, 1, 10 * PF_NS_PER_US },
    [4] = { 5, 3, INT64_MAX },
    [5] = { 5, 3, INT64_MAX },
};

static bool has_raced(const pf_contestant *r)
{
    return r->races && r->runner.step && (r->entry.status == PF_TIMED || r->entry.status == PF_TIMING_DROPPED);
}

static int64_t best_of(const pf_contest *race)
{
    int64_t best_ns = INT64_MAX;

    for (uint32_t i = 0; i < race->count; i++)
        if (has_raced(&race->racers[i]) && race->racers[i].entry.median_ns < best_ns)
            best_ns = race->racers[i].entry.median_ns;
    return best_ns;
}

/* Those that do, and *most: those at most. */
static uint32_t place_count(const pf_contest *race, uint32_t *most)
{
    int      effort = race->options->effort;
    bool     captures = race->timing->device->ops->capture_begin;
    uint32_t count = captures ? places[effort].captured : places[effort].others;

    count = best_of(race) <= places[effort].longest_ns ? count : 1;
    *most = count > 1 && captures ? PF_CONTEST_PLACES_MAX : count;
    return count;
}

/* Who is close enough to the best that where things lie in memory may decide. */
static uint32_t invite(const pf_contest *race, double close, uint32_t invited[PF_CONTEST_WAVE])
{
    int64_t  best_ns = best_of(race);
    uint32_t count = 0;

    for (uint32_t i = 0; i < race->count; i++)
        if (has_raced(&race->racers[i]) && (double)race->racers[i].entry.median_ns <= close * (double)best_ns)
            invited[count++] = i;
    return count;
}

/* The square of half the 95 % interval of the mean over places. */
static double square_error(const pf_contestant *r)
{
    double sum = 0;

    for (uint32_t i = 0; i < r->races; i++)
        sum += ((double)r->medians_ns[i] - (double)r->entry.median_ns) *
               ((double)r->medians_ns[i] - (double)r->entry.median_ns);
    if (r->races < 2)
        return 0;
    return pf_race_student(r->races - 1) * pf_race_student(r->races - 1) * sum / (r->races - 1) / r->races;
}

/* By how much the difference of two may be another one. */
static double error_of(const pf_contestant *a, const pf_contestant *b)
{
    return sqrt(square_error(a) + square_error(b));
}

static double slower_by(const pf_contestant *r, const pf_contestant *than)
{
    return (double)(r->entry.median_ns - than->entry.median_ns);
}

static bool is_preferred(const pf_contest *race, uint32_t i, uint32_t to)
{
    return pf_choose_compare_tactics(race->candidates[i].tactic, &race->racers[i].entry, race->candidates[to].tactic,
                                     &race->racers[to].entry) < 0;
}

/* May it be chosen (engine/choose.h) in place of who is, as far as is known?  One that is preferred where it is as good
   as the best, another one where who is chosen is no longer as good as it. */
static bool is_open(const pf_contest *race, uint32_t i, uint32_t best, uint32_t chosen)
{
    const pf_contestant *racers = race->racers;
    double               noise_ns = pf_choose_noise_ns(racers[best].entry.median_ns);

    if (i == best || i == chosen)
        return false;
    if (is_preferred(race, i, chosen))
        return fabs(slower_by(&racers[i], &racers[best]) - noise_ns) <= error_of(&racers[i], &racers[best]);
    return slower_by(&racers[i], &racers[chosen]) + noise_ns <= error_of(&racers[i], &racers[chosen]);
}

/* To what need not be told apart.  Other layouts of the same layer are told from this one by it. */
static bool is_known(const pf_contestant *r)
{
    double error = r->races > 1 ? sqrt(square_error(r))
                                : pf_race_median_error(r->entry.spread_ns, r->entry.sample_count);

    return error <= EXACT * (double)r->entry.median_ns;
}

static uint32_t best_invited(const pf_contest *race, const uint32_t *invited, uint32_t count)
{
    uint32_t best = invited[0];

    for (uint32_t k = 1; k < count; k++)
        if (slower_by(&race->racers[invited[k]], &race->racers[best]) < 0)
            best = invited[k];
    return best;
}

/* Who is preferred of those that are certainly as good as the best. */
static uint32_t chosen_invited(const pf_contest *race, const uint32_t *invited, uint32_t count, uint32_t best)
{
    const pf_contestant *racers = race->racers;
    double               noise_ns = pf_choose_noise_ns(racers[best].entry.median_ns);
    uint32_t             chosen = best;

    for (uint32_t k = 0; k < count; k++) {
        uint32_t i = invited[k];
        double   slower_ns = slower_by(&racers[i], &racers[best]), error_ns = error_of(&racers[i], &racers[best]);

        if (slower_ns + error_ns < noise_ns && is_preferred(race, i, chosen))
            chosen = i;
    }
    return chosen;
}

/* Of those that were invited the best, who is chosen, and who may be after all; nobody when that is known. */
static uint32_t invite_again(const pf_contest *race, uint32_t count, uint32_t invited[PF_CONTEST_WAVE])
{
    uint32_t best = best_invited(race, invited, count), chosen = chosen_invited(race, invited, count, best), kept = 0;
    bool     known = is_known(&race->racers[best]) && is_known(&race->racers[chosen]);

    for (uint32_t k = 0; k < count; k++) {
        uint32_t i = invited[k];
        bool     open = is_open(race, i, best, chosen);

        known &= !open;
        if (open || i == best || i == chosen)
            invited[kept++] = i;
    }
    return known ? 0 : kept;
}

/* Copies of constants that are a candidate's own, as cold ones are, come to lie where another one's lay: all are given
   back before any is taken, in another order. */
static void move_all(pf_contest *race, const uint32_t *invited, uint32_t count, uint32_t turn)
{
    for (uint32_t i = 0; i < race->count; i++) {
        race->racers[i].run = (pf_racer){ .samples = race->racers[i].run.samples };
        pf_bench_unbind(&race->bench, &race->racers[i].runner);
    }
    pf_bench_move(&race->bench, turn);
    for (uint32_t k = 0; k < count; k++) {
        pf_contestant *r = &race->racers[invited[(k + turn) % count]];
        pf_err         ignored = { 0 };

        r->run.racing = !pf_bench_bind(&race->bench, pf_contest_cold_bytes(race), &r->runner, &ignored);
    }
}

/* What is disturbed here does not count. */
pf_status pf_contest_race_elsewhere(pf_contest *race, pf_err *err)
{
    pf_timing_spent before = race->timing->spent;
    int64_t         start = pf_clock_ns();
    uint32_t        invited[PF_CONTEST_WAVE] = { 0 }, most = 0, count = place_count(race, &most), guests = 0;
    bool            disturbed = false;
    pf_status       st = PF_OK;

    for (uint32_t turn = 1; turn < most && !disturbed && !st && !race->breaker; turn++) {
        guests = turn < count ? invite(race, turn == 1 ? CLOSE_AT_FIRST : CLOSE, invited)
                              : invite_again(race, guests, invited);
        if (!guests || (guests == 1 && is_known(&race->racers[invited[0]])))
            break;
        move_all(race, invited, guests, turn);
        st = pf_contest_race(race, &disturbed, err);
        if (!disturbed)
            pf_contest_note_race(race);
    }
    race->timing->spent = before;
    race->timing->spent.places_ns += pf_clock_ns() - start;
    return st;
}
