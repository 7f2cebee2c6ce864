#include "engine/timing_canary.h"

#include "base/clock.h"
#include "engine/timing.h"

enum { ELEMS = 1 << 14, REPEATS_MAX = 100000 };

#define RECENT_NS (10 * PF_NS_PER_MS)

pf_status pf_timing_canary_open(pf_device *device, pf_stream *stream, pf_bench_room *room, pf_timing_canary *out,
                                pf_err *err)
{
    pf_shape         shape = { .rank = 1, .dim = { ELEMS } };
    const pf_tactic *tactic = NULL;
    pf_tuning_list   tunings = { 0 };
    int64_t          ns = 0;
    pf_status        st = pf_problem_reformat(NULL, PF_F32, &shape, PF_LAYOUT_LINEAR, PF_LAYOUT_LINEAR,
                                              &out->problem, err);

    for (uint32_t i = 0; !st; i++) {
        tactic = pf_tactic_at(i);
        if (!tactic || !pf_tactic_declines(tactic, device, out->problem))
            break;
    }
    /* a device on which nothing copies has no canary: its samples are then never called contended */
    if (st || !tactic)
        return st;
    st = pf_oracle_make(out->problem, &out->oracle, err);
    if (!st)
        st = pf_bench_open(device, stream, out->problem, &out->oracle, room, NULL, &out->bench, err);
    if (!st)
        st = tactic->tunings(device, out->problem, 0, &tunings, err);
    if (!st && tunings.count)
        st = pf_bench_prepare(&out->bench, tactic, tunings.items[0].text, &out->runner, err);
    if (!st && tunings.count) {
        pf_bench_move(&out->bench, 0);
        st = pf_bench_bind(&out->bench, 0, &out->runner, err);
    }
    if (!st && tunings.count)
        st = pf_bench_glance(&out->bench, &out->runner, PF_TIMING_BATCH_NS, &ns, err);
    if (!st && tunings.count)
        st = pf_bench_calibrate(&out->bench, &out->runner, ns, PF_TIMING_BATCH_NS, REPEATS_MAX, err);
    pf_tuning_clear(&tunings);
    return st;
}

void pf_timing_canary_close(pf_timing_canary *canary)
{
    if (canary->runner.step)
        pf_bench_release(&canary->bench, &canary->runner);
    pf_bench_close(&canary->bench);
    pf_oracle_clear(&canary->oracle);
    pf_problem_free(canary->problem);
    *canary = (pf_timing_canary){ 0 };
}

pf_status pf_timing_canary_run(pf_timing_canary *canary, int64_t *ns, pf_err *err)
{
    pf_status st = PF_OK;

    *ns = 0;
    if (!canary->runner.step)
        return PF_OK;
    *ns = INT64_MAX;
    for (int i = 0; i < 4 && !st; i++) {
        int64_t sample = 0;

        st = pf_bench_sample(&canary->bench, &canary->runner, &sample, err);
        *ns = sample < *ns ? sample : *ns;
    }
    if (!st && (!canary->best_ns || *ns < canary->best_ns))
        canary->best_ns = *ns;
    canary->last_ns = st ? INT64_MAX : *ns;
    canary->last_end_ns = pf_clock_ns();
    return st;
}

pf_status pf_timing_canary_run_unless_recent(pf_timing_canary *canary, int64_t *ns, pf_err *err)
{
    bool is_recent = canary->last_end_ns && pf_clock_ns() - canary->last_end_ns <= RECENT_NS;

    if (!is_recent || pf_timing_canary_is_disturbed(canary, canary->last_ns))
        return pf_timing_canary_run(canary, ns, err);
    *ns = canary->last_ns;
    return PF_OK;
}

bool pf_timing_canary_is_disturbed(const pf_timing_canary *canary, int64_t ns)
{
    return canary->runner.step && (double)ns > (double)canary->best_ns * (1 + PF_TIMING_CANARY_SLACK);
}
