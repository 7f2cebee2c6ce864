/* lstm, gru and rnn as one kernel: the text of kernels/nvrtc/recurrent.cuh, or of recurrent_cluster.cuh beside it, with
   sizes, functions and operands of the problem in front. */
#ifndef PF_ENGINE_CUDA_CODEGEN_RECURRENT_H
#define PF_ENGINE_CUDA_CODEGEN_RECURRENT_H

#include "engine/cuda/program.h"

const char *pf_codegen_recurrent_declines(const pf_problem *p);
/* threads: a multiple of 32 up to 1024. */
pf_status   pf_codegen_recurrent(const pf_problem *p, int threads, pf_program *out, pf_err *err);

/* In 16 bits, blocks of a cluster that share the rows of the products: on cards of compute capability 9.0 on.
   split: blocks of a cluster, 1 to 16. */
const char *pf_codegen_recurrent_cluster_declines(const pf_problem *p, int split);
pf_status   pf_codegen_recurrent_cluster(const pf_problem *p, int split, pf_program *out, pf_err *err);

#endif
