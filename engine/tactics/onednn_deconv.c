/* Transposed convolution with bias by oneDNN. */
#include <string.h>

#include "engine/onednn_weighted.h"
#include "engine/spatial.h"

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node *node = pf_problem_anchor(p);
    const char    *reason = NULL;
    pf_epilogue    chain;

    if (node->op != PF_OP_CONV_TRANSPOSE)
        return "not a transposed convolution";
    if (pf_graph_value(p->graph, node->in[0])->dtype != PF_F32)
        return "not f32";
    if (pf_problem_shape(p, node->in[0])->rank > 5)
        return "not of 1 to 3 spatial dims";
    for (uint32_t i = 0; i < node->in_count; i++)
        if (node->in[i] != PF_NONE && (pf_problem_input_index(p, node->in[i]) == UINT32_MAX
                                       || p->in_constant[pf_problem_input_index(p, node->in[i])] != (i > 0)))
            return "weights or bias are not constants, or the source is one";
    if (p->in_layout[pf_problem_input_index(p, node->in[0])] != p->out_layout[0])
        return "source and result have different layouts";
    if (p->out_layout[0] == PF_LAYOUT_LINEAR ||
        p->out_layout[0] == (device->caps & PF_CAP_AVX512 ? PF_LAYOUT_C8 : PF_LAYOUT_C16))
        return "the result is neither nhwc nor in the CPU's channel blocks";
    reason = pf_epilogue_read(p, node->out[0], &chain);
    return reason ? reason : chain.count ? "an epilogue" : NULL;
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    const pf_node *node = pf_problem_anchor(p);

    if (node->op != PF_OP_CONV_TRANSPOSE || index > 1)
        return false;
    out[0] = index == 0 ? PF_LAYOUT_CHANNELS_LAST : device->caps & PF_CAP_AVX512 ? PF_LAYOUT_C16 : PF_LAYOUT_C8;
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        in[i] = p->graph->inputs[i] == node->in[0] ? out[0] : PF_LAYOUT_LINEAR;
    return true;
}

/* ONNX stores weights as [in, out / groups, kernel]; oneDNN's dims are [groups,] out, in, kernel. */
static pf_status describe_weights(const pf_problem *p, const pf_node *node, pf_onednn_weighted *w, dnnl_dims_t dims,
                                  int *rank, pf_err *err)
{
    const pf_shape *shape = pf_problem_shape(p, node->in[1]);
    int64_t         groups = ((const pf_conv_transpose_attrs *)node->attrs)->groups, places = 1;
    dnnl_dims_t     strides = { 0 };
    dnnl_status_t   status = dnnl_success;
    int             at = 0;

    for (int32_t d = 2; d < shape->rank; d++)
        places *= shape->dim[d];
    if (groups > 1) {
        dims[at] = groups;
        strides[at++] = shape->dim[0] / groups * shape->dim[1] * places;
    }
    dims[at] = shape->dim[1];
    strides[at++] = places;
    dims[at] = shape->dim[0] / groups;
    strides[at++] = shape->dim[1] * places;
    for (int32_t d = 2; d < shape->rank; d++) {
        places /= shape->dim[d] ? shape->dim[d] : 1;
        dims[at] = shape->dim[d];
        strides[at++] = places;
    }
    *rank = at;
    w->weights = node->in[1];
    w->bias = node->in_count > 2 ? node->in[2] : PF_NONE;
    status = dnnl_memory_desc_init_by_strides(&w->weights_from, at, dims, dnnl_f32, strides);
    return status ? pf_onednn_fail(status, "describe weights", err) : PF_OK;
}

static pf_status describe_tensors(const pf_problem *p, const pf_node *node, pf_onednn_weighted *w, pf_err *err)
{
    pf_status st = PF_OK;

    w->source_slot = pf_problem_input_index(p, node->in[0]);
    st = pf_onednn_desc_value(p, node->in[0], p->in_layout[w->source_slot], &w->source_desc, err);
    if (!st)
        st = pf_onednn_desc_value(p, node->out[0], p->out_layout[0], &w->result_desc, err);
    if (!st && w->bias != PF_NONE)
        st = pf_onednn_desc_value(p, w->bias, PF_LAYOUT_LINEAR, &w->bias_desc, err);
    return st;
}

