/* Attention with the moves round it: q, k and v may be slices and transposes of packed projections, and the output may
   be written with its heads behind the positions. All of that is strides. */
#ifndef PF_ENGINE_CUDA_ATTENTION_FORM_H
#define PF_ENGINE_CUDA_ATTENTION_FORM_H

#include "engine/cuda/codegen.h"

/* Element (batch, head, position, d) lies at `first` + their sum times these; d itself has stride 1. */
typedef struct pf_strided { uint32_t input; int64_t first, batch, head, position; } pf_strided;

typedef struct pf_attention_form {
    const pf_node *node;
    pf_value_id    mask;            /* PF_NONE: none. Computed at (batch, head, query, key), broadcast */
    pf_strided     q, k, v, y;      /* y.input is unused */
    int64_t        batch, heads, kv_heads, queries, keys, head_dim;
    double         scale;
} pf_attention_form;

/* Why the kernel does not compute p; of a problem with symbols, what holds for every binding. */
const char *pf_attention_declines(const pf_problem *p);
/* Of a bound problem. A static reason when its moves are no strides, else NULL. */
const char *pf_attention_read(const pf_problem *p, pf_attention_form *out);
/* How many elements of q, k and v may be copied at once, and of y: 8, 4 or 2; 0: rows begin at odd places. */
int         pf_attention_copy_width(const pf_attention_form *form);
int         pf_attention_store_width(const pf_attention_form *form);

#endif
