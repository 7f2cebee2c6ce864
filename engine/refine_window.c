#include "engine/refine_window.h"

pf_status pf_refine_windows_open(pf_device *device, pf_refine_windows *out, pf_err *err)
{
    pf_status st = PF_OK;

    *out = (pf_refine_windows){ .device = device };
    for (int i = 0; i < 2 * PF_REFINE_WINDOWS_MAX && !st; i++)
        st = device->ops->event_new(device, &out->edges[i], err);
    return st;
}

void pf_refine_windows_close(pf_refine_windows *windows)
{
    for (int i = 0; i < 2 * PF_REFINE_WINDOWS_MAX; i++)
        if (windows->edges[i])
            windows->device->ops->event_free(windows->device, windows->edges[i]);
    *windows = (pf_refine_windows){ 0 };
}

/* False: there are too many. */
static bool add_span(pf_refine_windows *w, uint32_t first, uint32_t last)
{
    if (w->count && first <= w->spans[w->count - 1].last + 1) {
        w->spans[w->count - 1].last = last;
        return true;
    }
    if (w->count == PF_REFINE_WINDOWS_MAX)
        return false;
    w->spans[w->count].first = first;
    w->spans[w->count++].last = last;
    return true;
}

static uint32_t steps_in(const pf_refine_windows *w)
{
    uint32_t steps = 0;

    for (uint32_t i = 0; i < w->count; i++)
        steps += w->spans[i].last - w->spans[i].first + 1;
    return steps;
}

void pf_refine_windows_place(pf_refine_windows *w, const uint32_t *group_of, uint32_t step_count, uint32_t group)
{
    bool fits = w->device->ops->capture_begin && w->device->ops->event_capture;

    w->count = 0;
    for (uint32_t s = 0; s < step_count && fits; s++)
        if (group_of[s] == group)
            fits = add_span(w, s ? s - 1 : 0, s + 1 < step_count ? s + 1 : s);
    if (!fits || steps_in(w) > step_count / 2)
        w->count = 0;
}

pf_status pf_refine_windows_enter(const pf_refine_windows *w, uint32_t step, pf_stream *stream, pf_err *err)
{
    for (uint32_t i = 0; i < w->count; i++)
        if (w->spans[i].first == step)
            return w->device->ops->event_capture(w->device, w->edges[2 * i], stream, err);
    return PF_OK;
}

pf_status pf_refine_windows_leave(const pf_refine_windows *w, uint32_t step, pf_stream *stream, pf_err *err)
{
    for (uint32_t i = 0; i < w->count; i++)
        if (w->spans[i].last == step)
            return w->device->ops->event_capture(w->device, w->edges[2 * i + 1], stream, err);
    return PF_OK;
}

pf_status pf_refine_windows_read(const pf_refine_windows *w, int64_t *ns, pf_err *err)
{
    pf_status st = PF_OK;

    *ns = 0;
    for (uint32_t i = 0; i < w->count && !st; i++) {
        int64_t part_ns = 0;

        st = w->device->ops->event_elapsed(w->device, w->edges[2 * i], w->edges[2 * i + 1], &part_ns, err);
        *ns += part_ns;
    }
    return st;
}
