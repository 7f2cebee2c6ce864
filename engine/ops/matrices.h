/* Products of matrices of any float type, read and converted block by block, blocks shared out among threads: the
   memory that it takes does not grow with the matrices.  Elements are summed in doubles in order of k, so neither
   blocks nor threads change a result. */
#ifndef PF_ENGINE_OPS_MATRICES_H
#define PF_ENGINE_OPS_MATRICES_H

#include "engine/tensor.h"

/* Elements from `at` on of a tensor's: rows x columns, or, transposed, columns x rows in memory. */
typedef struct pf_matrix { const pf_tensor *tensor; int64_t at, rows, columns; bool transposed; } pf_matrix;

/* The product of a[i] and b[i] is put at element i * rows * columns of y, for `count` of them; all a have one size and
   type, and so have all b. */
pf_status pf_matrices_multiply(const pf_matrix *a, const pf_matrix *b, int64_t count, pf_tensor *y, pf_err *err);

#endif
