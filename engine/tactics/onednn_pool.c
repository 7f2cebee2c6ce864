/* Max and average pooling, and the mean or maximum over all places, by oneDNN. */
#include <string.h>

#include "engine/onednn_single.h"
#include "engine/spatial.h"

enum { MEAN_PLACES_MAX = 64 };

/* Does reduce go over all spatial dims and nothing else, as a mean or a maximum? */
static bool is_global(const pf_node *node, int32_t rank)
{
    const pf_reduce_attrs *attrs = node->attrs;
    uint32_t               seen = 0;

    if (node->op != PF_OP_REDUCE || (attrs->mode != PF_REDUCE_MEAN && attrs->mode != PF_REDUCE_MAX) ||
        attrs->axes.count != rank - 2)
        return false;
    for (int32_t i = 0; i < attrs->axes.count; i++)
        seen |= attrs->axes.at[i] >= 0 && attrs->axes.at[i] < 32 ? 1u << attrs->axes.at[i] : 0;
    return seen == ((1u << rank) - 1u - 3u);
}

/* An extra place at the end, from rounding up, would count in the divisor. */
static bool counts_too_much(const pf_node *node)
{
    const pf_pool_attrs *attrs = node->attrs;

    return node->op == PF_OP_AVERAGE_POOL && attrs->ceil_mode && attrs->count_include_pad;
}

/* The library adds up one place after the other: the error of a mean over many grows with their number. */
static bool is_long_mean(const pf_node *node, const pf_shape *x)
{
    int64_t places = 1;

    if (node->op != PF_OP_REDUCE || ((const pf_reduce_attrs *)node->attrs)->mode != PF_REDUCE_MEAN)
        return false;
    for (int32_t d = 2; d < x->rank; d++) {
        if (!pf_dim_is_number(x->dim[d]) || x->dim[d] > MEAN_PLACES_MAX)
            return true;
        places *= x->dim[d];
    }
    return places > MEAN_PLACES_MAX;
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node  *node = pf_problem_anchor(p);
    const pf_value *x = NULL, *y = NULL;
    bool            windowed = node->op == PF_OP_MAX_POOL || node->op == PF_OP_AVERAGE_POOL;

    if ((!windowed && node->op != PF_OP_REDUCE) || node->in_count != 1 || p->graph->output_count != 1 ||
        p->graph->input_count != 1 || node->in[0] != p->graph->inputs[0] || node->out[0] != p->graph->outputs[0])
        return "not a pool alone";
    x = pf_graph_value(p->graph, node->in[0]);
    y = pf_graph_value(p->graph, node->out[0]);
    if (x->dtype != PF_F32)
        return "not f32";
    if (x->shape.rank < 3 || x->shape.rank > 5)
        return "not of 1 to 3 spatial dims";
    if (!windowed && !is_global(node, x->shape.rank))
        return "not a mean or maximum over all places";
    if (is_long_mean(node, &x->shape))
        return "a mean over many places would lose digits";
    if (windowed && counts_too_much(node))
        return "padding that only rounding up adds would count";
    if (pf_problem_has_pitch(p) &&
        (!windowed || !pf_onednn_by_image(p) || pf_layout_kind(p->in_layout[0]) != pf_layout_kind(p->out_layout[0])))
        return "channels lie between other channels";
    if (pf_layout_kind(p->in_layout[0]) == PF_LAYOUT_C8 && (device->caps & PF_CAP_AVX512))
        return "blocks of 8 have only plain loops here";
    if (!pf_problem_has_pitch(p) && p->out_layout[0] != p->in_layout[0] &&
        !(y->shape.rank < 3 && pf_dim_is_number(x->shape.dim[1]) && x->shape.dim[1] % 16 == 0) &&
        !(y->shape.rank < 3 && p->in_layout[0] == PF_LAYOUT_CHANNELS_LAST) &&
        !pf_layout_same_bytes(p->out_layout[0], p->in_layout[0], &y->shape))
        return "source and result have different layouts";
    return NULL;
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    static const pf_layout wanted[] = { PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_C16, PF_LAYOUT_LINEAR };
    pf_layout              layout = index < 3 ? wanted[index] : PF_LAYOUT_LINEAR;
    const pf_node         *node = pf_problem_anchor(p);

    if (index >= 3 || p->graph->input_count != 1 || p->graph->output_count != 1)
        return false;
    if (layout == PF_LAYOUT_C16 && !(device->caps & PF_CAP_AVX512))
        layout = PF_LAYOUT_C8;
    in[0] = pf_layout_fits(layout, pf_problem_shape(p, p->graph->inputs[0])->rank) ? layout : PF_LAYOUT_LINEAR;
    out[0] = node->op == PF_OP_REDUCE &&
                     !pf_layout_fits(layout, pf_problem_shape(p, p->graph->outputs[0])->rank)
                 ? PF_LAYOUT_LINEAR
                 : in[0];
    return true;
}

