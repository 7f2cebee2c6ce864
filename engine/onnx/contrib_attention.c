#include <string.h>

#include "engine/onnx/heads.h"
#include "engine/ops/attrs.h"

/* Attention of com.microsoft: packed products of q, k and v, masks as integers, presents behind pasts. */

/* A part of the last dim of x. */
static pf_value_id part(pf_onnx_node *node, pf_value_id x, int64_t first, int64_t end)
{
    int32_t        rank = pf_onnx_rank(node, x);
    pf_slice_attrs attrs = { { 1, { rank - 1 } }, { 1, { first } }, { 1, { end } }, { 1, { 1 } } };

    return pf_onnx_emit1(node, PF_OP_SLICE, &attrs, x);
}

/* One entry of the first dim of x: keys or values of a past [2, batch, heads, seq, size]. */
static pf_value_id half(pf_onnx_node *node, pf_value_id x, int64_t index)
{
    pf_slice_attrs attrs = { { 1, { 0 } }, { 1, { index } }, { 1, { index + 1 } }, { 1, { 1 } } };
    pf_dim_list    shape = { 4 };

    if (x == PF_NONE)
        return PF_NONE;
    for (int32_t i = 0; i < 4; i++)
        shape.at[i] = pf_onnx_dim(node, x, i + 1);
    return pf_onnx_reshape_to(node, pf_onnx_emit1(node, PF_OP_SLICE, &attrs, x), &shape);
}

/* Keys and values behind each other, as the next run takes them. */
static pf_value_id both(pf_onnx_node *node, pf_value_id k, pf_value_id v)
{
    static const pf_axis_attrs first = { 0 };
    pf_dim_list                shape = { 5, { 1 } };

    for (int32_t i = 0; i < 4; i++)
        shape.at[i + 1] = pf_onnx_dim(node, k, i);
    return pf_onnx_emit2(node, PF_OP_CONCAT, &first, pf_onnx_reshape_to(node, k, &shape),
                         pf_onnx_reshape_to(node, v, &shape));
}

typedef struct masks { pf_value_id mask, valid; } masks;

/* Masks of ones and zeros [batch, keys] or [batch, queries, keys], or how many keys count [batch]. */
static masks read_mask(pf_onnx_node *node, pf_value_id given)
{
    pf_cast_attrs to_bool = { .dtype = PF_BOOL }, to_i64 = { .dtype = PF_I64 };
    int32_t       rank = given == PF_NONE ? 0 : pf_onnx_rank(node, given);
    masks         out = { PF_NONE, PF_NONE };
    pf_dim_list   shape = { 4 };

    if (given == PF_NONE || node->status)
        return out;
    if (rank == 1) {
        out.valid = pf_onnx_emit1(node, PF_OP_CAST, &to_i64, given);
        return out;
    }
    if (rank > 3) {
        pf_onnx_fail(node, PF_UNSUPPORTED, "a mask of %d dimensions", rank);
        return out;
    }
    shape = (pf_dim_list) { 4,
                            { pf_onnx_dim(node, given, 0), 1, rank == 3 ? pf_onnx_dim(node, given, 1) : 1,
                              pf_onnx_dim(node, given, rank - 1) } };
    out.mask = pf_onnx_emit1(node, PF_OP_CAST, &to_bool, pf_onnx_reshape_to(node, given, &shape));
    return out;
}

/* A bool mask and a bias that is added: where the mask allows, the bias. */
static pf_value_id combine(pf_onnx_node *node, pf_value_id mask, pf_value_id bias)
{
    if (mask == PF_NONE || bias == PF_NONE)
        return mask == PF_NONE ? bias : mask;
    return pf_onnx_emit3(node, PF_OP_WHERE, NULL, mask, bias, pf_onnx_scalar(node, pf_onnx_dtype(node, bias), -3e38));
}

/* Which keys a query sees, of q and k without their past.  One query sees all.  Where there are more keys than several
   queries, ONNX Runtime's CPU lets the last query see all keys and the others those from the first on; its GPUs count
   from the last key. */
static int32_t causal_of(pf_onnx_node *node, pf_value_id q, pf_value_id k, bool past)
{
    pf_dim queries = pf_onnx_dim(node, q, 2), keys = pf_onnx_dim(node, k, 2);

    if (!pf_onnx_int(node, "unidirectional", 0) || node->status || queries == 1)
        return PF_CAUSAL_NONE;
    if (queries == keys)
        return past ? PF_CAUSAL_BOTTOM_RIGHT : PF_CAUSAL_TOP_LEFT;
    if (past || !pf_dim_is_number(queries) || !pf_dim_is_number(keys) || queries < keys)
        pf_onnx_fail(node, PF_UNSUPPORTED, "unidirectional attention of other queries than there are keys");
    return PF_CAUSAL_TOP_LEFT;
}

