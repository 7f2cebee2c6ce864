#include "engine/timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/timing_bench.h"
#include "engine/timing_lock.h"

enum { WAVE = 32, REPEATS_MAX = 100000, CANARY_ELEMS = 1 << 14, RACES_MAX = 3, PLACES_MAX = 5 };

/* What one race leaves for the next: giving it back costs time, keeping it all costs memory, since holes fit the next
   copies badly. */
#define SPARE_BYTES       ((size_t)128 << 20)
#define HOPELESS_LEAST_NS (20 * PF_NS_PER_MS)
#define ALIKE             4             /* what takes so many times as long is no rival: it runs as often as it likes */
#define CLOSE             1.1           /* who takes so many times the best may be better elsewhere in memory */
#define WAVE_BYTES_SHARE  8             /* copies of constants may take an eighth of the memory */

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
    [4] = { PLACES_MAX, 3, INT64_MAX },
    [5] = { PLACES_MAX, 3, INT64_MAX },
};

struct pf_timing {
    pf_device      *device;
    pf_stream      *stream;
    pf_timing_lock  lock;
    pf_problem     *canary_problem;
    pf_oracle       canary_oracle;
    pf_bench        canary_bench;
    pf_bench_runner canary;
    int64_t         canary_best_ns;     /* the quietest seen */
    int             tries;  /* races that the next problem may take: fewer on a device that does not get quiet */
    pf_timing_spent spent;
    pf_bench_room   room;
};

typedef struct racer {
    pf_bench_runner runner;
    pf_timing_entry entry;
    pf_racer        run;                /* racing: prepared, right, and not dropped yet */
    int64_t         first_ns;
    int64_t         medians_ns[PLACES_MAX];     /* of its races */
    uint32_t        races, drops;               /* so far, and those in which it was dropped */
} racer;

typedef struct contest {
    pf_timing               *timing;
    pf_bench                 bench;
    const pf_timing_options *options;
    racer                   *racers;
    uint32_t                 count;
    pf_random                random;
    int64_t                  best_min_ns;       /* of earlier waves of the same problem; INT64_MAX: none */
    int64_t                  glance_ns;         /* of who seemed fastest in the first wave; INT64_MAX: not known yet */
    racer                   *breaker;           /* after whom the device answers nothing any more */
} contest;

/* ---- The canary */

static pf_status open_canary(pf_timing *t, pf_err *err)
{
    pf_shape         shape = { .rank = 1, .dim = { CANARY_ELEMS } };
    const pf_tactic *tactic = NULL;
    pf_tuning_list   tunings = { 0 };
    int64_t          ns = 0;
    pf_status        st = pf_problem_reformat(NULL, PF_F32, &shape, PF_LAYOUT_LINEAR, PF_LAYOUT_LINEAR,
                                              &t->canary_problem, err);

    for (uint32_t i = 0; !st; i++) {
        tactic = pf_tactic_at(i);
        if (!tactic || !pf_tactic_declines(tactic, t->device, t->canary_problem))
            break;
    }
    /* a device on which nothing copies has no canary: its samples are then never called contended */
    if (st || !tactic)
        return st;
    st = pf_oracle_make(t->canary_problem, &t->canary_oracle, err);
    if (!st)
        st = pf_bench_open(t->device, t->stream, t->canary_problem, &t->canary_oracle, &t->room, &t->canary_bench, err);
    if (!st)
        st = tactic->tunings(t->device, t->canary_problem, 0, &tunings, err);
    if (!st && tunings.count)
        st = pf_bench_prepare(&t->canary_bench, tactic, tunings.items[0].text, 0, 0, &t->canary, err);
    if (!st && tunings.count)
        st = pf_bench_glance(&t->canary_bench, &t->canary, PF_TIMING_BATCH_NS, &ns, err);
    if (!st && tunings.count)
        st = pf_bench_calibrate(&t->canary_bench, &t->canary, ns, PF_TIMING_BATCH_NS, REPEATS_MAX, err);
    pf_tuning_clear(&tunings);
    return st;
}

