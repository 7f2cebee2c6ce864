#include "engine/ops/narrow.h"

#include <math.h>

#include "engine/ops/attrs.h"

/* What overflows, and the code it becomes: codes of infinity or NaN from https://onnx.ai/onnx/technical/float8.html. */
static const struct { pf_dtype dtype; double greatest; uint8_t above, below, nan; bool keeps_infinity; } formats[] = {
    { PF_F8E4M3FN,   448,   0x7f, 0xff, 0x7f, false },
    { PF_F8E4M3FNUZ, 240,   0x80, 0x80, 0x80, false },
    { PF_F8E5M2,     57344, 0x7c, 0xfc, 0x7f, true },
    { PF_F8E5M2FNUZ, 57344, 0x80, 0x80, 0x80, false },
};

bool pf_narrow_is_special(const pf_narrow *narrow)
{
    return narrow->dtype == PF_F8E8M0 || (narrow->to_infinity && pf_dtype_bits(narrow->dtype) == 8 && pf_dtype_is_float(narrow->dtype));
}

/* An exponent alone: 2^(code - 127), 255 is NaN. */
static uint8_t to_e8m0(double value, int32_t rounding)
{
    int    exponent = 0;
    double fraction = frexp(value, &exponent) * 2;      /* value = fraction * 2^(exponent - 1), 1 <= fraction < 2 */

    if (isnan(value))
        return 255;
    if (isinf(value))
        return rounding == PF_ROUND_UP ? 254 : 254;
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
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        double spacing = 0, greatest = formats[f].greatest;

        if (formats[f].dtype != narrow->dtype || !narrow->to_infinity || isnan(value))
            continue;
        /* Half of the last step above the greatest number still rounds down to it. */
        spacing = greatest - (narrow->dtype == PF_F8E5M2 || narrow->dtype == PF_F8E5M2FNUZ ? 49152 : narrow->dtype == PF_F8E4M3FN ? 416 : 224);
        if (fabs(value) > greatest + spacing / 2 || (fabs(value) == greatest + spacing / 2 && narrow->dtype != PF_F8E4M3FN))
            set_code(data, i, value > 0 ? formats[f].above : formats[f].below);
    }
}
