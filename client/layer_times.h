/* How long each layer of a plan takes: medians of some runs, launched one by one, which adds up to more than a run,
   and, where the device captures runs, within a graph too, which adds up to a run. */
#ifndef PF_CLIENT_LAYER_TIMES_H
#define PF_CLIENT_LAYER_TIMES_H

#include "client/inputs.h"

typedef struct pf_layer_times {
    int64_t *alone_ns;          /* owned; by layer */
    int64_t *captured_ns;       /* NULL where runs are not captured */
    uint32_t count;
} pf_layer_times;

/* In a context of its own, at the shapes of inputs.  runs: at least 1. */
pf_status pf_layer_times_measure(pf_plan *plan, pf_device *device, const pf_inputs *inputs, uint32_t runs,
                                 pf_layer_times *out, pf_err *err);
void      pf_layer_times_clear(pf_layer_times *times);
/* Within a graph where there is one, as plans run. */
int64_t   pf_layer_times_ns(const pf_layer_times *times, uint32_t layer);
int64_t   pf_layer_times_total_ns(const pf_layer_times *times);
/* Says them, and puts them into the result as "layers".  order: which layers, in which order; NULL: all, as they
   run. */
void      pf_layer_times_put(pf_call *call, const pf_plan *plan, const pf_layer_times *times, const uint32_t *order,
                             uint32_t count);

#endif
