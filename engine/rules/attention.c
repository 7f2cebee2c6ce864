/* softmax(scale * q k^T + mask) v becomes attention.
   The scale may stand on q, on k, on both or on the scores, as product or quotient, and may differ from head to head.
   The mask may be added, or chosen by where, to scores whose batch is two dims for it (windows of an image); a causal
   one is recognized.  Repeated heads of k and v (grouped queries) are read once.  The heads may be a dim of their own
   or one with the batch; several dims before them (images and windows) are joined.  The second product may be
   transposed (v p^T).
   Condition: q, k and v have one type, nothing else reads scores or probabilities, each dim of the mask is 1 or that of
   the scores, and a head has at most 256 elements. */
#include <math.h>
#include <string.h>

#include "engine/attention_mask.h"
#include "engine/fold.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/ops/content.h"
#include "engine/reshape_map.h"

enum { DEPTH_LIMIT = 16, HEADS = 1, RANK = 4, SIZE_LIMIT = 256 };

typedef struct finder {
    pf_graph   *graph;
    double      scale, softcap;
    pf_mask     mask;
    pf_shape    masked[PF_MASK_TERMS];  /* what each term is broadcast to */
    pf_value_id head_scale;         /* [.., heads, 1 or length, 1]; PF_NONE: none */
    pf_dim      batch, heads;       /* as seen in a value of rank 4; batch PF_DIM_INVALID: not seen */
    pf_node_id  product;            /* q k^T */
    pf_value_id scores;             /* what the softmax reads */
    pf_value_id q, k, v;            /* rank 4, [batch, heads, length, size] */
    const char *name;
} finder;

static bool is_float(const pf_graph *graph, pf_value_id value) { return pf_dtype_is_float(graph->values[value].dtype); }

static void note_heads(finder *f, pf_value_id value)
{
    const pf_shape *shape = &f->graph->values[value].shape;

    if (shape->rank == RANK && f->batch == PF_DIM_INVALID) {
        f->batch = shape->dim[0];
        f->heads = shape->dim[1];
    }
}

/* ---- From the softmax down to the product of q and k */

static bool walk(finder *f, pf_value_id value, int depth);

static bool walk_first(finder *f, const pf_node *node, int depth) { return walk(f, node->in[0], depth); }
static bool walk_cast(finder *f, const pf_node *node, int depth)
{
    return is_float(f->graph, node->in[0]) && walk(f, node->in[0], depth);
}

static bool walk_product(finder *f, const pf_node *node, int depth)
{
    (void)depth;
    f->product = (pf_node_id)(node - f->graph->nodes);
    return true;
}

/* Batch and heads may be one dim or two. */
static bool walk_reshape(finder *f, const pf_node *node, int depth)
{
    const pf_shape *from = &f->graph->values[node->in[0]].shape, *to = &f->graph->values[node->out[0]].shape;

    if (from->rank < 3 || to->rank < 3 || from->dim[from->rank - 1] != to->dim[to->rank - 1] ||
        from->dim[from->rank - 2] != to->dim[to->rank - 2])
        return false;
    note_heads(f, node->out[0]);
    return walk(f, node->in[0], depth);
}

static bool walk_scaled(finder *f, const pf_node *node, double factor, int depth)
{
    const pf_node *inner = pf_graph_maker(f->graph, node->in[0]);

    if (inner && inner->op == PF_OP_TANH && f->scale == 1 && f->softcap == 0 && f->head_scale == PF_NONE &&
        factor > 0) {
        pf_mask outside = f->mask;

        f->softcap = factor;
        f->scale = factor;
        return pf_rewrite_used_once(f->graph, node->in[0]) && walk(f, inner->in[0], depth) &&
               f->mask.count == outside.count;
    }
    f->scale *= factor;
    return walk(f, node->in[0], depth);
}

