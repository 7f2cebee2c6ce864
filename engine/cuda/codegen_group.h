/* Kernels for norms of groups of channels (group_norm, instance_norm) of channels-last images, with what comes before
   and behind them. Such a group has a few channels of each pixel: a block takes whole groups that lie side by side,
   reads its pixels once, keeps them in registers as they lie in memory, and writes them once. The blocks of a cluster
   share the pixels of an image. */
#ifndef PF_ENGINE_CUDA_CODEGEN_GROUP_H
#define PF_ENGINE_CUDA_CODEGEN_GROUP_H

#include "engine/cuda/codegen.h"
#include "engine/cuda/program.h"

#define PF_GROUP_TUNING "v=%d x=%d y=%d k=%d"
#define PF_GROUP_TUNING_ARGUMENTS(t) (t).vector, (t).across, (t).down, (t).split

typedef struct pf_group_tuning {
    int vector;             /* channels of a thread */
    int across, down;       /* threads along channels, along pixels */
    int split;              /* blocks of a cluster that share an image's pixels */
} pf_group_tuning;

const char *pf_codegen_group_declines(const pf_problem *p);
bool        pf_group_tuning_read(const char *text, pf_group_tuning *out);
/* Best guesses first; their number, at most max. clusters: the card has them. */
int         pf_codegen_group_tunings(const pf_problem *p, int sm_count, bool clusters, pf_group_tuning *out, int max);
/* Errors  UNSUPPORTED: the tuning's threads do not divide the problem's channels, or are too many. */
pf_status   pf_codegen_group(const pf_problem *p, const pf_group_tuning *tuning, pf_program *out, pf_err *err);

#endif
