/* What the parts of a bench share. */
#ifndef PF_ENGINE_TIMING_BENCH_PRIVATE_H
#define PF_ENGINE_TIMING_BENCH_PRIVATE_H

#include "engine/timing_bench.h"

/* room->memory has so many bytes afterwards; what was in it is lost. */
pf_status pf_bench_need_room(pf_bench_room *room, size_t bytes, pf_err *err);
/* bench->workspace has so many. */
pf_status pf_bench_need_workspace(pf_bench *bench, size_t bytes, pf_err *err);
/* Where runs are now. */
static inline const pf_bench_site *pf_bench_site_of(const pf_bench *bench)
{
    return bench->away.places ? &bench->away : &bench->home;
}

/* timing_bench_site.c */
pf_status pf_bench_open_home(pf_bench *bench, pf_err *err);
void      pf_bench_close_sites(pf_bench *bench);

/* Of constants, whose copies lie side by side. */
size_t    pf_bench_aligned(size_t bytes);
/* timing_bench_constants.c: the first copy of a runner's constants, */
pf_status pf_bench_bring_constants(pf_bench *bench, pf_bench_runner *runner, pf_err *err);
/* what it takes, 0: there are none, */
size_t    pf_bench_constant_bytes(const pf_bench *bench, const pf_step *step);
/* and copies for the places of the bench that all who pack alike share; NULL: there are none. */
void     *pf_bench_shared_copies(pf_bench *bench, const pf_bench_runner *runner);
/* Copies from one place of device memory to count of them, side by side. */
pf_status pf_bench_copy_constants(const pf_bench *bench, const void *from, size_t bytes, void *to, uint32_t count,
                                  pf_err *err);

/* timing_bench_device.c: an output is right as far as the device itself sees; *error is then how far it is off.  False:
   it may be wrong, or the device does not compare. */
bool      pf_bench_agrees_there(pf_bench *bench, uint32_t output, double *error);
/* Enqueues one run, on the next copy of the constants. */
pf_status pf_bench_enqueue(pf_bench *bench, pf_bench_runner *runner, pf_err *err);

#endif
