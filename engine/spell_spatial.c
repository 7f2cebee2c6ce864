/* Windows over one or three spatial dims as windows over two, groups of transposed convolutions one by one, norms of
   images of any rank, and what moves between channels and pixels. */
#include <string.h>

#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/spell.h"

enum { GROUPS_MAX = 64 };

/* [N,C,L] as [N,C,1,L] */
static pf_value_id widened(pf_speller *s, pf_value_id x)
{
    const pf_shape shape = *pf_spell_shape(s, x);
    pf_dim         dim[4] = { shape.dim[0], shape.dim[1], 1, shape.dim[2] };

    return pf_spell_reshape(s, x, 4, dim);
}

static pf_value_id narrowed(pf_speller *s, pf_value_id x)
{
    const pf_shape shape = *pf_spell_shape(s, x);
    pf_dim         dim[3] = { shape.dim[0], shape.dim[1], shape.dim[3] };

    return pf_spell_reshape(s, x, 3, dim);
}

/* Entries of a window over one dim as of two, the first of which is `other`; pads have two of each. */
static void widen_ints(pf_ints *list, int64_t other, bool pads)
{
    if (list->count == 0)
        return;
    *list = pads ? (pf_ints){ 4, { 0, list->at[0], 0, list->at[1] } } : (pf_ints){ 2, { other, list->at[0] } };
}

/* Bias is the third input where it is there. */
static pf_value_id with_operands(pf_speller *s, const pf_node *node, pf_value_id x, pf_value_id w, const void *attrs)
{
    pf_value_id in[3] = { x, w, pf_spell_has(node, 2) ? node->in[2] : PF_NONE };

    return pf_spell_node(s, node->op, in, pf_spell_has(node, 2) ? 3 : 2, attrs);
}

/* ---- Convolution over three dims: of each image of a stack with each plane of the kernel, summed */

/* x [N,C,D,H,W] as [N,D',C,H,W], padded along D. */
static pf_value_id as_stack(pf_speller *s, pf_value_id x, int64_t before, int64_t behind)
{
    pf_pad_attrs pad = { .mode = PF_PAD_CONSTANT, .pads = { 10, { 0, before, 0, 0, 0, 0, behind, 0, 0, 0 } } };

    x = pf_spell_transpose(s, x, (int64_t[]){ 0, 2, 1, 3, 4 });
    return before || behind ? pf_spell_node(s, PF_OP_PAD, &x, 1, &pad) : x;
}

/* Every `step`th image from `first` on, `count` of them, as [N*count,C,H,W]. */
static pf_value_id images(pf_speller *s, pf_value_id stack, int64_t first, int64_t step, int64_t count)
{
    const pf_shape shape = *pf_spell_shape(s, stack);
    pf_slice_attrs slice = { .axes = { 1, { 1 } }, .starts = { 1, { first } },
                             .ends = { 1, { first + (count - 1) * step + 1 } }, .steps = { 1, { step } } };
    pf_dim         dim[4] = { pf_dim_mul(s->graph->dims, shape.dim[0], count), shape.dim[2], shape.dim[3],
                              shape.dim[4] };

    return pf_spell_reshape(s, pf_spell_node(s, PF_OP_SLICE, &stack, 1, &slice), 4, dim);
}

static pf_value_id plane(pf_speller *s, pf_value_id w, int64_t k)
{
    const pf_shape shape = *pf_spell_shape(s, w);
    pf_dim         dim[4] = { shape.dim[0], shape.dim[1], shape.dim[3], shape.dim[4] };

    return pf_spell_reshape(s, pf_spell_slice(s, w, 2, k, k + 1), 4, dim);
}

