/* Convolution with bias and epilogue by oneDNN.  Every implementation that it offers is a tuning, Winograd's algorithm
   included. */
#include <string.h>

#include "engine/onednn_weighted.h"
#include "engine/spatial.h"

enum { LINEAR_CHANNELS_LIMIT = 4 };     /* plain sources are fast only for the few channels of an image */

/* The blocked layout that the device's implementations are written for. */
static pf_layout blocked_layout(const pf_device *device)
{
    return device->caps & PF_CAP_AVX512 ? PF_LAYOUT_C16 : PF_LAYOUT_C8;
}

static bool takes_linear(const pf_problem *p, const pf_node *conv)
{
    const pf_conv_attrs *attrs = conv->attrs;
    pf_dim               channels = pf_problem_shape(p, conv->in[0])->dim[1];

    return attrs->groups == 1 && pf_dim_is_number(channels) && channels <= LINEAR_CHANNELS_LIMIT;
}

/* Groups whose channels do not fill blocks have only plain loops there; one channel a group has kernels of its own. */
static bool groups_fill_blocks(const pf_problem *p, const pf_node *conv)
{
    const pf_shape *w = pf_problem_shape(p, conv->in[1]);
    int64_t         groups = ((const pf_conv_attrs *)conv->attrs)->groups;

    return groups == 1 || (w->dim[1] == 1 && w->dim[0] == groups) ||
           (w->dim[1] % 16 == 0 && w->dim[0] / groups % 16 == 0);
}

/* With gaps between images each is convolved alone; operands would have to go along. */
static const char *pitch_declines(const pf_problem *p, const pf_node *conv)
{
    if (!pf_onednn_by_image(p))
        return "channels lie between other channels";
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (!p->in_constant[i] && p->graph->inputs[i] != conv->in[0])
            return "an operand besides a value that lies in a wider one";
    return NULL;
}

static const char *layouts_decline(const pf_device *device, const pf_problem *p, const pf_node *conv)
{
    pf_layout in = pf_layout_kind(p->in_layout[pf_problem_input_index(p, conv->in[0])]),
              out = pf_layout_kind(p->out_layout[0]);

    if (out != PF_LAYOUT_CHANNELS_LAST && out != blocked_layout(device))
        return "the result is neither nhwc nor in the CPU's channel blocks";
    if (in != out && !(in == PF_LAYOUT_LINEAR && out == blocked_layout(device) && takes_linear(p, conv)))
        return "source and result have different layouts";
    if (in == blocked_layout(device) && takes_linear(p, conv))
        return "too few channels for blocks";
    if (out == blocked_layout(device) && !groups_fill_blocks(p, conv))
        return "channels of a group do not fill blocks";
    return NULL;
}

static const char *constants_decline(const pf_problem *p, const pf_node *conv)
{
    for (uint32_t i = 1; i < conv->in_count; i++) {
        uint32_t input = conv->in[i] == PF_NONE ? UINT32_MAX : pf_problem_input_index(p, conv->in[i]);

        if (conv->in[i] != PF_NONE && (input == UINT32_MAX || !p->in_constant[input]))
            return "weights or bias are not constants";
    }
    return NULL;
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node       *conv = pf_problem_anchor(p);
    const pf_conv_attrs *attrs = conv->attrs;
    const pf_value      *x = NULL;
    const char          *reason = NULL;
    pf_epilogue          chain;

    if (conv->op != PF_OP_CONV)
        return "not a convolution";
    x = pf_graph_value(p->graph, conv->in[0]);
    if (x->dtype != PF_F32)
        return "not f32";
    if (x->shape.rank < 3 || x->shape.rank > 5)
        return "not of 1 to 3 spatial dims";
    if (pf_problem_input_index(p, conv->in[0]) == UINT32_MAX || p->in_constant[pf_problem_input_index(p, conv->in[0])])
        return "the source is not an input";
    for (int32_t i = 0; i < attrs->pads.count; i++)
        if (attrs->pads.at[i] < 0)
            return "a negative pad";
    reason = constants_decline(p, conv);
    if (!reason)
        reason = layouts_decline(device, p, conv);
    if (!reason && pf_problem_has_pitch(p))
        reason = pitch_declines(p, conv);
    if (!reason)
        reason = pf_epilogue_read(p, conv->out[0], &chain);
    return reason ? reason : pf_onednn_epilogue_declines(p, &chain, 1);
}

