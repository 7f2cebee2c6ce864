/* Processes that compile cuDNN's run-time kernels.  cuDNN compiles one kernel at a time however many threads ask (measured with 9.19), but several
   processes each compile their own; a plan's JSON carries the result back.

   The program planfarm-compile stands beside the module; without it nothing is compiled ahead and prepare does the work.
   Workers are started by the first request and end with the pool. */
#ifndef PF_ENGINE_CUDA_COMPILE_POOL_H
#define PF_ENGINE_CUDA_COMPILE_POOL_H

#include "base/buf.h"
#include "engine/problem.h"

typedef struct pf_compile_pool pf_compile_pool;

pf_compile_pool *pf_compile_pool_new(int ordinal);      /* NULL when out of memory */
void             pf_compile_pool_free(pf_compile_pool *pool);
/* Has a worker prepare `tactic` for the problem and save it; waits for the answer, and for a free worker before that. Thread   any.
   Errors   UNSUPPORTED: the tactic refused, or there is no worker. */
pf_status        pf_compile_pool_run(pf_compile_pool *pool, const char *tactic, const pf_problem *p, const char *tuning, pf_buf *saved, pf_err *err);
/* Workers that are there, each a process that uses the device. */
unsigned         pf_compile_pool_workers(pf_compile_pool *pool);
/* Ends the workers, which hold memory of the device, once all is compiled; the next request starts them again. */
void             pf_compile_pool_rest(pf_compile_pool *pool);

/* The worker's side: reads requests from in, writes answers to out, until in ends. */
pf_status        pf_compile_serve(int in, int out, int ordinal, pf_err *err);

#endif