/* Each row of the scores has its own factor, which is one of q as well. */
static bool walk_head_scale(finder *f, const pf_node *node, int depth)
{
    const pf_shape *scale = &f->graph->values[node->in[1]].shape, *scores = &f->graph->values[node->out[0]].shape;
    uint32_t        outside = f->mask.count;

    if (f->head_scale != PF_NONE || scores->rank != RANK || scale->rank < 1 || scale->dim[scale->rank - 1] != 1 ||
        !pf_shape_equal(scores, &f->graph->values[node->in[0]].shape))
        return false;
    f->head_scale = node->in[1];
    return walk(f, node->in[0], depth) && f->mask.count == outside;
}

static bool walk_mul(finder *f, const pf_node *node, int depth)
{
    double factor = 0;

    if (!pf_fold_uniform(f->graph, node->in[1], &factor))
        return walk_head_scale(f, node, depth);
    return factor != 0 && walk_scaled(f, node, factor, depth);
}

static bool walk_div(finder *f, const pf_node *node, int depth)
{
    double divisor = 0;

    return pf_fold_uniform(f->graph, node->in[1], &divisor) && divisor != 0 && walk_scaled(f, node, 1 / divisor, depth);
}

/* Goes on at one operand and takes the other for a mask. */
static bool walk_masked(finder *f, const pf_node *node, pf_value_id scores, pf_mask_term term, int depth)
{
    if (f->mask.count == PF_MASK_TERMS || (term.kind != PF_MASK_ADD && !(term.instead <= PF_MASK_HIDDEN)))
        return false;
    f->masked[f->mask.count] = f->graph->values[node->out[0]].shape;
    f->mask.terms[f->mask.count++] = term;
    return walk(f, scores, depth);
}

static bool walk_add(finder *f, const pf_node *node, int depth)
{
    finder before = *f;

    for (int side = 0; side < 2; side++) {
        *f = before;
        if (walk_masked(f, node, node->in[side], (pf_mask_term){ PF_MASK_ADD, node->in[1 - side], f->scale, 0 }, depth))
            return true;
    }
    return false;
}

static bool walk_sub(finder *f, const pf_node *node, int depth)
{
    return walk_masked(f, node, node->in[0], (pf_mask_term){ PF_MASK_ADD, node->in[1], -f->scale, 0 }, depth);
}

static bool walk_where(finder *f, const pf_node *node, int depth)
{
    finder before = *f;
    double instead = 0;

    for (int side = 1; side < 3; side++) {
        pf_mask_kind kind = side == 1 ? PF_MASK_KEEP : PF_MASK_DROP;

        *f = before;
        if (pf_fold_uniform(f->graph, node->in[3 - side], &instead) &&
            walk_masked(f, node, node->in[side], (pf_mask_term){ kind, node->in[0], 1, instead * f->scale }, depth))
            return true;
    }
    return false;
}

/* max(scores, the least number there is) */
static bool walk_max(finder *f, const pf_node *node, int depth)
{
    double least = 0;

    return pf_fold_uniform(f->graph, node->in[1], &least) && least <= -65504 && walk(f, node->in[0], depth);
}

static bool walk_clip(finder *f, const pf_node *node, int depth)
{
    const pf_pointwise_attrs *attrs = node->attrs;

    return attrs->p <= -65504 && attrs->q >= 65504 && walk(f, node->in[0], depth);
}

static const struct { pf_op_kind op; bool (*run)(finder *f, const pf_node *node, int depth); } steps[] = {
    { PF_OP_MATMUL, walk_product }, { PF_OP_ADD, walk_add },   { PF_OP_SUB, walk_sub },         { PF_OP_MUL, walk_mul },
    { PF_OP_DIV, walk_div },        { PF_OP_WHERE, walk_where }, { PF_OP_CAST, walk_cast },
    { PF_OP_RESHAPE, walk_reshape },
    { PF_OP_MAX, walk_max },        { PF_OP_CLIP, walk_clip }, { PF_OP_IDENTITY, walk_first },
};

static bool walk(finder *f, pf_value_id value, int depth)
{
    const pf_node *node = pf_graph_maker(f->graph, value);

    if (!node || depth >= DEPTH_LIMIT || (value != f->scores && !pf_rewrite_used_once(f->graph, value)))
        return false;
    note_heads(f, value);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (steps[i].op == node->op)
            return steps[i].run(f, node, depth + 1);
    return false;
}

