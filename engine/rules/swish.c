/* Sigmoids and what is multiplied with them: 1 / (1 + exp(-x)); x sigmoid(p x), which is SiLU for p = 1 and an
   approximation of GELU for 1.702. */
#include "engine/pattern.h"

#define EXP_OF_MINUS_X PF_NODE(EXP, PF_NODE(MUL, PF_X, PF_NUMBER(-1)))

static const pf_pattern_row rows[] = {
    { PF_NODE(RECIPROCAL, PF_NODE(ADD, EXP_OF_MINUS_X, PF_NUMBER(1))), .op = PF_OP_SIGMOID },
    { PF_NODE(DIV, PF_NUMBER(1), PF_NODE(ADD, EXP_OF_MINUS_X, PF_NUMBER(1))), .op = PF_OP_SIGMOID },
    { PF_NODE(DIV, PF_X, PF_NODE(ADD, EXP_OF_MINUS_X, PF_NUMBER(1))), .op = PF_OP_SWISH, .p = 1 },
    { PF_NODE(MUL, PF_NODE(SIGMOID, PF_X), PF_X), .op = PF_OP_SWISH, .p = 1 },
    { PF_NODE(MUL, PF_NODE(SIGMOID, PF_NODE(MUL, PF_X, PF_P)), PF_X), .op = PF_OP_SWISH, .takes_p = true },
};

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    return pf_pattern_apply(rewrite, id, rows, sizeof rows / sizeof rows[0], changed, err);
}

const pf_rule pf_rule_swish = {
    .name = "swish", .summary = "recognize sigmoid, and x sigmoid(p x)", .phase = PF_RULES_PATTERN, .default_on = true,
    .apply = apply,
};
