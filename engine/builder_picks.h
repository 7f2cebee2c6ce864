/* What a plan's device picked where it differs from the references, and what these answer when they pick the same
   (engine/picks.h). */
#ifndef PF_ENGINE_BUILDER_PICKS_H
#define PF_ENGINE_BUILDER_PICKS_H

#include "engine/oracle.h"
#include "engine/picks.h"
#include "engine/runtime.h"

/* Runs the plan's steps once more and notes what they pick, as far as graph, which outlives it, has picks of these
   names.  Inputs and outputs are bound.  rewritten, graph_value: as in engine/builder_check.h. */
pf_status pf_builder_picks_take(pf_context *context, const pf_graph *rewritten, const pf_value_id *graph_value,
                                const pf_graph *graph, pf_picks *out, pf_err *err);
/* graph on the oracle's inputs, picking what is given; each value is shown to watch, which may be NULL.  outputs: one
   for each of graph's, to be cleared.  *loss: pf_following.loss. */
pf_status pf_builder_picks_follow(const pf_graph *graph, const pf_picks *given, const pf_oracle *oracle,
                                  void (*watch)(void *user, pf_value_id value, pf_tensor *tensor), void *user,
                                  pf_tensor *outputs, double *loss, pf_err *err);

#endif
