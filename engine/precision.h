/* Lowering a network from FP32 to FP16 or BF16.

   What is lowered:  products, convolutions, attention and recurrent ops, and with them norms, softmax, reductions,
                     pointwise functions and moves that something narrow reaches and that a later product reads.
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

/* What is left in FP32 besides, for networks that make much of roundings: a set of bits.  Those below PF_CARE_SLICES
   are the products in the order in which they run, one each; of more products than that, shares of them.  Of a network
   that is not lowered it says what is not to be rounded to TF32. */
typedef uint64_t pf_precision_care;

enum { PF_CARE_SLICES = 60, PF_CARE_TEXT_BYTES = 64 };
#define PF_CARE_USUAL ((pf_precision_care)0)
#define PF_CARE_DECISIONS ((pf_precision_care)1 << 60) /* products whose results topk orders, with no other between */
#define PF_CARE_GATES ((pf_precision_care)1 << 61)  /* convolutions of single points, what is computed for them alone */
#define PF_CARE_ALL   ((pf_precision_care)1 << 62)  /* everything: nothing is lowered */
#define PF_CARE_EXACT ((pf_precision_care)1 << 63)  /* products of FP32 are taken in three parts of BF16, not in two */

pf_precision_care pf_precision_care_first(uint32_t slices);
/* The last of the products that are named, counted from 1; 0 where none are. */
uint32_t          pf_precision_care_last(pf_precision_care care);
/* For people. */
void              pf_precision_care_text(pf_precision_care care, char *text, size_t capacity);

/* What there is to be careful with. decided: slices up to the last product that decides, 0: none does. */
typedef struct pf_precision_size { uint32_t slices, decided; bool has_gates; } pf_precision_size;
pf_status         pf_precision_measure(const pf_graph *graph, pf_precision_size *out, pf_err *err);
/* Products, convolutions, attention and recurrent ops, those in bodies as well. */
uint32_t          pf_precision_products(const pf_graph *graph);

/* narrow: PF_F16 or PF_BF16. The graph is changed in place and inferred again. */
pf_status pf_precision_lower(pf_graph *graph, pf_dtype narrow, pf_precision_care care, pf_err *err);
/* Products that are not to be rounded to TF32 refuse it: pf_node.refuses. */
pf_status pf_precision_refuse_tf32(pf_graph *graph, pf_precision_care care, pf_err *err);

#endif
