/* Random graphs that are grown node by node; what an op refuses is left out.  Of doubles: deep in such a graph
   differences of nearly equal numbers show the rounding of floats, which rules do in other places. */
#ifndef PF_TESTS_UNIT_ENGINE_RULES_GROW_H
#define PF_TESTS_UNIT_ENGINE_RULES_GROW_H

#include <math.h>

#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "tests/unit/engine/graphs.h"

typedef struct grower { pf_graph *graph; pf_random random; pf_value_id pool[200]; uint32_t count; } grower;

/* Adds a node or several; nothing where the graph has no values that fit. */
typedef void grow(grower *g);

grow grow_reductions, grow_corner, grow_cropped, grow_shuffled, grow_products, grow_einsum, grow_if, grow_patches,
    grow_concats, grow_blocks, grow_quantized, grow_branches, grow_split, grow_flat, grow_reshape, grow_transpose,
    grow_detour, grow_turned_slices, grow_norm, grow_group_norm, grow_softmax, grow_lengths, grow_casts,
    grow_activation, grow_square, grow_positions, grow_expand, grow_gather, grow_attention, grow_conv,
    grow_conv_transpose, grow_batch_norm, grow_scale, grow_unary, grow_binary, grow_pad, grow_pool, grow_product,
    grow_concat, grow_slice, grow_shape, grow_head, grow_twin, grow_dynamic, grow_tokens, grow_repeated,
    grow_scatter, grow_block, grow_one_window;

static inline uint32_t below(grower *g, uint32_t limit) { return (uint32_t)pf_random_below(&g->random, limit); }

/* Rather one of the last values: deep graphs. */
static inline pf_value_id pick(grower *g)
{
    uint32_t recent = g->count < 4 ? g->count : 4;

    return below(g, 4) ? g->pool[g->count - 1 - below(g, recent)] : g->pool[below(g, g->count)];
}

static inline pf_value_id constant(grower *g, int32_t rank, const int64_t *dim, bool positive)
{
    static const double special[] = { 0, 1, -1, 2 };
    pf_shape            shape = { .rank = rank };
    int64_t             elems = 1;
    double             *data = NULL;
    pf_value_id         id = PF_NONE;
    uint32_t            uniform = below(g, 5);
    pf_err              err = { 0 };

    for (int32_t i = 0; i < rank; i++) {
        shape.dim[i] = dim[i];
        elems *= dim[i];
    }
    data = pf_arena_alloc(g->graph->arena, (size_t)elems * sizeof *data);
    assert_non_null(data);
    for (int64_t i = 0; i < elems; i++) {
        data[i] = uniform == 0 ? special[below(g, 4)] : pf_random_normal(&g->random) * 0.5;
        if (positive)
            data[i] = fabs(data[i]) + 0.5;
    }
    test_ok(pf_graph_add_constant(g->graph, "", PF_F64, &shape, data, (size_t)elems * sizeof *data, &id, &err), &err);
    return id;
}

static inline void add(grower *g, pf_op_kind op, const pf_value_id *in, uint32_t in_count, const void *attrs,
                       uint32_t out_count)
{
    pf_value_id out[4];
    pf_err      err = { 0 };

    if (g->count + out_count > 200 || pf_graph_add_node(g->graph, op, "n", in, in_count, attrs, out_count, out, &err))
        return;
    for (uint32_t i = 0; i < out_count; i++) {
        const pf_shape *shape = &g->graph->values[out[i]].shape;
        bool            empty = false;

        for (int32_t d = 0; d < shape->rank; d++)
            empty |= pf_dim_is_number(shape->dim[d]) && shape->dim[d] < 1;
        if (!empty && g->graph->values[out[i]].dtype == PF_F64)
            g->pool[g->count++] = out[i];
    }
}

/* 0 where there are none, or their number is a symbol. */
static inline int64_t channels_of(const grower *g, pf_value_id x)
{
    const pf_shape *shape = &g->graph->values[x].shape;

    return shape->rank > 1 && pf_dim_is_number(shape->dim[1]) ? shape->dim[1] : 0;
}

/* A node that is not one of those that others pick; PF_NONE when the op refuses it or one of its inputs is none. */
static inline pf_value_id step(grower *g, pf_op_kind op, const pf_value_id *in, uint32_t in_count, const void *attrs)
{
    pf_value_id out = PF_NONE;
    pf_err      err = { 0 };

    for (uint32_t i = 0; i < in_count; i++)
        if (in[i] == PF_NONE)
            return PF_NONE;
    return pf_graph_add_node(g->graph, op, "n", in, in_count, attrs, 1, &out, &err) ? PF_NONE : out;
}

static inline pf_value_id unary(grower *g, pf_op_kind op, pf_value_id x) { return step(g, op, &x, 1, NULL); }
static inline pf_value_id binary(grower *g, pf_op_kind op, pf_value_id a, pf_value_id b)
{
    return step(g, op, (pf_value_id[]){ a, b }, 2, NULL);
}

static inline pf_value_id number(grower *g, double value)
{
    pf_value_id out = PF_NONE;
    pf_err      err = { 0 };

    test_ok(pf_graph_add_scalar(g->graph, PF_F64, value, &out, &err), &err);
    return out;
}

/* The last node of a pattern is one that others pick. */
static inline void finish(grower *g, pf_op_kind op, pf_value_id a, pf_value_id b, const void *attrs)
{
    if (a != PF_NONE && b != PF_NONE)
        add(g, op, (pf_value_id[]){ a, b }, 2, attrs, 1);
}

static inline pf_value_id swapped(grower *g, pf_value_id x)
{
    pf_value_id out = PF_NONE;
    pf_err      err = { 0 };

    return pf_make_swapped(g->graph, "n", x, &out, &err) ? PF_NONE : out;
}

static inline pf_value_id with_number(grower *g, pf_op_kind op, pf_value_id x, double value)
{
    return binary(g, op, x, number(g, value));
}

static inline pf_value_id like(grower *g, pf_value_id x, pf_value_id shaped)
{
    pf_value_id out = PF_NONE;
    pf_err      err = { 0 };

    return pf_make_reshape(g->graph, "n", x, &g->graph->values[shaped].shape, &out, &err) ? PF_NONE : out;
}

static inline int64_t last_dim(const grower *g, pf_value_id x)
{
    const pf_shape *shape = &g->graph->values[x].shape;

    return pf_dim_is_number(shape->dim[shape->rank - 1]) ? shape->dim[shape->rank - 1] : 0;
}

#endif
