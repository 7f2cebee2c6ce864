/* Attention as one kernel: the text of kernels/nvrtc/attention.cuh with sizes, strides and mask of the problem in front. */
#ifndef PF_ENGINE_CUDA_CODEGEN_ATTENTION_H
#define PF_ENGINE_CUDA_CODEGEN_ATTENTION_H

#include "engine/cuda/program.h"

/* warps: 1..8 per block, 16 queries each. Errors   UNSUPPORTED: pf_attention_declines says why. */
pf_status pf_codegen_attention(const pf_problem *p, int warps, pf_program *out, pf_err *err);

#endif