/* The fastest of a few: what the device can do now. */
static pf_status run_canary(pf_timing *t, int64_t *ns, pf_err *err)
{
    pf_status st = PF_OK;

    *ns = 0;
    if (!t->canary.step)
        return PF_OK;
    *ns = INT64_MAX;
    for (int i = 0; i < 4 && !st; i++) {
        int64_t sample = 0;

        st = pf_bench_sample(&t->canary_bench, &t->canary, &sample, err);
        *ns = sample < *ns ? sample : *ns;
    }
    if (!st && (!t->canary_best_ns || *ns < t->canary_best_ns))
        t->canary_best_ns = *ns;
    return st;
}

static bool is_disturbed(const pf_timing *t, int64_t canary_ns)
{
    return t->canary.step && (double)canary_ns > (double)t->canary_best_ns * (1 + PF_TIMING_CANARY_SLACK);
}

/* ---- Life */

pf_status pf_timing_new(pf_device *device, pf_timing **out, pf_err *err)
{
    pf_timing *t = pf_calloc(1, sizeof *t);
    pf_status  st = PF_OK;

    *out = NULL;
    if (!t)
        return PF_FAIL_MEMORY(err, sizeof *t);
    t->device = t->room.device = device;
    t->tries = RACES_MAX;
    pf_timing_lock_open(device, &t->lock);
    st = device->ops->stream_new(device, &t->stream, err);
    if (!st)
        st = open_canary(t, err);
    if (st) {
        pf_timing_free(t);
        return st;
    }
    *out = t;
    return PF_OK;
}

void pf_timing_free(pf_timing *t)
{
    if (!t)
        return;
    if (t->canary.step)
        pf_bench_release(&t->canary_bench, &t->canary);
    pf_bench_close(&t->canary_bench);
    pf_bench_room_clear(&t->room);
    pf_oracle_clear(&t->canary_oracle);
    pf_problem_free(t->canary_problem);
    if (t->stream)
        t->device->ops->stream_free(t->device, t->stream);
    pf_timing_lock_close(&t->lock);
    pf_free(t);
}

pf_timing_spent pf_timing_spent_of(const pf_timing *timing)
{
    return timing->spent;
}

/* ---- Getting ready */

static const struct { pf_status status; pf_timing_status entry; } failures[] = {
    { PF_MISMATCH, PF_TIMING_WRONG }, { PF_TIMEOUT, PF_TIMING_TIMEOUT },
};

static void fail_entry(contest *race, racer *r, pf_status status, const pf_err *reason)
{
    const pf_timing *t = race->timing;

    if (status == PF_DEVICE && !race->breaker && t->device->ops->stream_sync(t->device, t->stream, NULL))
        race->breaker = r;
    r->entry.status = PF_TIMING_FAILED;
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if (failures[i].status == status)
            r->entry.status = failures[i].entry;
    snprintf(r->entry.reason, sizeof r->entry.reason, "%.127s", reason->msg);
    r->run.racing = false;
}

/* entry: NULL when it survived. */
static void note_trial(const contest *race, const pf_timing_entry *entry)
{
    pf_timing_store *store = race->options->store;

    if (store && store->note_trial)
        store->note_trial(store, race->timing->device->timing_text, race->bench.problem->text, entry);
}

/* An entry that could not be made ready says why; that is no failure of the build. */
static void make_ready(contest *race, racer *r, const pf_timing_candidate *candidate, size_t cold_bytes)
{
    pf_err    reason = { 0 };
    uint64_t  limit = race->options->workspace_limit_bytes;
    int64_t   start = pf_clock_ns();
    pf_status st = PF_OK;

    snprintf(r->entry.tactic, sizeof r->entry.tactic, "%s", candidate->tactic->name);
    snprintf(r->entry.tuning, sizeof r->entry.tuning, "%s", candidate->tuning.text);
    r->entry.rev = candidate->tactic->rev;
    r->entry.effort = (uint8_t)race->options->effort;
    r->entry.wall_ns = pf_clock_wall_ns();
    note_trial(race, &r->entry);
    st = pf_bench_prepare(&race->bench, candidate->tactic, candidate->tuning.text, 0, cold_bytes, &r->runner, &reason);
    race->timing->spent.ready_ns += pf_clock_ns() - start;
    if (st) {
        fail_entry(race, r, st, &reason);
        return;
    }
    r->entry.workspace_bytes = r->runner.step->workspace_bytes;
    if (limit && r->entry.workspace_bytes > limit) {
        r->entry.status = PF_TIMING_OVER_LIMIT;
        snprintf(r->entry.reason, sizeof r->entry.reason, "needs more workspace than the limit of %llu bytes",
                 (unsigned long long)limit);
        return;
    }
    start = pf_clock_ns();
    st = pf_bench_check(&race->bench, &r->runner, &r->entry.max_rel_error, &r->first_ns, &reason);
    race->timing->spent.check_ns += pf_clock_ns() - start;
    if (st)
        fail_entry(race, r, st, &reason);
    r->run.racing = !st;
}

