/* The line skeleton: a block of threads for each line of elements along an axis (or several that are reduced), for what
   needs the whole line in another way than as a sum of floats: places of extremes, the k best, running sums, reductions
   of integers. What is in front is evaluated element by element. */
#ifndef PF_ENGINE_CUDA_CODEGEN_LINE_H
#define PF_ENGINE_CUDA_CODEGEN_LINE_H

#include "engine/cuda/program.h"

const char *pf_codegen_line_declines(const pf_problem *p);
/* Threads per block worth trying, best guess first: as many as `max`, at least one. */
int         pf_codegen_line_tunings(const pf_problem *p, int *threads, int max);
/* threads: a power of 2 of 32..1024. */
pf_status   pf_codegen_line(const pf_problem *p, int threads, pf_program *out, pf_err *err);

#endif
