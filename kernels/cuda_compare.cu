#include "kernels/cuda_compare.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace {

constexpr unsigned THREADS = 256, BLOCKS_MOST = 4096, WARP = 32;

__device__ double number(float x) { return x; }
__device__ double number(__half x) { return __half2float(x); }
__device__ double number(__nv_bfloat16 x) { return __bfloat162float(x); }

/* In the order of the numbers, and above 0. */
__device__ unsigned long long ordered(double x)
{
    const unsigned long long sign = 1ull << 63, bits = (unsigned long long)__double_as_longlong(x);

    return bits & sign ? ~bits : bits | sign;
}

__device__ double greatest_of_warp(double x)
{
    for (int lane = WARP / 2; lane; lane /= 2)
        x = fmax(x, __shfl_xor_sync(~0u, x, lane));
    return x;
}

template <typename T>
__global__ void compare(const T *test, const T *reference, uint64_t count, pf_cuda_difference *out)
{
    const uint64_t     step = (uint64_t)gridDim.x * THREADS;
    double             most = 0, greatest = -INFINITY, negative = -INFINITY;
    unsigned long long not_finite = 0;

    for (uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x; i < count; i += step) {
        const double a = number(test[i]), b = number(reference[i]);

        if (!isfinite(a) || !isfinite(b)) {
            not_finite++;
            continue;
        }
        most = fmax(most, fabs(a - b));
        greatest = fmax(greatest, b);
        negative = fmax(negative, -b);
    }
    most = greatest_of_warp(most);
    greatest = greatest_of_warp(greatest);
    negative = greatest_of_warp(negative);
    if (not_finite)
        atomicAdd(&out->not_finite, not_finite);
    if (threadIdx.x % WARP)
        return;
    atomicMax(&out->most, ordered(most));
    atomicMax(&out->greatest, ordered(greatest));
    atomicMax(&out->least, ordered(negative));
}

template <typename T>
void launch(const void *test, const void *reference, uint64_t count, pf_cuda_difference *out, cudaStream_t stream)
{
    const uint64_t wanted = (count + THREADS - 1) / THREADS;
    const unsigned blocks = wanted < BLOCKS_MOST ? (unsigned)wanted : BLOCKS_MOST;

    compare<T><<<blocks, THREADS, 0, stream>>>(
        static_cast<const T *>(test), static_cast<const T *>(reference), count, out);
}

typedef void launcher(const void *, const void *, uint64_t, pf_cuda_difference *, cudaStream_t);

constexpr launcher *launches[] = { launch<float>, launch<__half>, launch<__nv_bfloat16> };     // by pf_cuda_float

} // namespace

extern "C" cudaError_t pf_cuda_compare_floats(pf_cuda_float type, const void *test, const void *reference,
                                              uint64_t count, pf_cuda_difference *difference, cudaStream_t stream)
{
    if (!count) return cudaSuccess;
    launches[type](test, reference, count, difference, stream);
    return cudaGetLastError();
}
