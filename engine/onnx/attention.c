#include <math.h>
#include <string.h>

#include "engine/onnx/heads.h"
#include "engine/ops/attrs.h"

/* Attention and RotaryEmbedding: 3-D inputs [batch, seq, heads * size] are brought to [batch, heads, seq, size]. */

static pf_dim divide(pf_onnx_node *node, pf_dim a, int64_t b, const char *what)
{
    if (!node->status && (b < 1 || (pf_dim_is_number(a) && a % b)))
        pf_onnx_fail(node, PF_INVALID, "attribute \"%s\" is %lld, which does not divide the hidden size", what,
                     (long long)b);
    return node->status ? 1 : pf_dim_floor_div(node->graph->dims, a, b);
}

pf_value_id pf_onnx_swap_heads(pf_onnx_node *node, pf_value_id x)
{
    static const pf_transpose_attrs attrs = { { 4, { 0, 2, 1, 3 } } };

    return pf_onnx_emit1(node, PF_OP_TRANSPOSE, &attrs, x);
}

pf_value_id pf_onnx_split_heads(pf_onnx_node *node, pf_value_id x, const char *what)
{
    int64_t     heads = pf_onnx_int(node, what, 0);
    pf_dim_list shape = { 4,
                          { pf_onnx_dim(node, x, 0), pf_onnx_dim(node, x, 1), heads,
                            divide(node, pf_onnx_dim(node, x, 2), heads, what) } };

    return pf_onnx_swap_heads(node, pf_onnx_reshape_to(node, x, &shape));
}

pf_value_id pf_onnx_join_heads(pf_onnx_node *node, pf_value_id x)
{
    pf_dim_list shape = { 3, { 0 } };

    x = pf_onnx_swap_heads(node, x);
    shape.at[0] = pf_onnx_dim(node, x, 0);
    shape.at[1] = pf_onnx_dim(node, x, 1);
    shape.at[2] = node->status ? 1 : pf_dim_mul(node->graph->dims, pf_onnx_dim(node, x, 2), pf_onnx_dim(node, x, 3));
    return pf_onnx_reshape_to(node, x, &shape);
}

pf_value_id pf_onnx_append_past(pf_onnx_node *node, pf_value_id past, pf_value_id x)
{
    static const pf_axis_attrs attrs = { 2 };

    return past == PF_NONE ? x : pf_onnx_emit2(node, PF_OP_CONCAT, &attrs, past, x);
}

/* int64 range of dims. */
static pf_value_id range_of(pf_onnx_node *node, pf_dim first, pf_dim count)
{
    pf_range_attrs attrs = {
        .dtype = PF_I64, .bounds = { 3, { first, node->status ? 0 : pf_dim_add(node->graph->dims, first, count), 1 } }
    };

    return pf_onnx_emit0(node, PF_OP_RANGE, &attrs);
}

static pf_value_id i64_scalar(pf_onnx_node *node, pf_dim value)
{
    pf_dim_values_attrs attrs = { .dtype = PF_I64, .rank = 0, .values = { 1, { value } } };

    return pf_onnx_emit0(node, PF_OP_DIM_VALUES, &attrs);
}

/* Positions of the queries among the keys: [queries, 1], or [batch, 1, queries, 1] when each sample has its own number
   of valid keys. */
static pf_value_id positions(pf_onnx_node *node, pf_dim queries, pf_dim past)
{
    static const pf_reshape_attrs column = { { 2, { -1, 1 } } }, batch = { { 4, { -1, 1, 1, 1 } } };
    pf_value_id                   valid = pf_onnx_in(node, 6);
    pf_value_id                   rows = pf_onnx_emit1(node, PF_OP_RESHAPE, &column, range_of(node, past, queries));

    if (valid == PF_NONE)
        return rows;
    valid = pf_onnx_emit2(node, PF_OP_SUB, NULL, valid, i64_scalar(node, queries));
    return pf_onnx_emit2(node, PF_OP_ADD, NULL, rows, pf_onnx_emit1(node, PF_OP_RESHAPE, &batch, valid));
}

static pf_value_id both(pf_onnx_node *node, pf_value_id a, pf_value_id b)
{
    return a == PF_NONE ? b : pf_onnx_emit2(node, PF_OP_AND, NULL, a, b);
}

typedef struct reach { bool causal; int64_t left, right; } reach;      /* -1: as far as there are keys */

/* Which keys a query may see, as a bool mask: keys j with position - left <= j <= position + right, and j <= position
   when causal. */
static pf_value_id reach_mask(pf_onnx_node *node, const reach *r, pf_dim queries, pf_dim past, pf_dim keys)
{
    pf_value_id rows = positions(node, queries, past), columns = range_of(node, 0, keys), mask = PF_NONE;

    if (r->causal)
        mask = pf_onnx_emit2(node, PF_OP_LESS_EQUAL, NULL, columns, rows);
    if (r->left >= 0)
        mask = both(node, mask, pf_onnx_emit2(node, PF_OP_GREATER_EQUAL, NULL, columns,
                                              pf_onnx_emit2(node, PF_OP_SUB, NULL, rows, i64_scalar(node, r->left))));
    if (r->right >= 0)
        mask = both(node, mask, pf_onnx_emit2(node, PF_OP_LESS_EQUAL, NULL, columns,
                                              pf_onnx_emit2(node, PF_OP_ADD, NULL, rows, i64_scalar(node, r->right))));
    return mask;
}

