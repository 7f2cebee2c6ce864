/* Matrix products and convolutions, with all that is computed element by element behind them, as one kernel: the text
   of kernels/nvrtc/matmul.cuh with sizes and epilogue of the problem in front. Convolutions of one pixel are products
   as they are ("matmul" here); those with a window over the input ("conv") take their weights packed.  FP32 is taken
   in parts of BF16, a constant as early as it is packed. */
#ifndef PF_ENGINE_CUDA_CODEGEN_MATMUL_H
#define PF_ENGINE_CUDA_CODEGEN_MATMUL_H

#include "engine/cuda/program.h"
#include "engine/tensor.h"

typedef struct pf_matmul_tuning {
    int rows, columns;      /* of a block's tile */
    int warps_m, warps_n;
    int split;              /* blocks of a cluster that share the sum over K */
    int stages;             /* of the pipeline */
} pf_matmul_tuning;

/* As texts: "b=<rows>x<columns> w=<warps>x<warps> k=<split> s=<stages>". */
#define PF_MATMUL_TUNING "b=%dx%d w=%dx%d k=%d s=%d"
#define PF_MATMUL_TUNING_ARGUMENTS(t) (t).rows, (t).columns, (t).warps_m, (t).warps_n, (t).split, (t).stages
bool        pf_matmul_tuning_read(const char *text, pf_matmul_tuning *out);

const char *pf_codegen_matmul_declines(const pf_problem *p);
/* The same of a kernel that packs constant weights itself. */
const char *pf_codegen_matmul_declines_packed(const pf_problem *p);
/* The same of a kernel that may multiply an image with factors of its channels as it reads it; packs: constant
   weights. */
const char *pf_codegen_matmul_declines_scaled(const pf_problem *p, bool packs);
const char *pf_codegen_conv_declines(const pf_problem *p);
/* Multiply-adds beyond which the libraries' warp-group kernels always win, unless rows of the result lie at odd
   places. */
#define PF_MATMUL_LARGE_WORK (INT64_C(1) << 32)
/* How many multiply-adds it has; 0: not said by the shapes. */
int64_t     pf_codegen_matmul_work(const pf_problem *p);
/* FP32 in parts, for which no library has a fast kernel. */
bool        pf_codegen_matmul_is_wide(const pf_problem *p);
/* Such of which w may be several matrices: whether it is may hang on the shapes that a plan is used at. */
bool        pf_codegen_matmul_is_batch(const pf_problem *p);
/* Such of which results are computed from two halves of each row. */
bool        pf_codegen_matmul_is_gated(const pf_problem *p);
/* Such of which x is an image times factors of its channels. */
bool        pf_codegen_matmul_is_scaled(const pf_problem *p);
/* Such of which an image with channels last is made, with what follows. */
bool        pf_codegen_matmul_is_turned(const pf_problem *p);
/* Of layouts that are channels-last: what of such a product's inputs is no such image is linear. */
void        pf_codegen_matmul_prefers(const pf_problem *p, pf_layout *in);
/* Rows of the result that start at any byte, which the libraries' fast kernels do not take. */
bool        pf_codegen_matmul_is_odd(const pf_problem *p);
/* Tunings worth trying on a card of so many SMs, best guess first; their number, at most max and PF_MATMUL_TUNINGS. */
enum { PF_MATMUL_TUNINGS = 48 };
int         pf_codegen_matmul_tunings(const pf_problem *p, int sm_count, pf_matmul_tuning *out, int max);
/* Errors   INVALID: a tuning that is none. */
pf_status   pf_codegen_matmul(const pf_problem *p, const pf_matmul_tuning *tuning, pf_program *out, pf_err *err);
/* A convolution in groups, of which cuDNN's kernels leave much of the card idle. */
bool        pf_codegen_conv_is_grouped(const pf_problem *p);
/* A convolution of at most eight channels. */
bool        pf_codegen_conv_is_stem(const pf_problem *p);
/* Weights as the kernel wants them: of a conv with a window [outputs][taps][channels], channels padded with zeros; of
   FP32 then taken apart (kernels/nvrtc/matmul.cuh).  to has room for pf_program.packed_bytes. */
void        pf_codegen_matmul_pack(const pf_problem *p, const pf_tensor *weights, void *to);

#endif
