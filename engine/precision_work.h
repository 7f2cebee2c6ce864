/* What a run of a network takes of the references, about, at these values of its symbols. */
#ifndef PF_ENGINE_PRECISION_WORK_H
#define PF_ENGINE_PRECISION_WORK_H

#include "engine/graph.h"

double pf_precision_work(const pf_graph *graph, const int64_t *bindings);      /* operations */
double pf_precision_elems(const pf_graph *graph, const int64_t *bindings);     /* of all values that are computed */

#endif