/* ---- From the second product up to the softmax */

/* Is cond isnan(probabilities), or made from scores == -inf, row by row?  Such a row gives 0 in attention too. */
static bool guards(const finder *f, pf_value_id cond, pf_value_id probabilities, pf_value_id scores)
{
    for (int i = 0; i < DEPTH_LIMIT; i++) {
        const pf_node *node = pf_graph_maker(f->graph, cond);
        double         value = 0;

        if (!node)
            return false;
        if (node->op == PF_OP_IS_NAN)
            return node->in[0] == probabilities;
        if (node->op == PF_OP_EQUAL && node->in[0] == scores)
            return pf_fold_uniform(f->graph, node->in[1], &value) && value == -INFINITY;
        if (node->op != PF_OP_NOT && node->op != PF_OP_CAST && node->op != PF_OP_REDUCE)
            return false;
        cond = node->in[0];
    }
    return false;
}

static bool reads_nothing_else(const finder *f, pf_value_id value, pf_value_id cond)
{
    const pf_graph *graph = f->graph;
    uint32_t        others = 0;

    for (uint32_t i = 0; i < pf_graph_use_count(graph, value); i++) {
        pf_use use = pf_graph_use(graph, value, i);

        if (use.node == PF_NONE)
            return false;
        others += cond == PF_NONE ||
                  (graph->nodes[use.node].op != PF_OP_IS_NAN && graph->nodes[use.node].op != PF_OP_EQUAL);
    }
    return others == 1;
}

/* where(guard, 0, probabilities); false when it is something else. */
static bool pass_guard(finder *f, const pf_node *node, pf_value_id *cond)
{
    double         zero = 1;
    pf_node_id     softmax = pf_rewrite_maker(f->graph, node->in[2], PF_OP_SOFTMAX);

    *cond = node->in[0];
    return softmax != PF_NONE && pf_fold_uniform(f->graph, node->in[1], &zero) && zero == 0 &&
           guards(f, *cond, node->in[2], f->graph->nodes[softmax].in[0]);
}

static bool find_softmax(finder *f, pf_value_id value)
{
    pf_value_id cond = PF_NONE;

    for (int i = 0; i < DEPTH_LIMIT; i++) {
        const pf_node *node = pf_graph_maker(f->graph, value);

        if (!node || !reads_nothing_else(f, value, cond))
            return false;
        note_heads(f, value);
        if (node->op == PF_OP_SOFTMAX) {
            f->scores = node->in[0];
            return ((const pf_axis_attrs *)node->attrs)->axis == f->graph->values[value].shape.rank - 1 &&
                   reads_nothing_else(f, f->scores, cond) && walk(f, f->scores, 0);
        }
        if (node->op == PF_OP_WHERE ? !pass_guard(f, node, &cond)
                                    : node->op != PF_OP_CAST && node->op != PF_OP_RESHAPE && node->op != PF_OP_IDENTITY)
            return false;
        value = node->in[node->op == PF_OP_WHERE ? 2 : 0];
    }
    return false;
}

/* ---- q, k and v */

/* A factor that the elements of x were multiplied with, taken out of it through what only moves them. */
static pf_status take_scale(finder *f, pf_value_id *x, int depth, pf_err *err)
{
    const pf_node *node = pf_graph_maker(f->graph, *x);
    pf_node        copy = { 0 };
    pf_value_id    in = PF_NONE;
    double         factor = 0;
    pf_status      st = PF_OK;

    if (!node || depth > DEPTH_LIMIT)
        return PF_OK;
    copy = *node;
    if ((node->op == PF_OP_MUL || node->op == PF_OP_DIV) && pf_fold_uniform(f->graph, node->in[1], &factor) &&
        factor != 0) {
        f->scale *= node->op == PF_OP_MUL ? factor : 1 / factor;
        *x = node->in[0];
        return take_scale(f, x, depth + 1, err);
    }
    if (node->op != PF_OP_TRANSPOSE && node->op != PF_OP_RESHAPE && node->op != PF_OP_EXPAND)
        return PF_OK;
    in = copy.in[0];
    st = take_scale(f, &in, depth + 1, err);
    if (st || in == copy.in[0])
        return st;
    return pf_graph_add_node(f->graph, copy.op, copy.name, &in, 1, copy.attrs, 1, x, err);
}

