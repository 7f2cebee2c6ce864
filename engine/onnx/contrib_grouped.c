#include <string.h>

#include "engine/onnx/heads.h"
#include "engine/ops/attrs.h"

/* GroupQueryAttention of com.microsoft, in which exporters of language models write a layer's attention: positions are
   turned into queries and keys, these go behind those of the past, and each sample says how many keys count.

   A sample's past may be shorter than the value that holds it: what counts is ahead, and new keys go right behind.  Of
   one sample alone whose past has a free length, all of it is taken to count: it grows with each run. */

static const pf_cast_attrs to_i64 = { .dtype = PF_I64 };

typedef struct grouped {
    pf_value_id q, k, v;            /* [batch, heads, seq, size] */
    pf_value_id before;             /* [batch]: keys of the past that count */
    pf_dim      batch, heads, size; /* of keys and values */
    pf_dim      seq, past, total;
} grouped;

static pf_value_id number(pf_onnx_node *node, pf_dim value)
{
    pf_dim_values_attrs attrs = { .dtype = PF_I64, .rank = 0, .values = { 1, { value } } };

    return pf_onnx_emit0(node, PF_OP_DIM_VALUES, &attrs);
}

static pf_value_id count_to(pf_onnx_node *node, pf_dim end)
{
    pf_range_attrs attrs = { .dtype = PF_I64, .bounds = { 3, { 0, end, 1 } } };

    return pf_onnx_emit0(node, PF_OP_RANGE, &attrs);
}

static pf_value_id columns(pf_onnx_node *node, pf_value_id x, int64_t first, int64_t end)
{
    pf_slice_attrs attrs = { { 1, { 2 } }, { 1, { first } }, { 1, { end } }, { 1, { 1 } } };

    return pf_onnx_emit1(node, PF_OP_SLICE, &attrs, x);
}

/* Where k and v are left out, they stand behind q. */
static bool take_parts(pf_onnx_node *node, grouped *g)
{
    int64_t heads = pf_onnx_int(node, "num_heads", 0), others = pf_onnx_int(node, "kv_num_heads", 0);
    pf_dim  width = pf_onnx_dim(node, pf_onnx_in(node, 0), 2);
    bool    is_packed = pf_onnx_in(node, 1) == PF_NONE;
    int64_t size = 0;

    if (!node->status && (heads < 1 || others < 1 || heads % others))
        pf_onnx_fail(node, PF_INVALID, "%lld heads of queries for %lld of keys", (long long)heads, (long long)others);
    if (!node->status && !is_packed && pf_onnx_in(node, 2) == PF_NONE)
        pf_onnx_fail(node, PF_INVALID, "there are keys and no values");
    if (!node->status && is_packed && (!pf_dim_is_number(width) || width % (heads + 2 * others)))
        pf_onnx_fail(node, PF_INVALID, "the packed values do not divide into q, k and v");
    if (node->status)
        return false;
    *g = (grouped){ .q = pf_onnx_in(node, 0), .k = pf_onnx_in(node, 1), .v = pf_onnx_in(node, 2) };
    if (is_packed) {
        size = width / (heads + 2 * others);
        g->k = columns(node, g->q, heads * size, (heads + others) * size);
        g->v = columns(node, g->q, (heads + others) * size, width);
        g->q = columns(node, g->q, 0, heads * size);
    }
    g->q = pf_onnx_split_heads(node, g->q, "num_heads");
    g->k = pf_onnx_split_heads(node, g->k, "kv_num_heads");
    g->v = pf_onnx_split_heads(node, g->v, "kv_num_heads");
    return !node->status;
}

/* The value says of each sample how many keys count, less one; of a prompt that is padded, fewer than there are new
   ones. */
