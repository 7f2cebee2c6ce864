/* NumPy's .npy files, format 1.0, 2.0 and 3.0 (numpy.lib.format): little-endian arrays in C or Fortran order.
   Types beyond NumPy's are stored as the ml_dtypes package does: bf16 as V2, types of 8 bits and fewer of floats as V1,
   one element a byte; small integers as i1 and u1.  Strings are U (UTF-8 to UCS-4) and S. */
#ifndef PF_CLIENT_NPY_H
#define PF_CLIENT_NPY_H

#include "base/buf.h"
#include "engine/tensor.h"

bool      pf_npy_is(const void *data, size_t bytes);        /* by its first bytes */
/* wanted settles what V1, i1 and u1 stand for; PF_DTYPE_NONE: nothing is known.
   Errors   INVALID: malformed, truncated, bytes behind the array; UNSUPPORTED: legal but a type, order of bytes or rank
            not known here. */
pf_status pf_npy_parse(const void *data, size_t bytes, pf_dtype wanted, pf_tensor *out, pf_err *err);
/* Format 1.0 with the header padded to 64 bytes, as NumPy writes it. */
pf_status pf_npy_print(const pf_tensor *tensor, pf_buf *out, pf_err *err);

#endif
