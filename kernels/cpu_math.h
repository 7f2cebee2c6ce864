/* Functions of floats without branches or calls, so that loops over them become vector code.
   Errors are against the exact value, over all finite arguments unless said otherwise; NaN goes through. */
#ifndef PF_KERNELS_CPU_MATH_H
#define PF_KERNELS_CPU_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/cpu_isa.h"

PF_INLINE float pf_math_from_bits(uint32_t bits)
{
    float out;

    memcpy(&out, &bits, sizeof out);
    return out;
}

PF_INLINE uint32_t pf_math_bits(float x)
{
    uint32_t out;

    memcpy(&out, &x, sizeof out);
    return out;
}

/* exp(x) = 2^n exp(r), |r| <= ln2/2, by the series of exp to r^7: relative error under 2e-7.  Results under e^-86.6
   become 0. */
PF_INLINE float pf_math_exp(float x)
{
    float    clamped = x < -86.6f ? -86.6f : x > 88.7228f ? 88.7228f : x;
    float    shifted = clamped * 1.44269504f + 12582912.0f;  /* 1.5 * 2^23: the low bits hold n, rounded to nearest */
    float    n = shifted - 12582912.0f;
    float    r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f; /* ln2 in two parts */
    float    p = 1.0f / 5040.0f;
    uint32_t scale = (pf_math_bits(shifted) << 23) + 0x3f000000u;  /* 2^(n-1): 2^128 is no float */

    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    p = p * pf_math_from_bits(scale) * 2.0f;
    p = x < -86.6f ? 0.0f : x > 88.7228f ? INFINITY : p;
    return x != x ? x : p;
}

/* log(x) for x > 0: x = 2^e m, m in [sqrt(1/2), sqrt(2)), log m = 2 atanh((m - 1)/(m + 1)): error under 2e-7 of
   max(|log x|, 1). */
PF_INLINE float pf_math_log(float x)
{
    float    tiny = x < 1.17549435e-38f ? x * 8388608.0f : x;       /* denormals are scaled by 2^23 */
    uint32_t bits = pf_math_bits(tiny) - 0x3f3504f3u;               /* relative to sqrt(1/2) */
    int32_t  e = (int32_t)bits >> 23;
    float    m = pf_math_from_bits((bits & 0x007fffffu) + 0x3f3504f3u);
    float    s = (m - 1.0f) / (m + 1.0f), t = s * s;
    float    p = 2.0f / 11.0f;
    float    exponent = (float)e - (x < 1.17549435e-38f ? 23.0f : 0.0f);

    p = p * t + 2.0f / 9.0f;
    p = p * t + 2.0f / 7.0f;
    p = p * t + 2.0f / 5.0f;
    p = p * t + 2.0f / 3.0f;
    p = s * (p * t + 2.0f);
    p = exponent * 0.693359375f + (p - exponent * 2.12194440e-4f);
    p = x == INFINITY ? x : p;
    p = x == 0.0f ? -INFINITY : p;
    return x < 0.0f ? NAN : x != x ? x : p;
}

/* exp(x) - 1: series for |x| < 0.35, relative error under 3e-7. */
PF_INLINE float pf_math_expm1(float x)
{
    float p = 1.0f / 5040.0f;

    p = p * x + 1.0f / 720.0f;
    p = p * x + 1.0f / 120.0f;
    p = p * x + 1.0f / 24.0f;
    p = p * x + 1.0f / 6.0f;
    p = p * x + 0.5f;
    p = x + x * x * p;
    return fabsf(x) < 0.35f ? p : pf_math_exp(x) - 1.0f;
}

/* log(1 + x), with what 1 + x lost put back. */
PF_INLINE float pf_math_log1p(float x)
{
    float u = 1.0f + x;
    float p = pf_math_log(u) - ((u - 1.0f) - x) / u;

    return x == INFINITY ? x : p;
}

/* tanh(x) = (1 - e^-2|x|) / (1 + e^-2|x|); its series to x^11 under 0.35: error under 2e-7. */
PF_INLINE float pf_math_tanh(float x)
{
    float a = fabsf(x), t = pf_math_exp(-2.0f * a), big = (1.0f - t) / (1.0f + t), s = x * x;
    float p = -1382.0f / 155925.0f;

    p = p * s + 62.0f / 2835.0f;
    p = p * s - 17.0f / 315.0f;
    p = p * s + 2.0f / 15.0f;
    p = p * s - 1.0f / 3.0f;
    p = x + x * s * p;
    return a < 0.35f ? p : x < 0.0f ? -big : big;
}

/* erf(x): series to x^13 under 0.5; above, 1 - t P(t) e^-x^2 with t = 1/(1 + 0.3275911 x) (Abramowitz and Stegun
   7.1.26): error under 3e-7. */
PF_INLINE float pf_math_erf(float x)
{
    float a = fabsf(x), s = x * x, t = 1.0f / (1.0f + 0.3275911f * a);
    float p = 1.061405429f, q = 1.0f / 9360.0f;

    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    p = 1.0f - p * t * pf_math_exp(-s);
    q = q * s - 1.0f / 1320.0f;
    q = q * s + 1.0f / 216.0f;
    q = q * s - 1.0f / 42.0f;
    q = q * s + 1.0f / 10.0f;
    q = q * s - 1.0f / 3.0f;
    q = 1.12837917f * (x + x * s * q);
    p = a < 0.5f ? q : x < 0.0f ? -p : p;
    return x != x ? x : p;
}

#endif