/* All dims before the heads as one. */
static pf_status join_leading(finder *f, pf_value_id *x, pf_err *err)
{
    pf_shape shape = f->graph->values[*x].shape, wanted = { .rank = RANK, .dim = { 1 } };

    for (int32_t d = 0; d < shape.rank - 3; d++)
        wanted.dim[0] = pf_dim_mul(f->graph->dims, wanted.dim[0], shape.dim[d]);
    memcpy(&wanted.dim[1], &shape.dim[shape.rank - 3], 3 * sizeof wanted.dim[0]);
    return pf_make_reshape(f->graph, f->name, *x, &wanted, x, err);
}

/* [batch * heads, ...] gets its heads back; without heads there is one.  *x PF_NONE: it does not fit. */
static pf_status to_rank_4(finder *f, pf_value_id *x, pf_err *err)
{
    pf_shape shape = f->graph->values[*x].shape, wanted = { .rank = RANK };

    if (shape.rank >= RANK)
        return shape.rank == RANK ? PF_OK : join_leading(f, x, err);
    wanted.dim[0] = shape.dim[0];
    wanted.dim[1] = 1;
    if (f->batch != PF_DIM_INVALID) {
        wanted.dim[0] = f->batch;
        wanted.dim[1] = f->heads;
    }
    wanted.dim[2] = shape.dim[1];
    wanted.dim[3] = shape.dim[2];
    if (shape.rank != RANK - 1 || pf_dim_mul(f->graph->dims, wanted.dim[0], wanted.dim[1]) != shape.dim[0]) {
        *x = PF_NONE;
        return PF_OK;
    }
    return pf_make_reshape(f->graph, f->name, *x, &wanted, x, err);
}

/* The value whose dim at `axis` (of 1) the node repeats; PF_NONE when it does anything else. */
static pf_value_id repeated(const pf_graph *graph, const pf_node *node, int32_t axis)
{
    const pf_shape *from = NULL, *to = &graph->values[node->out[0]].shape;

    if (node->op == PF_OP_CONCAT)
        for (uint32_t i = 1; i < node->in_count; i++)
            if (((const pf_axis_attrs *)node->attrs)->axis != axis || node->in[i] != node->in[0])
                return PF_NONE;
    if (node->op != PF_OP_CONCAT && node->op != PF_OP_EXPAND && node->op != PF_OP_TILE)
        return PF_NONE;
    from = &graph->values[node->in[0]].shape;
    if (from->rank != to->rank || axis >= from->rank || from->dim[axis] != 1)
        return PF_NONE;
    for (int32_t d = 0; d < from->rank; d++)
        if (d != axis && from->dim[d] != to->dim[d])
            return PF_NONE;
    return node->in[0];
}

/* Takes a repetition of heads out of x, whose dim `axis` counts them: [.., kv, 1, ..] made [.., kv, group, ..], and
   then [.., kv * group, ..]. */
