/* Kernels for channels-last windows: depthwise convolution, max and average pooling, each with its epilogue. A thread
   computes a few neighbouring channels of a strip of neighbouring output columns, in one row or several, so that an
   input column is loaded once for all outputs of the strip that see it.  Stems too: convolutions of few channels, which
   come as a picture each. */
#ifndef PF_ENGINE_CUDA_CODEGEN_WINDOW_H
#define PF_ENGINE_CUDA_CODEGEN_WINDOW_H

#include "engine/cuda/codegen.h"
#include "engine/cuda/program.h"
#include "engine/tensor.h"

typedef struct pf_window_tuning {
    int vector, strip, rows;    /* channels, columns and rows of the output that a thread has */
    int tiled;                  /* 0: a block has what lies one behind the other, 1: a tile of an image, 2: a tile whose
                                   pixels come by way of shared memory */
    int threads;                /* of a block, at most */
    int channels;               /* of a block, where its pixels are in shared memory, else 0 */
} pf_window_tuning;

const char *pf_codegen_window_declines(const pf_problem *p);
/* Of layouts that are channels-last: that of a stem's picture, whose channels lie apart. */
void        pf_codegen_window_prefers(const pf_problem *p, pf_layout *in);
/* Tunings worth trying, best guess first; their number, at most max. */
int         pf_codegen_window_tunings(const pf_problem *p, pf_window_tuning *out, int max);
pf_status   pf_codegen_window(const pf_problem *p, const pf_window_tuning *tuning, pf_program *out, pf_err *err);
/* Weights of a depthwise convolution, [C,1,KH,KW], as its kernel wants them where they are a constant: [KH,KW,C]. */
void        pf_codegen_window_pack(const pf_tensor *weights, void *to);

#endif
