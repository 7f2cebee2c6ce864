/* How networks write a function of one or a few values, as a tree to compare with.

     PF_NODE(MUL, PF_X, PF_NODE(ADD, PF_NODE(ERF, PF_NODE(MUL, PF_X, PF_NUMBER(0.7071))), PF_NUMBER(1)), PF_NUMBER(0.5))

   MUL   the product of these factors in any order and grouping; quotients by constants, negations and constants count
         as its one number
   ADD   the sum of these terms, likewise; differences from constants count
   other op: a node of it, its inputs in this order, or for a commutative op in the other
   A number is a constant whose elements are all the same, equal to it within what its type can hold.  PF_X and the like
   stand for any value, the same one each time; PF_P and PF_Q for any number; PF_KNOWN for one node, likewise. */
#ifndef PF_ENGINE_PATTERN_H
#define PF_ENGINE_PATTERN_H

#include "engine/rewrite.h"

enum { PF_PATTERN_INPUTS = 4, PF_PATTERN_SLOTS = 4, PF_PATTERN_NODES = 24 };

typedef enum pf_pattern_kind { PF_PATTERN_NODE, PF_PATTERN_VALUE, PF_PATTERN_NUMBER,
                               PF_PATTERN_ANY_NUMBER } pf_pattern_kind;

typedef struct pf_pattern {
    pf_pattern_kind kind;
    pf_op_kind      op;
    uint32_t        slot;           /* of a value or any number; of a node that is to be known: its slot plus 1 */
    double          number;
    bool            has_attrs;      /* of a pointwise node: its parameters are p and q */
    double          p, q;
    const struct pf_pattern *in[PF_PATTERN_INPUTS];
} pf_pattern;

#define PF_NODE(NAME, ...) (&(const pf_pattern){ .op = PF_OP_##NAME, .in = { __VA_ARGS__ } })
#define PF_KNOWN(SLOT, NAME, ...) (&(const pf_pattern){ .op = PF_OP_##NAME, .slot = (SLOT) + 1, .in = { __VA_ARGS__ } })
#define PF_WITH(NAME, P, Q, ...) \
    (&(const pf_pattern){ .op = PF_OP_##NAME, .has_attrs = true, .p = (P), .q = (Q), .in = { __VA_ARGS__ } })
#define PF_NUMBER(VALUE) (&(const pf_pattern){ .kind = PF_PATTERN_NUMBER, .number = (VALUE) })
#define PF_VALUE(SLOT) (&(const pf_pattern){ .kind = PF_PATTERN_VALUE, .slot = (SLOT) })
#define PF_X PF_VALUE(0)
#define PF_Y PF_VALUE(1)
#define PF_P (&(const pf_pattern){ .kind = PF_PATTERN_ANY_NUMBER, .slot = 0 })
#define PF_Q (&(const pf_pattern){ .kind = PF_PATTERN_ANY_NUMBER, .slot = 1 })

typedef struct pf_match {
    pf_value_id value[PF_PATTERN_SLOTS];        /* PF_NONE where the pattern has none */
    double      number[PF_PATTERN_SLOTS];
    bool        has_number[PF_PATTERN_SLOTS];
    pf_node_id  known[PF_PATTERN_SLOTS];
    pf_node_id  nodes[PF_PATTERN_NODES];        /* all that were looked through */
    uint32_t    node_count;
} pf_match;

bool pf_pattern_match(const pf_graph *graph, const pf_pattern *pattern, pf_value_id value, pf_match *out);
/* Is what the nodes of the match compute, but for `value`, read by these nodes alone? */
bool pf_pattern_is_closed(const pf_graph *graph, const pf_match *match, pf_value_id value);

/* A pattern that is one pointwise op of PF_X. */
typedef struct pf_pattern_row {
    const pf_pattern *pattern;
    pf_op_kind        op;
    double            p, q;
    bool              takes_p, takes_q;         /* p or q is what the pattern found */
    bool            (*allows)(double p, double q);      /* of what it found; NULL: anything */
} pf_pattern_row;

/* Puts the op of the first row that matches in the node's place, for floats. */
pf_status pf_pattern_apply(pf_rewrite *rewrite, pf_node_id id, const pf_pattern_row *rows, size_t count, bool *changed,
                           pf_err *err);

#endif
