/* Where in a network a candidate is looked at.  A run of the whole scatters by up to 1 %, which hides what one layer of
   many gains; the time from before the layer in front of it to after the one behind it scatters far less.  So a graph
   of the whole is captured with events at the edges of such windows: everything runs as it does, kernels overlap and
   caches hold what they hold, and only the windows are timed. */
#ifndef PF_ENGINE_REFINE_WINDOW_H
#define PF_ENGINE_REFINE_WINDOW_H

#include "engine/device.h"

/* Of a problem with more layers apart than that the whole is timed: what many layers gain shows there. */
enum { PF_REFINE_WINDOWS_MAX = 8 };

typedef struct pf_refine_windows {
    pf_device *device;
    uint32_t   count;                                   /* 0: whole runs are compared */
    struct { uint32_t first, last; } spans[PF_REFINE_WINDOWS_MAX];     /* steps, in order, apart */
    pf_event  *edges[2 * PF_REFINE_WINDOWS_MAX];        /* owned */
    int64_t    rest_ns;                                 /* of a run, outside of them; the caller's */
} pf_refine_windows;

/* Errors   DEVICE. */
pf_status pf_refine_windows_open(pf_device *device, pf_refine_windows *out, pf_err *err);
void      pf_refine_windows_close(pf_refine_windows *windows);
/* Round the steps of that group; none where the device cannot, or where they would hold most of the network. */
void      pf_refine_windows_place(pf_refine_windows *windows, const uint32_t *group_of, uint32_t step_count,
                                  uint32_t group);
/* While the network is captured, before and after each step. */
pf_status pf_refine_windows_enter(const pf_refine_windows *windows, uint32_t step, pf_stream *stream, pf_err *err);
pf_status pf_refine_windows_leave(const pf_refine_windows *windows, uint32_t step, pf_stream *stream, pf_err *err);
/* The time in them in the run that was waited for last. */
pf_status pf_refine_windows_read(const pf_refine_windows *windows, int64_t *ns, pf_err *err);

#endif
