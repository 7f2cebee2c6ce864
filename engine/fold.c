#include "engine/fold.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/attrs.h"

static bool is_numeric_constant(const pf_graph *graph, pf_value_id id)
{
    const pf_value *value = id == PF_NONE ? NULL : &graph->values[id];

    return value && value->is_constant && (pf_dtype_is_float(value->dtype) || pf_dtype_is_integer(value->dtype));
}

bool pf_fold_uniform(const pf_graph *graph, pf_value_id value, double *out)
{
    const pf_value *v = NULL;
    int64_t         elems = 0;

    if (!is_numeric_constant(graph, value))
        return false;
    v = &graph->values[value];
    elems = pf_value_elems(v);
    if (elems == 0)
        return false;
    *out = pf_constant_get(&v->constant, v->dtype, 0);
    for (int64_t i = 1; i < elems; i++)
        if (pf_constant_get(&v->constant, v->dtype, (uint64_t)i) != *out)
            return false;
    return true;
}

bool pf_fold_along(const pf_graph *graph, pf_value_id value, int32_t rank, int32_t axis, int64_t size, double *out)
{
    const pf_value *v = NULL;
    int32_t         at = 0;         /* the axis, in the constant */
    bool            varies = false;

    if (!is_numeric_constant(graph, value) || graph->values[value].shape.rank > rank)
        return false;
    v = &graph->values[value];
    at = axis - (rank - v->shape.rank);
    for (int32_t i = 0; i < v->shape.rank; i++) {
        if (v->shape.dim[i] != 1 && (i != at || v->shape.dim[i] != size))
            return false;
        varies |= v->shape.dim[i] != 1;
    }
    for (int64_t i = 0; i < size; i++)
        out[i] = pf_constant_get(&v->constant, v->dtype, varies ? (uint64_t)i : 0);
    return true;
}

pf_status pf_fold_axis_vector(pf_graph *graph, pf_dtype dtype, const double *items, int64_t size, int32_t rank,
                              int32_t axis, pf_value_id *out, pf_err *err)
{
    pf_shape shape = { .rank = rank };
    size_t   bytes = pf_dtype_bytes(dtype, (uint64_t)size);
    void    *data = pf_arena_alloc(graph->arena, bytes + 1);

    *out = PF_NONE;
    if (!data)
        return PF_FAIL_MEMORY(err, bytes);
    for (int32_t i = 0; i < rank; i++)
        shape.dim[i] = i == axis ? size : 1;
    for (int64_t i = 0; i < size; i++)
        pf_dtype_set(dtype, data, (uint64_t)i, items[i]);
    return pf_graph_add_constant(graph, "", dtype, &shape, data, bytes, out, err);
}

pf_status pf_fold_vector(pf_graph *graph, pf_dtype dtype, const double *items, int64_t size, pf_value_id *out,
                         pf_err *err)
{
    return pf_fold_axis_vector(graph, dtype, items, size, 1, 0, out, err);
}

/* Which channel of the output a weight counts for: its index along `axis`, plus `per_group` for each `group_rows` along
   axis 0. */
typedef struct channel_map { int64_t size, inner, per_group, group_rows; } channel_map;

static int64_t channel_of(const channel_map *map, int64_t i)
{
    int64_t channel = i / map->inner % map->size;

    return map->group_rows ? channel + i / (map->inner * map->size) / map->group_rows * map->per_group : channel;
}

static channel_map map_along(const pf_value *weights, int32_t axis)
{
    channel_map map = { .inner = 1, .size = weights->shape.dim[axis] };

    for (int32_t i = axis + 1; i < weights->shape.rank; i++)
        map.inner *= weights->shape.dim[i];
    return map;
}

