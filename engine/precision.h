/* Lowering a network from FP32 to FP16 or BF16.

   What is lowered:  products and convolutions, and with them attention, norms, softmax, reductions, pointwise functions
                     and moves that something narrow reaches and that a later product reads.
   What stays FP32:  what a network's care says (below); all behind the last products, as the outputs are; pointwise
                     functions whose result or slope is large (the ops flagged PF_OPF_FP32_MATH: exp, pow, sqrt ...),
                     and what is computed from them alone (an epsilon added to a variance, a mask scaled by -3e38); sums
                     and running sums; products of one term (angles); a product with, or a quotient by, something wide;
                     comparisons; scales of quantizations, statistics, points of grids and boxes; and ops that only the
                     host runs.
   Norms, softmax and reductions compute in FP32 inside whatever they read and write, so they keep the type that reaches
   them. A value that enters the narrow type is limited to its range first: an infinite mask makes NaN of a row that is
   masked throughout. Inputs and outputs of the network keep their types. */
#ifndef PF_ENGINE_PRECISION_H
#define PF_ENGINE_PRECISION_H

#include "engine/graph.h"

/* How much is left in FP32 besides, for networks that make much of roundings: errors grow on their way, so the first
   layers matter most; and a gate of channels, made by convolutions of single points, gives its error to a whole
   picture.  Each holds those before it. */
typedef enum pf_precision_care {
    PF_CARE_USUAL,
    PF_CARE_GATES,              /* convolutions of single points, and what is computed for them alone */
    PF_CARE_SIXTEENTH,          /* the first sixteenth of the products too, */
    PF_CARE_EIGHTH,
    PF_CARE_QUARTER,
    PF_CARE_HALF,
    PF_CARE_ALL,                /* everything: nothing is lowered */
} pf_precision_care;

const char *pf_precision_care_name(pf_precision_care care);     /* for people */

/* narrow: PF_F16 or PF_BF16. The graph is changed in place and inferred again. */
pf_status pf_precision_lower(pf_graph *graph, pf_dtype narrow, pf_precision_care care, pf_err *err);

#endif
