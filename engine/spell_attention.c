/* rotary_embedding: pairs of elements as two halves, turned by arithmetic.
   matmul of vectors, or of batches that broadcast in part: with all dims there.
   attention: y = softmax(scale * q k^T + mask) v as two products round a softmax. Query heads that share a key head
   stand one below the other, so that nothing is repeated. */
#include <math.h>

#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/spell.h"

enum { Q, K, V, MASK, VALID };

typedef struct sizes { pf_dim batch, heads, kv_heads, queries, keys; } sizes;

/* Where each sequence's keys end, [B,1,1,1]; PF_NONE: at the last one. */
static pf_value_id ends_of(pf_speller *s, const pf_node *node, const sizes *n)
{
    if (!pf_spell_has(node, VALID))
        return PF_NONE;
    return pf_spell_reshape(s, pf_spell_cast(s, node->in[VALID], PF_I64), 4, (pf_dim[]){ n->batch, 1, 1, 1 });
}

/* True where query i sees key j: i + ahead >= j, where ahead is what the keys are more than the queries, or 0. */
static pf_value_id seen(pf_speller *s, const pf_node *node, const sizes *n)
{
    bool        right = ((const pf_attention_attrs *)node->attrs)->causal == PF_CAUSAL_BOTTOM_RIGHT;
    pf_dims    *dims = s->graph->dims;
    pf_dim      first = right ? pf_dim_sub(dims, n->keys, n->queries) : 0;
    pf_value_id ends = ends_of(s, node, n), rows = PF_NONE;

    if (right && ends != PF_NONE) {
        rows = pf_spell_binary(s, PF_OP_ADD, pf_spell_range(s, 0, n->queries, 1), ends);
        rows = pf_spell_binary(s, PF_OP_SUB, rows, pf_spell_range(s, n->queries, pf_dim_add(dims, n->queries, 1), 0));
    } else {
        rows = pf_spell_range(s, first, pf_dim_add(dims, first, n->queries), 1);
    }
    return pf_spell_binary(s, PF_OP_GREATER_EQUAL, rows, pf_spell_range(s, 0, n->keys, 0));
}

/* -inf where the boolean mask is false. */
static pf_value_id hide(pf_speller *s, pf_value_id scores, pf_value_id mask)
{
    pf_value_id hidden = PF_NONE;

    if (!s->status)
        s->status = pf_graph_add_scalar(s->graph, pf_spell_dtype(s, scores), -INFINITY, &hidden, s->err);
    return pf_spell_node(s, PF_OP_WHERE, (pf_value_id[]){ mask, scores, hidden }, 3, NULL);
}

static pf_value_id masked(pf_speller *s, const pf_node *node, const sizes *n, pf_value_id scores)
{
    const pf_attention_attrs *attrs = node->attrs;

    if (attrs->softcap != 0) {
        scores = pf_spell_number(s, PF_OP_MUL, scores, 1 / attrs->softcap);
        scores = pf_spell_unary(s, PF_OP_TANH, scores, 0, 0);
        scores = pf_spell_number(s, PF_OP_MUL, scores, attrs->softcap);
    }
    if (pf_spell_has(node, MASK) && pf_spell_dtype(s, node->in[MASK]) == PF_BOOL)
        scores = hide(s, scores, node->in[MASK]);
    else if (pf_spell_has(node, MASK))
        scores = pf_spell_binary(s, PF_OP_ADD, scores, pf_spell_cast(s, node->in[MASK], pf_spell_dtype(s, scores)));
    if (pf_spell_has(node, VALID))
        scores = hide(s, scores, pf_spell_binary(s, PF_OP_LESS, pf_spell_range(s, 0, n->keys, 0), ends_of(s, node, n)));
    return attrs->causal == PF_CAUSAL_NONE ? scores : hide(s, scores, seen(s, node, n));
}

/* A row that sees nothing is 0, where softmax gives NaN. */
static pf_value_id probabilities(pf_speller *s, const pf_node *node, pf_value_id scores)
{
    pf_axis_attrs along = { .axis = 3 };
    pf_value_id   p = pf_spell_node(s, PF_OP_SOFTMAX, &scores, 1, &along), zero = PF_NONE, nan = PF_NONE;

    if (!pf_spell_has(node, MASK) && !pf_spell_has(node, VALID) &&
        ((const pf_attention_attrs *)node->attrs)->causal == PF_CAUSAL_NONE)
        return p;
    if (!s->status)
        s->status = pf_graph_add_scalar(s->graph, pf_spell_dtype(s, p), 0, &zero, s->err);
    nan = pf_spell_unary(s, PF_OP_IS_NAN, p, 0, 0);
    return pf_spell_node(s, PF_OP_WHERE, (pf_value_id[]){ nan, zero, p }, 3, NULL);
}

