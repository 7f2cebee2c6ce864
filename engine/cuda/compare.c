#include "engine/cuda/compare.h"

#include <string.h>

#include "engine/cuda/cuda_device.h"
#include "kernels/cuda_compare.h"

static const struct { pf_dtype dtype; pf_cuda_float type; } types[] = {
    { PF_F32, PF_CUDA_F32 }, { PF_F16, PF_CUDA_F16 }, { PF_BF16, PF_CUDA_BF16 },
};

/* The number that has this place in the order of the numbers; 0 where nothing was seen. */
static double number_of(unsigned long long ordered)
{
    const unsigned long long sign = 1ull << 63, bits = ordered & sign ? ordered ^ sign : ~ordered;
    double                   number = 0;

    if (ordered) memcpy(&number, &bits, sizeof number);
    return number;
}

static pf_status run(pf_cuda_float type, const void *test, const void *reference, uint64_t count, cudaStream_t stream,
                     pf_cuda_difference *sums, pf_cuda_difference *out, pf_err *err)
{
    PF_CUDA_TRY(err, cudaMemsetAsync(sums, 0, sizeof *sums, stream));
    PF_CUDA_TRY(err, pf_cuda_compare_floats(type, test, reference, count, sums, stream));
    PF_CUDA_TRY(err, cudaMemcpyAsync(out, sums, sizeof *out, cudaMemcpyDeviceToHost, stream));
    PF_CUDA_TRY(err, cudaStreamSynchronize(stream));
    return PF_OK;
}

pf_status pf_cuda_compare(pf_device *device, pf_stream *stream, pf_dtype dtype, const void *test, const void *reference,
                          uint64_t count, pf_device_difference *out, pf_err *err)
{
    pf_cuda_difference sums = { 0 };
    void              *memory = NULL;
    size_t             i = 0;
    pf_status          st = PF_OK;

    *out = (pf_device_difference){ 0 };
    while (i < sizeof types / sizeof types[0] && types[i].dtype != dtype) i++;
    if (i == sizeof types / sizeof types[0])
        return PF_FAIL(err, PF_UNSUPPORTED, "values of type %s are not compared on the card", pf_dtype_name(dtype));
    PF_CUDA_ON(device, err, cudaMallocAsync(&memory, sizeof sums, pf_cuda_stream(stream)));
    st = run(types[i].type, test, reference, count, pf_cuda_stream(stream), memory, &sums, err);
    cudaFreeAsync(memory, pf_cuda_stream(stream));
    *out = (pf_device_difference){ number_of(sums.most), number_of(sums.greatest), -number_of(sums.least),
                                   sums.not_finite };
    return st;
}
