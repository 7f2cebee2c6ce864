#include "base/clock.h"
#include "base/log.h"
#include "engine/timing_contest.h"

enum {
    REPEATS_MAX = 100000,
    ALIKE = 4,          /* what takes so many times as long is no rival: it runs as often as it likes */
    LONG_NS = 100000,   /* of such a run what it takes to begin it is little: 5 us, and up to 80 on a busy processor */
    FAR = 2,            /* so many times the best is no rival where two runs say so, even if they say it badly */
};

/* ---- Samples */

static bool take_sample(void *user, uint32_t i, int64_t *ns, int64_t *spent_ns)
{
    pf_contest    *race = user;
    pf_contestant *r = &race->racers[i];
    pf_err         reason = { 0 };
    pf_status      st = pf_bench_sample(&race->bench, &r->runner, ns, &reason);

    if (st)
        pf_contest_fail(race, r, st, &reason);
    *spent_ns = *ns * r->runner.repeats;
    return !st;
}

static bool asks_to_go_on(void *user)
{
    return pf_contest_goes_on(user);
}

static pf_status run_rungs(pf_contest *race, pf_err *err)
{
    pf_racer *racers[PF_CONTEST_WAVE] = { NULL };
    pf_race   run = { racers, race->count, race->options->effort, race->options->to_the_end, race->best_min_ns,
                      &race->random, race->order, race->scratch, take_sample, asks_to_go_on, race };
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < race->count; i++)
        racers[i] = &race->racers[i].run;
    st = pf_race_run(&run, err);
    for (uint32_t i = 0; i < race->count; i++)
        if (racers[i]->dropped)
            race->racers[i].entry.status = PF_TIMING_DROPPED;
    return st;
}

/* ---- How often each runs in a sample */

static pf_status glance(pf_contest *race, int64_t *ns, pf_err *err)
{
    int64_t least = INT64_MAX;

    for (uint32_t i = 0; i < race->count; i++) {
        pf_contestant *r = &race->racers[i];
        pf_err         reason = { 0 };
        pf_status      st = PF_OK;

        if (!r->run.racing || r->runner.graph)
            continue;
        if (!pf_contest_goes_on(race))
            return PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
        pf_contest_note_trial(race, &r->entry);
        st = pf_bench_glance(&race->bench, &r->runner, PF_TIMING_BATCH_NS, &ns[i], &reason);
        if (st)
            pf_contest_fail(race, r, st, &reason);
        else if (ns[i] < least && pf_bench_captures(&race->bench, &r->runner))
            least = ns[i];
    }
    pf_contest_note_trial(race, NULL);
    race->glance_ns = race->glance_ns == INT64_MAX ? least : race->glance_ns;
    return PF_OK;
}

/* Where even the best takes long, one run tells who is far behind, and samples take long: that one look is all they
   get, in the first place; in others each is known to be close. */
static void drop_at_a_glance(pf_contest *race, const int64_t *ns)
{
    for (uint32_t i = 0; i < race->count && !race->options->to_the_end; i++) {
        pf_contestant *r = &race->racers[i];

        if (!r->run.racing || r->races || r->runner.graph || !pf_bench_captures(&race->bench, &r->runner) ||
            ns[i] / FAR <= race->glance_ns)
            continue;
        r->run.samples[0] = ns[i];
        r->run.count = 1;
        r->run.racing = false;
        r->run.dropped = true;
        r->entry.status = PF_TIMING_DROPPED;
    }
}

/* Rivals whose runs are captured run equally often in a sample: what its launch costs is then the same for all. */
static pf_status calibrate(pf_contest *race, pf_err *err)
{
    int64_t   ns[PF_CONTEST_WAVE] = { 0 };
    pf_status st = glance(race, ns, err);

    if (!st && race->glance_ns >= LONG_NS)
        drop_at_a_glance(race, ns);
    for (uint32_t i = 0; i < race->count && !st; i++) {
        pf_contestant *r = &race->racers[i];
        pf_err         reason = { 0 };
        bool           rival = false;
        pf_status      failed = PF_OK;

        if (!r->run.racing || r->runner.graph)
            continue;
        rival = pf_bench_captures(&race->bench, &r->runner) && ns[i] / ALIKE < race->glance_ns;
        pf_contest_note_trial(race, &r->entry);
        failed = pf_bench_calibrate(&race->bench, &r->runner, rival ? race->glance_ns : ns[i], PF_TIMING_BATCH_NS,
                                    REPEATS_MAX, &reason);
        if (failed)
            pf_contest_fail(race, r, failed, &reason);
    }
    pf_contest_note_trial(race, NULL);
    return st;
}

