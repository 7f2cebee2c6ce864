/* The one matrix product that the references use: doubles, row-major.
   Each element is summed in order of k, so the result does not depend on the machine's vector width, nor on the number
   of threads. */
#ifndef PF_ENGINE_OPS_PRODUCT_H
#define PF_ENGINE_OPS_PRODUCT_H

#include <stdint.h>

/* c[m,n] += a[m,k] b[k,n]; lda, ldb, ldc are row lengths. */
void pf_product(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c,
                int64_t ldc);
/* The same, bit for bit, and faster, of doubles that came from floats of 32 bits or fewer: such products are exact in a
   double, so multiplying and adding at once rounds no differently.  In the caller's thread alone. */
void pf_product_of_floats(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb,
                          double *c, int64_t ldc);

#endif
