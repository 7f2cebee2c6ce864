/* Matrix products, and convolutions of one pixel, by Hopper's warp-group instructions with all that is computed element
   by element behind them: the text of kernels/nvrtc/wgmma.cuh with sizes and epilogue of the problem in front. */
#ifndef PF_ENGINE_CUDA_CODEGEN_WGMMA_H
#define PF_ENGINE_CUDA_CODEGEN_WGMMA_H

#include "engine/cuda/program.h"
#include "engine/tensor.h"

typedef struct pf_wgmma_tuning {
    int rows, columns;      /* of a tile */
    int team;               /* warp groups that share a tile: 1, 2 or 3 */
    int split;              /* blocks of a cluster that share the sum over K */
    int stages;             /* of the pipeline */
} pf_wgmma_tuning;

/* As texts: "b=<rows>x<columns> t=<team> k=<split> s=<stages>". */
#define PF_WGMMA_TUNING "b=%dx%d t=%d k=%d s=%d"
#define PF_WGMMA_TUNING_ARGUMENTS(t) (t).rows, (t).columns, (t).team, (t).split, (t).stages
bool        pf_wgmma_tuning_read(const char *text, pf_wgmma_tuning *out);

const char *pf_codegen_wgmma_declines(const pf_problem *p);
/* Tunings worth trying on a card of so many SMs, best guess first; their number, at most max, or twice that of a long
   product, and PF_WGMMA_TUNINGS, for which out has room. */
enum { PF_WGMMA_TUNINGS = 16 };
int         pf_codegen_wgmma_tunings(const pf_problem *p, int sm_count, pf_wgmma_tuning *out, int max);
/* Errors   INVALID: a tuning that is none. */
pf_status   pf_codegen_wgmma(const pf_problem *p, const pf_wgmma_tuning *tuning, pf_program *out, pf_err *err);
/* Weights that are a constant as the kernel of pf_program.packed_form wants them: rows of k, of which some at the end
   may belong to no column and are not written; to has room for pf_program.packed_bytes. */
void        pf_codegen_wgmma_pack(const pf_problem *p, int form, const pf_tensor *weights, void *to);

#endif
