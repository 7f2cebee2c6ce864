/* What the parts of a bench share. */
#ifndef PF_ENGINE_TIMING_BENCH_PRIVATE_H
#define PF_ENGINE_TIMING_BENCH_PRIVATE_H

#include "engine/timing_bench.h"

/* room->memory has so many bytes afterwards; what was in it is lost. */
pf_status pf_bench_need_room(pf_bench_room *room, size_t bytes, pf_err *err);
/* bench->workspace has so many. */
pf_status pf_bench_need_workspace(pf_bench *bench, size_t bytes, pf_err *err);
/* timing_bench_device.c: an output is right as far as the device itself sees; *error is then how far it is off.  False:
   it may be wrong, or the device does not compare. */
bool      pf_bench_agrees_there(pf_bench *bench, uint32_t output, double *error);
/* Enqueues one run, on the next copy of the constants. */
pf_status pf_bench_enqueue(pf_bench *bench, pf_bench_runner *runner, pf_err *err);

#endif
