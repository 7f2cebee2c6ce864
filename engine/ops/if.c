#include <stddef.h>

#include "engine/ops/bodies.h"

static const pf_attr_field fields[] = { PF_ATTR_FIELD(pf_if_attrs, then_branch, GRAPH),
                                        PF_ATTR_FIELD(pf_if_attrs, else_branch, GRAPH), { NULL } };

static pf_status infer_branches(pf_infer *infer, const pf_if_attrs *a, pf_err *err)
{
    uint32_t  then_count = a->then_branch->input_count, else_count = a->else_branch->input_count;
    pf_status st = pf_bodies_set_captures(infer, a->then_branch, 0, 1, then_count, err);

    if (!st)
        st = pf_bodies_set_captures(infer, a->else_branch, 0, 1 + then_count, else_count, err);
    if (!st)
        st = pf_graph_infer(a->then_branch, err);
    return st ? st : pf_graph_infer(a->else_branch, err);
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_if_attrs *a = infer->node->attrs;
    const pf_value    *condition = pf_infer_in(infer, 0);
    uint32_t           count = infer->node->out_count;
    pf_status          st = PF_OK;

    if (!condition || condition->dtype != PF_BOOL)
        return PF_FAIL(err, PF_INVALID, "the condition is not bool");
    if (!a->then_branch || !a->else_branch || a->then_branch->output_count != count ||
        a->else_branch->output_count != count)
        return PF_FAIL(err, PF_INVALID, "both branches must give %u values", count);
    st = infer_branches(infer, a, err);
    for (uint32_t i = 0; i < count && !st; i++)
        st = pf_bodies_merge(infer, &a->then_branch->values[a->then_branch->outputs[i]],
                             &a->else_branch->values[a->else_branch->outputs[i]], &infer->out[i], err);
    return st;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_if_attrs *a = call->attrs;
    bool               condition = pf_tensor_elems(&call->in[0]) > 0 && *(const uint8_t *)call->in[0].data;
    const pf_tensor   *captures = call->in + 1 + (condition ? 0 : a->then_branch->input_count);

    for (uint32_t i = 0; i < call->out_count; i++)
        pf_tensor_clear(&call->out[i]);
    return pf_interpret_body(condition ? a->then_branch : a->else_branch, captures, call->out, call->bindings, err);
}

const pf_op_def pf_op_if = {
    .name = "if", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 255, .out_min = 1, .out_max = 255,
    .attr_bytes = sizeof(pf_if_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
