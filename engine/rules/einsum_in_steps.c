/* An einsum that is no matrix product as others: a dim of one that is repeated goes, what one tensor has alone is
   summed first, of three tensors and more two are joined, and what sums nothing is a product element by element.
   Condition: with "->", no label twice in a term, dims with one label of one size or one. */
#include <string.h>

#include "engine/einsum_terms.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

enum { UNKNOWN_DIM = 32 };      /* counted for a symbol where sizes are compared */

typedef struct einsum {
    pf_graph       *graph;
    pf_node         node;       /* a copy: adding nodes moves them */
    pf_value_id     in[PF_EINSUM_INPUTS];
    pf_einsum_terms terms;
} einsum;

static pf_status again(const einsum *e, pf_value_id *out, pf_err *err)
{
    char            text[PF_EINSUM_TEXT_BYTES];
    pf_einsum_attrs attrs = { .equation = text };

    pf_einsum_write(&e->terms, text);
    return pf_graph_add_node(e->graph, PF_OP_EINSUM, e->node.name, e->in, (uint32_t)e->terms.inputs, &attrs, 1, out,
                             err);
}

static const pf_shape *shape_of(const einsum *e, int32_t i) { return &e->graph->values[e->in[i]].shape; }

/* Input i without the dims of one that count more elsewhere. */
static pf_status drop_ones(einsum *e, int32_t i, bool *changed, pf_err *err)
{
    pf_einsum_term rest = { .count = 0 };
    pf_shape       shape = { .rank = 0 };

    for (int32_t d = 0; d < shape_of(e, i)->rank; d++) {
        pf_dim dim = shape_of(e, i)->dim[d];

        if (dim == 1 && pf_einsum_dim(e->graph, &e->node, &e->terms, e->terms.in[i].label[d]) != 1)
            continue;
        (void)pf_einsum_add(&rest, e->terms.in[i].label[d]);
        shape.dim[shape.rank++] = dim;
    }
    *changed = rest.count < e->terms.in[i].count;
    e->terms.in[i] = rest;
    return *changed ? pf_make_reshape(e->graph, e->node.name, e->in[i], &shape, &e->in[i], err) : PF_OK;
}

static bool is_used(const einsum *e, char label, int32_t without, int32_t and_without)
{
    for (int32_t i = 0; i < e->terms.inputs; i++)
        if (i != without && i != and_without && pf_einsum_place(&e->terms.in[i], label) >= 0)
            return true;
    return pf_einsum_place(&e->terms.out, label) >= 0;
}

/* Input i summed over what it has alone. */
static pf_status sum_alone(einsum *e, int32_t i, bool *changed, pf_err *err)
{
    pf_einsum_term  rest = { .count = 0 };
    pf_reduce_attrs attrs = { .mode = PF_REDUCE_SUM };
    pf_value_id     x = e->in[i];

    for (int32_t d = 0; d < e->terms.in[i].count; d++)
        if (is_used(e, e->terms.in[i].label[d], i, i))
            (void)pf_einsum_add(&rest, e->terms.in[i].label[d]);
        else
            attrs.axes.at[attrs.axes.count++] = d;
    *changed = attrs.axes.count > 0;
    e->terms.in[i] = rest;
    return *changed ? pf_graph_add_node(e->graph, PF_OP_REDUCE, e->node.name, &x, 1, &attrs, 1, &e->in[i], err)
                    : PF_OK;
}

/* ---- Two of several tensors */

static double size_of(const einsum *e, const pf_einsum_term *term)
{
    double size = 1;

    for (int32_t d = 0; d < term->count; d++) {
        pf_dim dim = pf_einsum_dim(e->graph, &e->node, &e->terms, term->label[d]);

        size *= pf_dim_is_number(dim) ? (double)dim : UNKNOWN_DIM;
    }
    return size;
}

/* What i and j become: the labels that are wanted still, in the order of the one that has more. False: too many. */
static bool join_of(const einsum *e, int32_t i, int32_t j, pf_einsum_term *out)
{
    bool                  turned = e->terms.in[j].count > e->terms.in[i].count;
    const pf_einsum_term *both[] = { &e->terms.in[turned ? j : i], &e->terms.in[turned ? i : j] };

    *out = (pf_einsum_term){ .count = 0 };
    for (int b = 0; b < 2; b++)
        for (int32_t d = 0; d < both[b]->count; d++) {
            char label = both[b]->label[d];

            if (is_used(e, label, i, j) && pf_einsum_place(out, label) < 0 && !pf_einsum_add(out, label))
                return false;
        }
    return true;
}

