#include "engine/cuda/conv_form.h"

#include "engine/cuda/tactics.h"
#include "engine/op.h"

pf_conv_window pf_conv_window_of(const pf_node *node)
{
    const pf_conv_attrs           *conv = node->attrs;
    const pf_conv_transpose_attrs *transpose = node->attrs;

    if (node->op == PF_OP_CONV)
        return (pf_conv_window){ &conv->pads, &conv->strides, &conv->dilations, conv->groups, false,
                                 conv->auto_pad ? "padding depends on a symbol" : NULL };
    return (pf_conv_window){ &transpose->pads, &transpose->strides, &transpose->dilations, transpose->groups, true,
                             transpose->auto_pad || transpose->output_shape.count ? "padding follows from the output"
                             : transpose->groups != 1                             ? "groups"
                                                                                  : NULL };
}

/* ---- Recognizing the region */

/* A constant of one number per channel: [C,1,1] or [1,C,1,1] against [N,C,H,W], with a dim more against volumes. */
static bool is_per_channel(const pf_problem *p, int input, const pf_shape *out)
{
    const pf_shape *shape = &pf_graph_value(p->graph, p->graph->inputs[input])->shape;
    int32_t         lead = out->rank - shape->rank;

    if (!p->in_constant[input] || lead < 0 || lead > 1) return false;
    for (int32_t d = 0; d < shape->rank; d++)
        if (shape->dim[d] != (d + lead == 1 ? out->dim[1] : 1)) return false;
    return true;
}

static const char *take_add(const pf_problem *p, const pf_node *node, pf_value_id chain, pf_conv_form *form)
{
    const pf_graph *graph = p->graph;
    pf_value_id     other = node->in[0] == chain ? node->in[1] : node->in[0];
    int             input = pf_cuda_input(p, other);
    const pf_shape *out = &pf_graph_value(graph, node->out[0])->shape;

    if (input == PF_NO_INPUT || (node->in[0] != chain && node->in[1] != chain)) return "an epilogue that is no chain";
    if (form->bias == PF_NO_INPUT && !form->activation && form->residual == PF_NO_INPUT &&
        is_per_channel(p, input, out)) {
        form->bias = input;
        return NULL;
    }
    if (form->residual != PF_NO_INPUT || !pf_shape_equal(&pf_graph_value(graph, other)->shape, out))
        return "an addition that is neither bias nor residual";
    form->residual = input;
    form->residual_last = form->activation != NULL;
    return NULL;
}

typedef struct activation { pf_op_kind op; cudnnPointwiseMode_t mode; } activation;

/* Activations that are one pointwise operation of cuDNN. clip, hard_swish and leaky_relu are made of several. */
static const activation activations[] = {
    { PF_OP_RELU, CUDNN_POINTWISE_RELU_FWD },       { PF_OP_SIGMOID, CUDNN_POINTWISE_SIGMOID_FWD },
    { PF_OP_TANH, CUDNN_POINTWISE_TANH_FWD },
    { PF_OP_GELU, CUDNN_POINTWISE_GELU_FWD },       { PF_OP_GELU_TANH, CUDNN_POINTWISE_GELU_APPROX_TANH_FWD },
    { PF_OP_SWISH, CUDNN_POINTWISE_SWISH_FWD },     { PF_OP_SOFTPLUS, CUDNN_POINTWISE_SOFTPLUS_FWD },
};

bool pf_conv_pointwise(pf_op_kind op, cudnnPointwiseMode_t *mode)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (activations[i].op == op) {
            *mode = activations[i].mode;
            return true;
        }
    return false;
}

static bool takes_activation(const pf_node *node)
{
    const pf_pointwise_attrs *attrs = node->attrs;
    cudnnPointwiseMode_t      mode = CUDNN_POINTWISE_IDENTITY;

    if (node->op == PF_OP_SWISH) return attrs->p == 1;
    if (node->op == PF_OP_LEAKY_RELU) return attrs->p >= 0 && attrs->p <= 1;
    return pf_conv_pointwise(node->op, &mode) || node->op == PF_OP_HARD_SWISH || node->op == PF_OP_CLIP;
}

static const char *take_conv(const pf_problem *p, const pf_node *node, pf_conv_form *form)
{
    form->conv = node;
    form->x = pf_cuda_input(p, node->in[0]);
    form->w = pf_cuda_input(p, node->in[1]);
    form->bias = node->in_count > 2 && node->in[2] != PF_NONE ? pf_cuda_input(p, node->in[2]) : PF_NO_INPUT;
    if (form->x == PF_NO_INPUT || form->w == PF_NO_INPUT) return "weights are computed inside the region";
    return node->in_count > 2 && node->in[2] != PF_NONE && form->bias == PF_NO_INPUT
               ? "bias is computed inside the region"
               : NULL;
}

const char *pf_conv_recognize(const pf_problem *p, pf_conv_form *form)
{
    const pf_graph *graph = p->graph;
    pf_value_id     chain = PF_NONE;

    *form = (pf_conv_form){ .x = PF_NO_INPUT, .w = PF_NO_INPUT, .bias = PF_NO_INPUT, .residual = PF_NO_INPUT };
    if (graph->output_count != 1) return "several outputs";
    for (uint32_t n = 0; n < graph->node_count; n++) {
        const pf_node *node = &graph->nodes[n];
        const char    *reason = NULL;

        if (!node->live) continue;
        if (chain == PF_NONE)
            reason = node->op == PF_OP_CONV || node->op == PF_OP_CONV_TRANSPOSE ? take_conv(p, node, form)
                                                                                : "no convolution first";
        else if (node->op == PF_OP_ADD) reason = take_add(p, node, chain, form);
        else if (form->activation || form->residual_last || !takes_activation(node) || node->in[0] != chain)
            reason = "an epilogue that cuDNN lacks";
        else form->activation = node;
        if (reason) return reason;
        chain = node->out[0];
    }
    return chain == graph->outputs[0] ? NULL : "the output is not the end of the chain";
}

/* ---- The fast path */

bool pf_conv_leaves_fast_path(const pf_conv_form *form)
{
    pf_conv_window window = pf_conv_window_of(form->conv);

    return window.groups != 1 || window.transposed || form->residual_last ||
           (form->activation && form->activation->op != PF_OP_RELU);
}

/* Of an epilogue that adds no bias cuDNN 9.19 lists only engines that compile, for a residual or a rectifier as well:
   with a bias of zeros it is on the fast path. */
bool pf_conv_adds_zeros(const pf_conv_form *form)
{
    bool has_epilogue = form->residual != PF_NO_INPUT || form->activation;

    return has_epilogue && form->bias == PF_NO_INPUT && !pf_conv_window_of(form->conv).transposed &&
           !form->residual_last && (!form->activation || form->activation->op == PF_OP_RELU);
}

bool pf_conv_has_bias(const pf_conv_form *form) { return form->bias != PF_NO_INPUT || pf_conv_adds_zeros(form); }