static pf_status take_repeat(finder *f, pf_value_id *x, int32_t axis, int depth, pf_err *err)
{
    const pf_node *node = pf_graph_maker(f->graph, *x), *spread = NULL;
    pf_node        copy = { 0 };
    pf_value_id    in = PF_NONE;
    pf_shape       wanted = f->graph->values[*x].shape;
    pf_status      st = PF_OK;

    if (!node || depth > DEPTH_LIMIT)
        return PF_OK;
    copy = *node;
    in = repeated(f->graph, node, axis);
    if (in != PF_NONE) {            /* all heads read one */
        *x = in;
        return PF_OK;
    }
    in = node->in_count ? node->in[0] : PF_NONE;
    if (node->op == PF_OP_TRANSPOSE) {
        st = take_repeat(f, &in, (int32_t)((const pf_transpose_attrs *)node->attrs)->perm.at[axis], depth + 1, err);
        return st || in == copy.in[0] ? st
                                      : pf_graph_add_node(f->graph, copy.op, copy.name, &in, 1, copy.attrs, 1, x, err);
    }
    spread = node->op == PF_OP_RESHAPE ? pf_graph_maker(f->graph, in) : NULL;
    if (!spread || f->graph->values[in].shape.rank != wanted.rank + 1)
        return PF_OK;
    for (int32_t d = 0; d < wanted.rank; d++)
        if (d != axis && f->graph->values[in].shape.dim[d < axis ? d : d + 1] != wanted.dim[d])
            return PF_OK;
    wanted.dim[axis] = f->graph->values[in].shape.dim[axis];
    in = repeated(f->graph, spread, axis + 1);
    return in == PF_NONE ? PF_OK : pf_make_reshape(f->graph, copy.name, in, &wanted, x, err);
}

static pf_status take_repeats(finder *f, pf_err *err)
{
    pf_value_id k = f->k, v = f->v;
    pf_status   st = take_repeat(f, &k, HEADS, 0, err);

    if (!st)
        st = take_repeat(f, &v, HEADS, 0, err);
    if (!st && f->graph->values[k].shape.dim[HEADS] == f->graph->values[v].shape.dim[HEADS]) {
        f->k = k;
        f->v = v;
    }
    return st;
}

static bool fits(const finder *f)
{
    const pf_dim *q = f->graph->values[f->q].shape.dim, *k = f->graph->values[f->k].shape.dim,
                 *v = f->graph->values[f->v].shape.dim;

    if (f->graph->values[f->q].dtype != f->graph->values[f->k].dtype ||
        f->graph->values[f->q].dtype != f->graph->values[f->v].dtype)
        return false;
    if (q[0] != k[0] || q[0] != v[0] || k[1] != v[1] || q[3] != k[3] || k[2] != v[2])
        return false;
    return q[1] == k[1] || k[1] == 1 ||
           (pf_dim_is_number(q[1]) && pf_dim_is_number(k[1]) && k[1] > 0 && q[1] % k[1] == 0);
}

static pf_status place(finder *f, pf_value_id *x, bool swap, pf_err *err)
{
    pf_status st = swap ? pf_make_swapped(f->graph, f->name, *x, x, err) : PF_OK;

    return st ? st : to_rank_4(f, x, err);
}

/* Fused kernels keep a head's row in registers: deeper heads are two products and a softmax, which libraries do
   better. */
static bool is_shallow(const finder *f)
{
    pf_dim size = f->graph->values[f->q].shape.dim[RANK - 1];

    return !pf_dim_is_number(size) || size <= SIZE_LIMIT;
}

/* q times the factors of its rows; *found is false when they are of other rows or of another type. */
static pf_status scale_rows(finder *f, bool *found, pf_err *err)
{
    pf_value_id q = f->q;
    pf_status   st = PF_OK;

    *found = true;
    if (f->head_scale == PF_NONE)
        return PF_OK;
    *found = f->graph->values[q].dtype == f->graph->values[f->head_scale].dtype &&
             f->graph->values[f->head_scale].shape.rank <= RANK;
    if (*found)
        st = pf_make_binary(f->graph, PF_OP_MUL, f->name, q, f->head_scale, &f->q, err);
    *found &= !st && pf_shape_equal(&f->graph->values[q].shape, &f->graph->values[f->q].shape);
    return st;
}

/* Has x the rank of the product, and the dims that are joined, too?  Broadcast ones could fit once they are joined. */
static bool leads_alike(const finder *f, pf_value_id x, pf_value_id product)
{
    const pf_shape *shape = &f->graph->values[x].shape, *whole = &f->graph->values[product].shape;

    if (shape->rank != whole->rank || shape->rank < RANK - 1)
        return false;
    for (int32_t d = 0; shape->rank > RANK && d < shape->rank - 3; d++)
        if (shape->dim[d] != whole->dim[d])
            return false;
    return true;
}

