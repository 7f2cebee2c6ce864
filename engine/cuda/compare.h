/* Floats on the card against floats on the card: as pf_device_ops says. */
#ifndef PF_ENGINE_CUDA_COMPARE_H
#define PF_ENGINE_CUDA_COMPARE_H

#include "engine/device.h"

pf_status pf_cuda_compare(pf_device *device, pf_stream *stream, pf_dtype dtype, const void *test, const void *reference,
                          uint64_t count, pf_device_difference *out, pf_err *err);

#endif