/* The pads that give just this output; an odd one goes where auto_pad says. */
static void fill_spatial(const pf_problem *p, const pf_node *node, pf_spatial *s)
{
    const pf_conv_transpose_attrs *a = node->attrs;
    const pf_shape                *x = pf_problem_shape(p, node->in[0]), *y = pf_problem_shape(p, node->out[0]),
                                  *w = pf_problem_shape(p, node->in[1]);
    bool                           has_pads = a->output_shape.count == 0 && a->auto_pad == PF_AUTO_PAD_NONE;

    pf_spatial_fill(s, x->rank - 2, x->dim + 2, w->dim + 2, &a->strides, &a->dilations, &a->pads, PF_AUTO_PAD_NONE);
    for (int32_t i = 0; i < s->count; i++) {
        int64_t full = (x->dim[i + 2] - 1) * s->stride[i] + (s->kernel[i] - 1) * s->dilation[i] + 1;
        int64_t total = full + a->output_padding.at[i] - y->dim[i + 2];

        total = total < 0 ? 0 : total;
        if (!has_pads)
            s->begin[i] = a->auto_pad == PF_AUTO_PAD_SAME_UPPER ? total / 2 : total - total / 2;
        s->end[i] = full - s->begin[i] - y->dim[i + 2];
        s->dilation[i]--;
    }
}

static pf_status describe(const pf_device *device, const pf_problem *p, const dnnl_memory_desc_t *weights_to,
                          const pf_onednn_tuning *tuning, pf_onednn_described *out, pf_err *err)
{
    const pf_node        *node = pf_problem_anchor(p);
    dnnl_dims_t           dims = { 0 };
    int                   rank = 0;
    dnnl_memory_desc_t    weights;
    static const pf_epilogue none = { .count = 0 };
    pf_spatial            s;
    dnnl_status_t         status = dnnl_success;
    pf_status             st = PF_OK;

    (void)tuning;
    *out = (pf_onednn_described){ .w = { .device = device, .epilogue = { .sum_input = -1 } } };
    st = describe_weights(p, node, &out->w, dims, &rank, err);
    if (!st)
        st = describe_tensors(p, node, &out->w, err);
    if (!st && weights_to)
        weights = *weights_to;
    if (!st && !weights_to)
        st = pf_onednn_desc_any(PF_F32, rank, dims, &weights, err);
    if (!st)
        st = pf_onednn_epilogue_make(p, &none, pf_problem_shape(p, node->out[0]), 1, &out->w.result_desc, false,
                                     &out->w.packed_bytes, &out->w.epilogue, err);
    if (st)
        return st;
    fill_spatial(p, node, &s);
    status = dnnl_dilated_deconvolution_forward_desc_init(&out->desc.convolution, dnnl_forward_inference,
                                                          dnnl_deconvolution_direct, &out->w.source_desc, &weights,
                                                          out->w.bias == PF_NONE ? NULL : &out->w.bias_desc,
                                                          &out->w.result_desc, s.stride, s.dilation, s.begin, s.end);
    return status ? pf_onednn_fail(status, "describe this transposed convolution", err) : PF_OK;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    pf_onednn_described op;
    pf_status           st = describe(device, p, NULL, NULL, &op, err);

    if (!st)
        st = pf_onednn_list(device, &op.desc, op.w.epilogue.attr, "", "", NULL, effort, out, err);
    pf_onednn_epilogue_clear(&op.w.epilogue);
    return st ? st : pf_onednn_check_listed(out, "transposed convolution", err);
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    return pf_onednn_weighted_prepare(&pf_tactic_onednn_deconv, describe, device, p, tuning, saved, saved_bytes, out,
                                      err);
}

const pf_tactic pf_tactic_onednn_deconv = {
    .name = "onednn_deconv", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .pack = pf_onednn_weighted_pack,
    .enqueue = pf_onednn_weighted_enqueue, .save = pf_onednn_weighted_save, .release = pf_onednn_weighted_release,
};