typedef struct pool_op {
    dnnl_pooling_v2_desc_t desc;
    dnnl_memory_desc_t     source, result;
    int64_t                images;          /* 0: source and result are of all images; else of one of so many */
    size_t                 source_image_bytes, result_image_bytes;
} pool_op;

static void windows(const pf_problem *p, const pf_node *node, pf_spatial *s)
{
    static const pf_ints none = { 0 };
    const pf_shape      *x = pf_problem_shape(p, node->in[0]);
    const pf_pool_attrs *attrs = node->attrs;

    if (node->op == PF_OP_REDUCE)
        pf_spatial_fill(s, x->rank - 2, x->dim + 2, x->dim + 2, &none, &none, &none, PF_AUTO_PAD_NONE);
    else
        pf_spatial_fill(s, x->rank - 2, x->dim + 2, attrs->kernel.at, &attrs->strides, &attrs->dilations, &attrs->pads,
                        attrs->auto_pad);
}

static dnnl_alg_kind_t algorithm(const pf_node *node)
{
    if (node->op == PF_OP_REDUCE)
        return ((const pf_reduce_attrs *)node->attrs)->mode == PF_REDUCE_MAX ? dnnl_pooling_max
                                                                             : dnnl_pooling_avg_exclude_padding;
    if (node->op == PF_OP_MAX_POOL)
        return dnnl_pooling_max;
    return ((const pf_pool_attrs *)node->attrs)->count_include_pad ? dnnl_pooling_avg_include_padding
                                                                   : dnnl_pooling_avg_exclude_padding;
}

/* A reduce without keepdims has none of the spatial dims. */
static pf_status describe_tensors(const pf_problem *p, const int64_t *dim, pool_op *out, pf_err *err)
{
    pf_value_id x = p->graph->inputs[0], y = p->graph->outputs[0];
    pf_status   st = PF_OK;

    out->images = pf_onednn_by_image(p) ? dim[0] : 0;
    out->source_image_bytes = out->result_image_bytes = 0;
    if (out->images) {
        st = pf_onednn_desc_image(p, x, p->in_layout[0], &out->source, &out->source_image_bytes, err);
        return st ? st : pf_onednn_desc_image(p, y, p->out_layout[0], &out->result, &out->result_image_bytes, err);
    }
    st = pf_onednn_desc_value(p, x, p->in_layout[0], &out->source, err);
    return st ? st
              : pf_onednn_desc(p->in_layout[0], PF_F32, pf_problem_shape(p, x)->rank, dim, &out->result, err);
}

static pf_status describe(const pf_problem *p, pool_op *out, pf_err *err)
{
    const pf_node  *node = pf_problem_anchor(p);
    const pf_shape *x = pf_problem_shape(p, node->in[0]), *y = pf_problem_shape(p, node->out[0]);
    int64_t         dim[PF_MAX_RANK] = { 0 };
    pf_spatial      s;
    dnnl_status_t   status = dnnl_success;
    pf_status       st = PF_OK;

    for (int32_t i = 0; i < x->rank; i++)
        dim[i] = i < y->rank ? y->dim[i] : 1;
    st = describe_tensors(p, dim, out, err);
    if (st)
        return st;
    windows(p, node, &s);
    for (int32_t i = 0; i < s.count; i++) {         /* the end pad that gives just these places, rounding up or down */
        s.end[i] = (dim[i + 2] - 1) * s.stride[i] + (s.kernel[i] - 1) * s.dilation[i] + 1 - x->dim[i + 2] - s.begin[i];
        s.dilation[i]--;
    }
    status = dnnl_pooling_v2_forward_desc_init(&out->desc, dnnl_forward_inference, algorithm(node), &out->source,
                                               &out->result, s.stride, s.kernel, s.dilation, s.begin, s.end);
    return status ? pf_onednn_fail(status, "describe this pool", err) : PF_OK;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    pool_op   pool;
    pf_status st = describe(p, &pool, err);

    return st ? st : pf_onednn_single_tunings(device, &pool.desc, effort, out, err);
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_onednn_args args = { .count = 0 };
    pool_op        pool;
    pf_status      st = describe(p, &pool, err);

    (void)saved, (void)saved_bytes;
    *out = NULL;
    if (st)
        return st;
    pf_onednn_args_add(&args, DNNL_ARG_SRC, PF_ONEDNN_IN, 0, 0, &pool.source);
    pf_onednn_args_add(&args, DNNL_ARG_DST, PF_ONEDNN_OUT, 0, 0, &pool.result);
    args.images = pool.images;
    args.at[0].image_bytes = pool.source_image_bytes;
    args.at[1].image_bytes = pool.result_image_bytes;
    return pf_onednn_single_prepare(&pf_tactic_onednn_pool, device, &pool.desc, tuning, &args, out, err);
}

const pf_tactic pf_tactic_onednn_pool = {
    .name = "onednn_pool", .rev = 3, .flags = PF_TACTIC_PITCHED, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare,
    .enqueue = pf_onednn_single_enqueue, .release = pf_onednn_single_release,
};
