#include "engine/op.h"

#include <string.h>

static pf_status refuse_infer(pf_infer *infer, pf_err *err)
{
    (void)infer;
    return PF_FAIL(err, PF_INVALID, "there is no such op");
}

static pf_status refuse_reference(pf_reference_call *call, pf_err *err)
{
    (void)call;
    return PF_FAIL(err, PF_INVALID, "there is no such op");
}

static const pf_op_def no_op = { .name = "none", .klass = PF_CLASS_HOST, .infer = refuse_infer,
                                 .reference = refuse_reference };

static const pf_op_def *const defs[PF_OP_COUNT] = {
    [PF_OP_NONE] = &no_op,
#define PF_OP(NAME, name) [PF_OP_##NAME] = &pf_op_##name,
#include "engine/ops.def"
#undef PF_OP
#define PF_POINTWISE(NAME, name, ...) [PF_OP_##NAME] = &pf_op_##name,
#include "engine/pointwise.def"
#undef PF_POINTWISE
};

const pf_op_def *pf_op_def_of(pf_op_kind op) { return op < PF_OP_COUNT ? defs[op] : &no_op; }

pf_op_kind pf_op_from_name(const char *name)
{
    for (pf_op_kind op = PF_OP_NONE + 1; op < PF_OP_COUNT; op++)
        if (!strcmp(defs[op]->name, name))
            return op;
    return PF_OP_NONE;
}

bool pf_op_has_body(const pf_op_def *def)
{
    for (const pf_attr_field *field = def->attr_fields; field && field->name; field++)
        if (field->kind == PF_ATTR_GRAPH)
            return true;
    return false;
}

pf_op_class pf_op_class_of(const pf_node *node)
{
    const pf_op_def *def = pf_op_def_of(node->op);

    return def->only_moves && def->only_moves(node->attrs) ? PF_CLASS_MOVE : def->klass;
}

bool pf_op_is_pointwise(pf_op_kind op) { return pf_op_def_of(op)->klass == PF_CLASS_POINTWISE; }
