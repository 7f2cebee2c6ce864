/* GELU, x times the normal distribution's share below x: exactly, by erf, or by the usual approximation with tanh (or a
   sigmoid, as tanh(y) = 2 sigmoid(2 y) - 1).  The constants are in the forms of https://arxiv.org/abs/1606.08415. */
#include "engine/pattern.h"

#define ROOT_HALF 0.70710678118654752440        /* sqrt(1/2) */
#define SLOPE     0.79788456080286535588        /* sqrt(2/pi) */
#define CUBE      0.044715

#define ERF_OF_X       PF_NODE(ERF, PF_NODE(MUL, PF_X, PF_NUMBER(ROOT_HALF)))
#define ERF_OF_MINUS_X PF_NODE(ERF, PF_NODE(MUL, PF_X, PF_NUMBER(-ROOT_HALF)))

/* SLOPE * (x + CUBE * x^3) times `by`, as it is written. */
#define X_CUBED        PF_NODE(POW, PF_X, PF_NUMBER(3))
#define INNER_POW(by) \
    PF_NODE(MUL, PF_NODE(ADD, PF_NODE(MUL, X_CUBED, PF_NUMBER(CUBE)), PF_X), PF_NUMBER(SLOPE * (by)))
#define INNER_MUL(by) \
    PF_NODE(MUL, PF_NODE(ADD, PF_NODE(MUL, PF_X, PF_X, PF_X, PF_NUMBER(CUBE)), PF_X), PF_NUMBER(SLOPE * (by)))
#define INNER_ONE(by) \
    PF_NODE(MUL, PF_NODE(ADD, PF_NODE(MUL, PF_X, PF_X, PF_NUMBER(CUBE)), PF_NUMBER(1)), PF_X, PF_NUMBER(SLOPE * (by)))
#define INNER_FAR(by) \
    PF_NODE(MUL, PF_NODE(ADD, PF_NODE(MUL, PF_X, PF_X, PF_NUMBER(SLOPE * CUBE * (by))), PF_NUMBER(SLOPE * (by))), PF_X)

#define BY_TANH(inner) \
    { PF_NODE(MUL, PF_NODE(ADD, PF_NODE(TANH, inner), PF_NUMBER(1)), PF_X, PF_NUMBER(0.5)), \
      .op = PF_OP_GELU_TANH }, \
    { PF_NODE(MUL, PF_NODE(ADD, PF_NODE(MUL, PF_NODE(TANH, inner), PF_NUMBER(0.5)), PF_NUMBER(0.5)), PF_X), \
      .op = PF_OP_GELU_TANH }
#define BY_SIGMOID(inner) { PF_NODE(MUL, PF_NODE(SIGMOID, inner), PF_X), .op = PF_OP_GELU_TANH }

static const pf_pattern_row rows[] = {
    { PF_NODE(MUL, PF_NODE(ADD, ERF_OF_X, PF_NUMBER(1)), PF_X, PF_NUMBER(0.5)), .op = PF_OP_GELU },
    { PF_NODE(MUL, PF_NODE(ADD, PF_NODE(MUL, ERF_OF_X, PF_NUMBER(0.5)), PF_NUMBER(0.5)), PF_X), .op = PF_OP_GELU },
    { PF_NODE(MUL, PF_NODE(SUB, PF_NUMBER(1), ERF_OF_MINUS_X), PF_X, PF_NUMBER(0.5)), .op = PF_OP_GELU },
    BY_TANH(INNER_POW(1)), BY_TANH(INNER_MUL(1)), BY_TANH(INNER_ONE(1)), BY_TANH(INNER_FAR(1)),
    BY_SIGMOID(INNER_POW(2)), BY_SIGMOID(INNER_MUL(2)), BY_SIGMOID(INNER_ONE(2)), BY_SIGMOID(INNER_FAR(2)),
};

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    return pf_pattern_apply(rewrite, id, rows, sizeof rows / sizeof rows[0], changed, err);
}

const pf_rule pf_rule_gelu = {
    .name = "gelu", .summary = "recognize GELU by erf and by tanh",
    .phase = PF_RULES_WEIGHTS, .default_on = true, .apply = apply,
};
