/* Single ops, with inputs that fit them. */
#include "tests/unit/engine/rules/grow.h"

void grow_conv(grower *g)
{
    pf_value_id   in[3] = { pick(g), PF_NONE, PF_NONE };
    int64_t       k = 1 + 2 * below(g, 2), pad = below(g, 2);
    pf_conv_attrs attrs = { .strides = { 2, { 1 + below(g, 2), 1 } }, .dilations = { 2, { 1, 1 } },
                            .pads = { 4, { pad, pad, pad, 0 } }, .groups = 1 + below(g, 2) };

    if (g->graph->values[in[0]].shape.rank != 4 || !channels_of(g, in[0]) || channels_of(g, in[0]) % attrs.groups)
        return;
    in[1] = constant(g, 4, (int64_t[]){ 4, channels_of(g, in[0]) / attrs.groups, k, k }, false);
    if (below(g, 2))
        in[2] = constant(g, 1, (int64_t[]){ 4 }, false);
    add(g, PF_OP_CONV, in, 3 - (in[2] == PF_NONE && below(g, 2)), &attrs, 1);
}

void grow_patches(grower *g)
{
    pf_value_id   in[2] = { pick(g), PF_NONE };
    pf_conv_attrs attrs = { .strides = { 2, { 2, 2 } }, .dilations = { 2, { 1, 1 } }, .pads = { 4, { 0 } },
                            .groups = 1 };

    if (g->graph->values[in[0]].shape.rank != 4 || !channels_of(g, in[0]))
        return;
    in[1] = constant(g, 4, (int64_t[]){ 4, channels_of(g, in[0]), 2, 2 }, false);
    add(g, PF_OP_CONV, in, 2, &attrs, 1);
}

void grow_conv_transpose(grower *g)
{
    pf_value_id             in[2] = { pick(g), PF_NONE };
    pf_conv_transpose_attrs attrs = { .strides = { 2, { 1, 1 } }, .dilations = { 2, { 1, 1 } },
                                      .pads = { 4, { 0, 0, 1, 0 } }, .output_padding = { 2, { 0, 0 } },
                                      .groups = 1 + below(g, 2) };

    if (g->graph->values[in[0]].shape.rank != 4 || !channels_of(g, in[0]) || channels_of(g, in[0]) % attrs.groups)
        return;
    in[1] = constant(g, 4, (int64_t[]){ channels_of(g, in[0]), 2, 2, 2 }, false);
    add(g, PF_OP_CONV_TRANSPOSE, in, 2, &attrs, 1);
}

void grow_batch_norm(grower *g)
{
    pf_value_id         in[5] = { pick(g) };
    pf_batch_norm_attrs attrs = { .epsilon = 1e-5 };

    if (!channels_of(g, in[0]))
        return;
    for (int i = 1; i < 5; i++)
        in[i] = constant(g, 1, (int64_t[]){ channels_of(g, in[0]) }, i == 4);
    add(g, PF_OP_BATCH_NORM, in, 5, &attrs, 1);
}

void grow_scale(grower *g)
{
    static const pf_op_kind ops[] = { PF_OP_ADD, PF_OP_MUL, PF_OP_SUB, PF_OP_DIV };
    pf_op_kind      op = ops[below(g, 4)];
    pf_value_id     x = pick(g), in[2] = { x, PF_NONE };
    const pf_shape *shape = &g->graph->values[x].shape;
    int64_t         dim[PF_MAX_RANK] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    int32_t         axis = shape->rank > 1 && below(g, 4) ? 1 : (int32_t)below(g, (uint32_t)shape->rank);

    if (below(g, 3) && pf_dim_is_number(shape->dim[axis]))
        dim[axis] = shape->dim[axis];
    in[1] = constant(g, shape->rank, dim, op == PF_OP_DIV);
    if (below(g, 3) == 0 && op != PF_OP_DIV) {
        in[0] = in[1];
        in[1] = x;
    }
    add(g, op, in, 2, NULL, 1);
}