/* First runs load code and touch pages for the first time: only what is far off, and not by a few milliseconds, is
   given up. */
static void drop_the_hopeless(contest *race)
{
    int64_t best_ns = race->options->best_known_ns ? race->options->best_known_ns : INT64_MAX;

    for (uint32_t i = 0; i < race->count; i++)
        if (race->racers[i].run.racing && race->racers[i].first_ns < best_ns)
            best_ns = race->racers[i].first_ns;
    for (uint32_t i = 0; i < race->count; i++) {
        racer *r = &race->racers[i];

        if (!r->run.racing || r->first_ns / PF_TIMING_HOPELESS <= best_ns || r->first_ns < HOPELESS_LEAST_NS)
            continue;
        r->run.samples[r->run.count++] = r->first_ns;
        r->entry.status = PF_TIMING_DROPPED;
        r->run.racing = false;
    }
}

static size_t cold_bytes(const contest *race, uint32_t wave)
{
    size_t cold = race->bench.problem->numerics & PF_NUMERICS_COLD_WEIGHTS ? 2 * race->timing->device->cache_bytes : 0;
    size_t most = race->timing->device->memory_bytes / WAVE_BYTES_SHARE / wave;

    return cold > most ? most : cold;
}

/* ---- Racing */

static bool goes_on(const contest *race)
{
    return !race->options->go_on || race->options->go_on(race->options->user);
}

static bool take_sample(void *user, uint32_t i, int64_t *ns, int64_t *spent_ns)
{
    contest  *race = user;
    racer    *r = &race->racers[i];
    pf_err    reason = { 0 };
    pf_status st = pf_bench_sample(&race->bench, &r->runner, ns, &reason);

    if (st)
        fail_entry(race, r, st, &reason);
    *spent_ns = *ns * r->runner.repeats;
    return !st;
}

static bool asks_to_go_on(void *user)
{
    return goes_on(user);
}

static pf_status run_rungs(contest *race, uint32_t *order, int64_t *scratch, pf_err *err)
{
    pf_racer *racers[WAVE] = { NULL };
    pf_race   run = { racers, race->count, race->options->effort, race->options->to_the_end, race->best_min_ns,
                      &race->random, order, scratch, take_sample, asks_to_go_on, race };
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < race->count; i++)
        racers[i] = &race->racers[i].run;
    st = pf_race_run(&run, err);
    for (uint32_t i = 0; i < race->count; i++)
        if (racers[i]->dropped)
            race->racers[i].entry.status = PF_TIMING_DROPPED;
    return st;
}

static pf_status glance(contest *race, int64_t *ns, pf_err *err)
{
    int64_t least = INT64_MAX;

    for (uint32_t i = 0; i < race->count; i++) {
        racer    *r = &race->racers[i];
        pf_err    reason = { 0 };
        pf_status st = PF_OK;

        if (!r->run.racing || r->runner.graph)
            continue;
        if (!goes_on(race))
            return PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
        note_trial(race, &r->entry);
        st = pf_bench_glance(&race->bench, &r->runner, PF_TIMING_BATCH_NS, &ns[i], &reason);
        if (st)
            fail_entry(race, r, st, &reason);
        else if (ns[i] < least && pf_bench_captures(&race->bench, &r->runner))
            least = ns[i];
    }
    note_trial(race, NULL);
    race->glance_ns = race->glance_ns == INT64_MAX ? least : race->glance_ns;
    return PF_OK;
}