static void spell_conv_3d(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_conv_attrs *attrs = node->attrs;
    const pf_shape       x = *pf_spell_shape(s, node->in[0]), y = s->graph->values[node->out[0]].shape;
    int64_t              planes = pf_spell_shape(s, node->in[1])->dim[2];
    pf_conv_attrs        flat = {
        .strides = { 2, { attrs->strides.at[1], attrs->strides.at[2] } },
        .dilations = { 2, { attrs->dilations.at[1], attrs->dilations.at[2] } },
        .pads = { 4, { attrs->pads.at[1], attrs->pads.at[2], attrs->pads.at[4], attrs->pads.at[5] } },
        .groups = attrs->groups
    };
    pf_value_id          stack = PF_NONE, sum = PF_NONE;

    if (!pf_dim_is_number(x.dim[2]) || !pf_dim_is_number(y.dim[2]))
        return;
    stack = as_stack(s, node->in[0], attrs->pads.at[0], attrs->pads.at[3]);
    for (int64_t k = 0; k < planes; k++) {
        pf_value_id in[3] = { images(s, stack, k * attrs->dilations.at[0], attrs->strides.at[0], y.dim[2]),
                              plane(s, node->in[1], k), k == 0 && pf_spell_has(node, 2) ? node->in[2] : PF_NONE };
        pf_value_id part = pf_spell_node(s, PF_OP_CONV, in, in[2] == PF_NONE ? 2 : 3, &flat);

        sum = k ? pf_spell_binary(s, PF_OP_ADD, part, sum) : part;
    }
    sum = pf_spell_reshape(s, sum, 5, (pf_dim[]){ x.dim[0], y.dim[2], y.dim[1], y.dim[3], y.dim[4] });
    out[0] = pf_spell_transpose(s, sum, (int64_t[]){ 0, 2, 1, 3, 4 });
}

void pf_spell_conv(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    pf_conv_attrs attrs = *(const pf_conv_attrs *)node->attrs;
    pf_value_id   x = node->in[0];

    if (attrs.auto_pad)
        return;
    if (pf_spell_shape(s, x)->rank == 5)
        spell_conv_3d(s, node, out);
    if (pf_spell_shape(s, x)->rank != 3)
        return;
    widen_ints(&attrs.strides, 1, false);
    widen_ints(&attrs.dilations, 1, false);
    widen_ints(&attrs.pads, 0, true);
    x = widened(s, x);
    out[0] = narrowed(s, with_operands(s, node, x, widened(s, node->in[1]), &attrs));
}

static void spell_transpose_1d(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    pf_conv_transpose_attrs attrs = *(const pf_conv_transpose_attrs *)node->attrs;
    pf_value_id             x = PF_NONE;

    widen_ints(&attrs.strides, 1, false);
    widen_ints(&attrs.dilations, 1, false);
    widen_ints(&attrs.output_padding, 0, false);
    widen_ints(&attrs.pads, 0, true);
    x = widened(s, node->in[0]);
    out[0] = narrowed(s, with_operands(s, node, x, widened(s, node->in[1]), &attrs));
}

static pf_value_id part(pf_speller *s, pf_value_id x, int64_t axis, int64_t i, int64_t size)
{
    return pf_spell_slice(s, x, axis, i * size, (i + 1) * size);
}

/* Group by group: channels of x and w in parts, results side by side. */
static void spell_transpose_groups(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    pf_conv_transpose_attrs attrs = *(const pf_conv_transpose_attrs *)node->attrs;
    int64_t                 groups = attrs.groups, channels = pf_spell_shape(s, node->in[1])->dim[0] / groups;
    int64_t                 made = pf_spell_shape(s, node->in[1])->dim[1];
    pf_axis_attrs           beside = { .axis = 1 };
    pf_value_id             parts[GROUPS_MAX];

    attrs.groups = 1;
    for (int64_t i = 0; i < groups; i++) {
        pf_value_id x = part(s, node->in[0], 1, i, channels), w = part(s, node->in[1], 0, i, channels);
        pf_value_id in[3] = { x, w, pf_spell_has(node, 2) ? part(s, node->in[2], 0, i, made) : PF_NONE };

        parts[i] = pf_spell_node(s, node->op, in, pf_spell_has(node, 2) ? 3 : 2, &attrs);
    }
    out[0] = pf_spell_node(s, PF_OP_CONCAT, parts, (uint32_t)groups, &beside);
}

