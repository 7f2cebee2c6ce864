/* Slices along an axis: tensors are cut into them and put together from them, as loops do. */
#ifndef PF_ENGINE_OPS_STACK_H
#define PF_ENGINE_OPS_STACK_H

#include "engine/tensor.h"

/* Slice `index` of x along axis, without that axis.  *out is overwritten: an owned tensor. */
pf_status pf_stack_take(const pf_tensor *x, int64_t axis, int64_t index, pf_tensor *out, pf_err *err);
/* Puts count slices of one shape together along a new axis.  y is sized when it was not yet. */
pf_status pf_stack_join(const pf_tensor *slices, int64_t count, int64_t axis, pf_tensor *y, pf_err *err);

#endif