/* Rivals whose runs are captured run equally often in a sample: what its launch costs is then the same for all. */
static pf_status calibrate(contest *race, pf_err *err)
{
    int64_t   ns[WAVE] = { 0 };
    pf_status st = glance(race, ns, err);

    for (uint32_t i = 0; i < race->count && !st; i++) {
        racer    *r = &race->racers[i];
        pf_err    reason = { 0 };
        bool      rival = false;
        pf_status failed = PF_OK;

        if (!r->run.racing || r->runner.graph)
            continue;
        rival = pf_bench_captures(&race->bench, &r->runner) && ns[i] / ALIKE < race->glance_ns;
        note_trial(race, &r->entry);
        failed = pf_bench_calibrate(&race->bench, &r->runner, rival ? race->glance_ns : ns[i], PF_TIMING_BATCH_NS,
                                    REPEATS_MAX, &reason);
        if (failed)
            fail_entry(race, r, failed, &reason);
    }
    note_trial(race, NULL);
    return st;
}

static void start_over(contest *race)
{
    for (uint32_t i = 0; i < race->count; i++) {
        racer *r = &race->racers[i];

        r->run.racing |= r->run.dropped || r->run.settled;
        r->run.dropped = r->run.settled = false;
        if (!r->run.racing)
            continue;
        r->entry.status = PF_TIMED;
        r->run.count = 0;
        r->run.spent_ns = 0;
    }
}

static pf_status race_once(contest *race, uint32_t *order, int64_t *scratch, bool *disturbed, pf_err *err)
{
    pf_timing       *t = race->timing;
    pf_device_sample sample = { 0 };
    int64_t          before = 0, after = 0;
    pf_status        st = run_canary(t, &before, err);

    start_over(race);
    if (!st)
        st = run_rungs(race, order, scratch, err);
    if (!st)
        st = run_canary(t, &after, err);
    t->device->ops->sample(t->device, &sample);
    *disturbed = is_disturbed(t, before) || is_disturbed(t, after) || sample.foreign_processes;
    if (*disturbed)
        pf_log(PF_LOG_DEBUG, "timing", "disturbed canary_ns=%lld..%lld best_ns=%lld foreign_processes=%u clock_mhz=%u",
               (long long)before, (long long)after, (long long)t->canary_best_ns, sample.foreign_processes,
               sample.clock_mhz);
    for (uint32_t i = 0; i < race->count; i++)
        race->racers[i].entry.clock_mhz = sample.clock_mhz;
    return st;
}

/* Under the lock: calibrate, race, and race again when something disturbed it.  Where that never helps, as beside a
   neighbour who always works, it is soon no longer tried: hundreds of problems would wait in vain. */
static pf_status run_race(contest *race, uint32_t *order, int64_t *scratch, bool *disturbed, pf_err *err)
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
        st = calibrate(race, err);
        if (!st)
            st = race_once(race, order, scratch, disturbed, err);
        pf_timing_lock_drop(&t->lock);
    }
    t->spent.race_ns += pf_clock_ns() - start;
    t->tries = !*disturbed ? RACES_MAX : t->tries > 1 ? t->tries - 1 : 1;
    return st;
}

/* What it takes in a place as it comes, which is what a network gives it. */
static int64_t mean_of(const racer *r)
{
    int64_t sum_ns = 0;

    for (uint32_t i = 0; i < r->races; i++)
        sum_ns += r->medians_ns[i];
    return sum_ns / r->races;
}

