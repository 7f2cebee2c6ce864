/* Arithmetic with one way of writing it, so that other rules look for one thing:
     pow(x, 2), pow(x, 0.5), pow(x, -0.5), pow(x, -1)   x * x, sqrt, rsqrt, reciprocal
     1 / x, 1 / sqrt(x)                                 reciprocal, rsqrt
     x / c for a power of two c                         x * (1 / c), which is exact (49 * (1 / 49) is less than 1, and 0
                                                        when rounded down)
     |x| * |x|, -x * -x                                 x * x
     x - c, x + -y, x - -y, -1 * x                      x + -c, x - y, x + y, -x
     (x * c) * d, (x + c) + d                           x * (c d), x + (c + d) when x * c is read once
     where(not c, x, y)                                 where(c, y, x)
   Of floats. */
#include <math.h>

#include "base/alloc.h"
#include "engine/fold.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"

enum { CONSTANT_LIMIT = 1 << 20 };  /* elements of a constant that is computed anew */

typedef struct job { pf_graph *graph; pf_node node; pf_value_id out; } job;

static pf_status unary(job *j, pf_op_kind op, pf_value_id x, pf_err *err)
{
    return pf_graph_add_node(j->graph, op, j->node.name, &x, 1, NULL, 1, &j->out, err);
}

static bool number_at(const job *j, uint32_t slot, double *out)
{
    return pf_fold_uniform(j->graph, j->node.in[slot], out);
}

/* The input of the node that makes x, when it is of that op. */
static pf_value_id behind(const job *j, pf_value_id x, pf_op_kind op)
{
    pf_node_id node = pf_rewrite_maker(j->graph, x, op);

    return node == PF_NONE ? PF_NONE : j->graph->nodes[node].in[0];
}

static bool keeps_shape(const job *j, uint32_t slot)
{
    return pf_shape_equal(&j->graph->values[j->node.in[slot]].shape, &j->graph->values[j->node.out[0]].shape);
}

static pf_status simplify_pow(job *j, pf_err *err)
{
    static const struct { double exponent; pf_op_kind op; } roots[] = {
        { 0.5, PF_OP_SQRT }, { -0.5, PF_OP_RSQRT }, { -1, PF_OP_RECIPROCAL },
    };
    double exponent = 0;

    if (!number_at(j, 1, &exponent) || !keeps_shape(j, 0))
        return PF_OK;
    if (exponent == 2)
        return pf_make_binary(j->graph, PF_OP_MUL, j->node.name, j->node.in[0], j->node.in[0], &j->out, err);
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++)
        if (roots[i].exponent == exponent)
            return unary(j, roots[i].op, j->node.in[0], err);
    return PF_OK;
}

static pf_status simplify_reciprocal(job *j, pf_err *err)
{
    pf_value_id root = behind(j, j->node.in[0], PF_OP_SQRT);

    return root == PF_NONE ? PF_OK : unary(j, PF_OP_RSQRT, root, err);
}

static pf_status simplify_div(job *j, pf_err *err)
{
    double number = 0;
    int    exponent = 0;

    if (number_at(j, 0, &number) && number == 1 && keeps_shape(j, 1))
        return unary(j, PF_OP_RECIPROCAL, j->node.in[1], err);
    if (!number_at(j, 1, &number) || fabs(frexp(number, &exponent)) != 0.5 || exponent < -10 || exponent > 10 ||
        !keeps_shape(j, 0))
        return PF_OK;
    return pf_make_with_number(j->graph, PF_OP_MUL, j->node.name, j->node.in[0], 1 / number, &j->out, err);
}

/* A constant of a's shape made of a's elements; b PF_NONE or one number. */
static pf_status compute(job *j, pf_value_id a, double factor, double addend, pf_value_id *out, pf_err *err)
{
    pf_value  v = j->graph->values[a];
    int64_t   elems = (int64_t)pf_shape_elems(j->graph->dims, &v.shape);
    void     *data = pf_arena_alloc(j->graph->arena, v.constant.bytes + 1);

    if (!data)
        return PF_FAIL_MEMORY(err, v.constant.bytes);
    for (int64_t i = 0; i < elems; i++)
        pf_dtype_set(v.dtype, data, (uint64_t)i, pf_constant_get(&v.constant, v.dtype, (uint64_t)i) * factor + addend);
    return pf_graph_add_constant(j->graph, v.name, v.dtype, &v.shape, data, v.constant.bytes, out, err);
}

static bool is_small_constant(const job *j, pf_value_id x)
{
    const pf_value *v = &j->graph->values[x];

    return v->is_constant && pf_shape_elems(j->graph->dims, &v->shape) <= CONSTANT_LIMIT;
}