/* q [batch, heads, queries, size] against k and v, with the masks. */
static pf_value_id attend(pf_onnx_node *node, pf_value_id q, pf_value_id k, pf_value_id v, masks m, pf_value_id bias,
                          int32_t causal)
{
    pf_attention_attrs attrs = { .scale = pf_onnx_float(node, "scale", 0), .causal = causal };
    pf_value_id        y = PF_NONE;

    pf_onnx_emit(node, PF_OP_ATTENTION, &attrs, 5, (pf_value_id[5]) { q, k, v, combine(node, m.mask, bias), m.valid },
                 1, &y);
    return pf_onnx_join_heads(node, y);
}

/* Sizes of q, k and v in the packed weights. */
static void packed_sizes(pf_onnx_node *node, pf_value_id weights, int64_t size[3])
{
    pf_ints given = pf_onnx_ints(node, "qkv_hidden_sizes");
    pf_dim  columns = pf_onnx_dim(node, weights, 1);

    if (!node->status &&
        (!pf_dim_is_number(columns) || (given.count != 3 && given.count != 0) || (!given.count && columns % 3)))
        pf_onnx_fail(node, PF_INVALID, "the packed weights do not divide into q, k and v");
    for (int32_t i = 0; i < 3; i++)
        size[i] = given.count ? given.at[i] : columns / 3;
}

/* What changes the answer, and is not computed here. */
static void refuse_others(pf_onnx_node *node)
{
    if (!node->status && pf_onnx_int(node, "do_rotary", 0))
        pf_onnx_fail(node, PF_UNSUPPORTED, "positions that are turned into queries and keys here");
    if (!node->status && (pf_onnx_int(node, "past_present_share_buffer", 0) || pf_onnx_in(node, 6) != PF_NONE))
        pf_onnx_fail(node, PF_UNSUPPORTED, "a past of which a part counts");
}

/* x, weights of q, k and v side by side, their bias, mask, past, bias of the scores */
void pf_onnx_ms_attention(pf_onnx_node *node)
{
    pf_value_id past = pf_onnx_in(node, 4);
    pf_value_id packed = pf_onnx_add_bias(
        node, pf_onnx_emit2(node, PF_OP_MATMUL, NULL, pf_onnx_in(node, 0), pf_onnx_in(node, 1)), pf_onnx_in(node, 2));
    masks       m = read_mask(node, pf_onnx_in(node, 3));
    int64_t     size[3] = { 0 };
    int32_t     causal = PF_CAUSAL_NONE;
    pf_value_id q = PF_NONE, k = PF_NONE, v = PF_NONE;

    refuse_others(node);
    packed_sizes(node, pf_onnx_in(node, 1), size);
    q = pf_onnx_split_heads(node, part(node, packed, 0, size[0]), "num_heads");
    k = pf_onnx_split_heads(node, part(node, packed, size[0], size[0] + size[1]), "num_heads");
    v = pf_onnx_split_heads(node, part(node, packed, size[0] + size[1], size[0] + size[1] + size[2]), "num_heads");
    causal = causal_of(node, q, k, past != PF_NONE);
    k = pf_onnx_append_past(node, half(node, past, 0), k);
    v = pf_onnx_append_past(node, half(node, past, 1), v);
    node->out[0] = attend(node, q, k, v, m, pf_onnx_in(node, 5), causal);
    if (node->out_count > 1)
        node->out[1] = both(node, k, v);
}

static pf_value_id heads_of(pf_onnx_node *node, pf_value_id x)
{
    return pf_onnx_rank(node, x) == 4 ? x : pf_onnx_split_heads(node, x, "num_heads");
}

/* Adds the i-th third of the packed bias to a 3-D input. */
static pf_value_id biased(pf_onnx_node *node, pf_value_id x, int64_t first)
{
    pf_value_id bias = pf_onnx_in(node, 3);
    pf_dim      size = bias == PF_NONE || pf_onnx_rank(node, x) != 3 ? 0 : pf_onnx_dim(node, x, 2);

    if (!size || node->status)
        return x;
    if (!pf_dim_is_number(size)) {
        pf_onnx_fail(node, PF_UNSUPPORTED, "a bias of a size that is not a number");
        return x;
    }
    return pf_onnx_emit2(node, PF_OP_ADD, NULL, x, part(node, bias, first, first + size));
}

