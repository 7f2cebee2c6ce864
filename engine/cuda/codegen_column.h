/* Kernels for reductions over dims that are not the innermost in memory: the spatial ones of channels-last images
   (global pooling, squeeze-excite means), and leading ones of what lies linear (sums over experts, over positions).
   A thread takes a few neighbouring channels, threads along y share the pixels and meet in shared memory, as do the
   blocks that share the pixels of few images; what follows the reduction is computed before the one store. */
#ifndef PF_ENGINE_CUDA_CODEGEN_COLUMN_H
#define PF_ENGINE_CUDA_CODEGEN_COLUMN_H

#include "engine/cuda/codegen.h"
#include "engine/cuda/program.h"

typedef struct pf_column_tuning {
    int vector;             /* channels of a thread */
    int across, down;       /* threads along channels, along pixels */
    int split;              /* blocks of a cluster that share an image's pixels */
} pf_column_tuning;

const char *pf_codegen_column_declines(const pf_problem *p);
/* clusters: the card has them. */
int         pf_codegen_column_tunings(const pf_problem *p, bool clusters, pf_column_tuning *out, int max);
pf_status   pf_codegen_column(const pf_problem *p, const pf_column_tuning *tuning, pf_program *out, pf_err *err);

#endif
