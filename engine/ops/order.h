/* Comparing elements of a tensor of any ordered dtype. */
#ifndef PF_ENGINE_OPS_ORDER_H
#define PF_ENGINE_OPS_ORDER_H

#include "engine/tensor.h"

/* -1, 0 or 1 as element a is below, equal to or above element b. NaN is above all. */
int32_t pf_order_of(const pf_tensor *tensor, int64_t a, int64_t b);

#endif
