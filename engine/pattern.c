#include "engine/pattern.h"

#include <math.h>
#include <string.h>

#include "engine/fold.h"
#include "engine/ops/attrs.h"

typedef struct matcher { const pf_graph *graph; pf_match *match; int effort; } matcher;

enum { EFFORT = 2000 };             /* comparisons for one answer */

static bool match_value(matcher *m, const pf_pattern *pattern, pf_value_id value);

static const pf_node *maker_of(const pf_graph *graph, pf_value_id value)
{
    return value == PF_NONE || graph->values[value].producer == PF_NONE ? NULL
                                                                        : &graph->nodes[graph->values[value].producer];
}

static bool note_node(matcher *m, const pf_node *node)
{
    if (m->match->node_count == PF_PATTERN_NODES)
        return false;
    m->match->nodes[m->match->node_count++] = (pf_node_id)(node - m->graph->nodes);
    return true;
}

/* ---- Numbers */

/* How far a constant of that type may lie from the number that was meant: a few units in its last place. */
static double tolerance_of(pf_dtype dtype) { return dtype == PF_F16 ? 2e-3 : dtype == PF_BF16 ? 1.6e-2 : 1e-5; }

static bool is_near(double value, double wanted, double tolerance) 
{
    return value == wanted || fabs(value - wanted) <= tolerance * fabs(wanted);     /* infinities are equal */
}

static bool match_number(matcher *m, const pf_pattern *pattern, double value, double tolerance)
{
    pf_match *match = m->match;

    if (pattern->kind == PF_PATTERN_NUMBER)
        return is_near(value, pattern->number, tolerance);
    if (match->has_number[pattern->slot])
        return is_near(value, match->number[pattern->slot], tolerance);
    match->has_number[pattern->slot] = true;
    match->number[pattern->slot] = value;
    return true;
}

static bool is_number(const pf_pattern *pattern)
{
    return pattern->kind == PF_PATTERN_NUMBER || pattern->kind == PF_PATTERN_ANY_NUMBER;
}

/* ---- Products and sums: lists of operands with one number */

typedef struct operands {
    bool        is_sum;
    pf_value_id at[PF_PATTERN_INPUTS];
    uint32_t    count;
    double      number;             /* the constants together */
    double      tolerance;
} operands;

static void take_number(operands *o, double value, pf_dtype dtype)
{
    o->number = o->is_sum ? o->number + value : o->number * value;
    o->tolerance = fmax(o->tolerance, tolerance_of(dtype));
}

/* False when there are too many. */
static bool take_operand(const matcher *m, operands *o, pf_value_id value)
{
    double number = 0;

    if (pf_fold_uniform(m->graph, value, &number)) {
        take_number(o, number, m->graph->values[value].dtype);
        return true;
    }
    if (o->count == PF_PATTERN_INPUTS)
        return false;
    o->at[o->count++] = value;
    return true;
}

/* What operand i consists of takes its place.  False when it does not consist of more. */
static bool open_operand(const matcher *m, const operands *from, uint32_t i, operands *out)
{
    const pf_node *node = maker_of(m->graph, from->at[i]);
    double         number = 0;
    pf_op_kind     joined = from->is_sum ? PF_OP_ADD : PF_OP_MUL, parted = from->is_sum ? PF_OP_SUB : PF_OP_DIV;

    if (!node)
        return false;
    *out = *from;
    memmove(&out->at[i], &out->at[i + 1], (out->count - i - 1) * sizeof out->at[0]);
    out->count--;
    if (node->op == joined)
        return take_operand(m, out, node->in[0]) && take_operand(m, out, node->in[1]);
    if (node->op == parted && pf_fold_uniform(m->graph, node->in[1], &number) && (from->is_sum || number != 0)) {
        take_number(out, from->is_sum ? -number : 1 / number, m->graph->values[node->in[1]].dtype);
        return take_operand(m, out, node->in[0]);
    }
    if (node->op == PF_OP_NEG && !from->is_sum) {
        take_number(out, -1, PF_F64);
        return take_operand(m, out, node->in[0]);
    }
    return false;
}

/* Pairs the patterns from `at` on with operands that are still free. */
static bool pair_up(matcher *m, const pf_pattern *const *patterns, uint32_t at, const operands *o, uint32_t used)
{
    if (at == o->count)
        return true;
    for (uint32_t i = 0; i < o->count; i++) {
        pf_match before = *m->match;

        if (!(used & 1u << i) && match_value(m, patterns[at], o->at[i]) &&
            pair_up(m, patterns, at + 1, o, used | 1u << i))
            return true;
        *m->match = before;
    }
    return false;
}

static bool match_operands(matcher *m, const pf_pattern *const *patterns, uint32_t count, const pf_pattern *number,
                           const operands *o)
{
    pf_match before = *m->match;

    if (--m->effort < 0)
        return false;
    if (o->count == count && pair_up(m, patterns, 0, o, 0) &&
        (number ? match_number(m, number, o->number, o->tolerance) : o->number == (o->is_sum ? 0 : 1)))
        return true;
    *m->match = before;
    for (uint32_t i = 0; i < o->count; i++) {
        operands opened;

        if (open_operand(m, o, i, &opened) && opened.count <= count && note_node(m, maker_of(m->graph, o->at[i])) &&
            match_operands(m, patterns, count, number, &opened))
            return true;
        *m->match = before;
    }
    return false;
}

