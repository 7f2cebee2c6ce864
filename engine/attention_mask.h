/* What is done to attention's scores before the softmax, taken apart: which part of it is causal, and what remains as
   one mask. */
#ifndef PF_ENGINE_ATTENTION_MASK_H
#define PF_ENGINE_ATTENTION_MASK_H

#include "engine/graph.h"

/* Scores this low count as hidden: exp() of the difference to any other score is 0. */
#define PF_MASK_HIDDEN (-5000.0)

enum { PF_MASK_TERMS = 8 };

typedef enum pf_mask_kind { PF_MASK_ADD, PF_MASK_KEEP, PF_MASK_DROP } pf_mask_kind;

typedef struct pf_mask_term {
    pf_mask_kind kind;  /* a float that is added; a bool that is true where the score stays, or where it does not */
    pf_value_id  value;         /* broadcast to the scores */
    double       factor;        /* of what is added */
    double       instead;       /* what the score becomes where it does not stay: PF_MASK_HIDDEN or less, often minus
                                   infinity */
} pf_mask_term;

typedef struct pf_mask {
    pf_mask_term terms[PF_MASK_TERMS];
    uint32_t     count;
} pf_mask;

/* scores: shape of what the terms are broadcast to; its last two dims are queries and keys.
   *causal is a PF_CAUSAL_; *out is bool or of type dtype, of scores' rank or less; PF_NONE when nothing remains.
   A row that is hidden throughout keeps what the network makes of it, so a finite mask is only split when nothing else
   is masked. */
pf_status pf_mask_split(pf_graph *graph, const pf_mask *mask, const pf_shape *scores, pf_dtype dtype, int32_t *causal,
                        pf_value_id *out, pf_err *err);

#endif