/* Windows of a volume that lie side by side: each element is spread over one of its own. */
static bool are_side_by_side(const pf_speller *s, const pf_node *node)
{
    const pf_conv_transpose_attrs *attrs = node->attrs;
    const pf_shape                *w = pf_spell_shape(s, node->in[1]);

    for (int32_t d = 0; d < 3; d++)
        if (attrs->strides.count != 3 || w->dim[d + 2] != attrs->strides.at[d])
            return false;
    return attrs->groups <= 1 && pf_ints_are_all(&attrs->pads, 0) && pf_ints_are_all(&attrs->output_padding, 0) &&
           pf_ints_are_all(&attrs->dilations, 1) && pf_dim_is_number(w->dim[1]);
}

/* As a product of channels with channels times windows, whose dims then go to where they belong. */
static void spell_transpose_3d(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_shape x = *pf_spell_shape(s, node->in[0]), w = *pf_spell_shape(s, node->in[1]);
    const pf_shape y = s->graph->values[node->out[0]].shape;
    int64_t        columns = w.dim[1] * w.dim[2] * w.dim[3] * w.dim[4];
    pf_dim         spread[8] = { x.dim[0], x.dim[2], x.dim[3], x.dim[4], w.dim[1], w.dim[2], w.dim[3], w.dim[4] };
    pf_value_id    product = PF_NONE;

    product = pf_spell_binary(s, PF_OP_MATMUL, pf_spell_transpose(s, node->in[0], (int64_t[]){ 0, 2, 3, 4, 1 }),
                              pf_spell_reshape(s, node->in[1], 2, (pf_dim[]){ w.dim[0], columns }));
    product = pf_spell_transpose(s, pf_spell_reshape(s, product, 8, spread), (int64_t[]){ 0, 4, 1, 5, 2, 6, 3, 7 });
    out[0] = pf_spell_reshape(s, product, 5, y.dim);
}

/* The bias of a volume on its own, so that what is left may be taken whole. */
static void spell_transpose_bias(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    pf_dim bias[5] = { 1, s->graph->values[node->out[0]].shape.dim[1], 1, 1, 1 };

    out[0] = pf_spell_binary(s, PF_OP_ADD, pf_spell_node(s, node->op, node->in, 2, node->attrs),
                             pf_spell_reshape(s, node->in[2], 5, bias));
}

void pf_spell_conv_transpose(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_conv_transpose_attrs *attrs = node->attrs;
    bool                           volume = pf_spell_shape(s, node->in[0])->rank == 5;

    if (attrs->auto_pad || attrs->output_shape.count)
        return;
    if (volume && pf_spell_has(node, 2))
        spell_transpose_bias(s, node, out);
    else if (volume && are_side_by_side(s, node))
        spell_transpose_3d(s, node, out);
    if (pf_spell_shape(s, node->in[0])->rank == 3)
        spell_transpose_1d(s, node, out);
    else if (attrs->groups > 1 && attrs->groups <= GROUPS_MAX && pf_spell_shape(s, node->in[0])->rank == 4)
        spell_transpose_groups(s, node, out);
}

/* ---- Pools */

/* The part of a window over three dims that concerns those from `first` on, `count` of them, behind `front` dims of
   one. */
static pf_ints part_of(const pf_ints *list, int32_t first, int32_t count, int32_t front, int64_t filler, bool pads)
{
    pf_ints part = { 0 };

    if (list->count == 0)
        return part;
    for (int half = 0; half < (pads ? 2 : 1); half++) {
        for (int32_t i = 0; i < front; i++)
            part.at[part.count++] = filler;
        for (int32_t i = 0; i < count; i++)
            part.at[part.count++] = list->at[half * 3 + first + i];
    }
    return part;
}

static pf_pool_attrs pool_part(const pf_pool_attrs *attrs, int32_t first, int32_t count)
{
    pf_pool_attrs part = *attrs;
    int32_t       front = 2 - count;

    part.kernel = part_of(&attrs->kernel, first, count, front, 1, false);
    part.strides = part_of(&attrs->strides, first, count, front, 1, false);
    part.dilations = part_of(&attrs->dilations, first, count, front, 1, false);
    part.pads = part_of(&attrs->pads, first, count, front, 0, true);
    return part;
}

/* Windows are products of what they are along each dim, and so are the numbers of elements in them: first over the last
   two dims, then over the first. */
