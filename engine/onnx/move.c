#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* Ops that move elements. */

void pf_onnx_transpose(pf_onnx_node *node)
{
    int32_t            rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    pf_transpose_attrs attrs = { pf_onnx_ints(node, "perm") };

    if (!pf_onnx_has_attr(node, "perm"))
        for (int32_t i = rank - 1; i >= 0; i--)
            attrs.perm.at[attrs.perm.count++] = i;
    for (int32_t i = 0; i < attrs.perm.count; i++)
        attrs.perm.at[i] = pf_onnx_axis(node, attrs.perm.at[i], rank);
    node->out[0] = pf_onnx_emit1(node, PF_OP_TRANSPOSE, &attrs, pf_onnx_in(node, 0));
}

void pf_onnx_concat(pf_onnx_node *node)
{
    pf_axis_attrs attrs = { pf_onnx_axis(node, pf_onnx_int(node, "axis", 1), pf_onnx_rank(node, pf_onnx_in(node, 0))) };

    pf_onnx_emit_same(node, PF_OP_CONCAT, &attrs);
}

/* Slice's bounds say "to the end" by very large numbers. */
static pf_dim far(pf_dim bound)
{
    if (pf_dim_is_symbolic(bound))
        return bound;
    return bound > PF_SLICE_FAR ? PF_SLICE_FAR : bound < -PF_SLICE_FAR ? -PF_SLICE_FAR : bound;
}

static void slice_with(pf_onnx_node *node, pf_slice_attrs *attrs)
{
    int32_t rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    int32_t count = attrs->starts.count;

    for (int32_t i = 0; !attrs->axes.count && i < count; i++)
        attrs->axes.at[i] = i;
    attrs->axes.count = attrs->axes.count ? attrs->axes.count : count;
    for (int32_t i = 0; !attrs->steps.count && i < count; i++)
        attrs->steps.at[i] = 1;
    attrs->steps.count = attrs->steps.count ? attrs->steps.count : count;
    if (!node->status && (attrs->ends.count != count || attrs->axes.count != count || attrs->steps.count != count))
        pf_onnx_fail(node, PF_INVALID, "starts, ends, axes and steps list %d, %d, %d and %d numbers", count,
                     attrs->ends.count, attrs->axes.count, attrs->steps.count);
    for (int32_t i = 0; i < count; i++) {
        attrs->axes.at[i] = pf_onnx_axis(node, attrs->axes.at[i], rank);
        attrs->starts.at[i] = far(attrs->starts.at[i]);
        attrs->ends.at[i] = far(attrs->ends.at[i]);
    }
    node->out[0] = pf_onnx_emit1(node, PF_OP_SLICE, attrs, pf_onnx_in(node, 0));
}

void pf_onnx_slice_1(pf_onnx_node *node)
{
    pf_slice_attrs attrs = { pf_onnx_ints(node, "axes"),
                             pf_onnx_as_dims(pf_onnx_ints(node, "starts")),
                             pf_onnx_as_dims(pf_onnx_ints(node, "ends")),
                             { 0 } };

    slice_with(node, &attrs);
}

static pf_ints optional_ints(pf_onnx_node *node, uint32_t slot, const char *what)
{
    pf_ints out = { 0 };

    if (pf_onnx_in(node, slot) != PF_NONE && !pf_onnx_constant_ints(node, pf_onnx_in(node, slot), &out))
        pf_onnx_fail(node, PF_UNSUPPORTED, "its %s are not known when the model is built", what);
    return out;
}

/* How many bounds there are where no axes are listed.  A number of them that data decides can only be told by the run:
   it takes one, which is what a slice of an index is, and refuses another number. */
static int32_t count_bounds(pf_onnx_node *node, int32_t rank)
{
    pf_dim listed = pf_onnx_dim(node, pf_onnx_in(node, 1), 0);

    if (!pf_dim_is_number(listed))
        return 1;
    return listed <= rank ? (int32_t)listed : 0;
}

/* Bounds that data decides. */
static void slice_dynamic(pf_onnx_node *node, pf_ints axes, pf_ints steps)
{
    pf_slice_dynamic_attrs attrs = { axes, steps };
    int32_t                rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    int32_t                count = axes.count ? axes.count : count_bounds(node, rank);

    if (!node->status && !count)
        pf_onnx_fail(node, PF_INVALID,
                     "it has no bounds, or more than the %d dims of its input; export the model again", rank);
    for (int32_t i = 0; i < count; i++) {
        attrs.axes.at[i] = pf_onnx_axis(node, axes.count ? axes.at[i] : i, rank);
        attrs.steps.at[i] = steps.count ? steps.at[i] : 1;
    }
    attrs.axes.count = attrs.steps.count = count;
    node->out[0] =
        pf_onnx_emit3(node, PF_OP_SLICE_DYNAMIC, &attrs, pf_onnx_in(node, 0), pf_onnx_in(node, 1), pf_onnx_in(node, 2));
}

