/* log(1 + exp(x)); x tanh of that, which is mish; x / (1 + |x|). */
#include "engine/pattern.h"

static const pf_pattern_row rows[] = {
    { PF_NODE(LOG, PF_NODE(ADD, PF_NODE(EXP, PF_X), PF_NUMBER(1))), .op = PF_OP_SOFTPLUS },
    { PF_NODE(MUL, PF_NODE(TANH, PF_NODE(SOFTPLUS, PF_X)), PF_X), .op = PF_OP_MISH },
    { PF_NODE(DIV, PF_X, PF_NODE(ADD, PF_NODE(ABS, PF_X), PF_NUMBER(1))), .op = PF_OP_SOFTSIGN },
};

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    return pf_pattern_apply(rewrite, id, rows, sizeof rows / sizeof rows[0], changed, err);
}

const pf_rule pf_rule_softplus = {
    .name = "softplus", .summary = "recognize softplus, mish and softsign", .phase = PF_RULES_PATTERN,
    .default_on = true, .apply = apply,
};
