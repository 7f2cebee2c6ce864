/* Local response normalization across channels by oneDNN. */
#include <string.h>

#include "engine/onednn_single.h"
#include "engine/ops/attrs.h"

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node *node = pf_problem_anchor(p);

    (void)device;
    if (node->op != PF_OP_LRN || p->graph->node_count != 1)
        return "not a local response normalization alone";
    if (pf_graph_value(p->graph, node->in[0])->dtype != PF_F32)
        return "not f32";
    if (pf_problem_shape(p, node->in[0])->rank != 4)
        return "not of 2 spatial dims";
    if (((const pf_lrn_attrs *)node->attrs)->size % 2 == 0)
        return "an even number of channels, of which oneDNN takes another half";
    if (p->in_layout[0] != p->out_layout[0])
        return "source and result have different layouts";
    if (p->in_layout[0] == PF_LAYOUT_C8 && (device->caps & PF_CAP_AVX512))
        return "blocks of 8 have only plain loops here";
    return NULL;
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    static const pf_layout wanted[] = { PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_C16, PF_LAYOUT_LINEAR };

    if (pf_problem_anchor(p)->op != PF_OP_LRN || index >= 3 || pf_problem_shape(p, p->graph->inputs[0])->rank != 4)
        return false;
    in[0] = out[0] = wanted[index] == PF_LAYOUT_C16 && !(device->caps & PF_CAP_AVX512) ? PF_LAYOUT_C8 : wanted[index];
    return true;
}

typedef struct lrn_op { dnnl_lrn_desc_t desc; dnnl_memory_desc_t tensor; } lrn_op;

static pf_status describe(const pf_problem *p, lrn_op *out, pf_err *err)
{
    const pf_node      *node = pf_problem_anchor(p);
    const pf_lrn_attrs *attrs = node->attrs;
    dnnl_status_t       status = dnnl_success;
    pf_status           st = pf_onednn_desc_value(p, node->in[0], p->in_layout[0], &out->tensor, err);

    if (st)
        return st;
    status = dnnl_lrn_forward_desc_init(&out->desc, dnnl_forward_inference, dnnl_lrn_across_channels, &out->tensor,
                                        attrs->size, (float)attrs->alpha, (float)attrs->beta, (float)attrs->bias);
    return status ? pf_onednn_fail(status, "describe this normalization", err) : PF_OK;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    lrn_op    lrn;
    pf_status st = describe(p, &lrn, err);

    return st ? st : pf_onednn_single_tunings(device, &lrn.desc, effort, out, err);
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_onednn_args args = { .count = 0 };
    lrn_op         lrn;
    pf_status      st = describe(p, &lrn, err);

    (void)saved, (void)saved_bytes;
    *out = NULL;
    if (st)
        return st;
    pf_onednn_args_add(&args, DNNL_ARG_SRC, PF_ONEDNN_IN, 0, 0, &lrn.tensor);
    pf_onednn_args_add(&args, DNNL_ARG_DST, PF_ONEDNN_OUT, 0, 0, &lrn.tensor);
    return pf_onednn_single_prepare(&pf_tactic_onednn_lrn, device, &lrn.desc, tuning, &args, out, err);
}

const pf_tactic pf_tactic_onednn_lrn = {
    .name = "onednn_lrn", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare,
    .enqueue = pf_onednn_single_enqueue, .release = pf_onednn_single_release,
};