/* All activations in one layout; broadcast operands stay linear, which rank under 3 or one place make the same. */
static void set_layouts(const pf_problem *p, pf_layout source, pf_layout result, pf_layout *in, pf_layout *out)
{
    const pf_node *conv = pf_problem_anchor(p);

    for (uint32_t i = 0; i < p->graph->input_count; i++) {
        const pf_shape *shape = pf_problem_shape(p, p->graph->inputs[i]);
        bool            full = pf_shape_equal(shape, pf_problem_shape(p, p->graph->outputs[0]));

        in[i] = p->in_constant[i]                    ? PF_LAYOUT_LINEAR
                : p->graph->inputs[i] == conv->in[0] ? source
                : full                               ? result
                                                     : PF_LAYOUT_LINEAR;
    }
    out[0] = result;
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    const pf_node  *conv = pf_problem_anchor(p);
    const pf_layout blocked = blocked_layout(device);

    if (conv->op != PF_OP_CONV || pf_problem_shape(p, conv->in[0])->rank < 3)
        return false;
    if (index == 0)
        set_layouts(p, PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_CHANNELS_LAST, in, out);
    else if (index == 1)
        set_layouts(p, takes_linear(p, conv) ? PF_LAYOUT_LINEAR : blocked, blocked, in, out);
    return index < 2;
}

/* ---- The operation */
static pf_status describe_weights(const pf_problem *p, const pf_node *conv, pf_onednn_weighted *w, int64_t *dim,
                                  int32_t *rank, pf_err *err)
{
    const pf_value *v = pf_graph_value(p->graph, conv->in[1]);
    int64_t         groups = ((const pf_conv_attrs *)conv->attrs)->groups;

    *rank = v->shape.rank;
    memcpy(dim, v->shape.dim, (size_t)*rank * sizeof *dim);
    if (groups > 1) {
        memmove(dim + 1, dim, (size_t)*rank * sizeof *dim);
        dim[0] = groups;
        dim[1] /= groups;
        ++*rank;
    }
    w->weights = conv->in[1];
    w->bias = conv->in_count > 2 ? conv->in[2] : PF_NONE;
    return pf_onednn_desc(PF_LAYOUT_LINEAR, v->dtype, *rank, dim, &w->weights_from, err);
}

static pf_status describe_tensors(const pf_problem *p, const pf_node *conv, pf_onednn_weighted *w, pf_err *err)
{
    pf_status st = PF_OK;

    w->source_slot = pf_problem_input_index(p, conv->in[0]);
    if (pf_onednn_by_image(p)) {
        w->images = pf_problem_shape(p, conv->in[0])->dim[0];
        st = pf_onednn_desc_image(p, conv->in[0], p->in_layout[w->source_slot], &w->source_desc, &w->source_image_bytes,
                                  err);
        if (!st)
            st = pf_onednn_desc_image(p, p->graph->outputs[0], p->out_layout[0], &w->result_desc,
                                      &w->result_image_bytes, err);
    } else {
        st = pf_onednn_desc_value(p, conv->in[0], p->in_layout[w->source_slot], &w->source_desc, err);
        if (!st)
            st = pf_onednn_desc_value(p, p->graph->outputs[0], p->out_layout[0], &w->result_desc, err);
    }
    if (!st && w->bias != PF_NONE)
        st = pf_onednn_desc_value(p, w->bias, PF_LAYOUT_LINEAR, &w->bias_desc, err);
    return st;
}

