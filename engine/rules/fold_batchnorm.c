/* Batch normalization with known statistics is y = a x + b per channel, a = scale / sqrt(variance + epsilon), b = bias
   - a mean: part of the weights of the linear op before it, else a multiplication and an addition. */
#include <math.h>

#include "base/alloc.h"
#include "engine/fold.h"
#include "engine/ops/attrs.h"

enum { X, SCALE, BIAS, MEAN, VARIANCE, INPUTS };

/* items: SCALE.. VARIANCE, channels each, from 1 on; on success items[SCALE] is a and items[BIAS] is b. */
static bool read_affine(const pf_graph *graph, const pf_node *node, int64_t channels, double *items)
{
    double epsilon = ((const pf_batch_norm_attrs *)node->attrs)->epsilon;

    for (int i = SCALE; i < INPUTS; i++)
        if (!pf_fold_along(graph, node->in[i], 1, 0, channels, items + i * channels))
            return false;
    for (int64_t c = 0; c < channels; c++) {
        double *scale = items + SCALE * channels, *bias = items + BIAS * channels;

        scale[c] /= sqrt(items[VARIANCE * channels + c] + epsilon);
        bias[c] -= scale[c] * items[MEAN * channels + c];
        if (!isfinite(scale[c]) || !isfinite(bias[c]))
            return false;
    }
    return true;
}

static pf_status add_mul_add(pf_graph *graph, pf_node_id id, int64_t channels, const double *scale, const double *bias,
                             pf_value_id *out, pf_err *err)
{
    pf_value_id x = graph->nodes[id].in[X], product[2] = { x, PF_NONE }, sum[2] = { PF_NONE, PF_NONE };
    const char *name = graph->nodes[id].name;
    int32_t     rank = graph->values[x].shape.rank;
    pf_dtype    dtype = graph->values[x].dtype;
    pf_status   st = pf_fold_axis_vector(graph, dtype, scale, channels, rank - 1, 0, &product[1], err);

    if (!st)
        st = pf_fold_axis_vector(graph, dtype, bias, channels, rank - 1, 0, &sum[1], err);
    if (!st)
        st = pf_graph_add_node(graph, PF_OP_MUL, name, product, 2, NULL, 1, &sum[0], err);
    return st ? st : pf_graph_add_node(graph, PF_OP_ADD, name, sum, 2, NULL, 1, out, err);
}

static bool is_candidate(const pf_graph *graph, const pf_node *node)
{
    const pf_value *x = node->op == PF_OP_BATCH_NORM ? &graph->values[node->in[X]] : NULL;
    const pf_value *scale = x && node->in[SCALE] != PF_NONE ? &graph->values[node->in[SCALE]] : NULL;

    return scale && node->out_count == 1 && !((const pf_batch_norm_attrs *)node->attrs)->training &&
           x->shape.rank >= 2 && scale->is_constant && scale->shape.rank == 1;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph      *graph = pf_rewrite_graph(rewrite);
    pf_fold_linear linear;
    int64_t        channels = 0;
    double        *items = NULL;
    pf_value_id    out = PF_NONE;
    bool           folds = false;
    pf_status      st = PF_OK;

    if (!is_candidate(graph, &graph->nodes[id]))
        return PF_OK;
    channels = graph->values[graph->nodes[id].in[SCALE]].shape.dim[0];
    items = pf_alloc((size_t)channels * INPUTS * sizeof *items);
    if (!items)
        return PF_FAIL_MEMORY(err, (size_t)channels * INPUTS * sizeof *items);
    if (read_affine(graph, &graph->nodes[id], channels, items)) {
        folds = pf_rewrite_used_once(graph, graph->nodes[id].in[X]) &&
                pf_fold_find_linear(graph, graph->nodes[id].in[X], &linear) && linear.takes_bias &&
                linear.channel_axis == 1 && linear.channels == channels;
        if (folds)
            st = pf_fold_into_linear(graph, &linear, items + SCALE * channels, items + BIAS * channels,
                                     graph->nodes[id].name, &out, err);
        else
            st = add_mul_add(graph, id, channels, items + SCALE * channels, items + BIAS * channels, &out, err);
        if (!st)
            st = pf_rewrite_replace(rewrite, id, 0, out, changed, err);
    }
    pf_free(items);
    return st;
}

const pf_rule pf_rule_fold_batchnorm = {
    .name = "fold_batchnorm",
    .summary = "normalize by statistics inside the weights before, or by one multiply and add",
    .phase = PF_RULES_WEIGHTS, .default_on = true, .apply = apply,
};
