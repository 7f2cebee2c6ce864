/* Storing doubles into narrow floats by ONNX's rules: overflow to infinity instead of saturating, and the three
   roundings of f8e8m0. */
#ifndef PF_ENGINE_OPS_NARROW_H
#define PF_ENGINE_OPS_NARROW_H

#include "engine/dtype.h"

typedef struct pf_narrow {
    pf_dtype dtype;
    bool     to_infinity;       /* what does not fit becomes infinity, or NaN where the type has none */
    int32_t  rounding;          /* PF_ROUND_ of attrs.h, for f8e8m0 */
} pf_narrow;

/* False when pf_dtype_set does the same. */
bool pf_narrow_is_special(const pf_narrow *narrow);
void pf_narrow_set(const pf_narrow *narrow, void *data, int64_t i, double value);

#endif
