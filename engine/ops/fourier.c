#include "engine/ops/fourier.h"

#include <math.h>

void pf_fourier_table(int64_t n, pf_complex *table)
{
    for (int64_t k = 0; k < n; k++) {
        double angle = 2 * M_PI * (double)k / (double)n;

        table[k] = (pf_complex){ cos(angle), sin(angle) };
    }
}

void pf_fourier(const pf_complex *in, int64_t n, const pf_complex *table, bool inverse, pf_complex *out, int64_t bins)
{
    double sign = inverse ? 1 : -1, scale = inverse ? 1 / (double)n : 1;

    for (int64_t k = 0; k < bins; k++) {
        pf_complex sum = { 0, 0 };

        for (int64_t i = 0, at = 0; i < n; i++, at = (at + k) % n) {
            double c = table[at].re, s = sign * table[at].im;

            sum.re += in[i].re * c - in[i].im * s;
            sum.im += in[i].re * s + in[i].im * c;
        }
        out[k] = (pf_complex){ sum.re * scale, sum.im * scale };
    }
}
