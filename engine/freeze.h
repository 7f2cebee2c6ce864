/* Inputs that always have the same value become constants, so that what hangs on them can be folded: of a decoder that
   was exported with and without a past, by an input that says which, one branch is left. */
#ifndef PF_ENGINE_FREEZE_H
#define PF_ENGINE_FREEZE_H

#include "engine/config.h"
#include "engine/graph.h"

/* Those of the row freeze_inputs.  graph: of a network as the user has it; its other inputs keep their order.
   Errors   USAGE: no such input, or one that can hold no such value. */
pf_status pf_freeze_inputs(const pf_config *config, pf_graph *graph, pf_err *err);

#endif
