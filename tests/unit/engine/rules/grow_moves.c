/* Patterns that move data: reshapes, transposes, slices, concats, branches. */
#include <string.h>

#include "tests/unit/engine/rules/grow.h"

void grow_expand(grower *g)
{
    pf_value_id     x = pick(g), lowest = PF_NONE;
    const pf_shape *shape = &g->graph->values[x].shape;
    pf_reduce_attrs least_of = { .mode = PF_REDUCE_MIN, .axes = { 1, { shape->rank - 1 } }, .keepdims = 1 };
    pf_expand_attrs attrs = { .shape = { .count = shape->rank } };

    for (int32_t d = 0; d < shape->rank; d++)
        attrs.shape.at[d] = shape->dim[d];
    lowest = step(g, PF_OP_REDUCE, &x, 1, &least_of);
    finish(g, PF_OP_SUB, x, unary(g, PF_OP_TANH, step(g, PF_OP_EXPAND, &lowest, 1, &attrs)), NULL);
}

/* The first of a batch of matrices with each of them. */
void grow_repeated(grower *g)
{
    pf_value_id     x = pick(g), first = x;
    const pf_shape  shape = g->graph->values[x].shape;
    pf_matmul_attrs product = { .trans_b = 1 };
    pf_expand_attrs attrs = { .shape = { .count = shape.rank } };

    for (int32_t d = 0; d < shape.rank; d++) {
        pf_slice_attrs one = { .axes = { 1, { d } }, .starts = { 1, { 0 } }, .ends = { 1, { 1 } },
                               .steps = { 1, { 1 } } };

        attrs.shape.at[d] = shape.dim[d];
        first = d + 2 < shape.rank ? step(g, PF_OP_SLICE, &first, 1, &one) : first;
    }
    if (shape.rank > 2)
        finish(g, PF_OP_MATMUL, step(g, PF_OP_EXPAND, &first, 1, &attrs), x, &product);
}

static pf_value_id indices(grower *g, const int64_t *items, uint32_t count)
{
    const pf_shape shape = { .rank = 1, .dim = { count } };
    const size_t   bytes = count * sizeof *items;
    pf_value_id    out = PF_NONE;
    pf_err         err = { 0 };

    test_ok(pf_graph_add_constant(g->graph, "", PF_I64, &shape, pf_arena_copy(g->graph->arena, items, bytes), bytes,
                                  &out, &err), &err);
    return out;
}

void grow_gather(grower *g)
{
    pf_value_id   x = pick(g), index = PF_NONE;
    int64_t       at[2] = { 0, 1 + below(g, 2) };
    pf_axis_attrs attrs = { .axis = 1 };

    if (channels_of(g, x) < 3)
        return;
    index = indices(g, at + below(g, 2), 1 + below(g, 1));
    finish(g, PF_OP_GATHER, x, index, &attrs);
}

/* Sums over the first dim are added to rows, or take their place. */
void grow_scatter(grower *g)
{
    pf_value_id               x = pick(g), index = PF_NONE, sum = PF_NONE, in[3] = { 0 }, out = PF_NONE;
    const pf_shape            shape = g->graph->values[x].shape;
    pf_shape                  narrow = { .rank = shape.rank, .dim = { 2, 1, 1, 1, 1, 1, 1, 1 } };
    pf_expand_attrs           wide = { .shape = { .count = shape.rank, .at = { 2 } } };
    pf_reduce_attrs           over = { .mode = PF_REDUCE_SUM, .axes = { 1, { 0 } }, .keepdims = 1 };
    pf_scatter_elements_attrs attrs = { .reduction = below(g, 2) ? PF_SCATTER_ADD : PF_SCATTER_NONE };
    pf_err                    err = { 0 };

    if (shape.rank < 2)
        return;
    for (int32_t d = 1; d < shape.rank; d++)
        wide.shape.at[d] = shape.dim[d];
    index = indices(g, (int64_t[]){ 0, -1 }, 2);
    if (pf_make_reshape(g->graph, "n", index, &narrow, &index, &err))
        return;
    sum = step(g, PF_OP_REDUCE, &x, 1, &over);
    in[0] = x;
    in[1] = step(g, PF_OP_EXPAND, &index, 1, &wide);
    in[2] = step(g, PF_OP_CONCAT, (pf_value_id[]){ sum, sum }, 2, &(pf_axis_attrs){ .axis = 0 });
    out = step(g, PF_OP_SCATTER_ELEMENTS, in, 3, &attrs);
    if (out != PF_NONE)
        finish(g, PF_OP_MUL, out, number(g, 0.5), NULL);
}

