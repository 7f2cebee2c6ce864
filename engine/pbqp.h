/* Choosing one state per node so that the costs of nodes and edges add up to the least: the partitioned boolean
   quadratic problem.  Nodes of degree 0, 1 and 2 are removed exactly (Scholz and Eckstein 2002; Anderson and Gregg 2018
   use it for the layouts of neural networks); chains, residual blocks and Inception blocks vanish entirely that way.
   Where only nodes of higher degree remain, the one with most edges takes its locally cheapest state, and the answer is
   no longer known to be the best.  Costs may be INFINITY: such a state or pair is not allowed.  Ties go to the lower
   state. */
#ifndef PF_ENGINE_PBQP_H
#define PF_ENGINE_PBQP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct pf_pbqp pf_pbqp;

pf_pbqp  *pf_pbqp_new(void);                    /* NULL when out of memory */
void      pf_pbqp_free(pf_pbqp *problem);
/* costs: one per state, copied; nodes are numbered from 0 in the order of adding. */
pf_status pf_pbqp_add_node(pf_pbqp *problem, const double *costs, uint32_t state_count, uint32_t *node, pf_err *err);
/* costs[i * states of b + j]: added when a is in state i and b in state j.  a != b; a second edge of the same nodes
   adds to the first. */
pf_status pf_pbqp_add_edge(pf_pbqp *problem, uint32_t a, uint32_t b, const double *costs, pf_err *err);
/* states: one per node.  exact may be NULL.  Errors  INVALID: no allowed assignment was found; NO_SPACE. */
pf_status pf_pbqp_solve(const pf_pbqp *problem, uint32_t *states, bool *exact, pf_err *err);
double    pf_pbqp_cost(const pf_pbqp *problem, const uint32_t *states);

#endif
