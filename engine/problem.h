/* A region made self-contained: what one tactic solves.  Ops, shapes, layouts and numerics, no weights: it has a
   canonical text and a hash, can be timed by any agent of the right class, cached across models, replayed and tested.
   A problem is a small graph whose inputs and outputs carry layouts. Inputs marked constant are weights: known when a
   plan is made, so a tactic may pack them once. Constants of at most PF_PROBLEM_CLEAR elements are held in the graph
   itself and are part of the text, unless an op of class ANCHOR reads them: what that reads is always an input.
   A change of layout is a problem too: one `identity` node whose input and output layouts differ.
   Its dims may be symbols (then it stands for a family, as plans store it); only a bound one is timed and hashed for
   the timing db. */
#ifndef PF_ENGINE_PROBLEM_H
#define PF_ENGINE_PROBLEM_H

#include "base/hash.h"
#include "engine/graph.h"
#include "engine/layout.h"

enum { PF_PROBLEM_CLEAR = 4, PF_PROBLEM_VALUES = 256 };    /* most inputs, and most outputs, of a problem */
enum {
    PF_NUMERICS_TF32 = 1,
    PF_NUMERICS_BF16_PARTS = 8,  /* products of FP32 may take each number as the sum of two of BF16: 16 bits of it */
    PF_NUMERICS_BF16_THREE = 16, /* of three: all 24 */
    /* no arithmetic: the network's weights exceed the cache, so constants are timed coming from memory */
    PF_NUMERICS_COLD_WEIGHTS = 256,
};

typedef struct pf_problem {
    pf_graph  *graph;           /* owned; canonical: values numbered in order, no names */
    pf_layout *in_layout;       /* graph->input_count; in the graph's arena, like all below */
    pf_layout *out_layout;      /* graph->output_count */
    bool      *in_constant;
    uint32_t   numerics;        /* PF_NUMERICS_* that are allowed */
    pf_node_id anchor;          /* the node of class ANCHOR or MOVE that the region was formed round; node 0 when all
                                   are pointwise */
    char      *text;            /* canonical: layouts and flags in a header line, then the graph's text without names */
    pf_digest  hash;            /* of text */
} pf_problem;

static inline const pf_node  *pf_problem_anchor(const pf_problem *p) { return &p->graph->nodes[p->anchor]; }
static inline const pf_shape *pf_problem_shape(const pf_problem *p, pf_value_id value)
{
    return &p->graph->values[value].shape;
}

/* Takes nodes of `graph` (in order, producers first) into a problem of their own, of the numerics that none of them
   refuses.  in/out get the outer value ids that
   the problem's inputs and outputs stand for, in its order; both from pf_alloc, owned by the caller. */
pf_status pf_problem_extract(const pf_graph *graph, const pf_node_id *nodes, uint32_t count, uint32_t numerics,
                             pf_problem **out, pf_value_id **in_values, pf_value_id **out_values, pf_err *err);
void      pf_problem_free(pf_problem *problem);
/* The same with other layouts (arrays as long as the problem's). */
pf_status pf_problem_with_layouts(const pf_problem *problem, const pf_layout *in, const pf_layout *out_layouts,
                                  pf_problem **out, pf_err *err);
/* The same with symbols replaced by numbers: bindings by name, as the outer graph's symbol order gives them. */
pf_status pf_problem_bind(const pf_problem *problem, const pf_dims *outer, const int64_t *bindings, pf_problem **out,
                          pf_err *err);
bool      pf_problem_is_bound(const pf_problem *problem);  /* every dim is a number */
bool      pf_problem_has_pitch(const pf_problem *problem);     /* some value lies in a wider one */
bool      pf_problem_has_empty(const pf_problem *problem);     /* some input or output has no elements */
bool      pf_problem_has_constants(const pf_problem *problem);
/* The change of layout of one tensor. dims: of the graph that shape's symbols belong to (NULL when it has none). */
pf_status pf_problem_reformat(const pf_dims *dims, pf_dtype dtype, const pf_shape *shape, pf_layout from, pf_layout to,
                              pf_problem **out, pf_err *err);
pf_status pf_problem_parse(const char *text, pf_problem **out, pf_err *err);  /* of its text: hash is equal again */
/* Work and least traffic of a bound problem: multiply-adds count 2; bytes read once and written once. */
void      pf_problem_cost(const pf_problem *problem, double *flops, double *bytes);

#endif