static void spell_pool_3d(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_shape x = *pf_spell_shape(s, node->in[0]);
    pf_dims       *dims = s->graph->dims;
    pf_pool_attrs  last = pool_part(node->attrs, 1, 2), first = pool_part(node->attrs, 0, 1);
    pf_dim         flat[4] = { x.dim[0], pf_dim_mul(dims, x.dim[1], x.dim[2]), x.dim[3], x.dim[4] }, deep[4], full[5];
    pf_value_id    y = pf_spell_reshape(s, node->in[0], 4, flat);
    pf_shape       shape = { 0 };

    y = pf_spell_node(s, node->op, &y, 1, &last);
    shape = *pf_spell_shape(s, y);
    memcpy(deep, (pf_dim[]){ x.dim[0], x.dim[1], pf_dim_mul(dims, shape.dim[2], shape.dim[3]), x.dim[2] }, sizeof deep);
    memcpy(full, (pf_dim[]){ x.dim[0], x.dim[1], x.dim[2], shape.dim[2], shape.dim[3] }, sizeof full);
    y = pf_spell_transpose(s, pf_spell_reshape(s, y, 5, full), (int64_t[]){ 0, 1, 3, 4, 2 });
    y = pf_spell_reshape(s, y, 4, deep);
    y = pf_spell_node(s, node->op, &y, 1, &first);
    memcpy(full, (pf_dim[]){ x.dim[0], x.dim[1], shape.dim[2], shape.dim[3], pf_spell_shape(s, y)->dim[3] },
           sizeof full);
    out[0] = pf_spell_transpose(s, pf_spell_reshape(s, y, 5, full), (int64_t[]){ 0, 1, 4, 2, 3 });
}

void pf_spell_pool(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    pf_pool_attrs attrs = *(const pf_pool_attrs *)node->attrs;
    int32_t       rank = pf_spell_shape(s, node->in[0])->rank;
    pf_dtype      dtype = pf_spell_dtype(s, node->in[0]);
    pf_value_id   y = PF_NONE;

    if (attrs.auto_pad || (node->out_count > 1 && pf_graph_use_count(s->graph, node->out[1])))
        return;
    /* FP16 holds all of them */
    if (node->op == PF_OP_MAX_POOL && pf_dtype_is_integer(dtype) && pf_dtype_bits(dtype) == 8) {
        y = pf_spell_cast(s, node->in[0], PF_F16);
        out[0] = pf_spell_cast(s, pf_spell_node(s, node->op, &y, 1, &attrs), dtype);
        return;
    }
    if (!pf_dtype_is_float(dtype))
        return;
    if (rank == 5)
        spell_pool_3d(s, node, out);
    if (rank != 3)
        return;
    widen_ints(&attrs.kernel, 1, false);
    widen_ints(&attrs.strides, 1, false);
    widen_ints(&attrs.dilations, 1, false);
    widen_ints(&attrs.pads, 0, true);
    y = widened(s, node->in[0]);
    out[0] = narrowed(s, pf_spell_node(s, node->op, &y, 1, &attrs));
}

/* ---- Norms of each channel or group of them: images of other ranks as such of two spatial dims */

void pf_spell_channel_norm(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_shape x = *pf_spell_shape(s, node->in[0]);
    pf_dim         dim[4] = { x.dim[0], x.dim[1], 1, 1 };
    pf_value_id    y = PF_NONE;

    if (x.rank == 4 || x.rank < 3)
        return;
    for (int32_t d = 2; d < x.rank; d++)
        dim[d == 2 ? 2 : 3] = pf_dim_mul(s->graph->dims, dim[d == 2 ? 2 : 3], x.dim[d]);
    y = pf_spell_reshape(s, node->in[0], 4, dim);
    y = pf_spell_node(s, node->op, (pf_value_id[]){ y, node->in[1], node->in[2] }, 3, node->attrs);
    out[0] = pf_spell_reshape(s, y, x.rank, x.dim);
}

/* ---- Reductions along one dim of an image */

static bool is_conv(pf_op_kind op)
{
    return op == PF_OP_CONV;
}