void grow_unary(grower *g)
{
    static const pf_op_kind ops[] = { PF_OP_RELU, PF_OP_SIGMOID, PF_OP_IDENTITY, PF_OP_TANH, PF_OP_NEG };
    pf_value_id             in = pick(g);

    add(g, ops[below(g, 5)], &in, 1, NULL, 1);
}

/* Two values of one shape, but for one axis. A symbol and a number would be taken for equal, and here they are not. */
static bool agree(const grower *g, const pf_value_id *in, int32_t but)
{
    const pf_shape *a = &g->graph->values[in[0]].shape, *b = &g->graph->values[in[1]].shape;
    bool            same = a->rank == b->rank;

    for (int32_t i = 0; i < a->rank && same; i++)
        same = i == but || a->dim[i] == b->dim[i];
    return same;
}

void grow_binary(grower *g)
{
    static const pf_op_kind ops[] = { PF_OP_ADD, PF_OP_MAX, PF_OP_SUB };
    pf_value_id             in[2] = { pick(g), pick(g) };

    if (agree(g, in, -1))
        add(g, ops[below(g, 3)], in, 2, NULL, 1);
}

void grow_pad(grower *g)
{
    pf_value_id  in = pick(g);
    int32_t      rank = g->graph->values[in].shape.rank;
    pf_pad_attrs attrs = { .pads = { .count = 2 * rank }, .value = below(g, 4) ? 0 : 1 };

    for (int32_t i = 0; i < 2 * rank; i++)
        attrs.pads.at[i] = i % rank >= 2 ? below(g, 2) : 0;
    add(g, PF_OP_PAD, &in, 1, &attrs, 1);
}

void grow_pool(grower *g)
{
    pf_value_id   in = pick(g);
    pf_pool_attrs attrs = { .kernel = { 2, { 2, 2 } }, .strides = { 2, { 1, 1 } }, .dilations = { 2, { 1, 1 } },
                            .pads = { 4, { below(g, 2), 0, 0, 0 } }, .count_include_pad = below(g, 2) };

    if (g->graph->values[in].shape.rank == 4)
        add(g, below(g, 2) ? PF_OP_MAX_POOL : PF_OP_AVERAGE_POOL, &in, 1, &attrs, 1);
}

/* A window that holds all of each channel, or more. */
void grow_one_window(grower *g)
{
    static const pf_op_kind ops[] = { PF_OP_MAX_POOL, PF_OP_AVERAGE_POOL, PF_OP_LP_POOL };
    pf_value_id     in = pick(g);
    const pf_shape *shape = &g->graph->values[in].shape;
    pf_pool_attrs   attrs = { .kernel = { 2 }, .strides = { 2 }, .dilations = { 2, { 1, 1 } }, .pads = { 4 },
                              .ceil_mode = 1, .count_include_pad = below(g, 2), .p = 1 + below(g, 3) };

    if (shape->rank != 4 || !pf_dim_is_number(shape->dim[2]) || !pf_dim_is_number(shape->dim[3]))
        return;
    for (int32_t d = 0; d < 2; d++)
        attrs.kernel.at[d] = attrs.strides.at[d] = shape->dim[d + 2] + below(g, 3);
    add(g, ops[below(g, 3)], &in, 1, &attrs, 1);
}

void grow_transpose(grower *g)
{
    pf_value_id        in = pick(g);
    int32_t            rank = g->graph->values[in].shape.rank, a = (int32_t)below(g, (uint32_t)rank),
                       b = (int32_t)below(g, (uint32_t)rank);
    pf_transpose_attrs attrs = { .perm = { .count = rank } };

    for (int32_t i = 0; i < rank; i++)
        attrs.perm.at[i] = i == a ? b : i == b ? a : i;
    add(g, PF_OP_TRANSPOSE, &in, 1, &attrs, 1);
}

