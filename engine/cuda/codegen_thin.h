/* Matrix products, and convolutions of one pixel, of many rows and few weights, with all that is computed element by
   element behind them: the text of kernels/nvrtc/thin.cuh with sizes and epilogue of the problem in front. */
#ifndef PF_ENGINE_CUDA_CODEGEN_THIN_H
#define PF_ENGINE_CUDA_CODEGEN_THIN_H

#include "engine/cuda/program.h"

typedef struct pf_thin_tuning {
    int row_tiles;          /* rows that a warp takes at once, in sixteens */
    int warps;              /* of a block */
    int ahead;              /* 1: rows are asked for while those before are multiplied */
} pf_thin_tuning;

/* As texts: "m=<row tiles> w=<warps> a=<ahead>". */
#define PF_THIN_TUNING "m=%d w=%d a=%d"
#define PF_THIN_TUNING_ARGUMENTS(t) (t).row_tiles, (t).warps, (t).ahead
bool        pf_thin_tuning_read(const char *text, pf_thin_tuning *out);

const char *pf_codegen_thin_declines(const pf_problem *p);
/* Tunings worth trying, best guess first; their number, at most max and PF_THIN_TUNINGS. */
enum { PF_THIN_TUNINGS = 8 };
int         pf_codegen_thin_tunings(const pf_problem *p, pf_thin_tuning *out, int max);
/* Errors   INVALID: a tuning that is none. */
pf_status   pf_codegen_thin(const pf_problem *p, const pf_thin_tuning *tuning, pf_program *out, pf_err *err);

#endif