static channel_map map_of(const pf_graph *graph, const pf_fold_linear *linear)
{
    const pf_node  *node = &graph->nodes[linear->node];
    const pf_value *weights = &graph->values[linear->weights];

    if (node->op == PF_OP_CONV)
        return map_along(weights, 0);
    if (node->op == PF_OP_CONV_TRANSPOSE) {      /* [C, M/groups, ...]: input channels of one group follow each other */
        const pf_conv_transpose_attrs *attrs = node->attrs;
        channel_map                    map = map_along(weights, 1);

        map.group_rows = weights->shape.dim[0] / attrs->groups;
        map.per_group = weights->shape.dim[1];
        return map;
    }
    return map_along(weights, node->op == PF_OP_GEMM ? !((const pf_gemm_attrs *)node->attrs)->trans_b
                                                     : !((const pf_matmul_attrs *)node->attrs)->trans_b);
}

/* alpha and beta of a gemm; 1 for the others. */
static void factors_of(const pf_node *node, double *alpha, double *beta)
{
    const pf_gemm_attrs *attrs = node->attrs;

    *alpha = node->op == PF_OP_GEMM ? attrs->alpha : 1;
    *beta = node->op == PF_OP_GEMM ? attrs->beta : 1;
}

static bool find_channels(const pf_graph *graph, pf_fold_linear *out)
{
    const pf_node  *node = &graph->nodes[out->node];
    const pf_value *weights = &graph->values[out->weights], *y = &graph->values[node->out[0]];
    bool            is_matmul = node->op == PF_OP_MATMUL, is_product = is_matmul || node->op == PF_OP_GEMM;

    if (is_product && weights->shape.rank != 2)
        return false;
    out->channel_axis = is_product ? y->shape.rank - 1 : 1;
    out->takes_bias = !is_matmul || (y->shape.rank == 2 && graph->values[out->x].shape.rank == 2);
    if (out->channel_axis < 0 || !pf_dim_is_number(y->shape.dim[out->channel_axis]))
        return false;
    out->channels = y->shape.dim[out->channel_axis];
    return out->channels > 0 && pf_value_elems(weights) > 0;
}

static bool is_usable_bias(const pf_graph *graph, const pf_fold_linear *linear)
{
    double *items = NULL;
    bool    usable = false;

    if (linear->bias == PF_NONE)
        return true;
    items = pf_alloc((size_t)linear->channels * sizeof *items);
    usable = items && pf_fold_along(graph, linear->bias, graph->nodes[linear->node].op == PF_OP_GEMM ? 2 : 1,
                                    graph->nodes[linear->node].op == PF_OP_GEMM ? 1 : 0, linear->channels, items);
    pf_free(items);
    return usable;
}

bool pf_fold_find_linear(const pf_graph *graph, pf_value_id value, pf_fold_linear *out)
{
    static const pf_op_kind ops[] = { PF_OP_CONV, PF_OP_CONV_TRANSPOSE, PF_OP_GEMM, PF_OP_MATMUL };
    const pf_node          *node = NULL;

    *out = (pf_fold_linear){ .node = PF_NONE, .bias = PF_NONE };
    for (size_t i = 0; i < sizeof ops / sizeof ops[0] && out->node == PF_NONE; i++)
        out->node = pf_rewrite_maker(graph, value, ops[i]);
    if (out->node == PF_NONE)
        return false;
    node = &graph->nodes[out->node];
    out->x = node->in[0];
    out->weights = node->in[1];
    if (node->op != PF_OP_MATMUL && node->in_count > 2)
        out->bias = node->in[2];
    if (!is_numeric_constant(graph, out->weights) || !pf_dtype_is_float(graph->values[out->weights].dtype))
        return false;
    return find_channels(graph, out) && is_usable_bias(graph, out);
}