/* Brings them to [batch, heads, length, size]; *found is false when they do not fit together. */
static pf_status find_inputs(finder *f, pf_node_id second, bool v_first, bool *found, pf_err *err)
{
    const pf_node  *first = &f->graph->nodes[f->product], *last = &f->graph->nodes[second];
    pf_matmul_attrs a = *(const pf_matmul_attrs *)first->attrs, b = *(const pf_matmul_attrs *)last->attrs;
    pf_status       st = PF_OK;

    f->q = first->in[0];
    f->k = first->in[1];
    f->v = last->in[v_first ? 0 : 1];
    *found = false;
    if (!leads_alike(f, f->q, first->out[0]) || !leads_alike(f, f->k, first->out[0]) ||
        !leads_alike(f, f->v, last->out[0]))
        return PF_OK;
    st = take_scale(f, &f->q, 0, err);
    if (!st)
        st = take_scale(f, &f->k, 0, err);
    if (!st)
        st = place(f, &f->q, a.trans_a, err);
    if (!st)
        st = place(f, &f->k, !a.trans_b, err);
    if (!st)
        st = place(f, &f->v, v_first ? !b.trans_a : b.trans_b, err);
    if (st || f->q == PF_NONE || f->k == PF_NONE || f->v == PF_NONE)
        return st;
    st = scale_rows(f, found, err);
    if (!st && *found)
        st = take_repeats(f, err);
    *found &= !st && fits(f) && is_shallow(f);
    return st;
}

/* ---- The mask */

/* A mask that is broadcast to `at`, which holds the scores with other leading dims, is broadcast to the scores.  *mask
   PF_NONE: it does not fit. */
static pf_status to_scores(finder *f, pf_value_id *mask, const pf_shape *at, const pf_shape *scores, pf_err *err)
{
    pf_shape         shape = f->graph->values[*mask].shape, wide = { .rank = at->rank }, spread = *at, out = *scores;
    pf_shape         from = { .rank = at->rank - 2 },
    to = { .rank = RANK - 2, .dim = { scores->dim[0], scores->dim[1] } };
    pf_reshape_group groups[PF_RESHAPE_GROUPS];
    int32_t          count = 0, missing = at->rank - shape.rank;
    pf_status        st = PF_OK;

    memcpy(from.dim, at->dim, (size_t)from.rank * sizeof from.dim[0]);
    count = pf_reshape_groups(f->graph->dims, &from, &to, groups);
    if (missing < 0 || !count) {
        *mask = PF_NONE;
        return PF_OK;
    }
    for (int32_t d = 0; d < at->rank; d++)
        wide.dim[d] = d < missing ? 1 : shape.dim[d - missing];
    for (int32_t d = 1; d <= 2; d++)
        spread.dim[at->rank - d] = out.dim[RANK - d] = wide.dim[at->rank - d];
    for (int32_t g = 0; g < count; g++) {
        bool varies = false;

        for (int32_t d = groups[g].from; d < groups[g].from + groups[g].from_count; d++)
            varies |= wide.dim[d] != 1;
        for (int32_t d = groups[g].from; d < groups[g].from + groups[g].from_count && !varies; d++)
            spread.dim[d] = 1;
        for (int32_t d = groups[g].to; d < groups[g].to + groups[g].to_count && !varies; d++)
            out.dim[d] = 1;
    }
    st = pf_make_reshape(f->graph, f->name, *mask, &wide, mask, err);
    if (!st)
        st = pf_make_expand(f->graph, f->name, *mask, &spread, mask, err);
    return st ? st : pf_make_reshape(f->graph, f->name, *mask, &out, mask, err);
}

