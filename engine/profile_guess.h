/* Sizes for dims that the user gave none: the least of a list, from 1 on, that the network accepts. */
#ifndef PF_ENGINE_PROFILE_GUESS_H
#define PF_ENGINE_PROFILE_GUESS_H

#include "engine/graph.h"

/* value has one item per symbol of the graph: what the shapes give it, PF_UNBOUND for one that is in no input; open
   marks those to be guessed, whose value is the least that may be and is replaced.  A network that shrinks some value
   to nothing at every size is taken at the least it accepts.
   Errors   USAGE: no size of the list does; the sentence says why and names an input to give a shape for. */
pf_status pf_profile_guess(const pf_graph *graph, const bool *open, int64_t *value, pf_err *err);

#endif
