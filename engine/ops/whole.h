/* Sizes that go through floats: int(math.ceil(height / 2) * 2) is traced as casts around a division. */
#ifndef PF_ENGINE_OPS_WHOLE_H
#define PF_ENGINE_OPS_WHOLE_H

#include "engine/graph.h"

/* The one element of a float tensor, cast to an integer, as a dim: where it is made of sizes by sums, products and
   quotients that are rounded to whole numbers, by the cast at last.  PF_DIM_INVALID: it is not, or not known.
   Exact as long as the floats are: sizes below 2^24 in 32 bits. */
pf_dim pf_whole_of(pf_graph *graph, pf_value_id value);

#endif
