/* Tensors for tests: random ones, and whether two are alike. */
#ifndef PF_TESTS_UNIT_ENGINE_TENSORS_H
#define PF_TESTS_UNIT_ENGINE_TENSORS_H

#include <string.h>

#include "engine/tensor.h"
#include "tests/test.h"

/* Filled by pf_tensor_fill_random; freed by pf_tensor_clear. */
static inline pf_tensor random_tensor(pf_dtype dtype, int32_t rank, const int64_t *dim, uint64_t seed)
{
    pf_tensor tensor = { .dtype = dtype, .rank = rank };
    pf_err    err = { 0 };

    if (rank > 0)
        memcpy(tensor.dim, dim, (size_t)rank * sizeof *dim);
    test_ok(pf_tensor_alloc(&tensor, &err), &err);
    pf_tensor_fill_random(&tensor, seed);
    return tensor;
}

/* Numbers everywhere, and none further away than that part of the range. */
static inline void expect_close(const pf_tensor *found, const pf_tensor *expected, double of_range)
{
    pf_difference difference = { 0 };
    pf_err        err = { 0 };

    test_ok(pf_tensor_compare(found, expected, &difference, &err), &err);
    if (!(difference.max_rel_range < of_range) || difference.nan_count || difference.inf_count)
        fail_msg("%g of the range apart, at element %lld, where %g is allowed; %lld elements are not finite",
                 difference.max_rel_range, (long long)difference.worst_index, of_range,
                 (long long)(difference.nan_count + difference.inf_count));
}

#endif
