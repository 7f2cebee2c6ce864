#include "engine/cuda/conv_weights.h"

#include <string.h>

/* Inlined for each size, so that a copy is one instruction. */
static inline void place(const pf_tensor *weights, int64_t channels, size_t bytes, uint8_t *to)
{
    int64_t        outputs = weights->dim[0], inputs = weights->dim[1], taps = 1;
    const uint8_t *from = weights->data;

    for (int32_t d = 2; d < weights->rank; d++)
        taps *= weights->dim[d];
    memset(to, 0, (size_t)(outputs * taps * channels) * bytes);
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t i = 0; i < inputs; i++)
            for (int64_t t = 0; t < taps; t++)
                memcpy(to + (size_t)((o * taps + t) * channels + i) * bytes,
                       from + (size_t)((o * inputs + i) * taps + t) * bytes, bytes);
}

void pf_conv_weights_pack(const pf_tensor *weights, int64_t channels, void *to)
{
    if (pf_dtype_bytes(weights->dtype, 1) == 2)
        place(weights, channels, 2, to);
    else
        place(weights, channels, pf_dtype_bytes(weights->dtype, 1), to);
}
