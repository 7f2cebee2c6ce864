/* Ops that have a name but no implementation yet: every use is refused. A row goes when the op's own file comes. */
#include "engine/op.h"

static pf_status refuse(pf_infer *infer, pf_err *err)
{
    return PF_FAIL(err, PF_UNSUPPORTED, "%s cannot be computed by this version", pf_op_def_of(infer->node->op)->name);
}

static pf_status refuse_reference(pf_reference_call *call, pf_err *err)
{
    return PF_FAIL(err, PF_UNSUPPORTED, "%s cannot be computed by this version", call->def->name);
}

#define PENDING(op) \
    const pf_op_def pf_op_##op = { #op, PF_CLASS_HOST, 0, 255, 1, 255, 0, 0, NULL, refuse, refuse_reference }

PENDING(if);
PENDING(loop);
PENDING(scan);
