#include "engine/ops/order.h"

#include <string.h>

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

int32_t pf_order_of(const pf_tensor *tensor, int64_t a, int64_t b)
{
    if (tensor->dtype == PF_STRING) {
        const char *x = ((char *const *)tensor->data)[a], *y = ((char *const *)tensor->data)[b];
        int         order = strcmp(x ? x : "", y ? y : "");

        return COMPARE(order, 0);
    }
    if (pf_dtype_is_float(tensor->dtype)) {
        double x = pf_dtype_get(tensor->dtype, tensor->data, (uint64_t)a),
               y = pf_dtype_get(tensor->dtype, tensor->data, (uint64_t)b);

        if (x != x || y != y)
            return (x != x) - (y != y);
        return COMPARE(x, y);
    }
    if (tensor->dtype == PF_U64)
        return COMPARE(((const uint64_t *)tensor->data)[a], ((const uint64_t *)tensor->data)[b]);
    return COMPARE(pf_dtype_get_i64(tensor->dtype, tensor->data, (uint64_t)a),
                   pf_dtype_get_i64(tensor->dtype, tensor->data, (uint64_t)b));
}
