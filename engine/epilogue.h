/* The chain of pointwise ops behind an anchor, as tactics of libraries want it: one value flows through, each op may
   have one other operand. */
#ifndef PF_ENGINE_EPILOGUE_H
#define PF_ENGINE_EPILOGUE_H

#include "engine/op.h"
#include "engine/problem.h"

enum { PF_EPILOGUE_LIMIT = 16 };

typedef struct pf_epilogue_item {
    pf_op_kind  op;
    double      p, q;               /* the op's parameters */
    pf_value_id value;              /* what the op computes: its shape is what operands spread over */
    pf_value_id operand;            /* the other one of a binary op; PF_NONE: unary */
    bool        operand_first;      /* it is the left one, which matters for sub, div, pow */
    bool        is_scalar;          /* operand is one element, held in clear: its value */
    double      scalar;
} pf_epilogue_item;

typedef struct pf_epilogue {
    pf_epilogue_item items[PF_EPILOGUE_LIMIT];
    uint32_t         count;
    pf_value_id      result;        /* the problem's output; or, before moves, what they move */
} pf_epilogue;

/* Follows the chain from `start` to the problem's one output. A static reason when it is no such chain, else NULL. */
const char *pf_epilogue_read(const pf_problem *p, pf_value_id start, pf_epilogue *out);
/* The same for results that lie LINEAR: reshapes that keep the last dim are passed over where pointwise ops follow, and
   the chain ends before the first other op: what follows is for pf_strided_write to read from out->result. */
const char *pf_epilogue_read_to_moves(const pf_problem *p, pf_value_id start, pf_epilogue *out);

/* How an operand spreads over the result. */
typedef enum pf_spread {
    PF_SPREAD_FULL,                 /* the same shape */
    PF_SPREAD_CHANNEL,              /* one element per index of `axis` of the result; all its other dims are 1 */
    PF_SPREAD_SCALAR,               /* one element */
    PF_SPREAD_OTHER,
} pf_spread;
pf_spread pf_spread_of(const pf_shape *operand, const pf_shape *result, int32_t axis);

/* Index of the problem's input that is this value; UINT32_MAX when it is none. */
uint32_t pf_problem_input_index(const pf_problem *p, pf_value_id value);
/* The value of a constant of one element that stands in the problem; false when it is something else. */
bool     pf_problem_scalar(const pf_problem *p, pf_value_id value, double *out);

#endif
