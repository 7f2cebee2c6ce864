/* Patterns of arithmetic: norms, activations, attention, products, reductions. */
#include "tests/unit/engine/rules/grow.h"

/* All but the first dim becomes one, and a product follows. */
void grow_head(grower *g)
{
    pf_value_id      in = pick(g);
    const pf_shape  *shape = &g->graph->values[in].shape;
    pf_reshape_attrs attrs = { .shape = { 2, { shape->dim[0], -1 } } };

    if (shape->rank < 2)
        return;
    add(g, PF_OP_RESHAPE, &in, 1, &attrs, 1);
    grow_product(g);
    grow_scale(g);
}

void grow_square(grower *g)
{
    pf_value_id x = pick(g), small = unary(g, PF_OP_TANH, x);

    if (g->graph->values[x].shape.rank >= 2 &&
        pf_dim_is_number(g->graph->values[x].shape.dim[g->graph->values[x].shape.rank - 1]))
        finish(g, PF_OP_MATMUL, small, swapped(g, small), NULL);
}

/* A condition on positions along the last dim that holds everywhere, or for the first ones. */
void grow_positions(grower *g)
{
    pf_value_id    x = pick(g), in[3] = { PF_NONE, x, number(g, 2) }, limit = PF_NONE;
    pf_range_attrs attrs = {
        .dtype = PF_I64, .bounds = { 3, { 0, g->graph->values[x].shape.dim[g->graph->values[x].shape.rank - 1], 1 } },
    };
    pf_err         err = { 0 };

    test_ok(pf_graph_add_scalar(g->graph, PF_I64, below(g, 2), &limit, &err), &err);
    in[0] = binary(g, PF_OP_GREATER_EQUAL, step(g, PF_OP_RANGE, NULL, 0, &attrs), limit);
    if (in[0] != PF_NONE)
        add(g, PF_OP_WHERE, in, 3, NULL, 1);
}

void grow_attention(grower *g)
{
    pf_value_id   x = pick(g), scores = PF_NONE, mask = PF_NONE;
    pf_axis_attrs attrs = { .axis = g->graph->values[x].shape.rank - 1 };
    int64_t       queries = attrs.axis >= 2 && pf_dim_is_number(g->graph->values[x].shape.dim[attrs.axis - 1])
                                ? g->graph->values[x].shape.dim[attrs.axis - 1]
                                : 0;

    if (!queries || queries > 20 || attrs.axis > 3)
        return;
    if (attrs.axis == 3 && !below(g, 3)) {      /* images of windows */
        x = binary(g, PF_OP_ADD, x, constant(g, 5, (int64_t[]){ 2, 1, 1, 1, 1 }, false));
        attrs.axis++;
    }
    scores = binary(g, below(g, 2) ? PF_OP_MUL : PF_OP_DIV, binary(g, PF_OP_MATMUL, x, swapped(g, x)), number(g, 0.5));
    mask = constant(g, 2, (int64_t[]){ queries, queries }, false);
    if (below(g, 2))
        scores = binary(g, PF_OP_ADD, scores, mask);
    finish(g, PF_OP_MATMUL, step(g, PF_OP_SOFTMAX, &scores, 1, &attrs), x, NULL);
}

static pf_value_id reduced(grower *g, int32_t mode, pf_value_id x, bool keepdims)
{
    pf_reduce_attrs attrs = { .mode = mode, .axes = { 1, { g->graph->values[x].shape.rank - 1 } },
                              .keepdims = keepdims };

    return step(g, PF_OP_REDUCE, &x, 1, &attrs);
}

static pf_value_id cast_to(grower *g, pf_dtype dtype, pf_value_id x)
{
    return step(g, PF_OP_CAST, &x, 1, &(pf_cast_attrs){ .dtype = (int32_t)dtype });
}

