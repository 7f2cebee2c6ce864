/* Rectifiers with a slope: max(x, p x) for p below 1, relu(x) - p relu(-x), prelu and where with a constant slope.  And
   by where ELU and the rectifier without a slope. */
#include "engine/pattern.h"

#define RELU_OF_MINUS_X PF_NODE(RELU, PF_NODE(MUL, PF_X, PF_NUMBER(-1)))
#define IS_POSITIVE     PF_NODE(GREATER, PF_X, PF_NUMBER(0))

static bool is_below_one(double p, double q) { return (void)q, p <= 1; }

static const pf_pattern_row rows[] = {
    { PF_NODE(MAX, PF_NODE(MUL, PF_X, PF_P), PF_X), .op = PF_OP_LEAKY_RELU, .takes_p = true, .allows = is_below_one },
    { PF_NODE(PRELU, PF_X, PF_P), .op = PF_OP_LEAKY_RELU, .takes_p = true },
    { PF_NODE(WHERE, IS_POSITIVE, PF_X, PF_NUMBER(0)), .op = PF_OP_RELU },
    { PF_NODE(WHERE, IS_POSITIVE, PF_X, PF_NODE(MUL, PF_X, PF_P)), .op = PF_OP_LEAKY_RELU, .takes_p = true },
    { PF_NODE(SUB, PF_NODE(RELU, PF_X), PF_NODE(MUL, RELU_OF_MINUS_X, PF_P)), .op = PF_OP_LEAKY_RELU, .takes_p = true },
    { PF_NODE(WHERE, IS_POSITIVE, PF_X, PF_NODE(ADD, PF_NODE(EXP, PF_X), PF_NUMBER(-1))), .op = PF_OP_ELU, .p = 1 },
};

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    return pf_pattern_apply(rewrite, id, rows, sizeof rows / sizeof rows[0], changed, err);
}

const pf_rule pf_rule_leaky_relu = {
    .name = "leaky_relu", .summary = "recognize rectifiers with a slope", .phase = PF_RULES_PATTERN, .default_on = true,
    .apply = apply,
};
