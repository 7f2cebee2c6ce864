/* Which layers of a plan are wrong: each runs by itself on what is there before it, and what it computes is compared
   with what the references make of the same inputs.  So an error that only came in with the inputs is nobody's fault
   here, and neither is what rounding alone may do. */
#ifndef PF_ENGINE_BUILDER_BLAME_H
#define PF_ENGINE_BUILDER_BLAME_H

#include "engine/graph.h"
#include "engine/runtime.h"

/* A layer that is wrong, or failed.  guessed: it ran with its tactic's first guess, not with the candidate's tuning. */
typedef struct pf_blame {
    uint32_t  step, candidate;          /* its rank in the step's list */
    bool      guessed;
    pf_status status;
    double    error;
    char      why[128];
} pf_blame;
typedef struct pf_blames { pf_blame *items; uint32_t count, capacity; } pf_blames;      /* items owned */

void      pf_blames_clear(pf_blames *blames);
/* Takes a copy; why: what is said of it. */
pf_status pf_blames_add(pf_blames *blames, const pf_blame *blame, const char *why, pf_err *err);

/* context: shapes, inputs and outputs are bound.  graph: what the plan was made of; graph_value: value of the plan ->
   value of graph. Stops at a layer that the device fails at. */
pf_status pf_builder_blame(pf_context *context, const pf_graph *graph, const pf_value_id *graph_value, pf_blames *out,
                           pf_err *err);

#endif
