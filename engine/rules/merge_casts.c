/* A cast of a cast is one cast, when the type in between holds everything that the first one does. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

/* Bits of mantissa (with sign for integers) and of exponent that a type has. */
typedef struct span { pf_dtype dtype; int digits, exponent; } span;

static const span spans[] = {
    { PF_BOOL, 1, 0 },  { PF_U8, 8, 0 },    { PF_I8, 8, 0 },   { PF_U16, 16, 0 },  { PF_I16, 16, 0 }, { PF_U32, 32, 0 },
    { PF_I32, 32, 0 },  { PF_U64, 64, 0 },  { PF_I64, 64, 0 }, { PF_F16, 11, 5 },  { PF_BF16, 8, 8 }, { PF_F32, 24, 8 },
    { PF_F64, 53, 11 },
};

static const span *span_of(pf_dtype dtype)
{
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++)
        if (spans[i].dtype == dtype)
            return &spans[i];
    return NULL;
}

static bool is_unsigned(pf_dtype dtype) { return dtype == PF_BOOL || pf_dtype_kind_of(dtype) == PF_KIND_UINT; }

static bool holds(pf_dtype wide, pf_dtype narrow)
{
    const span *w = span_of(wide), *n = span_of(narrow);
    bool        to_float = pf_dtype_is_float(wide), from_float = pf_dtype_is_float(narrow);

    if (!w || !n || wide == PF_BOOL)
        return false;
    if (from_float)
        return to_float && w->digits >= n->digits && w->exponent >= n->exponent;
    if (to_float)
        return w->digits >= n->digits && (1 << (w->exponent - 1)) > n->digits;
    return is_unsigned(narrow) == is_unsigned(wide) ? w->digits >= n->digits
                                                    : is_unsigned(narrow) && w->digits > n->digits;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph            *graph = pf_rewrite_graph(rewrite);
    const pf_node       *node = &graph->nodes[id];
    pf_node_id           before = node->op == PF_OP_CAST ? pf_rewrite_maker(graph, node->in[0], PF_OP_CAST) : PF_NONE;
    const pf_cast_attrs *attrs = node->attrs;
    pf_value_id          x = before == PF_NONE ? PF_NONE : graph->nodes[before].in[0], out = PF_NONE;
    pf_status            st = PF_OK;

    if (x == PF_NONE || !holds(graph->values[node->in[0]].dtype, graph->values[x].dtype))
        return PF_OK;
    if (graph->values[x].dtype == (pf_dtype)attrs->dtype)
        return pf_rewrite_replace(rewrite, id, 0, x, changed, err);
    st = pf_graph_add_node(graph, PF_OP_CAST, node->name, &x, 1, attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_merge_casts = {
    .name = "merge_casts", .summary = "one cast instead of two", .phase = PF_RULES_CLEAN, .default_on = true,
    .apply = apply,
};