/* Layer norms and norms by the root of the mean square, with a scale or without. */
void grow_norm(grower *g)
{
    pf_value_id x = pick(g), centered = x, root = PF_NONE, scale = PF_NONE;
    bool        divides = below(g, 2);

    if (last_dim(g, x) < 2)
        return;
    if (below(g, 2))
        centered = binary(g, PF_OP_SUB, x, reduced(g, PF_REDUCE_MEAN, x, true));
    root = below(g, 2) ? binary(g, PF_OP_MUL, centered, centered) : with_number(g, PF_OP_POW, centered, 2);
    root = unary(g, PF_OP_SQRT, with_number(g, PF_OP_ADD, reduced(g, PF_REDUCE_MEAN, root, true), 0.01));
    scale = constant(g, 1, (int64_t[]){ last_dim(g, x) }, true);
    if (below(g, 2))
        finish(g, PF_OP_MUL,
               divides ? binary(g, PF_OP_DIV, centered, root)
                       : binary(g, PF_OP_MUL, centered, unary(g, PF_OP_RECIPROCAL, root)),
               scale, NULL);
    else
        finish(g, divides ? PF_OP_DIV : PF_OP_MUL, centered, divides ? root : unary(g, PF_OP_RECIPROCAL, root), NULL);
}

void grow_group_norm(grower *g)
{
    pf_value_id      x = pick(g), in[3] = { PF_NONE, PF_NONE, PF_NONE };
    pf_reshape_attrs split = { .shape = { 3, { g->graph->values[x].shape.dim[0], 2, -1 } } },
                     whole = { .shape = { .count = 4 } };

    if (g->graph->values[x].shape.rank != 4 || channels_of(g, x) % 2 || !channels_of(g, x))
        return;
    in[0] = step(g, PF_OP_RESHAPE, &x, 1, &split);
    in[1] = constant(g, 1, (int64_t[]){ 2 }, true);
    in[2] = constant(g, 1, (int64_t[]){ 2 }, true);
    in[0] = step(g, PF_OP_INSTANCE_NORM, in, 3, &(pf_instance_norm_attrs){ .epsilon = 0.01 });
    for (int32_t d = 0; d < 4; d++)
        whole.shape.at[d] = g->graph->values[x].shape.dim[d];
    if (in[0] != PF_NONE)
        add(g, PF_OP_RESHAPE, in, 1, &whole, 1);
}

void grow_softmax(grower *g)
{
    pf_value_id x = unary(g, PF_OP_TANH, pick(g)), e = unary(g, PF_OP_EXP, x);

    finish(g, PF_OP_DIV, e, reduced(g, PF_REDUCE_SUM, e, true), NULL);
}

/* The length of rows, its dims dropped and put back. */
void grow_lengths(grower *g)
{
    pf_value_id x = pick(g), kept = reduced(g, PF_REDUCE_SUM, x, true), square = binary(g, PF_OP_MUL, x, x),
                length = PF_NONE;

    length = below(g, 2) ? reduced(g, PF_REDUCE_SUM, square, true)
                         : like(g, reduced(g, PF_REDUCE_SUM, square, false), kept);
    finish(g, PF_OP_DIV, x, with_number(g, PF_OP_ADD, unary(g, PF_OP_SQRT, length), 1), NULL);
}

/* There and back; or a softmax of one element between types, which is exactly 1. */
void grow_casts(grower *g)
{
    pf_value_id   x = pick(g), one = PF_NONE;
    pf_axis_attrs attrs = { .axis = g->graph->values[x].shape.rank - 1 };

    if (below(g, 2)) {
        finish(g, PF_OP_MAX, x, cast_to(g, PF_F64, cast_to(g, PF_F32, cast_to(g, PF_F64, cast_to(g, PF_F32, x)))),
               NULL);
        return;
    }
    one = cast_to(g, PF_F64, cast_to(g, PF_F16, unary(g, PF_OP_TANH, reduced(g, PF_REDUCE_MAX, x, true))));
    one = cast_to(g, PF_F16, step(g, PF_OP_SOFTMAX, &one, 1, &attrs));
    finish(g, PF_OP_MUL, x, cast_to(g, PF_F64, one), NULL);
}