/* [B,H,S,D] as [B,Hkv,H/Hkv * S,D] */
static pf_value_id stacked(pf_speller *s, const sizes *n, pf_value_id x)
{
    pf_dim dim[4] = { n->batch, n->kv_heads,
                      pf_dim_mul(s->graph->dims, pf_dim_floor_div(s->graph->dims, n->heads, n->kv_heads), n->queries),
                      pf_spell_shape(s, x)->dim[3] };

    return pf_spell_reshape(s, x, 4, dim);
}

static pf_value_id unstacked(pf_speller *s, const sizes *n, pf_value_id x)
{
    pf_dim dim[4] = { n->batch, n->heads, n->queries, pf_spell_shape(s, x)->dim[3] };

    return pf_spell_reshape(s, x, 4, dim);
}

static bool is_spelled(const pf_speller *s, const pf_node *node, const sizes *n)
{
    const pf_shape *mask = pf_spell_has(node, MASK) ? pf_spell_shape(s, node->in[MASK]) : NULL;

    if (node->out_count > 1 && pf_graph_use_count(s->graph, node->out[1]))
        return false;
    if (!pf_dim_is_number(n->heads) || !pf_dim_is_number(n->kv_heads) || n->kv_heads < 1)
        return false;
    return !mask || mask->rank == 0 || mask->dim[mask->rank - 1] == 1 || mask->dim[mask->rank - 1] == n->keys;
}

void pf_spell_attention(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_attention_attrs *attrs = node->attrs;
    const pf_shape           *q = pf_spell_shape(s, node->in[Q]), *k = pf_spell_shape(s, node->in[K]);
    sizes                     n = { q->dim[0], q->dim[1], k->dim[1], q->dim[2], k->dim[2] };
    pf_matmul_attrs           transposed = { .trans_b = 1 }, plain = { .trans_b = 0 };
    double                    scale = attrs->scale;
    pf_value_id               x = PF_NONE;

    if (!is_spelled(s, node, &n) || (scale == 0 && !pf_dim_is_number(q->dim[3])))
        return;
    if (scale == 0)
        scale = 1 / sqrt((double)q->dim[3]);
    x = pf_spell_number(s, PF_OP_MUL, node->in[Q], scale);
    x = pf_spell_node(s, PF_OP_MATMUL, (pf_value_id[]){ stacked(s, &n, x), node->in[K] }, 2, &transposed);
    x = probabilities(s, node, masked(s, node, &n, unstacked(s, &n, x)));
    x = pf_spell_node(s, PF_OP_MATMUL, (pf_value_id[]){ stacked(s, &n, x), node->in[V] }, 2, &plain);
    out[0] = unstacked(s, &n, x);
}

/* ---- Products */

static pf_value_id as_matrix(pf_speller *s, pf_value_id x, bool column)
{
    pf_dim length = pf_spell_shape(s, x)->dim[0];

    return pf_spell_reshape(s, x, 2, column ? (pf_dim[]){ length, 1 } : (pf_dim[]){ 1, length });
}

static pf_value_id repeated(pf_speller *s, pf_value_id x, const pf_shape *y)
{
    const pf_shape  shape = *pf_spell_shape(s, x);
    pf_expand_attrs attrs = { .shape = { .count = y->rank } };

    for (int32_t d = 0; d < y->rank; d++)
        attrs.shape.at[d] = d < y->rank - 2 ? y->dim[d] : shape.dim[shape.rank - y->rank + d];
    return pf_spell_node(s, PF_OP_EXPAND, &x, 1, &attrs);
}

static bool has_all_batches(const pf_shape *x, const pf_shape *y)
{
    bool all = x->rank == y->rank;

    for (int32_t d = 0; d + 2 < y->rank && all; d++)
        all = x->dim[d] == y->dim[d];
    return all;
}

/* [..,1,m] as [..,m,1], or the other way round. */
static pf_value_id turned(pf_speller *s, pf_value_id x)
{
    pf_shape shape = *pf_spell_shape(s, x);
    pf_dim   last = shape.dim[shape.rank - 1];

    shape.dim[shape.rank - 1] = shape.dim[shape.rank - 2];
    shape.dim[shape.rank - 2] = last;
    return pf_spell_reshape(s, x, shape.rank, shape.dim);
}

bool pf_spell_adds_nothing(const pf_graph *graph, const pf_node *node)
{
    const pf_matmul_attrs *attrs = node->attrs;
    const pf_shape        *a = NULL, *b = NULL;

    if (node->op != PF_OP_MATMUL || !pf_dtype_is_float(graph->values[node->in[0]].dtype))
        return false;
    a = &graph->values[node->in[0]].shape;
    b = &graph->values[node->in[1]].shape;
    return a->rank > 1 && b->rank > 1 && a->dim[a->rank - (attrs->trans_a ? 2 : 1)] == 1 &&
           b->dim[b->rank - (attrs->trans_b ? 1 : 2)] == 1;
}