void pf_onnx_slice(pf_onnx_node *node)
{
    pf_slice_attrs attrs = { .axes = optional_ints(node, 3, "axes"), .steps = optional_ints(node, 4, "steps") };
    bool           starts = pf_onnx_known_dims(node, pf_onnx_in(node, 1), &attrs.starts);
    bool           ends = pf_onnx_known_dims(node, pf_onnx_in(node, 2), &attrs.ends);

    if (starts && ends)
        slice_with(node, &attrs);
    else
        slice_dynamic(node, attrs.axes, attrs.steps);
}

static const char *const pad_modes[] = { "constant", "reflect", "edge", "wrap", NULL };

/* Pads as an attribute, which opset 1 spelt "paddings". */
void pf_onnx_pad_1(pf_onnx_node *node)
{
    pf_pad_attrs attrs = {
        .mode = pf_onnx_choice(node, "mode", "constant", pad_modes),
        .pads = pf_onnx_as_dims(pf_onnx_ints(node, node->opset < 2 ? "paddings" : "pads")),
        .value = pf_onnx_float(node, "value", 0.0),
    };

    node->out[0] = pf_onnx_emit1(node, PF_OP_PAD, &attrs, pf_onnx_in(node, 0));
}

/* Pads listed for some axes only, spread over all. */
static void spread_pads(pf_onnx_node *node, pf_pad_attrs *attrs)
{
    int32_t     rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    pf_ints     axes = optional_ints(node, 3, "axes");
    pf_dim_list given = attrs->pads;

    if (pf_onnx_in(node, 3) == PF_NONE || node->status)
        return;
    if (given.count != 2 * axes.count) {
        pf_onnx_fail(node, PF_INVALID, "%d pads for %d axes", given.count, axes.count);
        return;
    }
    attrs->pads = (pf_dim_list){ 2 * rank };
    for (int32_t i = 0; i < axes.count; i++) {
        int32_t axis = pf_onnx_axis(node, axes.at[i], rank);

        attrs->pads.at[axis] = given.at[i];
        attrs->pads.at[axis + rank] = given.at[i + axes.count];
    }
}

/* What negative pads take away is gone before the rest is wrapped round; the other modes do not see the difference. */
static pf_value_id crop(pf_onnx_node *node, pf_value_id x, pf_pad_attrs *attrs)
{
    pf_slice_attrs kept = { .axes = { 0 } };
    int32_t        rank = pf_onnx_rank(node, x);

    for (int32_t i = 0; i < rank && attrs->pads.count == 2 * rank && !node->status; i++) {
        pf_dim *begin = &attrs->pads.at[i], *end = &attrs->pads.at[i + rank];
        bool    crops_begin = pf_dim_is_number(*begin) && *begin < 0, crops_end = pf_dim_is_number(*end) && *end < 0;

        if (!crops_begin && !crops_end)
            continue;
        kept.axes.at[kept.axes.count++] = i;
        kept.starts.at[kept.starts.count++] = crops_begin ? -*begin : 0;
        kept.ends.at[kept.ends.count++] =
            pf_dim_add(node->graph->dims, pf_onnx_dim(node, x, i), crops_end ? *end : 0);
        kept.steps.at[kept.steps.count++] = 1;
        *begin = crops_begin ? 0 : *begin;
        *end = crops_end ? 0 : *end;
    }
    return kept.axes.count ? pf_onnx_emit1(node, PF_OP_SLICE, &kept, x) : x;
}

void pf_onnx_pad(pf_onnx_node *node)
{
    pf_pad_attrs attrs = { .mode = pf_onnx_choice(node, "mode", "constant", pad_modes) };
    pf_value_id  x = pf_onnx_in(node, 0), value = pf_onnx_in(node, 2);

    pf_onnx_late_dims(node, pf_onnx_in(node, 1), &attrs.pads);
    spread_pads(node, &attrs);
    if (attrs.mode == PF_PAD_WRAP)
        x = crop(node, x, &attrs);
    if (value != PF_NONE && pf_onnx_dtype(node, value) != PF_STRING &&
        pf_onnx_constant_number(node, value, &attrs.value))
        value = PF_NONE;
    if (value == PF_NONE)
        node->out[0] = pf_onnx_emit1(node, PF_OP_PAD, &attrs, x);
    else
        node->out[0] = pf_onnx_emit2(node, PF_OP_PAD, &attrs, x, value);
}

