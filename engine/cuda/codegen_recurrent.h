/* lstm, gru and rnn as one kernel: the text of kernels/nvrtc/recurrent.cuh with sizes, functions and operands of the
   problem in front. */
#ifndef PF_ENGINE_CUDA_CODEGEN_RECURRENT_H
#define PF_ENGINE_CUDA_CODEGEN_RECURRENT_H

#include "engine/cuda/program.h"

const char *pf_codegen_recurrent_declines(const pf_problem *p);
/* threads: a multiple of 32 up to 1024. */
pf_status   pf_codegen_recurrent(const pf_problem *p, int threads, pf_program *out, pf_err *err);

#endif
