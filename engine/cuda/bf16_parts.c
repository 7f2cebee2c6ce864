#include "engine/cuda/bf16_parts.h"

#include <string.h>

#define BF16_LARGEST 0x1.fep127f

/* As the instruction does it: the nearest, of two the even, and nothing infinite. */
static uint16_t to_bf16(float value)
{
    float    limited = value > BF16_LARGEST ? BF16_LARGEST : value < -BF16_LARGEST ? -BF16_LARGEST : value;
    uint32_t bits = 0;

    memcpy(&bits, &limited, sizeof bits);
    return value != value ? UINT16_C(0x7fff) : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float of_bf16(uint16_t value)
{
    uint32_t bits = (uint32_t)value << 16;
    float    out = 0;

    memcpy(&out, &bits, sizeof out);
    return out;
}

void pf_bf16_take_apart(float value, int count, uint16_t *to)
{
    for (int part = 0; part < count; part++) {
        to[part] = to_bf16(value);
        value -= of_bf16(to[part]);
    }
}
