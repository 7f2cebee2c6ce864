/* FP32 as the sum of numbers of BF16, as kernels take it apart (kernels/nvrtc/matmul.cuh, parts.cuh). */
#ifndef PF_ENGINE_CUDA_BF16_PARTS_H
#define PF_ENGINE_CUDA_BF16_PARTS_H

#include <stdint.h>

enum { PF_BF16_PARTS_MAX = 3 };

/* The nearest, and so on of what that leaves; none is infinite: what an infinity leaves is no number. */
void pf_bf16_take_apart(float value, int count, uint16_t *to);

#endif
