/* Tensors in words and numbers: what a run prints of them, and how far two are apart. */
#ifndef PF_CLIENT_TENSOR_REPORT_H
#define PF_CLIENT_TENSOR_REPORT_H

#include "client/verb.h"
#include "engine/tensor.h"

enum { PF_SHAPE_TEXT_BYTES = 192 };
/* "[1,3,224,224]"; a dim below 0 is shown as '?'. */
const char *pf_shape_text(const int64_t *dim, int32_t rank, char out[PF_SHAPE_TEXT_BYTES]);

/* name, dtype, shape, min, max, mean (null for strings and empty tensors) and sha256 of its bytes.  NULL when out of
   memory. */
json_t *pf_tensor_report(const char *name, const pf_tensor *tensor);

#define PF_TOLERANCE_OPTION \
    {.name = "tolerance", .kind = PF_OPTION_REAL, .value = "X", .fallback = "1e-4", .least = 0, .greatest = 1e300, \
     .help = "greatest error allowed, relative to the range of the reference"}

/* Compares, says a line, appends to the list `differences` of the result.
   Errors   MISMATCH: they differ by more than tolerance, in shape, or in where they are finite. */
pf_status pf_tensor_difference(pf_call *call, const char *name, const pf_tensor *test, const pf_tensor *reference,
                               double tolerance, pf_err *err);

#endif