bool pf_spell_reduces_lines(const pf_graph *graph, const pf_node *node)
{
    const pf_reduce_attrs *attrs = node->attrs;

    return node->op == PF_OP_REDUCE && attrs->mode != PF_REDUCE_LOG_SUM_EXP && attrs->axes.count == 1 &&
           attrs->axes.at[0] == 3 && graph->values[node->in[0]].shape.rank == 4 &&
           pf_dtype_is_float(graph->values[node->in[0]].dtype) && pf_spell_is_behind(graph, node->in[0], is_conv);
}

/* Turned so that channels are last, which moves nothing where they are so in memory, and back. */
void pf_spell_lines(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_reduce_attrs *attrs = node->attrs;
    const pf_shape         shape = s->graph->values[node->out[0]].shape;
    pf_value_id            y = pf_spell_transpose(s, node->in[0], (int64_t[]){ 0, 2, 3, 1 });

    y = pf_spell_reduce(s, attrs->mode, y, &(pf_ints){ 1, { 2 } });
    out[0] = pf_spell_reshape(s, pf_spell_transpose(s, y, (int64_t[]){ 0, 3, 1, 2 }), shape.rank, shape.dim);
}

/* ---- Channels and pixels */

static pf_dim over(pf_speller *s, pf_dim a, int64_t b) { return pf_dim_floor_div(s->graph->dims, a, b); }
static pf_dim times(pf_speller *s, pf_dim a, int64_t b) { return pf_dim_mul(s->graph->dims, a, b); }

void pf_spell_depth_to_space(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_depth_to_space_attrs *attrs = node->attrs;
    const pf_shape                 x = *pf_spell_shape(s, node->in[0]);
    int64_t                        b = attrs->block;
    pf_dim                         c = over(s, x.dim[1], b * b);
    pf_dim                         first[6] = { x.dim[0], b, b, c, x.dim[2], x.dim[3] },
                                   columns[6] = { x.dim[0], c, b, b, x.dim[2], x.dim[3] };
    bool                           crd = attrs->order == PF_DEPTH_CRD;
    pf_value_id                    y = pf_spell_reshape(s, node->in[0], 6, crd ? columns : first);

    y = pf_spell_transpose(s, y, crd ? (int64_t[]){ 0, 1, 4, 2, 5, 3 } : (int64_t[]){ 0, 3, 4, 1, 5, 2 });
    out[0] = pf_spell_reshape(s, y, 4, (pf_dim[]){ x.dim[0], c, times(s, x.dim[2], b), times(s, x.dim[3], b) });
}

void pf_spell_space_to_depth(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_space_to_depth_attrs *attrs = node->attrs;
    const pf_shape                 x = *pf_spell_shape(s, node->in[0]);
    int64_t                        b = attrs->block;
    pf_dim                         h = over(s, x.dim[2], b), w = over(s, x.dim[3], b);
    pf_value_id                    y = pf_spell_reshape(s, node->in[0], 6,
                                                        (pf_dim[]){ x.dim[0], x.dim[1], h, b, w, b });

    y = pf_spell_transpose(s, y,
                           attrs->order == PF_DEPTH_CRD ? (int64_t[]){ 0, 1, 3, 5, 2, 4 }
                                                        : (int64_t[]){ 0, 3, 5, 1, 2, 4 });
    out[0] = pf_spell_reshape(s, y, 4, (pf_dim[]){ x.dim[0], times(s, x.dim[1], b * b), h, w });
}

/* Nearest neighbours of integers that FP32 holds. */
void pf_spell_resize(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_resize_attrs *attrs = node->attrs;
    pf_dtype               dtype = pf_spell_dtype(s, node->in[0]);
    pf_value_id            x = PF_NONE;

    if (attrs->mode != PF_RESIZE_NEAREST || pf_dtype_is_float(dtype) ||
        (dtype != PF_BOOL && (!pf_dtype_is_integer(dtype) || pf_dtype_bits(dtype) > 16)))
        return;
    x = pf_spell_cast(s, node->in[0], PF_F32);
    out[0] = pf_spell_cast(s, pf_spell_node(s, PF_OP_RESIZE, &x, 1, attrs), dtype);
}
