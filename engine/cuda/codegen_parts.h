/* Matrix products and convolutions of one pixel of FP32 in parts of BF16 by Hopper's warp-group instructions, with all
   that is computed element by element behind them: the text of kernels/nvrtc/parts.cuh with sizes and epilogue of the
   problem in front. */
#ifndef PF_ENGINE_CUDA_CODEGEN_PARTS_H
#define PF_ENGINE_CUDA_CODEGEN_PARTS_H

#include "engine/cuda/program.h"
#include "engine/tensor.h"

typedef struct pf_parts_tuning {
    int columns;            /* of a tile */
    int groups;             /* warp groups that multiply: */
    int team;               /* how many share a tile's rows, of which each has 64 */
    int depth;              /* how many share the sum over K of a tile of 64 rows: 1 or 2 */
    int split;              /* blocks of a cluster that share it */
    int stages;             /* of the pipeline */
} pf_parts_tuning;

/* As texts: "n=<columns> g=<groups> t=<team> d=<depth> k=<split> s=<stages>". */
#define PF_PARTS_TUNING "n=%d g=%d t=%d d=%d k=%d s=%d"
#define PF_PARTS_TUNING_ARGUMENTS(t) (t).columns, (t).groups, (t).team, (t).depth, (t).split, (t).stages
bool        pf_parts_tuning_read(const char *text, pf_parts_tuning *out);

const char *pf_codegen_parts_declines(const pf_problem *p);
/* Tunings worth trying on a card of so many SMs, best guess first; their number, at most max and PF_PARTS_TUNINGS. */
enum { PF_PARTS_TUNINGS = 16 };
int         pf_codegen_parts_tunings(const pf_problem *p, int sm_count, pf_parts_tuning *out, int max);
/* Errors   INVALID: a tuning that is none. */
pf_status   pf_codegen_parts(const pf_problem *p, const pf_parts_tuning *tuning, pf_program *out, pf_err *err);
/* Weights as the kernel of pf_program.packed_form wants them: part by part, rows of K; to has room for
   pf_program.packed_bytes. */
void        pf_codegen_parts_pack(const pf_problem *p, int form, const pf_tensor *weights, void *to);

#endif