static bool match_list(matcher *m, const pf_pattern *pattern, pf_value_id value)
{
    const pf_node    *node = maker_of(m->graph, value);
    const pf_pattern *patterns[PF_PATTERN_INPUTS] = { NULL }, *number = NULL;
    operands          whole = { .is_sum = pattern->op == PF_OP_ADD, .at = { value }, .count = 1 }, opened;
    uint32_t          count = 0;

    whole.number = whole.is_sum ? 0 : 1;
    for (int i = 0; i < PF_PATTERN_INPUTS && pattern->in[i]; i++) {
        if (is_number(pattern->in[i]))
            number = pattern->in[i];
        else
            patterns[count++] = pattern->in[i];
    }
    return open_operand(m, &whole, 0, &opened) && opened.count <= count && note_node(m, node) &&
           match_operands(m, patterns, count, number, &opened);
}

/* ---- Other nodes */

static bool match_inputs(matcher *m, const pf_pattern *pattern, const pf_node *node, bool swapped)
{
    for (uint32_t i = 0; i < node->in_count; i++)
        if (i >= PF_PATTERN_INPUTS || !pattern->in[i] ||
            !match_value(m, pattern->in[i], node->in[swapped && i < 2 ? 1 - i : i]))
            return false;
    return node->in_count == PF_PATTERN_INPUTS || !pattern->in[node->in_count];
}

/* A node that is to be known is the same one each time. */
static bool is_known_as(const matcher *m, const pf_pattern *pattern, pf_node_id node)
{
    pf_node_id known = pattern->slot ? m->match->known[pattern->slot - 1] : PF_NONE;

    return known == PF_NONE || known == node;
}

static bool match_node(matcher *m, const pf_pattern *pattern, pf_value_id value)
{
    const pf_node            *node = maker_of(m->graph, value);
    const pf_pointwise_attrs *attrs = pattern->has_attrs && node ? node->attrs : NULL;
    pf_match                  before = *m->match;

    if (!node || node->op != pattern->op || !is_known_as(m, pattern, m->graph->values[value].producer) ||
        (attrs && (!is_near(attrs->p, pattern->p, 1e-5) || !is_near(attrs->q, pattern->q, 1e-5))) ||
        !note_node(m, node))
        return false;
    if (pattern->slot)
        m->match->known[pattern->slot - 1] = m->graph->values[value].producer;
    if (match_inputs(m, pattern, node, false))
        return true;
    *m->match = before;
    return pf_op_def_of(node->op)->flags & PF_OPF_COMMUTATIVE && node->in_count == 2 && note_node(m, node) &&
           match_inputs(m, pattern, node, true);
}

static bool match_value(matcher *m, const pf_pattern *pattern, pf_value_id value)
{
    double number = 0;

    if (--m->effort < 0 || value == PF_NONE)
        return false;
    if (pattern->kind == PF_PATTERN_VALUE) {
        pf_value_id *bound = &m->match->value[pattern->slot];

        if (*bound == PF_NONE)
            *bound = value;
        return *bound == value;
    }
    if (is_number(pattern))
        return pf_fold_uniform(m->graph, value, &number) &&
               match_number(m, pattern, number, tolerance_of(m->graph->values[value].dtype));
    if (pattern->op == PF_OP_MUL || pattern->op == PF_OP_ADD)
        return match_list(m, pattern, value);
    return match_node(m, pattern, value);
}

bool pf_pattern_match(const pf_graph *graph, const pf_pattern *pattern, pf_value_id value, pf_match *out)
{
    matcher m = { graph, out, EFFORT };

    memset(out, 0, sizeof *out);
    for (int i = 0; i < PF_PATTERN_SLOTS; i++) {
        out->value[i] = PF_NONE;
        out->known[i] = PF_NONE;
    }
    return match_value(&m, pattern, value);
}

static bool is_inside(const pf_match *match, pf_node_id node)
{
    for (uint32_t i = 0; i < match->node_count; i++)
        if (match->nodes[i] == node)
            return true;
    return false;
}

bool pf_pattern_is_closed(const pf_graph *graph, const pf_match *match, pf_value_id value)
{
    for (uint32_t n = 0; n < match->node_count; n++) {
        const pf_node *node = &graph->nodes[match->nodes[n]];

        for (uint32_t o = 0; o < node->out_count; o++)
            for (uint32_t u = 0; node->out[o] != value && u < pf_graph_use_count(graph, node->out[o]); u++)
                if (!is_inside(match, pf_graph_use(graph, node->out[o], u).node))
                    return false;
    }
    return true;
}

/* ---- Rows */

static bool row_matches(const pf_graph *graph, const pf_pattern_row *row, pf_value_id value, pf_match *match)
{
    const pf_shape *to = &graph->values[value].shape;

    return pf_pattern_match(graph, row->pattern, value, match) &&
           pf_dtype_is_float(graph->values[match->value[0]].dtype) &&
           graph->values[match->value[0]].dtype == graph->values[value].dtype &&
           pf_shape_equal(&graph->values[match->value[0]].shape, to) &&
           (!row->allows || row->allows(match->number[0], match->number[1]));
}

pf_status pf_pattern_apply(pf_rewrite *rewrite, pf_node_id id, const pf_pattern_row *rows, size_t count, bool *changed,
                           pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_value_id made = graph->nodes[id].out[0];

    for (size_t i = 0; i < count; i++) {
        const pf_pattern_row *row = &rows[i];
        pf_match              match;
        pf_pointwise_attrs    attrs = { row->p, row->q };
        pf_value_id           out = PF_NONE;
        pf_status             st = PF_OK;

        if (row->pattern->op != graph->nodes[id].op && row->pattern->op != PF_OP_MUL && row->pattern->op != PF_OP_ADD)
            continue;
        if (!row_matches(graph, row, made, &match))
            continue;
        if (row->takes_p)
            attrs.p = match.number[0];
        if (row->takes_q)
            attrs.q = match.number[1];
        st = pf_graph_add_node(graph, row->op, graph->nodes[id].name, &match.value[0], 1, &attrs, 1, &out, err);
        return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
    }
    return PF_OK;
}