/* q, k, v, bias, mask of keys, bias of the scores, past k, past v */
void pf_onnx_ms_multi_head_attention(pf_onnx_node *node)
{
    pf_value_id q = pf_onnx_in(node, 0), k = pf_onnx_in(node, 1), v = pf_onnx_in(node, 2), past = pf_onnx_in(node, 6);
    masks       m = read_mask(node, pf_onnx_in(node, 4));
    int64_t     hidden = 0;
    int32_t     causal = PF_CAUSAL_NONE;

    if (!node->status && (k == PF_NONE || v == PF_NONE || pf_onnx_rank(node, q) != 3))
        pf_onnx_fail(node, PF_UNSUPPORTED, "q, k and v packed into one value");
    if (node->status)
        return;
    hidden = pf_onnx_dim(node, q, 2);
    q = heads_of(node, biased(node, q, 0));
    k = heads_of(node, biased(node, k, hidden));
    causal = causal_of(node, q, k, past != PF_NONE);
    k = pf_onnx_append_past(node, past, k);
    v = pf_onnx_append_past(node, pf_onnx_in(node, 7), heads_of(node, biased(node, v, 2 * hidden)));
    node->out[0] = attend(node, q, k, v, m, pf_onnx_in(node, 5), causal);
    if (node->out_count > 1)
        node->out[1] = pf_onnx_emit1(node, PF_OP_IDENTITY, NULL, k);
    if (node->out_count > 2)
        node->out[2] = pf_onnx_emit1(node, PF_OP_IDENTITY, NULL, v);
}

/* Positions [batch, seq], or one number that the rows count from. */
static pf_value_id rotary_positions(pf_onnx_node *node, pf_value_id x)
{
    pf_value_id    given = pf_onnx_in(node, 1);
    pf_range_attrs rows = { .dtype = PF_I64, .bounds = { 3, { 0, pf_onnx_dim(node, x, 2), 1 } } };
    pf_expand_attrs all = { { 2, { pf_onnx_dim(node, x, 0), pf_onnx_dim(node, x, 2) } } };

    if (pf_onnx_rank(node, given) == 2)
        return given;
    given = pf_onnx_emit2(node, PF_OP_ADD, NULL, pf_onnx_emit0(node, PF_OP_RANGE, &rows), given);
    return pf_onnx_emit1(node, PF_OP_EXPAND, &all, given);
}

/* x, positions, tables of cosines and sines */
void pf_onnx_ms_rotary_embedding(pf_onnx_node *node)
{
    pf_rotary_embedding_attrs attrs = { pf_onnx_int(node, "interleaved", 0),
                                        pf_onnx_int(node, "rotary_embedding_dim", 0) };
    pf_value_id               x = pf_onnx_in(node, 0), table = pf_onnx_in(node, 2);
    bool                      flat = pf_onnx_rank(node, x) == 3;
    int64_t                   heads = pf_onnx_int(node, "num_heads", 0);

    if (pf_onnx_int(node, "is_packed_batching", 0) || pf_onnx_float(node, "scale", 1) != 1)
        pf_onnx_fail(node, PF_UNSUPPORTED, "samples of several lengths behind each other, or a scale of the tables");
    if (flat && !heads && !node->status) {      /* as many heads as the table's rows fit */
        pf_dim hidden = pf_onnx_dim(node, x, 2), size = pf_dim_mul(node->graph->dims, pf_onnx_dim(node, table, 1), 2);
        pf_dim_list shape = { 4,
                              { pf_onnx_dim(node, x, 0), pf_onnx_dim(node, x, 1),
                                pf_dim_floor_div(node->graph->dims, hidden, size), size } };

        x = pf_onnx_swap_heads(node, pf_onnx_reshape_to(node, x, &shape));
    } else if (flat) {
        x = pf_onnx_split_heads(node, x, "num_heads");
    }
    pf_onnx_emit(node, PF_OP_ROTARY_EMBEDDING, &attrs, 4,
                 (pf_value_id[4]) { x, table, pf_onnx_in(node, 3), rotary_positions(node, x) }, 1, &x);
    node->out[0] = flat ? pf_onnx_join_heads(node, x) : x;
}
