/* The header of a .npy file: a Python dictionary of three known keys. */
#ifndef PF_CLIENT_NPY_HEADER_H
#define PF_CLIENT_NPY_HEADER_H

#include "engine/tensor.h"

typedef struct pf_npy_header {
    char    descr[48];          /* as it stands in the file: "<f4" */
    bool    fortran;
    int32_t rank;
    int64_t dim[PF_MAX_RANK];
    size_t  bytes;              /* before the data */
} pf_npy_header;

/* Errors   INVALID: not a .npy file, or malformed; UNSUPPORTED: records, or more than PF_MAX_RANK dims. */
pf_status pf_npy_header_parse(const void *data, size_t bytes, pf_npy_header *out, pf_err *err);

#endif
