/* Piecewise linear stand-ins for sigmoid and swish: clip(p x + q, 0, 1), however its factor is spread;
   x clip(x + 3, 0, 6) / 6. */
#include "engine/pattern.h"

#define CLIP_SIX   PF_WITH(CLIP, 0, 6, PF_NODE(ADD, PF_X, PF_NUMBER(3)))

static const pf_pattern_row rows[] = {
    { PF_NODE(MUL, CLIP_SIX, PF_X, PF_NUMBER(1.0 / 6)), .op = PF_OP_HARD_SWISH },
    { PF_NODE(MUL, PF_WITH(HARD_SIGMOID, 1.0 / 6, 0.5, PF_X), PF_X), .op = PF_OP_HARD_SWISH },
    { PF_NODE(MUL, CLIP_SIX, PF_NUMBER(1.0 / 6)), .op = PF_OP_HARD_SIGMOID, .p = 1.0 / 6, .q = 0.5 },
    { PF_WITH(CLIP, 0, 1, PF_NODE(ADD, PF_NODE(MUL, PF_X, PF_P), PF_Q)),
      .op = PF_OP_HARD_SIGMOID, .takes_p = true, .takes_q = true },
    { PF_WITH(CLIP, 0, 1, PF_NODE(MUL, PF_NODE(ADD, PF_X, PF_NUMBER(3)), PF_NUMBER(1.0 / 6))),
      .op = PF_OP_HARD_SIGMOID, .p = 1.0 / 6, .q = 0.5 },
};

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    return pf_pattern_apply(rewrite, id, rows, sizeof rows / sizeof rows[0], changed, err);
}

const pf_rule pf_rule_hard_swish = {
    .name = "hard_swish", .summary = "recognize hard sigmoid and hard swish",
    .phase = PF_RULES_WEIGHTS, .default_on = true, .apply = apply,
};
