/* Softmax along any one axis by oneDNN. */
#include <string.h>

#include "engine/onednn_single.h"
#include "engine/ops/attrs.h"

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node  *node = pf_problem_anchor(p);
    const pf_shape *shape = NULL;

    (void)device;
    if ((node->op != PF_OP_SOFTMAX && node->op != PF_OP_LOG_SOFTMAX) || p->graph->node_count != 1)
        return "not a softmax alone";
    shape = pf_problem_shape(p, node->in[0]);
    if (pf_graph_value(p->graph, node->in[0])->dtype != PF_F32)
        return "not f32";
    if (p->in_layout[0] != p->out_layout[0])
        return "source and result have different layouts";
    if (p->in_layout[0] == PF_LAYOUT_C8 || p->in_layout[0] == PF_LAYOUT_C16)
        return "channels in blocks";
    if (((const pf_axis_attrs *)node->attrs)->axis != (p->in_layout[0] == PF_LAYOUT_LINEAR ? shape->rank - 1 : 1))
        return "the axis is not innermost in memory";
    if (p->in_layout[0] != PF_LAYOUT_LINEAR && shape->rank > 5)
        return "more than 3 spatial dims";
    return NULL;
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    (void)device;
    if (p->graph->node_count != 1 || p->graph->input_count != 1 || index > 1 ||
        (index == 1 && pf_problem_shape(p, p->graph->inputs[0])->rank < 3))
        return false;
    in[0] = out[0] = index == 0 ? PF_LAYOUT_LINEAR : PF_LAYOUT_CHANNELS_LAST;
    return true;
}

typedef struct softmax_op { dnnl_softmax_v2_desc_t desc; dnnl_memory_desc_t tensor; } softmax_op;

static pf_status describe(const pf_problem *p, softmax_op *out, pf_err *err)
{
    const pf_node *node = pf_problem_anchor(p);
    int            axis = (int)((const pf_axis_attrs *)node->attrs)->axis;
    dnnl_status_t  status = dnnl_success;
    pf_status      st = pf_onednn_desc_value(p, node->in[0], p->in_layout[0], &out->tensor, err);

    if (st)
        return st;
    status = dnnl_softmax_v2_forward_desc_init(&out->desc, dnnl_forward_inference,
                                               node->op == PF_OP_SOFTMAX ? dnnl_softmax_accurate : dnnl_softmax_log,
                                               &out->tensor, &out->tensor, axis);
    return status ? pf_onednn_fail(status, "describe this softmax", err) : PF_OK;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    softmax_op softmax;
    pf_status  st = describe(p, &softmax, err);

    return st ? st : pf_onednn_single_tunings(device, &softmax.desc, effort, out, err);
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_onednn_args args = { .count = 0 };
    softmax_op     softmax;
    pf_status      st = describe(p, &softmax, err);

    (void)saved, (void)saved_bytes;
    *out = NULL;
    if (st)
        return st;
    pf_onednn_args_add(&args, DNNL_ARG_SRC, PF_ONEDNN_IN, 0, 0, &softmax.tensor);
    pf_onednn_args_add(&args, DNNL_ARG_DST, PF_ONEDNN_OUT, 0, 0, &softmax.tensor);
    return pf_onednn_single_prepare(&pf_tactic_onednn_softmax, device, &softmax.desc, tuning, &args, out, err);
}

const pf_tactic pf_tactic_onednn_softmax = {
    .name = "onednn_softmax", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare,
    .enqueue = pf_onednn_single_enqueue, .release = pf_onednn_single_release,
};