/* Adds a race to what is known of those who took part. */
static void note_race(contest *race, int64_t *scratch)
{
    for (uint32_t i = 0; i < race->count; i++) {
        racer           *r = &race->racers[i];
        pf_timing_entry *entry = &r->entry;

        if (!r->run.count)
            continue;
        pf_racer_summarize(&r->run, scratch);
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

/* ---- Once more, elsewhere in memory */

static bool has_raced(const racer *r)
{
    return r->races && r->runner.step && (r->entry.status == PF_TIMED || r->entry.status == PF_TIMING_DROPPED);
}

static int64_t best_of(const contest *race)
{
    int64_t best_ns = INT64_MAX;

    for (uint32_t i = 0; i < race->count; i++)
        if (has_raced(&race->racers[i]) && race->racers[i].entry.median_ns < best_ns)
            best_ns = race->racers[i].entry.median_ns;
    return best_ns;
}

static uint32_t place_count(const contest *race)
{
    int      effort = race->options->effort;
    uint32_t count = race->timing->device->ops->capture_begin ? places[effort].captured : places[effort].others;

    return best_of(race) <= places[effort].longest_ns ? count : 1;
}

/* Who is close enough to the best that where things lie in memory may decide. */
static uint32_t invite(const contest *race, uint32_t invited[WAVE])
{
    int64_t  best_ns = best_of(race);
    uint32_t count = 0;

    for (uint32_t i = 0; i < race->count; i++)
        if (has_raced(&race->racers[i]) && (double)race->racers[i].entry.median_ns <= CLOSE * (double)best_ns)
            invited[count++] = i;
    return count;
}

/* Each gets what another one had: memory is given back and taken in another order. */
static void move_all(contest *race, const pf_timing_candidate *candidates, const uint32_t *invited, uint32_t count,
                     uint32_t turn)
{
    for (uint32_t i = 0; i < race->count; i++)
        race->racers[i].run = (pf_racer){ .samples = race->racers[i].run.samples };
    for (uint32_t k = 0; k < count; k++)
        pf_bench_release(&race->bench, &race->racers[invited[k]].runner);
    pf_bench_move(&race->bench);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t                   i = invited[(k + turn) % count];
        const pf_timing_candidate *c = &candidates[i];
        pf_err                     ignored = { 0 };

        race->racers[i].run.racing = !pf_bench_prepare(&race->bench, c->tactic, c->tuning.text, 0,
                                                       cold_bytes(race, race->count), &race->racers[i].runner,
                                                       &ignored);
    }
}

/* After the first race.  What is disturbed here does not count. */
static pf_status race_elsewhere(contest *race, const pf_timing_candidate *candidates, uint32_t *order,
                                int64_t *scratch, pf_err *err)
{
    pf_timing_spent before = race->timing->spent;
    int64_t         start = pf_clock_ns();
    uint32_t        invited[WAVE] = { 0 }, count = place_count(race);
    bool            disturbed = false;
    pf_status       st = PF_OK;

    for (uint32_t turn = 1; turn < count && !disturbed && !st && !race->breaker; turn++) {
        uint32_t guests = invite(race, invited);

        if (guests < 2)
            break;
        move_all(race, candidates, invited, guests, turn);
        st = run_race(race, order, scratch, &disturbed, err);
        if (!disturbed)
            note_race(race, scratch);
    }
    race->timing->spent = before;
    race->timing->spent.places_ns += pf_clock_ns() - start;
    return st;
}

/* What was disturbed the first time stays so. */
static pf_status race_everywhere(contest *race, const pf_timing_candidate *candidates, uint32_t *order,
                                 int64_t *scratch, pf_err *err)
{
    bool      disturbed = false;
    pf_status st = run_race(race, order, scratch, &disturbed, err);

    for (uint32_t i = 0; i < race->count; i++)
        race->racers[i].entry.contended = disturbed;
    note_race(race, scratch);
    return st || disturbed || race->breaker ? st : race_elsewhere(race, candidates, order, scratch, err);
}

static pf_status record_entry(racer *r, pf_timing_record *out, pf_err *err)
{
    if (r->races && (r->entry.status == PF_TIMED || r->entry.status == PF_TIMING_DROPPED))
        r->entry.status = r->drops == r->races ? PF_TIMING_DROPPED : PF_TIMED;
    pf_log(PF_LOG_DEBUG, "timing",
           "entry tactic=%s tuning=\"%s\" status=%d ns=%lld samples=%u workspace=%llu error=%.2g reason=\"%s\"",
           r->entry.tactic, r->entry.tuning, r->entry.status, (long long)r->entry.median_ns, r->entry.sample_count,
           (unsigned long long)r->entry.workspace_bytes, r->entry.max_rel_error, r->entry.reason);
    return pf_timing_record_put(out, &r->entry, err);
}

/* Whatever failed after the one that broke the device says nothing of itself, and is not recorded. */
static pf_status name_breaker(const contest *race, pf_timing_record *out, pf_err *err)
{
    const pf_timing_entry *entry = &race->breaker->entry;
    pf_status              st = pf_timing_record_put(out, entry, err);

    return st ? st : PF_FAIL(err, PF_DEVICE, "candidate %s (%s) broke the device, which answers nothing any more: %s; "
                             "build again: it is noted and left out", entry->tactic, entry->tuning, entry->reason);
}

static pf_status run_wave(contest *race, const pf_timing_candidate *candidates, pf_timing_record *out, pf_err *err)
{
    uint32_t  most = pf_race_samples(race->options->effort), order[WAVE];
    int64_t  *samples = pf_calloc((size_t)most * (race->count + 1), sizeof *samples), *scratch = samples;
    bool      any = false;
    pf_err    why = { 0 };
    pf_status st = samples ? PF_OK : PF_FAIL_MEMORY(err, (size_t)most * race->count * sizeof *samples);

    for (uint32_t i = 0; i < race->count && !st && !race->breaker; i++) {
        order[i] = i;
        race->racers[i] = (racer){ .run.samples = samples + (size_t)most * (i + 1) };
        if (!goes_on(race))
            st = PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
        else
            make_ready(race, &race->racers[i], &candidates[i], cold_bytes(race, race->count));
        note_trial(race, NULL);
    }
    if (!race->options->only_check && !race->options->to_the_end)
        drop_the_hopeless(race);
    for (uint32_t i = 0; i < race->count && !race->options->only_check; i++)
        any |= race->racers[i].run.racing;
    if (!st && any && !race->breaker)
        st = race_everywhere(race, candidates, order, scratch, &why);
    else
        note_race(race, scratch);
    if (race->breaker)
        st = name_breaker(race, out, err);
    else if (why.status)
        st = pf_err_set(err, st, why.file, why.line, "%s", why.msg);
    for (uint32_t i = 0; i < race->count && !st; i++)
        st = record_entry(&race->racers[i], out, err);
    for (uint32_t i = 0; i < race->count; i++)
        pf_bench_release(&race->bench, &race->racers[i].runner);
    pf_free(samples);
    return st;
}

static uint64_t seed_of(const pf_digest *digest)
{
    uint64_t seed = 0;

    memcpy(&seed, digest->byte, sizeof seed);
    return seed;
}

pf_status pf_timing_measure(pf_timing *timing, const pf_problem *problem, const pf_oracle *oracle,
                            const pf_timing_candidate *candidates, uint32_t count, const pf_timing_options *options,
                            pf_timing_record *out, pf_err *err)
{
    contest   race = { .timing = timing, .options = options, .best_min_ns = INT64_MAX, .glance_ns = INT64_MAX };
    int64_t   start = pf_clock_ns();
    pf_status st = pf_bench_open(timing->device, timing->stream, problem, oracle, &timing->room, &race.bench, err);

    timing->spent.ready_ns += pf_clock_ns() - start;
    if (st)
        return st;
    pf_random_init(&race.random, seed_of(&problem->hash));
    race.racers = pf_calloc(WAVE, sizeof *race.racers);
    if (!race.racers)
        st = PF_FAIL_MEMORY(err, WAVE * sizeof *race.racers);
    for (uint32_t first = 0; first < count && !st; first += WAVE) {
        race.count = count - first < WAVE ? count - first : WAVE;
        memset(race.racers, 0, WAVE * sizeof *race.racers);
        st = run_wave(&race, candidates + first, out, err);
    }
    pf_free(race.racers);
    pf_bench_close(&race.bench);
    if (!timing->room.of_device)        /* soon had again, and others need it meanwhile */
        pf_bench_room_clear(&timing->room);
    pf_alloc_trim(SPARE_BYTES);
    return st;
}
