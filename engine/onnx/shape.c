#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

static pf_dim_list dims_of(pf_onnx_node *node, pf_value_id value)
{
    pf_dim_list out = { pf_onnx_rank(node, value) };

    for (int32_t i = 0; i < out.count; i++)
        out.at[i] = pf_onnx_dim(node, value, i);
    return out;
}

/* 0 takes the input's dim at the same place. */
static void copy_zeros(pf_onnx_node *node, pf_dim_list *shape)
{
    pf_value_id x = pf_onnx_in(node, 0);

    for (int32_t i = 0; i < shape->count; i++)
        if (shape->at[i] == 0)
            shape->at[i] = pf_onnx_dim(node, x, i);
}

void pf_onnx_reshape_1(pf_onnx_node *node)
{
    pf_dim_list shape = pf_onnx_as_dims(pf_onnx_ints(node, "shape"));

    copy_zeros(node, &shape);
    node->out[0] = pf_onnx_reshape_to(node, pf_onnx_in(node, 0), &shape);
}

void pf_onnx_reshape(pf_onnx_node *node)
{
    pf_reshape_dynamic_attrs dynamic = { pf_onnx_int(node, "allowzero", 0) };
    pf_dim_list              shape = { 0 };

    if (!pf_onnx_known_dims(node, pf_onnx_in(node, 1), &shape)) {
        node->out[0] = pf_onnx_emit2(node, PF_OP_RESHAPE_DYNAMIC, &dynamic, pf_onnx_in(node, 0), pf_onnx_in(node, 1));
        return;
    }
    if (!dynamic.allow_zero)
        copy_zeros(node, &shape);
    node->out[0] = pf_onnx_reshape_to(node, pf_onnx_in(node, 0), &shape);
}

/* All dims before axis as one, all others as another. */
void pf_onnx_flatten(pf_onnx_node *node)
{
    pf_dim_list x = dims_of(node, pf_onnx_in(node, 0));
    int64_t     given = pf_onnx_int(node, "axis", 1);
    int32_t     axis = given == x.count ? x.count : pf_onnx_axis(node, given, x.count);
    pf_dim_list shape = { 2, { 1, 1 } };

    for (int32_t i = 0; i < x.count; i++)
        shape.at[i >= axis] = pf_dim_mul(node->graph->dims, shape.at[i >= axis], x.at[i]);
    node->out[0] = pf_onnx_reshape_to(node, pf_onnx_in(node, 0), &shape);
}

/* Axes: an attribute up to opset 12, then an optional input. */
static pf_ints read_axes(pf_onnx_node *node, bool *given)
{
    pf_ints axes = { 0 };

    if (node->opset < 13) {
        *given = pf_onnx_has_attr(node, "axes");
        return pf_onnx_ints(node, "axes");
    }
    *given = pf_onnx_in(node, 1) != PF_NONE;
    if (*given && !pf_onnx_constant_ints(node, pf_onnx_in(node, 1), &axes))
        pf_onnx_fail(node, PF_UNSUPPORTED, "its axes are not known when the model is built");
    return axes;
}

static uint32_t axes_mask(pf_onnx_node *node, const pf_ints *axes, int32_t rank)
{
    uint32_t mask = 0;

    for (int32_t i = 0; i < axes->count; i++) {
        uint32_t bit = 1u << pf_onnx_axis(node, axes->at[i], rank);

        if (mask & bit)
            pf_onnx_fail(node, PF_INVALID, "axis %lld is listed twice", (long long)axes->at[i]);
        mask |= bit;
    }
    return mask;
}

void pf_onnx_squeeze(pf_onnx_node *node)
{
    bool        given = false;
    pf_dim_list x = dims_of(node, pf_onnx_in(node, 0));
    pf_ints     axes = read_axes(node, &given);
    uint32_t    mask = given ? axes_mask(node, &axes, x.count) : 0;
    pf_dim_list shape = { 0 };

    for (int32_t i = 0; i < x.count; i++) {
        bool drop = given ? mask >> i & 1 : x.at[i] == 1;

        if (given && drop && pf_dim_is_number(x.at[i]) && x.at[i] != 1)
            pf_onnx_fail(node, PF_INVALID, "axis %d has %lld elements and cannot be squeezed", i, (long long)x.at[i]);
        if (!drop)
            shape.at[shape.count++] = x.at[i];
    }
    node->out[0] = pf_onnx_reshape_to(node, pf_onnx_in(node, 0), &shape);
}

void pf_onnx_unsqueeze(pf_onnx_node *node)
{
    bool        given = false;
    pf_dim_list x = dims_of(node, pf_onnx_in(node, 0));
    pf_ints     axes = read_axes(node, &given);
    int32_t     rank = x.count + axes.count, next = 0;
    uint32_t    mask = 0;
    pf_dim_list shape = { rank };

    if (!node->status && rank > PF_MAX_RANK)
        pf_onnx_fail(node, PF_UNSUPPORTED, "%d dimensions; up to %d are supported", rank, PF_MAX_RANK);
    if (!node->status)
        mask = axes_mask(node, &axes, rank);
    for (int32_t i = 0; !node->status && i < rank; i++)
        shape.at[i] = mask >> i & 1 ? 1 : x.at[next++];
    node->out[0] = pf_onnx_reshape_to(node, pf_onnx_in(node, 0), &shape);
}

