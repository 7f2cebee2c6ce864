/* What if, loop and scan share: inferring their bodies.  See captures in engine/graph.h. */
#ifndef PF_ENGINE_OPS_BODIES_H
#define PF_ENGINE_OPS_BODIES_H

#include "engine/ops/infer.h"

/* What two values that may stand in the same place have in common; dtypes and kinds must be equal. */
pf_status pf_bodies_merge(pf_infer *infer, const pf_value *a, const pf_value *b, pf_value *out, pf_err *err);
/* Takes kind, dtype and shape of from (not its content, which may change from run to run). */
void      pf_bodies_set(pf_value *to, const pf_value *from);
/* Gives the body's inputs from `first` on what the node's inputs from `slot` on are: count captures. */
pf_status pf_bodies_set_captures(pf_infer *infer, pf_graph *body, uint32_t first, uint32_t slot, uint32_t count,
                                 pf_err *err);
/* States go round: input first + i of the body is the node's input slot + i at first and the body's output out_first +
   i from then on. Infers the body until that says nothing new. */
pf_status pf_bodies_settle(pf_infer *infer, pf_graph *body, uint32_t first, uint32_t slot, uint32_t out_first,
                           uint32_t count, pf_err *err);

#endif