/* Of an input as it is: what other rules round in another way may fall on the other side of a tie. */
void grow_quantized(grower *g)
{
    pf_value_id                x = cast_to(g, PF_F32, g->pool[below(g, 2)]), scale = PF_NONE, zero = PF_NONE,
                               y = PF_NONE;
    pf_dtype                   dtype = (pf_dtype[]){ PF_U8, PF_I8, PF_I16 }[below(g, 3)];
    pf_quantize_linear_attrs   quantize = { .dtype = (int32_t)dtype };
    pf_dequantize_linear_attrs dequantize = { .dtype = PF_F32 };
    pf_err                     err = { 0 };

    test_ok(pf_graph_add_scalar(g->graph, PF_F32, 0.01 * (1 + below(g, 5)), &scale, &err), &err);
    test_ok(pf_graph_add_scalar(g->graph, dtype, below(g, 2) * 9, &zero, &err), &err);
    y = step(g, PF_OP_QUANTIZE_LINEAR, (pf_value_id[]){ x, scale, zero }, 3, &quantize);
    if (y != PF_NONE)
        y = cast_to(g, PF_F64, step(g, PF_OP_DEQUANTIZE_LINEAR, (pf_value_id[]){ y, scale, zero }, 3, &dequantize));
    finish(g, PF_OP_ADD, pick(g), y, NULL);
}

static pf_value_id small_integers(grower *g, pf_dtype dtype, const int64_t *dim)
{
    pf_shape    shape = { .rank = 2, .dim = { dim[0], dim[1] } };
    uint8_t    *data = pf_arena_alloc(g->graph->arena, (size_t)(dim[0] * dim[1]));
    pf_value_id id = PF_NONE;
    pf_err      err = { 0 };

    assert_non_null(data);
    for (int64_t i = 0; i < dim[0] * dim[1]; i++)
        data[i] = (uint8_t)below(g, 256);
    test_ok(pf_graph_add_constant(g->graph, "", dtype, &shape, data, pf_dtype_bytes(dtype, (uint64_t)(dim[0] * dim[1])),
                                  &id, &err), &err);
    return id;
}

/* A product with weights that have a scale for each block. */
void grow_blocks(grower *g)
{
    enum { COLUMNS = 4, BLOCK = 2 };
    pf_value_id                x = pick(g), y = PF_NONE, in[3] = { PF_NONE, PF_NONE, PF_NONE };
    const pf_shape            *shape = &g->graph->values[x].shape;
    pf_dim                     depth = shape->rank > 0 ? shape->dim[shape->rank - 1] : 0;
    int64_t                    axis = below(g, 2), dim[2] = { depth, COLUMNS }, blocks[2] = { depth, COLUMNS };
    pf_dtype                   dtype = below(g, 2) ? PF_I8 : PF_U4;
    pf_dequantize_linear_attrs attrs = { .dtype = PF_F64, .axis = axis, .block_size = BLOCK };

    if (!pf_dim_is_number(depth) || depth < 1)
        return;
    blocks[axis] = (dim[axis] + BLOCK - 1) / BLOCK;
    in[0] = small_integers(g, dtype, dim);
    in[1] = constant(g, 2, blocks, true);
    in[2] = small_integers(g, dtype, blocks);
    y = step(g, PF_OP_DEQUANTIZE_LINEAR, in, below(g, 2) ? 3 : 2, &attrs);
    if (y != PF_NONE)
        finish(g, PF_OP_MATMUL, x, with_number(g, PF_OP_MUL, y, 0.01), NULL);
}

