#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* Split. Sizes are an attribute up to opset 12, else an optional input. */

typedef struct sizes { const int64_t *at; int64_t count; } sizes;

static sizes read_sizes(pf_onnx_node *node)
{
    const Onnx__AttributeProto *a = node->opset < 13 ? pf_onnx_attr(node, "split") : NULL;
    pf_tensor                   tensor = { 0 };

    if (a)
        return (sizes){ a->ints, (int64_t)a->n_ints };
    if (pf_onnx_in(node, 1) != PF_NONE && pf_onnx_constant(node, pf_onnx_in(node, 1), &tensor) &&
        tensor.dtype == PF_I64)
        return (sizes){ tensor.data, pf_tensor_elems(&tensor) };
    return (sizes){ NULL, 0 };
}

static bool all_equal(const sizes *s)
{
    for (int64_t i = 1; i < s->count; i++)
        if (s->at[i] != s->at[0])
            return false;
    return true;
}

/* More sizes than an attribute holds: equal parts, or one slice for each. */
static void split_many(pf_onnx_node *node, pf_split_attrs *attrs, const sizes *s)
{
    pf_dim  size = pf_onnx_dim(node, pf_onnx_in(node, 0), (int32_t)attrs->axis);
    int64_t at = 0, whole = 0;

    for (int64_t i = 0; i < s->count && !node->status; i++)
        if (s->at[i] < 0 || __builtin_add_overflow(whole, s->at[i], &whole))
            pf_onnx_fail(node, PF_INVALID, "size %lld of a part", (long long)s->at[i]);
    if (!node->status && (s->count != node->out_count || (pf_dim_is_number(size) && whole != size)))
        pf_onnx_fail(node, PF_INVALID, "%lld sizes for %u outputs do not make up the dimension", (long long)s->count,
                     node->out_count);
    if (!node->status && all_equal(s) && pf_dim_is_number(size)) {
        pf_onnx_emit(node, PF_OP_SPLIT, attrs, 1, node->in, node->out_count, node->out);
        return;
    }
    for (uint32_t i = 0; i < node->out_count && !node->status; i++) {
        pf_slice_attrs part = { { 1, { attrs->axis } }, { 1, { at } }, { 1, { at + s->at[i] } }, { 1, { 1 } } };

        node->out[i] = pf_onnx_emit1(node, PF_OP_SLICE, &part, pf_onnx_in(node, 0));
        at += s->at[i];
    }
}

/* Without sizes the parts are equal, the last one may be smaller. */
void pf_onnx_split(pf_onnx_node *node)
{
    pf_split_attrs attrs = { pf_onnx_axis(node, pf_onnx_int(node, "axis", 0), pf_onnx_rank(node, pf_onnx_in(node, 0))),
                             { 0 } };
    sizes          given = read_sizes(node);

    if (given.count > PF_ATTR_LIST) {
        split_many(node, &attrs, &given);
        return;
    }
    if (node->opset < 13)
        attrs.sizes = pf_onnx_as_dims(pf_onnx_ints(node, "split"));
    if (pf_onnx_in(node, 1) != PF_NONE)
        pf_onnx_late_dims(node, pf_onnx_in(node, 1), &attrs.sizes);
    if (!node->status && attrs.sizes.count && attrs.sizes.count != (int32_t)node->out_count)
        pf_onnx_fail(node, PF_INVALID, "%d sizes for %u outputs", attrs.sizes.count, node->out_count);
    pf_onnx_emit(node, PF_OP_SPLIT, &attrs, 1, node->in, node->out_count, node->out);
}