static bool take_sizes(pf_onnx_node *node, grouped *g)
{
    static const pf_reshape_attrs flat = { { 1, { -1 } } };
    pf_value_id past = pf_onnx_in(node, 3), last = pf_onnx_in(node, 5);

    g->batch = pf_onnx_dim(node, g->k, 0);
    g->heads = pf_onnx_dim(node, g->k, 1);
    g->seq = pf_onnx_dim(node, g->k, 2);
    g->size = pf_onnx_dim(node, g->k, 3);
    g->past = past == PF_NONE ? 0 : pf_onnx_dim(node, past, 2);
    if (node->status)
        return false;
    g->total = pf_dim_add(node->graph->dims, g->past, g->seq);
    last = pf_onnx_emit1(node, PF_OP_RESHAPE, &flat, pf_onnx_emit1(node, PF_OP_CAST, &to_i64, last));
    g->before = pf_onnx_emit2(node, PF_OP_SUB, NULL, last,
                              number(node, pf_dim_sub(node->graph->dims, g->seq, 1)));
    g->before = pf_onnx_emit2(node, PF_OP_MAX, NULL, g->before, number(node, 0));
    return !node->status;
}

/* before with dims of 1 around it. */
static pf_value_id before_as(pf_onnx_node *node, const grouped *g, int32_t rank)
{
    pf_reshape_attrs attrs = { { rank, { -1, 1, 1, 1 } } };

    return pf_onnx_emit1(node, PF_OP_RESHAPE, &attrs, g->before);
}

/* [batch, seq] */
static pf_value_id positions(pf_onnx_node *node, const grouped *g)
{
    pf_value_id given = pf_onnx_in(node, 9);

    if (given != PF_NONE)
        return given;
    return pf_onnx_emit2(node, PF_OP_ADD, NULL, before_as(node, g, 2), count_to(node, g->seq));
}

static void rotate(pf_onnx_node *node, grouped *g)
{
    pf_value_id cosines = pf_onnx_in(node, 7), sines = pf_onnx_in(node, 8), at = PF_NONE;
    pf_dim      half = cosines == PF_NONE ? 0 : pf_onnx_dim(node, cosines, 1);
    pf_rotary_embedding_attrs attrs = { .interleaved = pf_onnx_int(node, "rotary_interleaved", 0) };

    if (!pf_onnx_int(node, "do_rotary", 0) || node->status)
        return;
    if (cosines == PF_NONE || sines == PF_NONE || !pf_dim_is_number(half)) {
        pf_onnx_fail(node, PF_INVALID, "positions are to be turned into queries and keys, and there are no tables");
        return;
    }
    attrs.rotary_dim = 2 * half;
    at = positions(node, g);
    pf_onnx_emit(node, PF_OP_ROTARY_EMBEDDING, &attrs, 4, (pf_value_id[4]) { g->q, cosines, sines, at }, 1, &g->q);
    pf_onnx_emit(node, PF_OP_ROTARY_EMBEDDING, &attrs, 4, (pf_value_id[4]) { g->k, cosines, sines, at }, 1, &g->k);
}

static bool is_all_of_it(const grouped *g)
{
    return g->past == 0 || (g->batch == 1 && !pf_dim_is_number(g->past));
}

/* Of past and new keys, one behind the other, those that stand at each place; PF_NONE: they stand so. */
static pf_value_id places(pf_onnx_node *node, const grouped *g)
{
    pf_expand_attrs everywhere = { { 4, { g->batch, g->heads, g->total, g->size } } };
    pf_reshape_attrs column = { { 2, { -1, 1 } } };
    pf_value_id      at = PF_NONE, before = PF_NONE, shifted = PF_NONE;

    if (is_all_of_it(g))
        return PF_NONE;
    before = before_as(node, g, 4);
    at = pf_onnx_emit1(node, PF_OP_RESHAPE, &column, count_to(node, g->total));
    shifted = pf_onnx_emit2(node, PF_OP_ADD, NULL, pf_onnx_emit2(node, PF_OP_SUB, NULL, at, before),
                            number(node, g->past));
    shifted = pf_onnx_emit2(node, PF_OP_MIN, NULL, shifted,
                            number(node, pf_dim_sub(node->graph->dims, g->total, 1)));
    at = pf_onnx_emit3(node, PF_OP_WHERE, NULL, pf_onnx_emit2(node, PF_OP_LESS, NULL, at, before), at, shifted);
    return pf_onnx_emit1(node, PF_OP_EXPAND, &everywhere, at);
}

static pf_value_id append(pf_onnx_node *node, pf_value_id past, pf_value_id x, pf_value_id at)
{
    static const pf_axis_attrs along = { 2 };

    x = pf_onnx_append_past(node, past, x);
    return at == PF_NONE ? x : pf_onnx_emit2(node, PF_OP_GATHER_ELEMENTS, &along, x, at);
}