void grow_activation(grower *g)
{
    pf_value_id x = pick(g), e = PF_NONE;

    switch (below(g, 6)) {
    case 0:
        finish(g, PF_OP_MUL,
               with_number(g, PF_OP_ADD, unary(g, PF_OP_ERF, with_number(g, PF_OP_DIV, x, 1.41421356237)), 1),
               with_number(g, PF_OP_MUL, x, 0.5), NULL);
        break;
    case 1:
        finish(g, PF_OP_MUL, x, unary(g, PF_OP_SIGMOID, below(g, 2) ? x : with_number(g, PF_OP_MUL, x, 1.702)), NULL);
        break;
    case 2:
        e = with_number(g, PF_OP_MIN, unary(g, PF_OP_RELU, with_number(g, PF_OP_ADD, x, 3)), 6);
        finish(g, PF_OP_MUL, x, with_number(g, PF_OP_DIV, e, 6), NULL);
        break;
    case 3:
        finish(g, PF_OP_MAX, with_number(g, PF_OP_MUL, x, 0.1), x, NULL);
        break;
    case 4:
        e = unary(g, PF_OP_LOG, with_number(g, PF_OP_ADD, unary(g, PF_OP_EXP, unary(g, PF_OP_TANH, x)), 1));
        finish(g, PF_OP_SUB, e, x, NULL);
        break;
    default:
        finish(g, PF_OP_SUB, with_number(g, PF_OP_MAX, unary(g, PF_OP_RELU, x), 0.5), x, NULL);
    }
}

/* Two products of one value. */
void grow_products(grower *g)
{
    pf_value_id x = pick(g), a = PF_NONE, b = PF_NONE;

    if (g->graph->values[x].shape.rank < 2 || !last_dim(g, x) || last_dim(g, x) > 20)
        return;
    a = binary(g, PF_OP_MATMUL, x, constant(g, 2, (int64_t[]){ last_dim(g, x), 2 }, false));
    b = binary(g, PF_OP_MATMUL, x, constant(g, 2, (int64_t[]){ last_dim(g, x), 2 }, false));
    if (below(g, 2))
        b = binary(g, PF_OP_ADD, b, constant(g, 1, (int64_t[]){ 2 }, false));
    finish(g, PF_OP_SUB, unary(g, PF_OP_TANH, a), unary(g, PF_OP_EXP, unary(g, PF_OP_TANH, b)), NULL);
}

/* Of two tensors and of three: products of matrices and others. */
void grow_einsum(grower *g)
{
    static const char *const of_two[] = { "abcd,abed->acbe", "abcd,abed->abce", "abcd,abcd->adbc", "abcd,abed->ace" };
    static const char *const of_three[] = { "abcd,abce,abcd->dba", "abcd,abcd,abce->dcba", "...d,...e,...e->...d" };
    pf_value_id     x = unary(g, PF_OP_TANH, pick(g)), out = PF_NONE;
    pf_einsum_attrs two = { .equation = of_two[below(g, 4)] }, three = { .equation = of_three[below(g, 3)] };

    if (g->graph->values[x].shape.rank != 4)
        return;
    finish(g, PF_OP_EINSUM, x, x, &two);
    out = step(g, PF_OP_EINSUM, (pf_value_id[]){ x, x, x }, 3, &three);
    if (out != PF_NONE)
        unary(g, PF_OP_TANH, out);
}

/* A reduction of a reduction, and one of what was transposed. */
void grow_reductions(grower *g)
{
    pf_value_id     x = pick(g), inner = PF_NONE, moved = PF_NONE;
    int32_t         rank = g->graph->values[x].shape.rank;
    pf_reduce_attrs last = { .mode = PF_REDUCE_MEAN, .axes = { 1, { rank - 1 } }, .keepdims = below(g, 2) };
    pf_reduce_attrs next = { .mode = PF_REDUCE_MEAN, .axes = { 1, { rank - 2 } }, .keepdims = last.keepdims };

    if (rank < 3)
        return;
    inner = step(g, PF_OP_REDUCE, &x, 1, &last);
    if (inner != PF_NONE)
        add(g, PF_OP_REDUCE, &inner, 1, &next, 1);
    moved = swapped(g, x);
    if (moved != PF_NONE)
        add(g, PF_OP_REDUCE, &moved, 1, &next, 1);
}