/* Some channels of the sum over the first dim take the place of others. */
void grow_block(grower *g)
{
    pf_value_id         x = pick(g), in[3] = { 0 };
    int64_t             channels = channels_of(g, x), start = below(g, 2), size = 1 + below(g, 2), at[4] = { 0 };
    pf_reduce_attrs     over = { .mode = PF_REDUCE_SUM, .axes = { 1, { 0 } }, .keepdims = 1 };
    pf_slice_attrs      last = { { 1, { 1 } }, { 1, { -size } }, { 1, { PF_SLICE_FAR } }, { 1, { 1 } } };
    pf_shape            shape = { .rank = 3, .dim = { 1, size, 2 } };
    pf_scatter_nd_attrs attrs = { .reduction = PF_SCATTER_NONE };
    pf_value_id         out = PF_NONE;

    if (channels < start + size)
        return;
    for (int64_t i = 0; i < size; i++)
        at[2 * i + 1] = start + i;
    in[1] = indices(g, at, 2 * (uint32_t)size);
    if (pf_make_reshape(g->graph, "n", in[1], &shape, &in[1], NULL))
        return;
    in[0] = step(g, PF_OP_REDUCE, &x, 1, &over);
    in[2] = step(g, PF_OP_SLICE, &in[0], 1, &last);
    out = step(g, PF_OP_SCATTER_ND, in, 3, &attrs);
    if (out != PF_NONE)
        finish(g, PF_OP_MUL, out, number(g, 0.5), NULL);
}

/* Two branches of an image, each with the same function or without. */
void grow_branches(grower *g)
{
    static const int64_t strides[] = { 1, 1 }, none[] = { 0, 0, 0, 0 };
    pf_value_id          x = pick(g), y[2] = { PF_NONE, PF_NONE };
    const pf_shape      *shape = &g->graph->values[x].shape;
    pf_conv_attrs        attrs = { .groups = 1, .strides = { .count = 2 }, .dilations = { .count = 2 },
                                   .pads = { .count = 4 } };
    bool                 with_function = below(g, 2);

    if (shape->rank != 4 || !pf_dim_is_number(shape->dim[1]) || shape->dim[1] < 1)
        return;
    memcpy(attrs.strides.at, strides, sizeof strides);
    memcpy(attrs.dilations.at, strides, sizeof strides);
    memcpy(attrs.pads.at, none, sizeof none);
    for (int i = 0; i < 2; i++) {
        int64_t     channels = g->graph->values[x].shape.dim[1];
        pf_value_id w = constant(g, 4, (int64_t[]){ 1 + below(g, 3), channels, 1, 1 }, false);

        y[i] = step(g, PF_OP_CONV, (pf_value_id[]){ x, w }, 2, &attrs);
        if (with_function)
            y[i] = step(g, PF_OP_RELU, &y[i], 1, NULL);
        if (y[i] != PF_NONE)
            y[i] = step(g, PF_OP_REDUCE, &y[i], 1, &(pf_reduce_attrs){ .mode = PF_REDUCE_MAX,
                                                                       .axes = { .count = 1, .at = { 1 } },
                                                                       .keepdims = 1 });
    }
    finish(g, PF_OP_ADD, y[0], y[1], NULL);
}

void grow_split(grower *g)
{
    pf_value_id   x = pick(g);
    pf_split_attrs attrs = { .axis = 1 };

    if (channels_of(g, x) > 1)
        add(g, PF_OP_SPLIT, &x, 1, &attrs, 2);
}

/* Rows of any shape through a product of matrices, flat in between. */
void grow_flat(grower *g)
{
    pf_value_id      x = pick(g), w = PF_NONE;
    pf_reshape_attrs flat = { .shape = { 2, { -1, last_dim(g, x) } } };
    pf_gemm_attrs    attrs = { .alpha = 1, .beta = 1 };

    if (!last_dim(g, x) || last_dim(g, x) > 20 || g->graph->values[x].shape.rank < 3)
        return;
    w = constant(g, 2, (int64_t[]){ last_dim(g, x), last_dim(g, x) }, false);
    w = step(g, PF_OP_GEMM, (pf_value_id[]){ step(g, PF_OP_RESHAPE, &x, 1, &flat), w }, 2, &attrs);
    if (w != PF_NONE)
        finish(g, PF_OP_MAX, like(g, w, x), x, NULL);
}