static void with_axis(pf_onnx_node *node, pf_op_kind op)
{
    pf_axis_attrs attrs = { pf_onnx_axis(node, pf_onnx_int(node, "axis", 0), pf_onnx_rank(node, pf_onnx_in(node, 0))) };

    pf_onnx_emit_same(node, op, &attrs);
}

void pf_onnx_gather(pf_onnx_node *node)
{
    with_axis(node, PF_OP_GATHER);
}

void pf_onnx_gather_elements(pf_onnx_node *node)
{
    with_axis(node, PF_OP_GATHER_ELEMENTS);
}

void pf_onnx_gather_nd(pf_onnx_node *node)
{
    pf_gather_nd_attrs attrs = { pf_onnx_int(node, "batch_dims", 0) };

    pf_onnx_emit_same(node, PF_OP_GATHER_ND, &attrs);
}

static int32_t read_reduction(pf_onnx_node *node)
{
    static const char *const names[] = { "none", "add", "mul", "max", "min", NULL };

    return pf_onnx_choice(node, "reduction", "none", names);
}

void pf_onnx_scatter_elements(pf_onnx_node *node)
{
    pf_scatter_elements_attrs attrs = {
        pf_onnx_axis(node, pf_onnx_int(node, "axis", 0), pf_onnx_rank(node, pf_onnx_in(node, 0))), read_reduction(node)
    };

    pf_onnx_emit_same(node, PF_OP_SCATTER_ELEMENTS, &attrs);
}

void pf_onnx_scatter_nd(pf_onnx_node *node)
{
    pf_scatter_nd_attrs attrs = { read_reduction(node) };

    pf_onnx_emit_same(node, PF_OP_SCATTER_ND, &attrs);
}

void pf_onnx_tensor_scatter(pf_onnx_node *node)
{
    static const char *const modes[] = { "linear", "circular", NULL };
    int32_t                  rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    pf_tensor_scatter_attrs attrs = { pf_onnx_axis(node, pf_onnx_int(node, "axis", -2), rank),
                                      pf_onnx_choice(node, "mode", "linear", modes) };

    pf_onnx_emit_same(node, PF_OP_TENSOR_SCATTER, &attrs);
}

void pf_onnx_depth_to_space(pf_onnx_node *node)
{
    static const char *const orders[] = { "DCR", "CRD", NULL };
    pf_depth_to_space_attrs  attrs = { pf_onnx_int(node, "blocksize", 0), pf_onnx_choice(node, "mode", "DCR", orders) };

    pf_onnx_emit_same(node, PF_OP_DEPTH_TO_SPACE, &attrs);
}

/* Channels first in the result, blocks behind them: [n, c, h, b, w, b] to [n, c, b, b, h, w]. */
static pf_value_id space_to_depth_crd(pf_onnx_node *node, pf_value_id x, int64_t block)
{
    static const pf_transpose_attrs swap = { { 6, { 0, 1, 3, 5, 2, 4 } } };
    pf_dims                        *dims = node->graph->dims;
    pf_dim n = pf_onnx_dim(node, x, 0), c = pf_onnx_dim(node, x, 1), h = pf_onnx_dim(node, x, 2),
           w = pf_onnx_dim(node, x, 3);
    pf_dim_list                     split = { 6 }, flat = { 4 };

    if (!node->status && (block < 1 || block > 1 << 15))
        pf_onnx_fail(node, PF_INVALID, "blocks of %lld", (long long)block);
    if (node->status)
        return PF_NONE;
    h = pf_dim_floor_div(dims, h, block);
    w = pf_dim_floor_div(dims, w, block);
    split = (pf_dim_list){ 6, { n, c, h, block, w, block } };
    flat = (pf_dim_list){ 4, { n, pf_dim_mul(dims, c, block * block), h, w } };
    x = pf_onnx_emit1(node, PF_OP_TRANSPOSE, &swap, pf_onnx_reshape_to(node, x, &split));
    return pf_onnx_reshape_to(node, x, &flat);
}

void pf_onnx_space_to_depth(pf_onnx_node *node)
{
    static const char *const orders[] = { "DCR", "CRD", NULL };
    pf_space_to_depth_attrs  attrs = { pf_onnx_int(node, "blocksize", 0) };

    if (pf_onnx_choice(node, "mode", "DCR", orders))
        node->out[0] = space_to_depth_crd(node, pf_onnx_in(node, 0), attrs.block);
    else
        pf_onnx_emit_same(node, PF_OP_SPACE_TO_DEPTH, &attrs);
}

