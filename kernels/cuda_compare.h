/* Floats against floats, where they lie. */
#ifndef PF_KERNELS_CUDA_COMPARE_H
#define PF_KERNELS_CUDA_COMPARE_H

#include <cuda_runtime_api.h>
#include <stdint.h>

typedef enum pf_cuda_float { PF_CUDA_F32, PF_CUDA_F16, PF_CUDA_BF16 } pf_cuda_float;

/* Device memory of zeros before.  Numbers are as pf_cuda_ordered puts them, so that the greatest is found by integers;
   what is not finite on either side only counts. */
typedef struct pf_cuda_difference {
    unsigned long long most;            /* largest difference */
    unsigned long long greatest, least; /* of the reference; of its negatives the greatest, for the least */
    unsigned long long not_finite;
} pf_cuda_difference;

#ifdef __cplusplus
extern "C"
#endif
cudaError_t pf_cuda_compare_floats(pf_cuda_float type, const void *test, const void *reference, uint64_t count,
                                   pf_cuda_difference *difference, cudaStream_t stream);

#endif
