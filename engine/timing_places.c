#include "base/clock.h"
#include "engine/timing_contest.h"

#define CLOSE 1.1               /* who takes so many times the best may be better elsewhere in memory */

/* By effort: in how many places of memory those race that are close to the best, on devices that capture and on others,
   where a run of the best takes at most so long.  Of candidates that three builds timed in three places on an H200, the
   slowest differed from the fastest by up to 21 % where the best took less than 3 us (mostly depthwise convolutions,
   and products that clusters share), by up to 6 % up to 10 us, and by less than 1 % beyond.  In one place medians
   repeat to 0.1 %. */
static const struct { uint32_t captured, others; int64_t longest_ns; } places[PF_RACE_EFFORT_MAX + 1] = {
    [0] = { 1, 1, 0 },
    [1] = { 1, 1, 0 },
    [2] = { 3, 1, 10 * PF_NS_PER_US },
    [3] = { 3, 1, 10 * PF_NS_PER_US },
    [4] = { PF_CONTEST_PLACES_MAX, 3, INT64_MAX },
    [5] = { PF_CONTEST_PLACES_MAX, 3, INT64_MAX },
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

static uint32_t place_count(const pf_contest *race)
{
    int      effort = race->options->effort;
    uint32_t count = race->timing->device->ops->capture_begin ? places[effort].captured : places[effort].others;

    return best_of(race) <= places[effort].longest_ns ? count : 1;
}

/* Who is close enough to the best that where things lie in memory may decide. */
static uint32_t invite(const pf_contest *race, uint32_t invited[PF_CONTEST_WAVE])
{
    int64_t  best_ns = best_of(race);
    uint32_t count = 0;

    for (uint32_t i = 0; i < race->count; i++)
        if (has_raced(&race->racers[i]) && (double)race->racers[i].entry.median_ns <= CLOSE * (double)best_ns)
            invited[count++] = i;
    return count;
}

/* Each gets what another one had: memory is given back and taken in another order. */
static void move_all(pf_contest *race, const uint32_t *invited, uint32_t count, uint32_t turn)
{
    for (uint32_t i = 0; i < race->count; i++)
        race->racers[i].run = (pf_racer){ .samples = race->racers[i].run.samples };
    for (uint32_t k = 0; k < count; k++)
        pf_bench_release(&race->bench, &race->racers[invited[k]].runner);
    pf_bench_move(&race->bench);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t                   i = invited[(k + turn) % count];
        const pf_timing_candidate *c = &race->candidates[i];
        pf_err                     ignored = { 0 };

        race->racers[i].run.racing = !pf_bench_prepare(&race->bench, c->tactic, c->tuning.text, 0,
                                                       pf_contest_cold_bytes(race), &race->racers[i].runner, &ignored);
    }
}

/* What is disturbed here does not count. */
pf_status pf_contest_race_elsewhere(pf_contest *race, pf_err *err)
{
    pf_timing_spent before = race->timing->spent;
    int64_t         start = pf_clock_ns();
    uint32_t        invited[PF_CONTEST_WAVE] = { 0 }, count = place_count(race);
    bool            disturbed = false;
    pf_status       st = PF_OK;

    for (uint32_t turn = 1; turn < count && !disturbed && !st && !race->breaker; turn++) {
        uint32_t guests = invite(race, invited);

        if (guests < 2)
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
