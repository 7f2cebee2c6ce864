/* A constant per output channel that is multiplied with or added to what a linear op makes becomes part of its
   weights. */
#include <math.h>

#include "base/alloc.h"
#include "engine/fold.h"
#include "engine/ops/attrs.h"

/* What op(x, c) is as scale * x + shift. */
typedef struct affine_row {
    pf_op_kind op;
    void (*split)(double c, double *scale, double *shift);
    bool has_scale, has_shift;
} affine_row;

static void split_add(double c, double *scale, double *shift) { (void)scale, *shift = c; }
static void split_sub(double c, double *scale, double *shift) { (void)scale, *shift = -c; }
static void split_mul(double c, double *scale, double *shift) { (void)shift, *scale = c; }
static void split_div(double c, double *scale, double *shift) { (void)shift, *scale = 1 / c; }

static const affine_row rows[] = {
    { PF_OP_ADD, split_add, false, true }, { PF_OP_SUB, split_sub, false, true },
    { PF_OP_MUL, split_mul, true, false }, { PF_OP_DIV, split_div, true, false },
};

static const affine_row *find_row(pf_op_kind op)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].op == op)
            return &rows[i];
    return NULL;
}

/* Reads the constant at slot 1 into items; items[channels..] get the shifts. */
static bool read_affine(const pf_graph *graph, const pf_node *node, const affine_row *row, const pf_fold_linear *linear,
                        double *items)
{
    int32_t rank = graph->values[node->out[0]].shape.rank;

    if (!pf_fold_along(graph, node->in[1], rank, linear->channel_axis, linear->channels, items))
        return false;
    for (int64_t i = 0; i < linear->channels; i++) {
        row->split(items[i], &items[i], &items[linear->channels + i]);
        if (!isfinite(items[i]) || !isfinite(items[linear->channels + i]))
            return false;
    }
    return true;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph         *graph = pf_rewrite_graph(rewrite);
    const affine_row *row = find_row(graph->nodes[id].op);
    pf_fold_linear    linear;
    double           *items = NULL;
    pf_value_id       x = row ? graph->nodes[id].in[0] : PF_NONE, out = PF_NONE;
    pf_status         st = PF_OK;

    if (!row || !pf_rewrite_used_once(graph, x) || !pf_fold_find_linear(graph, x, &linear) ||
        (row->has_shift && !linear.takes_bias) ||
        !pf_shape_equal(&graph->values[x].shape, &graph->values[graph->nodes[id].out[0]].shape))
        return PF_OK;
    items = pf_calloc(2 * (size_t)linear.channels, sizeof *items);
    if (!items)
        return PF_FAIL_MEMORY(err, 2 * (size_t)linear.channels * sizeof *items);
    if (read_affine(graph, &graph->nodes[id], row, &linear, items)) {
        st = pf_fold_into_linear(graph, &linear, row->has_scale ? items : NULL,
                                 row->has_shift ? items + linear.channels : NULL, graph->nodes[id].name, &out, err);
        if (!st)
            st = pf_rewrite_replace(rewrite, id, 0, out, changed, err);
    }
    pf_free(items);
    return st;
}

const pf_rule pf_rule_fold_scale = {
    .name = "fold_scale", .summary = "multiply and add constants inside the weights before", .phase = PF_RULES_WEIGHTS,
    .default_on = true, .apply = apply,
};
