/* Processes that compile kernels.  Neither cuDNN nor NVRTC compile more than one kernel at a time in a process, however
   many threads ask (cuDNN 9.19; NVRTC 13.0 took 5.7 s for 320 of our kernels with 16 threads on 16 cores, 5.7 s with
   one and 1.0 s with 16 processes).

   The program planfarm-compile stands beside the module; without it nothing is compiled in processes.
   Workers are started by the first requests, or before them, and end with the pool. */
#ifndef PF_ENGINE_CUDA_COMPILE_POOL_H
#define PF_ENGINE_CUDA_COMPILE_POOL_H

#include "base/buf.h"
#include "engine/cuda/program.h"
#include "engine/problem.h"

typedef struct pf_compile_pool pf_compile_pool;

enum { PF_COMPILE_NO_DEVICE = -1 };

/* Its workers use the device of that number, and are few, as each takes a second or two of a processor to begin; or
   none, and compile only sources, one for each processor.
   NULL when out of memory. */
pf_compile_pool *pf_compile_pool_new(int ordinal);
void             pf_compile_pool_free(pf_compile_pool *pool);
/* Has a worker prepare `tactic` for the problem and save it; waits for the answer, and for a free worker before that.
   Thread   any.
   Errors   UNSUPPORTED: the tactic refused, or there is no worker. */
pf_status        pf_compile_pool_run(pf_compile_pool *pool, const char *tactic, const pf_problem *p, const char *tuning,
                                     pf_buf *saved, pf_err *err);
/* The same with a program: what pf_program_compile gives. */
pf_status        pf_compile_pool_program(pf_compile_pool *pool, const pf_program *program, int cc, pf_buf *cubin,
                                         pf_err *err);
/* Starts all workers: requests that come when they are up need not wait for that. */
void             pf_compile_pool_wake(pf_compile_pool *pool);
/* Workers that are there, each a process. */
unsigned         pf_compile_pool_workers(pf_compile_pool *pool);
/* Ends the workers, which hold memory of the device, once all is compiled; the next request starts them again. */
void             pf_compile_pool_rest(pf_compile_pool *pool);

/* The worker's side: reads requests from in, writes answers to out, until in ends. */
pf_status        pf_compile_serve(int in, int out, int ordinal, pf_err *err);

#endif