/* The pair that adds least to what is kept. */
static bool find_pair(const einsum *e, int32_t *first, int32_t *second, pf_einsum_term *joined)
{
    double least = 0;
    bool   found = false;

    for (int32_t i = 0; i < e->terms.inputs; i++)
        for (int32_t j = i + 1; j < e->terms.inputs; j++) {
            pf_einsum_term made = { .count = 0 };
            double         added = 0;

            if (!join_of(e, i, j, &made))
                continue;
            added = size_of(e, &made) - size_of(e, &e->terms.in[i]) - size_of(e, &e->terms.in[j]);
            if (found && added >= least)
                continue;
            found = true;
            least = added;
            *first = i;
            *second = j;
            *joined = made;
        }
    return found;
}

static pf_status join_pair(einsum *e, pf_value_id *out, pf_err *err)
{
    einsum    pair = { .graph = e->graph, .node = e->node, .terms = { .inputs = 2 } };
    int32_t   i = 0, j = 0;
    pf_status st = PF_OK;

    if (!find_pair(e, &i, &j, &pair.terms.out))
        return PF_OK;
    pair.in[0] = e->in[i];
    pair.in[1] = e->in[j];
    pair.terms.in[0] = e->terms.in[i];
    pair.terms.in[1] = e->terms.in[j];
    e->terms.in[i] = pair.terms.out;
    st = again(&pair, &e->in[i], err);
    e->terms.inputs--;
    for (int32_t k = j; k < e->terms.inputs; k++) {
        e->in[k] = e->in[k + 1];
        e->terms.in[k] = e->terms.in[k + 1];
    }
    return st ? st : again(e, out, err);
}

/* ---- Two tensors of which nothing is summed */

/* Input i with a dim for each label of the result, in its order. */
static pf_status spread(einsum *e, int32_t i, pf_value_id *out, pf_err *err)
{
    const pf_einsum_term *term = &e->terms.in[i], *to = &e->terms.out;
    pf_shape              shape = { .rank = to->count };
    int64_t               perm[PF_MAX_RANK] = { 0 };
    int32_t               count = 0;
    pf_status             st = PF_OK;

    for (int32_t d = 0; d < to->count; d++) {
        int32_t from = pf_einsum_place(term, to->label[d]);

        shape.dim[d] = from < 0 ? 1 : shape_of(e, i)->dim[from];
        if (from >= 0)
            perm[count++] = from;
    }
    st = pf_make_transpose(e->graph, e->node.name, e->in[i], perm, out, err);
    return st ? st : pf_make_reshape(e->graph, e->node.name, *out, &shape, out, err);
}

static pf_status multiply(einsum *e, pf_value_id *out, pf_err *err)
{
    pf_value_id a = PF_NONE, b = PF_NONE;
    pf_status   st = spread(e, 0, &a, err);

    if (!st)
        st = spread(e, 1, &b, err);
    return st ? st : pf_make_binary(e->graph, PF_OP_MUL, e->node.name, a, b, out, err);
}

static bool sums_nothing(const einsum *e)
{
    for (int32_t i = 0; i < e->terms.inputs; i++)
        for (int32_t d = 0; d < e->terms.in[i].count; d++)
            if (pf_einsum_place(&e->terms.out, e->terms.in[i].label[d]) < 0)
                return false;
    return true;
}

/* Dims with one label count the same, or one. */
static bool dims_agree(const einsum *e)
{
    for (int32_t i = 0; i < e->terms.inputs; i++)
        for (int32_t d = 0; d < e->terms.in[i].count; d++) {
            pf_dim dim = shape_of(e, i)->dim[d];

            if (dim != 1 && dim != pf_einsum_dim(e->graph, &e->node, &e->terms, e->terms.in[i].label[d]))
                return false;
        }
    return true;
}

static pf_status step(einsum *e, pf_value_id *out, pf_err *err)
{
    bool      changed = e->terms.dots, one = false;
    pf_status st = PF_OK;

    for (int32_t i = 0; i < e->terms.inputs && !st; i++) {
        st = drop_ones(e, i, &one, err);
        changed |= one;
    }
    for (int32_t i = 0; i < e->terms.inputs && !st; i++) {
        st = sum_alone(e, i, &one, err);
        changed |= one;
    }
    if (st || changed)
        return st ? st : again(e, out, err);
    if (e->terms.inputs > 2)
        return join_pair(e, out, err);
    return e->terms.inputs == 2 && sums_nothing(e) ? multiply(e, out, err) : PF_OK;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    einsum      e = { .graph = pf_rewrite_graph(rewrite), .node = pf_rewrite_graph(rewrite)->nodes[id] };
    pf_value_id out = PF_NONE;
    pf_status   st = PF_OK;

    if (e.node.op != PF_OP_EINSUM || !pf_einsum_read(e.graph, &e.node, &e.terms))
        return PF_OK;
    memcpy(e.in, e.node.in, e.node.in_count * sizeof *e.in);
    e.node.in = e.in;
    if (dims_agree(&e))
        st = step(&e, &out, err);
    return st || out == PF_NONE ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_einsum_in_steps = {
    .name = "einsum_in_steps", .summary = "sums, products of two and multiplications instead of other einsums",
    .phase = PF_RULES_CLEAN, .default_on = true, .apply = apply,
};
