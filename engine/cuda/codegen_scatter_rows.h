/* Kernels for scatter_nd alone: a block owns some rows of the result, looks through all indices for theirs, some
   thousand at a time, and puts the updates it found in their order, so that results are the same every time. */
#ifndef PF_ENGINE_CUDA_CODEGEN_SCATTER_ROWS_H
#define PF_ENGINE_CUDA_CODEGEN_SCATTER_ROWS_H

#include "engine/cuda/program.h"

const char *pf_codegen_scatter_rows_declines(const pf_problem *p);
/* Rows of a block worth trying, best guess first: at most max, at least one. The problem is bound. */
int         pf_codegen_scatter_rows_tunings(const pf_problem *p, int compute_units, int *rows, int max);
pf_status   pf_codegen_scatter_rows(const pf_problem *p, int rows, pf_program *out, pf_err *err);

#endif
