#include "engine/device_capture.h"
#include "engine/timing_bench_private.h"

static pf_status run_repeats(pf_bench *bench, pf_bench_runner *r, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < r->repeats && !st; i++)
        st = pf_bench_enqueue(bench, r, err);
    return st;
}

pf_status pf_bench_sample(pf_bench *bench, pf_bench_runner *r, int64_t *ns, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    pf_status            st = ops->event_record(bench->device, r->start, bench->stream, err);

    *ns = 0;
    if (!st)
        st = r->graph ? ops->graph_launch(bench->device, r->graph, bench->stream, err) : run_repeats(bench, r, err);
    if (!st)
        st = ops->event_record(bench->device, r->end, bench->stream, err);
    if (!st)
        st = ops->event_elapsed(bench->device, r->start, r->end, ns, err);
    *ns = *ns / r->repeats > 0 ? *ns / r->repeats : 1;
    return st;
}

typedef struct repeated { pf_bench *bench; pf_bench_runner *runner; } repeated;

static pf_status enqueue_repeats(void *user, pf_err *err)
{
    const repeated *all = user;

    return run_repeats(all->bench, all->runner, err);
}

bool pf_bench_captures(const pf_bench *bench, const pf_bench_runner *r)
{
    return bench->device->ops->capture_begin && r->step->capturable;
}

/* Where the device captures, the first run after code was loaded says nothing: the better of two does. */
static pf_status glance_once(pf_bench *bench, pf_bench_runner *r, int64_t enough_ns, int64_t *ns, pf_err *err)
{
    int64_t   again_ns = INT64_MAX;
    pf_status st = pf_bench_sample(bench, r, ns, err);

    if (!st && *ns >= enough_ns && pf_bench_captures(bench, r))
        st = pf_bench_sample(bench, r, &again_ns, err);
    *ns = again_ns < *ns ? again_ns : *ns;
    return st;
}

pf_status pf_bench_glance(pf_bench *bench, pf_bench_runner *r, int64_t batch_ns, int64_t *ns, pf_err *err)
{
    pf_status st = glance_once(bench, r, batch_ns / 4, ns, err);

    if (st || *ns >= batch_ns / 4)
        return st;
    r->repeats = 8;                             /* one run tells little of a short one */
    return pf_bench_sample(bench, r, ns, err);
}

/* By how often a run fits into the least time of a sample.  One number for all that are short, however long a few runs
   seemed to take: what a launch costs is then a part of their times that is the same in every build.  What takes 40 us
   and more needs fewer: of 0.4 to 1 ms a launch is about a hundredth or less. */
static const struct { int64_t more_than, repeats; } captured[] = {
    { 25, 40 }, { 5, 20 }, { 2, 10 }, { 1, 5 }, { 0, 3 },
};

static int64_t captured_repeats(int64_t wanted)
{
    int i = 0;

    while (wanted <= captured[i].more_than)
        i++;
    return captured[i].repeats;
}

pf_status pf_bench_calibrate(pf_bench *bench, pf_bench_runner *r, int64_t ns, int64_t batch_ns, uint32_t limit,
                             pf_err *err)
{
    repeated all = { bench, r };
    bool     captures = pf_bench_captures(bench, r);
    int64_t  repeats = batch_ns / ns + 1;

    repeats = captures ? captured_repeats(repeats) : repeats;
    r->repeats = repeats > limit ? limit : (uint32_t)repeats;
    r->next_copy = 0;
    return captures ? pf_device_capture(bench->device, bench->stream, enqueue_repeats, &all, &r->graph, err) : PF_OK;
}
