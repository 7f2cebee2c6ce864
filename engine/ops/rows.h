/* Runs of elements read into and written from arrays of double or int64_t, whatever their dtype. */
#ifndef PF_ENGINE_OPS_ROWS_H
#define PF_ENGINE_OPS_ROWS_H

#include "engine/tensor.h"

/* Work on fewer elements is not shared out among threads. */
enum { PF_ROWS_ALONE = 1 << 16 };

/* out[i] = element at + i * step of data. */
void    pf_rows_read(pf_dtype dtype, const void *data, int64_t at, int64_t step, int64_t count, double *out);
void    pf_rows_write(pf_dtype dtype, void *data, int64_t at, int64_t count, const double *in);
void    pf_rows_read_i64(pf_dtype dtype, const void *data, int64_t at, int64_t step, int64_t count, int64_t *out);
void    pf_rows_write_i64(pf_dtype dtype, void *data, int64_t at, int64_t count, const int64_t *in);

/* The whole tensor as doubles, from pf_alloc; the caller frees.  NULL when out of memory. */
double *pf_rows_doubles(const pf_tensor *tensor);
/* count doubles, zeroed; NULL when out of memory. */
double *pf_rows_new(int64_t count);
/* Doubles become the elements of out. */
void    pf_rows_store(pf_tensor *out, const double *in);

/* Sets the dims of an output whose size was not known before and allocates it; when it is allocated already, checks
   that the dims are these. */
pf_status pf_rows_size(pf_tensor *out, int32_t rank, const int64_t *dim, pf_err *err);

/* Input `slot`, when it is there, has that many elements.  Inference can only compare dims that are numbers; references
   compare what came. */
struct pf_reference_call;
pf_status pf_rows_need(const struct pf_reference_call *call, uint32_t slot, int64_t elems, const char *what,
                       pf_err *err);

#endif