/* The model's mask where it is allowed, nothing elsewhere. */
static pf_value_id combine_masks(pf_onnx_node *node, pf_value_id own, pf_value_id allowed)
{
    pf_dtype dtype = pf_onnx_dtype(node, own);

    if (own == PF_NONE || dtype == PF_BOOL)
        return both(node, own, allowed);
    return pf_onnx_emit3(node, PF_OP_WHERE, NULL, allowed, own, pf_onnx_scalar(node, dtype, -INFINITY));
}

/* Sets attrs->causal where the op's own masks say what is asked for, else answers a mask that does. q and k are of this
   block. */
static pf_value_id read_mask(pf_onnx_node *node, pf_value_id q, pf_value_id k, pf_attention_attrs *attrs)
{
    pf_value_id own = pf_onnx_in(node, 3), past = pf_onnx_in(node, 4);
    reach r = { pf_onnx_int(node, "is_causal", 0) != 0, pf_onnx_int(node, "left_window_size", -1),
                pf_onnx_int(node, "right_window_size", -1) };
    pf_dim queries = pf_onnx_dim(node, q, 2), block = pf_onnx_dim(node, k, 2),
           before = past == PF_NONE ? 0 : pf_onnx_dim(node, past, 2);
    bool        plain = r.left < 0 && r.right < 0;

    if (plain && !r.causal)
        return own;
    if (plain && (past == PF_NONE || queries == block)) {
        attrs->causal = past != PF_NONE || pf_onnx_in(node, 6) != PF_NONE ? PF_CAUSAL_BOTTOM_RIGHT : PF_CAUSAL_TOP_LEFT;
        return own;
    }
    if (node->status)
        return own;
    return combine_masks(node, own,
                         reach_mask(node, &r, queries, before, pf_dim_add(node->graph->dims, before, block)));
}

static pf_attention_attrs attention_attrs(pf_onnx_node *node)
{
    pf_attention_attrs attrs = {
        .scale = pf_onnx_float(node, "scale", 0),
        .softcap = pf_onnx_float(node, "softcap", 0),
        .scores = (int32_t)pf_onnx_int(node, "qk_matmul_output_mode", 0),
    };

    if (attrs.scores < PF_SCORES_SCALED || attrs.scores > PF_SCORES_SOFTMAX)
        pf_onnx_fail(node, PF_INVALID, "attribute \"qk_matmul_output_mode\" is %d", attrs.scores);
    return attrs;
}

void pf_onnx_attention(pf_onnx_node *node)
{
    pf_value_id q = pf_onnx_in(node, 0), k = pf_onnx_in(node, 1), v = pf_onnx_in(node, 2), mask = PF_NONE,
                out[2] = { PF_NONE, PF_NONE };
    bool               flat = pf_onnx_rank(node, q) == 3;
    pf_attention_attrs attrs = attention_attrs(node);

    if (flat) {
        q = pf_onnx_split_heads(node, q, "q_num_heads");
        k = pf_onnx_split_heads(node, k, "kv_num_heads");
        v = pf_onnx_split_heads(node, v, "kv_num_heads");
    }
    mask = read_mask(node, q, k, &attrs);
    k = pf_onnx_append_past(node, pf_onnx_in(node, 4), k);
    v = pf_onnx_append_past(node, pf_onnx_in(node, 5), v);
    pf_onnx_emit(node, PF_OP_ATTENTION, &attrs, 5, (pf_value_id[5]){ q, k, v, mask, pf_onnx_in(node, 6) },
                 node->out_count > 3 ? 2 : 1, out);
    node->out[0] = flat ? pf_onnx_join_heads(node, out[0]) : out[0];
    if (node->out_count > 1)
        node->out[1] = pf_onnx_emit1(node, PF_OP_IDENTITY, NULL, k);
    if (node->out_count > 2)
        node->out[2] = pf_onnx_emit1(node, PF_OP_IDENTITY, NULL, v);
    if (node->out_count > 3)
        node->out[3] = out[1];
}

void pf_onnx_rotary_embedding(pf_onnx_node *node)
{
    pf_rotary_embedding_attrs attrs = { pf_onnx_int(node, "interleaved", 0),
                                        pf_onnx_int(node, "rotary_embedding_dim", 0) };
    pf_value_id               x = pf_onnx_in(node, 0), in[4] = { 0 };
    bool                      flat = pf_onnx_rank(node, x) == 3;

    if (flat)
        x = pf_onnx_split_heads(node, x, "num_heads");
    in[0] = x;
    for (uint32_t i = 1; i < 4; i++)
        in[i] = pf_onnx_in(node, i);
    pf_onnx_emit(node, PF_OP_ROTARY_EMBEDDING, &attrs, 4, in, 1, &x);
    node->out[0] = flat ? pf_onnx_join_heads(node, x) : x;
}