/* start and end count from the end when negative, and are clamped. */
static int64_t clamp_axis(int64_t axis, int32_t rank)
{
    if (axis < 0)
        axis += rank;
    return axis < 0 ? 0 : axis > rank ? rank : axis;
}

void pf_onnx_shape(pf_onnx_node *node)
{
    int32_t        rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    pf_shape_attrs attrs = { clamp_axis(pf_onnx_int(node, "start", 0), rank),
                             clamp_axis(pf_onnx_int(node, "end", rank), rank) };

    if (attrs.end < attrs.start)
        attrs.end = attrs.start;
    node->out[0] = pf_onnx_emit1(node, PF_OP_SHAPE, &attrs, pf_onnx_in(node, 0));
}

void pf_onnx_size(pf_onnx_node *node)
{
    node->out[0] = pf_onnx_emit1(node, PF_OP_SIZE, NULL, pf_onnx_in(node, 0));
}

void pf_onnx_expand(pf_onnx_node *node)
{
    pf_expand_attrs attrs = { 0 };

    if (pf_onnx_known_dims(node, pf_onnx_in(node, 1), &attrs.shape))
        node->out[0] = pf_onnx_emit1(node, PF_OP_EXPAND, &attrs, pf_onnx_in(node, 0));
    else
        node->out[0] = pf_onnx_emit2(node, PF_OP_EXPAND_DYNAMIC, NULL, pf_onnx_in(node, 0), pf_onnx_in(node, 1));
}

/* Opset 1 tiled one axis: x, tiles, axis. */
void pf_onnx_tile_1(pf_onnx_node *node)
{
    int32_t       rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    pf_tile_attrs attrs = { { rank } };
    int64_t       tiles = 0, axis = 0;

    if (!pf_onnx_constant_int(node, pf_onnx_in(node, 1), &tiles) ||
        !pf_onnx_constant_int(node, pf_onnx_in(node, 2), &axis))
        pf_onnx_fail(node, PF_UNSUPPORTED, "its repeats are not known when the model is built");
    for (int32_t i = 0; i < rank; i++)
        attrs.repeats.at[i] = 1;
    attrs.repeats.at[pf_onnx_axis(node, axis, rank)] = pf_onnx_number(tiles);
    node->out[0] = pf_onnx_emit1(node, PF_OP_TILE, &attrs, pf_onnx_in(node, 0));
}

void pf_onnx_tile(pf_onnx_node *node)
{
    pf_tile_attrs attrs = { 0 };

    pf_onnx_late_dims(node, pf_onnx_in(node, 1), &attrs.repeats);
    node->out[0] = pf_onnx_emit1(node, PF_OP_TILE, &attrs, pf_onnx_in(node, 0));
}

/* The element to fill with: the attribute `value`, a tensor of one element; float 0 when absent. */
static pf_value_id fill_value(pf_onnx_node *node)
{
    const Onnx__AttributeProto *a = pf_onnx_attr(node, "value");
    pf_onnx_data                data = { 0 };
    const pf_shape              scalar = { 0 };

    if (!a || !a->t)
        return pf_onnx_scalar(node, PF_F32, 0);
    if (!pf_onnx_ok(node, pf_onnx_tensor_read(a->t, pf_onnx_files_of(node), node->graph->arena, &data, node->err)))
        return PF_NONE;
    if (data.bytes != pf_dtype_bytes(data.dtype, 1))
        pf_onnx_fail(node, PF_INVALID, "attribute \"value\" has to hold one element");
    data.shape = scalar;
    return pf_onnx_add_data(node, &data);
}

void pf_onnx_constant_of_shape(pf_onnx_node *node)
{
    pf_value_id     value = fill_value(node);
    pf_expand_attrs attrs = { 0 };

    if (pf_onnx_known_dims(node, pf_onnx_in(node, 0), &attrs.shape))
        node->out[0] = pf_onnx_emit1(node, PF_OP_EXPAND, &attrs, value);
    else
        node->out[0] = pf_onnx_emit2(node, PF_OP_EXPAND_DYNAMIC, NULL, value, pf_onnx_in(node, 0));
}

/* Integers that are known as expressions need no inputs. */
void pf_onnx_range(pf_onnx_node *node)
{
    pf_dtype       dtype = pf_onnx_dtype(node, pf_onnx_in(node, 0));
    pf_range_attrs attrs = { .dtype = (int32_t)dtype, .bounds = { 3 } };
    bool           known = pf_dtype_is_integer(dtype);

    for (uint32_t i = 0; i < 3 && known; i++) {
        pf_dim_list item = { 0 };

        known = pf_onnx_known_dims(node, pf_onnx_in(node, i), &item) && item.count == 1;
        attrs.bounds.at[i] = item.at[0];
    }
    if (known) {
        node->out[0] = pf_onnx_emit0(node, PF_OP_RANGE, &attrs);
        return;
    }
    attrs.bounds.count = 0;
    node->out[0] =
        pf_onnx_emit3(node, PF_OP_RANGE, &attrs, pf_onnx_in(node, 0), pf_onnx_in(node, 1), pf_onnx_in(node, 2));
}

void pf_onnx_eye_like(pf_onnx_node *node)
{
    pf_eye_like_attrs attrs = { pf_onnx_dtype_attr(node, "dtype", pf_onnx_dtype(node, pf_onnx_in(node, 0))),
                                pf_onnx_int(node, "k", 0) };

    node->out[0] = pf_onnx_emit1(node, PF_OP_EYE_LIKE, &attrs, pf_onnx_in(node, 0));
}
