/* Kernels for channels-last windows: depthwise convolution, max and average pooling, each with its epilogue. A thread
   computes a few neighbouring channels of a strip of neighbouring output columns, so that an input column is loaded
   once for all outputs of the strip that see it. */
#ifndef PF_ENGINE_CUDA_CODEGEN_WINDOW_H
#define PF_ENGINE_CUDA_CODEGEN_WINDOW_H

#include "engine/cuda/codegen.h"
#include "engine/cuda/program.h"

/* Channels, output columns, threads per block. */
typedef struct pf_window_tuning { int vector, strip, threads; } pf_window_tuning;

const char *pf_codegen_window_declines(const pf_problem *p);
/* Tunings worth trying, best guess first; their number, at most max. */
int         pf_codegen_window_tunings(const pf_problem *p, pf_window_tuning *out, int max);
pf_status   pf_codegen_window(const pf_problem *p, const pf_window_tuning *tuning, pf_program *out, pf_err *err);

#endif