/* A convolution's places as rows, with a function of each element, times a matrix or not. */
void grow_tokens(grower *g)
{
    static const int64_t strides[] = { 1, 1 };
    pf_value_id          x = pick(g), y = PF_NONE;
    const pf_shape       shape = g->graph->values[x].shape;
    pf_conv_attrs        attrs = { .groups = 1, .strides = { .count = 2 }, .dilations = { .count = 2 },
                                   .pads = { .count = 4 } };
    pf_reshape_attrs     flat = { .shape = { 3, { shape.dim[0], 3, -1 } } };
    pf_transpose_attrs   turn = { .perm = { 3, { 0, 2, 1 } } };

    if (shape.rank != 4 || !pf_dim_is_number(shape.dim[1]) || shape.dim[1] < 1)
        return;
    memcpy(attrs.strides.at, strides, sizeof strides);
    memcpy(attrs.dilations.at, strides, sizeof strides);
    y = step(g, PF_OP_CONV, (pf_value_id[]){ x, constant(g, 4, (int64_t[]){ 3, shape.dim[1], 1, 1 }, false) }, 2,
             &attrs);
    y = step(g, PF_OP_RESHAPE, &y, 1, &flat);
    y = step(g, PF_OP_TRANSPOSE, &y, 1, &turn);
    y = step(g, PF_OP_RELU, &y, 1, NULL);
    if (below(g, 2))
        finish(g, PF_OP_MATMUL, y, constant(g, 2, (int64_t[]){ 3, 2 }, false), &(pf_matmul_attrs){ 0 });
    else if (y != PF_NONE)
        add(g, PF_OP_TANH, &y, 1, NULL, 1);
}

static pf_value_id turned(grower *g, pf_value_id x)
{
    pf_transpose_attrs attrs = { .perm = { 4, { 1, 0, 2, 3 } } };

    return g->graph->values[x].shape.rank == 4 ? step(g, PF_OP_TRANSPOSE, &x, 1, &attrs) : PF_NONE;
}

/* Another order of dims, and back. */
void grow_detour(grower *g)
{
    pf_value_id x = pick(g), y = turned(g, x);

    if (y != PF_NONE)
        finish(g, PF_OP_SUB, turned(g, with_number(g, PF_OP_MUL, unary(g, PF_OP_TANH, y), 2)), x, NULL);
}

/* Two slices of one value, each transposed. */
void grow_turned_slices(grower *g)
{
    pf_value_id    x = unary(g, PF_OP_TANH, pick(g)), part[2] = { PF_NONE, PF_NONE };
    pf_slice_attrs attrs = { .axes = { 1, { 1 } }, .starts = { 1, { 0 } }, .ends = { 1, { 2 } },
                             .steps = { 1, { 1 } } };
    pf_axis_attrs  last = { .axis = g->graph->values[x].shape.rank - 1 };

    if (channels_of(g, x) != 4)
        return;
    part[0] = swapped(g, step(g, PF_OP_SLICE, &x, 1, &attrs));
    attrs.starts.at[0] = 2;
    attrs.ends.at[0] = 4;
    part[1] = swapped(g, step(g, PF_OP_SLICE, &x, 1, &attrs));
    finish(g, PF_OP_SUB, step(g, PF_OP_SOFTMAX, part, 1, &last), part[1], NULL);
}

void grow_concats(grower *g)
{
    pf_value_id   x = pick(g), two = PF_NONE;
    pf_axis_attrs attrs = { .axis = 1 };

    if (channels_of(g, x) && channels_of(g, x) < 6)
        two = step(g, PF_OP_CONCAT, (pf_value_id[]){ x, x }, 2, &attrs);
    finish(g, PF_OP_CONCAT, two, x, &attrs);
}

/* A branch that works on an outer value. */
static pf_graph *branch(grower *g, pf_op_kind op, pf_value_id x)
{
    pf_graph   *body = pf_graph_new("", g->graph);
    pf_value_id inner = PF_NONE, out = PF_NONE;
    pf_err      err = { 0 };

    assert_non_null(body);
    test_ok(pf_graph_capture(body, x, &inner, &err), &err);
    test_ok(pf_graph_add_node(body, op, "n", &inner, 1, NULL, 1, &out, &err), &err);
    test_ok(pf_graph_add_output(body, out, NULL, &err), &err);
    return body;
}

