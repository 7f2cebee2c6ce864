#include <stdio.h>

#include "base/clock.h"
#include "engine/timing_contest.h"

#define HOPELESS_LEAST_NS (20 * PF_NS_PER_MS)
#define WAVE_BYTES_SHARE  8             /* copies of constants may take an eighth of the memory */

static const struct { pf_status status; pf_timing_status entry; } failures[] = {
    { PF_MISMATCH, PF_TIMING_WRONG }, { PF_TIMEOUT, PF_TIMING_TIMEOUT },
};

bool pf_contest_goes_on(const pf_contest *race)
{
    return !race->options->go_on || race->options->go_on(race->options->user);
}

void pf_contest_note_trial(const pf_contest *race, const pf_timing_entry *entry)
{
    pf_timing_store *store = race->options->store;

    if (store && store->note_trial)
        store->note_trial(store, race->timing->device->timing_text, race->bench.problem->text, entry);
}

void pf_contest_fail(pf_contest *race, pf_contestant *r, pf_status status, const pf_err *reason)
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

void pf_contest_make_ready(pf_contest *race, uint32_t i)
{
    const pf_timing_candidate *candidate = &race->candidates[i];
    pf_contestant             *r = &race->racers[i];
    pf_err                     reason = { 0 };
    uint64_t                   limit = race->options->workspace_limit_bytes;
    int64_t                    start = pf_clock_ns();
    pf_status                  st = PF_OK;

    snprintf(r->entry.tactic, sizeof r->entry.tactic, "%s", candidate->tactic->name);
    snprintf(r->entry.tuning, sizeof r->entry.tuning, "%s", candidate->tuning.text);
    r->entry.rev = candidate->tactic->rev;
    r->entry.effort = (uint8_t)race->options->effort;
    r->entry.wall_ns = pf_clock_wall_ns();
    pf_contest_note_trial(race, &r->entry);
    st = pf_bench_prepare(&race->bench, candidate->tactic, candidate->tuning.text, &r->runner, &reason);
    race->timing->spent.ready_ns += pf_clock_ns() - start;
    if (st) {
        pf_contest_fail(race, r, st, &reason);
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
        pf_contest_fail(race, r, st, &reason);
    r->run.racing = !st;
}

/* First runs load code and touch pages for the first time: only what is far off, and not by a few milliseconds, is
   given up. */
void pf_contest_drop_the_hopeless(pf_contest *race)
{
    int64_t best_ns = race->options->best_known_ns ? race->options->best_known_ns : INT64_MAX;

    for (uint32_t i = 0; i < race->count; i++)
        if (race->racers[i].run.racing && race->racers[i].first_ns < best_ns)
            best_ns = race->racers[i].first_ns;
    for (uint32_t i = 0; i < race->count; i++) {
        pf_contestant *r = &race->racers[i];

        if (!r->run.racing || r->first_ns / PF_TIMING_HOPELESS <= best_ns || r->first_ns < HOPELESS_LEAST_NS)
            continue;
        r->run.samples[r->run.count++] = r->first_ns;
        r->entry.status = PF_TIMING_DROPPED;
        r->run.racing = false;
    }
}

void pf_contest_line_up(pf_contest *race)
{
    int64_t start = pf_clock_ns();

    pf_bench_move(&race->bench, 0);
    for (uint32_t i = 0; i < race->count; i++) {
        pf_contestant *r = &race->racers[i];
        pf_err         reason = { 0 };
        pf_status      st = r->run.racing ? pf_bench_bind(&race->bench, pf_contest_cold_bytes(race), &r->runner,
                                                          &reason) : PF_OK;

        if (st)
            pf_contest_fail(race, r, st, &reason);
    }
    race->timing->spent.ready_ns += pf_clock_ns() - start;
}

size_t pf_contest_cold_bytes(const pf_contest *race)
{
    size_t cold = race->bench.problem->numerics & PF_NUMERICS_COLD_WEIGHTS ? 2 * race->timing->device->cache_bytes : 0;
    size_t most = race->timing->device->memory_bytes / WAVE_BYTES_SHARE / race->count;

    return cold > most ? most : cold;
}