/* Two neighbouring dims become one, or everything after the first does. */
void grow_reshape(grower *g)
{
    pf_value_id      in = pick(g);
    const pf_shape  *shape = &g->graph->values[in].shape;
    pf_reshape_attrs attrs = { .shape = { 0 } };

    if (shape->rank < 2)
        return;
    attrs.shape.count = below(g, 2) ? 2 : shape->rank - 1;
    for (int32_t i = 0; i < attrs.shape.count; i++)
        attrs.shape.at[i] = i == attrs.shape.count - 1 ? -1 : shape->dim[i];
    add(g, PF_OP_RESHAPE, &in, 1, &attrs, 1);
}

void grow_product(grower *g)
{
    pf_value_id     in[3] = { pick(g), PF_NONE, PF_NONE };
    const pf_shape *shape = &g->graph->values[in[0]].shape;
    pf_dim          inner = shape->dim[shape->rank - 1];
    pf_gemm_attrs   attrs = { .trans_b = below(g, 2), .alpha = below(g, 2) ? 1 : 0.5, .beta = below(g, 2) };
    pf_matmul_attrs matmul = { .trans_b = attrs.trans_b };
    bool            is_gemm = shape->rank == 2 && below(g, 2);

    if (shape->rank < 2 || !pf_dim_is_number(inner) || inner > 300)
        return;
    in[1] = constant(g, 2, (int64_t[]){ attrs.trans_b ? 3 : inner, attrs.trans_b ? inner : 3 }, false);
    if (is_gemm && below(g, 2))
        in[2] = constant(g, 1, (int64_t[]){ 3 }, false);
    add(g, is_gemm ? PF_OP_GEMM : PF_OP_MATMUL, in, in[2] == PF_NONE ? 2 : 3,
        is_gemm ? (void *)&attrs : (void *)&matmul, 1);
}

void grow_concat(grower *g)
{
    pf_value_id   in[2] = { pick(g), pick(g) };
    pf_axis_attrs attrs = { .axis = 1 };

    if (agree(g, in, 1))
        add(g, PF_OP_CONCAT, in, 1 + below(g, 2), &attrs, 1);
}

void grow_slice(grower *g)
{
    pf_value_id    in = pick(g);
    pf_slice_attrs attrs = { .axes = { 1, { 1 } }, .starts = { 1, { below(g, 2) } }, .ends = { 1, { PF_SLICE_FAR } },
                             .steps = { 1, { 1 } } };

    add(g, PF_OP_SLICE, &in, 1, &attrs, 1);
}

void grow_shape(grower *g)
{
    pf_value_id    in = pick(g), shape = PF_NONE;
    pf_shape_attrs attrs = { 0, g->graph->values[in].shape.rank };
    pf_cast_attrs  cast = { .dtype = PF_F64 };
    pf_err         err = { 0 };

    if (!pf_graph_add_node(g->graph, PF_OP_SHAPE, "", &in, 1, &attrs, 1, &shape, &err))
        add(g, PF_OP_CAST, &shape, 1, &cast, 1);
}

/* A reshape to a shape that is computed. */
void grow_dynamic(grower *g)
{
    pf_value_id    in[2] = { pick(g), PF_NONE };
    pf_shape_attrs attrs = { 0, g->graph->values[in[0]].shape.rank };
    pf_err         err = { 0 };

    if (!pf_graph_add_node(g->graph, PF_OP_SHAPE, "", in, 1, &attrs, 1, &in[1], &err))
        add(g, PF_OP_RESHAPE_DYNAMIC, in, 2, NULL, 1);
}

/* A node that is there already, once more. */
void grow_twin(grower *g)
{
    pf_node_id     producer = g->graph->values[pick(g)].producer;
    const pf_node *node = producer == PF_NONE ? NULL : &g->graph->nodes[producer];

    if (node && node->out_count == 1)
        add(g, node->op, node->in, node->in_count, node->attrs, 1);
}
