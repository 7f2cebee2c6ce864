#include "engine/ops/infer.h"
#include "engine/ops/content.h"
#include "engine/ops/rows.h"

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_value *x = pf_infer_in(infer, 0);
    pf_content      content = pf_content_of(infer, 0);

    if (!x)
        return PF_FAIL(err, PF_INVALID, "the input is left out");
    infer->out[0].kind = x->kind;
    pf_infer_like(infer, 0);
    return pf_content_set(infer, &content, err);
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    pf_tensor_clear(&call->out[0]);
    return pf_tensor_copy(&call->in[0], &call->out[0], err);
}

const pf_op_def pf_op_identity = {
    .name = "identity", .klass = PF_CLASS_VIEW, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .infer = infer, .reference = reference,
};
