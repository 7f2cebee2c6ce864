/* What devices do in products of FP32, done by the references: a network in which each operand is rounded as tensor
   cores take it.  Sums are exact, as those of the references are, but where operands are not rounded: there the sum is,
   by as much as kernels differ that add up in another order. */
#ifndef PF_ENGINE_PRECISION_ROUND_H
#define PF_ENGINE_PRECISION_ROUND_H

#include "engine/op.h"
#include "engine/precision.h"

typedef enum pf_rounding { PF_ROUND_NOT, PF_ROUND_TF32, PF_ROUND_PARTS, PF_ROUND_SUM, PF_ROUND_COUNT } pf_rounding;

/* TF32: to 10 bits and the leading one, the nearest, of two the even.  Parts: the sum of two of BF16, the nearest and
   what that leaves, neither beyond BF16's largest (kernels/nvrtc/matmul.cuh).  A sum: without FP32's last two bits.
   What is not finite stays; in parts devices take infinity as twice BF16's largest, or thrice. */
float pf_round(pf_rounding how, float value);

/* Run it with pf_rounded_watch and the struct as its user. */
typedef struct pf_rounded { pf_graph *graph; uint8_t *how; uint32_t count; } pf_rounded;    /* owned; how: by value */

/* graph: lowered or not; taken, also on failure.  Its products of FP32 are rounded to TF32, unless they refuse that
   (pf_precision_refuse_tf32) or with_tf32 is false; else taken in two parts, if with_parts; else their sums are. */
pf_status pf_rounded_new(pf_graph *graph, bool with_tf32, bool with_parts, pf_rounded *out, pf_err *err);
void      pf_rounded_clear(pf_rounded *rounded);
void      pf_rounded_watch(void *user, pf_value_id value, pf_tensor *tensor);

#endif