static pf_status scale_weights(pf_graph *graph, const pf_fold_linear *linear, double alpha, const double *scale,
                               pf_value_id *out, pf_err *err)
{
    const pf_value *weights = &graph->values[linear->weights];
    channel_map     map = map_of(graph, linear);
    pf_dtype        dtype = weights->dtype;
    int64_t         elems = pf_value_elems(weights);
    const void     *from = NULL;
    void           *data = NULL;

    *out = linear->weights;
    if (!scale && alpha == 1)
        return PF_OK;
    data = pf_arena_alloc(graph->arena, weights->constant.bytes);
    if (!data)
        return PF_FAIL_MEMORY(err, weights->constant.bytes);
    if (pf_constant_bytes(&weights->constant, &from, err))
        return PF_NO_SPACE;
    for (int64_t i = 0; i < elems; i++) {
        double factor = alpha * (scale ? scale[channel_of(&map, i)] : 1);

        if (dtype == PF_F32)        /* nearly always, and many */
            ((float *)data)[i] = (float)(((const float *)from)[i] * factor);
        else
            pf_dtype_set(dtype, data, (uint64_t)i, pf_dtype_get(dtype, from, (uint64_t)i) * factor);
    }
    return pf_graph_add_constant(graph, weights->name, dtype, &weights->shape, data, weights->constant.bytes, out, err);
}

static pf_status move_bias(pf_graph *graph, const pf_fold_linear *linear, double beta, const double *scale,
                           const double *shift, pf_value_id *out, pf_err *err)
{
    bool      is_gemm = graph->nodes[linear->node].op == PF_OP_GEMM;
    double   *items = NULL;
    pf_status st = PF_OK;

    *out = PF_NONE;
    if (linear->bias == PF_NONE && !shift)
        return PF_OK;
    items = pf_calloc((size_t)linear->channels, sizeof *items);
    if (!items)
        return PF_FAIL_MEMORY(err, (size_t)linear->channels * sizeof *items);
    if (linear->bias != PF_NONE)
        (void)pf_fold_along(graph, linear->bias, is_gemm ? 2 : 1, is_gemm ? 1 : 0, linear->channels, items);
    for (int64_t i = 0; i < linear->channels; i++)
        items[i] = items[i] * beta * (scale ? scale[i] : 1) + (shift ? shift[i] : 0);
    st = pf_fold_vector(graph, graph->values[linear->weights].dtype, items, linear->channels, out, err);
    pf_free(items);
    return st;
}

/* A matmul of matrices that gets a bias becomes a gemm; the others stay what they are. */
static pf_status add_linear(pf_graph *graph, const pf_fold_linear *linear, pf_value_id weights, pf_value_id bias,
                            const char *name, pf_value_id *out, pf_err *err)
{
    const pf_node *node = &graph->nodes[linear->node];
    pf_value_id    in[3] = { linear->x, weights, bias };
    pf_gemm_attrs  gemm = { .alpha = 1, .beta = 1 };
    bool           to_gemm = node->op == PF_OP_MATMUL && bias != PF_NONE;

    name = pf_rewrite_joined_name(graph, node->name, name);
    if (!name)
        return PF_FAIL_MEMORY(err, 1);
    if (node->op == PF_OP_GEMM) {
        gemm.trans_a = ((const pf_gemm_attrs *)node->attrs)->trans_a;
        gemm.trans_b = ((const pf_gemm_attrs *)node->attrs)->trans_b;
    } else if (to_gemm) {
        gemm.trans_a = ((const pf_matmul_attrs *)node->attrs)->trans_a;
        gemm.trans_b = ((const pf_matmul_attrs *)node->attrs)->trans_b;
    } else
        return pf_graph_add_node(graph, node->op, name, in, bias == PF_NONE ? 2 : 3, node->attrs, 1, out, err);
    return pf_graph_add_node(graph, PF_OP_GEMM, name, in, bias == PF_NONE ? 2 : 3, &gemm, 1, out, err);
}

pf_status pf_fold_into_linear(pf_graph *graph, const pf_fold_linear *linear, const double *scale, const double *shift,
                              const char *name, pf_value_id *out, pf_err *err)
{
    double      alpha = 1, beta = 1;
    pf_value_id weights = PF_NONE, bias = PF_NONE;
    pf_status   st = PF_OK;

    factors_of(&graph->nodes[linear->node], &alpha, &beta);
    st = scale_weights(graph, linear, alpha, scale, &weights, err);
    if (!st)
        st = move_bias(graph, linear, beta, scale, shift, &bias, err);
    return st ? st : add_linear(graph, linear, weights, bias, name, out, err);
}
