/* Raising a network from FP16 and BF16 to FP32, for devices that compute in nothing narrower.

   Everything between the inputs and outputs is computed in FP32 from weights that become FP32, so nothing is rounded on
   the way.  Inputs and outputs of the network keep their types, and so does what only the host runs, or what an
   attribute gives its type. */
#ifndef PF_ENGINE_PRECISION_RAISE_H
#define PF_ENGINE_PRECISION_RAISE_H

#include "engine/graph.h"

/* The graph is changed in place and inferred again; one with nothing to raise stays as it is. */
pf_status pf_precision_raise(pf_graph *graph, pf_err *err);

#endif