void pf_spell_matmul(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_matmul_attrs *attrs = node->attrs;
    const pf_shape a = *pf_spell_shape(s, node->in[0]), b = *pf_spell_shape(s, node->in[1]),
                   y = s->graph->values[node->out[0]].shape;
    pf_value_id    in[2] = { node->in[0], node->in[1] };

    if (!pf_dtype_is_float(pf_spell_dtype(s, in[0])))
        return;
    if (pf_spell_adds_nothing(s->graph, node)) {
        in[0] = attrs->trans_a ? turned(s, in[0]) : in[0];
        in[1] = attrs->trans_b ? turned(s, in[1]) : in[1];
        out[0] = pf_spell_binary(s, PF_OP_MUL, in[0], in[1]);
        return;
    }
    if (a.rank == 1 || b.rank == 1) {
        in[0] = a.rank == 1 ? as_matrix(s, in[0], false) : in[0];
        in[1] = b.rank == 1 ? as_matrix(s, in[1], true) : in[1];
        out[0] = pf_spell_reshape(s, pf_spell_node(s, PF_OP_MATMUL, in, 2, node->attrs), y.rank, y.dim);
        return;
    }
    if (a.rank < 3 || b.rank < 3 || (has_all_batches(&a, &y) && has_all_batches(&b, &y)))
        return;
    in[0] = repeated(s, in[0], &y);
    in[1] = repeated(s, in[1], &y);
    out[0] = pf_spell_node(s, PF_OP_MATMUL, in, 2, node->attrs);
}

/* ---- Rotary embedding: x [B,H,S,D], of which the first `turned` elements are pairs */

/* Rows of a cache for each position, [B,1,S,R/2], with a further dim of one when pairs are neighbours. */
static pf_value_id rows_of(pf_speller *s, const pf_node *node, uint32_t slot, bool neighbours)
{
    const pf_shape x = *pf_spell_shape(s, node->in[0]);
    pf_axis_attrs  rows = { .axis = 0 };
    pf_value_id    cache = node->in[slot];

    if (pf_spell_has(node, 3))
        cache = pf_spell_node(s, PF_OP_GATHER, (pf_value_id[]){ cache, node->in[3] }, 2, &rows);
    return pf_spell_reshape(s, cache, neighbours ? 5 : 4,
                            (pf_dim[]){ x.dim[0], 1, x.dim[2],
                                        pf_spell_shape(s, cache)->dim[pf_spell_shape(s, cache)->rank - 1], 1 });
}

/* The two elements of all pairs lie along `axis`, `half` of each. */
static pf_value_id turned_pairs(pf_speller *s, const pf_node *node, pf_value_id x, int64_t axis, int64_t half)
{
    pf_axis_attrs beside = { .axis = axis };
    pf_value_id   a = pf_spell_slice(s, x, axis, 0, half), b = pf_spell_slice(s, x, axis, half, 2 * half);
    pf_value_id   cosine = rows_of(s, node, 1, axis == 4), sine = rows_of(s, node, 2, axis == 4),
                  parts[2] = { PF_NONE, PF_NONE };

    parts[0] = pf_spell_binary(s, PF_OP_SUB, pf_spell_binary(s, PF_OP_MUL, cosine, a),
                               pf_spell_binary(s, PF_OP_MUL, sine, b));
    parts[1] = pf_spell_binary(s, PF_OP_ADD, pf_spell_binary(s, PF_OP_MUL, sine, a),
                               pf_spell_binary(s, PF_OP_MUL, cosine, b));
    return pf_spell_node(s, PF_OP_CONCAT, parts, 2, &beside);
}

void pf_spell_rotary_embedding(pf_speller *s, const pf_node *node, pf_value_id *out)
{
    const pf_rotary_embedding_attrs *attrs = node->attrs;
    const pf_shape                   x = *pf_spell_shape(s, node->in[0]);
    int64_t                          turned = attrs->rotary_dim ? attrs->rotary_dim : x.dim[3];
    pf_axis_attrs                    beside = { .axis = 3 };
    pf_value_id                      y = PF_NONE;

    if (!pf_dim_is_number(x.dim[3]))
        return;
    y = pf_spell_slice(s, node->in[0], 3, 0, turned);
    if (attrs->interleaved) {
        y = turned_pairs(s, node, pf_spell_reshape(s, y, 5, (pf_dim[]){ x.dim[0], x.dim[1], x.dim[2], turned / 2, 2 }),
                         4, 1);
        y = pf_spell_reshape(s, y, 4, (pf_dim[]){ x.dim[0], x.dim[1], x.dim[2], turned });
    } else {
        y = turned_pairs(s, node, y, 3, turned / 2);
    }
    if (turned < x.dim[3])
        y = pf_spell_node(s, PF_OP_CONCAT, (pf_value_id[]){ y, pf_spell_slice(s, node->in[0], 3, turned, x.dim[3]) }, 2,
                          &beside);
    out[0] = y;
}