/* ---- Races */

/* Whoever left the race before, which something disturbed, is back. */
static void start_over(pf_contest *race)
{
    for (uint32_t i = 0; i < race->count; i++) {
        pf_contestant *r = &race->racers[i];

        r->run.racing |= r->run.dropped || r->run.settled;
        r->run.dropped = r->run.settled = false;
        if (!r->run.racing)
            continue;
        r->entry.status = PF_TIMED;
        r->run.count = 0;
        r->run.spent_ns = 0;
    }
}

static bool is_disturbed(const pf_timing *t, int64_t before_ns, int64_t after_ns, const pf_device_sample *sample)
{
    if (sample->foreign_processes || (sample->throttle_bits & PF_THROTTLED_BY_FAULT))
        return true;
    return pf_timing_canary_is_disturbed(&t->canary, before_ns) || pf_timing_canary_is_disturbed(&t->canary, after_ns);
}

static pf_status race_once(pf_contest *race, bool *disturbed, pf_err *err)
{
    pf_timing       *t = race->timing;
    pf_device_sample sample = { 0 };
    int64_t          before = 0, after = 0;
    pf_status        st = pf_timing_canary_run_unless_recent(&t->canary, &before, err);

    if (!st)
        st = run_rungs(race, err);
    if (!st)
        st = pf_timing_canary_run(&t->canary, &after, err);
    t->device->ops->sample(t->device, &sample);
    *disturbed = is_disturbed(t, before, after, &sample);
    if (*disturbed)
        pf_log(PF_LOG_DEBUG, "timing",
               "disturbed canary_ns=%lld..%lld best_ns=%lld foreign_processes=%u clock_mhz=%u throttle_bits=0x%x",
               (long long)before, (long long)after, (long long)t->canary.best_ns, sample.foreign_processes,
               sample.clock_mhz, sample.throttle_bits);
    for (uint32_t i = 0; i < race->count; i++)
        race->racers[i].entry.clock_mhz = sample.clock_mhz;
    return st;
}

/* Under the lock: calibrate, race, and race again when something disturbed it.  Where that never helps, as beside a
   neighbour who always works, it is soon no longer tried: hundreds of problems would wait in vain. */
pf_status pf_contest_race(pf_contest *race, bool *disturbed, pf_err *err)
{
    pf_timing *t = race->timing;
    int64_t    start = pf_clock_ns();
    pf_status  st = PF_OK;

    *disturbed = true;
    for (int i = 0; i < t->tries && *disturbed && !st; i++) {
        if (i)
            pf_clock_sleep_ns(10 * PF_NS_PER_MS << i);
        st = pf_timing_lock_take(&t->lock, race->options->go_on, race->options->user, err);
        if (st)
            break;
        start_over(race);
        st = calibrate(race, err);
        if (!st)
            st = race_once(race, disturbed, err);
        pf_timing_lock_drop(&t->lock);
    }
    t->spent.race_ns += pf_clock_ns() - start;
    t->tries = !*disturbed ? PF_CONTEST_TRIES_MAX : t->tries > 1 ? t->tries - 1 : 1;
    return st;
}

/* What it takes in a place as it comes, which is what a network gives it. */
static int64_t mean_of(const pf_contestant *r)
{
    int64_t sum_ns = 0;

    for (uint32_t i = 0; i < r->races; i++)
        sum_ns += r->medians_ns[i];
    return sum_ns / r->races;
}

void pf_contest_note_race(pf_contest *race)
{
    for (uint32_t i = 0; i < race->count; i++) {
        pf_contestant   *r = &race->racers[i];
        pf_timing_entry *entry = &r->entry;

        if (!r->run.count)
            continue;
        pf_racer_summarize(&r->run, race->scratch);
        pf_log(PF_LOG_DEBUG, "timing", "raced place=%u tactic=%s tuning=\"%s\" ns=%lld deviation_ns=%lld samples=%u",
               r->races, entry->tactic, entry->tuning, (long long)r->run.median_ns, (long long)r->run.deviation_ns,
               r->run.count);
        entry->min_ns = !r->races || r->run.min_ns < entry->min_ns ? r->run.min_ns : entry->min_ns;
        entry->spread_ns = r->run.deviation_ns > entry->spread_ns ? r->run.deviation_ns : entry->spread_ns;
        entry->sample_count += r->run.count;
        r->drops += entry->status == PF_TIMING_DROPPED;
        r->medians_ns[r->races++] = r->run.median_ns;
        entry->median_ns = mean_of(r);
        race->best_min_ns = entry->min_ns < race->best_min_ns ? entry->min_ns : race->best_min_ns;
    }
}
