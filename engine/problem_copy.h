/* Copying parts of a graph into the graph of a problem, translating or binding dims on the way. */
#ifndef PF_ENGINE_PROBLEM_COPY_H
#define PF_ENGINE_PROBLEM_COPY_H

#include "engine/problem.h"

typedef struct pf_problem_copy {
    const pf_graph *from;
    pf_graph       *to;
    const int64_t  *bindings;       /* a number for each symbol of from, or PF_UNBOUND; NULL: symbols stay symbols, by
                                       name */
    pf_value_id    *map;            /* value of from -> value of to, or PF_NONE; owned */
} pf_problem_copy;

pf_status pf_problem_copy_begin(pf_problem_copy *copy, const pf_graph *from, const int64_t *bindings, pf_err *err);
void      pf_problem_copy_clear(pf_problem_copy *copy);  /* frees copy->to too, unless it was taken (set to NULL) */
/* value becomes an input of the new graph. */
pf_status pf_problem_copy_input(pf_problem_copy *copy, pf_value_id value, pf_err *err);
/* A constant with its bytes. */
pf_status pf_problem_copy_constant(pf_problem_copy *copy, pf_value_id value, pf_err *err);
/* Copies a node; in: its inputs as values of from, in the order wanted.  Every one must have been copied. */
pf_status pf_problem_copy_node(pf_problem_copy *copy, pf_node_id node, const pf_value_id *in, pf_err *err);
pf_status pf_problem_copy_output(pf_problem_copy *copy, pf_value_id value, pf_err *err);
/* All of a graph. */
pf_status pf_problem_copy_all(pf_problem_copy *copy, pf_err *err);

/* Makes a problem of a finished graph, which it takes; arrays are copied.  The graph is freed on failure. */
pf_status pf_problem_make(pf_graph *graph, const pf_layout *in, const pf_layout *out_layouts, const bool *constant,
                          uint32_t numerics, pf_problem **out, pf_err *err);

#endif
