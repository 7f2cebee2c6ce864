/* What the files of window kernels share. */
#ifndef PF_ENGINE_CUDA_CODEGEN_WINDOW_PRIVATE_H
#define PF_ENGINE_CUDA_CODEGEN_WINDOW_PRIVATE_H

#include "engine/cuda/codegen_window.h"
#include "engine/ops/attrs.h"

typedef struct cg_window_form {
    const pf_node *node;
    uint32_t       x;               /* input of the problem */
    const pf_ints *kernel, *strides, *dilations, *pads;
    pf_ints        from_weights;    /* kernel of a convolution */
    bool           stem;            /* few channels, each a picture of its own, all of which an output reads */
} cg_window_form;

static inline const pf_shape *cg_window_in(const pf_problem *p, const cg_window_form *form)
{
    return &pf_graph_value(p->graph, form->node->in[0])->shape;
}
static inline const pf_shape *cg_window_out(const pf_problem *p, const cg_window_form *form)
{
    return &pf_graph_value(p->graph, form->node->out[0])->shape;
}

bool cg_stem_is(const pf_conv_attrs *attrs, const pf_shape *x, const pf_shape *w);
/* Weights in shared memory as [channel and tap][output], by all threads of a block. */
void cg_stem_emit_weights(const pf_problem *p, const cg_window_form *form, pf_buf *out);
/* sum[S][V] of the thread's place. */
void cg_stem_emit_taps(const pf_problem *p, const cg_window_form *form, pf_buf *out);
void cg_stem_emit_defines(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *tuning, pf_buf *out);

/* By way of shared memory: can it be so? */
bool cg_shared_takes(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *tuning);
void cg_shared_emit_defines(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *tuning,
                            pf_buf *out);
/* The thread's place and its sum[R * S][V]; fills grid, block and shared memory. */
void cg_shared_emit_sums(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *tuning,
                         pf_program *out);

#endif
