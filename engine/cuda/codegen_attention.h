/* Attention as one kernel: the text of kernels/nvrtc/attention.cuh with sizes, strides and mask of the problem in
   front. */
#ifndef PF_ENGINE_CUDA_CODEGEN_ATTENTION_H
#define PF_ENGINE_CUDA_CODEGEN_ATTENTION_H

#include "engine/cuda/program.h"

typedef struct pf_attention_tuning {
    int query_warps;        /* of a block, 16 queries each */
    int key_warps;          /* that share the keys of each: 1, 2, 4 or 8; at most 8 warps in all */
    int stages;             /* tiles of keys and values in shared memory: 1 (when that is all) to 4 */
    int tile_keys;          /* of each: 16 to 256, a multiple of 16 for each of the key warps */
    int query_tiles;        /* that a block takes one after the other; more than 1 only when all keys stay in shared
                               memory and key_warps is 1 */
    int warp_groups;        /* 1: products by Hopper's groups of four warps; query_warps is a multiple of 4, key_warps
                               is 1. 0: by single warps */
    int blocks;             /* that shall fit on an SM at once, as far as registers go: at least 1 */
} pf_attention_tuning;

/* Tunings worth trying on a card of so many SMs (hopper: with warp groups), best guess first; their number, at most
   max. */
int       pf_codegen_attention_tunings(const pf_problem *p, int sm_count, bool hopper, pf_attention_tuning *out,
                                       int max);
/* Errors   UNSUPPORTED: pf_attention_declines says why; INVALID: a tuning that is none. */
pf_status pf_codegen_attention(const pf_problem *p, const pf_attention_tuning *tuning, pf_program *out, pf_err *err);

#endif
