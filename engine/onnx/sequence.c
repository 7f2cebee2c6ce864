#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* Sequences and optionals of tensors. */

void pf_onnx_sequence_empty(pf_onnx_node *node)
{
    pf_sequence_construct_attrs attrs = { (int32_t)pf_onnx_dtype_attr(node, "dtype", PF_F32) };

    node->out[0] = pf_onnx_emit0(node, PF_OP_SEQUENCE_CONSTRUCT, &attrs);
}

void pf_onnx_sequence_construct(pf_onnx_node *node)
{
    pf_onnx_emit_same(node, PF_OP_SEQUENCE_CONSTRUCT, NULL);
}

void pf_onnx_sequence_at(pf_onnx_node *node)
{
    pf_onnx_emit_same(node, PF_OP_SEQUENCE_AT, NULL);
}

void pf_onnx_sequence_insert(pf_onnx_node *node)
{
    pf_onnx_emit_same(node, PF_OP_SEQUENCE_INSERT, NULL);
}

void pf_onnx_sequence_erase(pf_onnx_node *node)
{
    pf_onnx_emit_same(node, PF_OP_SEQUENCE_ERASE, NULL);
}

void pf_onnx_sequence_length(pf_onnx_node *node)
{
    pf_onnx_emit_same(node, PF_OP_SEQUENCE_LENGTH, NULL);
}

void pf_onnx_concat_from_sequence(pf_onnx_node *node)
{
    pf_concat_from_sequence_attrs attrs = { pf_onnx_int(node, "axis", 0), pf_onnx_int(node, "new_axis", 0) };
    bool                          known = pf_onnx_value(node, pf_onnx_in(node, 0))->shape.rank >= 0;

    /* The rank of a sequence's items may be open; an axis from the front says all then. */
    if (attrs.axis < 0 || known)
        attrs.axis = pf_onnx_axis(node, attrs.axis, pf_onnx_rank(node, pf_onnx_in(node, 0)) + (attrs.new_axis != 0));
    pf_onnx_emit_same(node, PF_OP_CONCAT_FROM_SEQUENCE, &attrs);
}

void pf_onnx_split_to_sequence(pf_onnx_node *node)
{
    int32_t                    rank = pf_onnx_rank(node, pf_onnx_in(node, 0));
    pf_split_to_sequence_attrs attrs = { pf_onnx_axis(node, pf_onnx_int(node, "axis", 0), rank),
                                         pf_onnx_int(node, "keepdims", 1) };

    pf_onnx_emit_same(node, PF_OP_SPLIT_TO_SEQUENCE, &attrs);
}

void pf_onnx_optional(pf_onnx_node *node)
{
    const Onnx__AttributeProto   *a = pf_onnx_attr(node, "type");
    const Onnx__TypeProto__Tensor *t = a && a->tp ? a->tp->tensor_type : NULL;
    pf_optional_attrs             attrs = { 0 };

    if (a && a->tp && a->tp->sequence_type && a->tp->sequence_type->elem_type)
        t = a->tp->sequence_type->elem_type->tensor_type;
    if (pf_onnx_in(node, 0) == PF_NONE) {
        attrs.dtype = t && t->has_elem_type ? (int32_t)pf_dtype_from_onnx(t->elem_type) : PF_DTYPE_NONE;
        if (attrs.dtype == PF_DTYPE_NONE)
            pf_onnx_fail(node, PF_INVALID, "an empty optional needs the attribute \"type\"");
        node->out[0] = pf_onnx_emit0(node, PF_OP_OPTIONAL, &attrs);
        return;
    }
    pf_onnx_emit_same(node, PF_OP_OPTIONAL, &attrs);
}

/* From opset 18 a tensor or a sequence may stand where an optional is asked for. */
void pf_onnx_optional_get(pf_onnx_node *node)
{
    bool optional = pf_onnx_value(node, pf_onnx_in(node, 0))->kind == PF_VALUE_OPTIONAL;

    pf_onnx_emit_same(node, optional ? PF_OP_OPTIONAL_GET : PF_OP_IDENTITY, NULL);
}

void pf_onnx_optional_has(pf_onnx_node *node)
{
    pf_value_id x = pf_onnx_in(node, 0);

    if (x != PF_NONE && pf_onnx_value(node, x)->kind == PF_VALUE_OPTIONAL)
        pf_onnx_emit_same(node, PF_OP_OPTIONAL_HAS, NULL);
    else
        node->out[0] = pf_onnx_scalar(node, PF_BOOL, x != PF_NONE);
}
