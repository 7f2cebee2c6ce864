/* The one matrix product that the references use: doubles, row-major.
   Each element is summed in order of k, so the result does not depend on the machine's vector width. */
#ifndef PF_ENGINE_OPS_PRODUCT_H
#define PF_ENGINE_OPS_PRODUCT_H

#include <stdint.h>

/* c[m,n] += a[m,k] b[k,n]; lda, ldb, ldc are row lengths. */
void pf_product(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c, int64_t ldc);

#endif
