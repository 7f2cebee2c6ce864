/* Kernels for one operation along rows (softmax, layer_norm, rms_norm, reduce over the last dims) with what comes
   before and behind it: a row is read once, kept in registers, reduced by shuffles, and written once. */
#ifndef PF_ENGINE_CUDA_CODEGEN_ROW_H
#define PF_ENGINE_CUDA_CODEGEN_ROW_H

#include "engine/cuda/codegen.h"
#include "engine/cuda/program.h"

typedef struct pf_row_tuning {
    int vector;         /* neighbouring elements a thread takes at once */
    int threads;        /* per row: 32 .. 1024, a power of two */
    int split;          /* blocks of a cluster that share a row: 1, or with more than 32 threads 2 .. 8 */
} pf_row_tuning;

const char *pf_codegen_row_declines(const pf_problem *p);
/* Tunings worth trying, best guess first: those that keep the row in registers. Returns their number, at most max.
   sm_count: of a card whose blocks form clusters; 0: they do not. */
int         pf_codegen_row_tunings(const pf_problem *p, int sm_count, pf_row_tuning *out, int max);
pf_status   pf_codegen_row(const pf_problem *p, const pf_row_tuning *tuning, pf_program *out, pf_err *err);

#endif
