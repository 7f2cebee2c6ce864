#include "engine/timing.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/timing_contest.h"

/* What one race leaves for the next: giving it back costs time, keeping it all costs memory, since holes fit the next
   copies badly. */
#define SPARE_BYTES ((size_t)128 << 20)

/* ---- Life */

pf_status pf_timing_new(pf_device *device, pf_timing **out, pf_err *err)
{
    pf_timing *t = pf_calloc(1, sizeof *t);
    pf_status  st = PF_OK;

    *out = NULL;
    if (!t)
        return PF_FAIL_MEMORY(err, sizeof *t);
    t->device = t->room.device = device;
    t->tries = PF_CONTEST_TRIES_MAX;
    pf_timing_lock_open(device, &t->lock);
    pf_timing_arena_open(device, &t->arena);
    st = device->ops->stream_new(device, &t->stream, err);
    if (!st)
        st = pf_timing_canary_open(device, t->stream, &t->room, &t->canary, err);
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
    pf_timing_canary_close(&t->canary);
    pf_bench_room_clear(&t->room);
    pf_timing_arena_close(&t->arena);
    if (t->stream)
        t->device->ops->stream_free(t->device, t->stream);
    pf_timing_lock_close(&t->lock);
    pf_free(t);
}

pf_timing_arena *pf_timing_arena_of(pf_timing *timing)
{
    return &timing->arena;
}

pf_timing_spent pf_timing_spent_of(const pf_timing *timing)
{
    return timing->spent;
}

/* ---- Waves of candidates */

/* What was disturbed the first time stays so. */
static pf_status race_everywhere(pf_contest *race, pf_err *err)
{
    bool      disturbed = false;
    pf_status st = PF_OK;

    pf_contest_line_up(race);
    st = pf_contest_race(race, &disturbed, err);
    for (uint32_t i = 0; i < race->count; i++)
        race->racers[i].entry.contended = disturbed;
    pf_contest_note_race(race);
    return st || disturbed || race->breaker ? st : pf_contest_race_elsewhere(race, err);
}

static pf_status record_entry(pf_contestant *r, pf_timing_record *out, pf_err *err)
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
static pf_status name_breaker(const pf_contest *race, pf_timing_record *out, pf_err *err)
{
    const pf_timing_entry *entry = &race->breaker->entry;
    pf_status              st = pf_timing_record_put(out, entry, err);

    return st ? st : PF_FAIL(err, PF_DEVICE, "candidate %s (%s) broke the device, which answers nothing any more: %s; "
                             "build again: it is noted and left out", entry->tactic, entry->tuning, entry->reason);
}

static pf_status run_wave(pf_contest *race, pf_timing_record *out, pf_err *err)
{
    uint32_t  most = pf_race_samples(race->options->effort);
    int64_t  *samples = pf_calloc((size_t)most * (race->count + 1), sizeof *samples);
    bool      any = false;
    pf_err    why = { 0 };
    pf_status st = samples ? PF_OK : PF_FAIL_MEMORY(err, (size_t)most * race->count * sizeof *samples);

    race->scratch = samples;
    pf_bench_go_home(&race->bench);
    for (uint32_t i = 0; i < race->count && !st && !race->breaker; i++) {
        race->order[i] = i;
        race->racers[i] = (pf_contestant){ .run.samples = samples + (size_t)most * (i + 1) };
        if (!pf_contest_goes_on(race))
            st = PF_FAIL(err, PF_CANCELLED, "the build was cancelled");
        else
            pf_contest_make_ready(race, i);
        pf_contest_note_trial(race, NULL);
    }
    if (!race->options->only_check && !race->options->to_the_end)
        pf_contest_drop_the_hopeless(race);
    for (uint32_t i = 0; i < race->count && !race->options->only_check; i++)
        any |= race->racers[i].run.racing;
    if (!st && any && !race->breaker)
        st = race_everywhere(race, &why);
    else
        pf_contest_note_race(race);
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
    pf_contest race = { .timing = timing, .options = options, .best_min_ns = INT64_MAX, .glance_ns = INT64_MAX };
    int64_t    start = pf_clock_ns();
    pf_status  st = pf_bench_open(timing->device, timing->stream, problem, oracle, &timing->room, &timing->arena,
                                  &race.bench, err);

    timing->spent.ready_ns += pf_clock_ns() - start;
    if (st)
        return st;
    pf_timing_arena_clear(&timing->arena);
    pf_random_init(&race.random, seed_of(&problem->hash));
    race.racers = pf_calloc(PF_CONTEST_WAVE, sizeof *race.racers);
    if (!race.racers)
        st = PF_FAIL_MEMORY(err, PF_CONTEST_WAVE * sizeof *race.racers);
    for (uint32_t first = 0; first < count && !st; first += PF_CONTEST_WAVE) {
        race.count = count - first < PF_CONTEST_WAVE ? count - first : PF_CONTEST_WAVE;
        race.candidates = candidates + first;
        memset(race.racers, 0, PF_CONTEST_WAVE * sizeof *race.racers);
        st = run_wave(&race, out, err);
    }
    pf_free(race.racers);
    pf_bench_close(&race.bench);
    if (!timing->room.of_device)        /* soon had again, and others need it meanwhile */
        pf_bench_room_clear(&timing->room);
    pf_alloc_trim(SPARE_BYTES);
    return st;
}