static pf_ints list_or(pf_onnx_node *node, const char *name, int32_t count, int64_t when_absent)
{
    pf_ints list = pf_onnx_ints(node, name);

    if (!list.count)
        for (int32_t i = 0; i < count && i < PF_ATTR_LIST; i++)
            list.at[list.count++] = when_absent;
    return list;
}

void pf_onnx_col2im(pf_onnx_node *node)
{
    pf_col2im_attrs attrs = { .block = optional_ints(node, 2, "block sizes") };

    pf_onnx_late_dims(node, pf_onnx_in(node, 1), &attrs.image);
    attrs.strides = list_or(node, "strides", attrs.block.count, 1);
    attrs.dilations = list_or(node, "dilations", attrs.block.count, 1);
    attrs.pads = list_or(node, "pads", 2 * attrs.block.count, 0);
    node->out[0] = pf_onnx_emit1(node, PF_OP_COL2IM, &attrs, pf_onnx_in(node, 0));
}

void pf_onnx_reverse_sequence(pf_onnx_node *node)
{
    pf_reverse_sequence_attrs attrs = { pf_onnx_int(node, "batch_axis", 1), pf_onnx_int(node, "time_axis", 0) };

    pf_onnx_emit_same(node, PF_OP_REVERSE_SEQUENCE, &attrs);
}

void pf_onnx_trilu(pf_onnx_node *node)
{
    pf_trilu_attrs attrs = { .upper = pf_onnx_int(node, "upper", 1) };

    if (pf_onnx_in(node, 1) != PF_NONE && !pf_onnx_constant_int(node, pf_onnx_in(node, 1), &attrs.k))
        pf_onnx_fail(node, PF_UNSUPPORTED, "its diagonal is not known when the model is built");
    node->out[0] = pf_onnx_emit1(node, PF_OP_TRILU, &attrs, pf_onnx_in(node, 0));
}

void pf_onnx_one_hot(pf_onnx_node *node)
{
    pf_one_hot_attrs attrs = { .axis = pf_onnx_axis(node, pf_onnx_int(node, "axis", -1),
                                                    pf_onnx_rank(node, pf_onnx_in(node, 0)) + 1) };
    int64_t          depth = 0;

    if (pf_dtype_is_float(pf_onnx_dtype(node, pf_onnx_in(node, 1))) &&
        pf_onnx_constant_int(node, pf_onnx_in(node, 1), &depth))
        attrs.depth = (pf_dim_list){ 1, { pf_onnx_number(depth) } };
    else if (pf_onnx_late_dims(node, pf_onnx_in(node, 1), &attrs.depth) && attrs.depth.count != 1)
        pf_onnx_fail(node, PF_INVALID, "its depth is %d numbers", attrs.depth.count);
    node->out[0] = pf_onnx_emit2(node, PF_OP_ONE_HOT, &attrs, pf_onnx_in(node, 0), pf_onnx_in(node, 2));
}

/* Crops or pads round the middle to the given sizes: pads with negative ones. */
void pf_onnx_center_crop_pad(pf_onnx_node *node)
{
    int32_t      rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    pf_ints      axes = pf_onnx_ints(node, "axes");
    pf_dim_list  sizes = { 0 };
    pf_pad_attrs attrs = { .pads = { 2 * rank } };

    pf_onnx_late_dims(node, pf_onnx_in(node, 1), &sizes);
    for (int32_t i = 0; !axes.count && i < rank; i++)
        axes.at[i] = i;
    axes.count = axes.count ? axes.count : rank;
    if (!node->status && sizes.count != axes.count)
        pf_onnx_fail(node, PF_INVALID, "%d sizes for %d axes", sizes.count, axes.count);
    for (int32_t i = 0; !node->status && i < axes.count; i++) {
        int32_t axis = pf_onnx_axis(node, axes.at[i], rank);
        pf_dim  have = pf_onnx_dim(node, pf_onnx_in(node, 0), axis), want = sizes.at[i];

        if (!pf_dim_is_number(have) || !pf_dim_is_number(want)) {
            pf_onnx_fail(node, PF_UNSUPPORTED, "sizes that are not numbers");
            return;
        }
        /* Cropping starts at floor((have - want) / 2), padding puts floor((want - have) / 2) in front. */
        attrs.pads.at[axis] = want < have ? -((have - want) / 2) : (want - have) / 2;
        attrs.pads.at[axis + rank] = want - have - attrs.pads.at[axis];
    }
    node->out[0] = pf_onnx_emit1(node, PF_OP_PAD, &attrs, pf_onnx_in(node, 0));
}