static pf_status simplify_sub(job *j, pf_err *err)
{
    pf_value_id negated = behind(j, j->node.in[1], PF_OP_NEG), constant = PF_NONE;
    pf_status   st = PF_OK;

    if (negated != PF_NONE)
        return pf_make_binary(j->graph, PF_OP_ADD, j->node.name, j->node.in[0], negated, &j->out, err);
    if (!is_small_constant(j, j->node.in[1]) || j->graph->values[j->node.in[0]].is_constant)
        return PF_OK;
    st = compute(j, j->node.in[1], -1, 0, &constant, err);
    return st ? st : pf_make_binary(j->graph, PF_OP_ADD, j->node.name, j->node.in[0], constant, &j->out, err);
}

/* (x op c) op d, one of c and d the same everywhere and the other as large as it was. */
static pf_status join_constants(job *j, pf_err *err)
{
    pf_node_id  inner = pf_rewrite_maker(j->graph, j->node.in[0], j->node.op);
    pf_value_id x = PF_NONE, c = PF_NONE, d = j->node.in[1], joined = PF_NONE;
    double      number = 0;
    pf_status   st = PF_OK;

    if (inner == PF_NONE || !pf_rewrite_used_once(j->graph, j->node.in[0]) || !is_small_constant(j, d) ||
        !is_small_constant(j, j->graph->nodes[inner].in[1]))
        return PF_OK;
    x = j->graph->nodes[inner].in[0];
    c = j->graph->nodes[inner].in[1];
    if (pf_fold_uniform(j->graph, d, &number) && keeps_shape(j, 0))
        st = compute(j, c, j->node.op == PF_OP_MUL ? number : 1, j->node.op == PF_OP_MUL ? 0 : number, &joined, err);
    else if (pf_fold_uniform(j->graph, c, &number) &&
             pf_shape_equal(&j->graph->values[x].shape, &j->graph->values[j->node.in[0]].shape))
        st = compute(j, d, j->node.op == PF_OP_MUL ? number : 1, j->node.op == PF_OP_MUL ? 0 : number, &joined, err);
    if (st || joined == PF_NONE)
        return st;
    return pf_make_binary(j->graph, j->node.op, j->node.name, x, joined, &j->out, err);
}

static pf_status simplify_add(job *j, pf_err *err)
{
    for (int i = 0; i < 2; i++) {
        pf_value_id negated = behind(j, j->node.in[i], PF_OP_NEG);

        if (negated != PF_NONE && !j->graph->values[j->node.in[1 - i]].is_constant)
            return pf_make_binary(j->graph, PF_OP_SUB, j->node.name, j->node.in[1 - i], negated, &j->out, err);
    }
    return join_constants(j, err);
}

static pf_status simplify_mul(job *j, pf_err *err)
{
    pf_value_id magnitude = behind(j, j->node.in[0], PF_OP_ABS), negated = behind(j, j->node.in[0], PF_OP_NEG);
    pf_value_id x = magnitude != PF_NONE ? magnitude : negated;
    double      number = 0;

    if (j->node.in[0] == j->node.in[1] && x != PF_NONE)
        return pf_make_binary(j->graph, PF_OP_MUL, j->node.name, x, x, &j->out, err);

    if (number_at(j, 1, &number) && number == -1 && keeps_shape(j, 0))
        return unary(j, PF_OP_NEG, j->node.in[0], err);
    return join_constants(j, err);
}

static pf_status simplify_where(job *j, pf_err *err)
{
    pf_value_id in[3] = { behind(j, j->node.in[0], PF_OP_NOT), j->node.in[2], j->node.in[1] };

    return in[0] == PF_NONE ? PF_OK
                            : pf_graph_add_node(j->graph, PF_OP_WHERE, j->node.name, in, 3, NULL, 1, &j->out, err);
}

static const struct { pf_op_kind op; pf_status (*run)(job *j, pf_err *err); } rows[] = {
    { PF_OP_POW, simplify_pow }, { PF_OP_RECIPROCAL, simplify_reciprocal }, { PF_OP_DIV, simplify_div },
    { PF_OP_SUB, simplify_sub },
    { PF_OP_ADD, simplify_add }, { PF_OP_MUL, simplify_mul },               { PF_OP_WHERE, simplify_where },
};

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph *graph = pf_rewrite_graph(rewrite);
    job       j = { graph, graph->nodes[id], PF_NONE };      /* a copy of the node: adding nodes moves them */
    pf_status st = PF_OK;

    if (j.node.out_count != 1 || !pf_dtype_is_float(graph->values[j.node.out[0]].dtype))
        return PF_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !st; i++)
        if (rows[i].op == j.node.op)
            st = rows[i].run(&j, err);
    return st || j.out == PF_NONE ? st : pf_rewrite_replace(rewrite, id, 0, j.out, changed, err);
}

const pf_rule pf_rule_simplify_arithmetic = {
    .name = "simplify_arithmetic",
    .summary = "one way of writing powers, quotients, differences and chains of constants",
    .phase = PF_RULES_CLEAN, .default_on = true, .apply = apply,
};
