#include "engine/ops/narrow.h"

#include <math.h>

#include "engine/ops/attrs.h"

/* The greatest number, half of the step behind it (up to there values round down to it), whether that middle itself
   does (its mantissa is even), and the codes of what is above and below: infinity, or NaN where there is none.
   https://onnx.ai/onnx/technical/float8.html */
static const struct {
    pf_dtype dtype;
    double greatest, half_step;
    bool middle_fits;
    uint8_t above, below;
} formats[] = {
    { PF_F8E4M3FN, 448, 16, true, 0x7f, 0xff },
    { PF_F8E4M3FNUZ, 240, 8, false, 0x80, 0x80 },
    { PF_F8E5M2, 57344, 4096, false, 0x7c, 0xfc },
    { PF_F8E5M2FNUZ, 57344, 4096, false, 0x80, 0x80 },
};

bool pf_narrow_is_special(const pf_narrow *narrow)
{
    return narrow->dtype == PF_F8E8M0 || narrow->dtype == PF_F4E2M1 ||
           (narrow->to_infinity && pf_dtype_bits(narrow->dtype) == 8 && pf_dtype_is_float(narrow->dtype));
}

/* An exponent alone: 2^(code - 127), 255 is NaN. */
static uint8_t to_e8m0(double value, int32_t rounding)
{
    int    exponent = 0;
    double fraction = frexp(value, &exponent) * 2;      /* value = fraction * 2^(exponent - 1), 1 <= fraction < 2 */

    if (isnan(value))
        return 255;
    if (isinf(value))
        return 254;
    if (value <= 0x1p-127)
        return 0;
    exponent += 126;
    if (rounding == PF_ROUND_UP ? fraction > 1 : rounding == PF_ROUND_NEAREST && fraction >= 1.5)
        exponent++;
    return exponent > 254 ? 254 : (uint8_t)exponent;
}

static void set_code(void *data, int64_t i, uint8_t code) { ((uint8_t *)data)[i] = code; }

void pf_narrow_set(const pf_narrow *narrow, void *data, int64_t i, double value)
{
    if (narrow->dtype == PF_F8E8M0) {
        set_code(data, i, to_e8m0(fabs(value), narrow->rounding));
        return;
    }
    pf_dtype_set(narrow->dtype, data, (uint64_t)i, value);
    if (narrow->dtype == PF_F4E2M1 && isnan(value))
        pf_dtype_set_i64(PF_U4, data, (uint64_t)i, 8);      /* there is no NaN: minus zero */
    for (size_t f = 0; f < sizeof formats / sizeof *formats && narrow->to_infinity; f++) {
        double middle = formats[f].greatest + formats[f].half_step;

        if (formats[f].dtype == narrow->dtype &&
            (fabs(value) > middle || (fabs(value) == middle && !formats[f].middle_fits)))
            set_code(data, i, value > 0 ? formats[f].above : formats[f].below);
    }
}
