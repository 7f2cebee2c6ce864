/* Convolutions of few channels, which are pictures of their own, with all that is computed element by element behind
   them, on tensor cores: the text of kernels/nvrtc/stem.cuh with sizes and epilogue of the problem in front. */
#ifndef PF_ENGINE_CUDA_CODEGEN_STEM_H
#define PF_ENGINE_CUDA_CODEGEN_STEM_H

#include "engine/cuda/program.h"
#include "engine/tensor.h"

typedef struct pf_stem_tuning {
    int row_tiles;          /* outputs that a warp has at once, in sixteens */
    int warps;              /* of a block */
    int columns;            /* of a block's tile of outputs */
    int blocks;             /* of an SM at once */
} pf_stem_tuning;

/* As texts: "m=<row tiles> w=<warps> c=<columns> b=<blocks>". */
#define PF_STEM_TUNING "m=%d w=%d c=%d b=%d"
#define PF_STEM_TUNING_ARGUMENTS(t) (t).row_tiles, (t).warps, (t).columns, (t).blocks
bool        pf_stem_tuning_read(const char *text, pf_stem_tuning *out);

const char *pf_codegen_stem_declines(const pf_problem *p);
/* x as it comes; all else channels-last. */
void        pf_codegen_stem_prefers(const pf_problem *p, pf_layout *in, pf_layout *out);
/* Tunings worth trying on a card of so many SMs, best guess first; their number, at most max and PF_STEM_TUNINGS. */
enum { PF_STEM_TUNINGS = 16 };
int         pf_codegen_stem_tunings(const pf_problem *p, int sm_count, pf_stem_tuning *out, int max);
/* Errors   INVALID: a tuning that is none. */
pf_status   pf_codegen_stem(const pf_problem *p, const pf_stem_tuning *tuning, pf_program *out, pf_err *err);
/* Weights in the order in which the instruction takes them (kernels/nvrtc/stem.cuh), for any tuning.  to has room for
   pf_program.packed_bytes. */
void        pf_codegen_stem_pack(const pf_problem *p, const pf_tensor *weights, void *to);

#endif