void grow_if(grower *g)
{
    pf_value_id x = pick(g), in[3] = { PF_NONE, x, x };
    pf_if_attrs attrs = { branch(g, PF_OP_TANH, x), branch(g, PF_OP_NEG, x) };
    pf_err      err = { 0 };

    test_ok(pf_graph_add_scalar(g->graph, PF_BOOL, below(g, 2), &in[0], &err), &err);
    add(g, PF_OP_IF, in, 3, &attrs, 1);
}

/* Every other element along two dims. */
void grow_corner(grower *g)
{
    pf_value_id    x = pick(g), corner = PF_NONE;
    pf_slice_attrs attrs = { .axes = { 1, { 1 } }, .starts = { 1, { 0 } }, .ends = { 1, { PF_SLICE_FAR } },
                             .steps = { 1, { 2 } } };

    corner = step(g, PF_OP_SLICE, &x, 1, &attrs);
    attrs.axes.at[0] = g->graph->values[x].shape.rank - 1;
    if (corner != PF_NONE && attrs.axes.at[0] > 1)
        add(g, PF_OP_SLICE, &corner, 1, &attrs, 1);
}

/* A transposed convolution of what is padded, and one that is cropped. */
void grow_cropped(grower *g)
{
    pf_value_id             in[2] = { pick(g), PF_NONE }, whole = PF_NONE;
    int64_t                 channels = channels_of(g, in[0]);
    pf_conv_transpose_attrs attrs = { .strides = { 2, { 2, 2 } }, .dilations = { 2, { 1, 1 } },
                                      .pads = { 4, { below(g, 2), 0, 2, 0 } }, .output_padding = { 2, { 0, 0 } },
                                      .groups = 1 };
    pf_pad_attrs            pads = { .pads = { 8, { 0, 0, 0, 0, 0, 0, 1, 0 } } };
    pf_slice_attrs          crop = { .axes = { 1, { 2 } }, .starts = { 1, { 2 - attrs.pads.at[0] } },
                                     .ends = { 1, { PF_SLICE_FAR } }, .steps = { 1, { 1 } } };

    if (!channels || channels > 6 || g->graph->values[in[0]].shape.rank != 4)
        return;
    in[1] = constant(g, 4, (int64_t[]){ channels, 2, 3, 3 }, false);
    whole = step(g, PF_OP_CONV_TRANSPOSE, in, 2, &attrs);
    if (whole != PF_NONE)
        add(g, PF_OP_SLICE, &whole, 1, &crop, 1);
    in[0] = step(g, PF_OP_PAD, in, 1, &pads);
    if (in[0] != PF_NONE)
        add(g, PF_OP_CONV_TRANSPOSE, in, 2, &attrs, 1);
}

/* Channels twice, as two groups that are swapped with what is in them. */
void grow_shuffled(grower *g)
{
    pf_value_id        x = pick(g), in[2] = { x, x }, whole = PF_NONE, groups = PF_NONE, swapped_groups = PF_NONE;
    pf_axis_attrs      along = { .axis = 1 };
    pf_transpose_attrs swap = { .perm = { 0, { 0, 2, 1, 3, 4 } } };
    pf_shape           shape = { 0 };
    pf_err             err = { 0 };

    if (channels_of(g, x) < 2 || channels_of(g, x) > 6 || g->graph->values[x].shape.rank > 4)
        return;
    whole = step(g, PF_OP_CONCAT, in, 2, &along);
    if (whole == PF_NONE || g->graph->values[whole].shape.rank < 3)
        return;
    shape = g->graph->values[whole].shape;
    for (int32_t d = shape.rank++; d > 1; d--)
        shape.dim[d] = d == 2 ? shape.dim[1] / 2 : shape.dim[d - 1];
    shape.dim[1] = 2;
    swap.perm.count = shape.rank;
    test_ok(pf_make_reshape(g->graph, "n", whole, &shape, &groups, &err), &err);
    swapped_groups = step(g, PF_OP_TRANSPOSE, &groups, 1, &swap);
    whole = swapped_groups == PF_NONE ? PF_NONE : like(g, swapped_groups, whole);
    if (whole != PF_NONE && g->count < 200)
        g->pool[g->count++] = whole;
}