/* Masks broadcast to [batch * heads, ..] get a dim for the heads.  False when one does not fit. */
static pf_status place_masks(finder *f, bool *found, pf_err *err)
{
    pf_shape  scores = { RANK,
                         { f->graph->values[f->q].shape.dim[0], f->graph->values[f->q].shape.dim[1],
                           f->graph->values[f->q].shape.dim[2], f->graph->values[f->k].shape.dim[2] } };
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < f->mask.count && !st; i++) {
        pf_value_id *mask = &f->mask.terms[i].value;
        pf_shape     shape = f->graph->values[*mask].shape;

        if (f->masked[i].rank > RANK)
            st = to_scores(f, mask, &f->masked[i], &scores, err);
        else if (shape.rank == RANK - 1 && shape.dim[0] != 1 && f->graph->values[f->scores].shape.rank == RANK - 1)
            st = to_rank_4(f, mask, err);
        *found = !st && *mask != PF_NONE;
        if (!*found)
            break;
        shape = f->graph->values[*mask].shape;
        *found = shape.rank >= 0 && shape.rank <= RANK;
        for (int32_t d = 0; d < shape.rank && *found; d++) {
            pf_dim want = scores.dim[RANK - shape.rank + d];

            *found = shape.dim[d] == 1 || shape.dim[d] == want;
        }
        if (!*found)
            break;
    }
    return st;
}

static pf_status add_attention(finder *f, pf_value_id *out, pf_err *err)
{
    pf_graph          *graph = f->graph;
    pf_shape           scores = { RANK, { 0 } };
    pf_attention_attrs attrs = { .scale = f->scale, .softcap = f->softcap };
    pf_value_id        in[4] = { f->q, f->k, f->v, PF_NONE };
    pf_status          st = PF_OK;

    memcpy(scores.dim, graph->values[f->q].shape.dim, 3 * sizeof scores.dim[0]);
    scores.dim[3] = graph->values[f->k].shape.dim[2];
    st = pf_mask_split(graph, &f->mask, &scores, graph->values[f->q].dtype, &attrs.causal, &in[3], err);
    return st ? st
              : pf_graph_add_node(graph, PF_OP_ATTENTION, f->name, in, in[3] == PF_NONE ? 3 : 4, &attrs, 1, out, err);
}

/* Looks for p in p v, or in v p^T. */
static bool find(finder *f, pf_node_id id, bool *v_first)
{
    const pf_node         *node = &f->graph->nodes[id];
    const pf_matmul_attrs *attrs = node->op == PF_OP_MATMUL ? node->attrs : NULL;
    finder                 start = *f;

    *v_first = false;
    if (!attrs)
        return false;
    if (!attrs->trans_a && find_softmax(f, node->in[0]))
        return true;
    *f = start;
    *v_first = true;
    return attrs->trans_b && find_softmax(f, node->in[1]);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    finder      f = { .graph = graph, .scale = 1, .batch = PF_DIM_INVALID, .product = PF_NONE, .scores = PF_NONE,
                      .head_scale = PF_NONE };
    pf_shape    wanted = graph->values[graph->nodes[id].out[0]].shape;
    pf_value_id out = PF_NONE;
    pf_node_id  before = graph->node_count;
    bool        v_first = false, found = false;
    pf_status   st = PF_OK;

    if (!find(&f, id, &v_first))
        return PF_OK;
    f.name = pf_rewrite_joined_name(graph, graph->nodes[f.product].name, graph->nodes[id].name);
    if (!f.name)
        return PF_FAIL_MEMORY(err, 1);
    st = find_inputs(&f, id, v_first, &found, err);
    if (!st && found)
        st = place_masks(&f, &found, err);
    if (!found)
        pf_rewrite_discard(rewrite, before);
    if (st || !found)
        return st;
    st = add_attention(&f, &out, err);
    if (!st && v_first)
        st = pf_make_swapped(graph, f.name, out, &out, err);
    if (!st)
        st = pf_make_reshape(graph, f.name, out, &wanted, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_attention = {
    .name = "attention", .summary = "softmax(q k^T) v with scale, mask and repeated heads as one op",
    .phase = PF_RULES_PATTERN, .default_on = true, .apply = apply,
};