/* A query sees the keys up to its own, or the nearest of these: [batch, 1, seq, total]. */
static pf_value_id reach(pf_onnx_node *node, const grouped *g)
{
    static const pf_reshape_attrs column = { { 2, { -1, 1 } } };
    int64_t     window = pf_onnx_int(node, "local_window_size", -1);
    pf_value_id at = count_to(node, g->total), mask = PF_NONE, own = PF_NONE;

    own = pf_onnx_emit2(node, PF_OP_ADD, NULL, before_as(node, g, 4),
                        pf_onnx_emit1(node, PF_OP_RESHAPE, &column, count_to(node, g->seq)));
    mask = pf_onnx_emit2(node, PF_OP_LESS_EQUAL, NULL, at, own);
    if (window > 0)
        mask = pf_onnx_emit2(node, PF_OP_AND, NULL, mask,
                             pf_onnx_emit2(node, PF_OP_GREATER, NULL, at,
                                           pf_onnx_emit2(node, PF_OP_SUB, NULL, own, number(node, window))));
    return mask;
}

static pf_value_id mask_of(pf_onnx_node *node, const grouped *g, pf_attention_attrs *attrs)
{
    pf_value_id bias = pf_onnx_in(node, 10), mask = PF_NONE;

    if (g->batch == 1 && is_all_of_it(g) && pf_onnx_int(node, "local_window_size", -1) <= 0 && bias == PF_NONE) {
        attrs->causal = PF_CAUSAL_BOTTOM_RIGHT;
        return PF_NONE;
    }
    mask = reach(node, g);
    if (bias == PF_NONE || node->status)
        return mask;
    return pf_onnx_emit3(node, PF_OP_WHERE, NULL, mask, bias, pf_onnx_scalar(node, pf_onnx_dtype(node, bias), -3e38));
}

/* What changes the answer, and is not computed here. */
static void refuse_others(pf_onnx_node *node)
{
    const char *of_keys = pf_onnx_string(node, "k_quant_type", "NONE");
    const char *of_values = pf_onnx_string(node, "v_quant_type", "NONE");

    if (node->status)
        return;
    if (pf_onnx_int(node, "smooth_softmax", 0) > 0 || pf_onnx_in(node, 11) != PF_NONE)
        pf_onnx_fail(node, PF_UNSUPPORTED, "a softmax with a sink");
    else if (pf_onnx_in(node, 5) == PF_NONE)
        pf_onnx_fail(node, PF_INVALID, "how many keys of each sample count is not given");
    else if (strcmp(of_keys, "NONE") || strcmp(of_values, "NONE") || pf_onnx_in(node, 12) != PF_NONE)
        pf_onnx_fail(node, PF_UNSUPPORTED, "keys and values that are kept quantized");
}

/* q, k, v, past k, past v, last key of each sample, keys in all, cosines, sines, positions, bias of the scores, sinks,
   scales of k and v */
void pf_onnx_ms_group_query_attention(pf_onnx_node *node)
{
    pf_attention_attrs attrs = { .scale = pf_onnx_float(node, "scale", 0),
                                 .softcap = pf_onnx_float(node, "softcap", 0) };
    grouped            g = { 0 };
    pf_value_id        at = PF_NONE, y = PF_NONE, mask = PF_NONE;

    refuse_others(node);
    if (!take_parts(node, &g) || !take_sizes(node, &g))
        return;
    rotate(node, &g);
    at = places(node, &g);
    g.k = append(node, pf_onnx_in(node, 3), g.k, at);
    g.v = append(node, pf_onnx_in(node, 4), g.v, at);
    mask = mask_of(node, &g, &attrs);
    pf_onnx_emit(node, PF_OP_ATTENTION, &attrs, 4, (pf_value_id[4]) { g.q, g.k, g.v, mask }, 1, &y);
    node->out[0] = pf_onnx_join_heads(node, y);
    if (node->out_count > 1)
        node->out[1] = pf_onnx_emit1(node, PF_OP_IDENTITY, NULL, g.k);
    if (node->out_count > 2)
        node->out[2] = pf_onnx_emit1(node, PF_OP_IDENTITY, NULL, g.v);
}
