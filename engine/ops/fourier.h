/* The discrete Fourier transform of one line, by its definition: for references, not for speed. */
#ifndef PF_ENGINE_OPS_FOURIER_H
#define PF_ENGINE_OPS_FOURIER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pf_complex { double re, im; } pf_complex;

/* cos and sin of 2 pi k / n for k in [0, n). */
void pf_fourier_table(int64_t n, pf_complex *table);
/* out[k], k in [0, bins) = sum over i of in[i] * exp(-+ 2 pi j i k / n); the inverse (+) is divided by n. */
void pf_fourier(const pf_complex *in, int64_t n, const pf_complex *table, bool inverse, pf_complex *out, int64_t bins);

#endif