/* tuning->fixed: Winograd's algorithm. */
static pf_status describe(const pf_device *device, const pf_problem *p, const dnnl_memory_desc_t *weights_to,
                          const pf_onednn_tuning *tuning, pf_onednn_described *out, pf_err *err)
{
    const dnnl_alg_kind_t algorithm = tuning->fixed ? dnnl_convolution_winograd : dnnl_convolution_direct;
    const pf_node        *conv = pf_problem_anchor(p);
    const pf_conv_attrs  *attrs = conv->attrs;
    const pf_shape       *x = pf_problem_shape(p, conv->in[0]), *y = pf_problem_shape(p, p->graph->outputs[0]);
    int64_t               dim[PF_MAX_RANK + 1] = { 0 };
    int32_t               rank = 0;
    dnnl_memory_desc_t    weights;
    pf_spatial            s;
    pf_epilogue           chain;
    dnnl_status_t         status = dnnl_success;
    pf_status             st = PF_OK;

    *out = (pf_onednn_described){ .w = { .device = device, .epilogue = { .sum_input = -1 } } };
    st = describe_weights(p, conv, &out->w, dim, &rank, err);
    if (!st)
        st = describe_tensors(p, conv, &out->w, err);
    if (!st && !weights_to)
        st = pf_onednn_desc_any(PF_F32, rank, dim, &weights, err);
    if (!st && weights_to)
        weights = *weights_to;
    if (!st)
        (void)pf_epilogue_read(p, conv->out[0], &chain);
    if (!st)
        st = pf_onednn_epilogue_make(p, &chain, y, 1, &out->w.result_desc, tuning->sum, &out->w.packed_bytes,
                                     &out->w.epilogue, err);
    if (st)
        return st;
    pf_spatial_fill(&s, x->rank - 2, x->dim + 2, pf_problem_shape(p, conv->in[1])->dim + 2, &attrs->strides,
                    &attrs->dilations, &attrs->pads, attrs->auto_pad);
    for (int32_t i = 0; i < s.count; i++)
        s.dilation[i]--;                        /* oneDNN counts the gaps */
    status = dnnl_dilated_convolution_forward_desc_init(&out->desc.convolution, dnnl_forward_inference, algorithm,
                                                        &out->w.source_desc, &weights,
                                                        out->w.bias == PF_NONE ? NULL : &out->w.bias_desc,
                                                        &out->w.result_desc, s.stride, s.dilation, s.begin, s.end);
    return status ? pf_onednn_fail(status, "describe this convolution", err) : PF_OK;
}

/* ---- Tunings */
static pf_status list(const pf_device *device, const pf_problem *p, bool sum, bool winograd, int effort, bool *has_full,
                      pf_tuning_list *out, pf_err *err)
{
    const pf_onednn_tuning tuning = { .sum = sum, .fixed = winograd };
    pf_onednn_described    conv;
    pf_status              st = describe(device, p, NULL, &tuning, &conv, err);

    *has_full = conv.w.epilogue.has_full_operand;
    if (!st && !(sum && conv.w.epilogue.sum_input < 0))
        st = pf_onednn_list(device, &conv.desc, conv.w.epilogue.attr, winograd ? "fixed:" : "", sum ? " sum" : "",
                            /* gemm reads a full operand wrongly for batches */
                            *has_full && !sum ? "gemm" : NULL, effort, out, err);
    pf_onednn_epilogue_clear(&conv.w.epilogue);
    return st;
}

/* Winograd's packing depends on the number of tiles and so on the dims of the input: "fixed". */
static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    bool      has_full = false;
    pf_status st = list(device, p, false, false, effort, &has_full, out, err);

    if (!st && has_full && (effort > 0 || out->count == 0))
        st = list(device, p, true, false, effort, &has_full, out, err);
    if (!st && effort > 0)
        st = list(device, p, has_full, true, effort, &has_full, out, err);
    return st ? st : pf_onednn_check_listed(out, "convolution", err);
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    return pf_onednn_weighted_prepare(&pf_tactic_onednn_conv, describe, device, p, tuning, saved, saved_bytes, out,
                                      err);
}

const pf_tactic pf_tactic_onednn_conv = {
    .name = "onednn_conv", .rev = 2, .flags = PF_TACTIC_PITCHED, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .pack = pf_onednn_weighted_pack,
    .enqueue = pf_onednn_weighted_enqueue, .save = pf_onednn_weighted_save, .release = pf_onednn_weighted_release,
};
