/* How long each layer of a plan takes.

   One by one: a run launched layer by layer, with an event between each two.

   In a captured run an event lies in the way: it takes longer than many a layer, and the layer behind it cannot begin
   early any more.  So each border between layers has a graph of its own, a whole run with one event at its start and
   one at the border, and a layer takes what the time until its end is more than the time until its start.  What events
   cost is in all of these times and drops out, in that of the border before the first layer too, so that the layers
   add up to a run. */
#include <string.h>

#include "base/alloc.h"
#include "engine/device_capture.h"
#include "engine/race.h"
#include "engine/runtime.h"

enum { WARMUP_RUNS = 2 };

typedef struct stopwatch {
    pf_context *context;
    pf_event  **events;         /* owned; steps + 1 */
    int64_t    *samples;        /* owned; by step, then run */
    uint32_t    runs;
    uint32_t    border;         /* in a captured run: behind so many steps lies events[1], before all events[0] */
} stopwatch;

static int64_t median(int64_t *samples, uint32_t count)
{
    pf_race_sort_ns(samples, count);
    return samples[count / 2];
}

/* ---- One by one */

static pf_status enqueue_with_events(stopwatch *w, pf_err *err)
{
    pf_context          *c = w->context;
    const pf_device_ops *ops = c->device->ops;
    pf_status            st = ops->event_record(c->device, w->events[0], c->stream, err);

    for (uint32_t s = 0; s < c->plan->step_count && !st; s++) {
        st = pf_context_enqueue_step(c, s, c->stream, err);
        if (!st)
            st = ops->event_record(c->device, w->events[s + 1], c->stream, err);
    }
    return st;
}

static pf_status time_run(stopwatch *w, uint32_t run, pf_err *err)
{
    pf_context          *c = w->context;
    const pf_device_ops *ops = c->device->ops;
    pf_status            st = enqueue_with_events(w, err);

    if (!st)
        st = ops->stream_sync(c->device, c->stream, err);
    for (uint32_t s = 0; s < c->plan->step_count && !st; s++)
        st = ops->event_elapsed(c->device, w->events[s], w->events[s + 1], &w->samples[(size_t)s * w->runs + run], err);
    return st;
}

static pf_status profile_steps(stopwatch *w, int64_t *times_ns, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t r = 0; r < w->runs && !st; r++)
        st = time_run(w, r, err);
    for (uint32_t s = 0; s < w->context->plan->step_count && !st; s++)
        times_ns[s] = median(w->samples + (size_t)s * w->runs, w->runs);
    return st;
}

/* ---- Captured */

static pf_status enqueue_with_border(void *watch, pf_err *err)
{
    stopwatch           *w = watch;
    pf_context          *c = w->context;
    const pf_device_ops *ops = c->device->ops;
    pf_status            st = ops->event_capture(c->device, w->events[0], c->stream, err);

    for (uint32_t s = 0; s <= c->plan->step_count && !st; s++) {
        if (s == w->border)
            st = ops->event_capture(c->device, w->events[1], c->stream, err);
        if (!st && s < c->plan->step_count)
            st = pf_context_enqueue_step(c, s, c->stream, err);
    }
    return st;
}

static pf_status time_launch(stopwatch *w, pf_device_graph *graph, int64_t *ns, pf_err *err)
{
    pf_context          *c = w->context;
    const pf_device_ops *ops = c->device->ops;
    pf_status            st = ops->graph_launch(c->device, graph, c->stream, err);

    if (!st)
        st = ops->stream_sync(c->device, c->stream, err);
    return st ? st : ops->event_elapsed(c->device, w->events[0], w->events[1], ns, err);
}

static pf_status time_until(stopwatch *w, uint32_t border, int64_t *ns, pf_err *err)
{
    pf_context      *c = w->context;
    pf_device_graph *graph = NULL;
    pf_status        st = PF_OK;

    w->border = border;
    st = pf_device_capture(c->device, c->stream, enqueue_with_border, w, &graph, err);
    for (uint32_t r = 0; r < WARMUP_RUNS && !st; r++)
        st = time_launch(w, graph, &w->samples[0], err);
    for (uint32_t r = 0; r < w->runs && !st; r++)
        st = time_launch(w, graph, &w->samples[r], err);
    if (graph)
        c->device->ops->graph_free(c->device, graph);
    if (!st)
        *ns = median(w->samples, w->runs);
    return st;
}

static pf_status profile_borders(stopwatch *w, int64_t *times_ns, pf_err *err)
{
    pf_context          *c = w->context;
    const pf_device_ops *ops = c->device->ops;
    int64_t              reached = 0;
    pf_status            st = PF_OK;

    if (!ops->capture_begin || !ops->event_capture || !c->instance->capturable)
        return PF_FAIL(err, PF_UNSUPPORTED, "%s",
                       ops->event_capture ? "a layer of this plan cannot be captured"
                                          : "nothing is captured on this device");
    if (!c->plan->step_count)
        return PF_OK;
    st = time_run(w, 0, err);               /* before every capture comes a run outside */
    if (!st)
        st = time_until(w, 0, &reached, err);
    for (uint32_t s = 0; s < c->plan->step_count && !st; s++) {
        int64_t ns = 0;

        st = time_until(w, s + 1, &ns, err);
        times_ns[s] = ns > reached ? ns - reached : 0;      /* less is noise, and time does not go back */
        reached += times_ns[s];
    }
    return st;
}

/* ---- Both */

static pf_status make_events(stopwatch *w, uint32_t count, pf_err *err)
{
    pf_device *device = w->context->device;
    pf_status  st = PF_OK;

    for (uint32_t i = 0; i < count && !st; i++)
        st = device->ops->event_new(device, &w->events[i], err);
    return st;
}

static void clear(stopwatch *w)
{
    pf_device *device = w->context->device;

    for (uint32_t i = 0; w->events && i <= w->context->plan->step_count; i++)
        if (w->events[i])
            device->ops->event_free(device, w->events[i]);
    pf_free(w->events);
    pf_free(w->samples);
}

typedef pf_status measure_layers(stopwatch *w, int64_t *times_ns, pf_err *err);

static pf_status with_stopwatch(pf_context *c, measure_layers *measure, uint32_t runs, int64_t *times_ns, pf_err *err)
{
    uint32_t  steps = c->plan->step_count;
    stopwatch w = { .context = c, .runs = runs };
    pf_status st = PF_OK;

    if (!runs)
        return PF_FAIL(err, PF_INVALID, "a profile needs at least one run");
    w.events = pf_calloc((size_t)steps + 1, sizeof(pf_event *));
    w.samples = pf_calloc(((size_t)steps + 1) * runs, sizeof *w.samples);
    if (!w.events || !w.samples)
        st = PF_FAIL_MEMORY(err, ((size_t)steps + 1) * runs * sizeof *w.samples);
    if (!st)
        st = pf_context_bind_rest(c, err);
    if (!st)
        st = make_events(&w, steps + 1, err);
    if (!st)
        st = measure(&w, times_ns, err);
    clear(&w);
    return st;
}

pf_status pf_context_profile(pf_context *c, uint32_t runs, int64_t *times_ns, pf_err *err)
{
    return with_stopwatch(c, profile_steps, runs, times_ns, err);
}

pf_status pf_context_profile_captured(pf_context *c, uint32_t runs, int64_t *times_ns, pf_err *err)
{
    return with_stopwatch(c, profile_borders, runs, times_ns, err);
}
