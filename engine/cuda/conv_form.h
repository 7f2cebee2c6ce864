/* What a convolution with its epilogue is, as cuDNN's graphs of one say it: convolution, residual, bias, activation. */
#ifndef PF_ENGINE_CUDA_CONV_FORM_H
#define PF_ENGINE_CUDA_CONV_FORM_H

#include <cudnn.h>

#include "engine/ops/attrs.h"
#include "engine/problem.h"

/* What the problem's graph says, as input indices of the problem. */
typedef struct pf_conv_form {
    const pf_node *conv;
    int            x, w, bias, residual;
    const pf_node *activation;          /* NULL: none */
    bool           residual_last;       /* added behind the activation */
} pf_conv_form;

/* What conv and conv_transpose say alike. */
typedef struct pf_conv_window {
    const pf_ints *pads, *strides, *dilations;
    int64_t        groups;
    bool           transposed;
    const char    *reason;              /* why cuDNN does not take it, or NULL */
} pf_conv_window;

pf_conv_window pf_conv_window_of(const pf_node *node);
/* NULL, or why the problem is no such region. */
const char    *pf_conv_recognize(const pf_problem *p, pf_conv_form *out);
/* Activations that are one pointwise operation of cuDNN. */
bool           pf_conv_pointwise(pf_op_kind op, cudnnPointwiseMode_t *mode);
/* On the fast path most kernels are there already; for the rest cuDNN lists few that are. */
bool           pf_conv_leaves_fast_path(const pf_conv_form *form);
/* Is a bias of zeros added, which the graph does not have? */
bool           pf_conv_adds_zeros(const pf_conv_form *form);
bool           pf_conv_has_bias(const pf_conv_form *form);

#endif
